//! One cell of a table: a client against a model, averaged over seeds.

use std::time::Duration;

use registrant_import::pacing::{Learnt, Pacer, Rules, Settings};

use super::client::{Client, Paced};
use super::rivals::ContestedRow;
use super::server::{Model, Server};
use super::world::{Header, IN_FLIGHT, Latency, Outcome, ideal, run};

/// A server and its surroundings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) model: Model,
    /// Calls per second on average.
    pub(crate) rate: f64,
    pub(crate) header: Header,
    /// Median latency in seconds.
    pub(crate) latency: f64,
    /// Rows of the job.
    pub(crate) rows: u64,
    /// What a bucket holds when full, in seconds of its rate.
    pub(crate) burst: f64,
    /// Calls that an earlier run made just before.
    pub(crate) used: u64,
    /// Seconds since the earlier run that a learnt start knows of; what it left of a bucket is used.
    pub(crate) age: f64,
    /// The call that is refused for no reason of ours, and the wait that its answer names.
    pub(crate) stray: Option<(u64, f64)>,
}

/// Long enough for every bucket and window to be as new.
const LONG_AGO: f64 = 86_400.0;

impl Case {
    /// About 200 s of work, at least 100 rows and at most 10,000; buckets of two seconds.
    pub(crate) fn new(model: Model, rate: f64, header: Header, latency: f64) -> Self {
        let rows = ((200.0 * rate) as u64).clamp(100, 10_000);
        Self { model, rate, header, latency, rows, burst: 2.0, used: 0, age: LONG_AGO, stray: None }
    }
}

/// Who posts the rows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    /// The program's pacing, without knowledge.
    Cold(Rules),
    /// The program's pacing, with what a cold run with another seed kept.
    Learnt(Rules),
    /// The same, with what that second run kept.
    Again(Rules),
    /// The same, with this.
    Knowing(Option<Learnt>, Rules),
    ContestedRow(ContestedRow),
}

/// Averages over the seeds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// Time ÷ ideal.
    pub(crate) time: f64,
    /// Share of the calls that were refused.
    pub(crate) share: f64,
    /// Rows lost, as a share of the rows.
    pub(crate) lost: f64,
    /// Starts inside a named wait.
    pub(crate) early: u64,
    /// Refused calls in a run.
    pub(crate) refusals: f64,
    /// Runs that were called off.
    pub(crate) unfinished: u64,
    /// The rate kept for the next run ÷ the server's; 0 where none is.
    pub(crate) kept: f64,
}

/// A server with its phase drawn from the seed.
fn server(case: &Case, seed: u64) -> Server {
    let phase = fastrand::Rng::with_seed(seed ^ 0x9e37).f64();
    let mut server = Server::new(case.model, case.rate, case.burst, phase);
    for _ in 0..case.used {
        let _ = server.arrive(0.0);
    }
    // The earlier run left its bucket empty.
    if let Server::Bucket { rate, burst, tokens, .. } = &mut server {
        *tokens = (*rate * case.age).min(*burst);
    }
    if let Some((calls, wait)) = case.stray {
        server = Server::Stray { calls, wait, limit: Box::new(server) };
    }
    server
}

fn latency(case: &Case, seed: u64) -> Latency {
    Latency::new(case.latency, seed)
}

fn settings(case: &Case, seed: u64, learnt: Option<Learnt>) -> Settings {
    Settings { rows: case.rows, ceiling: None, concurrency: IN_FLIGHT, learnt, seed }
}

/// One run with one seed, and what it learnt.
pub(crate) fn once(
    case: &Case,
    who: Who,
    seed: u64,
    cut: Option<f64>,
) -> (Outcome, Option<Learnt>, f64) {
    let rows = case.rows;
    let best = ideal(server(case, seed), latency(case, seed), rows)
        + case.stray.map_or(0.0, |stray| stray.1);
    let go = |client: &mut dyn Client| {
        run(client, server(case, seed), latency(case, seed), case.header, rows, best, cut)
    };
    let paced = |learnt, rules| {
        let mut client = Paced::new(Pacer::with_rules(settings(case, seed, learnt), rules), rows);
        let outcome = go(&mut client);
        (outcome, client.pacer.learnt(), best)
    };
    match who {
        Who::Cold(rules) => paced(None, rules),
        Who::Learnt(rules) => {
            let before = Case { used: 0, age: LONG_AGO, ..*case };
            let learnt = once(&before, Who::Cold(rules), seed + 7_777, None).1;
            // Only the run before met the stray refusal.
            let case = Case { stray: None, ..*case };
            once(&case, Who::Knowing(aged(learnt, case.age), rules), seed, cut)
        }
        Who::Knowing(learnt, rules) => paced(learnt, rules),
        // As the former, but the run before was a learnt start itself.
        Who::Again(rules) => {
            let learnt = once(case, Who::Learnt(rules), seed + 5_555, None).1;
            paced(aged(learnt, case.age), rules)
        }
        Who::ContestedRow(rival) => (go(&mut *rival.client(rows, seed)), None, best),
    }
}

fn aged(learnt: Option<Learnt>, age: f64) -> Option<Learnt> {
    learnt?.aged(Duration::from_secs_f64(age))
}

/// A cell.
pub(crate) fn measure(case: &Case, who: Who, seeds: std::ops::Range<u64>) -> Figures {
    let mut sum = Figures::default();
    let runs = (seeds.end - seeds.start) as f64;
    for seed in seeds {
        let (outcome, learnt, best) = once(case, who, seed, None);
        sum.kept += learnt.map_or(0.0, |learnt| learnt.per_second()) / case.rate / runs;
        sum.time += outcome.seconds / best / runs;
        sum.share += outcome.share() / runs;
        sum.lost += outcome.lost as f64 / case.rows as f64 / runs;
        sum.refusals += outcome.throttled as f64 / runs;
        sum.early += outcome.early;
        sum.unfinished += u64::from(outcome.unfinished);
    }
    sum
}

/// How the pace follows a sudden cut of the limit to a fifth.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cut {
    /// Accepted calls from ten seconds after the cut on (W30 and S30: forty), for a minute, as a
    /// share of what the new limit gives.
    pub(crate) carried: f64,
    /// Refused calls in the first ten seconds (forty), and in the minute after them.
    pub(crate) at_first: f64,
    pub(crate) later: f64,
}

/// A cut in the middle of the job.
pub(crate) fn cut(case: &Case, rules: Rules, seeds: std::ops::Range<u64>) -> Cut {
    let mut sum = Cut::default();
    let runs = (seeds.end - seeds.start) as f64;
    let at = if case.rate > 100.0 { 30.0 } else { 100.0 };
    let from = at + if matches!(case.model, Model::W(30.0) | Model::S(30.0)) { 40.0 } else { 10.0 };
    for seed in seeds {
        let (outcome, ..) = once(case, Who::Cold(rules), seed, Some(at));
        let to = (from + 60.0).min(outcome.seconds);
        let within = |times: &[f64], from: f64, to: f64| {
            times.iter().filter(|time| (from..to).contains(*time)).count() as f64
        };
        let full = case.rate / 5.0 * (to - from);
        sum.carried += within(&outcome.accepted_at, from, to) / full / runs;
        sum.at_first += within(&outcome.throttled_at, at, from) / runs;
        sum.later += within(&outcome.throttled_at, from, to) / runs;
    }
    sum
}
