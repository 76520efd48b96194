//! What the server holds, and the way of a call through it: token, API, outage, limit, fault, and
//! then the work.

use std::{collections::BTreeMap, time::Duration};

use http::{Method, StatusCode};
use strum::VariantArray as _;

use super::{
    answer::{self, Problem, Success},
    chance,
    config::{ApiRefusal, Caller, Config, EventQuestion, ServedApi},
    event::{EventContext, SimulatedEvent},
    fault::{CallKind, SimulatedFault},
    form::RegistrationForm,
    limit::RateLimiter,
    meeting::{self, MeetingContext, Posted, SimulatedMeeting},
    oauth::{IssuedTokens, TokenContext, TokenEndpoint},
    request::{EventPart, MeetingPart, Route, RoutedCall, json_object},
    stats::{Books, RegistrationStatus, Stats},
};
use crate::registrant::EventKind;

/// Everything that changes.
#[derive(Debug)]
pub(super) struct ServerState {
    /// The latest time of any call.
    pub(super) now: Duration,
    pub(super) stats: Stats,
    writes: Option<RateLimiter>,
    reads: Option<RateLimiter>,
    numbers: CallNumbers,
    tokens: TokenEndpoint,
    meetings: BTreeMap<String, SimulatedMeeting>,
    events: BTreeMap<String, SimulatedEvent>,
    /// What every webinar asks.
    pub(super) questions: Vec<EventQuestion>,
}

/// Calls of each kind that no limit refused: the numbers that their faults are drawn for.
type CallNumbers = [u64; CallKind::VARIANTS.len()];

/// What happened to a call.
pub(super) struct WorkResult {
    pub(super) result: Result<Success, Problem>,
    pub(super) fault: Option<SimulatedFault>,
}

impl WorkResult {
    pub(super) fn throttled(&self) -> bool {
        matches!(&self.result, Err(problem) if problem.status == StatusCode::TOO_MANY_REQUESTS)
    }
}

impl ServerState {
    pub(super) fn new(config: &Config) -> Self {
        let limiter =
            |limit: &Option<_>| limit.as_ref().map(|limit| RateLimiter::new(limit, config.seed));
        Self {
            now: Duration::ZERO,
            stats: Stats::default(),
            writes: limiter(&config.write_limit),
            reads: limiter(&config.read_limit),
            numbers: CallNumbers::default(),
            tokens: TokenEndpoint::default(),
            meetings: BTreeMap::new(),
            events: BTreeMap::new(),
            questions: config.event.questions.clone(),
        }
    }

    /// Takes a call all its way.
    pub(super) fn work(&mut self, call: &RoutedCall<'_>) -> WorkResult {
        self.now = self.now.max(call.now);
        self.stats.count_arrival(call.kind);
        let work = self.admit(call).and_then(|caller| self.dispatch(call, caller));
        let work = work.unwrap_or_else(|problem| WorkResult { result: Err(problem), fault: None });
        self.stats.count_outcome(work.fault, work.result.as_ref().err().map(|p| p.status));
        work
    }

    /// What decides about a call whatever it asks for; says who calls, where the token tells.
    fn admit(&mut self, call: &RoutedCall<'_>) -> Result<Option<Caller>, Problem> {
        let RoutedCall { config, http, now, .. } = *call;
        let is_token_call = call.kind == CallKind::Token;
        let mut caller = None;
        if !is_token_call {
            caller = IssuedTokens::check(config, http.authorization, now)?;
            misdirected(config, &call.route, caller)?;
        }
        if config.faults.out(call.kind, now) {
            return Err(Problem::server(StatusCode::SERVICE_UNAVAILABLE));
        }
        let limiter = if http.method == Method::GET { &mut self.reads } else { &mut self.writes };
        if let Some(limiter) = limiter.as_mut().filter(|_| !is_token_call) {
            limiter.take(now).map_err(Problem::throttled)?;
        }
        Ok(caller)
    }

    fn dispatch(
        &mut self,
        call: &RoutedCall<'_>,
        caller: Option<Caller>,
    ) -> Result<WorkResult, Problem> {
        match &call.route {
            Route::Token | Route::DeviceCode | Route::ManagedIdentity => Ok(self.oauth(call)),
            Route::Meeting { organizer, meeting, part } => {
                self.meeting(call, organizer.as_deref(), meeting, part)
            }
            Route::Event { kind, event, part } => {
                let caller = caller.unwrap_or(call.config.event.caller);
                self.event(call, caller, (*kind, event), part)
            }
            Route::Nowhere(segment) => Err(Problem::segment(segment)),
            Route::Stats | Route::Books => Err(Problem::method_not_allowed()),
        }
    }

    fn oauth(&mut self, call: &RoutedCall<'_>) -> WorkResult {
        let RoutedCall { config, http, now, .. } = *call;
        let context = TokenContext { config, base: http.base, now };
        let drawn = draw(config, call.kind, &mut self.numbers);
        let work = struck(drawn, |_, _| match (&call.route, http.method) {
            (Route::Token, &Method::POST) => Ok(self.tokens.token(context, http.body)),
            (Route::DeviceCode, &Method::POST) => Ok(self.tokens.device_code(context, http.body)),
            (Route::ManagedIdentity, &Method::GET) => {
                Ok(self.tokens.managed_identity(context, call.query))
            }
            _ => Err(Problem::method_not_allowed()),
        });
        self.stats.tokens = self.tokens.issued.made;
        work
    }

    fn meeting(
        &mut self,
        call: &RoutedCall<'_>,
        organizer: Option<&str>,
        id: &str,
        part: &MeetingPart,
    ) -> Result<WorkResult, Problem> {
        let RoutedCall { config, http, now, .. } = *call;
        let organizer = meeting::organizer(config, organizer);
        let context = MeetingContext { config, base: http.base, organizer, meeting: id, now };
        // A body that cannot be read has no id to draw a fault for.
        let posted = (call.kind == CallKind::Post)
            .then(|| json_object(http).and_then(Posted::parse))
            .transpose()?;
        let meeting =
            self.meetings.entry(id.to_owned()).or_insert_with(|| SimulatedMeeting::new(config, id));
        let drawn = match &posted {
            Some(posted) => {
                let key = chance::text(config.seed, &posted.id);
                draw_for(config, key, &posted.id, meeting.people.attempt(key))
            }
            None => draw(config, call.kind, &mut self.numbers),
        };
        let stats = &mut self.stats;
        Ok(struck(drawn, |fault, hash| match (part, http.method, &posted) {
            (MeetingPart::Registration, &Method::GET, _) => meeting.show(&context),
            (MeetingPart::Registration, &Method::POST, _) => {
                meeting.enable(&context, json_object(http)?)
            }
            (MeetingPart::Registration, &Method::DELETE, _) => meeting.disable(),
            (MeetingPart::Registrants, &Method::GET, _) => {
                meeting.list(&context, call.path, call.query)
            }
            (MeetingPart::Registrants, &Method::POST, Some(posted)) => {
                meeting.enrol(&context, posted, fault, hash, stats)
            }
            (MeetingPart::Registrant(id), &Method::GET, _) => meeting.one(&context, id),
            (MeetingPart::Registrant(id), &Method::DELETE, _) => {
                meeting.remove(&context, id, stats)
            }
            _ => Err(Problem::method_not_allowed()),
        }))
    }

    fn event(
        &mut self,
        call: &RoutedCall<'_>,
        caller: Caller,
        (kind, id): (EventKind, &str),
        part: &EventPart,
    ) -> Result<WorkResult, Problem> {
        let RoutedCall { config, http, query, now, .. } = *call;
        let questions = self.questions.as_slice();
        let context = EventContext { config, kind, event: id, now, questions };
        let form = (call.kind == CallKind::Post)
            .then(|| json_object(http).and_then(|body| RegistrationForm::parse(body, caller)))
            .transpose()?;
        if config.forbid.contains(&part.call(http.method)) {
            return Err(Problem::forbidden("The application may not make this call."));
        }
        let new = || SimulatedEvent::new(config, kind, id);
        let event = self.events.entry(id.to_owned()).or_insert_with(new);
        if event.kind != kind {
            return Err(Problem::not_found("The virtual event was not found."));
        }
        let drawn = match &form {
            Some(form) => {
                let key = chance::text(config.seed, &form.email.to_lowercase());
                draw_for(config, key, &form.email, event.people.attempt(key))
            }
            None => draw(config, call.kind, &mut self.numbers),
        };
        let stats = &mut self.stats;
        Ok(struck(drawn, |fault, _| match (part, http.method, &form) {
            (EventPart::Itself, &Method::GET, _) => Ok(context.event()),
            (EventPart::Configuration, &Method::GET, _) => Ok(context.configuration()),
            (EventPart::Questions, &Method::GET, _) => Ok(context.questions()),
            (EventPart::Registrations, &Method::GET, _) => {
                event.list(&context, http.base, call.path, query)
            }
            (EventPart::Registrations, &Method::POST, Some(form)) => {
                event.register(&context, caller, form, stats)
            }
            (EventPart::Registration(key), &Method::GET, _) => {
                event.one(&context, key, query, fault)
            }
            (EventPart::Sessions(key), &Method::GET, _) => event.sessions(&context, key, fault),
            (EventPart::Cancel(key), &Method::POST, _) => event.cancel(&context, key, stats),
            _ => Err(Problem::method_not_allowed()),
        }))
    }

    pub(super) fn enrolled(&self) -> usize {
        let meetings = self.meetings.values().map(|meeting| meeting.people.present(0).count());
        meetings.chain(self.events.values().map(SimulatedEvent::len)).sum()
    }

    pub(super) fn books(&self, config: &Config) -> Books {
        let mut registrants = Vec::new();
        for (id, meeting) in &self.meetings {
            registrants.extend(meeting.books(id));
        }
        for (event, entries) in &self.events {
            let questions = self.questions.as_slice();
            let context =
                EventContext { config, kind: entries.kind, event, now: self.now, questions };
            registrants.extend(entries.books(context));
        }
        Books { registrants }
    }

    pub(super) fn decide(
        &mut self,
        config: &Config,
        event: &str,
        email: &str,
        status: Option<RegistrationStatus>,
    ) -> bool {
        let found = self.events.get_mut(event);
        found.is_some_and(|event| event.decide(config, email, status))
    }
}

/// Refuses what cannot come to any work, whatever it is.
fn misdirected(config: &Config, route: &Route, caller: Option<Caller>) -> Result<(), Problem> {
    let (organizer, target) = match route {
        Route::Meeting { .. } if config.kind == ServedApi::Event => {
            return Err(Problem::segment("registration"));
        }
        Route::Event { .. } if config.kind == ServedApi::Meeting => {
            return Err(Problem::segment("virtualEvents"));
        }
        Route::Meeting { organizer, meeting, .. } => (organizer.as_deref(), meeting),
        Route::Event { event, .. } => (Some("organizer"), event),
        _ => return Ok(()),
    };
    match config.refuse {
        Some(ApiRefusal::Forbidden) => return Err(Problem::forbidden("Forbidden")),
        Some(ApiRefusal::AccessPolicy) => {
            return Err(Problem::access_policy(meeting::organizer(config, organizer)));
        }
        Some(ApiRefusal::Gone) => {
            return Err(Problem::new(StatusCode::GONE, "Gone", "The API has been retired."));
        }
        Some(ApiRefusal::NoData) | None => {}
    }
    if organizer.is_none() && caller == Some(Caller::Application) {
        return Err(Problem::bad_request(
            "/me request is only valid with delegated authentication flow.",
        ));
    }
    if target.starts_with(MISSING) {
        let message = format!("The specified object was not found: '{target}'.");
        return Err(Problem::not_found(message));
    }
    Ok(())
}

/// Meetings and events whose id begins so do not exist.
const MISSING: &str = "missing";

/// A fault, if any strikes, and the number that decides what the fault leaves open.
type DrawnFault = (Option<SimulatedFault>, u64);

/// The fault of the next call of a kind.
fn draw(config: &Config, kind: CallKind, numbers: &mut CallNumbers) -> DrawnFault {
    let number = &mut numbers[kind as usize];
    *number += 1;
    let hash = chance::pair(chance::pair(config.seed, kind as u64), *number);
    (config.faults.draw(kind, hash), hash)
}

/// The fault of an attempt on somebody: the same however the calls of others fall between.
fn draw_for(config: &Config, key: u64, id: &str, attempt: u32) -> DrawnFault {
    let hash = chance::pair(key, attempt.into());
    let scripted = config.faults.scripted(id, attempt);
    (scripted.or_else(|| config.faults.draw(CallKind::Post, hash)), hash)
}

/// Does the work, unless a fault comes before it.
fn struck(
    (fault, hash): DrawnFault,
    work: impl FnOnce(Option<SimulatedFault>, u64) -> Result<Success, Problem>,
) -> WorkResult {
    // The draw that chose the fault must not choose its form as well.
    let before = fault.filter(|fault| fault.comes_before_work(chance::mix(hash)));
    let result = match before {
        Some(fault) => answer::refusal(fault).map_or_else(|| Ok(Success::no_content()), Err),
        None => work(fault, hash),
    };
    WorkResult { result, fault }
}
