//! The simulator itself: state behind one lock, and calls that visit it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{Method, StatusCode};
use tokio::time::Instant;

use super::{
    answer::{AnswerContext, Delivery, Reply, Success},
    chance,
    config::Config,
    limit::Quota,
    request::{self, HttpCall, Route},
    state::{RoutedCall, ServerState},
    stats::{Books, Stats},
    webinar::RegistrationStatus,
};

/// Graph's double. Cheap to clone: all clones are one server.
#[derive(Clone, Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    calls: AtomicU64,
    connections: AtomicU64,
    http2: AtomicU64,
    in_flight: AtomicU64,
    max_in_flight: AtomicU64,
    state: Mutex<ServerState>,
}

impl Simulator {
    /// A server with these settings, at time 0, with nobody enrolled.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let state = ServerState::new(&config);
        Self {
            shared: Arc::new(Shared {
                config,
                calls: AtomicU64::new(0),
                connections: AtomicU64::new(0),
                http2: AtomicU64::new(0),
                in_flight: AtomicU64::new(0),
                max_in_flight: AtomicU64::new(0),
                state: Mutex::new(state),
            }),
        }
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Starts a call: it is under way until the visit is dropped.
    #[must_use]
    pub fn visit(&self) -> CallInProgress {
        let shared = &self.shared;
        let number = shared.calls.fetch_add(1, Ordering::Relaxed);
        let now = shared.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        shared.max_in_flight.fetch_max(now, Ordering::Relaxed);
        let hash = chance::pair(shared.config.seed, number);
        let latency = shared.config.latency;
        let latency = chance::lognormal(chance::mix(hash), latency.median, latency.sigma);
        CallInProgress { simulator: self.clone(), hash, latency }
    }

    /// Takes a call that reaches the server at `now`, counted from its start, and says what
    /// becomes of it; the reply's delay is the whole latency.
    #[must_use]
    pub fn handle(&self, now: Duration, call: &HttpCall<'_>) -> Reply {
        let visit = self.visit();
        let mut reply = visit.handle(now, call);
        reply.delay += visit.travel();
        reply
    }

    /// The latest time that a call came at.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.lock().now
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = {
            let state = self.lock();
            Stats { enrolled: state.enrolled() as u64, ..state.stats.clone() }
        };
        stats.calls = self.shared.calls.load(Ordering::Relaxed);
        stats.connections = self.shared.connections.load(Ordering::Relaxed);
        stats.http2 = self.shared.http2.load(Ordering::Relaxed);
        stats.in_flight = self.shared.in_flight.load(Ordering::Relaxed);
        stats.max_in_flight = self.shared.max_in_flight.load(Ordering::Relaxed);
        stats
    }

    /// Who is enrolled, target by target. A meeting's links are those of `/me`'s organizer, or of
    /// the last `/users/{id}` that called.
    #[must_use]
    pub fn books(&self) -> Books {
        self.lock().books(self.config())
    }

    /// The organizer's word on everybody with this address in a webinar; whether there is
    /// somebody.
    #[must_use]
    pub fn decide(&self, webinar: &str, email: &str, status: RegistrationStatus) -> bool {
        self.lock().decide(self.config(), webinar, email, status)
    }

    /// Changes the quota of the limit on writing calls, where there is one.
    pub fn set_write_quota(&self, quota: Quota) {
        self.lock().set_write_quota(quota);
    }

    /// Voids every token that was given out so far.
    pub fn revoke_tokens(&self) {
        self.lock().desk.tokens.revoke();
    }

    pub(super) fn count_connection(&self) {
        self.shared.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_http2(&self) {
        self.shared.http2.fetch_add(1, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, ServerState> {
        // A panic in a test's other thread leaves counters and lists that are still right.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call under way.
#[derive(Debug)]
pub struct CallInProgress {
    simulator: Simulator,
    /// Everything that chance decides about this call alone.
    hash: u64,
    latency: Duration,
}

/// The share of the latency after which the server sees a call.
const TRAVEL: u32 = 8;

impl CallInProgress {
    /// How long the call travels until the server sees it: an eighth of its latency.
    #[must_use]
    pub fn travel(&self) -> Duration {
        self.latency / TRAVEL
    }

    /// Takes the call, now that it has reached the server; the reply's delay is the rest of the
    /// latency.
    #[must_use]
    pub fn handle(&self, now: Duration, call: &HttpCall<'_>) -> Reply {
        let config = self.simulator.config();
        let (path, query) = request::split(call.target);
        let route = Route::parse(path);
        let envelope = AnswerContext {
            at: config.epoch + now,
            request_id: chance::uuid(self.hash),
            client_request_id: call.client_request_id,
            retry_after: config.retry_after,
        };
        match (&route, call.method) {
            (Route::Stats, &Method::GET) => return report(&self.simulator.stats(), &envelope),
            (Route::Books, &Method::GET) => return report(&self.simulator.books(), &envelope),
            _ => {}
        }
        let errand = RoutedCall { config, call, path, query, now };
        let mut state = self.simulator.lock();
        let worked = state.work(&errand, &route);
        let throttled = state.count(&worked);
        drop(state);
        let fate = envelope.fate(worked.result, worked.fault, worked.committed);
        let travel = self.travel();
        // A throttled answer is back after a quarter of the latency.
        let delay = if throttled { travel } else { self.latency.saturating_sub(travel) };
        Reply { delay, fate }
    }
}

fn report(what: &impl serde::Serialize, envelope: &AnswerContext<'_>) -> Reply {
    let answer = envelope.answer(Ok(Success::json(StatusCode::OK, what)));
    Reply { delay: Duration::ZERO, fate: Delivery::Answer(answer) }
}

impl Drop for CallInProgress {
    fn drop(&mut self) {
        self.simulator.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Goes on where the simulator last was, so that a new shell on an old simulator is no journey
/// into the past.
#[derive(Clone, Copy, Debug)]
pub(super) struct SimulatorClock {
    origin: Instant,
    offset: Duration,
}

impl SimulatorClock {
    pub(super) fn new(simulator: &Simulator) -> Self {
        Self { origin: Instant::now(), offset: simulator.now() }
    }

    pub(super) fn now(&self) -> Duration {
        self.offset + self.origin.elapsed()
    }
}
