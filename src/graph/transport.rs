//! How one request reaches Graph and one answer comes back: what a target wants asked
//! ([`GraphRequest`]), an attempt at it ([`Request`]), and what carries it ([`Transport`]).
//!
//! Two implementations exist: sockets ([`super::http::Http`]), and the simulator called directly,
//! for deterministic tests under paused time. Neither retries, follows a redirect or interprets a
//! status: a transport reports what happened; what it means is the verdict's matter.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

/// What may stand in a path segment as it is: RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes one path segment.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// A request without its attempt's own parts (token, client-request-id). It has no `Debug`: path and
/// body hold ids.
#[derive(Clone, PartialEq, Eq)]
pub struct GraphRequest {
    pub method: Method,
    /// Path and query, from the version segment on.
    pub target: String,
    pub body: Option<Bytes>,
}

impl GraphRequest {
    pub(super) fn new(method: Method, target: String) -> Self {
        Self { method, target, body: None }
    }

    pub(super) fn with_body(self, body: Vec<u8>) -> Self {
        Self { body: Some(body.into()), ..self }
    }
}

/// One request, ready to be sent. It has no `Debug`: path and body hold ids.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    /// Path and query as they stand in the request line, percent-encoded, from the version
    /// segment on: `/beta/me/onlineMeetings/…`.
    pub target: String,
    /// The `Authorization` header, marked sensitive.
    pub authorization: Option<HeaderValue>,
    pub body: Option<Bytes>,
    /// Sent as `client-request-id`: a fresh one each attempt.
    pub client_request_id: Uuid,
}

/// One answer, complete: its body was read to the end and is bounded in size. `Debug` shows no
/// body: it may hold a link.
#[derive(Clone)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The body, empty where there is none.
    pub body: Bytes,
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Response {
    /// The request's id at Microsoft, for a support case: a GUID, or it is not taken for one, because
    /// it is shown and logged.
    pub fn request_id(&self) -> Option<&str> {
        self.header("request-id").filter(|id| Uuid::try_parse(id).is_ok())
    }

    /// A header's value, where it is there once and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// No complete answer came back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct TransportError {
    /// Whether the server may have got the request.
    pub reach: Reach,
    /// What went wrong.
    pub kind: TransportFailure,
    /// The cause in words, without the URL.
    pub detail: String,
}

/// How far a request got that had no complete answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The connection could not be made: nothing was sent, so nothing was processed.
    NotSent,
    /// At least a part may have been sent: the server may have processed it.
    MaybeSent,
}

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportFailure {
    /// No connection: route, proxy or TLS.
    Connect,
    /// No connection: nobody listens there.
    Refused,
    /// No connection: the host's name has no address.
    NoName,
    /// No connection: the server's certificate is not trusted.
    Untrusted(Distrust),
    /// A time limit ran out.
    TimedOut,
    /// The connection broke.
    Broken,
    /// The answer is larger than the program accepts.
    TooLarge,
}

impl std::fmt::Display for TransportFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Connect => "no connection",
            Self::Refused => "connection refused",
            Self::NoName => "name not found",
            Self::Untrusted(_) => "certificate not trusted",
            Self::TimedOut => "timed out",
            Self::Broken => "connection broken",
            Self::TooLarge => "answer too large",
        })
    }
}

/// What is wrong with a server's certificate, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Nobody whom this machine trusts has signed it.
    #[error(
        "is from an authority that this machine does not trust; give that authority's certificate with --ca-file FILE, or check the address"
    )]
    UnknownAuthority,
    /// It has ended.
    #[error(
        "has expired by this machine's clock; set the clock, or have the server's certificate renewed"
    )]
    Expired,
    /// It has not begun.
    #[error("is not valid yet by this machine's clock; set the clock")]
    NotYet,
    /// It names other hosts.
    #[error("is for another host; check the address")]
    AnotherHost,
    /// Anything else, such as a server that shows its authority's certificate as its own.
    #[error("is not one that can be trusted; check the address, or --ca-file FILE")]
    Other,
}

/// Carries one request to Graph.
pub trait Transport {
    /// Sends `request` once.
    ///
    /// # Errors
    /// [`TransportError`] when no complete answer came back. A status of any kind is an answer.
    fn send(&self, request: Request) -> impl Future<Output = Result<Response, TransportError>>;
}
