//! What a run learnt of the server's limit, in a form the ledger keeps for the next run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The version of the stored form; another version is not read.
const VERSION: u32 = 1;
/// After a week the limit may have been changed: start a tenth lower.
const STALE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// After this long it tells nothing any more.
const DEAD: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// What was learnt of one target's limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Learnt {
    /// The version of this form.
    version: u32,
    /// The limit.
    pub limit: Limit,
}

/// The shape of a server's limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Limit {
    /// A bucket, or windows too short to tell from one.
    Pace {
        /// Calls per second.
        rate: f64,
        /// Calls that a full bucket gives at once; 0 where that is not known.
        #[serde(default)]
        burst: f64,
        /// The share by which the rate may be higher, for it was measured in few calls.
        #[serde(default)]
        doubt: f64,
    },
    /// A window.
    Window {
        /// Calls in one window.
        quota: u64,
        /// Its length in seconds.
        seconds: f64,
        /// Whether all of the quota returns at one moment.
        fixed: bool,
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
    pub(super) fn new(limit: Limit) -> Self {
        Self { version: VERSION, limit }
    }

    /// The text for the ledger.
    ///
    /// # Panics
    /// Never: numbers and plain names always serialize.
    #[must_use]
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
            Limit::Pace { rate, burst, doubt } => {
                (1e-6..1e6).contains(&rate)
                    && (0.0..1e9).contains(&burst)
                    && (0.0..=1.0).contains(&doubt)
            }
            Limit::Window { quota, seconds, .. } => {
                (1..1_000_000_000).contains(&quota) && (1e-3..1e6).contains(&seconds)
            }
        };
        if learnt.version == VERSION && sane { Ok(learnt) } else { Err(LearntError::Foreign) }
    }

    /// What is left of it after `age`: of a bucket's burst what has flowed in since, after a week a
    /// tenth less of the rate or quota, after 90 days nothing.
    #[must_use]
    pub fn aged(self, age: Duration) -> Option<Self> {
        if age >= DEAD {
            return None;
        }
        if age < STALE {
            let Limit::Pace { rate, burst, doubt } = self.limit else { return Some(self) };
            let burst = burst.min(rate * age.as_secs_f64());
            return Some(Self { limit: Limit::Pace { rate, burst, doubt }, ..self });
        }
        let limit = match self.limit {
            Limit::Pace { rate, burst, doubt } => {
                Limit::Pace { rate: rate * 0.9, burst: burst * 0.9, doubt }
            }
            Limit::Window { quota, seconds, fixed } => {
                Limit::Window { quota: (quota - quota.div_ceil(10)).max(1), seconds, fixed }
            }
        };
        Some(Self { limit, ..self })
    }

    /// Calls per second on average.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        match self.limit {
            Limit::Pace { rate, .. } => rate,
            #[expect(clippy::cast_precision_loss, reason = "below 2^52 by far")]
            Limit::Window { quota, seconds, .. } => quota as f64 / seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_ledger() {
        for limit in [
            Limit::Pace { rate: 9.87, burst: 12.5, doubt: 0.05 },
            Limit::Window { quota: 15, seconds: 30.0, fixed: true },
        ] {
            let learnt = Learnt::new(limit);
            assert_eq!(Learnt::from_json(&learnt.to_json()).expect("own text"), learnt);
        }
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
    }

    #[test]
    fn ages() {
        let day = Duration::from_secs(24 * 60 * 60);
        let learnt = Learnt::new(Limit::Window { quota: 15, seconds: 30.0, fixed: false });
        assert_eq!(learnt.aged(day), Some(learnt));
        let week_old = learnt.aged(day * 8).expect("kept");
        assert!((week_old.per_second() - 13.0 / 30.0).abs() < 1e-9);
        assert_eq!(learnt.aged(day * 91), None);
        let bucket = Learnt::new(Limit::Pace { rate: 20.0, burst: 40.0, doubt: 0.02 });
        let burst = |age| match bucket.aged(age).map(|learnt| learnt.limit) {
            Some(Limit::Pace { rate, burst, .. }) => (rate, burst),
            other => panic!("a pace was kept: {other:?}"),
        };
        assert_eq!(burst(Duration::ZERO), (20.0, 0.0), "the run before has just used all of it");
        assert_eq!(burst(Duration::from_secs(1)), (20.0, 20.0));
        assert_eq!(burst(day), (20.0, 40.0));
    }
}
