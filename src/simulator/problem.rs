//! Refusals, and their bodies as Graph writes them.
//!
//! The codes are those of the communications service (`BadRequest`, `NotFound`, …), the shapes
//! those of the examples in the Microsoft Graph documentation ("Throttling", "Error responses").

use std::time::{Duration, SystemTime};

use http::StatusCode;
use serde_json::json;
use uuid::Uuid;

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
