//! What the server holds, and the way of a call through it: token, API, outage, limit, fault, and
//! then the work.

use std::{collections::HashMap, time::Duration};

use http::{Method, StatusCode};

use super::{
    answer::{self, Problem, Success},
    chance,
    config::{ApiRefusal, Caller, Config, ServedApi},
    fault::{CallKind, FaultPoint, SimulatedFault},
    form::RegistrationForm,
    limit::{Quota, RateLimiter},
    meeting::{self, Posted, SimulatedMeeting},
    oauth::{Moment, TokenEndpoint},
    request::{HttpCall, MeetingPart, Route, WebinarPart, json_body, scope},
    stats::{Books, Stats},
    webinar::{self, RegistrationStatus, SimulatedWebinar},
};

/// Everything that changes.
#[derive(Debug)]
pub(super) struct ServerState {
    /// The latest time of any call.
    pub(super) now: Duration,
    writes: Option<RateLimiter>,
    reads: Option<RateLimiter>,
    /// Calls of each scope that no limit refused: the numbers that their faults are drawn for.
    numbers: [u64; CallKind::ALL.len()],
    pub(super) stats: Stats,
    pub(super) desk: TokenEndpoint,
    meetings: HashMap<String, SimulatedMeeting>,
    webinars: HashMap<String, SimulatedWebinar>,
}

/// What happened to a call.
pub(super) struct WorkResult {
    pub(super) result: Result<Success, Problem>,
    pub(super) fault: Option<SimulatedFault>,
    /// Whether the work was done.
    pub(super) committed: bool,
}

impl WorkResult {
    fn refused(problem: Problem) -> Self {
        Self { result: Err(problem), fault: None, committed: false }
    }
}

impl ServerState {
    pub(super) fn new(config: &Config) -> Self {
        let limiter =
            |limit: &Option<_>| limit.as_ref().map(|limit| RateLimiter::new(limit, config.seed));
        Self {
            now: Duration::ZERO,
            writes: limiter(&config.write_limit),
            reads: limiter(&config.read_limit),
            numbers: [0; CallKind::ALL.len()],
            stats: Stats::default(),
            desk: TokenEndpoint::default(),
            meetings: HashMap::new(),
            webinars: HashMap::new(),
        }
    }

    /// Takes a call all its way.
    pub(super) fn work(&mut self, errand: &RoutedCall<'_>, route: &Route<'_>) -> WorkResult {
        self.now = self.now.max(errand.now);
        let scope = scope(errand.call.method, route);
        match scope {
            CallKind::Post => self.stats.posts += 1,
            CallKind::List => self.stats.lists += 1,
            CallKind::Delete => self.stats.deletes += 1,
            CallKind::Read => self.stats.reads += 1,
            CallKind::Token => self.stats.token_calls += 1,
        }
        if scope == CallKind::Token {
            return self.oauth(errand, route);
        }
        let authorization = errand.call.authorization;
        let caller = self.desk.tokens.check(errand.config, authorization, errand.now);
        let passed = caller.and_then(|caller| {
            misdirected(errand.config, route, caller)?;
            in_service(errand, scope)?;
            self.within_limit(errand)?;
            Ok(caller)
        });
        match (passed, route) {
            (Err(problem), _) => WorkResult::refused(problem),
            (Ok(_), Route::Meeting { organizer, meeting, part }) => {
                self.meeting(errand, organizer.as_deref(), meeting, part, scope)
            }
            (Ok(caller), Route::Webinar { webinar, part }) => {
                let caller = caller.unwrap_or(errand.config.webinar.caller);
                self.webinar(errand, caller, webinar, part, scope)
            }
            (Ok(_), Route::Nowhere(segment)) => WorkResult::refused(Problem::segment(segment)),
            (Ok(_), _) => WorkResult::refused(Problem::method_not_allowed()),
        }
    }

    pub(super) fn set_write_quota(&mut self, quota: Quota) {
        let now = self.now;
        if let Some(limiter) = &mut self.writes {
            limiter.set_quota(now, quota);
        }
    }

    fn within_limit(&mut self, errand: &RoutedCall<'_>) -> Result<(), Problem> {
        let read = errand.call.method == Method::GET;
        let limiter = if read { self.reads.as_mut() } else { self.writes.as_mut() };
        limiter
            .map_or(Ok(()), |limiter| limiter.take(errand.now))
            .map_err(|wait| Problem::throttled(Some(wait)))
    }

    fn oauth(&mut self, errand: &RoutedCall<'_>, route: &Route<'_>) -> WorkResult {
        if let Err(problem) = in_service(errand, CallKind::Token) {
            return WorkResult::refused(problem);
        }
        let RoutedCall { config, call, now, .. } = *errand;
        let (hash, fault) = self.draw(config, CallKind::Token);
        let moment = Moment { config, base: call.base, now };
        let worked = struck(fault, hash, |_| match (route, call.method) {
            (Route::Token, &Method::POST) => Ok(self.desk.token(moment, call.body)),
            (Route::DeviceCode, &Method::POST) => Ok(self.desk.device_code(moment, call.body)),
            (Route::ManagedIdentity, &Method::GET) => {
                Ok(self.desk.managed_identity(moment, errand.query))
            }
            _ => Err(Problem::method_not_allowed()),
        });
        self.stats.tokens = self.desk.tokens.made;
        worked
    }

    fn meeting(
        &mut self,
        errand: &RoutedCall<'_>,
        organizer: Option<&str>,
        id: &str,
        part: &MeetingPart<'_>,
        scope: CallKind,
    ) -> WorkResult {
        let RoutedCall { config, call, .. } = *errand;
        let organizer = meeting::organizer(config, organizer);
        let context = meeting::MeetingContext {
            config,
            base: call.base,
            organizer,
            meeting: id,
            now: errand.now,
        };
        // A body that cannot be read has no id to draw a fault for.
        let posted = match scope {
            CallKind::Post => match json_body(call).and_then(Posted::parse) {
                Ok(posted) => Some(posted),
                Err(problem) => return WorkResult::refused(problem),
            },
            _ => None,
        };
        if !self.meetings.contains_key(id) {
            self.meetings.insert(id.to_owned(), SimulatedMeeting::new(config, id));
        }
        let drawn = posted.is_none().then(|| self.draw(config, scope));
        let meeting = self.meetings.get_mut(id).expect("inserted where it was missing");
        let (hash, fault) = match (&posted, drawn) {
            (Some(posted), _) => {
                let key = chance::text(config.seed, &posted.id);
                draw_for(config, key, &posted.id, meeting.attempt(key))
            }
            (None, drawn) => drawn.expect("drawn where nothing was posted"),
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
                let posted = posted.as_ref().expect("a POST of a registrant was read above");
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

    fn webinar(
        &mut self,
        errand: &RoutedCall<'_>,
        caller: Caller,
        id: &str,
        part: &WebinarPart<'_>,
        scope: CallKind,
    ) -> WorkResult {
        let RoutedCall { config, call, query, now, .. } = *errand;
        let context = webinar::WebinarContext { config, base: call.base, webinar: id, now };
        let form = match scope {
            CallKind::Post => {
                match json_body(call).and_then(|body| RegistrationForm::parse(body, caller)) {
                    Ok(form) => Some(form),
                    Err(problem) => return WorkResult::refused(problem),
                }
            }
            _ => None,
        };
        if !self.webinars.contains_key(id) {
            self.webinars.insert(id.to_owned(), SimulatedWebinar::new(config, id));
        }
        let drawn = form.is_none().then(|| self.draw(config, scope));
        let webinar = self.webinars.get_mut(id).expect("inserted where it was missing");
        let (hash, fault) = match (&form, drawn) {
            (Some(form), _) => {
                let key = chance::text(config.seed, &form.email.to_lowercase());
                draw_for(config, key, &form.email, webinar.attempt(key))
            }
            (None, drawn) => drawn.expect("drawn where nothing was posted"),
        };
        let stats = &mut self.stats;
        struck(fault, hash, |shape| match (part, call.method) {
            (WebinarPart::Event, &Method::GET) => Ok(webinar::show(&context)),
            (WebinarPart::Configuration, &Method::GET) => Ok(webinar::configuration(&context)),
            (WebinarPart::Questions, &Method::GET) => Ok(webinar::questions(&context)),
            (WebinarPart::Registrations, &Method::GET) => {
                webinar.list(&context, errand.path, query)
            }
            (WebinarPart::Registrations, &Method::POST) => {
                let form = form.as_ref().expect("a POST of a registration was read above");
                webinar.register(&context, caller, form, stats)
            }
            (WebinarPart::Registration(key), &Method::GET) => {
                webinar.one(&context, key, query, shape)
            }
            (WebinarPart::Sessions(key), &Method::GET) => webinar.sessions(&context, key, shape),
            (WebinarPart::Cancel(key), &Method::POST) => webinar.cancel(&context, key, stats),
            _ => Err(Problem::method_not_allowed()),
        })
    }

    /// The fault of the next call of a scope.
    fn draw(&mut self, config: &Config, scope: CallKind) -> (u64, Option<SimulatedFault>) {
        let number = &mut self.numbers[scope as usize];
        *number += 1;
        let hash = chance::pair(chance::pair(config.seed, scope as u64), *number);
        (hash, config.faults.draw(scope, hash))
    }

    /// Counts the outcome; says whether it is a throttled one.
    pub(super) fn count(&mut self, worked: &WorkResult) -> bool {
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

    pub(super) fn enrolled(&self) -> usize {
        let meetings = self.meetings.values().map(SimulatedMeeting::len);
        meetings.chain(self.webinars.values().map(SimulatedWebinar::len)).sum()
    }

    pub(super) fn books(&self, config: &Config) -> Books {
        let mut registrants = Vec::with_capacity(self.enrolled());
        let mut meetings: Vec<_> = self.meetings.iter().collect();
        meetings.sort_by_key(|(id, _)| *id);
        for (id, meeting) in meetings {
            meeting.books(config, id, &mut registrants);
        }
        let mut webinars: Vec<_> = self.webinars.iter().collect();
        webinars.sort_by_key(|(id, _)| *id);
        for (webinar, entries) in webinars {
            let context = webinar::WebinarContext { config, base: "", webinar, now: self.now };
            entries.books(&context, &mut registrants);
        }
        Books { registrants }
    }

    pub(super) fn decide(
        &mut self,
        config: &Config,
        webinar: &str,
        email: &str,
        status: RegistrationStatus,
    ) -> bool {
        let context = webinar::WebinarContext { config, base: "", webinar, now: self.now };
        self.webinars.get_mut(webinar).is_some_and(|w| w.decide(&context, email, status))
    }
}

/// The fault of an attempt on somebody: the same however the calls of others fall between.
fn draw_for(config: &Config, key: u64, id: &str, attempt: u32) -> (u64, Option<SimulatedFault>) {
    let hash = chance::pair(key, attempt.into());
    let scripted = config.faults.scripted(id, attempt);
    (hash, scripted.or_else(|| config.faults.draw(CallKind::Post, hash)))
}

/// Does the work, unless a fault comes before it.
fn struck(
    fault: Option<SimulatedFault>,
    hash: u64,
    work: impl FnOnce(Option<SimulatedFault>) -> Result<Success, Problem>,
) -> WorkResult {
    // The draw that chose the fault must not choose its form as well.
    let before = fault.filter(|fault| fault.stage(chance::mix(hash)) == FaultPoint::Before);
    if let Some(fault) = before {
        let result = answer::refusal(fault).map_or_else(|| Ok(Success::no_content()), Err);
        return WorkResult { result, fault: Some(fault), committed: false };
    }
    let result = work(fault);
    let committed = result.is_ok();
    WorkResult { result, fault, committed }
}

/// A call with what was found out about it.
pub(super) struct RoutedCall<'a> {
    pub(super) config: &'a Config,
    pub(super) call: &'a HttpCall<'a>,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) now: Duration,
}

/// Refuses calls in an outage.
pub(super) fn in_service(errand: &RoutedCall<'_>, scope: CallKind) -> Result<(), Problem> {
    if errand.config.faults.out(scope, errand.now) {
        return Err(Problem::server(StatusCode::SERVICE_UNAVAILABLE, None));
    }
    Ok(())
}

/// Refuses what cannot come to any work, whatever it is.
pub(super) fn misdirected(
    config: &Config,
    route: &Route<'_>,
    caller: Option<Caller>,
) -> Result<(), Problem> {
    let (organizer, target) = match route {
        Route::Meeting { .. } if config.kind == ServedApi::Webinar => {
            return Err(Problem::segment("registration"));
        }
        Route::Webinar { .. } if config.kind == ServedApi::Meeting => {
            return Err(Problem::segment("virtualEvents"));
        }
        Route::Meeting { organizer, meeting, .. } => (organizer.as_deref(), meeting),
        Route::Webinar { webinar, .. } => (Some("organizer"), webinar),
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
    if !config.missing_prefix.is_empty() && target.starts_with(&config.missing_prefix) {
        let message = format!("The specified object was not found: '{target}'.");
        return Err(Problem::not_found(message));
    }
    Ok(())
}
