//! What a run learnt of the server's limit, in a form the ledger keeps for the next run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::retry_after::LONGEST;

/// The version of the stored form; another version is not read.
const VERSION: u32 = 1;
/// After a week the limit may have been changed: start a tenth lower.
const STALE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// After this long it tells nothing any more.
const DEAD: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// What was learnt of one target's limit, and how long the server still asks to wait.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Learnt {
    /// The version of this form.
    version: u32,
    /// The limit, where two witnesses spoke for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// What was left, in seconds, of a wait that the server asked for, when this was kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    wait: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(wait: &f64) -> bool {
    *wait == 0.0
}

/// The shape of a server's limit. Older programs wrote more about each; it is not read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Limit {
    /// A bucket, or windows too short to tell from one.
    Pace {
        /// Calls per second.
        rate: f64,
    },
    /// A window.
    Window {
        /// Calls in one window.
        quota: u64,
        /// Its length in seconds.
        seconds: f64,
    },
}

/// Why a stored text is not usable.
#[derive(Debug, thiserror::Error)]
pub enum LearntError {
    /// Not the JSON that is written here.
    #[error("what an earlier run learnt of the limit cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// Written by another version, or with values no run writes.
    #[error("what an earlier run learnt of the limit is of another version")]
    Foreign,
}

impl Learnt {
    pub(super) fn new(limit: Option<Limit>, wait: Duration) -> Self {
        Self { version: VERSION, limit, wait: wait.as_secs_f64() }
    }

    /// The text for the ledger.
    ///
    /// # Panics
    /// Never: numbers and plain names always serialize.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and plain names always serialize")
    }

    /// Reads the ledger's text.
    ///
    /// # Errors
    /// The text is not JSON of this form, or of another version.
    pub fn from_json(text: &str) -> Result<Self, LearntError> {
        let learnt: Self = serde_json::from_str(text)?;
        let sane = match learnt.limit {
            None => learnt.wait > 0.0,
            Some(Limit::Pace { rate }) => (1e-6..1e6).contains(&rate),
            Some(Limit::Window { quota, seconds }) => {
                (1..1_000_000_000).contains(&quota) && (1e-3..1e6).contains(&seconds)
            }
        };
        let waits = (0.0..=LONGEST.as_secs_f64() + 1.0).contains(&learnt.wait);
        let sane = sane && waits && learnt.version == VERSION;
        if sane { Ok(learnt) } else { Err(LearntError::Foreign) }
    }

    /// What is left of it after `age`: the rest of the wait, after a week a tenth less of the rate or
    /// quota, after 90 days nothing.
    pub fn aged(self, age: Duration) -> Option<Self> {
        let wait = (self.wait - age.as_secs_f64()).max(0.0);
        let limit = self.limit.filter(|_| age < DEAD).map(|limit| match limit {
            limit if age < STALE => limit,
            Limit::Pace { rate } => Limit::Pace { rate: rate * 0.9 },
            Limit::Window { quota, seconds } => {
                Limit::Window { quota: (quota - quota.div_ceil(10)).max(1), seconds }
            }
        });
        (limit.is_some() || wait > 0.0).then_some(Self { limit, wait, ..self })
    }

    /// How long the server still asks to wait.
    pub fn wait(&self) -> Duration {
        Duration::try_from_secs_f64(self.wait).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn survives_the_ledger() {
        for limit in [
            None,
            Some(Limit::Pace { rate: 9.87 }),
            Some(Limit::Window { quota: 15, seconds: 30.0 }),
        ] {
            let learnt = Learnt::new(limit, Duration::from_millis(12_500));
            assert_eq!(Learnt::from_json(&learnt.to_json()).expect("own text"), learnt);
        }
    }

    #[test]
    fn reads_what_older_programs_wrote() {
        let pace = r#"{"version":1,"limit":{"kind":"pace","rate":9.5,"burst":12.0,"doubt":0.1}}"#;
        let learnt = Learnt::from_json(pace).expect("readable");
        assert_eq!(learnt, Learnt::new(Some(Limit::Pace { rate: 9.5 }), Duration::ZERO));
        let window =
            r#"{"version":1,"limit":{"kind":"window","quota":15,"seconds":30.0,"fixed":true}}"#;
        let learnt = Learnt::from_json(window).expect("readable");
        assert_eq!(learnt.limit, Some(Limit::Window { quota: 15, seconds: 30.0 }));
    }

    #[test]
    fn refuses_what_no_run_wrote() {
        let pace = |version: u32, rate: &str| {
            format!(r#"{{"version":{version},"limit":{{"kind":"pace","rate":{rate}}}}}"#)
        };
        assert!(Learnt::from_json(&pace(1, "2.0")).is_ok());
        for text in ["", "{}", &pace(2, "2.0"), &pace(1, "0.0"), &pace(1, "-3.0"), &pace(1, "1e9")]
        {
            assert!(Learnt::from_json(text).is_err(), "{text}");
        }
        for wait in ["-1.0", "1e9"] {
            assert!(Learnt::from_json(&format!(r#"{{"version":1,"wait":{wait}}}"#)).is_err());
        }
    }

    #[test]
    fn ages() {
        let learnt = Learnt::new(Some(Limit::Window { quota: 15, seconds: 30.0 }), Duration::ZERO);
        assert_eq!(learnt.aged(DAY), Some(learnt));
        let week_old = learnt.aged(DAY * 8).expect("kept");
        assert_eq!(week_old.limit, Some(Limit::Window { quota: 13, seconds: 30.0 }));
        assert_eq!(learnt.aged(DAY * 91), None);
    }

    #[test]
    fn a_wait_ends_when_the_server_said() {
        let learnt = Learnt::new(None, Duration::from_secs(30));
        let later = learnt.aged(Duration::from_secs(12)).expect("18 s are left");
        assert_eq!(later.wait(), Duration::from_secs(18));
        assert_eq!(learnt.aged(Duration::from_secs(30)), None);
    }
}
