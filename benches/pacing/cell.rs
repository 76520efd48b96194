//! One cell of a table: a client against a model, with many seeds.

use std::ops::Range;
use std::time::Duration;

use registrant_import::pacing::{Learnt, PaceOptions, Pacer, Quota};

use super::client::{Client, Paced};
use super::rivals::Rival;
use super::server::{Chance, Limit, Model, Server};
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
    /// Seconds since the earlier run that a learnt start knows of; what it left of a bucket is used.
    pub(crate) age: f64,
    pub(crate) chance: Option<Chance>,
    /// The call that is refused for no reason of ours, and the wait that its answer names.
    pub(crate) stray: Option<(u64, f64)>,
    /// When the limit is changed, and by what factor.
    pub(crate) change: Option<(f64, f64)>,
    /// The user's ceiling.
    pub(crate) ceiling: Option<Quota>,
}

/// Long enough for every bucket and window to be as new.
const LONG_AGO: f64 = 86_400.0;

impl Case {
    /// About 200 s of work, at least 100 rows and at most 10,000; buckets of two seconds.
    pub(crate) fn new(model: Model, rate: f64, header: Header, latency: f64) -> Self {
        let rows = ((200.0 * rate) as u64).clamp(100, 10_000);
        Self {
            model,
            rate,
            header,
            latency,
            rows,
            burst: 2.0,
            age: LONG_AGO,
            chance: None,
            stray: None,
            change: None,
            ceiling: None,
        }
    }
}

/// Who posts the rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Who {
    /// The program's pacing, without knowledge.
    Cold,
    /// The program's pacing, with what a cold run with another seed kept.
    Learnt,
    Rival(Rival),
}

/// A cell's figures: means over the seeds, and the worst seed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// Time ÷ ideal, and seconds beyond the ideal.
    pub(crate) time: f64,
    pub(crate) beyond: f64,
    /// The worst seed's time ÷ ideal.
    pub(crate) worst: f64,
    /// Share of the calls that were refused, and refused calls in a run.
    pub(crate) share: f64,
    pub(crate) refusals: f64,
    /// Rows lost, as a share of the rows.
    pub(crate) lost: f64,
    /// Starts inside a named wait.
    pub(crate) early: u64,
    /// Runs that were called off.
    pub(crate) unfinished: u64,
    /// Share of the changed limit that was carried in the minute that counts.
    pub(crate) carried: f64,
}

/// A server with its phase drawn from the seed.
fn server(case: &Case, seed: u64) -> Server {
    let phase = fastrand::Rng::with_seed(seed ^ 0x9e37).f64();
    let mut server = Server::new(case.model, case.rate, case.burst, phase);
    // The earlier run left its bucket empty.
    if let Limit::Bucket { rate, burst, tokens, .. } = &mut server.limit {
        *tokens = (*rate * case.age).min(*burst);
    }
    server.chance = case.chance;
    server.stray = case.stray;
    server
}

/// The ideal; a ceiling binds it as well, from the first call on.
fn oracle(case: &Case, seed: u64) -> f64 {
    let model = if case.ceiling.is_some() { Model::S(30.0) } else { case.model };
    let server = server(&Case { model, ..*case }, seed);
    ideal(server, Latency::new(case.latency, seed), case.rows, case.ceiling.is_some())
}

/// One run with one seed, what it learnt, and the ideal.
pub(crate) fn once(case: &Case, who: Who, seed: u64) -> (Outcome, Option<Learnt>, f64) {
    let (rows, latency) = (case.rows, || Latency::new(case.latency, seed));
    let best = oracle(case, seed);
    let go = |client: &mut dyn Client| {
        run(client, server(case, seed), latency(), case.header, rows, best, case.change)
    };
    let learnt = match who {
        Who::Rival(rival) => return (go(&mut *rival.client(rows, seed)), None, best),
        Who::Cold => None,
        Who::Learnt => {
            let before = Case { age: LONG_AGO, ..*case };
            let learnt = once(&before, Who::Cold, seed + 7_777).1;
            learnt.and_then(|learnt| learnt.aged(Duration::from_secs_f64(case.age)))
        }
    };
    let settings =
        PaceOptions { rows, ceiling: case.ceiling, concurrency: IN_FLIGHT, learnt, seed };
    let mut client = Paced::new(Pacer::new(settings), rows);
    let outcome = go(&mut client);
    (outcome, client.pacer.learnt(), best)
}

/// A cell.
pub(crate) fn measure(case: &Case, who: Who, seeds: Range<u64>) -> Figures {
    let mut sum = Figures::default();
    let runs = (seeds.end - seeds.start) as f64;
    for seed in seeds {
        // Only the run before met the stray refusal.
        let own = if who == Who::Learnt { Case { stray: None, ..*case } } else { *case };
        let (outcome, _, best) = if who == Who::Learnt && case.stray.is_some() {
            let learnt = once(case, Who::Cold, seed + 7_777).1;
            let settings = PaceOptions { rows: case.rows, learnt, seed, ..PaceOptions::default() };
            let mut client = Paced::new(Pacer::new(settings), case.rows);
            let latency = || Latency::new(case.latency, seed);
            let best = oracle(&own, seed);
            let server = server(&own, seed);
            let outcome = run(&mut client, server, latency(), case.header, case.rows, best, None);
            (outcome, None, best)
        } else {
            once(case, who, seed)
        };
        let ratio = outcome.seconds / best;
        sum.time += ratio / runs;
        sum.worst = sum.worst.max(ratio);
        sum.beyond += (outcome.seconds - best) / runs;
        sum.share += outcome.share() / runs;
        sum.lost += outcome.lost as f64 / case.rows as f64 / runs;
        sum.refusals += outcome.throttled as f64 / runs;
        sum.early += outcome.early;
        sum.unfinished += u64::from(outcome.unfinished);
        sum.carried += carried(case, &outcome) / runs;
    }
    sum
}

/// After a cut: accepted calls from ten seconds after it on (W30 and S30: forty), for a minute. After
/// a raise: in the last of two minutes. As a share of what the new limit gives.
fn carried(case: &Case, outcome: &Outcome) -> f64 {
    let Some((at, factor)) = case.change else { return 1.0 };
    let from = at
        + match case.model {
            _ if factor > 1.0 => 90.0,
            Model::W(30.0) | Model::S(30.0) => 40.0,
            _ => 10.0,
        };
    let to = (from + if factor > 1.0 { 30.0 } else { 60.0 }).min(outcome.seconds);
    let times = outcome.accepted_at.iter().filter(|time| (from..to).contains(*time));
    times.count() as f64 / (case.rate * factor * (to - from))
}
