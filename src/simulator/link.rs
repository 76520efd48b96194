//! Join links of the documented anatomy that nobody can mistake for real ones.
//!
//! `https://teams.microsoft.com/l/meetup-join/{thread}/0?context={"Tid":…,"Oid":…,"prid":…,
//! "isPublic":…}`, the context percent-encoded with lower-case digits, as in the examples of the
//! Microsoft Graph reference (`externalMeetingRegistrant`, `virtualEventSession`).

use std::fmt::Write as _;

use serde::Serialize;
use uuid::Uuid;

/// Stands in the thread id of every simulated link, and of no real one: there a base64 text of a
/// GUID follows `meeting_`.
const MARK: &str = "meeting_rehearsal";

const HEAD: &str = "https://teams.microsoft.com/l/meetup-join/";

/// Whether this join link was made by the simulator.
#[must_use]
pub fn is_simulated_link(link: &str) -> bool {
    // Only the thread id is looked at: what follows holds an id that somebody else chose.
    link.strip_prefix(HEAD)
        .and_then(|rest| rest.split('/').next())
        .is_some_and(|thread| thread.contains(MARK))
}

/// What a link is made of.
pub(super) struct Link<'a> {
    /// Stands for the meeting.
    pub(super) thread: u64,
    /// 0 for the first link of this person; another number is another link.
    pub(super) nonce: u32,
    pub(super) tenant: Uuid,
    pub(super) organizer: Uuid,
    pub(super) prid: Option<&'a str>,
    pub(super) public: Option<bool>,
}

#[derive(Serialize)]
struct LinkContext<'a> {
    #[serde(rename = "Tid")]
    tenant: Uuid,
    #[serde(rename = "Oid")]
    organizer: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    prid: Option<&'a str>,
    #[serde(rename = "isPublic", skip_serializing_if = "Option::is_none")]
    public: Option<bool>,
}

impl Link<'_> {
    /// The thread id, as it stands in a link and, decoded, in a session's `chatInfo`.
    pub(super) fn thread_id(&self) -> String {
        let mut thread = format!("{MARK}{:016x}", self.thread);
        if self.nonce > 0 {
            write!(thread, "n{}", self.nonce).expect("a String takes everything");
        }
        thread
    }

    pub(super) fn url(&self) -> String {
        let context = serde_json::to_string(&LinkContext {
            tenant: self.tenant,
            organizer: self.organizer,
            prid: self.prid,
            public: self.public,
        })
        .expect("strings, ids and flags are always JSON");
        let mut url = String::with_capacity(HEAD.len() + 64 + 2 * context.len());
        url.push_str(HEAD);
        url.push_str("19%3a");
        url.push_str(&self.thread_id());
        url.push_str("%40thread.v2/0?context=");
        percent_encode(&context, &mut url);
        url
    }
}

/// As Teams does it: everything but letters, digits and `-._~`, in lower case.
fn percent_encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            into.push('%');
            for digit in [byte >> 4, byte & 15] {
                into.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(prid: &str) -> String {
        Link {
            thread: 7,
            nonce: 0,
            tenant: "909c6581-5130-43e9-88f3-fcb3582cde37".parse().expect("a GUID"),
            organizer: "16664f75-11dc-4870-bec6-38c1aaa81431".parse().expect("a GUID"),
            prid: Some(prid),
            public: Some(true),
        }
        .url()
    }

    #[test]
    fn a_link_has_the_documented_anatomy() {
        // The reference's example, but for the thread id.
        assert_eq!(
            link("9d96988d-a66a-46ce-aad7-0b245615b297"),
            "https://teams.microsoft.com/l/meetup-join/19%3ameeting_rehearsal0000000000000007\
             %40thread.v2/0?context=%7b%22Tid%22%3a%22909c6581-5130-43e9-88f3-fcb3582cde37%22%2c\
             %22Oid%22%3a%2216664f75-11dc-4870-bec6-38c1aaa81431%22%2c%22prid%22%3a%22\
             9d96988d-a66a-46ce-aad7-0b245615b297%22%2c%22isPublic%22%3atrue%7d"
        );
    }

    #[test]
    fn any_id_survives_in_the_context() {
        let id = "Żółć \"/?#%&=+\\";
        let url = url::Url::parse(&link(id)).expect("a URL");
        let context = url.query_pairs().find(|(name, _)| name == "context").expect("a context").1;
        let context: serde_json::Value = serde_json::from_str(&context).expect("JSON");
        assert_eq!(context["prid"], id);
    }

    #[test]
    fn only_the_simulators_own_links_are_known_as_such() {
        assert!(is_simulated_link(&link("a")));
        let real = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_NjliNTYxNjktNzAwNi00OTlhL\
                    WFmMWEtMGZhY2JjZGM5NmEy%40thread.v2/0?context=meeting_rehearsal";
        assert!(!is_simulated_link(real));
        assert!(!is_simulated_link(""));
    }
}
