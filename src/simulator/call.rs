//! One call as the simulator sees it, and what becomes of it: sockets and clocks are other rooms'.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
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

/// What becomes of a call.
#[derive(Clone, Debug)]
pub struct Reply {
    /// How long after the call reached the server the caller has it.
    pub delay: Duration,
    /// What the caller has then.
    pub fate: Fate,
}

/// What a caller gets.
#[derive(Clone, Debug)]
pub enum Fate {
    /// An answer, whole.
    Answer(Answer),
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
        answer: Answer,
        /// How much of the body comes.
        sent: usize,
    },
    /// The body comes at one byte a second.
    SlowBody(Answer),
    /// The headers come, the body never does.
    Silence(Answer),
    /// Nothing ever comes.
    Stall,
    /// After the headers, this many bytes of nonsense.
    Flood {
        /// The headers.
        answer: Answer,
        /// The length of the body.
        bytes: u64,
    },
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
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
