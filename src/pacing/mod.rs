//! Pacing: when the next request may start, and how long to wait after a failure.
//!
//! It promises: no request starts while the gate is closed, `--rate` is never exceeded in any window
//! of its unit, a throttled row may always be sent again, and some request may always start in the
//! end. Everything here is a pure state machine: time comes in as a [`Duration`](std::time::Duration)
//! since the start of the run, chance comes from a seed, and nothing sleeps, sends or stores. What
//! an answer means for its row, `graph::verdict` says; who waits and who sends is the engine's.
//!
//! A [`Pacer`] paces one bucket of the server's quota. Writes and reads are counted apart by Graph,
//! so a run holds two of them.

mod backoff;
mod buckets;
mod ceiling;
mod controller;
mod gate;
mod learnt;
mod pacer;
mod quota;
mod retry_after;

pub use backoff::Backoff;
pub use buckets::{Bucket, Buckets};
pub use learnt::{Learnt, LearntError, Limit};
pub use pacer::{Answer, Closed, PaceOptions, Pacer, Step, Ticket, View};
pub use quota::{Quota, QuotaError};
pub use retry_after::{Oddity, RetryAfter};
