//! The program as a person or a scheduler meets it: a command line, files, an exit code.
//!
//! Each test runs the built program in a folder of its own, against a simulator in this process,
//! and looks at what a user would look at.

mod auth;
mod check;
mod columns;
mod commands;
mod context;
mod corpus;
mod doctor;
mod files;
mod import;
mod kept;
mod ledger;
mod openapi;
mod operator;
mod partition;
mod people;
mod reading;
mod readme;
mod recorder;
mod registration;
mod rerun;
mod safety;
mod samples;
mod settings;
mod simulator;
mod strangers;
mod tls;
mod volume;
mod webinar;
mod wire;
mod wrong_input;
