//! What can go wrong on purpose: the faults by name, how often each comes, and to which calls.

use std::{fmt, str::FromStr, time::Duration};

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::parse::duration;

use super::chance;

macro_rules! faults {
    ($($(#[doc = $doc:expr])+ $variant:ident = $name:literal),+ $(,)?) => {
        /// A fault that the simulator can commit.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum SimulatedFault {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl SimulatedFault {
            /// Every fault.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name on the command line and in the statistics.
                        pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What it does, in one line.
                        pub fn summary(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

faults! {
    /// 400, not processed: the server refuses this one.
    Refused = "400",
    /// 401, not processed: the token is said to be expired.
    ExpiredToken = "expired-token",
    /// 429 with a Retry-After (--fault-wait), not processed, outside any limit.
    Throttled = "429",
    /// 429 with a Retry-After (--fault-wait), although processed.
    ThrottledAfterCommit = "429-after-commit",
    /// 500, not processed.
    ServerError = "500",
    /// 500, although processed.
    ServerErrorAfterCommit = "500-after-commit",
    /// 502, not processed.
    BadGateway = "502",
    /// 502, although processed.
    BadGatewayAfterCommit = "502-after-commit",
    /// 503 without Retry-After, not processed.
    Unavailable = "503",
    /// 503 with a Retry-After (--fault-wait), not processed.
    UnavailableRetryAfter = "503-retry-after",
    /// 504, not processed.
    GatewayTimeout = "504",
    /// 504, although processed.
    GatewayTimeoutAfterCommit = "504-after-commit",
    /// No connection is made (a server on a socket can only reset it).
    NoConnection = "no-connection",
    /// The connection is reset, not processed.
    ResetBeforeCommit = "reset-before-commit",
    /// Processed, then the connection is reset without an answer.
    ResetAfterCommit = "reset-after-commit",
    /// Processed; the answer's body comes at one byte a second.
    SlowBody = "slow-body",
    /// Processed; the headers come, the body never does.
    Silence = "silence",
    /// No answer at all; processed in half of the cases.
    Stall = "stall",
    /// Processed; a complete answer whose JSON ends in the middle.
    CutJson = "cut-json",
    /// Processed; the connection breaks in the middle of the body.
    CutBody = "cut-body",
    /// Processed; the right status with an empty body.
    EmptyBody = "empty-body",
    /// 200 with a page of HTML; processed in half of the cases.
    Html = "html",
    /// Processed; 204 instead of an answer with a body.
    NoContent = "no-content",
    /// Processed; the answer's body is a gigabyte long.
    GiantBody = "giant-body",
    /// Processed; the join link is null, empty or missing.
    NoLink = "no-link",
    /// Processed; the join link is another registrant's.
    WrongPrid = "wrong-prid",
    /// Processed; the join link is the same for everybody, and names nobody.
    SharedLink = "shared-link",
    /// Processed; the answer's id is another than the posted one (the link is right).
    OtherId = "other-id",
}

impl SimulatedFault {
    /// Whether it strikes instead of the work, not after or within it; `hash` decides where a
    /// fault leaves that open.
    pub(super) fn comes_before_work(self, hash: u64) -> bool {
        match self {
            Self::Refused
            | Self::ExpiredToken
            | Self::Throttled
            | Self::ServerError
            | Self::BadGateway
            | Self::Unavailable
            | Self::UnavailableRetryAfter
            | Self::GatewayTimeout
            | Self::NoConnection
            | Self::ResetBeforeCommit => true,
            Self::Stall | Self::Html => chance::mix(hash) & 1 == 0,
            _ => false,
        }
    }
}

impl fmt::Display for SimulatedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The calls that a fault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum CallKind {
    /// POST of a registrant or a registration.
    Post,
    /// A list of registrants or registrations: one page of it.
    List,
    /// DELETE of a registrant, cancelling a registration.
    Delete,
    /// Everything else under Graph: the meeting's registration, the webinar, one registration,
    /// its sessions.
    Read,
    /// The token endpoint.
    Token,
}

impl CallKind {
    fn names() -> String {
        Self::VARIANTS.iter().map(<&str>::from).collect::<Vec<_>>().join(", ")
    }
}

/// How often a fault comes: on the command line `NAME=PERCENT`, with the kind of call in front
/// (`list:500=10`) where it is not for POSTs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultRate {
    /// For which calls.
    pub scope: CallKind,
    /// Which fault.
    pub fault: SimulatedFault,
    /// In how many calls of a hundred.
    pub percent: f64,
}

impl FromStr for FaultRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = text.split_once('=').ok_or_else(|| {
            format!("`{text}` is no fault; write NAME=PERCENT, such as 503=5 or list:500=10")
        })?;
        let (kind, name) = name.split_once(':').unwrap_or(("post", name));
        let scope = CallKind::from_str(kind).map_err(|_| {
            format!("`{kind}` is no kind of call; the kinds are {}", CallKind::names())
        })?;
        let fault = SimulatedFault::ALL.iter().copied().find(|fault| fault.as_str() == name);
        let fault = fault.ok_or_else(|| {
            let faults: Vec<&str> =
                SimulatedFault::ALL.iter().map(|fault| fault.as_str()).collect();
            format!("`{name}` is no fault; the faults are {}", faults.join(", "))
        })?;
        let percent = number.trim_end_matches('%').parse().ok();
        let percent = percent
            .filter(|percent| (0.0..=100.0).contains(percent))
            .ok_or_else(|| format!("`{number}` is no percentage between 0 and 100"))?;
        Ok(Self { scope, fault, percent })
    }
}

/// The faults of a simulator.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    rates: Vec<FaultRate>,
    script: Vec<ScriptedFault>,
    outages: Vec<Outage>,
}

/// A fault for one registrant's POST, whatever the percentages.
#[derive(Clone, Debug, PartialEq)]
struct ScriptedFault {
    id: String,
    attempt: Option<u32>,
    fault: SimulatedFault,
}

/// A time in which every call of a kind gets 503, without Retry-After.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// For which calls.
    pub scope: CallKind,
    /// From when, counted from the simulator's start.
    pub from: Duration,
    /// Until when.
    pub until: Duration,
}

impl FromStr for Outage {
    type Err = String;

    /// `token:10s..20s`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            let kinds = CallKind::names();
            format!("`{text}` is no outage; write it as token:10s..20s, with one of {kinds}")
        };
        let (kind, times) = text.split_once(':').ok_or_else(wrong)?;
        let (from, until) = times.split_once("..").ok_or_else(wrong)?;
        let scope = CallKind::from_str(kind).map_err(|_| wrong())?;
        Ok(Self { scope, from: duration(from)?, until: duration(until)? })
    }
}

impl Faults {
    /// Faults by percentage: those of one kind of call are at most 100 % together.
    pub fn new(rates: Vec<FaultRate>) -> Result<Self, String> {
        for &kind in CallKind::VARIANTS {
            let sum: f64 = rates.iter().filter(|r| r.scope == kind).map(|r| r.percent).sum();
            if sum > 100.0 + 1e-9 {
                let kind: &str = kind.into();
                return Err(format!("the faults of `{kind}` calls are more than 100 % together"));
            }
        }
        Ok(Self { rates, ..Self::default() })
    }

    /// Adds a fault for one registrant's id, or a webinar's e-mail address. Attempts are counted
    /// from 1, by the POSTs that no limit refused; `None` stands for each.
    pub fn script(
        mut self,
        id: impl Into<String>,
        attempt: Option<u32>,
        fault: SimulatedFault,
    ) -> Self {
        self.script.push(ScriptedFault { id: id.into(), attempt, fault });
        self
    }

    /// Adds an outage.
    pub fn outage(mut self, outage: Outage) -> Self {
        self.outages.push(outage);
        self
    }

    /// The fault of the call that this number was drawn for.
    pub(super) fn draw(&self, scope: CallKind, hash: u64) -> Option<SimulatedFault> {
        let mut left = chance::unit(hash) * 100.0;
        for rate in self.rates.iter().filter(|rate| rate.scope == scope) {
            if left < rate.percent {
                return Some(rate.fault);
            }
            left -= rate.percent;
        }
        None
    }

    /// The fault written for this attempt on this registrant.
    pub(super) fn scripted(&self, id: &str, attempt: u32) -> Option<SimulatedFault> {
        self.script
            .iter()
            .find(|s| s.id == id && s.attempt.is_none_or(|wanted| wanted == attempt))
            .map(|s| s.fault)
    }

    /// Whether calls of this kind fail at this time.
    pub(super) fn out(&self, scope: CallKind, now: Duration) -> bool {
        self.outages.iter().any(|o| o.scope == scope && (o.from..o.until).contains(&now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_with_or_without_a_scope() {
        let rate: FaultRate = "list:500=10".parse().expect("a rate");
        assert_eq!(
            rate,
            FaultRate { scope: CallKind::List, fault: SimulatedFault::ServerError, percent: 10.0 }
        );
        let rate: FaultRate = "reset-after-commit=2.5%".parse().expect("a rate");
        assert_eq!((rate.scope, rate.fault), (CallKind::Post, SimulatedFault::ResetAfterCommit));
        for bad in ["500", "500=101", "500=-1", "500=x", "nonsense=1", "queue:500=1"] {
            assert!(bad.parse::<FaultRate>().is_err(), "{bad}");
        }
        let unknown = "nonsense=1".parse::<FaultRate>().expect_err("unknown");
        for fault in SimulatedFault::ALL {
            assert!(unknown.contains(fault.as_str()), "{unknown}");
            assert!(fault.summary().ends_with(['.', ')']), "{}", fault.summary());
        }
    }

    #[test]
    fn faults_come_as_often_as_asked_and_replay() {
        let rates = ["500=10", "503=5", "list:500=90"].map(|r| r.parse().expect("a rate"));
        let faults = Faults::new(rates.to_vec()).expect("below 100 %");
        let drawn = |fault| {
            (0..20_000)
                .filter(|&n| faults.draw(CallKind::Post, chance::pair(9, n)) == Some(fault))
                .count()
        };
        assert!((1_850..2_150).contains(&drawn(SimulatedFault::ServerError)));
        assert!((900..1_100).contains(&drawn(SimulatedFault::Unavailable)));
        assert_eq!(faults.draw(CallKind::Delete, 1), None);
        assert_eq!(drawn(SimulatedFault::ServerError), drawn(SimulatedFault::ServerError));
        let too_many = ["500=60", "503=60"].map(|r| r.parse().expect("a rate"));
        assert!(Faults::new(too_many.to_vec()).expect_err("120 %").contains("`post`"));
    }

    #[test]
    fn a_script_names_id_and_attempt_and_an_outage_its_time() {
        let faults =
            Faults::default().script("a", Some(2), SimulatedFault::Silence).outage(Outage {
                scope: CallKind::Token,
                from: Duration::from_secs(1),
                until: Duration::from_secs(2),
            });
        let outage: Outage = "token:1s..2s".parse().expect("an outage");
        assert_eq!(faults.outages, [outage]);
        assert!("graph:10s..20s".parse::<Outage>().is_err());
        assert_eq!(faults.scripted("a", 1), None);
        assert_eq!(faults.scripted("a", 2), Some(SimulatedFault::Silence));
        assert_eq!(faults.scripted("b", 2), None);
        assert!(faults.out(CallKind::Token, Duration::from_secs(1)));
        assert!(!faults.out(CallKind::Token, Duration::from_secs(2)));
        assert!(!faults.out(CallKind::Post, Duration::from_secs(1)));
    }
}
