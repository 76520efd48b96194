//! Why a run stops early, what that means for its exit code, and the sentence that says what to do.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use tokio::sync::Notify;

use crate::graph::{
    target::Api,
    transport::{Distrust, Response},
    verdict::{Systemic, Verdict},
    wire::GraphError,
};

/// A cause that ends the run for every row that is left.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// SIGINT.
    #[error("interrupted; the files are written, run the same command again to go on")]
    Interrupted,
    /// SIGTERM.
    #[error("asked to end; the files are written, run the same command again to go on")]
    Terminated,
    /// `--finish-by` or `--max-duration`.
    #[error("the time set by {0} is over; run the same command again to go on")]
    Deadline(&'static str),
    /// The server or the network failed for too long.
    #[error("no answer from Graph for {} s ({detail}); run the same command again later", after.as_secs())]
    Unreachable {
        /// How long nothing but failures came back.
        after: Duration,
        /// The last failure.
        detail: String,
    },
    /// Graph's certificate is not trusted, and nothing was ever heard from it in this run.
    #[error("the certificate that Graph's server shows {0}")]
    Untrusted(Distrust),
    /// The server answered a request that every run needs with errors only.
    #[error("Graph keeps failing ({0}); run the same command again later")]
    Failing(String),
    /// The list of registrants could not be had, so nobody could say who is enrolled already.
    #[error(
        "the target's registrants could not be listed ({0}), and without the list somebody might be enrolled twice; run again later, or with --trust-ledger where nothing but this ledger enrols here"
    )]
    NoList(String),
    /// Two people have one link of the event.
    #[error(
        "Graph gives two people the same join link, so links are not personal here: nobody else is registered; if one link for everybody is right, run again with --shared-link"
    )]
    SharedLink,
    /// The token was refused, or none could be had.
    #[error("sign-in failed: {detail}")]
    SignIn {
        /// What the token's source or Graph said, and what to do.
        detail: String,
        /// Whether it may pass by itself.
        passing: bool,
    },
    /// 403.
    #[error("Graph forbids it (403 {code}); {advice}")]
    Forbidden {
        /// Graph's code.
        code: String,
        /// Graph's message, which may quote personal data: for [`Stop::in_full`] alone.
        message: String,
        /// What an administrator has to do.
        advice: String,
    },
    /// 404 on the meeting's registration or the virtual event.
    #[error("{}", gone(*api, code))]
    TargetGone {
        /// Whose.
        api: Api,
        /// Graph's code.
        code: String,
    },
    /// 410, 501, or a 2xx without a link on the first row.
    #[error("{answer}: {}", retirement(*api))]
    Retired {
        /// Whose.
        api: Api,
        /// What Graph answered.
        answer: String,
    },
    /// The registration is of a kind or mode that rows cannot be held against.
    #[error("{0}")]
    Unusable(String),
    /// The registration is not the one that the ledger's links belong to.
    #[error(
        "the meeting's registration was made anew or switched off (it was {before}, now it is {now}), so the links in this ledger may be dead; enrol everybody anew with another --ledger, or go on with --trust-ledger"
    )]
    Replaced {
        /// What the ledger holds.
        before: String,
        /// What Graph says.
        now: String,
    },
    /// Most of the people whom the ledger enrolled are not on the target's list.
    #[error(
        "{gone} of the {of} people whom this ledger enrolled are not on the {}'s list any more: its registration was made anew, or they were removed, so the links in this ledger may be dead; enrol everybody anew with another --ledger, or go on with --trust-ledger",
        api.word()
    )]
    Emptied {
        /// Of which target.
        api: Api,
        /// How many are gone.
        gone: u64,
        /// How many the ledger has.
        of: u64,
    },
    /// The server refused many rows in a row for the same reason.
    #[error(
        "{count} rows in a row were refused with `{code}`, for the reason that stands in the rejects file; mend the cause and run again"
    )]
    SameRefusal {
        /// How many.
        count: u32,
        /// The code.
        code: String,
        /// The message of the last one, likewise.
        message: String,
    },
    /// `--strict` or `--max-rejects`.
    #[error("{0}; mend the rows in the rejects file and run again")]
    Rejects(String),
    /// The ledger's file failed.
    #[error("{0}; nothing that was done is lost: mend this and run again")]
    Ledger(String),
    /// The copy of the input failed.
    #[error("{0}; run again")]
    Input(String),
}

impl Stop {
    /// The exit code (README, *Exit codes*): 3, 5, 6, 130 or 143.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::Deadline(_)
            | Self::Unreachable { .. }
            | Self::Failing(_)
            | Self::NoList(_)
            | Self::Input(_) => 5,
            Self::SignIn { passing, .. } => 6 - u8::from(*passing),
            Self::Rejects(_) => 3,
            Self::Forbidden { .. }
            | Self::TargetGone { .. }
            | Self::Retired { .. }
            | Self::Unusable(_)
            | Self::Replaced { .. }
            | Self::Emptied { .. }
            | Self::SameRefusal { .. }
            | Self::SharedLink
            | Self::Untrusted(_)
            | Self::Ledger(_) => 6,
        }
    }

    /// The sentence with Graph's own words in it. They may quote what was sent, names and addresses
    /// too, so this is for the rejects file; what is shown and logged is `Display`.
    pub fn in_full(&self) -> String {
        match self {
            Self::Forbidden { message, .. } | Self::SameRefusal { message, .. }
                if !message.is_empty() =>
            {
                format!("{self} (Graph's words: {message})")
            }
            _ => self.to_string(),
        }
    }

    /// The word for `stopReason` and for the `_code` of rows that were not attempted.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
            Self::Deadline(_) => "deadline",
            Self::Unreachable { .. } => "unreachable",
            Self::Untrusted(_) => "untrusted",
            Self::Failing(_) => "failing",
            Self::NoList(_) => "no-list",
            Self::SharedLink => "shared-link",
            Self::SignIn { .. } => "sign-in",
            Self::Forbidden { .. } => "forbidden",
            Self::TargetGone { .. } => "target-gone",
            Self::Retired { .. } => "api-retired",
            Self::Unusable(_) => "registration-unusable",
            Self::Replaced { .. } | Self::Emptied { .. } => "registration-replaced",
            Self::SameRefusal { .. } => "same-refusal",
            Self::Rejects(_) => "rejects",
            Self::Ledger(_) => "ledger",
            Self::Input(_) => "input",
        }
    }
}

fn gone(api: Api, code: &str) -> String {
    match api {
        Api::Meeting => format!(
            "Graph knows no registration of this meeting (404 {code}); check the meeting's id and --organizer, or switch external registration on: `registrant-import registration enable --allow everyone` (or `run --enable everyone`)"
        ),
        Api::Event(kind) => format!(
            "Graph knows no such {} (404 {code}); check its id: it is written `<id>@<tenant id>`, as Graph lists it under /solutions/virtualEvents/{}",
            kind.noun(),
            kind.collection()
        ),
    }
}

fn retirement(api: Api) -> &'static str {
    match api {
        Api::Meeting => {
            "Microsoft has announced the end of the meeting registration API (no data after 12 December 2024); its successors are the webinar (`run --webinar ID`) and the town hall (`run --townhall ID`)"
        }
        Api::Event(_) => {
            "the API of webinars and town halls is not served here; check --graph-url and --cloud"
        }
    }
}

/// A status and Graph's code, for logs and messages.
pub(super) fn answer_in_words(status: u16, code: &str) -> String {
    if code.is_empty() { status.to_string() } else { format!("{status} {code}") }
}

/// The cause behind an answer that every other request would get as well.
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
        _ => Stop::Unusable(format!(
            "Graph refused the request ({})",
            answer_in_words(status, &code)
        )),
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
        (false, Api::Event(_)) => EVENT_ACCESS,
    }
}

/// What an application needs to register people for a virtual event. Source: Microsoft Graph reference,
/// "Create virtualEventRegistration", and "Allow applications to access online meetings on behalf
/// of a user".
pub const EVENT_ACCESS: &str = "an application needs the permissions VirtualEventRegistration-Anon.ReadWrite.All and VirtualEvent.Read.All with an administrator's consent, and a Teams administrator has to allow it to act for the event's organizer: `New-CsApplicationAccessPolicy -Identity import -AppIds \"<client id>\"`, then `Grant-CsApplicationAccessPolicy -PolicyName import -Identity \"<organizer's object id>\"` (it takes up to 30 minutes to act)";

/// What cancelling needs. Source: Microsoft Graph reference, "virtualEventRegistration: cancel", which
/// names the second one and calls higher ones "not available"; whether the first one may is not told.
pub const CANCEL_ACCESS: &str = "to cancel registrations an application needs VirtualEventRegistration-Anon.ReadWrite.All, or, where Graph refuses that one, VirtualEventRegistration-Anon.ReadWrite.Chat, which a Teams app gets by resource-specific consent; whoever was enrolled stays so; until then run with --cancel never";

/// Raised once, seen by everybody: after it nothing new starts, and what is in flight is awaited.
#[derive(Default)]
pub struct StopFlag {
    stop: RefCell<Option<Stop>>,
    raised: Cell<bool>,
    notify: Notify,
}

impl StopFlag {
    /// Raises the flag; the first cause stands.
    pub fn raise(&self, stop: Stop) {
        let mut held = self.stop.borrow_mut();
        if held.is_none() {
            tracing::debug!(reason = stop.word(), "stopping");
            *held = Some(stop);
            self.raised.set(true);
            self.notify.notify_waiters();
        }
    }

    /// Whether it is raised.
    pub fn is_raised(&self) -> bool {
        self.raised.get()
    }

    /// The cause.
    pub fn cause(&self) -> Option<Stop> {
        self.stop.borrow().clone()
    }

    /// Waits until it is raised.
    pub async fn wait(&self) {
        let notified = self.notify.notified();
        let mut notified = std::pin::pin!(notified);
        notified.as_mut().enable();
        if !self.is_raised() {
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_words_are_for_the_file_alone() {
        let message = "ada@example.org is not allowed".to_owned();
        for stop in [
            Stop::Forbidden {
                code: "Forbidden".to_owned(),
                message: message.clone(),
                advice: String::new(),
            },
            Stop::SameRefusal { count: 20, code: "BadRequest".to_owned(), message },
        ] {
            assert!(!stop.to_string().contains("ada"), "{stop}");
            assert!(stop.in_full().contains("ada"), "{}", stop.in_full());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_cause_stands_and_everybody_hears_it() {
        let flag = StopFlag::default();
        let late = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            flag.raise(Stop::Deadline("--max-duration"));
            flag.raise(Stop::Interrupted);
        };
        tokio::join!(flag.wait(), flag.wait(), late);
        assert_eq!(flag.cause(), Some(Stop::Deadline("--max-duration")));
        flag.wait().await;
    }
}
