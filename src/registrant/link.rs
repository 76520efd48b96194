//! The join link: personal, so masked wherever it might be printed, and accepted only when it can
//! be shown to be the right person's.
//!
//! Anatomy, from the examples of Microsoft Graph's reference ("Create externalMeetingRegistrant"):
//! `https://teams.microsoft.com/l/meetup-join/{thread}/0?context={"Tid":…,"Oid":…,"prid":…,"isPublic":…}`
//! with the JSON percent-encoded. `prid` is the id that was posted; the answer's own `id`, `userId`
//! and `tenantId` are not to be relied on (in those examples they differ from the request's).

use std::{borrow::Cow, fmt};

use serde::Deserialize;
use url::Url;

use super::RegistrantId;

/// A link that lets its holder in. `Debug` and `Display` are masked; [`JoinLink::expose`] is the
/// one way to the text.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinLink(Box<str>);

/// Why a text is not the join link of the person that was posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLink {
    /// There is none: the member is absent, null or empty.
    #[error("the answer holds no join link")]
    Missing,
    /// It is no `https` link, or its `context` is not the JSON that it should be.
    #[error("the answer's join link cannot be read")]
    Unreadable,
    /// It has a name or a password before the host, or characters that hide what it reads.
    #[error("the answer's join link hides where it leads")]
    Deceptive,
    /// Its `prid` names somebody else.
    #[error("the answer's join link belongs to another registrant")]
    OtherPerson,
}

impl BadLink {
    /// The code of the row.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing | Self::Unreadable => "no-link",
            Self::Deceptive | Self::OtherPerson => "wrong-link",
        }
    }
}

/// Hosts of Teams' links, and of their sub-domains. Sources: Microsoft 365 URLs and IP address
/// ranges (Teams), and the examples of Microsoft Graph's reference.
const TEAMS_HOSTS: [&str; 5] = [
    "teams.microsoft.com",
    "teams.cloud.microsoft",
    "teams.live.com",
    "teams.microsoft.us",
    "teams.microsoftonline.cn",
];

/// The members of a link's `context` that are checked.
#[derive(Deserialize)]
struct LinkContext<'a> {
    #[serde(borrow, default)]
    prid: Option<Cow<'a, str>>,
}

impl JoinLink {
    /// Accepts `text` as the link of the person who was posted as `id`.
    ///
    /// # Errors
    /// [`BadLink`] when there is no link, when it does not parse, or when its `context` carries a
    /// `prid` other than `id`. A link without a `context`, or whose `context` has no `prid`, is
    /// accepted.
    pub fn of(text: Option<&str>, id: &RegistrantId) -> Result<Self, BadLink> {
        let text = text.map(str::trim).filter(|t| !t.is_empty()).ok_or(BadLink::Missing)?;
        let url = Url::parse(text).map_err(|_| BadLink::Unreadable)?;
        if text.contains(hides) || !url.username().is_empty() || url.password().is_some() {
            return Err(BadLink::Deceptive);
        }
        if url.scheme() != "https" || !url.has_host() {
            return Err(BadLink::Unreadable);
        }
        if let Some((_, context)) = url.query_pairs().find(|(name, _)| name == "context") {
            check(&context, id)?;
        }
        Ok(Self(text.into()))
    }

    /// Whether its `context` has a `prid`: then it is this person's and nobody else's.
    pub fn names_its_person(&self) -> bool {
        let Ok(url) = Url::parse(&self.0) else { return false };
        let context = url.query_pairs().find(|(name, _)| name == "context");
        context.is_some_and(|(_, context)| {
            serde_json::from_str::<LinkContext<'_>>(&context)
                .is_ok_and(|context| context.prid.is_some_and(|prid| !prid.is_empty()))
        })
    }

    /// Its host, where it is none of Teams'.
    pub fn unknown_host(&self) -> Option<String> {
        let url = Url::parse(&self.0).ok()?;
        let host = url.host_str()?;
        let known = TEAMS_HOSTS.iter().any(|known| {
            host.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
        (!known).then(|| host.to_owned())
    }

    /// A link that was accepted before, read back from the ledger.
    pub fn trusted(text: &str) -> Self {
        Self(text.into())
    }

    /// The link itself, for the enrolled file and the ledger only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Control characters, and those that turn the direction of writing (Unicode, UAX #9, table 4).
fn hides(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

/// Compares a link's decoded context with the id that was posted.
fn check(context: &str, id: &RegistrantId) -> Result<(), BadLink> {
    let context: LinkContext<'_> =
        serde_json::from_str(context).map_err(|_| BadLink::Unreadable)?;
    match context.prid {
        Some(prid) if prid != id.as_str() => Err(BadLink::OtherPerson),
        _ => Ok(()),
    }
}

impl fmt::Debug for JoinLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinLink(…)")
    }
}

impl fmt::Display for JoinLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(a join link)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The link of the reference's first example, shortened in the thread's name alone.
    const EXAMPLE: &str = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_Njli%40thread.v2/0?context=%7b%22Tid%22%3a%22909c6581-5130-43e9-88f3-fcb3582cde37%22%2c%22Oid%22%3a%2216664f75-11dc-4870-bec6-38c1aaa81431%22%2c%22prid%22%3a%229d96988d-a66a-46ce-aad7-0b245615b297%22%2c%22isPublic%22%3atrue%7d";

    fn id(text: &str) -> RegistrantId {
        RegistrantId::parse(text).expect("an id")
    }

    fn with_context(json: &str) -> String {
        let mut url = Url::parse("https://teams.microsoft.com/l/meetup-join/t/0").expect("a url");
        url.query_pairs_mut().append_pair("context", json);
        url.into()
    }

    #[test]
    fn the_posted_id_is_what_counts() {
        let posted = id("9d96988d-a66a-46ce-aad7-0b245615b297");
        assert_eq!(JoinLink::of(Some(EXAMPLE), &posted).expect("its own").expose(), EXAMPLE);
        let other = id("30494ab7-7338-4592-bfec-a4333be2a0a6");
        assert_eq!(JoinLink::of(Some(EXAMPLE), &other), Err(BadLink::OtherPerson));
    }

    #[test]
    fn prid_is_compared_after_both_escapes_and_without_folding() {
        let odd = id(r#"a "b"\ü/+ %20&="#);
        let json = serde_json::json!({ "prid": odd.as_str() }).to_string();
        assert!(JoinLink::of(Some(&with_context(&json)), &odd).is_ok());
        assert_eq!(
            JoinLink::of(Some(&with_context(r#"{"prid":"ABC"}"#)), &id("abc")),
            Err(BadLink::OtherPerson)
        );
    }

    #[test]
    fn a_link_without_prid_is_accepted_and_one_that_does_not_parse_is_not() {
        let a = id("a");
        for good in [
            "https://teams.microsoft.com/l/meetup-join/t/0".to_owned(),
            with_context(r#"{"Tid":"t","Oid":"o"}"#),
            with_context(r#"{"prid":null}"#),
        ] {
            assert!(JoinLink::of(Some(&good), &a).is_ok(), "{good}");
        }
        for (bad, why) in [
            (None, BadLink::Missing),
            (Some(String::new()), BadLink::Missing),
            (Some("  ".to_owned()), BadLink::Missing),
            (Some("null".to_owned()), BadLink::Unreadable),
            (Some("http://teams.microsoft.com/l".to_owned()), BadLink::Unreadable),
            (Some("https://".to_owned()), BadLink::Unreadable),
            (Some("https://teams.microsoft.com@evil.example/".to_owned()), BadLink::Deceptive),
            (Some("https://u:p@teams.microsoft.com/".to_owned()), BadLink::Deceptive),
            (Some("https://teams.microsoft.com/\u{202e}moc".to_owned()), BadLink::Deceptive),
            (Some("https://teams.microsoft.com/a\u{7}b".to_owned()), BadLink::Deceptive),
            (Some(EXAMPLE[..EXAMPLE.len() - 3].to_owned()), BadLink::Unreadable),
            (Some(with_context("{\"prid\":1}")), BadLink::Unreadable),
        ] {
            assert_eq!(JoinLink::of(bad.as_deref(), &a), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn a_host_that_is_not_teams_own_is_told() {
        let host = |text: &str| JoinLink::trusted(text).unknown_host();
        for known in [EXAMPLE, "https://events.teams.microsoft.com/e", "https://teams.live.com/m"] {
            assert_eq!(host(known), None, "{known}");
        }
        assert_eq!(host("https://notteams.live.com/").as_deref(), Some("notteams.live.com"));
        assert_eq!(host("https://join.example/").as_deref(), Some("join.example"));
    }

    #[test]
    fn a_link_never_prints_itself() {
        let link = JoinLink::trusted(EXAMPLE);
        assert!(!format!("{link} {link:?}").contains("teams"));
    }
}
