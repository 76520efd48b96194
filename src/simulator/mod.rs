//! Graph's double: the registration of meetings and of webinars as Microsoft documents it, with
//! limits, faults and a token endpoint, for tests, benches, `simulate` and `rehearse`.
//!
//! [`Simulator`] is a core without sockets and clocks: a call and the time go in, an answer (or
//! what becomes of it instead) and its delay come out, and the seed decides whatever chance
//! decides. Two thin shells carry it: [`Direct`] into the client of the same process, in tokio's
//! time, and [`Served`] to a loopback port. The fault of a POST is drawn from the seed, the id and
//! the number of the attempt, that of any other call from the seed and its number among its kind,
//! so the same calls meet the same faults whatever falls between them. The simulator knows nothing
//! of the client that it tests: its wire types are its own, so that an error in one is not an
//! error in both.

mod answer;
mod args;
mod chance;
mod config;
mod core;
mod direct;
mod event;
mod fault;
mod form;
mod limit;
mod link;
mod meeting;
mod oauth;
mod register;
mod request;
mod server;
mod state;
mod stats;

pub use self::core::Simulator;
pub use answer::{Delivery, HttpAnswer, Reply};
pub use args::SimulatorArgs;
pub use config::{
    AfterCancel, ApiRefusal, CallLatency, Caller, CancelAnswer, Config, DateForm, EventCall,
    EventConfig, EventPrid, EventQuestion, EventStatus, QuestionKind, RegistrationState,
    RetryAfterForm, SecondPost, ServedApi, TokenConfig, TokenRule,
};
pub use direct::Direct;
pub use fault::{CallKind, FaultRate, Faults, Outage, SimulatedFault};
pub use limit::{LimitShape, RateLimit, ThrottledCalls};
pub use link::is_simulated_link;
pub use request::HttpCall;
pub use server::{Served, Tls};
pub use stats::{Books, EnrolledPerson, RegistrationStatus, Stats};
