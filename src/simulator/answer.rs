//! What comes back from a call: the work's result or a refusal, the answer that is made of it, and what
//! a fault makes of the answer.
//!
//! The codes of refusals are those of the communications service (`BadRequest`, `NotFound`, …), the
//! shapes those of the examples in the Microsoft Graph documentation ("Throttling", "Error responses").

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;
use uuid::Uuid;

use super::{config::RetryAfterForm, fault::SimulatedFault};

/// What becomes of a call.
#[derive(Clone, Debug)]
pub struct Reply {
    /// How long after the call reached the server the caller has it.
    pub delay: Duration,
    /// What the caller has then.
    pub delivery: Delivery,
}

/// What a caller gets.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// An answer, whole.
    Answer(HttpAnswer),
    /// No connection in the first place.
    NoConnection,
    /// The connection is reset before a byte of an answer.
    Reset,
    /// The connection breaks when half of the body is out.
    CutBody(HttpAnswer),
    /// The body comes at one byte a second.
    SlowBody(HttpAnswer),
    /// The headers come, the body never does.
    Silence(HttpAnswer),
    /// Nothing ever comes.
    Stall,
    /// After the headers, a gigabyte of nonsense: more than any client should take.
    Flood(HttpAnswer),
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What a service makes of a call that succeeds.
pub(super) struct Success {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

impl Success {
    /// 200 with this JSON.
    pub(super) fn ok(body: &impl serde::Serialize) -> Self {
        Self::json(StatusCode::OK, body)
    }

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

    pub(super) fn throttled(retry_after: Duration) -> Self {
        let message = "Please retry again later.".to_owned();
        let (status, code) = (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests");
        Self { status, code, message, retry_after: Some(retry_after) }
    }

    pub(super) fn server(status: StatusCode) -> Self {
        let (code, message) = match status {
            StatusCode::BAD_GATEWAY => ("BadGateway", "Bad Gateway"),
            StatusCode::SERVICE_UNAVAILABLE => ("ServiceUnavailable", "Service Unavailable"),
            StatusCode::GATEWAY_TIMEOUT => ("GatewayTimeout", "Gateway Timeout"),
            _ => ("InternalServerError", "Internal Server Error"),
        };
        Self::new(status, code, message)
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
    fn body(&self, at: SystemTime, request: Uuid, client_request: &str) -> Vec<u8> {
        let mut inner = json!({
            "date": written(at, GRAPH_TIME),
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

/// How Graph writes a time where its examples show no zone.
pub(super) const GRAPH_TIME: &str = "%Y-%m-%dT%H:%M:%S";

/// A time in this format.
pub(super) fn written(at: SystemTime, format: &str) -> String {
    jiff::Timestamp::try_from(at).map(|at| at.strftime(format).to_string()).unwrap_or_default()
}

/// The refusal that stands for a fault, where it is an answer of its own.
pub(super) fn refusal(fault: SimulatedFault) -> Option<Problem> {
    use SimulatedFault as Fault;
    let wait = Duration::from_secs(1);
    let status = match fault {
        Fault::Refused => return Some(Problem::bad_request("The registrant is invalid.")),
        Fault::ExpiredToken => return Some(Problem::unauthorized(EXPIRED)),
        Fault::Throttled | Fault::ThrottledAfterCommit => return Some(Problem::throttled(wait)),
        Fault::ServerError | Fault::ServerErrorAfterCommit => StatusCode::INTERNAL_SERVER_ERROR,
        Fault::BadGateway | Fault::BadGatewayAfterCommit => StatusCode::BAD_GATEWAY,
        Fault::Unavailable | Fault::UnavailableRetryAfter => StatusCode::SERVICE_UNAVAILABLE,
        Fault::GatewayTimeout | Fault::GatewayTimeoutAfterCommit => StatusCode::GATEWAY_TIMEOUT,
        _ => return None,
    };
    let retry_after = (fault == Fault::UnavailableRetryAfter).then_some(wait);
    Some(Problem { retry_after, ..Problem::server(status) })
}

/// The server's words for a token whose time is over.
pub(super) const EXPIRED: &str = "Lifetime validation failed, the token is expired.";

/// What every answer to one call says about itself.
pub(super) struct AnswerContext<'a> {
    pub(super) at: SystemTime,
    pub(super) request_id: Uuid,
    pub(super) client_request_id: Option<&'a str>,
    pub(super) retry_after: RetryAfterForm,
    pub(super) fault_wait: Duration,
}

impl AnswerContext<'_> {
    /// What the caller gets for this result under this fault.
    pub(super) fn deliver(
        &self,
        result: Result<Success, Problem>,
        fault: Option<SimulatedFault>,
    ) -> Delivery {
        use SimulatedFault as Fault;
        let Some(fault) = fault else { return Delivery::Answer(self.answer(result)) };
        if let Some(problem) = refusal(fault) {
            let retry_after = problem.retry_after.and(Some(self.fault_wait));
            return Delivery::Answer(self.answer(Err(Problem { retry_after, ..problem })));
        }
        match fault {
            Fault::NoConnection => return Delivery::NoConnection,
            Fault::ResetBeforeCommit | Fault::ResetAfterCommit => return Delivery::Reset,
            Fault::Stall => return Delivery::Stall,
            Fault::Html => return Delivery::Answer(self.html()),
            Fault::NoContent => return Delivery::Answer(self.answer(Ok(Success::no_content()))),
            _ => {}
        }
        let mut answer = self.answer(result);
        if answer.body.is_empty() {
            return Delivery::Answer(answer);
        }
        match fault {
            Fault::SlowBody => return Delivery::SlowBody(answer),
            Fault::Silence => return Delivery::Silence(answer),
            Fault::GiantBody => return Delivery::Flood(answer),
            Fault::CutBody => return Delivery::CutBody(answer),
            Fault::CutJson => answer.body.truncate(answer.body.len() / 2),
            Fault::EmptyBody => answer.body.clear(),
            _ => {}
        }
        Delivery::Answer(answer)
    }

    /// The whole answer to a result.
    pub(super) fn answer(&self, result: Result<Success, Problem>) -> HttpAnswer {
        let mut headers = self.headers();
        let (status, body) = match result {
            Ok(success) => {
                if !success.body.is_empty() {
                    headers.insert(header::CONTENT_TYPE, JSON);
                }
                (success.status, success.body)
            }
            Err(problem) => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                if let Some(value) = problem.retry_after.and_then(|wait| self.retry_after(wait)) {
                    headers.insert(header::RETRY_AFTER, value);
                }
                if problem.status == StatusCode::UNAUTHORIZED {
                    let realm = HeaderValue::from_static("Bearer realm=\"\"");
                    headers.insert(header::WWW_AUTHENTICATE, realm);
                }
                let request_id = self.request_id.to_string();
                let client = self.client_request_id.unwrap_or(&request_id);
                (problem.status, problem.body(self.at, self.request_id, client))
            }
        };
        HttpAnswer { status, headers, body: body.into() }
    }

    fn headers(&self) -> HeaderMap {
        let request_id = header_value(self.request_id.to_string());
        // Graph names its own id where the client named none.
        let client = self.client_request_id.and_then(|id| HeaderValue::from_str(id).ok());
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert("request-id", request_id.clone());
        headers.insert("client-request-id", client.unwrap_or(request_id));
        headers.insert("x-ms-ags-diagnostic", SERVER);
        headers.insert(header::DATE, header_value(httpdate::fmt_http_date(self.at)));
        headers
    }

    fn html(&self) -> HttpAnswer {
        let mut headers = self.headers();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        let body = "<!DOCTYPE html>\n<html><head><title>Sign in to the network</title></head>\
                    <body><h1>Sign in to the network</h1></body></html>\n";
        HttpAnswer { status: StatusCode::OK, headers, body: body.into() }
    }

    fn retry_after(&self, wait: Duration) -> Option<HeaderValue> {
        let seconds = |time: Duration| time.as_secs() + u64::from(time.subsec_nanos() > 0);
        Some(header_value(match self.retry_after {
            RetryAfterForm::Absent => return None,
            RetryAfterForm::Whole => seconds(wait).max(1).to_string(),
            RetryAfterForm::Decimal => {
                let millis = wait.as_nanos().div_ceil(1_000_000);
                format!("{}.{:03}", millis / 1_000, millis % 1_000)
            }
            RetryAfterForm::Date => {
                let since = self.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                let end = Duration::from_secs(seconds(since + wait));
                httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + end)
            }
        }))
    }
}

fn header_value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("ids, dates and numbers are headers' values")
}

const JSON: HeaderValue = HeaderValue::from_static(
    "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;\
     charset=utf-8",
);
const SERVER: HeaderValue = HeaderValue::from_static(
    r#"{"ServerInfo":{"DataCenter":"Rehearsal","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"SIMULATOR"}}"#,
);

#[cfg(test)]
mod tests {

    use super::*;

    fn retry_after(form: RetryAfterForm, millis: u64) -> Option<String> {
        let context = AnswerContext {
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000_500),
            request_id: Uuid::nil(),
            client_request_id: None,
            retry_after: form,
            fault_wait: Duration::ZERO,
        };
        let wait = Duration::from_millis(millis);
        let answer = context.answer(Err(Problem::throttled(wait)));
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
