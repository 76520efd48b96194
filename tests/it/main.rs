//! The program as a person or a scheduler meets it: a command line, files, an exit code.
//!
//! Each test runs the built program in a folder of its own, against a simulator in this process,
//! and looks at what a user would look at. One [`context`] serves all of them.
//!
//! A test stands where its subject does: a command in the file of its name (`doctor` in [`doctor`],
//! `status`, `explain` and `export` in [`ledger`]), what others do between two runs in [`between`], a webinar in [`webinar`], what must not leak or be
//! overwritten in [`safety`], what an operator is told in [`operator`] (terminal, signals, report,
//! metrics, schedulers), what a file may hold in [`corpus`], what is on the wire in [`wire`]. Two
//! folders test a part of the library from outside, because a command line would not reach it:
//! signing in ([`auth`]) and the simulated Graph ([`simulator`]).
//!
//! `cargo test` runs everything but a few tests that take long, which say so where they are ignored.

mod auth;
mod between;
mod cancel;
mod check;
mod columns;
mod commands;
mod context;
mod corpus;
mod doctor;
mod fetched;
mod files;
mod import;
mod kept;
mod ledger;
mod never_twice;
mod old_ledgers;
mod openapi;
mod operator;
mod partition;
mod people;
mod program;
mod reading;
mod readme;
mod recorder;
mod registration;
mod rerun;
mod safety;
mod samples;
mod servers;
mod settings;
mod shared_pace;
mod sheets;
mod simulator;
mod strangers;
mod tls;
mod volume;
mod webinar;

/// The same tests, run for a town hall: whatever names a webinar there names a town hall here.
#[expect(clippy::duplicate_mod, reason = "one story of two kinds of event")]
#[path = "webinar/mod.rs"]
mod townhall;
mod wire;
mod wrong_input;
