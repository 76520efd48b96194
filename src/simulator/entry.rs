//! What is decided about a call before anything is asked of a meeting or a webinar.

use std::time::Duration;

use http::{Method, StatusCode};

use super::{
    call::Call,
    config::{Caller, Config, Kind, Refusal},
    fault::Scope,
    meeting,
    problem::Problem,
    route::{MeetingPart, Route, WebinarPart},
};

/// A call with what was found out about it.
pub(super) struct Errand<'a> {
    pub(super) config: &'a Config,
    pub(super) call: &'a Call<'a>,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) now: Duration,
}

/// Refuses calls in an outage.
pub(super) fn in_service(errand: &Errand<'_>, scope: Scope) -> Result<(), Problem> {
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
        Route::Meeting { .. } if config.kind == Kind::Webinar => {
            return Err(Problem::segment("registration"));
        }
        Route::Webinar { .. } if config.kind == Kind::Meeting => {
            return Err(Problem::segment("virtualEvents"));
        }
        Route::Meeting { organizer, meeting, .. } => (organizer.as_deref(), meeting),
        Route::Webinar { webinar, .. } => (Some("organizer"), webinar),
        _ => return Ok(()),
    };
    match config.refuse {
        Some(Refusal::Forbidden) => return Err(Problem::forbidden("Forbidden")),
        Some(Refusal::AccessPolicy) => {
            return Err(Problem::access_policy(meeting::organizer(config, organizer)));
        }
        Some(Refusal::Gone) => {
            return Err(Problem::new(StatusCode::GONE, "Gone", "The API has been retired."));
        }
        Some(Refusal::NoData) | None => {}
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

/// The kind of a call, as faults and counters know it.
pub(super) fn scope(method: &Method, route: &Route<'_>) -> Scope {
    match (route, method) {
        (Route::Token | Route::DeviceCode | Route::ManagedIdentity, _) => Scope::Token,
        (
            Route::Meeting { part: MeetingPart::Registrants, .. }
            | Route::Webinar { part: WebinarPart::Registrations, .. },
            method,
        ) => match *method {
            Method::POST => Scope::Post,
            _ => Scope::List,
        },
        (Route::Meeting { part: MeetingPart::Registrant(_), .. }, &Method::DELETE)
        | (Route::Webinar { part: WebinarPart::Cancel(_), .. }, &Method::POST) => Scope::Delete,
        _ => Scope::Read,
    }
}

/// The body of a call that must have one, of the type that it must have.
pub(super) fn json_body<'a>(call: &Call<'a>) -> Result<&'a [u8], Problem> {
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
