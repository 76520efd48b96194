//! The pacer: gate, ceiling, failures and controller behind one small interface.

use std::time::Duration;

use super::backoff::{Backoff, RetryBudget};
use super::ceiling::Ceiling;
use super::controller::{Controller, Event};
use super::gate::Gate;
use super::learnt::{Learnt, Limit};
use super::quota::Quota;
use super::retry_after::RetryAfter;

/// What a pacer starts from.
#[derive(Clone, Debug)]
pub struct PaceOptions {
    /// Rows of this job that need a request.
    pub rows: u64,
    /// The user's ceiling, or a published limit.
    pub ceiling: Option<Quota>,
    /// The most requests in flight (64 by default).
    pub concurrency: usize,
    /// What an earlier run learnt, aged ([`Learnt::aged`]).
    pub learnt: Option<Learnt>,
    /// Seed of the jitter.
    pub seed: u64,
}

impl Default for PaceOptions {
    fn default() -> Self {
        Self { rows: 0, ceiling: None, concurrency: 64, learnt: None, seed: 0 }
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send a request now, and say so with [`Pacer::sent`].
    Send,
    /// Nothing may start before this time (since the start of the run); then poll again. An answer
    /// may come earlier and change it, so poll after each answer too.
    Until(Duration),
    /// Nothing may start before an answer has come. Only returned while something is in flight.
    Answer,
}

/// One request in flight. It is given back with its answer, once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an unanswered ticket stays in flight for ever"]
pub struct Ticket {
    seq: u64,
    sent: Duration,
}

/// What became of a request, as far as pacing is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 2xx.
    Accepted,
    /// Refused by the limit (429, 509). The row goes again, as often as it takes.
    Throttled {
        /// The wait that the server names.
        retry_after: RetryAfter,
    },
    /// 5xx, no connection, no complete answer. It counts against the retry budget and teaches
    /// nothing about the limit.
    Failed,
    /// Any other answer: quota was used, the row is decided.
    Other,
}

/// What a progress display shows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct View {
    /// Rows per second that the run keeps up now; `None` before anything is known.
    pub per_second: Option<f64>,
    /// The gate, while it is closed.
    pub closed: Option<Closed>,
    /// Requests in flight.
    pub in_flight: usize,
    /// Calls refused by the server's limit so far.
    pub throttled: u64,
    /// Estimated time for the rows left; `None` before a rate is known.
    pub left: Option<Duration>,
    /// The gate of the reads, while it is closed: nothing is looked up before it opens.
    pub reads: Option<Closed>,
    /// Reads that were announced and are not answered yet: rows whose place or link is to be looked up.
    pub to_look_up: u64,
    /// Requests that failed and go again by themselves while others go on, and when the first does.
    pub resting: Option<(usize, Duration)>,
}

/// A closed gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// When it opens, since the start of the run.
    pub until: Duration,
    /// Whether the server asked for it; otherwise it is our own backoff.
    pub by_server: bool,
}

/// Paces one bucket of the server's quota.
pub struct Pacer {
    concurrency: usize,
    rows: u64,
    done: u64,
    seq: u64,
    in_flight: usize,
    /// Whether any answer but a failure has come: until then one request goes at a time.
    answered: bool,
    gate: Gate,
    ceiling: Option<Ceiling>,
    controller: Controller,
    event: Option<Event>,
    /// The last opening that the controller was told of.
    opened: Duration,
    backoff: Backoff,
    budget: RetryBudget,
    /// What an earlier run knew of the limit.
    known: Option<Limit>,
    /// Set while the server is failing: the start of the last own backoff.
    failing: Option<Duration>,
}

impl Pacer {
    /// A pacer at the start of a run.
    #[expect(clippy::needless_pass_by_value, reason = "settings are for one pacer")]
    pub fn new(settings: PaceOptions) -> Self {
        let PaceOptions { rows, ceiling, concurrency, learnt, seed } = settings;
        let known = learnt.and_then(|learnt| learnt.limit);
        Self {
            concurrency: concurrency.max(1),
            rows,
            done: 0,
            seq: 0,
            in_flight: 0,
            answered: false,
            gate: Gate::new(seed),
            ceiling: ceiling.map(Ceiling::new),
            controller: Controller::new(rows, known),
            event: None,
            opened: Duration::ZERO,
            backoff: Backoff::new(seed.wrapping_add(1)),
            budget: RetryBudget::new(),
            known,
            failing: None,
        }
    }

    /// Sends of earlier runs, as their age at the start of this one, so that the ceiling holds
    /// across a restart.
    pub fn with_recent(mut self, ages: Vec<Duration>) -> Self {
        if let Some(ceiling) = &mut self.ceiling {
            ceiling.with_recent(ages);
        }
        self
    }

    /// Counts what `earlier`, which paced this run until now, has sent.
    pub fn after(mut self, earlier: &Self) -> Self {
        if let (Some(ceiling), Some(earlier)) = (&mut self.ceiling, &earlier.ceiling) {
            ceiling.after(earlier);
        }
        self
    }

    /// What to do now. Polling commits to nothing.
    pub fn poll(&mut self, now: Duration) -> Step {
        if let Some(until) = self.gate.closed(now) {
            return Step::Until(until);
        }
        self.settle(now);
        let (time, in_flight) = self.controller.allow();
        let alone = !self.answered || self.failing.is_some();
        #[expect(clippy::cast_precision_loss, reason = "at most the concurrency cap")]
        let full = self.in_flight as f64 >= in_flight.max(1.0);
        if self.in_flight > 0 && (alone || full || self.in_flight >= self.concurrency) {
            return Step::Answer;
        }
        let paced = to_duration(time);
        let free = match &mut self.ceiling {
            Some(ceiling) if paced <= now => ceiling.free_at(now),
            _ => paced,
        };
        if free > now { Step::Until(free) } else { Step::Send }
    }

    /// A request starts at `now`.
    pub fn sent(&mut self, now: Duration) -> Ticket {
        self.seq += 1;
        self.in_flight += 1;
        if let Some(ceiling) = &mut self.ceiling {
            ceiling.sent(now);
        }
        self.controller.sent(self.seq, now.as_secs_f64());
        Ticket { seq: self.seq, sent: now }
    }

    /// The answer to a request came at `now`.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is answered once")]
    pub fn answered(&mut self, ticket: Ticket, now: Duration, answer: Answer) {
        self.settle(now);
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(ceiling) = &mut self.ceiling {
            ceiling.answered(ticket.sent, now);
        }
        if answer == Answer::Failed {
            self.done += 1;
            self.failed(&ticket, now);
            return;
        }
        self.answered = true;
        self.budget.answered();
        if self.failing.is_some_and(|since| ticket.sent >= since) {
            self.failing = None;
            self.backoff.reset();
        }
        if let Answer::Throttled { retry_after } = answer {
            self.throttled(&ticket, now, retry_after);
        } else {
            self.done += 1;
            self.controller.accepted(ticket.sent.as_secs_f64(), now.as_secs_f64());
        }
    }

    fn failed(&mut self, ticket: &Ticket, now: Duration) {
        let covered = self.budget.failed();
        if covered && self.answered && self.failing.is_none() {
            return;
        }
        // Failures of requests sent before the last backoff began tell nothing new.
        if self.failing.is_some_and(|since| ticket.sent < since) {
            return;
        }
        let wait = self.backoff.next_wait();
        self.gate.close(now, wait, false);
        self.failing = Some(now);
    }

    fn throttled(&mut self, ticket: &Ticket, now: Duration, retry_after: RetryAfter) {
        self.controller.throttled(ticket.seq);
        let named = retry_after.duration();
        let wait =
            named.unwrap_or_else(|| to_duration(self.controller.own_wait(now.as_secs_f64())));
        // What was sent before the last opening belongs to the event before it.
        let late = ticket.sent < self.opened && self.event.is_none();
        // Without a named time, the refusals of one burst do not each add a wait.
        if named.is_some() || (!late && self.event.is_none()) {
            self.gate.close(now, wait, true);
        }
        if late {
            return;
        }
        let (sent, now) = (ticket.sent.as_secs_f64(), now.as_secs_f64());
        let event = self.event.get_or_insert_with(|| Event {
            first: ticket.seq,
            sent,
            at: now,
            ..Event::default()
        });
        event.first = event.first.min(ticket.seq);
        event.sent = event.sent.min(sent);
        event.last = now;
        event.refusals += 1.0;
        event.wait = wait.as_secs_f64();
        event.slack = if matches!(retry_after, RetryAfter::Decimal(_)) { 0.0 } else { 1.0 };
        event.named = named.is_some();
    }

    /// Tells the controller of an opening that has passed.
    fn settle(&mut self, now: Duration) {
        if self.gate.closed(now).is_some() {
            return;
        }
        if let Some(event) = self.event.take() {
            self.opened = self.gate.named();
            self.controller.opened(&Event { opening: self.opened.as_secs_f64(), ..event });
        }
    }

    /// Nothing starts for this long from `now` on: the server asked an earlier run to wait.
    pub fn waiting(mut self, now: Duration, wait: Duration) -> Self {
        if !wait.is_zero() {
            self.gate.close(now, wait, true);
        }
        self
    }

    /// What this run learnt of the limit so far; `None` while none has shown itself.
    pub fn learnt(&self) -> Option<Learnt> {
        self.controller.learnt().map(|limit| Learnt::new(Some(limit), Duration::ZERO))
    }

    /// What is worth keeping for the next run: the limit, or what an earlier run knew of it, and the
    /// rest of a wait that the server asked for.
    pub fn kept(&self, now: Duration) -> Option<Learnt> {
        let wait = self.gate.closed(now).filter(|_| self.gate.by_server());
        let wait = wait.map_or(Duration::ZERO, |until| until.saturating_sub(now));
        let limit = self.controller.learnt().or(self.known.filter(|_| !wait.is_zero()));
        (limit.is_some() || !wait.is_zero()).then(|| Learnt::new(limit, wait))
    }

    /// The rows grow by `n`: rows to be posted again after reconciling or after a failure.
    pub fn add_rows(&mut self, n: u64) {
        self.rows += n;
        self.controller.add_rows(n);
    }

    /// The gate, while it is closed.
    pub(super) fn closed(&self, now: Duration) -> Option<Closed> {
        self.gate.closed(now).map(|until| Closed { until, by_server: self.gate.by_server() })
    }

    /// Requests that were announced and are not answered yet.
    pub(super) fn rows_left(&self) -> u64 {
        self.rows.saturating_sub(self.done)
    }

    /// What to show at `now`.
    pub fn view(&self, now: Duration) -> View {
        let seconds = now.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
        let (accepted, left) = (self.controller.counts().0 as f64, self.rows_left() as f64);
        let so_far = (accepted > 0.0 && seconds > 0.0).then(|| accepted / seconds);
        let ceiling = self.ceiling.as_ref().map(|ceiling| ceiling.quota().per_second());
        let per_second = match (self.controller.per_second().or(so_far), ceiling) {
            (Some(rate), Some(ceiling)) => Some(rate.min(ceiling)),
            (rate, ceiling) => rate.or(ceiling),
        };
        let closed = self.closed(now);
        let gate = closed.map_or(0.0, |closed| closed.until.as_secs_f64() - seconds);
        View {
            per_second,
            closed,
            in_flight: self.in_flight,
            throttled: self.controller.counts().1,
            left: per_second.map(|rate| to_duration(left / rate + gate)),
            ..View::default()
        }
    }
}

/// Seconds as a duration: nothing below zero, nothing beyond a year.
fn to_duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.clamp(0.0, 3.2e7)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
