//! The domain: who is to be enrolled, and the rule a row must satisfy first.
//!
//! Parse, don't validate: a value of these types is already right. A [`Registrant`] can only be
//! made by [`Registrant::parse`], which checks a row's cells against the target's [`Rule`] and
//! reports every fault, not only the first. This module knows nothing of CSV, of HTTP or of files.

mod answer;
mod fault;
mod field;
mod fingerprint;
mod form;
mod id;
mod link;
mod rule;

pub use answer::{Answer, AnswerValue};
pub use fault::{Fault, FaultCode};
pub(crate) use field::normal;
pub use field::{Field, Fields, UnknownField};
pub use fingerprint::{FingerprintKey, Fingerprinter, Likeness, PersonFingerprint};
pub use form::{AnswerInput, Form, FormFault, Question};
pub use id::{RegistrantId, is_error_value};
pub use link::{BadLink, JoinLink};
pub use rule::{
    Attendee, DEFAULT_LANGUAGE, DEFAULT_TIMEZONE, Details, EMAIL, EventKind, MAX_REGISTRATION_ID,
    Mode, Registrant, Rule, UnknownMode,
};
