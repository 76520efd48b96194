//! `Retry-After` in every form that Graph or a proxy before it may send.
//!
//! Graph documents a decimal (`2.128`), HTTP whole seconds or a date (RFC 9110, 10.2.3). A date is
//! judged by the answer's own `Date`, because only that clock is the server's.

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

/// The longest wait that is taken at its word. No published Graph limit has a window above an hour
/// that a run could sit out; after this time one request alone asks again.
pub(super) const LONGEST: Duration = Duration::from_secs(60 * 60);

/// How long the server asks to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// It names no usable time: the header is missing, `0`, negative or unreadable.
    Absent,
    /// Whole seconds, or a date (whose resolution is a second): up to a second too long.
    Whole(Duration),
    /// A decimal: exact.
    Decimal(Duration),
}

/// What was strange about a `Retry-After`, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Oddity {
    /// Neither a number nor a date, or a date in an answer without a readable `Date`.
    #[error("the server's Retry-After cannot be read; waiting as if there were none")]
    Unreadable,
    /// Zero, negative, or a date that has passed.
    #[error("the server's Retry-After names no time to come; waiting as if there were none")]
    NotAhead,
    /// Longer than the bound of one hour.
    #[error("the server asks to wait {}; waiting one hour, then asking again", long(*.asked))]
    Capped {
        /// The time the server asked for.
        asked: Duration,
    },
}

/// Seconds, unless no person would count them.
fn long(asked: Duration) -> String {
    const YEAR: u64 = 365 * 24 * 60 * 60;
    match asked.as_secs() {
        YEAR.. => "longer than a year".to_owned(),
        seconds => format!("{seconds} s"),
    }
}

impl RetryAfter {
    /// Reads the values of `Retry-After` (usually one, possibly none) and the answer's `Date`, and says
    /// what was strange. Of several the longest counts.
    fn parse<'a>(
        values: impl IntoIterator<Item = &'a str>,
        date: Option<&str>,
    ) -> (Self, Option<Oddity>) {
        // Proxies join two headers to one with a comma (RFC 9110, 5.3), which a date has as well.
        let joined = |value: &str| value.split(',').all(|part| part.trim().parse::<f64>().is_ok());
        values
            .into_iter()
            .flat_map(|value| value.split(if joined(value) { ',' } else { '\0' }))
            .map(|value| parse_one(value.trim(), date))
            .max_by_key(|(wait, oddity)| (wait.duration(), oddity.is_some()))
            .unwrap_or((Self::Absent, None))
    }

    /// Reads an answer's headers. A value that is not text counts as unreadable.
    pub fn from_headers(headers: &HeaderMap) -> (Self, Option<Oddity>) {
        let values = headers.get_all(RETRY_AFTER).iter().map(|v| v.to_str().unwrap_or("?"));
        Self::parse(values, headers.get(DATE).and_then(|v| v.to_str().ok()))
    }

    /// The wait, where one is named.
    pub fn duration(self) -> Option<Duration> {
        match self {
            Self::Absent => None,
            Self::Whole(wait) | Self::Decimal(wait) => Some(wait),
        }
    }
}

fn parse_one(value: &str, date: Option<&str>) -> (RetryAfter, Option<Oddity>) {
    let (wrap, seconds): (fn(Duration) -> RetryAfter, _) = if let Ok(seconds) = value.parse::<f64>()
    {
        // Rust also reads `inf`, `NaN` and exponents; only digits make a number here.
        let plain = value.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+'));
        if !plain {
            return (RetryAfter::Absent, Some(Oddity::Unreadable));
        }
        let decimal = value.contains('.');
        (if decimal { RetryAfter::Decimal } else { RetryAfter::Whole }, seconds)
    } else if let (Ok(then), Some(now)) = (
        httpdate::parse_http_date(value),
        date.and_then(|date| httpdate::parse_http_date(date.trim()).ok()),
    ) {
        let wait = then.duration_since(now).map_or(-1.0, |wait| wait.as_secs_f64());
        (RetryAfter::Whole, wait)
    } else {
        return (RetryAfter::Absent, Some(Oddity::Unreadable));
    };
    if seconds <= 0.0 {
        return (RetryAfter::Absent, Some(Oddity::NotAhead));
    }
    let asked = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    if asked > LONGEST {
        return (wrap(LONGEST), Some(Oddity::Capped { asked }));
    }
    // A wait below the clock's resolution is still a wait.
    (wrap(asked.max(Duration::from_nanos(1))), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn secs(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn every_form() {
        use RetryAfter::{Absent, Decimal, Whole};
        let cases: [(&str, RetryAfter, Option<Oddity>); 14] = [
            ("10", Whole(secs(10.0)), None),
            (" 7 ", Whole(secs(7.0)), None),
            ("0.249", Decimal(secs(0.249)), None),
            ("2.128", Decimal(secs(2.128)), None),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Whole(secs(30.0)), None),
            ("Sunday, 06-Nov-94 08:49:40 GMT", Whole(secs(3.0)), None),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Absent, Some(Oddity::NotAhead)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Absent, Some(Oddity::NotAhead)),
            ("0", Absent, Some(Oddity::NotAhead)),
            ("-5", Absent, Some(Oddity::NotAhead)),
            ("soon", Absent, Some(Oddity::Unreadable)),
            ("", Absent, Some(Oddity::Unreadable)),
            ("inf", Absent, Some(Oddity::Unreadable)),
            ("86400", Whole(LONGEST), Some(Oddity::Capped { asked: secs(86_400.0) })),
        ];
        for (value, wait, oddity) in cases {
            assert_eq!(RetryAfter::parse([value], Some(NOW)), (wait, oddity), "{value:?}");
        }
    }

    #[test]
    fn absent_several_and_endless() {
        assert_eq!(RetryAfter::parse([], None), (RetryAfter::Absent, None));
        assert_eq!(RetryAfter::parse(["1", "12", "x"], None).0, RetryAfter::Whole(secs(12.0)));
        assert_eq!(RetryAfter::parse(["2, 3"], None).0, RetryAfter::Whole(secs(3.0)));
        assert_eq!(RetryAfter::parse(["2,soon"], None).0, RetryAfter::Absent);
        let nines = "9".repeat(400);
        assert_eq!(RetryAfter::parse([nines.as_str()], None).0, RetryAfter::Whole(LONGEST));
    }

    #[test]
    fn a_long_wait_is_told_in_words_that_a_person_can_picture() {
        let told = |value: &str| RetryAfter::parse([value], None).1.expect("too long").to_string();
        let rest = "; waiting one hour, then asking again";
        assert_eq!(told("86400"), format!("the server asks to wait 86400 s{rest}"));
        for endless in ["99999999".to_owned(), "9".repeat(400)] {
            let sentence = format!("the server asks to wait longer than a year{rest}");
            assert_eq!(told(&endless), sentence);
        }
    }

    #[test]
    fn a_date_without_the_servers_own_clock_says_nothing() {
        assert_eq!(RetryAfter::parse([NOW], None).1, Some(Oddity::Unreadable));
        assert_eq!(RetryAfter::parse([NOW], Some("today")).1, Some(Oddity::Unreadable));
    }
}
