//! The start: concurrency grows with successes, not with time.

/// How many may be in flight after `accepted` successes of a job of `rows`.
///
/// One refusal burst then costs about 1 % of the rows or less whatever the server's speed, a
/// hundred rows begin one by one, and a server without a limit never leaves the ramp.
pub(super) fn in_flight(rows: f64, accepted: f64) -> f64 {
    let growth = (rows / 800.0).clamp(0.125, 1.0);
    let start = (rows / 250.0).clamp(1.0, 8.0);
    let top = (rows / 100.0).max(4.0) + accepted / 10.0;
    (start + growth * accepted).min(top).round()
}
