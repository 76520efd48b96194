//! `registrant-import` enrols the people of a CSV export in a Microsoft Teams meeting or webinar:
//! each exactly once, each with a join link of their own.
//!
//! A row walks down this list of rooms once, from CSV to file, and never turns back. Decisions are
//! pure (`registrant`'s rule, `job::plan`, `pacing`); `job::engine` alone acts on them.

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
