//! What the server's refusals mean for a run, and what to do about them.

use super::stop::Stop;
use crate::{
    graph::{target::Api, transport::Response, wire::GraphError},
    pacing::{Systemic, Verdict},
};

/// Why [`super::client::GraphClient::ask`] brought no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The run was stopped; the cause is on the flag.
    Stopped,
    /// A POST whose result was never learnt.
    Unknown,
    /// Nothing but server errors; the last one in words.
    Failing(String),
    /// The server's word.
    Word {
        /// The HTTP status.
        status: u16,
        /// What the body says.
        error: GraphError,
        /// What the answer was taken for.
        verdict: Verdict,
    },
}

impl Refusal {
    /// The cause that ends the run, for a refusal that concerns every row.
    #[must_use]
    pub fn into_stop(self, api: Api) -> Option<Stop> {
        match self {
            Self::Stopped => None,
            Self::Unknown => Some(Stop::Failing("the answer was lost".to_owned())),
            Self::Failing(words) => Some(Stop::Failing(words)),
            Self::Word { status, error, verdict } => Some(systemic(status, error, verdict, api)),
        }
    }
}

pub(super) fn words(status: u16, code: &str) -> String {
    if code.is_empty() { status.to_string() } else { format!("{status} {code}") }
}

/// The cause behind an answer that every other request would get as well.
#[must_use]
pub fn systemic(status: u16, error: GraphError, verdict: Verdict, api: Api) -> Stop {
    let GraphError { code, message, .. } = error;
    match verdict {
        Verdict::SignIn => Stop::SignIn {
            detail: format!("Graph refuses the token (401 {code}); {}", advice(&message, api)),
            passing: false,
        },
        Verdict::Systemic(Systemic::Forbidden) => {
            let advice = advice(&message, api).to_owned();
            Stop::Forbidden { code, message, advice }
        }
        Verdict::Systemic(Systemic::TargetGone) => Stop::TargetGone { api, code },
        Verdict::Systemic(Systemic::Retired) => {
            Stop::Retired { api, answer: format!("Graph answered {status} {code}") }
        }
        _ => Stop::Unusable(format!("Graph refused the request ({})", words(status, &code))),
    }
}

/// Whether a 401 is about the app's policy and not about its token: a fresh token would not help.
pub(super) fn is_policy(response: &Response) -> bool {
    names_policy(&GraphError::read(&response.body).message)
}

/// Microsoft's two wordings of a missing application access policy.
fn names_policy(message: &str) -> bool {
    message.contains("on behalf of user") || message.contains("application access policy")
}

/// What to do about a refusal of the whole app. Source: Microsoft Graph, "Allow applications to
/// access online meetings on behalf of a user".
fn advice(message: &str, api: Api) -> &'static str {
    match (names_policy(message), api) {
        (true, _) => {
            "a Teams administrator has to allow the app to act for the organizer: `New-CsApplicationAccessPolicy -Identity import -AppIds \"<client id>\"`, then `Grant-CsApplicationAccessPolicy -PolicyName import -Identity \"<organizer's object id>\"`; it takes up to 30 minutes to act"
        }
        (false, Api::Meeting) => {
            "the app or user needs the permission OnlineMeetings.ReadWrite (delegated) or OnlineMeetings.ReadWrite.All (application) with consent, and an application must be allowed to act for the organizer by an application access policy"
        }
        (false, Api::Webinar) => WEBINAR_ACCESS,
    }
}

/// What an application needs to register people for a webinar. Source: Microsoft Graph reference,
/// "Create virtualEventRegistration", and "Allow applications to access online meetings on behalf
/// of a user".
pub const WEBINAR_ACCESS: &str = "an application needs the permissions VirtualEventRegistration-Anon.ReadWrite.All and VirtualEvent.Read.All with an administrator's consent, and a Teams administrator has to allow it to act for the webinar's organizer: `New-CsApplicationAccessPolicy -Identity import -AppIds \"<client id>\"`, then `Grant-CsApplicationAccessPolicy -PolicyName import -Identity \"<organizer's object id>\"` (it takes up to 30 minutes to act)";
