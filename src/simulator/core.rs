//! The simulator itself: state behind one lock, and the way of a call through it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{Method, StatusCode};

use super::{
    call::{Answer, Call, Fate, Reply, Success},
    chance,
    config::{Caller, Config, Kind, Refusal},
    fate::{self, Envelope},
    fault::{Fault, Scope, Stage},
    limit::Limiter,
    meeting::{self, Meeting},
    problem::Problem,
    route::{self, MeetingPart, Route},
    stats::{Books, Stats},
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
    in_flight: AtomicU64,
    max_in_flight: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The latest time of any call.
    now: Duration,
    writes: Option<Limiter>,
    reads: Option<Limiter>,
    /// Calls of each scope that no limit refused: the numbers that their faults are drawn for.
    numbers: [u64; Scope::ALL.len()],
    stats: Stats,
    meetings: HashMap<String, Meeting>,
}

/// What happened to a call under Graph.
struct Worked {
    result: Result<Success, Problem>,
    fault: Option<Fault>,
    committed: bool,
}

impl Worked {
    fn refused(problem: Problem) -> Self {
        Self { result: Err(problem), fault: None, committed: false }
    }
}

impl Simulator {
    /// A server with these settings, at time 0, with nobody enrolled.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let limiter =
            |limit: &Option<_>| limit.as_ref().map(|limit| Limiter::new(limit, config.seed));
        let state = State {
            now: Duration::ZERO,
            writes: limiter(&config.write_limit),
            reads: limiter(&config.read_limit),
            numbers: [0; Scope::ALL.len()],
            stats: Stats::default(),
            meetings: HashMap::new(),
        };
        Self {
            shared: Arc::new(Shared {
                config,
                calls: AtomicU64::new(0),
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
    pub fn visit(&self) -> Visit {
        let shared = &self.shared;
        let number = shared.calls.fetch_add(1, Ordering::Relaxed);
        let now = shared.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        shared.max_in_flight.fetch_max(now, Ordering::Relaxed);
        let hash = chance::pair(shared.config.seed, number);
        let latency = shared.config.latency;
        let latency = chance::lognormal(chance::mix(hash), latency.median, latency.sigma);
        Visit { simulator: self.clone(), hash, latency }
    }

    /// Takes a call that reaches the server at `now`, counted from its start, and says what
    /// becomes of it; the reply's delay is the whole latency.
    #[must_use]
    pub fn handle(&self, now: Duration, call: &Call<'_>) -> Reply {
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
            let enrolled = state.meetings.values().map(Meeting::len).sum::<usize>();
            Stats { enrolled: enrolled as u64, ..state.stats.clone() }
        };
        stats.calls = self.shared.calls.load(Ordering::Relaxed);
        stats.in_flight = self.shared.in_flight.load(Ordering::Relaxed);
        stats.max_in_flight = self.shared.max_in_flight.load(Ordering::Relaxed);
        stats
    }

    /// Who is enrolled, target by target. A meeting's links are those of `/me`'s organizer, or of
    /// the last `/users/{id}` that called.
    #[must_use]
    pub fn books(&self) -> Books {
        let state = self.lock();
        let mut registrants = Vec::new();
        let mut targets: Vec<_> = state.meetings.iter().collect();
        targets.sort_by_key(|(id, _)| *id);
        for (id, meeting) in targets {
            meeting.books(self.config(), id, &mut registrants);
        }
        Books { registrants }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in a test's other thread leaves counters and lists that are still right.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call under way.
#[derive(Debug)]
pub struct Visit {
    simulator: Simulator,
    /// Everything that chance decides about this call alone.
    hash: u64,
    latency: Duration,
}

/// The share of the latency after which the server sees a call.
const TRAVEL: u32 = 8;

impl Visit {
    /// How long the call travels until the server sees it: an eighth of its latency.
    #[must_use]
    pub fn travel(&self) -> Duration {
        self.latency / TRAVEL
    }

    /// Takes the call, now that it has reached the server; the reply's delay is the rest of the
    /// latency.
    #[must_use]
    pub fn handle(&self, now: Duration, call: &Call<'_>) -> Reply {
        let config = self.simulator.config();
        let (path, query) = route::split(call.target);
        let route = Route::parse(path);
        let envelope = Envelope {
            at: config.epoch + now,
            request_id: chance::uuid(self.hash),
            client_request_id: call.client_request_id,
            retry_after: config.retry_after,
        };
        match (&route, call.method) {
            (Route::Stats, &Method::GET) => return self.report(&self.simulator.stats(), &envelope),
            (Route::Books, &Method::GET) => return self.report(&self.simulator.books(), &envelope),
            _ => {}
        }
        let mut state = self.simulator.lock();
        state.now = state.now.max(now);
        let errand = Errand { config, call, path, query, now };
        let worked = state.graph(&errand, &route);
        let throttled = state.count(&worked);
        drop(state);
        let fate = envelope.fate(worked.result, worked.fault, worked.committed);
        let travel = self.travel();
        // A throttled answer is back after a quarter of the latency.
        let delay = if throttled { travel } else { self.latency - travel };
        Reply { delay, fate }
    }

    fn report(&self, what: &impl serde::Serialize, envelope: &Envelope<'_>) -> Reply {
        let answer: Answer = envelope.answer(Ok(Success::json(StatusCode::OK, what)));
        Reply { delay: Duration::ZERO, fate: Fate::Answer(answer) }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.simulator.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A call with what was found out about it.
struct Errand<'a> {
    config: &'a Config,
    call: &'a Call<'a>,
    path: &'a str,
    query: &'a str,
    now: Duration,
}

impl State {
    /// The way of a call under Graph: token, API, outage, limit, fault, work.
    fn graph(&mut self, errand: &Errand<'_>, route: &Route<'_>) -> Worked {
        let config = errand.config;
        let scope = scope(errand.call.method, route);
        self.arrived(scope);
        let caller = match self.authorize(errand) {
            Ok(caller) => caller,
            Err(problem) => return Worked::refused(problem),
        };
        if let Some(problem) = misdirected(config, route, caller) {
            return Worked::refused(problem);
        }
        if config.faults.out(scope, errand.now) {
            let problem = Problem::server(StatusCode::SERVICE_UNAVAILABLE, None);
            return Worked::refused(problem);
        }
        let limiter = if errand.call.method == Method::GET {
            self.reads.as_mut()
        } else {
            self.writes.as_mut()
        };
        if let Some(Err(wait)) = limiter.map(|limiter| limiter.take(errand.now)) {
            return Worked::refused(Problem::throttled(Some(wait)));
        }
        match route {
            Route::Meeting { organizer, meeting, part } => {
                self.meeting(errand, organizer.as_deref(), meeting, part, scope)
            }
            Route::Nowhere(segment) => Worked::refused(Problem::segment(segment)),
            _ => Worked::refused(Problem::method_not_allowed()),
        }
    }

    fn meeting(
        &mut self,
        errand: &Errand<'_>,
        organizer: Option<&str>,
        id: &str,
        part: &MeetingPart<'_>,
        scope: Scope,
    ) -> Worked {
        let Errand { config, call, .. } = *errand;
        let organizer = meeting::organizer(config, organizer);
        let context =
            meeting::Context { config, base: call.base, organizer, meeting: id, now: errand.now };
        // A body that cannot be read has no id to draw a fault for.
        let posted = match (part, call.method) {
            (MeetingPart::Registrants, &Method::POST) => {
                match json_body(call).and_then(meeting::Posted::parse) {
                    Ok(posted) => Some(posted),
                    Err(problem) => return Worked::refused(problem),
                }
            }
            _ => None,
        };
        if !self.meetings.contains_key(id) {
            self.meetings.insert(id.to_owned(), Meeting::new(config, id));
        }
        let meeting = self.meetings.get_mut(id).expect("it is there now");
        let (hash, fault) = match &posted {
            Some(posted) => {
                let key = chance::text(config.seed, &posted.id);
                let attempt = meeting.attempt(key);
                let hash = chance::pair(key, attempt.into());
                let scripted = config.faults.scripted(&posted.id, attempt);
                (hash, scripted.or_else(|| config.faults.draw(scope, hash)))
            }
            None => draw(config, &mut self.numbers, scope),
        };
        let stats = &mut self.stats;
        struck(fault, hash, |shape| match (part, call.method) {
            (MeetingPart::Registration, &Method::GET) => meeting.show(&context),
            (MeetingPart::Registration, &Method::POST) => {
                meeting.enable(&context, json_body(call)?)
            }
            (MeetingPart::Registration, &Method::DELETE) => meeting.disable(),
            (MeetingPart::Registrants, &Method::GET) => {
                meeting.list(&context, errand.path, errand.query)
            }
            (MeetingPart::Registrants, &Method::POST) => {
                let posted = posted.as_ref().expect("a POST of a registrant was parsed above");
                meeting.enrol(&context, posted, shape, hash, stats)
            }
            (MeetingPart::Registrant(registrant), &Method::GET) => {
                meeting.one(&context, registrant)
            }
            (MeetingPart::Registrant(registrant), &Method::DELETE) => {
                meeting.remove(&context, registrant, stats)
            }
            _ => Err(Problem::method_not_allowed()),
        })
    }

    fn authorize(&mut self, errand: &Errand<'_>) -> Result<Caller, Problem> {
        let _ = errand;
        Ok(Caller::Delegated)
    }

    fn arrived(&mut self, scope: Scope) {
        match scope {
            Scope::Post => self.stats.posts += 1,
            Scope::List => self.stats.lists += 1,
            Scope::Delete => self.stats.deletes += 1,
            Scope::Read => self.stats.reads += 1,
            Scope::Token => self.stats.token_calls += 1,
        }
    }

    /// Counts the outcome; says whether it is a throttled one.
    fn count(&mut self, worked: &Worked) -> bool {
        if let Some(fault) = worked.fault {
            self.stats.fault(fault);
        }
        let Err(problem) = &worked.result else { return false };
        match problem.status {
            StatusCode::TOO_MANY_REQUESTS => self.stats.throttled += 1,
            StatusCode::UNAUTHORIZED => self.stats.unauthorized += 1,
            status if status.is_client_error() => self.stats.refused += 1,
            _ => {}
        }
        problem.status == StatusCode::TOO_MANY_REQUESTS
    }
}

/// The fault of the next call of a scope.
fn draw(
    config: &Config,
    numbers: &mut [u64; Scope::ALL.len()],
    scope: Scope,
) -> (u64, Option<Fault>) {
    let number = &mut numbers[scope as usize];
    *number += 1;
    let hash = chance::pair(chance::pair(config.seed, scope as u64), *number);
    (hash, config.faults.draw(scope, hash))
}

/// Does the work, unless a fault comes before it.
fn struck(
    fault: Option<Fault>,
    hash: u64,
    work: impl FnOnce(Option<Fault>) -> Result<Success, Problem>,
) -> Worked {
    // The draw that chose the fault must not choose its form as well.
    let hash = chance::mix(hash);
    match fault.map(|fault| (fault, fault.stage(hash))) {
        Some((fault, Stage::Before)) => {
            let result = fate::refusal(fault).map_or_else(|| Ok(Success::no_content()), Err);
            Worked { result, fault: Some(fault), committed: false }
        }
        _ => {
            let result = work(fault);
            let committed = result.is_ok();
            Worked { result, fault, committed }
        }
    }
}

/// What leads past the work whatever it is.
fn misdirected(config: &Config, route: &Route<'_>, caller: Caller) -> Option<Problem> {
    let (organizer, target) = match route {
        Route::Meeting { .. } if config.kind == Kind::Webinar => {
            return Some(Problem::segment("registration"));
        }
        Route::Webinar { .. } if config.kind == Kind::Meeting => {
            return Some(Problem::segment("virtualEvents"));
        }
        Route::Meeting { organizer, meeting, .. } => (organizer.as_deref(), meeting),
        Route::Webinar { webinar, .. } => (Some(""), webinar),
        _ => return None,
    };
    match config.refuse {
        Some(Refusal::Forbidden) => return Some(Problem::forbidden("Forbidden")),
        Some(Refusal::AccessPolicy) => {
            let message = "App 00000000-0000-0000-0000-000000000000 is not authorized to Create \
                           meeting on behalf of user";
            let message = format!("{message} {}", meeting::organizer(config, organizer));
            return Some(Problem::new(StatusCode::FORBIDDEN, "Unauthorized", message));
        }
        Some(Refusal::Gone) => {
            let message = "The API has been retired.";
            return Some(Problem::new(StatusCode::GONE, "Gone", message));
        }
        Some(Refusal::NoData) | None => {}
    }
    if organizer.is_none() && caller == Caller::Application {
        return Some(Problem::bad_request(
            "/me request is only valid with delegated authentication flow.",
        ));
    }
    target
        .starts_with(&config.missing_prefix)
        .then(|| Problem::not_found(format!("The specified object was not found: '{target}'.")))
}

/// The kind of a call, as faults and counters know it.
fn scope(method: &Method, route: &Route<'_>) -> Scope {
    match (route, method) {
        (Route::Token | Route::DeviceCode, _) => Scope::Token,
        (Route::Meeting { part: MeetingPart::Registrants, .. }, &Method::POST) => Scope::Post,
        (Route::Meeting { part: MeetingPart::Registrants, .. }, _) => Scope::List,
        (Route::Meeting { part: MeetingPart::Registrant(_), .. }, &Method::DELETE) => Scope::Delete,
        _ => Scope::Read,
    }
}

/// The body of a call that must have one, of the type that it must have.
fn json_body<'a>(call: &Call<'a>) -> Result<&'a [u8], Problem> {
    let json = call
        .content_type
        .and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    if json {
        Ok(call.body)
    } else {
        Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            "The content type of the request must be application/json.",
        ))
    }
}
