//! What a target needs, held against what a token says it may do. Pure.
//!
//! Source: the permission tables of Microsoft Graph's reference for externalMeetingRegistrant and
//! virtualEventRegistration. For meetings the tables of 2024 list no application permission any
//! more, while the same pages still explain application access; the older name is asked for.

use crate::{
    auth::{Claims, Speaker},
    graph::target::Api,
};

/// Permissions of which any one is enough.
type OneOf = &'static [&'static str];

const MEETING_PERSON: &[OneOf] = &[&["OnlineMeetings.ReadWrite"]];
const MEETING_APPLICATION: &[OneOf] = &[&["OnlineMeetings.ReadWrite.All"]];
const WEBINAR_PERSON: &[OneOf] = &[&["VirtualEvent.ReadWrite"]];
const WEBINAR_APPLICATION: &[OneOf] = &[
    &["VirtualEventRegistration-Anon.ReadWrite.All"],
    &["VirtualEvent.Read.All", "VirtualEvent.ReadWrite.All"],
];

/// What the token says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Granted {
    /// All that is needed: these.
    Enough(Vec<&'static str>),
    /// These are lacking.
    Lacking(Vec<&'static str>),
    /// Whether it is a person's or an application's cannot be seen.
    Unknown,
}

/// Judges the token by its own claims.
pub(super) fn judge(api: Api, claims: &Claims) -> Granted {
    let (needs, granted) = match (api, claims.speaker) {
        (_, Speaker::Unknown) => return Granted::Unknown,
        (Api::Webinar, Speaker::Person) => (WEBINAR_PERSON, &claims.scopes),
        (Api::Webinar, Speaker::Application) => (WEBINAR_APPLICATION, &claims.roles),
        (Api::Meeting, Speaker::Person) => (MEETING_PERSON, &claims.scopes),
        (Api::Meeting, Speaker::Application) => (MEETING_APPLICATION, &claims.roles),
    };
    let has = |name: &&&'static str| granted.iter().any(|it| it.eq_ignore_ascii_case(name));
    let (mut found, mut lacking) = (Vec::new(), Vec::new());
    for one_of in needs {
        match one_of.iter().find(has) {
            Some(name) => found.push(*name),
            None => lacking.push(one_of[0]),
        }
    }
    if lacking.is_empty() { Granted::Enough(found) } else { Granted::Lacking(lacking) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(speaker: Speaker, granted: &[&str]) -> Claims {
        let granted: Vec<String> = granted.iter().map(|&name| name.to_owned()).collect();
        Claims {
            speaker,
            roles: granted.clone(),
            scopes: granted,
            tenant: None,
            application: None,
            object: None,
            audience: None,
            expires: None,
        }
    }

    #[test]
    fn each_target_and_speaker_has_needs_of_its_own() {
        use Granted::{Enough, Lacking};
        use Speaker::{Application, Person};
        for (api, speaker, granted, expected) in [
            (Api::Meeting, Person, &["User.Read"][..], Lacking(vec!["OnlineMeetings.ReadWrite"])),
            (
                Api::Meeting,
                Person,
                &["onlinemeetings.readwrite"],
                Enough(vec!["OnlineMeetings.ReadWrite"]),
            ),
            (
                Api::Meeting,
                Application,
                &["OnlineMeetings.ReadWrite"],
                Lacking(vec!["OnlineMeetings.ReadWrite.All"]),
            ),
            (
                Api::Webinar,
                Application,
                &["VirtualEventRegistration-Anon.ReadWrite.All"],
                Lacking(vec!["VirtualEvent.Read.All"]),
            ),
            (
                Api::Webinar,
                Application,
                &["VirtualEventRegistration-Anon.ReadWrite.All", "VirtualEvent.Read.All"],
                Enough(vec![
                    "VirtualEventRegistration-Anon.ReadWrite.All",
                    "VirtualEvent.Read.All",
                ]),
            ),
        ] {
            assert_eq!(judge(api, &claims(speaker, granted)), expected, "{api:?} {speaker:?}");
        }
        assert_eq!(judge(Api::Meeting, &claims(Speaker::Unknown, &[])), Granted::Unknown);
    }
}
