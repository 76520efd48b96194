//! Graph's double: the registration of meetings and of webinars as Microsoft documents it, with
//! limits, faults and a token endpoint, for tests, benches, `simulate` and `rehearse`.
//!
//! [`Simulator`] is a core without sockets and clocks: a call and the time go in, an answer (or
//! what becomes of it instead) and its delay come out, and the seed decides whatever chance
//! decides. Two thin shells carry it: [`Direct`] into the client of the same process, in tokio's
//! time, and [`serve`] to a loopback port. The fault of a POST is drawn from the seed, the id and
//! the number of the attempt, that of any other call from the seed and its number among its kind,
//! so the same calls meet the same faults whatever falls between them. The simulator knows nothing
//! of the client that it tests: its wire types are its own, so that an error in one is not an
//! error in both.

mod args;
mod assertion;
mod base64url;
mod call;
mod chance;
mod clock;
mod config;
mod core;
mod direct;
mod entry;
mod event;
mod fate;
mod fault;
mod form;
mod limit;
mod link;
mod meeting;
mod notation;
mod oauth;
mod page;
mod posted;
mod problem;
mod register;
mod route;
mod server;
mod socket;
mod state;
mod stats;
mod tls;
mod token;
mod webinar;

pub use self::core::{Simulator, Visit};
pub use args::SimulatorArgs;
pub use call::{Answer, Call, Fate, Reply};
pub use config::{
    AssertionSignature, Caller, Config, DateForm, DeviceCodes, Kind, Latency, Question,
    QuestionKind, Refusal, RegistrationState, RetryAfterForm, SecondPost, TokenRule, Tokens,
    WebinarConfig, WebinarPrid, WebinarStatus,
};
pub use direct::Direct;
pub use fault::{BadFault, Fault, FaultRate, Faults, Outage, Scope, Scripted};
pub use limit::{Limit, Limiter, Quota, Shape, ThrottledCalls};
pub use link::is_simulated_link;
pub use server::{Served, serve};
pub use stats::{Books, Enrolment, Stats};
pub use tls::Tls;
pub use webinar::RegistrationStatus;
