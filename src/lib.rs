//! `registrant-import` enrols the people of a CSV export in a Microsoft Teams meeting, webinar or town
//! hall:
//! each exactly once, each with a join link of their own.
//!
//! The journey of a row: [`cli`] resolves what was asked for into one settings value; [`input::open`] reads
//! the export and keeps a copy of it; [`job::import`] tells the story of a run: the target's rule, the
//! target's list, the [`job::plan`] (one decision for each row, made by [`job::decision`]), and the
//! [`job::engine`], which leads every row that the plan calls for through Graph
//! ([`job::client::GraphClient`]) and writes down in the [`ledger`] what became of it. The [`output`]
//! files are written from plan and ledger.
//!
//! The rows are read to plan, to send, and to write the files. Decisions are pure (`registrant`'s rule,
//! `job::decision`, `job::reconcile`, `pacing`); `job::engine` alone acts on them.

/// The target of log events and spans that name a registrant by id: off unless `--log-ids` is given.
/// It lies below the program's own target, so that its level follows.
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
