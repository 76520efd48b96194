//! When a run starts nothing new any more, and how that is told.

use std::time::Duration;

use jiff::{SignedDuration, Unit, Zoned, civil::Time};

use super::notation;

/// The earlier of `--finish-by` and `--max-duration`.
#[derive(Clone, Debug)]
pub(super) struct Deadline {
    /// From the start of the run on.
    pub(super) after: Duration,
    /// The option that says so.
    pub(super) option: &'static str,
    at: Zoned,
}

impl Deadline {
    /// The deadline of a run that starts `now`.
    pub(super) fn of(
        finish_by: Option<Time>,
        max_duration: Option<Duration>,
        now: &Zoned,
    ) -> Option<Self> {
        let finish_by = finish_by.map(|time| (notation::until(time, now), "--finish-by"));
        let max_duration = max_duration.map(|length| (length, "--max-duration"));
        let (after, option) = [finish_by, max_duration].into_iter().flatten().min()?;
        // Beyond what a calendar holds there is no deadline.
        let at = now.checked_add(SignedDuration::try_from(after).ok()?).ok()?;
        Some(Self { after, option, at })
    }

    /// "06:00 tomorrow": a time of day that has just passed is the next day's.
    pub(super) fn words(&self, now: &Zoned) -> String {
        let at = self.at.round(Unit::Second).unwrap_or_else(|_| self.at.clone());
        let time = at.strftime(if at.second() == 0 { "%H:%M" } else { "%H:%M:%S" });
        let tomorrow = now.tomorrow().is_ok_and(|tomorrow| tomorrow.date() == at.date());
        match at.date() {
            date if date == now.date() => time.to_string(),
            _ if tomorrow => format!("{time} tomorrow"),
            date => format!("{time} on {date}"),
        }
    }

    /// What is left of the time.
    pub(super) fn left(&self, now: &Zoned) -> Duration {
        Duration::try_from(self.at.duration_since(now)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(now: &str, finish_by: Option<&str>, minutes: Option<u64>) -> String {
        let now: Zoned = format!("2026-11-21T{now}+00:00[UTC]").parse().expect("a time");
        let finish_by = finish_by.map(|time| notation::time_of_day(time).expect("a time"));
        let max_duration = minutes.map(|minutes| Duration::from_secs(60 * minutes));
        let deadline = Deadline::of(finish_by, max_duration, &now).expect("one is given");
        format!("{} {}", deadline.words(&now), deadline.option)
    }

    #[test]
    fn a_time_that_has_passed_is_tomorrows_and_says_so() {
        assert_eq!(words("06:01:00", Some("06:00"), None), "06:00 tomorrow --finish-by");
        assert_eq!(words("05:59:00", Some("06:00"), None), "06:00 --finish-by");
        assert_eq!(words("05:59:00.7", Some("06:00"), None), "06:00 --finish-by");
        assert_eq!(words("23:30:05", None, Some(60)), "00:30:05 tomorrow --max-duration");
        assert_eq!(words("12:00:00", None, Some(2_880)), "12:00 on 2026-11-23 --max-duration");
        assert_eq!(words("05:00:00", Some("06:00"), Some(90)), "06:00 --finish-by");
        assert_eq!(words("05:00:00", Some("06:00"), Some(30)), "05:30 --max-duration");
    }
}
