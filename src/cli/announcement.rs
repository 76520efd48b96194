//! What a run says of itself before it sends the first row.

use std::{fmt::Write, time::Duration};

use super::notation::grouped;
use crate::{
    job::Planned,
    output::{length, rate_in_words, time_of_end},
    pacing::Quota,
};

/// How long so many rows take under a ceiling, at least: the first ones go at once.
pub(super) fn forecast(rows: u64, ceiling: Quota) -> Duration {
    ceiling.shortest(rows)
}

/// What is known of the pace before it shows itself.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// The ceiling of writes.
    pub(super) ceiling: Option<Quota>,
    /// Whether rows go to a real meeting, for which Microsoft publishes no limit.
    pub(super) unpublished: bool,
    /// What is left until nothing new is started, and when that is.
    pub(super) deadline: Option<(Duration, String)>,
}

impl Expected {
    /// How long so many rows take at `pace` a second, and at what rate in words.
    fn time(&self, rows: u64, pace: f64) -> (Duration, String) {
        #[expect(clippy::cast_precision_loss, reason = "rows")]
        let steadily = || Duration::try_from_secs_f64(rows as f64 / pace).unwrap_or(Duration::MAX);
        match self.ceiling {
            Some(ceiling) if (ceiling.per_second() - pace).abs() < f64::EPSILON => {
                (forecast(rows, ceiling), ceiling.to_string())
            }
            _ => (steadily(), rate_in_words(pace)),
        }
    }

    /// "; at 15/30s about 4 h 40 min, until 03:10", or why there is no such estimate.
    fn told(&self, rows: u64, pace: Option<f64>) -> String {
        if rows == 0 {
            return String::new();
        }
        let Some(pace) = pace else {
            let unpublished =
                "; the pace is found out on the way (Microsoft publishes no limit for meetings)";
            return if self.unpublished { unpublished.to_owned() } else { String::new() };
        };
        let (time, at) = self.time(rows, pace);
        if let Some((left, words)) = &self.deadline
            && time > *left
        {
            let fitting = grouped(most(rows, |rows| self.time(rows, pace).0 <= *left));
            return format!(
                "; at {at} about {fitting} of {} until {words}, the rest is for the next run",
                grouped(rows)
            );
        }
        if time < Duration::from_secs(1) {
            return format!("; at {at} all go at once");
        }
        let mut text = format!("; at {at} about {}", length(time));
        if let Some(end) = time_of_end(time) {
            write!(text, ", until {end}").expect("a String takes it");
        }
        text
    }
}

/// The most of so many rows that still fit.
fn most(rows: u64, fit: impl Fn(u64) -> bool) -> u64 {
    let (mut some, mut too_many) = (0, rows + 1);
    while too_many - some > 1 {
        let between = some + (too_many - some) / 2;
        if fit(between) {
            some = between;
        } else {
            too_many = between;
        }
    }
    some
}

/// "8,412 new registrants, 1,588 already enrolled; at 15/30s about 4 h 40 min, until 03:10".
pub(super) fn announcement(planned: &Planned<'_>, expected: &Expected) -> String {
    let Planned { plan, pace, .. } = planned;
    let plan = &plan.counts;
    let noun = if plan.to_post == 1 { "registrant" } else { "registrants" };
    let mut parts = vec![format!("{} new {noun}", grouped(plan.to_post))];
    let mut count = |number: u64, what: &str| {
        if number > 0 {
            parts.push(format!("{} {what}", grouped(number)));
        }
    };
    count(plan.already, "already enrolled");
    count(plan.held, "on the webinar already, whose links are fetched");
    count(plan.awaiting, "on the webinar without a link yet");
    count(plan.in_doubt, "left in doubt by an earlier run, to be looked up");
    count(plan.foreign, "on the server that this ledger never sent");
    count(plan.changed, "changed since they were enrolled");
    count(plan.strangers, "with somebody else's id");
    count(plan.invalid, "invalid");
    count(plan.excluded, "left out by filters");
    let rows = plan.to_post + plan.in_doubt;
    parts.join(", ") + &expected.told(rows, *pace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(ceiling: Option<&str>, rows: u64, pace: Option<f64>) -> String {
        let ceiling = ceiling.map(|text| text.parse().expect("a quota"));
        let expected = Expected { ceiling, unpublished: true, deadline: None };
        let text = expected.told(rows, pace);
        // The end is the wall clock's.
        text.split(", until ").next().unwrap_or_default().to_owned()
    }

    #[test]
    fn the_first_rows_go_at_once_and_the_rest_at_the_pace() {
        assert_eq!(told(Some("15/30s"), 15, Some(0.5)), "; at 15/30s all go at once");
        assert_eq!(told(Some("15/30s"), 60, Some(0.5)), "; at 15/30s about 1 min 30 s");
        assert_eq!(told(Some("15/30s"), 10_000, Some(0.5)), "; at 15/30s about 5 h 32 min");
    }

    #[test]
    fn a_pace_below_the_ceiling_is_what_an_earlier_run_learnt() {
        assert_eq!(told(Some("600/m"), 100, Some(2.0)), "; at 2/s about 50 s");
        assert_eq!(told(None, 100, Some(2.0)), "; at 2/s about 50 s");
    }

    #[test]
    fn whoever_knows_no_pace_says_why() {
        let text = told(None, 2_000, None);
        assert!(text.contains("Microsoft publishes no limit for meetings"), "{text}");
        assert_eq!(told(None, 0, None), "", "nothing is sent");
        let rehearsal = Expected { ceiling: None, unpublished: false, deadline: None };
        assert_eq!(rehearsal.told(9, None), "");
    }

    #[test]
    fn what_does_not_fit_before_the_deadline_is_for_the_next_run() {
        let expected = |seconds| Expected {
            ceiling: Some("15/30s".parse().expect("a quota")),
            unpublished: false,
            deadline: Some((Duration::from_secs(seconds), "06:00 tomorrow".to_owned())),
        };
        let rest = "the rest is for the next run";
        assert_eq!(
            expected(600).told(1_000, Some(0.5)),
            format!("; at 15/30s about 315 of 1,000 until 06:00 tomorrow, {rest}")
        );
        assert_eq!(
            expected(0).told(1_000, Some(0.5)),
            format!("; at 15/30s about 15 of 1,000 until 06:00 tomorrow, {rest}")
        );
        let all = expected(1_970).told(1_000, Some(0.5));
        assert!(all.starts_with("; at 15/30s about 32 min 50 s, until "), "{all}");
    }
}
