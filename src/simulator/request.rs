//! One call as the simulator sees it: what is called, of which kind the call is, and the JSON of its
//! body, which is read strictly.

use std::time::Duration;

use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::{
    answer::Problem,
    config::{Config, EventCall},
    fault::CallKind,
};
use crate::registrant::EventKind;

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct HttpCall<'a> {
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
    pub body: &'a [u8],
}

/// A call with what was found out about it.
pub(super) struct RoutedCall<'a> {
    pub(super) config: &'a Config,
    pub(super) http: &'a HttpCall<'a>,
    pub(super) route: Route,
    pub(super) kind: CallKind,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    /// When it reached the server.
    pub(super) now: Duration,
}

impl<'a> RoutedCall<'a> {
    pub(super) fn new(config: &'a Config, http: &'a HttpCall<'a>, now: Duration) -> Self {
        let (path, query) = http.target.split_once('?').unwrap_or((http.target, ""));
        let route = Route::parse(path);
        let kind = route.kind(http.method);
        Self { config, http, route, kind, path, query, now }
    }
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// The counters.
    Stats,
    Books,
    /// OAuth's token endpoint.
    Token,
    /// OAuth's device authorization endpoint.
    DeviceCode,
    /// The endpoint of a managed identity.
    ManagedIdentity,
    /// Something of a meeting's registration; without an organizer the meeting is `/me`'s.
    Meeting {
        organizer: Option<String>,
        meeting: String,
        part: MeetingPart,
    },
    /// Something of a webinar or town hall.
    Event {
        kind: EventKind,
        event: String,
        part: EventPart,
    },
    /// Nothing; this segment is unknown.
    Nowhere(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MeetingPart {
    Registration,
    Registrants,
    Registrant(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EventPart {
    Itself,
    Configuration,
    Questions,
    Registrations,
    Registration(Key),
    Sessions(Key),
    Cancel(Key),
}

impl EventPart {
    /// The kind of call that this is.
    pub(super) fn call(&self, method: &Method) -> EventCall {
        match self {
            Self::Itself => EventCall::Event,
            Self::Configuration => EventCall::Configuration,
            Self::Questions => EventCall::Questions,
            Self::Registrations if method == Method::POST => EventCall::Create,
            Self::Registrations => EventCall::List,
            Self::Registration(_) => EventCall::Registration,
            Self::Sessions(_) => EventCall::Sessions,
            Self::Cancel(_) => EventCall::Cancel,
        }
    }
}

/// How one registration of a webinar is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Id(String),
    Email(String),
    UserId(String),
}

impl Route {
    fn parse(path: &str) -> Self {
        let mut segments = Vec::with_capacity(8);
        for raw in path.strip_prefix('/').unwrap_or(path).split('/') {
            match percent_decode_str(raw).decode_utf8() {
                Ok(segment) => segments.push(segment),
                Err(_) => return Self::Nowhere(raw.to_owned()),
            }
        }
        let names: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        let route = match names.as_slice() {
            ["simulator", "stats"] => Some(Self::Stats),
            ["simulator", "registrants"] => Some(Self::Books),
            [_, "oauth2", "v2.0", "token"] => Some(Self::Token),
            [_, "oauth2", "v2.0", "devicecode"] => Some(Self::DeviceCode),
            ["metadata", "identity", "oauth2", "token"] | ["msi", "token"] => {
                Some(Self::ManagedIdentity)
            }
            // The registration of meetings never reached v1.0.
            ["beta", "me", "onlineMeetings", meeting, "registration", rest @ ..] => {
                Self::meeting(None, meeting, rest)
            }
            ["beta", "users", user, "onlineMeetings", meeting, "registration", rest @ ..] => {
                Self::meeting(Some(user), meeting, rest)
            }
            ["v1.0" | "beta", "solutions", "virtualEvents", collection, event, rest @ ..] => {
                [EventKind::Webinar, EventKind::TownHall]
                    .into_iter()
                    .find(|kind| kind.collection() == *collection)
                    .zip(event_part(rest))
                    .map(|(kind, part)| Self::Event { kind, event: (*event).to_owned(), part })
            }
            _ => None,
        };
        route.unwrap_or_else(|| Self::Nowhere(names[names.len() - 1].to_owned()))
    }

    fn meeting(organizer: Option<&str>, meeting: &str, rest: &[&str]) -> Option<Self> {
        let part = match rest {
            [] => MeetingPart::Registration,
            ["registrants"] => MeetingPart::Registrants,
            ["registrants", id] if !id.is_empty() => MeetingPart::Registrant((*id).to_owned()),
            _ => return None,
        };
        let organizer = organizer.map(str::to_owned);
        Some(Self::Meeting { organizer, meeting: meeting.to_owned(), part })
    }

    /// The kind of a call of this, as faults and counters know it.
    fn kind(&self, method: &Method) -> CallKind {
        match (self, method) {
            (Self::Token | Self::DeviceCode | Self::ManagedIdentity, _) => CallKind::Token,
            (
                Self::Meeting { part: MeetingPart::Registrants, .. }
                | Self::Event { part: EventPart::Registrations, .. },
                method,
            ) => match *method {
                Method::POST => CallKind::Post,
                _ => CallKind::List,
            },
            (Self::Meeting { part: MeetingPart::Registrant(_), .. }, &Method::DELETE)
            | (Self::Event { part: EventPart::Cancel(_), .. }, &Method::POST) => CallKind::Delete,
            _ => CallKind::Read,
        }
    }
}

/// From what follows the webinar's id.
fn event_part(rest: &[&str]) -> Option<EventPart> {
    let (key, rest) = match rest {
        [] => return Some(EventPart::Itself),
        ["registrationConfiguration"] => return Some(EventPart::Configuration),
        ["registrationConfiguration", "questions"] => return Some(EventPart::Questions),
        ["registrations"] => return Some(EventPart::Registrations),
        ["registrations", id, rest @ ..] if !id.is_empty() => (Key::Id((*id).to_owned()), rest),
        // `registrations(email='…')` or `registrations(userId='…')`
        [alternate, rest @ ..] => {
            let inner = alternate.strip_prefix("registrations(")?.strip_suffix(')')?;
            let (name, literal) = inner.split_once('=')?;
            (named_key(name, literal)?, rest)
        }
    };
    match rest {
        [] => Some(EventPart::Registration(key)),
        ["sessions"] => Some(EventPart::Sessions(key)),
        ["cancel"] => Some(EventPart::Cancel(key)),
        _ => None,
    }
}

/// `email eq '…'` or `userId eq '…'`.
pub(super) fn filter(expression: &str) -> Option<Key> {
    let (name, rest) = expression.trim().split_once(' ')?;
    named_key(name, rest.trim_start().strip_prefix("eq ")?.trim())
}

fn named_key(name: &str, literal: &str) -> Option<Key> {
    let quoted = literal.strip_prefix('\'')?.strip_suffix('\'')?;
    // Inside an OData literal a quote is doubled; a lone one ends it too early.
    let text = quoted.replace("''", "\u{0}");
    if text.contains('\'') {
        return None;
    }
    let text = text.replace('\u{0}', "'");
    match name.trim() {
        "email" => Some(Key::Email(text)),
        "userId" => Some(Key::UserId(text)),
        _ => None,
    }
}

/// The value of a query's parameter. A plus is a blank here, as in a form.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(found, _)| found == name)
        .map(|(_, value)| value.into_owned())
}

/// The members of a body that must be a JSON object.
pub(super) fn json_object(call: &HttpCall<'_>) -> Result<Map<String, Value>, Problem> {
    let kind = call.content_type.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            "The content type of the request must be application/json.",
        ));
    }
    serde_json::from_slice(call.body)
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
        fn part(path: &str) -> EventPart {
            match Route::parse(path) {
                Route::Event { part, .. } => part,
                other => panic!("{path}: {other:?}"),
            }
        }
        let base = "/v1.0/solutions/virtualEvents/webinars/W";
        assert_eq!(part(base), EventPart::Itself);
        assert_eq!(
            part(&format!("{base}/registrations/7/sessions")),
            EventPart::Sessions(Key::Id("7".into()))
        );
        assert_eq!(
            part(&format!("{base}/registrations(email='o''hara%40x.org')/cancel")),
            EventPart::Cancel(Key::Email("o'hara@x.org".into()))
        );
        assert_eq!(filter("email eq 'a@b.org'"), Some(Key::Email("a@b.org".into())));
        assert_eq!(filter("userId eq 'u'"), Some(Key::UserId("u".into())));
        for bad in ["email eq 'o'hara@x.org'", "status eq 'registered'", "email ne 'a'", ""] {
            assert_eq!(filter(bad), None, "{bad}");
        }
    }
}
