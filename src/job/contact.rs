//! Whether Graph was ever heard in this run, and what went wrong last.

use std::cell::{Cell, RefCell};

use super::stop::Stop;
use crate::graph::transport::{Response, TransportError, TransportFailure};

/// What is known of the way to Graph.
#[derive(Default)]
pub(super) struct Contact {
    /// Whether there was any answer, whatever its status.
    heard: Cell<bool>,
    trouble: RefCell<String>,
}

impl Contact {
    /// Notes what came of a request. A certificate that was never trusted in this run does not mend
    /// itself, so it is the cause to stop; later it may be one gateway of several, and passes.
    pub(super) fn note(&self, result: &Result<Response, TransportError>) -> Option<Stop> {
        match result {
            Ok(response) => {
                self.heard.set(true);
                let status = response.status;
                if status.is_server_error() || status.is_client_error() {
                    *self.trouble.borrow_mut() = format!("HTTP {}", status.as_u16());
                }
                None
            }
            Err(error) => {
                *self.trouble.borrow_mut() = error.kind.to_string();
                match error.kind {
                    TransportFailure::Untrusted(distrust) if !self.heard.get() => {
                        Some(Stop::Untrusted(distrust))
                    }
                    _ => None,
                }
            }
        }
    }

    /// What went wrong last, in a few words; empty where nothing did.
    pub(super) fn trouble(&self) -> String {
        self.trouble.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::graph::transport::{Distrust, Reach};

    #[test]
    fn a_certificate_ends_a_run_only_before_anything_was_heard() {
        let contact = Contact::default();
        let untrusted = || {
            Err(TransportError {
                reach: Reach::NotSent,
                kind: TransportFailure::Untrusted(Distrust::Expired),
                detail: String::new(),
            })
        };
        let answer =
            |status| Ok(Response { status, headers: HeaderMap::new(), body: Bytes::new() });
        assert_eq!(contact.trouble(), "");
        assert_eq!(contact.note(&untrusted()), Some(Stop::Untrusted(Distrust::Expired)));
        assert_eq!(contact.note(&answer(StatusCode::SERVICE_UNAVAILABLE)), None);
        assert_eq!(contact.trouble(), "HTTP 503");
        assert_eq!(contact.note(&untrusted()), None, "mid-run it passes");
        assert_eq!(contact.note(&answer(StatusCode::OK)), None);
        assert_eq!(contact.trouble(), "certificate not trusted");
    }
}
