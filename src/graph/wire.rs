//! What the JSON of both targets has in common: strict in what is sent, lenient in what is read.
//!
//! Microsoft's own examples contradict the metadata (members missing, null, of another type), so
//! a reader takes only the members it needs and never fails for the sake of another one.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(super) fn encode(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("strings and GUIDs serialise, and a Vec takes every byte")
}

/// One page of a list.
#[derive(Deserialize)]
pub(super) struct WirePage<T> {
    /// The members. Required: an answer without it is no page, and nothing may be judged by it.
    pub(super) value: Vec<T>,
    /// The next page, opaque.
    #[serde(rename = "@odata.nextLink")]
    pub(super) next_link: Option<String>,
}

/// How a registration stands at the server. A meeting's is always [`MemberStanding::Registered`].
///
/// Source: Microsoft Graph reference, `virtualEventAttendeeRegistrationStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberStanding {
    /// In, and there is a link.
    Registered,
    /// The organizer has not decided yet.
    PendingApproval,
    /// The webinar was full.
    Waitlisted,
    /// A word that this program does not know.
    Other,
    /// The organizer said no.
    RejectedByOrganizer,
    /// Cancelled, by the person or the organizer.
    Canceled,
}

impl MemberStanding {
    /// Reads Graph's word.
    pub fn read(word: Option<&str>) -> Self {
        match word {
            Some("registered") => Self::Registered,
            Some("pendingApproval") => Self::PendingApproval,
            Some("waitlisted") => Self::Waitlisted,
            Some("rejectedByOrganizer") => Self::RejectedByOrganizer,
            Some("canceled") => Self::Canceled,
            _ => Self::Other,
        }
    }

    /// Whether this registration has come to its end: a person holds no place by it.
    pub fn is_over(self) -> bool {
        matches!(self, Self::RejectedByOrganizer | Self::Canceled)
    }
}

/// One member of a target's list.
#[derive(Clone, PartialEq, Eq)]
pub struct Member {
    /// The id that was posted with it, where one was.
    pub posted: Option<String>,
    /// The e-mail address, in lower case; only a webinar's.
    pub email: Option<String>,
    /// First and last name; only a webinar's.
    pub names: Option<(String, String)>,
    /// The server's own id of it, under which it is found; only a webinar's.
    pub server_id: Option<String>,
    /// How it stands.
    pub standing: MemberStanding,
}

/// One page of a target's list.
#[derive(Clone, PartialEq, Eq)]
pub struct ListPage {
    pub members: Vec<Member>,
    /// The absolute URL of the next page.
    pub next_link: Option<String>,
}

/// The body of an error answer.
#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Deserialize)]
struct ErrorDetail {
    code: Option<String>,
    message: Option<String>,
    #[serde(rename = "innerError", alias = "innererror")]
    inner: Option<Box<InnerError>>,
}

#[derive(Deserialize)]
struct InnerError {
    #[serde(rename = "request-id")]
    request_id: Option<String>,
}

/// What an error answer says. All three may be empty: gateways answer with HTML. `Debug` leaves the
/// message out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct GraphError {
    /// Graph's code, such as `BadRequest`; decisions are made on it, never on the message. Empty
    /// where the server's is no word: it is shown on screens and in logs.
    pub code: String,
    /// Graph's message. It may quote what was sent, so it goes to the rejects file and the ledger
    /// and nowhere else.
    pub message: String,
    /// The request's id at Microsoft, where the body has it and it is a GUID.
    pub request_id: Option<String>,
}

impl GraphError {
    /// Reads an error answer's body; what is not there stays empty.
    pub fn read(body: &[u8]) -> Self {
        let Ok(ErrorBody { error }) = serde_json::from_slice::<ErrorBody>(body) else {
            return Self::default();
        };
        Self {
            code: error.code.filter(|code| is_word(code)).unwrap_or_default(),
            message: error.message.unwrap_or_default(),
            request_id: error
                .inner
                .and_then(|inner| inner.request_id)
                .filter(|id| Uuid::try_parse(id).is_ok()),
        }
    }
}

impl std::fmt::Debug for GraphError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GraphError")
            .field("code", &self.code)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// The longest code that is taken for one.
const LONGEST_WORD: usize = 128;

/// Whether a server's text is a name that can be shown: no sentence, no address, and nothing that
/// commands a terminal.
pub(super) fn is_word(text: &str) -> bool {
    text.len() <= LONGEST_WORD
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "9d96988d-a66a-46ce-aad7-0b245615b297";

    #[test]
    fn what_is_shown_of_an_error_is_a_word_and_a_guid() {
        let text = r#"{"error":{"code":"ada@example.org is bad","message":"ada",
            "innerError":{"request-id":"ada\u001b[2J"}}}"#;
        let error = GraphError::read(text.as_bytes());
        assert_eq!((error.code.as_str(), error.request_id.as_deref()), ("", None));
        assert_eq!(error.message, "ada");
        assert!(!format!("{error:?}").contains("ada"));
    }

    #[test]
    fn both_spellings_of_the_inner_error_and_none_at_all_are_read() {
        let spelt = |name: &str| {
            let text = format!(
                r#"{{"error":{{"code":"BadRequest","message":"no","{name}":{{"date":"d","request-id":"{REQUEST}"}}}}}}"#
            );
            GraphError::read(text.as_bytes())
        };
        for name in ["innerError", "innererror"] {
            assert_eq!(spelt(name).request_id.as_deref(), Some(REQUEST));
            assert_eq!(spelt(name).code, "BadRequest");
        }
        assert_eq!(GraphError::read(b"<html>502</html>"), GraphError::default());
        assert_eq!(GraphError::read(br#"{"error":{"code":""}}"#), GraphError::default());
    }

    #[test]
    fn an_answer_without_value_is_no_page() {
        assert!(serde_json::from_str::<WirePage<serde_json::Value>>("{}").is_err());
        assert!(
            serde_json::from_str::<WirePage<serde_json::Value>>(r#"{"value":[{"id":null}]}"#)
                .is_ok()
        );
    }
}
