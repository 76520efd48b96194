//! How a run is to behave: the options that are neither input nor output.

use std::{fmt, str::FromStr, time::Duration};

use clap::ValueEnum;

/// `--cancel`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CancelMode {
    /// Nobody.
    #[default]
    Never,
    /// Those whose row says that they cancelled
    Marked,
    /// These, and those whom no list names any more.
    Missing,
}

/// What may be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelPolicy {
    /// `--cancel`.
    pub mode: CancelMode,
    /// `--missing-for`.
    pub missing_for: Duration,
    /// `--max-cancel`.
    pub most: Limit,
}

impl CancelPolicy {
    /// `--missing-for`: a nightly export fails once now and then.
    pub const MISSING_FOR: Duration = Duration::from_secs(24 * 60 * 60);
    /// `--max-cancel`, in hundredths of a percent.
    pub const MOST: Limit = Limit::Share(500);
}

impl Default for CancelPolicy {
    fn default() -> Self {
        let (missing_for, most) = (Self::MISSING_FOR, Self::MOST);
        Self { mode: CancelMode::Never, missing_for, most }
    }
}

/// `--on-unknown`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnUnknown {
    /// List the target, then finish the row
    #[default]
    Reconcile,
    /// Leave it alone
    Hold,
}

/// `--max-rejects N|P%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many rows.
    Rows(u64),
    /// So many hundredths of a percent of the rows read.
    Share(u32),
}

impl Limit {
    /// Whether `rejects` of `read` rows are more than allowed.
    pub fn is_passed(self, rejects: u64, read: u64) -> bool {
        match self {
            Self::Rows(most) => rejects > most,
            Self::Share(most) => u128::from(rejects) * 10_000 > u128::from(most) * u128::from(read),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(rows) => write!(f, "{rows}"),
            Self::Share(share) if share % 100 == 0 => write!(f, "{}%", share / 100),
            Self::Share(share) => write!(f, "{}.{:02}%", share / 100, share % 100),
        }
    }
}

/// A limit that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no limit; write a number of rows (`20`) or a share of them (`2%`, `0.5%`)")]
pub struct BadLimit(String);

impl FromStr for Limit {
    type Err = BadLimit;

    fn from_str(text: &str) -> Result<Self, BadLimit> {
        let bad = || BadLimit(text.to_owned());
        let Some(percent) = text.strip_suffix('%') else {
            return text.parse().map(Self::Rows).map_err(|_| bad());
        };
        let (whole, decimals) = percent.split_once('.').unwrap_or((percent, ""));
        if decimals.len() > 2 {
            return Err(bad());
        }
        let whole: u32 = whole.parse().map_err(|_| bad())?;
        let hundredths: u32 = format!("{decimals:0<2}").parse().map_err(|_| bad())?;
        let share = whole.checked_mul(100).map(|share| share + hundredths);
        share.filter(|&share| share <= 10_000).map(Self::Share).ok_or_else(bad)
    }
}

/// How a run is to behave.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Conduct {
    /// Any invalid row: nothing is posted.
    pub strict: bool,
    /// Stop when more rows are invalid or refused.
    pub max_rejects: Option<Limit>,
    /// What to do about rows in doubt.
    pub on_unknown: OnUnknown,
    /// How long after a lost answer the target's list is asked.
    pub settle: Duration,
    /// Go on where the target cannot be listed, or its registration was made anew.
    pub trust_ledger: bool,
    /// Register people although not all find a place (`--over-capacity`).
    pub over_capacity: bool,
    /// One link for everybody is right (`--shared-link`).
    pub shared_link: bool,
    /// Take whoever has an id for the person whom it was enrolled for.
    pub trust_ids: bool,
    /// Who is to be cancelled.
    pub cancel: CancelPolicy,
    /// How often a row's result may be lost in one run.
    pub max_attempts: u32,
    /// The most requests at Graph at one time.
    pub concurrency: usize,
}

impl Conduct {
    /// `--settle`: an answer that is lost is usually given up by a gateway within seconds.
    pub const SETTLE: Duration = Duration::from_secs(10);
    /// `--max-attempts`.
    pub const MAX_ATTEMPTS: u32 = 6;
    /// `--concurrency`.
    pub const CONCURRENCY: usize = 64;

    /// The most rows in hand: at Graph, on their way to it, and on their way to the disk.
    pub fn in_hand(&self) -> usize {
        self.concurrency.saturating_mul(4).max(8)
    }
}

impl Default for Conduct {
    fn default() -> Self {
        Self {
            strict: false,
            max_rejects: None,
            on_unknown: OnUnknown::default(),
            settle: Self::SETTLE,
            trust_ledger: false,
            over_capacity: false,
            shared_link: false,
            trust_ids: false,
            cancel: CancelPolicy::default(),
            max_attempts: Self::MAX_ATTEMPTS,
            concurrency: Self::CONCURRENCY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_rows_or_shares() {
        assert_eq!("20".parse(), Ok(Limit::Rows(20)));
        assert_eq!("2%".parse(), Ok(Limit::Share(200)));
        assert_eq!("0.5%".parse(), Ok(Limit::Share(50)));
        for bad in ["", "%", "-1", "101%", "1.234%", "2 %", "a"] {
            assert!(bad.parse::<Limit>().is_err(), "{bad}");
        }
        for text in ["20", "2%", "0.50%"] {
            assert_eq!(text.parse::<Limit>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn a_limit_is_passed_only_beyond_it() {
        assert!(!Limit::Rows(2).is_passed(2, 10));
        assert!(Limit::Rows(2).is_passed(3, 10));
        assert!(!Limit::Share(2_000).is_passed(2, 10));
        assert!(Limit::Share(2_000).is_passed(3, 10));
        assert!(Limit::Rows(0).is_passed(1, 10));
    }
}
