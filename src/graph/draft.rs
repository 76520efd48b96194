//! A request in the making: what a target wants asked, before an attempt gives it a token and an id.

use bytes::Bytes;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What may stand in a path segment as it is: RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes one path segment.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// A request without its attempt's own parts (token, client-request-id). `Debug` shows neither path
/// nor body: both hold ids.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft {
    /// The method.
    pub method: Method,
    /// Path and query, from the version segment on.
    pub target: String,
    /// The JSON body.
    pub body: Option<Bytes>,
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Draft").field("method", &self.method).finish_non_exhaustive()
    }
}

impl Draft {
    pub(super) fn new(method: Method, target: String) -> Self {
        Self { method, target, body: None }
    }
}
