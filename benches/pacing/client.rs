//! What a client under comparison looks like, and the program's own pacer as one.

use std::collections::HashMap;
use std::time::Duration;

use registrant_import::pacing::{Answer, Pacer, RetryAfter, Step, Ticket};

/// What a client does next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Do {
    /// Send one call.
    Send,
    /// Nothing before this time in seconds, unless an answer comes.
    Until(f64),
    /// Nothing before an answer.
    Wait,
}

/// A client that posts rows until all are accepted or given up.
pub(crate) trait Client {
    /// What to do now.
    fn step(&mut self, now: f64) -> Do;
    /// The call it wanted starts; `call` names it.
    fn sent(&mut self, call: u64, now: f64);
    /// Its answer: accepted, or refused with what the header says.
    fn answered(&mut self, call: u64, now: f64, refused: Option<RetryAfter>);
    /// Its answer: a 503. Whoever has no opinion of it takes it for a refusal.
    fn failed(&mut self, call: u64, now: f64, wait: RetryAfter) {
        self.answered(call, now, Some(wait));
    }
    /// Rows given up so far.
    fn lost(&self) -> u64 {
        0
    }
}

/// The real pacing code. A row whose call failed rests for its wait, as the program lets it.
pub(crate) struct Paced {
    pub(crate) pacer: Pacer,
    waiting: u64,
    resting: Vec<f64>,
    tickets: HashMap<u64, Ticket>,
}

impl Paced {
    pub(crate) fn new(pacer: Pacer, rows: u64) -> Self {
        Self { pacer, waiting: rows, resting: Vec::new(), tickets: HashMap::new() }
    }
}

impl Client for Paced {
    fn step(&mut self, now: f64) -> Do {
        let resting = self.resting.len();
        self.resting.retain(|due| *due > now);
        self.waiting += (resting - self.resting.len()) as u64;
        let due = self.resting.iter().copied().min_by(f64::total_cmp);
        if self.waiting == 0 {
            return due.map_or(Do::Wait, Do::Until);
        }
        match self.pacer.poll(Duration::from_secs_f64(now)) {
            Step::Send => Do::Send,
            // Rounded up, so that the world does not come back a nanosecond early.
            Step::Until(time) => Do::Until(time.as_secs_f64() + 1e-9),
            Step::Answer => Do::Wait,
        }
    }

    fn sent(&mut self, call: u64, now: f64) {
        self.waiting -= 1;
        self.tickets.insert(call, self.pacer.sent(Duration::from_secs_f64(now)));
    }

    fn answered(&mut self, call: u64, now: f64, refused: Option<RetryAfter>) {
        let answer = match refused {
            None => Answer::Accepted,
            Some(retry_after) => {
                self.waiting += 1;
                Answer::Throttled { retry_after }
            }
        };
        let ticket = self.tickets.remove(&call).expect("each call is answered once");
        self.pacer.answered(ticket, Duration::from_secs_f64(now), answer);
    }

    fn failed(&mut self, call: u64, now: f64, wait: RetryAfter) {
        self.resting.push(now + wait.duration().map_or(1.0, |wait| wait.as_secs_f64()));
        let ticket = self.tickets.remove(&call).expect("each call is answered once");
        self.pacer.answered(ticket, Duration::from_secs_f64(now), Answer::Failed);
    }
}
