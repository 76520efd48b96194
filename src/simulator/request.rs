//! One call as the simulator sees it: what is called, of which kind the call is, and the JSON of its
//! body, which is read strictly.

use std::borrow::Cow;

use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::{answer::Problem, fault::CallKind};

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct HttpCall<'a> {
    /// The method.
    pub method: &'a Method,
    /// Path and query, percent-encoded.
    pub target: &'a str,
    /// Scheme and host that were called, without a final slash: where a next page is.
    pub base: &'a str,
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The `client-request-id` header, echoed.
    pub client_request_id: Option<&'a str>,
    /// The `Content-Type` header.
    pub content_type: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// The counters.
    Stats,
    /// The books.
    Books,
    /// OAuth's token endpoint.
    Token,
    /// OAuth's device authorization endpoint.
    DeviceCode,
    /// The endpoint of a managed identity.
    ManagedIdentity,
    /// Something of a meeting's registration.
    Meeting {
        /// Whose meeting; `None` for `/me`.
        organizer: Option<Cow<'a, str>>,
        meeting: Cow<'a, str>,
        part: MeetingPart<'a>,
    },
    /// Something of a webinar.
    Webinar { webinar: Cow<'a, str>, part: WebinarPart<'a> },
    /// Nothing; this segment is where the way was lost.
    Nowhere(Cow<'a, str>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MeetingPart<'a> {
    Registration,
    Registrants,
    Registrant(Cow<'a, str>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WebinarPart<'a> {
    Event,
    Configuration,
    Questions,
    Registrations,
    Registration(Key<'a>),
    Sessions(Key<'a>),
    Cancel(Key<'a>),
}

/// How one registration of a webinar is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key<'a> {
    Id(Cow<'a, str>),
    Email(Cow<'a, str>),
    UserId(Cow<'a, str>),
}

/// A target's path and its query.
pub(super) fn split(target: &str) -> (&str, &str) {
    target.split_once('?').unwrap_or((target, ""))
}

/// The value of a query's parameter. A plus is a blank here, as in a form.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(found, _)| found == name)
        .map(|(_, value)| value.into_owned())
}

impl<'a> Route<'a> {
    /// Follows a path.
    pub(super) fn parse(path: &'a str) -> Self {
        let mut segments = Vec::with_capacity(8);
        for raw in path.strip_prefix('/').unwrap_or(path).split('/') {
            match percent_decode_str(raw).decode_utf8() {
                Ok(segment) => segments.push(segment),
                Err(_) => return Self::Nowhere(raw.into()),
            }
        }
        let names: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        let at = |index: usize| segments[index].clone();
        let nowhere = || Self::Nowhere(segments.last().cloned().unwrap_or_default());
        match names[..] {
            ["simulator", "stats"] => Self::Stats,
            ["simulator", "registrants"] => Self::Books,
            [_, "oauth2", "v2.0", "token"] => Self::Token,
            [_, "oauth2", "v2.0", "devicecode"] => Self::DeviceCode,
            ["metadata", "identity", "oauth2", "token"] | ["msi", "token"] => Self::ManagedIdentity,
            // The registration of meetings never reached v1.0.
            ["beta", "me", "onlineMeetings", _, "registration", ..] => {
                Self::meeting(None, &segments[3..]).unwrap_or_else(nowhere)
            }
            ["beta", "users", _, "onlineMeetings", _, "registration", ..] => {
                Self::meeting(Some(at(2)), &segments[4..]).unwrap_or_else(nowhere)
            }
            ["v1.0" | "beta", "solutions", "virtualEvents", "webinars", _, ..] => {
                match webinar_part(&segments[5..]) {
                    Some(part) => Self::Webinar { webinar: at(4), part },
                    None => nowhere(),
                }
            }
            _ => nowhere(),
        }
    }

    /// From the meeting's id on.
    fn meeting(organizer: Option<Cow<'a, str>>, rest: &[Cow<'a, str>]) -> Option<Self> {
        let part = match &rest[2..] {
            [] => MeetingPart::Registration,
            [name] if name == "registrants" => MeetingPart::Registrants,
            [name, id] if name == "registrants" && !id.is_empty() => {
                MeetingPart::Registrant(id.clone())
            }
            _ => return None,
        };
        Some(Self::Meeting { organizer, meeting: rest[0].clone(), part })
    }
}

/// From what follows the webinar's id.
fn webinar_part<'a>(rest: &[Cow<'a, str>]) -> Option<WebinarPart<'a>> {
    let names: Vec<&str> = rest.iter().map(AsRef::as_ref).collect();
    match names[..] {
        [] => Some(WebinarPart::Event),
        ["registrationConfiguration"] => Some(WebinarPart::Configuration),
        ["registrationConfiguration", "questions"] => Some(WebinarPart::Questions),
        ["registrations"] => Some(WebinarPart::Registrations),
        ["registrations", id, ..] if !id.is_empty() => {
            key_part(Key::Id(rest[1].clone()), &names[2..])
        }
        [alternate, ..] => key_part(alternate_key(alternate)?, &names[1..]),
    }
}

fn key_part<'a>(key: Key<'a>, rest: &[&str]) -> Option<WebinarPart<'a>> {
    match rest {
        [] => Some(WebinarPart::Registration(key)),
        ["sessions"] => Some(WebinarPart::Sessions(key)),
        ["cancel"] => Some(WebinarPart::Cancel(key)),
        _ => None,
    }
}

/// `registrations(email='…')` or `registrations(userId='…')`.
fn alternate_key(segment: &str) -> Option<Key<'static>> {
    let inner = segment.strip_prefix("registrations(")?.strip_suffix(')')?;
    let (name, literal) = inner.split_once('=')?;
    named_key(name, literal)
}

/// `email eq '…'` or `userId eq '…'`.
pub(super) fn filter(expression: &str) -> Option<Key<'static>> {
    let (name, rest) = expression.trim().split_once(' ')?;
    named_key(name, rest.trim_start().strip_prefix("eq ")?.trim())
}

fn named_key(name: &str, literal: &str) -> Option<Key<'static>> {
    let quoted = literal.strip_prefix('\'')?.strip_suffix('\'')?;
    // Inside an OData literal a quote is doubled; a lone one ends it too early.
    let text = quoted.replace("''", "\u{0}");
    if text.contains('\'') {
        return None;
    }
    let text = Cow::Owned(text.replace('\u{0}', "'"));
    match name.trim() {
        "email" => Some(Key::Email(text)),
        "userId" => Some(Key::UserId(text)),
        _ => None,
    }
}

/// The kind of a call, as faults and counters know it.
pub(super) fn scope(method: &Method, route: &Route<'_>) -> CallKind {
    match (route, method) {
        (Route::Token | Route::DeviceCode | Route::ManagedIdentity, _) => CallKind::Token,
        (
            Route::Meeting { part: MeetingPart::Registrants, .. }
            | Route::Webinar { part: WebinarPart::Registrations, .. },
            method,
        ) => match *method {
            Method::POST => CallKind::Post,
            _ => CallKind::List,
        },
        (Route::Meeting { part: MeetingPart::Registrant(_), .. }, &Method::DELETE)
        | (Route::Webinar { part: WebinarPart::Cancel(_), .. }, &Method::POST) => CallKind::Delete,
        _ => CallKind::Read,
    }
}

/// The body of a call that must have one, of the type that it must have.
pub(super) fn json_body<'a>(call: &HttpCall<'a>) -> Result<&'a [u8], Problem> {
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

pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    serde_json::from_slice(body)
        .map_err(|_| Problem::bad_request("Unable to read JSON request payload."))
}

/// `OData` refuses a member that the type does not declare.
pub(super) fn no_more(members: &Map<String, Value>, kind: &str) -> Result<(), Problem> {
    members.keys().next().map_or(Ok(()), |name| {
        Err(Problem::bad_request(format!(
            "The property '{name}' does not exist on type '{kind}'. Make sure to only use property \
             names that are defined by the type."
        )))
    })
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn both_forms_of_a_meetings_url_lead_to_its_registration() {
        let route = Route::parse("/beta/me/onlineMeetings/M%2B1/registration/registrants/a%2Fb");
        let expected = Route::Meeting {
            organizer: None,
            meeting: "M+1".into(),
            part: MeetingPart::Registrant("a/b".into()),
        };
        assert_eq!(route, expected);
        let route = Route::parse("/beta/users/u@x.org/onlineMeetings/M/registration");
        let expected = Route::Meeting {
            organizer: Some("u@x.org".into()),
            meeting: "M".into(),
            part: MeetingPart::Registration,
        };
        assert_eq!(route, expected);
    }

    #[test]
    fn a_wrong_path_leads_nowhere() {
        for path in [
            "/v1.0/me/onlineMeetings/M/registration",
            "/beta/me/onlineMeetings/M",
            "/beta/me/onlineMeetings/M/registration/registrants/",
            "/beta/me/onlineMeetings/M/registration/registrants/a/b",
            "/v1.0/solutions/virtualEvents/webinars/W/nothing",
            "/v1.0/solutions/virtualEvents/webinars/W/registrations(mail='a')",
            "/",
        ] {
            assert!(matches!(Route::parse(path), Route::Nowhere(_)), "{path}");
        }
    }

    #[test]
    fn a_webinars_registration_is_named_by_id_or_e_mail() {
        fn part(path: &str) -> WebinarPart<'_> {
            match Route::parse(path) {
                Route::Webinar { part, .. } => part,
                other => panic!("{path}: {other:?}"),
            }
        }
        let base = "/v1.0/solutions/virtualEvents/webinars/W";
        assert_eq!(part(base), WebinarPart::Event);
        assert_eq!(
            part(&format!("{base}/registrations/7/sessions")),
            WebinarPart::Sessions(Key::Id("7".into()))
        );
        assert_eq!(
            part(&format!("{base}/registrations(email='o''hara%40x.org')/cancel")),
            WebinarPart::Cancel(Key::Email("o'hara@x.org".into()))
        );
        assert_eq!(filter("email eq 'a@b.org'"), Some(Key::Email("a@b.org".into())));
        assert_eq!(filter("userId eq 'u'"), Some(Key::UserId("u".into())));
        for bad in ["email eq 'o'hara@x.org'", "status eq 'registered'", "email ne 'a'", ""] {
            assert_eq!(filter(bad), None, "{bad}");
        }
    }
}
