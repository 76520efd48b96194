//! How spans of time are written, on every command line of the program: `300ms`, `10s`, `50m`, `6h`.

use std::time::Duration;

/// One of the units: `ms`, `s`, `m`, `h`.
pub(crate) fn unit(text: &str) -> Option<Duration> {
    Some(match text {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3_600),
        _ => return None,
    })
}

/// A number, which may have decimals, and a unit behind it.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let after = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = &text[..text.len() - after.len()];
    unit(after)
        .zip(number.parse::<f64>().ok())
        .and_then(|(unit, number)| Duration::try_from_secs_f64(unit.as_secs_f64() * number).ok())
        .ok_or_else(|| format!("`{text}` is no duration; write it as 300ms, 10s, 50m or 6h"))
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
        let too_long = "9".repeat(30) + "h";
        for bad in ["", "10", "s", "10 s", "-1s", "1d", "1e99h", "..s", "1.1.1s", &too_long] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
