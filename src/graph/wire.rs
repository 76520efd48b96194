//! Graph's JSON as it travels: strict in what is sent, lenient in what is read.
//!
//! Microsoft's own examples contradict the metadata (members missing, null, of another type), so
//! a reader here takes only the members it needs and never fails for the sake of another one.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::registrant::{Details, Mode, Registrant};

mod webinar;

pub use webinar::{
    Configuration, DEFAULT_LANGUAGE, DEFAULT_TIMEZONE, WebinarAnswer, configuration, questions,
    webinar, webinar_registration,
};

const EXTERNAL_REGISTRANT: &str = "#microsoft.graph.externalMeetingRegistrant";
const EXTERNAL_REGISTRATION: &str = "#microsoft.graph.externalMeetingRegistration";

/// The body of "Create externalMeetingRegistrant": in mode `everyone` the type and the id,
/// nothing else; in mode `organization` the two GUIDs as well.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RegistrantBody<'a> {
    #[serde(rename = "@odata.type")]
    odata_type: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<Uuid>,
}

/// The JSON that enrols `registrant` in a meeting.
#[must_use]
pub fn meeting_registrant(registrant: &Registrant) -> Vec<u8> {
    let (tenant_id, user_id) = match &registrant.details {
        Details::Organization { tenant_id, user_id } => (Some(*tenant_id), Some(*user_id)),
        Details::Everyone | Details::Webinar(_) => (None, None),
    };
    encode(&RegistrantBody {
        odata_type: EXTERNAL_REGISTRANT,
        id: registrant.id.as_str(),
        tenant_id,
        user_id,
    })
}

/// The body of "Create externalMeetingRegistration".
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RegistrationBody {
    #[serde(rename = "@odata.type")]
    odata_type: &'static str,
    allowed_registrant: &'static str,
}

/// The JSON that enables external registration in this mode.
#[must_use]
pub fn meeting_registration(mode: Mode) -> Vec<u8> {
    encode(&RegistrationBody {
        odata_type: EXTERNAL_REGISTRATION,
        allowed_registrant: mode.as_str(),
    })
}

fn encode(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("strings and GUIDs serialise, and a Vec takes every byte")
}

/// The answer to a registrant's POST, or one member of the list. Only what is used; the answer's
/// `userId` and `tenantId` are not (the reference's own example has them swapped).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrantAnswer {
    /// The server's own id; the list's is the posted one.
    #[serde(default)]
    pub id: Option<String>,
    /// The link; null in lists.
    #[serde(default)]
    pub join_web_url: Option<String>,
}

/// The answer to a registration's GET or POST.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationAnswer {
    /// Tells an external registration from one of Teams' own kind.
    #[serde(rename = "@odata.type", default)]
    pub odata_type: Option<String>,
    /// The registration's own id.
    #[serde(default)]
    pub id: Option<String>,
    /// The mode.
    #[serde(default)]
    pub allowed_registrant: Option<String>,
    /// Only a registration of Teams' own kind has a page; some answers leave `@odata.type` out.
    #[serde(default)]
    pub registration_page_web_url: Option<String>,
}

/// One registration of a webinar, in an answer to its POST or in a list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationMember {
    /// The server's own id.
    #[serde(default)]
    pub id: Option<String>,
    /// The address.
    #[serde(default)]
    pub email: Option<String>,
    /// The first name.
    #[serde(default)]
    pub first_name: Option<String>,
    /// The last name.
    #[serde(default)]
    pub last_name: Option<String>,
    /// How it stands.
    #[serde(default)]
    pub status: Option<String>,
    /// What the poster said of it.
    #[serde(rename = "externalRegistrationInformation", default)]
    pub outside: Option<Outside>,
}

impl RegistrationMember {
    /// The server's id, where it can stand in a path: see [`Meeting::remove`](super::meeting::Meeting::remove).
    #[must_use]
    pub fn address(&self) -> Option<String> {
        self.id.clone().filter(|id| !matches!(id.as_str(), "" | "." | ".."))
    }
}

/// `externalRegistrationInformation`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outside {
    /// The id that was posted.
    #[serde(default)]
    pub registration_id: Option<String>,
}

/// One session of a registration.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionMember {
    /// The person's link.
    #[serde(default)]
    pub join_web_url: Option<String>,
}

/// One page of a list.
#[derive(Deserialize)]
pub struct Page<T> {
    /// The members. Required: an answer without it is no page, and nothing may be judged by it.
    pub value: Vec<T>,
    /// The next page, opaque.
    #[serde(rename = "@odata.nextLink", default)]
    pub next_link: Option<String>,
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
    #[must_use]
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
    #[must_use]
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
    /// The server's own id of it, under which it is looked up; only a webinar's.
    pub server_id: Option<String>,
    /// How it stands.
    pub standing: MemberStanding,
}

/// One page of a target's list.
#[derive(Clone, PartialEq, Eq)]
pub struct ListPage {
    /// The members on this page.
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
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(rename = "innerError", alias = "innererror", default)]
    inner: Option<Box<InnerError>>,
}

#[derive(Deserialize)]
struct InnerError {
    #[serde(rename = "request-id", default)]
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
    #[must_use]
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
pub(crate) fn is_word(text: &str) -> bool {
    text.len() <= LONGEST_WORD
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::registrant::{Fields, Rule};

    fn body(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).expect("JSON")
    }

    #[test]
    fn everyone_sends_the_type_and_the_id_and_nothing_else() {
        let fields = Fields {
            id: Some("9d96988d-a66a-46ce-aad7-0b245615b297"),
            tenant_id: Some("909c6581-5130-43e9-88f3-fcb3582cde37"),
            ..Fields::default()
        };
        let registrant = Registrant::parse(&fields, &Rule::Meeting(Mode::Everyone)).expect("valid");
        assert_eq!(
            body(&meeting_registrant(&registrant)),
            json!({
                "@odata.type": "#microsoft.graph.externalMeetingRegistrant",
                "id": "9d96988d-a66a-46ce-aad7-0b245615b297"
            })
        );
    }

    #[test]
    fn organization_sends_both_guids_hyphenated_and_in_lower_case() {
        let fields = Fields {
            id: Some("é \"1\""),
            tenant_id: Some("{909C6581-5130-43E9-88F3-FCB3582CDE37}"),
            user_id: Some("cc515404b55c466eb896992c918ecc01"),
            ..Fields::default()
        };
        let registrant =
            Registrant::parse(&fields, &Rule::Meeting(Mode::Organization)).expect("valid");
        assert_eq!(
            body(&meeting_registrant(&registrant)),
            json!({
                "@odata.type": "#microsoft.graph.externalMeetingRegistrant",
                "id": "é \"1\"",
                "tenantId": "909c6581-5130-43e9-88f3-fcb3582cde37",
                "userId": "cc515404-b55c-466e-b896-992c918ecc01"
            })
        );
    }

    #[test]
    fn enabling_sends_the_type_and_the_mode() {
        assert_eq!(
            body(&meeting_registration(Mode::Organization)),
            json!({
                "@odata.type": "#microsoft.graph.externalMeetingRegistration",
                "allowedRegistrant": "organization"
            })
        );
    }

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
        assert!(serde_json::from_str::<Page<RegistrantAnswer>>("{}").is_err());
        assert!(
            serde_json::from_str::<Page<RegistrantAnswer>>(r#"{"value":[{"id":null}]}"#).is_ok()
        );
    }
}
