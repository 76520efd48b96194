//! Join links of the documented anatomy that nobody can mistake for real ones.
//!
//! `https://teams.microsoft.com/l/meetup-join/{thread}/0?context={"Tid":…,"Oid":…,"prid":…,
//! "isPublic":…}`, the context percent-encoded with lower-case digits, as in the examples of the
//! Microsoft Graph reference (`externalMeetingRegistrant`, `virtualEventSession`).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use uuid::Uuid;

/// Stands in the thread id of every simulated link, and of no real one: there a base64 text of a
/// GUID follows `meeting_`.
const MARK: &str = "meeting_rehearsal";

const HEAD: &str = "https://teams.microsoft.com/l/meetup-join/";

/// Whether this join link was made by the simulator.
pub fn is_simulated_link(link: &str) -> bool {
    // Only the thread id is looked at: what follows holds an id that somebody else chose.
    link.strip_prefix(HEAD)
        .and_then(|rest| rest.split('/').next())
        .is_some_and(|thread| thread.contains(MARK))
}

/// What a link is made of; what is serialized is its context.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Link<'a> {
    /// Stands for the meeting.
    #[serde(skip)]
    pub(super) thread: u64,
    /// 0 for the first link of this person; another number is another link.
    #[serde(skip)]
    pub(super) nonce: u32,
    #[serde(rename = "Tid")]
    pub(super) tenant: Uuid,
    #[serde(rename = "Oid")]
    pub(super) organizer: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prid: Option<&'a str>,
    #[serde(rename = "isPublic", skip_serializing_if = "Option::is_none")]
    pub(super) public: Option<bool>,
}

/// What Teams percent-encodes: everything but letters, digits and `-._~`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Link<'_> {
    /// One that names nobody.
    pub(super) fn of_everybody(thread: u64) -> String {
        format!("{HEAD}19%3a{MARK}{thread:016x}%40thread.v2/0")
    }

    pub(super) fn url(&self) -> String {
        let mut url = format!("{HEAD}19%3a{MARK}{:016x}", self.thread);
        if self.nonce > 0 {
            url.push_str(&format!("n{}", self.nonce));
        }
        url.push_str("%40thread.v2/0?context=");
        let context = serde_json::to_string(self).expect("strings, ids and flags are always JSON");
        for part in utf8_percent_encode(&context, ENCODED) {
            // Teams writes its hexadecimal digits small.
            if part.starts_with('%') {
                url.push_str(&part.to_ascii_lowercase());
            } else {
                url.push_str(part);
            }
        }
        url
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
