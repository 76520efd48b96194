//! Pacing in virtual time: models of throttling servers, a world that carries requests to them, the
//! clients under comparison, and the groups of cells. The bench prints everything; a test asserts a
//! small part with the same code.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts of calls and seconds, all small"
)]

pub(crate) mod cell;
pub(crate) mod client;
pub(crate) mod groups;
pub(crate) mod rivals;
pub(crate) mod server;
pub(crate) mod world;
