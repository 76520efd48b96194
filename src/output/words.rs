//! Numbers in words that a person can picture.

use std::{borrow::Cow, time::Duration};

use jiff::{SignedDuration, Unit, Zoned};

/// A number with its thousands apart: `8,412`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate: a second, a minute or an hour; three digits at most, and no decimal that says nothing.
pub fn rate_in_words(per_second: f64) -> String {
    let (number, unit) = if per_second >= 1.0 {
        (per_second, "s")
    } else if per_second * 60.0 >= 1.0 {
        (per_second * 60.0, "min")
    } else {
        (per_second * 3_600.0, "h")
    };
    let number = if number >= 10.0 { format!("{number:.0}") } else { format!("{number:.1}") };
    format!("{}/{unit}", number.trim_end_matches(".0"))
}

/// "4 h 40 min left, until 03:10".
pub fn time_left(left: Duration) -> String {
    let length = length(left);
    match time_of_end(left) {
        Some(end) => format!("{length} left, until {end}"),
        None => format!("{length} left"),
    }
}

/// What the clock shows when this time is over: "03:10".
pub fn time_of_end(left: Duration) -> Option<String> {
    Some(end(left)?.strftime("%H:%M").to_string())
}

/// The same to the second: "03:10:05".
pub fn second_of_end(left: Duration) -> Option<String> {
    Some(end(left)?.round(Unit::Second).ok()?.strftime("%H:%M:%S").to_string())
}

fn end(left: Duration) -> Option<Zoned> {
    Zoned::now().checked_add(SignedDuration::try_from(left).ok()?).ok()
}

/// A duration in its two largest units.
pub fn length(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..172_800 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// The text without anything that commands a terminal or turns its writing around: a CSV's header
/// and a server's words are shown to people.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let commands = |c: char| {
        // The bidirectional controls: Unicode Standard Annex #9, table 4.
        let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || (c.is_control() && !matches!(c, '\n' | '\t'))
    };
    if text.contains(commands) {
        Cow::Owned(text.replace(commands, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_commands_no_terminal() {
        assert_eq!(harmless("Zoë,\tid\n"), "Zoë,\tid\n");
        assert_eq!(
            harmless("a\u{1b}[2Jb\r\u{9b}c\u{202e}d"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd}d"
        );
    }

    #[test]
    fn thousands_stand_apart() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn rates_and_lengths_are_told_in_units_a_person_can_picture() {
        assert_eq!(rate_in_words(123.4), "123/s");
        assert_eq!(rate_in_words(2.55), "2.5/s");
        assert_eq!(rate_in_words(1.0), "1/s");
        assert_eq!(rate_in_words(0.5), "30/min");
        assert_eq!(rate_in_words(0.05), "3/min");
        assert_eq!(rate_in_words(0.01), "36/h");
        assert_eq!(length(Duration::from_secs(59)), "59 s");
        assert_eq!(length(Duration::from_secs(20_000)), "5 h 33 min");
        assert_eq!(length(Duration::from_secs(200_000)), "2 days");
    }
}
