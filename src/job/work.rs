//! A row on its way through Graph, and how that can end.

use super::remote::RemoteMatch;
use crate::{
    ledger::{Seq, State},
    registrant::{PersonFingerprint, Registrant},
};

/// A row on its way to Graph.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone)]
pub struct Work {
    /// Whom to enrol.
    pub registrant: Registrant,
    /// Its number in the ledger, once it has one.
    pub seq: Option<Seq>,
    /// What is sent with the id, as the ledger keeps it.
    pub sent: String,
    /// Whose the row is, as far as it tells.
    pub person: PersonFingerprint,
    /// The row's line in the input.
    pub line: u64,
    /// Whether a meeting holds it from an attempt whose answer was lost: DELETE first.
    pub remove_first: bool,
    /// Whether it was posted in this run.
    pub posted: bool,
    /// Whether its result was ever lost, in this run or an earlier one: then the server may hold it
    /// by our own doing.
    pub doubted: bool,
    /// How often its result was lost, or its DELETE failed, in this run.
    pub lost: u32,
    /// How often it was looked for in vain, in this run, after the target had accepted it.
    pub missed: u32,
    /// Whether the target held it before this ledger ever sent it.
    pub adopted: bool,
    /// The server's own id of its registration, where a list has told it.
    pub server_id: Option<String>,
}

impl Work {
    /// A row that nothing is known of yet.
    #[must_use]
    pub fn new(registrant: Registrant, sent: String, person: PersonFingerprint, line: u64) -> Self {
        Self {
            registrant,
            seq: None,
            sent,
            person,
            line,
            remove_first: false,
            posted: false,
            doubted: false,
            lost: 0,
            missed: 0,
            adopted: false,
            server_id: None,
        }
    }
}

/// How a row's life at Graph ended, for now.
pub enum RowEnd {
    /// Enrolled; the link is on disk.
    Enrolled,
    /// The server refused it.
    Refused {
        /// Graph's code.
        code: String,
        /// Graph's message.
        message: String,
    },
    /// A POST or DELETE whose result was never learnt.
    InDoubt,
    /// A webinar has it, and its link is to be had: of this registration, where it is known.
    Accepted(Option<Box<RemoteMatch>>),
    /// A webinar has it, and there is no link before its organizer acts.
    Awaiting,
    /// A webinar has it, and it holds no place there: cancelled, rejected, or somebody else's.
    TurnedAway,
    /// The ledger held it: somebody in this run, or its own story, stands against it.
    Held(State),
    /// The run was stopped before it was sent.
    NotAttempted,
}
