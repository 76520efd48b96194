//! A quota as a user writes it: so many calls in so much time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::parse;

/// A number of calls in a span of time: `0.5/s`, `15/30s`, `600/m`, `1000/h`.
///
/// A fraction is turned into whole calls over a longer span, because no window can hold half a
/// call: `0.5/s` is one call in 2 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    /// Calls in any window of `per`; at least one.
    pub count: u64,
    /// The window; not zero.
    pub per: Duration,
}

/// Why a text is not a quota.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a rate: {fault}; write calls per time, as in 0.5/s, 15/30s, 600/m, 1000/h"
)]
pub struct QuotaError {
    /// The text as given.
    pub text: String,
    /// What is wrong with it.
    pub fault: &'static str,
}

/// The longest window a quota may have: a day. Longer ones are typing errors.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Calls that may go at once while the window has room. The published 15 in 30 s go at once, so a
/// daily import of a dozen people does not take half a minute; 600 a minute go as 30 and then ten
/// a second, instead of all in the first seconds.
pub(super) const BURST: u32 = 30;

impl Quota {
    /// Microsoft's published limit for creating, changing and deleting virtual events: 15 in 30 s
    /// per app across all tenants (Graph documentation, `throttling-limits`, "Virtual events").
    pub const EVENT_WRITES: Self = Self { count: 15, per: Duration::from_secs(30) };

    /// Microsoft's published limit for reading virtual events: 750 in 30 s per app across all
    /// tenants (same page).
    pub const EVENT_READS: Self = Self { count: 750, per: Duration::from_secs(30) };

    /// Calls per second, on average.
    pub fn per_second(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "no quota comes near 2^52 calls")]
        let count = self.count as f64;
        count / self.per.as_secs_f64()
    }

    /// The longest that a call is taken to be under way to the server, which counts it when it
    /// comes: half a percent of the window, so that the doubt costs no pace.
    pub fn transit(self) -> Duration {
        self.per / 200
    }

    /// The shortest time in which so many calls can start: the first ones go at once.
    pub fn shortest(self, calls: u64) -> Duration {
        let after = calls.saturating_sub(self.count.min(BURST.into()));
        #[expect(clippy::cast_precision_loss, reason = "no run has 2^52 calls")]
        let seconds = after as f64 / self.per_second();
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

impl FromStr for Quota {
    type Err = QuotaError;

    fn from_str(text: &str) -> Result<Self, QuotaError> {
        let fail = |fault| QuotaError { text: text.to_owned(), fault };
        let (calls, time) = text.split_once('/').ok_or_else(|| fail("it has no `/`"))?;
        let per = window(time.trim()).ok_or_else(|| fail("the time is not like s, 30s, m, h"))?;
        let (numerator, denominator) =
            fraction(calls.trim()).ok_or_else(|| fail("the number of calls is not a number"))?;
        if numerator == 0 {
            return Err(fail("nothing could ever be sent"));
        }
        // n/d calls in `per` are n calls in d·per, with the common factor taken out.
        let common = gcd(numerator, denominator);
        let count = numerator / common;
        let per = u32::try_from(denominator / common)
            .ok()
            .and_then(|factor| per.checked_mul(factor))
            .filter(|per| !per.is_zero() && *per <= LONGEST)
            .ok_or_else(|| fail("its window is not between a millisecond and a day"))?;
        Ok(Self { count, per })
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.per.as_millis();
        write!(f, "{}/", self.count)?;
        match millis {
            3_600_000 => f.write_str("h"),
            60_000 => f.write_str("m"),
            1_000 => f.write_str("s"),
            millis if millis % 1_000 == 0 => write!(f, "{}s", millis / 1_000),
            millis => write!(f, "{millis}ms"),
        }
    }
}

/// `s`, `30s`, `2m`, `500ms` …; a bare unit is one of it.
fn window(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u32 = if number.is_empty() { 1 } else { number.parse().ok()? };
    let unit = parse::unit(match unit.trim() {
        "sec" => "s",
        "min" => "m",
        unit => unit,
    })?;
    unit.checked_mul(number).filter(|span| !span.is_zero())
}

/// A decimal number of at most six places as numerator and denominator.
fn fraction(text: &str) -> Option<(u64, u64)> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && places.is_empty()) || !plain(whole) || !plain(places) {
        return None;
    }
    let denominator = 10_u64.checked_pow(u32::try_from(places.len()).ok()?)?;
    if denominator > 1_000_000 {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let places: u64 = if places.is_empty() { 0 } else { places.parse().ok()? };
    Some((whole.checked_mul(denominator)?.checked_add(places)?, denominator))
}

/// Greatest common divisor.
fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_calls_of_a_job_wait_for_nothing() {
        let shortest = |text: &str, calls| text.parse::<Quota>().expect(text).shortest(calls);
        for (text, calls, seconds) in [
            ("15/30s", 4, 0),
            ("15/30s", 15, 0),
            ("15/30s", 27, 24),
            ("15/30s", 10_000, 19_970),
            ("600/m", 1_030, 100),
            ("20/s", 40, 1),
        ] {
            assert_eq!(shortest(text, calls), Duration::from_secs(seconds), "{calls} at {text}");
        }
    }

    fn quota(text: &str) -> (u64, u64) {
        let quota: Quota = text.parse().expect(text);
        (quota.count, u64::try_from(quota.per.as_millis()).expect("small"))
    }

    #[test]
    fn reads_what_users_write() {
        assert_eq!(quota("0.5/s"), (1, 2_000));
        assert_eq!(quota("15/30s"), (15, 30_000));
        assert_eq!(quota("600/m"), (600, 60_000));
        assert_eq!(quota("1000/h"), (1000, 3_600_000));
        assert_eq!(quota(" 2.5 / s"), (5, 2_000));
        assert_eq!(quota("10/500ms"), (10, 500));
        assert_eq!(quota(".25/m"), (1, 240_000));
        assert_eq!(quota("2.0/s"), (2, 1_000));
    }

    #[test]
    fn refuses_the_rest_and_says_why() {
        for text in ["", "15", "/s", "x/s", "0/s", "0.0/s", "-1/s", "1/x", "1/0s", "1e3/s", "1/99h"]
        {
            let error = text.parse::<Quota>().expect_err(text);
            assert!(error.to_string().contains("15/30s"), "{error}");
        }
    }

    #[test]
    fn shows_itself_as_it_is_written() {
        for text in ["15/30s", "600/m", "1000/h", "2/s", "1/2s", "10/500ms"] {
            assert_eq!(text.parse::<Quota>().expect(text).to_string(), text);
        }
    }
}
