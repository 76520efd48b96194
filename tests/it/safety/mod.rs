//! Sign-in and safety at the level of the program: what it says, where it sends, what it survives.
//!
//! Every test runs the binary as a user would, against the simulator or a server of its own on
//! loopback. `docs/security.md` names these tests beside the promises that they hold.

mod canary;
mod files;
mod outputs;
mod tokens;
mod transport;
mod webinar;

pub(crate) const MEETING: &str = "MSpkYzE3";
