//! `registrant-import` enrols the people of a CSV export in a Microsoft Teams meeting or webinar:
//! each exactly once, each with a join link of their own.
//!
//! A row walks down this list of rooms once, from CSV to file, and never turns back. Decisions are
//! pure (`registrant`'s rule, `job::plan`, `pacing`); `job::engine` alone acts on them.

/// The target of log events and spans that name a registrant by id: off unless `--log-ids` is given
/// (contract, section 9). It lies below the program's own target, so that its level follows.
const LOG_IDS: &str = "registrant_import::ids";

mod parse;
mod private;

pub mod registrant;

pub mod input;

pub mod graph;

pub mod auth;

pub mod pacing;

pub mod ledger;

pub mod job;

pub mod output;

pub mod simulator;

pub mod cli;
