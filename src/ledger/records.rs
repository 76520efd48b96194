//! What the ledger holds of a registrant, and what is written to it.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::LedgerError;
use crate::registrant::{
    DEFAULT_LANGUAGE, DEFAULT_TIMEZONE, EMAIL, JoinLink, PersonFingerprint, Registrant,
    RegistrantId,
};

/// The run of whoever was enrolled by other means: `already`, from the first run on.
pub(super) const BEFORE_ALL_RUNS: i64 = 0;

/// A registrant's number in the ledger: its place in the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seq(pub(super) i64);

/// Whose row holds a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkOwner {
    pub seq: Seq,
    /// The server's own id of the registration.
    pub server_id: Option<String>,
    /// Whether the target held it before this ledger ever sent it.
    pub adopted: bool,
}

impl Seq {
    /// The number of the first one.
    pub fn first() -> Self {
        Self(1)
    }

    /// This number, for tests.
    #[cfg(test)]
    pub(crate) fn at(number: i64) -> Self {
        Self(number)
    }

    /// The registrant with this number, which the ledger gave before.
    pub fn of(number: u32) -> Self {
        Self(number.into())
    }

    /// The number itself, counted from 1.
    pub fn number(self) -> u64 {
        self.0.unsigned_abs()
    }
}

/// The verdicts, as SQL, of a POST that may have been processed. One that was throttled may have been all
/// the same (Microsoft's staff on Q&A, question 5529013: a Teams call "may successfully complete the
/// operation but still return a 429 error").
macro_rules! may_be_processed {
    () => {
        "verdict IN ('done', 'unknown', 'lost', 'throttled')"
    };
}
pub(super) use may_be_processed;

/// Where a registrant stands. The numbers are the file's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Known not to be enrolled: may be posted.
    Ready = 0,
    /// The intent to POST is on record, and no answer. After the run's death: in doubt.
    Sending = 1,
    /// A POST was sent and its result was never learnt: in doubt.
    Unknown = 2,
    /// Enrolled, and the link is here.
    Enrolled = 3,
    /// The server refused it.
    Refused = 4,
    /// On the server, no link yet.
    Awaiting = 5,
    /// Was in doubt; the intent to DELETE it is on record. Still in doubt.
    Removing = 6,
    /// On the server, and this ledger never sent it.
    Foreign = 7,
    /// It was on the server, and is so no longer: cancelled, rejected or removed there. Never posted
    /// again by itself.
    Gone = 8,
}

impl State {
    /// Every state, in the file's order.
    pub const ALL: [Self; 9] = [
        Self::Ready,
        Self::Sending,
        Self::Unknown,
        Self::Enrolled,
        Self::Refused,
        Self::Awaiting,
        Self::Removing,
        Self::Foreign,
        Self::Gone,
    ];

    /// Whether the server may or may not hold this registrant.
    pub fn is_in_doubt(self) -> bool {
        matches!(self, Self::Sending | Self::Unknown | Self::Removing)
    }

    /// Whether a POST may be granted.
    pub fn may_be_posted(self) -> bool {
        matches!(self, Self::Ready | Self::Refused)
    }

    /// The state's name, for `status` and `explain`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Sending => "sending",
            Self::Unknown => "unknown",
            Self::Enrolled => "enrolled",
            Self::Refused => "refused",
            Self::Awaiting => "awaiting",
            Self::Removing => "removing",
            Self::Foreign => "foreign",
            Self::Gone => "gone",
        }
    }
}

/// The state of this number in the file.
pub(super) fn state_of(number: i64) -> Result<State, LedgerError> {
    let state = usize::try_from(number).ok().and_then(|n| State::ALL.get(n).copied());
    state.ok_or_else(|| LedgerError::Damaged(format!("state {number}")))
}

/// How a registration came to its end on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Cancelled, by the person or the organizer.
    Canceled,
    /// The organizer said no.
    Rejected,
    /// A list that must show it does not.
    Removed,
}

impl Over {
    /// The code in the rejects file.
    pub fn code(self) -> &'static str {
        match self {
            Self::Canceled => "canceled",
            Self::Rejected => "rejected-by-organizer",
            Self::Removed => "removed-on-server",
        }
    }

    /// The one with this code; whatever else it is, it is gone.
    pub fn of_code(code: Option<&str>) -> Self {
        let with_code = |over: &Self| code == Some(over.code());
        [Self::Canceled, Self::Rejected].into_iter().find(with_code).unwrap_or(Self::Removed)
    }

    /// The same in words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Canceled => {
                "its registration was cancelled in Teams, so it has no link; if the person registers there again, the next run takes that registration over"
            }
            Self::Rejected => "the organizer has rejected its registration, so it has no link",
            Self::Removed => {
                "it was enrolled, and the target's list does not show it any more: it was removed there, and its link is dead; nobody who was removed is enrolled again by itself"
            }
        }
    }
}

/// The target that a ledger belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `meeting` or `webinar`.
    pub kind: String,
    /// The target's id.
    pub name: String,
    /// The organizer, where one was named.
    pub organizer: Option<String>,
    /// The host of Graph, so that a rehearsal's books are never taken for the real ones.
    pub graph: String,
}

impl Identity {
    /// The same target in the one spelling by which it is told from others. A meeting's id counts to
    /// the letter; an event's is two GUIDs, an organizer an object id or a user principal name.
    #[must_use]
    pub fn in_one_form(&self) -> Self {
        let is_meeting = self.kind == "meeting";
        let name = if is_meeting { self.name.clone() } else { self.name.to_lowercase() };
        let organizer = self.organizer.as_ref().map(|organizer| organizer.to_lowercase());
        Self { name, organizer, ..self.clone() }
    }

    /// Whether both are one target. A meeting's id names it whoever's it is said to be: an organizer has
    /// two names.
    pub fn is_same(&self, other: &Self) -> bool {
        let unowned = |of: &Self| Self { organizer: None, ..of.in_one_form() };
        unowned(self) == unowned(other)
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)?;
        if let Some(organizer) = &self.organizer {
            write!(f, " of {organizer}")?;
        }
        write!(f, " at {}", self.graph)
    }
}

/// What is known of the target since its registrants were last listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastListing {
    /// When the first whole list was taken, in milliseconds since 1970.
    pub at: Option<i64>,
    /// The registration's id and mode at the last run.
    pub registration: Option<(Option<String>, String)>,
}

/// What the ledger holds of one registrant.
#[derive(Clone)]
pub struct Entry {
    /// Its number.
    pub seq: Seq,
    /// Where it stands.
    pub state: State,
    /// The run that brought it there.
    pub run: i64,
    /// What was sent with the id: see [`sent_digest`].
    pub sent: String,
    /// Whose it is, as far as that was told.
    pub person: PersonFingerprint,
    /// The link of an enrolled one.
    pub link: Option<JoinLink>,
    /// The server's own id of it.
    pub registrant_id: Option<String>,
    /// Why it is refused, unknown or awaiting.
    pub code: Option<String>,
    /// The same in words.
    pub reason: Option<String>,
    /// When the latest attempt was sent or settled, in milliseconds since 1970.
    pub touched_at: Option<i64>,
}

impl Entry {
    /// Whether it was taken over from the target, rather than sent.
    pub fn is_adopted(&self) -> bool {
        self.run == BEFORE_ALL_RUNS
    }
}

/// What is about to be done with a registrant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Post,
    /// DELETE one in doubt.
    Remove,
    /// Take over one that the target holds and this ledger never sent: its link is to be had.
    /// Nothing is posted.
    Adopt,
}

/// Asks for the right to send: on disk before it is granted.
#[derive(Clone)]
pub struct Intent {
    /// Whom.
    pub id: RegistrantId,
    /// What is sent with the id.
    pub sent: String,
    /// Whose it is, as far as the row tells.
    pub person: PersonFingerprint,
    /// The row's line in the input.
    pub line: u64,
    /// What for.
    pub purpose: Purpose,
    /// The attempt's `client-request-id`.
    pub client_request_id: Uuid,
    /// Now, in milliseconds since 1970.
    pub at: i64,
}

/// The answer to an [`Intent`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendPermit {
    /// It is on disk: send.
    Go(Seq),
    /// The ledger says otherwise: do not send.
    Held(State),
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// `POST` or `DELETE`; `GET` for a link that was fetched.
    pub call: &'static str,
    /// Sent as `client-request-id`.
    pub client_request_id: Uuid,
    /// The answer's `request-id`.
    pub request_id: Option<String>,
    /// When it was sent, in milliseconds since 1970.
    pub sent_at: i64,
    /// When the answer was complete, or given up.
    pub answered_at: i64,
    /// How long the row had waited for its turn, in milliseconds.
    pub waited_ms: i64,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// What it was taken for.
    pub verdict: &'static str,
    /// The server's code or the transport's words. No personal data, no link.
    pub detail: Option<String>,
}

/// Where an attempt leaves its registrant.
#[derive(Clone, PartialEq, Eq)]
pub enum NextState {
    /// Not processed, or removed: may be posted.
    Ready,
    /// In doubt.
    Unknown {
        /// A code from the documented list.
        code: String,
        /// The same in words.
        reason: String,
    },
    Enrolled {
        link: JoinLink,
        /// The server's own id.
        registrant_id: Option<String>,
        /// Not by this ledger: it was there before.
        adopted: bool,
    },
    /// On the server, and no link yet.
    Awaiting {
        /// A code from the documented list.
        code: String,
        /// The same in words.
        reason: String,
        /// The server's own id, where it is known.
        registrant_id: Option<String>,
        /// Not by this ledger: it was there before.
        adopted: bool,
    },
    Refused {
        /// Graph's code, or one from the documented list.
        code: String,
        /// The same in words.
        reason: String,
    },
    /// On the server, though this ledger never had a POST of it in doubt.
    Foreign,
    /// On the server no longer: its registration has come to its end there.
    Gone(Over),
}

/// An outcome to be made durable.
#[derive(Clone)]
pub struct Transition {
    /// Whose.
    pub seq: Seq,
    /// The attempt; `None` where an intent was withdrawn before anything was sent.
    pub attempt: Option<Attempt>,
    /// Where it leaves the registrant.
    pub becomes: NextState,
    /// Now, in milliseconds since 1970.
    pub at: i64,
}

/// A digest of the fields that are sent beside the id: `name=hex;…`, 64 bits of SHA-256 each.
///
/// The ledger can tell which field has changed since a person was enrolled, without keeping the
/// person's data.
pub fn sent_digest(registrant: &Registrant) -> String {
    let mut text = String::new();
    for (name, value) in registrant.sent_fields() {
        if !text.is_empty() {
            text.push(';');
        }
        text.extend(name.chars().map(|c| if matches!(c, ';' | '=') { '_' } else { c }));
        text.push('=');
        text.push_str(&short_digest(value.as_bytes()));
    }
    text
}

/// The first 64 bits of the SHA-256 of `bytes`, in hexadecimal.
pub fn short_digest(bytes: &[u8]) -> String {
    format!("{:016x}", digest(bytes))
}

/// The first 64 bits of the SHA-256 of `bytes`.
pub fn digest(bytes: &[u8]) -> u64 {
    first_bits(Sha256::new_with_prefix(bytes))
}

pub(super) fn first_bits(hash: Sha256) -> u64 {
    let digest = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

/// The names of the fields in which two digests differ.
pub fn changed_fields(before: &str, now: &str) -> Vec<String> {
    if before == now {
        return Vec::new();
    }
    let split = |text: &str| {
        let fields = text.split(';').filter_map(|part| part.rsplit_once('='));
        fields
            .map(|(name, digest)| (name.to_owned(), digest.to_owned()))
            .collect::<BTreeMap<_, _>>()
    };
    let (mut before, now) = (split(before), split(now));
    // The programs that made ledgers of versions 1 and 2 did not write down what is sent by default.
    if before.contains_key(EMAIL) {
        for (name, default) in
            [("preferredLanguage", DEFAULT_LANGUAGE), ("preferredTimezone", DEFAULT_TIMEZONE)]
        {
            let digest = || short_digest(default.as_bytes());
            before.entry(name.to_owned()).or_insert_with(digest);
        }
    }
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    names.into_iter().filter(|&name| before.get(name) != now.get(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registrant::{Fields, Mode, Rule};

    #[test]
    fn the_digest_tells_which_field_changed_and_nothing_else() {
        let with = |user: &str| {
            let fields = Fields {
                id: Some("a"),
                tenant_id: Some("909c6581-5130-43e9-88f3-fcb3582cde37"),
                user_id: Some(user),
                ..Fields::default()
            };
            let registrant = Registrant::parse(&fields, &Rule::Meeting(Mode::Organization));
            sent_digest(&registrant.expect("valid"))
        };
        let (one, same, other) = (
            with("cc515404-b55c-466e-b896-992c918ecc01"),
            with("CC515404B55C466EB896992C918ECC01"),
            with("cc515404-b55c-466e-b896-992c918ecc02"),
        );
        assert_eq!(one, same);
        assert_eq!(changed_fields(&one, &other), ["userId"]);
        assert_eq!(changed_fields(&one, ""), ["tenantId", "userId"]);
        assert!(changed_fields(&one, &one).is_empty());
        assert!(!one.contains("cc515404"));
    }

    #[test]
    fn what_an_earlier_program_did_not_write_down_is_the_default_that_it_sent() {
        let with = |timezone: Option<&str>| {
            let fields = Fields {
                id: Some("a"),
                first_name: Some("Ada"),
                last_name: Some("Byron"),
                email: Some("Ada@X.org"),
                preferred_timezone: timezone,
                ..Fields::default()
            };
            sent_digest(&Registrant::parse(&fields, &Rule::event()).expect("valid"))
        };
        let digest = |text: &str| short_digest(text.as_bytes());
        let (ada, byron) = (digest("Ada"), digest("Byron"));
        let before = |email| format!("firstName={ada};lastName={byron};email={}", digest(email));
        assert_eq!(with(None), with(Some("UTC")));
        assert!(changed_fields(&before("ada@x.org"), &with(None)).is_empty());
        assert_eq!(changed_fields(&before("ada@x.org"), &with(Some("GMT"))), ["preferredTimezone"]);
        assert_eq!(changed_fields(&before("Ada@X.org"), &with(None)), ["email"]);
    }

    #[test]
    fn a_states_number_in_the_file_never_changes() {
        for (number, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, number);
            assert_eq!(state_of(i64::try_from(number).expect("small")).ok(), Some(state));
        }
        assert!(state_of(9).is_err());
        assert!(state_of(-1).is_err());
    }

    #[test]
    fn nothing_in_doubt_may_be_posted() {
        for state in State::ALL {
            assert!(!(state.is_in_doubt() && state.may_be_posted()), "{state:?}");
        }
    }
}
