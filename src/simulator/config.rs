//! Everything that can be set about a simulator.

use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use uuid::Uuid;

use crate::registrant::Mode;

use super::{Faults, RateLimit};

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
    pub webinar: WebinarConfig,
    /// The tenant in links and tokens.
    pub tenant: Uuid,
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
    /// Who may call.
    pub tokens: TokenConfig,
    /// Whether the whole API is refused.
    pub refuse: Option<ApiRefusal>,
    /// The scheme and host of `@odata.nextLink`, where it is not the host that was called: a
    /// client must not carry its token there.
    pub next_link_base: Option<String>,
    /// Meetings and webinars whose id begins so do not exist.
    pub missing_prefix: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 0,
            // 2026-01-01T00:00:00Z
            epoch: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600),
            kind: ServedApi::Both,
            registration: RegistrationState::External(Mode::Everyone),
            webinar: WebinarConfig::default(),
            // The tenant of the reference's examples.
            tenant: Uuid::from_u128(0x909c_6581_5130_43e9_88f3_fcb3_582c_de37),
            latency: CallLatency::default(),
            write_limit: None,
            read_limit: None,
            retry_after: RetryAfterForm::Whole,
            second_post: SecondPost::Return,
            list_lag: Duration::ZERO,
            page_size: 100,
            quirks: 20.0,
            faults: Faults::default(),
            tokens: TokenConfig::default(),
            refuse: None,
            next_link_base: None,
            missing_prefix: "missing".to_owned(),
        }
    }
}

/// Which of the two APIs is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ServedApi {
    /// Registrations of online meetings (`beta`).
    Meeting,
    /// Registrations of webinars (`v1.0`).
    Webinar,
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

impl Default for CallLatency {
    fn default() -> Self {
        Self { median: Duration::ZERO, sigma: 0.5 }
    }
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

/// Who may call, and how tokens are given out.
#[derive(Clone, Debug)]
pub struct TokenConfig {
    /// Which bearers are taken.
    pub rule: TokenRule,
    /// How long an issued token lives.
    pub lifetime: Duration,
    /// The client secret that is asked for; `None`: any.
    pub client_secret: Option<String>,
    /// Checks the signature of a client assertion: the signed text, then the signature. `None`:
    /// the assertion's form, audience and times are checked, its signature is not.
    pub assertion_signature: Option<AssertionSignature>,
    /// How device codes are approved.
    pub device: DeviceCodes,
}

/// Whether this text (the first argument) was signed so (the second).
pub type AssertionSignature = fn(&[u8], &[u8]) -> bool;

impl Default for TokenConfig {
    fn default() -> Self {
        Self {
            rule: TokenRule::Any,
            lifetime: Duration::from_secs(3_599), // as in Microsoft's examples
            client_secret: None,
            assertion_signature: None,
            device: DeviceCodes::default(),
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

/// How device codes are approved.
#[derive(Clone, Copy, Debug)]
pub struct DeviceCodes {
    /// How often `authorization_pending` is answered before the sign-in is done.
    pub pending_polls: u32,
    /// How long a client has to wait between two polls, or gets `slow_down`.
    pub interval: Duration,
    /// How long a code lives; then `expired_token`.
    pub lifetime: Duration,
    /// The person says no: `authorization_declined`.
    pub declined: bool,
}

impl Default for DeviceCodes {
    fn default() -> Self {
        Self {
            pending_polls: 2,
            interval: Duration::from_secs(5),
            lifetime: Duration::from_secs(900),
            declined: false,
        }
    }
}

/// Every webinar of a simulator.
#[expect(clippy::struct_excessive_bools, reason = "they are Graph's own flags")]
#[derive(Clone, Debug)]
pub struct WebinarConfig {
    /// Its state; only a published one takes registrations.
    pub status: WebinarStatus,
    /// Who may register.
    pub audience: Mode,
    /// The most registrations, where there is a maximum.
    pub capacity: Option<usize>,
    /// Whether people wait when it is full.
    pub waitlist: bool,
    /// Whether the organizer approves each registration.
    pub approval: bool,
    /// After how long a pending registration is approved, if ever.
    pub approved_after: Option<Duration>,
    /// Whether Teams mails each registrant.
    pub mails: bool,
    /// The questions of its form.
    pub questions: Vec<WebinarQuestion>,
    /// Whose tokens those are that the simulator did not issue.
    pub caller: Caller,
    /// How sessions tell their times.
    pub dates: DateForm,
    /// Which `prid` the links carry.
    pub prid: WebinarPrid,
    /// Whether GET answers in the documented wrapper `{"value": {…}}`.
    pub wrapped: bool,
}

impl Default for WebinarConfig {
    fn default() -> Self {
        Self {
            status: WebinarStatus::Published,
            audience: Mode::Everyone,
            capacity: None,
            waitlist: false,
            approval: false,
            approved_after: None,
            mails: true,
            questions: Vec::new(),
            caller: Caller::Application,
            dates: DateForm::Text,
            prid: WebinarPrid::Absent,
            wrapped: false,
        }
    }
}

/// A webinar's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WebinarStatus {
    /// Not yet open.
    Draft,
    /// Open.
    Published,
    /// Called off.
    Canceled,
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
pub enum WebinarPrid {
    /// None, as in Microsoft's examples.
    Absent,
    /// The posted `registrationId`.
    Posted,
    /// Graph's own id of the registration.
    Registration,
}

/// A question of a webinar's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebinarQuestion {
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

impl WebinarQuestion {
    /// A required question that is answered by text.
    #[must_use]
    pub fn text(words: &str) -> Self {
        Self {
            id: super::chance::uuid(super::chance::text(0, words)),
            display_name: words.to_owned(),
            required: true,
            kind: QuestionKind::Text,
        }
    }
}
