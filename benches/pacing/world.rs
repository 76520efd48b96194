//! The world between a client and a server: latency, order, counts. Event by event, no clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use registrant_import::pacing::RetryAfter;

use super::client::{Client, Do};
use super::server::{Refusal, Server};

/// How the server writes its Retry-After.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Header {
    /// Rounded up to whole seconds, at least one; a date tells the same.
    Whole,
    /// Exact.
    Decimal,
    /// Not at all.
    Absent,
}

/// Most calls in flight.
pub(crate) const IN_FLIGHT: usize = 64;
/// Spread of the latency's logarithm.
const SIGMA: f64 = 0.5;
/// A run that has not ended after so many times the ideal is called off.
const CALLED_OFF: f64 = 20.0;

/// What became of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Seconds to the last answer.
    pub(crate) seconds: f64,
    pub(crate) accepted: u64,
    pub(crate) throttled: u64,
    pub(crate) lost: u64,
    /// Calls that started before the end of a wait that the client had been told of.
    pub(crate) early: u64,
    /// Whether it was called off.
    pub(crate) unfinished: bool,
    /// Times of acceptance and of refusal at the server, for the cut.
    pub(crate) accepted_at: Vec<f64>,
    pub(crate) throttled_at: Vec<f64>,
}

impl Outcome {
    /// Share of the calls that were refused.
    pub(crate) fn share(&self) -> f64 {
        self.throttled as f64 / (self.throttled + self.accepted).max(1) as f64
    }
}

/// Latency, drawn from a lognormal distribution.
pub(crate) struct Latency {
    median: f64,
    random: fastrand::Rng,
}

impl Latency {
    pub(crate) fn new(median: f64, seed: u64) -> Self {
        Self { median, random: fastrand::Rng::with_seed(seed) }
    }

    fn draw(&mut self) -> f64 {
        // Box and Muller; 1 - f64() is never zero.
        let radius = (-2.0 * (1.0 - self.random.f64()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.random.f64()).cos();
        self.median * (SIGMA * normal).exp()
    }
}

/// Seconds that an oracle needs: it sees the server's counter, is never refused by the limit, and
/// sends as fast as the calls in flight allow while quota is left. Chance it cannot see: a 429 stops
/// all of its calls for the wait, and what is in flight by then goes on; a 503 rests its own row.
/// `counted`: a ceiling of the user's counts refused calls as well.
pub(crate) fn ideal(mut server: Server, mut latency: Latency, rows: u64, counted: bool) -> f64 {
    // The next arrival of each of the calls in flight, with its round trip.
    let mut arrivals: BinaryHeap<Reverse<(Time, Time)>> = BinaryHeap::new();
    let mut depart = |at: f64| {
        let trip = latency.draw();
        Reverse((Time(at + trip / 8.0), Time(trip)))
    };
    // Rows that were sent at least once, and those that rest after a failure.
    let mut started = rows.min(IN_FLIGHT as u64);
    let mut resting: BinaryHeap<Reverse<Time>> = BinaryHeap::new();
    for _ in 0..started {
        arrivals.push(depart(0.0));
    }
    // The waits: from when they are known, until when.
    let mut waits: Vec<(f64, f64)> = Vec::new();
    let (mut last, mut end) = (0.0_f64, 0.0_f64);
    while let Some(Reverse((Time(arrival), Time(trip)))) = arrivals.pop() {
        // Where no quota is left it is sent so much later.
        let at = arrival.max(last);
        let mut at = server.limit.free_at(at);
        let sent = at - trip / 8.0;
        // Rounding must not put what was sent at the moment of a refusal before it.
        let wait = waits.iter().filter(|wait| (wait.0 - 1e-9..wait.1).contains(&sent));
        if let Some(until) = wait.map(|wait| wait.1).max_by(f64::total_cmp) {
            // A little later, so that rounding does not put it back inside.
            arrivals.push(Reverse((Time(until + 1e-6 + trip / 8.0), Time(trip))));
            continue;
        }
        let refused = server.chance();
        if refused.is_none() || counted {
            while server.limit.arrive(at).is_err() {
                at += 1e-6;
            }
            last = at;
        }
        let back = match refused {
            Some(Refusal::Limited(wait)) => {
                let known = at + trip / 8.0;
                waits.retain(|wait| wait.1 > at - 60.0);
                waits.push((known, known + wait));
                arrivals.push(depart(known));
                continue;
            }
            Some(Refusal::Failed(wait)) => {
                resting.push(Reverse(Time(at + trip / 8.0 + wait)));
                at + trip / 8.0
            }
            None => at + trip * 7.0 / 8.0,
        };
        end = end.max(back);
        // The next row: one that has rested, else a fresh one, else one that still rests.
        if resting.peek().is_some_and(|due| due.0.0 <= back || started == rows) {
            let due = resting.pop().map_or(back, |due| due.0.0);
            arrivals.push(depart(back.max(due)));
        } else if started < rows {
            started += 1;
            arrivals.push(depart(back));
        }
    }
    end
}

/// Runs `client` against `server` until every row is accepted or given up. `change` is the time at
/// which the limit is changed, and by what factor.
pub(crate) fn run(
    client: &mut dyn Client,
    mut server: Server,
    mut latency: Latency,
    header: Header,
    rows: u64,
    ideal: f64,
    change: Option<(f64, f64)>,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut events: BinaryHeap<Reverse<(Time, u64, Event)>> = BinaryHeap::new();
    let (mut now, mut call, mut in_flight, mut told) = (0.0_f64, 0_u64, 0_usize, 0.0_f64);
    let mut change = change;
    while outcome.accepted + client.lost() < rows {
        let step = client.step(now);
        if step == Do::Send {
            assert!(in_flight < IN_FLIGHT, "too many in flight");
            call += 1;
            in_flight += 1;
            outcome.early += u64::from(now < told - 1e-9);
            client.sent(call, now);
            let trip = latency.draw();
            events.push(Reverse((Time(now + trip / 8.0), call, Event::Arrive { trip })));
            continue;
        }
        let next = events.peek().map(|Reverse((time, ..))| time.0);
        match (step, next) {
            (Do::Until(time), next) if next.is_none_or(|next| time < next) => {
                assert!(time > now, "the client stands still at {now}");
                now = time;
                continue;
            }
            (_, None) => panic!("the client waits for an answer, but nothing is in flight"),
            _ => {}
        }
        let Some(Reverse((Time(time), id, event))) = events.pop() else { break };
        now = time;
        if now > CALLED_OFF * ideal {
            outcome.unfinished = true;
            break;
        }
        match event {
            Event::Arrive { trip } => {
                if let Some((_, factor)) = change.take_if(|change| now >= change.0) {
                    server.limit.change(now, factor);
                }
                let refused = server.arrive(now).err();
                if refused.is_some() {
                    outcome.throttled_at.push(now);
                } else {
                    outcome.accepted_at.push(now);
                }
                let back = if refused.is_some() { trip / 8.0 } else { trip * 7.0 / 8.0 };
                events.push(Reverse((Time(now + back), id, Event::Return { refused })));
            }
            Event::Return { refused } => {
                in_flight -= 1;
                match refused {
                    None => {
                        outcome.accepted += 1;
                        client.answered(id, now, None);
                    }
                    Some(Refusal::Limited(wait)) => {
                        let wait = written(wait, header);
                        outcome.throttled += 1;
                        told = told.max(now + wait.duration().map_or(0.0, |w| w.as_secs_f64()));
                        client.answered(id, now, Some(wait));
                    }
                    Some(Refusal::Failed(wait)) => client.failed(id, now, written(wait, header)),
                }
            }
        }
    }
    outcome.lost = client.lost();
    outcome.seconds = now;
    outcome
}

/// The wait as the header tells it; a decimal has three places, rounded up.
fn written(wait: f64, header: Header) -> RetryAfter {
    match header {
        Header::Whole => RetryAfter::Whole(Duration::from_secs(wait.ceil().max(1.0) as u64)),
        Header::Decimal => {
            RetryAfter::Decimal(Duration::from_millis((wait * 1e3).ceil().max(1.0) as u64))
        }
        Header::Absent => RetryAfter::Absent,
    }
}

/// What happens at a time.
#[derive(Clone, Copy, Debug)]
enum Event {
    Arrive { trip: f64 },
    Return { refused: Option<Refusal> },
}

/// Only times and call numbers order the events.
impl PartialEq for Event {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Event {}
impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Event {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

/// Seconds in an ordered set.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Time(f64);
impl Eq for Time {}
impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Time {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}
