//! Everything that can be set about a simulator.

use std::{
    str::FromStr,
    time::{Duration, SystemTime},
};

use clap::{ArgAction, Args, ValueEnum};
use serde::Serialize;
use uuid::Uuid;

use crate::{parse::duration, registrant::Mode};

use super::{chance, fault::Faults, limit::RateLimit};

/// A simulator's settings. The default is a server that takes everything at once: a meeting with
/// an external registration for everyone, and a published webinar.
#[derive(Clone, Debug)]
pub struct Config {
    /// Decides everything that chance decides.
    pub seed: u64,
    /// The server's date and time at its start; a date that nobody's clock shows, unless set.
    pub epoch: SystemTime,
    /// Which of the two APIs it serves.
    pub kind: ServedApi,
    /// Every meeting's registration at the start.
    pub registration: RegistrationState,
    /// Every webinar.
    pub event: EventConfig,
    /// How long a call takes.
    pub latency: CallLatency,
    /// The limit on POST, PATCH and DELETE, of both APIs together.
    pub write_limit: Option<RateLimit>,
    /// The limit on GET.
    pub read_limit: Option<RateLimit>,
    /// How a throttled answer says when to come again.
    pub retry_after: RetryAfterForm,
    /// What a second POST of one id (a webinar: of one e-mail address) does.
    pub second_post: SecondPost,
    /// How long a new registrant is missing from lists and look-ups.
    pub list_lag: Duration,
    /// Registrants on one page of a list.
    pub page_size: usize,
    /// In how many answers of a hundred the oddities of Microsoft's own examples show: an `id`
    /// that is not the posted one, `userId` and `tenantId` swapped.
    pub quirks: f64,
    /// What goes wrong.
    pub faults: Faults,
    /// The wait that a fault names, where its answer has a Retry-After.
    pub fault_wait: Duration,
    /// Who may call.
    pub tokens: TokenConfig,
    /// Whether the whole API is refused.
    pub refuse: Option<ApiRefusal>,
    /// Calls of virtual events that are answered 403.
    pub forbid: Vec<EventCall>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 0,
            // 2026-01-01T00:00:00Z
            epoch: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600),
            kind: ServedApi::Both,
            registration: RegistrationState::External(Mode::Everyone),
            event: EventConfig::default(),
            latency: CallLatency { median: Duration::ZERO, sigma: 0.5 },
            write_limit: None,
            read_limit: None,
            retry_after: RetryAfterForm::Whole,
            second_post: SecondPost::Return,
            list_lag: Duration::ZERO,
            page_size: 100,
            quirks: 20.0,
            faults: Faults::default(),
            fault_wait: Duration::from_secs(1),
            tokens: TokenConfig::default(),
            refuse: None,
            forbid: Vec::new(),
        }
    }
}

/// The tenant in links and tokens: that of the reference's examples.
pub(super) const TENANT: Uuid = Uuid::from_u128(0x909c_6581_5130_43e9_88f3_fcb3_582c_de37);

/// Which of the two APIs is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ServedApi {
    /// Registrations of online meetings (`beta`).
    Meeting,
    /// Registrations of webinars (`v1.0`).
    Event,
    /// Both.
    Both,
}

/// A meeting's registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationState {
    /// An `externalMeetingRegistration` for these.
    External(Mode),
    /// A `meetingRegistration`, Teams' own kind.
    Teams,
    /// None: it must be enabled first.
    Missing,
}

/// How long a call takes: lognormal. An eighth of it passes before the server sees the call; a
/// throttled answer is back after a quarter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CallLatency {
    /// Half of the calls take longer.
    pub median: Duration,
    /// The deviation of the logarithm; 0 for a constant.
    pub sigma: f64,
}

/// How a throttled answer says when to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RetryAfterForm {
    /// Seconds, rounded up, at least 1.
    Whole,
    /// Seconds with three decimals, as in Microsoft's sample.
    Decimal,
    /// A date by the server's clock, rounded up to a second.
    Date,
    /// It does not.
    Absent,
}

/// What a second POST of one id does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SecondPost {
    /// Returns the first registrant, link included.
    Return,
    /// 409.
    Conflict,
    /// Makes a second registrant with another link.
    Duplicate,
}

/// A reason for which every call under Graph fails, or says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ApiRefusal {
    /// 403 `Forbidden`.
    Forbidden,
    /// 403 with Microsoft's words for a missing application access policy.
    AccessPolicy,
    /// The API is retired: 410.
    Gone,
    /// The API is retired: 200, without data, as Microsoft announced it.
    NoData,
}

/// A kind of call of a webinar or town hall, for each of which Microsoft names permissions of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EventCall {
    /// The event itself.
    Event,
    /// What it admits.
    Configuration,
    /// What it asks.
    Questions,
    /// To list the registrations.
    List,
    /// To register somebody.
    Create,
    /// One registration, its sessions perhaps with it.
    Registration,
    /// The list of a registration's sessions.
    Sessions,
    /// To cancel a registration.
    Cancel,
}

/// Who may call, and how tokens are given out.
#[derive(Clone, Debug)]
pub struct TokenConfig {
    /// Which bearers are taken.
    pub rule: TokenRule,
    /// How long an issued token lives.
    pub lifetime: Duration,
    /// How often a device code is answered `authorization_pending` before the sign-in is done.
    pub pending_polls: u32,
    /// How long a client has to wait between two polls, or gets `slow_down`.
    pub poll_interval: Duration,
}

impl Default for TokenConfig {
    fn default() -> Self {
        Self {
            rule: TokenRule::Any,
            lifetime: Duration::from_secs(3_599), // as in Microsoft's examples
            pending_polls: 2,
            poll_interval: Duration::from_secs(5),
        }
    }
}

/// Which bearers are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TokenRule {
    /// None is needed.
    None,
    /// Any that is not one of the simulator's own and expired.
    Any,
    /// Those that the simulator gave out and that have not expired.
    Issued,
}

/// Every webinar of a simulator, with the command-line options that set it.
#[expect(clippy::struct_excessive_bools, reason = "they are Graph's own flags")]
#[derive(Clone, Debug, Args)]
pub struct EventConfig {
    /// Whose tokens those are that the simulator did not issue, to a webinar
    #[arg(long, value_name = "WHO", default_value = "application")]
    pub caller: Caller,

    /// The webinar's state
    #[arg(long = "webinar-status", value_name = "STATUS", default_value = "published")]
    pub status: EventStatus,

    /// Who may register: as `--mode` says
    #[arg(skip = Mode::Everyone)]
    pub audience: Mode,

    /// The most registrations that the webinar takes
    #[arg(long, value_name = "N")]
    pub capacity: Option<usize>,

    /// People wait when the webinar is full
    #[arg(long)]
    pub waitlist: bool,

    /// The organizer approves each of the webinar's registrations
    #[arg(long)]
    pub approval: bool,

    /// After how long a pending registration is approved [default: never]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub approved_after: Option<Duration>,

    /// Whether Teams mails each registrant
    #[arg(long = "no-mails", action = ArgAction::SetFalse)]
    #[arg(help = "Teams mails nobody whom the webinar registers")]
    pub mails: bool,

    /// A question of the webinar's form that must be answered by text; or one answered otherwise:
    /// choice:City=Ghent;London, choices:City=Ghent;London, yes-no:Vegan?, or optional: in front
    /// of any. Repeatable
    #[arg(long = "question", value_name = "[KIND:]QUESTION")]
    pub questions: Vec<EventQuestion>,

    /// The webinar has begun
    #[arg(long)]
    pub begun: bool,

    /// How a cancellation is answered
    #[arg(long, value_name = "HOW", default_value = "always")]
    pub cancel_answer: CancelAnswer,

    /// What a registration does whose address was cancelled
    #[arg(long, value_name = "CONDUCT", default_value = "new")]
    pub after_cancel: AfterCancel,

    /// Wrap the webinar in {"value": …}, as Microsoft's example of it does
    #[arg(long = "webinar-wrapped", hide = true)]
    pub wrapped: bool,

    /// How the webinar's sessions tell their times
    #[arg(long = "session-dates", value_name = "FORM", default_value = "text", hide = true)]
    pub dates: DateForm,

    /// Which prid the webinar's links carry
    #[arg(long = "webinar-prid", value_name = "WHICH", default_value = "absent")]
    pub prid: EventPrid,
}

impl Default for EventConfig {
    fn default() -> Self {
        Self {
            status: EventStatus::Published,
            audience: Mode::Everyone,
            capacity: None,
            waitlist: false,
            approval: false,
            approved_after: None,
            mails: true,
            questions: Vec::new(),
            caller: Caller::Application,
            dates: DateForm::Text,
            prid: EventPrid::Absent,
            begun: false,
            cancel_answer: CancelAnswer::Always,
            after_cancel: AfterCancel::New,
            wrapped: false,
        }
    }
}

/// A webinar's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum EventStatus {
    /// Not yet open.
    Draft,
    /// Open.
    Published,
    /// Called off.
    Canceled,
}

/// How a cancellation is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CancelAnswer {
    /// 204, however often.
    Always,
    /// 204, and 400 once it is cancelled.
    Once,
    /// 403: the permission is missing.
    Forbidden,
}

/// What a registration does whose address was cancelled. Microsoft says nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AfterCancel {
    /// Makes a registration with an id of its own.
    New,
    /// Makes the cancelled one valid again, under its id.
    Revive,
    /// Is refused: 400.
    Refuse,
}

/// Who calls: it decides how a webinar's POST answers, and whether `/me` is anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Caller {
    /// An application: 204 without a body.
    Application,
    /// A person who is signed in and can register nobody else: 201 with the registration.
    Delegated,
}

/// How a session tells its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DateForm {
    /// As text, as in Microsoft's examples.
    Text,
    /// As a `dateTimeTimeZone`, as in Microsoft's metadata.
    Object,
}

/// Which `prid` a webinar's links carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EventPrid {
    /// None, as in Microsoft's examples.
    Absent,
    /// The posted `registrationId`.
    Posted,
    /// Graph's own id of the registration.
    Registration,
}

/// A question of a webinar's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventQuestion {
    /// Its id.
    pub id: Uuid,
    /// Its words.
    pub display_name: String,
    /// Whether it must be answered.
    pub required: bool,
    /// How it is answered.
    pub kind: QuestionKind,
}

/// How a question is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuestionKind {
    /// One of Microsoft's own, with its label, such as `jobTitle`; answered by text.
    Predefined(String),
    /// By text.
    Text,
    /// By text of several lines.
    MultilineText,
    /// By one of these.
    SingleChoice(Vec<String>),
    /// By some of these.
    MultiChoice(Vec<String>),
    /// By yes or no.
    Boolean,
}

impl EventQuestion {
    /// A required question that is answered by text.
    pub fn text(words: &str) -> Self {
        Self {
            id: chance::uuid(chance::text(0, words)),
            display_name: words.to_owned(),
            required: true,
            kind: QuestionKind::Text,
        }
    }
}

impl FromStr for EventQuestion {
    type Err = String;

    /// `City`, `optional:City`, `choice:City=Ghent;London`, `choices:City=Ghent;London`,
    /// `yes-no:Vegan?`. What stands before another colon belongs to the question.
    fn from_str(text: &str) -> Result<Self, String> {
        let (required, asked) =
            text.strip_prefix("optional:").map_or((true, text), |asked| (false, asked));
        let (kind, asked) = asked
            .split_once(':')
            .filter(|(kind, _)| ["choice", "choices", "yes-no"].contains(kind))
            .unwrap_or(("", asked));
        let (words, choices) = match kind {
            "choice" | "choices" => asked.split_once('=').unwrap_or((asked, "")),
            _ => (asked, ""),
        };
        let choices: Vec<String> = choices.split(';').map(|one| one.trim().to_owned()).collect();
        let kind = match kind {
            "choice" | "choices" if choices.iter().any(String::is_empty) => {
                return Err(format!(
                    "`{text}` names no choices; write it as choice:QUESTION=ONE;OTHER"
                ));
            }
            "choice" => QuestionKind::SingleChoice(choices),
            "choices" => QuestionKind::MultiChoice(choices),
            "yes-no" => QuestionKind::Boolean,
            _ => QuestionKind::Text,
        };
        if words.trim().is_empty() {
            return Err(format!("`{text}` is no question; write its words"));
        }
        Ok(Self { required, kind, ..Self::text(words.trim()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_read_as_documented() {
        let told = |text: &str| {
            text.parse::<EventQuestion>()
                .map(|asked| (asked.display_name, asked.required, asked.kind))
        };
        let choices = || vec!["Ghent".to_owned(), "New York".to_owned()];
        assert_eq!(told("Why: now?"), Ok(("Why: now?".into(), true, QuestionKind::Text)));
        assert_eq!(told("optional:1+1=2?"), Ok(("1+1=2?".into(), false, QuestionKind::Text)));
        assert_eq!(
            told("choice:Which city?=Ghent; New York"),
            Ok(("Which city?".into(), true, QuestionKind::SingleChoice(choices())))
        );
        assert_eq!(
            told("optional:choices:Cities=Ghent;New York"),
            Ok(("Cities".into(), false, QuestionKind::MultiChoice(choices())))
        );
        assert_eq!(told("yes-no:Vegan?"), Ok(("Vegan?".into(), true, QuestionKind::Boolean)));
        for bad in
            ["", " ", "optional:", "choice:City", "choice:City=", "choices:City=a;;b", "yes-no:"]
        {
            assert!(told(bad).is_err(), "{bad}");
        }
    }
}
