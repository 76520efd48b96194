//! What the simulator has counted, and its books: who is enrolled with which link.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;

use super::fault::{CallKind, SimulatedFault};

/// The counters, as `GET /simulator/stats` gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Stats {
    /// Calls of any kind that arrived.
    pub calls: u64,
    /// Of these, calls by HTTP/2.
    pub http2: u64,
    /// Connections that were accepted, after the handshake where there is TLS.
    pub connections: u64,
    /// POSTs of a registrant or registration that arrived, refused ones included.
    pub posts: u64,
    /// Registrants and registrations that were made.
    pub created: u64,
    /// POSTs of somebody who was enrolled already, whatever they were answered: in a run that
    /// keeps its word there are none.
    pub duplicates: u64,
    /// Calls that were answered 429.
    pub throttled: u64,
    /// The most calls that were under way at one time.
    pub max_in_flight: u64,
    /// Calls that are under way.
    pub in_flight: u64,
    /// Pages of lists that were asked for.
    pub lists: u64,
    /// DELETEs of a registrant and cancellations that arrived.
    pub deletes: u64,
    /// Registrants that were removed and registrations that were cancelled.
    pub deleted: u64,
    /// Mails that Teams sent: to whom a webinar registered, and to whom it cancelled.
    pub mails: u64,
    /// All other calls of Graph: registration, webinar, one registration, sessions.
    pub reads: u64,
    /// Calls that were answered 401.
    pub unauthorized: u64,
    /// Calls that were answered with another status of 400 to 499.
    pub refused: u64,
    /// Tokens that were given out.
    pub tokens: u64,
    /// Calls of the token endpoint.
    pub token_calls: u64,
    /// Registrants on the books now.
    pub enrolled: u64,
    /// The faults that were committed, by name.
    pub faults: BTreeMap<&'static str, u64>,
}

impl Stats {
    pub(super) fn count_arrival(&mut self, kind: CallKind) {
        *match kind {
            CallKind::Post => &mut self.posts,
            CallKind::List => &mut self.lists,
            CallKind::Delete => &mut self.deletes,
            CallKind::Read => &mut self.reads,
            CallKind::Token => &mut self.token_calls,
        } += 1;
    }

    /// Counts the fault that struck, and the status of a refusal.
    pub(super) fn count_outcome(
        &mut self,
        fault: Option<SimulatedFault>,
        refusal: Option<StatusCode>,
    ) {
        if let Some(fault) = fault {
            *self.faults.entry(fault.as_str()).or_default() += 1;
        }
        match refusal {
            Some(StatusCode::TOO_MANY_REQUESTS) => self.throttled += 1,
            Some(StatusCode::UNAUTHORIZED) => self.unauthorized += 1,
            Some(status) if status.is_client_error() => self.refused += 1,
            _ => {}
        }
    }
}

/// How somebody's registration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RegistrationStatus {
    /// With a link.
    Registered,
    /// Cancelled.
    Canceled,
    /// The webinar was full.
    Waitlisted,
    /// The organizer has not decided yet.
    PendingApproval,
    /// The organizer said no.
    RejectedByOrganizer,
}

/// One registrant on the books.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnrolledPerson {
    /// The meeting's or webinar's id.
    pub target: String,
    /// The external system's id: the posted `id` or `registrationId`.
    pub id: String,
    /// The e-mail address (webinar).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// `registered`, or what a webinar says instead.
    pub status: RegistrationStatus,
    /// The person's link.
    pub join_web_url: Option<String>,
}

impl std::fmt::Debug for EnrolledPerson {
    /// Masked but for the status: links and addresses are in no log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnrolledPerson").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Who is enrolled, in the order of enrolment; whoever is enrolled twice stands here twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Books {
    pub registrants: Vec<EnrolledPerson>,
}

impl Books {
    /// The links of each id: exactly one where all went well.
    pub fn links(&self) -> BTreeMap<&str, Vec<Option<&str>>> {
        let mut links = BTreeMap::<&str, Vec<Option<&str>>>::new();
        for enrolment in &self.registrants {
            links.entry(&enrolment.id).or_default().push(enrolment.join_web_url.as_deref());
        }
        links
    }
}
