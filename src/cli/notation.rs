//! How times of day are written on the command line.

use std::time::Duration;

use jiff::{SignedDuration, Zoned, civil::Time};

pub(super) use crate::{output::grouped, parse::duration};

/// `HH:MM` of the local clock.
pub(super) fn time_of_day(text: &str) -> Result<Time, String> {
    let bad = || format!("`{text}` is no time of day; write it as 17:30");
    let (hours, minutes) = text.split_once(':').ok_or_else(bad)?;
    let number = |text: &str| text.parse::<i8>().map_err(|_| bad());
    Time::new(number(hours)?, number(minutes)?, 0, 0).map_err(|_| bad())
}

/// How long it is until the clock next shows `time`: today, or tomorrow where that is past.
pub(super) fn until(time: Time, now: &Zoned) -> Duration {
    let today = now.with().time(time).build().unwrap_or_else(|_| now.clone());
    let next = if today > *now {
        today
    } else {
        now.tomorrow()
            .and_then(|tomorrow| tomorrow.with().time(time).build())
            .unwrap_or_else(|_| today + SignedDuration::from_hours(24))
    };
    Duration::try_from(next.duration_since(now)).unwrap_or_default()
}

/// A number of things without which nothing goes on.
pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("with none at a time nothing would ever be sent; give 1 or more".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("is no whole number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_the_next_one() {
        let now: Zoned = "2026-11-21T20:00:00+00:00[UTC]".parse().expect("a time");
        let hours = |text| until(time_of_day(text).expect("a time"), &now).as_secs() / 3_600;
        assert_eq!((hours("23:00"), hours("03:00"), hours("20:00")), (3, 7, 24));
        for bad in ["", "24:00", "7", "12:60", "a:b"] {
            assert!(time_of_day(bad).is_err(), "{bad}");
        }
    }
}
