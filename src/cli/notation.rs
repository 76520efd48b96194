//! How durations and times of day are written on the command line.

use std::time::Duration;

use jiff::{SignedDuration, Zoned, civil::Time};

pub(super) use crate::output::grouped;

/// `300ms`, `10s`, `50m`, `6h`; the number may have decimals.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is no duration; write it as 300ms, 10s, 50m or 6h");
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
    let (number, unit) = text.split_at(split);
    let unit = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(bad()),
    };
    let number: f64 = number.parse().map_err(|_| bad())?;
    Duration::try_from_secs_f64(number * unit).map_err(|_| bad())
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("300ms"), Ok(Duration::from_millis(300)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(duration("50m"), Ok(Duration::from_secs(3_000)));
        assert_eq!(duration("6h"), Ok(Duration::from_secs(21_600)));
        for bad in ["", "10", "s", "10 s", "-1s", "1d", "1e99h", "..s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

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
