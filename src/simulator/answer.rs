//! What comes back from a call: the work's result or a refusal, the answer that is made of it, and what
//! a fault makes of the answer.
//!
//! The codes of refusals are those of the communications service (`BadRequest`, `NotFound`, …), the
//! shapes those of the examples in the Microsoft Graph documentation ("Throttling", "Error responses").

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;
use uuid::Uuid;

use super::{config::RetryAfterForm, fault::SimulatedFault};

/// What becomes of a call.
#[derive(Clone, Debug)]
pub struct Reply {
    /// How long after the call reached the server the caller has it.
    pub delay: Duration,
    /// What the caller has then.
    pub fate: Delivery,
}

/// What a caller gets.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// An answer, whole.
    Answer(HttpAnswer),
    /// No connection in the first place.
    NoConnection,
    /// The connection is reset before a byte of an answer.
    Reset {
        /// Whether the call was processed.
        committed: bool,
    },
    /// The connection breaks when `sent` bytes of the body are out.
    CutBody {
        /// What should have come.
        answer: HttpAnswer,
        /// How much of the body comes.
        sent: usize,
    },
    /// The body comes at one byte a second.
    SlowBody(HttpAnswer),
    /// The headers come, the body never does.
    Silence(HttpAnswer),
    /// Nothing ever comes.
    Stall,
    /// After the headers, this many bytes of nonsense.
    Flood {
        /// The headers.
        answer: HttpAnswer,
        /// The length of the body.
        bytes: u64,
    },
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// What a service makes of a call that succeeds.
pub(super) struct Success {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

impl Success {
    /// An answer with this JSON.
    pub(super) fn json(status: StatusCode, body: &impl serde::Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("an answer of our own is always JSON");
        Self { status, body }
    }

    /// 204.
    pub(super) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: Vec::new() }
    }
}

/// A refusal.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Conflict", message)
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message)
    }

    /// No application access policy for this organizer. Microsoft's page ("Configure application
    /// access to online meetings") gives the body, not the status.
    pub(super) fn access_policy(organizer: Uuid) -> Self {
        let app = Uuid::nil();
        let message =
            format!("App {app} is not authorized to Create meeting on behalf of user {organizer}");
        Self::new(StatusCode::FORBIDDEN, "Unauthorized", message)
    }

    pub(super) fn throttled(retry_after: Option<Duration>) -> Self {
        Self {
            retry_after,
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "TooManyRequests",
                "Please retry again later.",
            )
        }
    }

    pub(super) fn server(status: StatusCode, retry_after: Option<Duration>) -> Self {
        let (code, message) = match status {
            StatusCode::BAD_GATEWAY => ("BadGateway", "Bad Gateway"),
            StatusCode::SERVICE_UNAVAILABLE => ("ServiceUnavailable", "Service Unavailable"),
            StatusCode::GATEWAY_TIMEOUT => ("GatewayTimeout", "Gateway Timeout"),
            _ => ("InternalServerError", "Internal Server Error"),
        };
        Self { retry_after, ..Self::new(status, code, message) }
    }

    /// `OData`'s answer to a path that leads nowhere.
    pub(super) fn segment(segment: &str) -> Self {
        Self::bad_request(format!("Resource not found for the segment '{segment}'."))
    }

    pub(super) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "Request_BadRequest",
            "Specified HTTP method is not allowed for the request target.",
        )
    }

    /// The body, as Graph writes it.
    pub(super) fn body(&self, at: SystemTime, request: Uuid, client_request: &str) -> Vec<u8> {
        let date = jiff::Timestamp::try_from(at)
            .map(|at| at.strftime("%Y-%m-%dT%H:%M:%S").to_string())
            .unwrap_or_default();
        let mut inner = json!({
            "date": date,
            "request-id": request,
            "client-request-id": client_request,
        });
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            inner["code"] = json!("429");
            inner["status"] = json!("429");
            inner["message"] = json!("Please retry after");
        }
        json!({"error": {"code": self.code, "message": self.message, "innerError": inner}})
            .to_string()
            .into_bytes()
    }
}

/// How long the 429 and 503 of a fault ask to wait.
const FAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Larger than any bound that a client should put on an answer.
const GIANT: u64 = 1 << 30;

/// What every answer says about itself.
pub(super) struct AnswerContext<'a> {
    pub(super) at: SystemTime,
    pub(super) request_id: Uuid,
    pub(super) client_request_id: Option<&'a str>,
    pub(super) retry_after: RetryAfterForm,
}

/// The refusal that stands for a fault before the work, where it is an answer at all.
pub(super) fn refusal(fault: SimulatedFault) -> Option<Problem> {
    let wait = Some(FAULT_RETRY_AFTER);
    Some(match fault {
        SimulatedFault::Refused => Problem::bad_request("The registrant is invalid."),
        SimulatedFault::ExpiredToken => {
            Problem::unauthorized("Lifetime validation failed, the token is expired.")
        }
        SimulatedFault::Throttled => Problem::throttled(wait),
        SimulatedFault::ServerError => Problem::server(StatusCode::INTERNAL_SERVER_ERROR, None),
        SimulatedFault::BadGateway => Problem::server(StatusCode::BAD_GATEWAY, None),
        SimulatedFault::Unavailable => Problem::server(StatusCode::SERVICE_UNAVAILABLE, None),
        SimulatedFault::UnavailableRetryAfter => {
            Problem::server(StatusCode::SERVICE_UNAVAILABLE, wait)
        }
        SimulatedFault::GatewayTimeout => Problem::server(StatusCode::GATEWAY_TIMEOUT, None),
        _ => return None,
    })
}

/// The faults that need an answer with a body; one without has nothing to spoil.
fn within_body(mut answer: HttpAnswer, fault: SimulatedFault) -> Delivery {
    if answer.body.is_empty() {
        return Delivery::Answer(answer);
    }
    match fault {
        SimulatedFault::SlowBody => Delivery::SlowBody(answer),
        SimulatedFault::Silence => Delivery::Silence(answer),
        SimulatedFault::GiantBody => Delivery::Flood { answer, bytes: GIANT },
        SimulatedFault::CutBody => {
            let sent = answer.body.len() / 2;
            Delivery::CutBody { answer, sent }
        }
        SimulatedFault::CutJson => {
            answer.body.truncate(answer.body.len() / 2);
            Delivery::Answer(answer)
        }
        SimulatedFault::EmptyBody => {
            answer.body = Bytes::new();
            Delivery::Answer(answer)
        }
        _ => Delivery::Answer(answer),
    }
}

impl AnswerContext<'_> {
    /// What the caller gets for this result under this fault; `committed` says whether the work
    /// was done.
    pub(super) fn fate(
        &self,
        result: Result<Success, Problem>,
        fault: Option<SimulatedFault>,
        committed: bool,
    ) -> Delivery {
        let Some(fault) = fault else { return Delivery::Answer(self.answer(result)) };
        let server = |status| Delivery::Answer(self.answer(Err(Problem::server(status, None))));
        match fault {
            SimulatedFault::ServerErrorAfterCommit => server(StatusCode::INTERNAL_SERVER_ERROR),
            SimulatedFault::BadGatewayAfterCommit => server(StatusCode::BAD_GATEWAY),
            SimulatedFault::GatewayTimeoutAfterCommit => server(StatusCode::GATEWAY_TIMEOUT),
            SimulatedFault::NoConnection => Delivery::NoConnection,
            SimulatedFault::ResetBeforeCommit | SimulatedFault::ResetAfterCommit => {
                Delivery::Reset { committed }
            }
            SimulatedFault::Stall => Delivery::Stall,
            SimulatedFault::Html => Delivery::Answer(self.html()),
            SimulatedFault::NoContent => Delivery::Answer(self.answer(Ok(Success::no_content()))),
            _ => within_body(self.answer(result), fault),
        }
    }

    /// The whole answer of a service.
    pub(super) fn answer(&self, result: Result<Success, Problem>) -> HttpAnswer {
        let mut headers = self.headers();
        match result {
            Ok(success) => {
                if !success.body.is_empty() {
                    headers.insert(header::CONTENT_TYPE, JSON);
                }
                HttpAnswer { status: success.status, headers, body: success.body.into() }
            }
            Err(problem) => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                if let Some(value) = problem.retry_after.and_then(|wait| self.retry_after(wait)) {
                    headers.insert(header::RETRY_AFTER, value);
                }
                if problem.status == StatusCode::UNAUTHORIZED {
                    headers.insert(
                        header::WWW_AUTHENTICATE,
                        HeaderValue::from_static("Bearer realm=\"\""),
                    );
                }
                let request_id = self.request_id.to_string();
                let client = self.client_request_id.unwrap_or(&request_id);
                let body = problem.body(self.at, self.request_id, client);
                HttpAnswer { status: problem.status, headers, body: body.into() }
            }
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(8);
        let request_id = HeaderValue::from_str(&self.request_id.to_string())
            .expect("a UUID is a header's value");
        // Graph names its own id where the client named none.
        let client = self
            .client_request_id
            .and_then(|id| HeaderValue::from_str(id).ok())
            .unwrap_or_else(|| request_id.clone());
        headers.insert(REQUEST_ID, request_id);
        headers.insert(CLIENT_REQUEST_ID, client);
        headers.insert(DIAGNOSTIC, SERVER);
        headers.insert(header::DATE, date(self.at));
        headers
    }

    fn html(&self) -> HttpAnswer {
        let mut headers = self.headers();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        let body = "<!DOCTYPE html>\n<html><head><title>Sign in to the network</title></head>\
                    <body><h1>Sign in to the network</h1></body></html>\n";
        HttpAnswer { status: StatusCode::OK, headers, body: Bytes::from_static(body.as_bytes()) }
    }

    fn retry_after(&self, wait: Duration) -> Option<HeaderValue> {
        let text = match self.retry_after {
            RetryAfterForm::Absent => return None,
            RetryAfterForm::Whole => up(wait, NANOS).max(1).to_string(),
            RetryAfterForm::Decimal => {
                let millis = up(wait, NANOS / 1_000);
                format!("{}.{:03}", millis / 1_000, millis % 1_000)
            }
            RetryAfterForm::Date => {
                let since = self.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                let seconds = u64::try_from(up(since + wait, NANOS)).unwrap_or(u64::MAX);
                return Some(date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)));
            }
        };
        Some(HeaderValue::try_from(text).expect("digits and points are a header's value"))
    }
}

const NANOS: u128 = 1_000_000_000;

/// How many of these units a time is, rounded up.
fn up(time: Duration, unit: u128) -> u128 {
    time.as_nanos().div_ceil(unit)
}

fn date(at: SystemTime) -> HeaderValue {
    HeaderValue::try_from(httpdate::fmt_http_date(at)).expect("an HTTP date is a header's value")
}

const JSON: HeaderValue = HeaderValue::from_static(
    "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;\
     charset=utf-8",
);
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
const DIAGNOSTIC: HeaderName = HeaderName::from_static("x-ms-ags-diagnostic");
const SERVER: HeaderValue = HeaderValue::from_static(
    r#"{"ServerInfo":{"DataCenter":"Rehearsal","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"SIMULATOR"}}"#,
);

#[cfg(test)]
mod tests {

    use super::*;

    fn retry_after(form: RetryAfterForm, millis: u64) -> Option<String> {
        let envelope = AnswerContext {
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000_500),
            request_id: Uuid::nil(),
            client_request_id: None,
            retry_after: form,
        };
        let wait = Some(Duration::from_millis(millis));
        let answer = envelope.answer(Err(Problem::throttled(wait)));
        Some(answer.headers.get(header::RETRY_AFTER)?.to_str().expect("text").to_owned())
    }

    #[test]
    fn no_form_of_retry_after_asks_for_less_than_the_wait() {
        use RetryAfterForm::{Absent, Date, Decimal, Whole};
        assert_eq!(retry_after(Whole, 2_128).as_deref(), Some("3"));
        assert_eq!(retry_after(Whole, 1).as_deref(), Some("1"));
        assert_eq!(retry_after(Decimal, 2_128).as_deref(), Some("2.128"));
        assert_eq!(retry_after(Decimal, 40).as_deref(), Some("0.040"));
        // 1,000,000.5 s + 2.128 s → 1,000,003 s.
        assert_eq!(retry_after(Date, 2_128).as_deref(), Some("Mon, 12 Jan 1970 13:46:43 GMT"));
        assert_eq!(retry_after(Absent, 2_128), None);
    }
}
