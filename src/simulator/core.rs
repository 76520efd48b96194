//! The simulator itself: settings, and state behind one lock that calls go through.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::Method;
use tokio::time::Instant;

use super::{
    answer::{AnswerContext, Delivery, Reply, Success},
    chance,
    config::{Config, EventQuestion},
    request::{HttpCall, Route, RoutedCall},
    state::ServerState,
    stats::{Books, RegistrationStatus, Stats},
};

/// Graph's double. Cheap to clone: all clones are one server.
#[derive(Clone, Debug)]
pub struct Simulator {
    config: Arc<Config>,
    state: Arc<Mutex<ServerState>>,
}

impl Simulator {
    /// A server with these settings, at time 0, with nobody enrolled.
    pub fn new(config: Config) -> Self {
        let state = Arc::new(Mutex::new(ServerState::new(&config)));
        Self { config: Arc::new(config), state }
    }

    /// Starts a call: it is under way until what is returned is dropped.
    pub(super) fn begin(&self) -> CallInProgress {
        let number = {
            let stats = &mut self.lock().stats;
            stats.calls += 1;
            stats.in_flight += 1;
            stats.max_in_flight = stats.max_in_flight.max(stats.in_flight);
            stats.calls - 1
        };
        let hash = chance::pair(self.config.seed, number);
        let latency = self.config.latency;
        let latency = chance::lognormal(chance::mix(hash), latency.median, latency.sigma);
        CallInProgress { simulator: self.clone(), hash, latency }
    }

    /// Takes a call that reaches the server at `now`, counted from its start, and says what
    /// becomes of it; the reply's delay is the whole latency.
    pub fn handle(&self, now: Duration, call: &HttpCall<'_>) -> Reply {
        let progress = self.begin();
        let mut reply = progress.handle(now, call);
        reply.delay += progress.travel();
        reply
    }

    /// The latest time that a call came at.
    pub fn now(&self) -> Duration {
        self.lock().now
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        let state = self.lock();
        Stats { enrolled: state.enrolled() as u64, ..state.stats.clone() }
    }

    /// Who is enrolled, target by target. A meeting's links are those of `/me`'s organizer, or of
    /// the last `/users/{id}` that called.
    pub fn books(&self) -> Books {
        self.lock().books(&self.config)
    }

    /// The organizer's word on everybody with this address in a webinar; whether there is
    /// somebody.
    pub fn decide(&self, webinar: &str, email: &str, status: RegistrationStatus) -> bool {
        self.lock().decide(&self.config, webinar, email, Some(status))
    }

    /// Asks one more question on every webinar's form from now on.
    pub fn ask(&self, question: EventQuestion) {
        self.lock().questions.push(question);
    }

    /// Takes everybody with this address out of a webinar, without a trace; whether there was
    /// somebody.
    pub fn remove(&self, webinar: &str, email: &str) -> bool {
        self.lock().decide(&self.config, webinar, email, None)
    }

    pub(super) fn count_connection(&self) {
        self.lock().stats.connections += 1;
    }

    pub(super) fn count_http2(&self) {
        self.lock().stats.http2 += 1;
    }

    fn lock(&self) -> MutexGuard<'_, ServerState> {
        // A panic in a test's other thread leaves counters and lists that are still right.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call under way.
pub(super) struct CallInProgress {
    simulator: Simulator,
    /// Everything that chance decides about this call alone.
    hash: u64,
    latency: Duration,
}

impl CallInProgress {
    /// How long the call travels until the server sees it: an eighth of its latency.
    pub(super) fn travel(&self) -> Duration {
        self.latency / 8
    }

    /// Takes the call, now that it has reached the server; the reply's delay is the rest of the
    /// latency.
    pub(super) fn handle(&self, now: Duration, call: &HttpCall<'_>) -> Reply {
        let config = &*self.simulator.config;
        let call = RoutedCall::new(config, call, now);
        let context = AnswerContext {
            at: config.epoch + now,
            request_id: chance::uuid(self.hash),
            client_request_id: call.http.client_request_id,
            retry_after: config.retry_after,
            fault_wait: config.fault_wait,
        };
        let report = match (&call.route, call.http.method) {
            (Route::Stats, &Method::GET) => Some(Success::ok(&self.simulator.stats())),
            (Route::Books, &Method::GET) => Some(Success::ok(&self.simulator.books())),
            _ => None,
        };
        if let Some(report) = report {
            let delivery = Delivery::Answer(context.answer(Ok(report)));
            return Reply { delay: Duration::ZERO, delivery };
        }
        let work = self.simulator.lock().work(&call);
        // A throttled answer is back after a quarter of the latency.
        let rest = self.latency.saturating_sub(self.travel());
        let delay = if work.throttled() { self.travel() } else { rest };
        Reply { delay, delivery: context.deliver(work.result, work.fault) }
    }
}

impl Drop for CallInProgress {
    fn drop(&mut self) {
        self.simulator.lock().stats.in_flight -= 1;
    }
}

/// The simulator's time for those who call it in real, or in paused, time. It goes on where the
/// simulator last was, so that it never goes back.
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
