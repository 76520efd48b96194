//! The wall clock, for what others stamp with it: a token's end and an assertion's beginning.
//!
//! Everything else in this room is timed by tokio's clock, which tests can move.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970, UTC.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// How long it is until `end`, in seconds since 1970; nothing when it is past.
pub(crate) fn until(end: u64) -> Duration {
    Duration::from_secs(end.saturating_sub(now()))
}
