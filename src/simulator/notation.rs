//! How quotas, outages and questions are written: `15/30s`, `token:10s..20s`,
//! `choice:City=Ghent;London`.

pub(super) use crate::parse::duration;
use crate::parse::unit;

use super::{Outage, Question, QuestionKind, Quota, Scope};

/// `50/s`, `15/30s`, `0.5/s`.
pub(super) fn quota(text: &str) -> Result<Quota, String> {
    let wrong = || format!("`{text}` is no limit; write it as 50/s, 15/30s or 600/m");
    let (count, per) = text.split_once('/').ok_or_else(wrong)?;
    let per =
        unit(per).or_else(|| duration(per).ok()).filter(|per| !per.is_zero()).ok_or_else(wrong)?;
    let count = count.parse().ok().filter(|n: &f64| n.is_finite() && *n > 0.0).ok_or_else(wrong)?;
    Ok(Quota { count, per })
}

/// `token:10s..20s`.
pub(super) fn outage(text: &str) -> Result<Outage, String> {
    let wrong = || {
        let scopes = Scope::ALL.map(Scope::as_str).join(", ");
        format!("`{text}` is no outage; write it as token:10s..20s, with one of {scopes}")
    };
    let (scope, times) = text.split_once(':').ok_or_else(wrong)?;
    let (from, until) = times.split_once("..").ok_or_else(wrong)?;
    let scope = Scope::ALL.into_iter().find(|s| s.as_str() == scope).ok_or_else(wrong)?;
    Ok(Outage { scope, from: duration(from)?, until: duration(until)? })
}

/// `City`, `optional:City`, `choice:City=Ghent;London`, `choices:City=Ghent;London`, `yes-no:Vegan?`.
/// What stands before another colon belongs to the question.
pub(super) fn question(text: &str) -> Result<Question, String> {
    let (required, asked) =
        text.strip_prefix("optional:").map_or((true, text), |asked| (false, asked));
    let choices = |asked: &str| {
        let (words, choices) = asked.split_once('=').unwrap_or((asked, ""));
        let choices: Vec<String> =
            choices.split(';').map(|choice| choice.trim().to_owned()).collect();
        if choices.iter().any(String::is_empty) {
            return Err(format!(
                "`{text}` names no choices; write it as choice:QUESTION=ONE;OTHER"
            ));
        }
        Ok((words.to_owned(), choices))
    };
    let (words, kind) = if let Some(asked) = asked.strip_prefix("choice:") {
        let (words, choices) = choices(asked)?;
        (words, QuestionKind::SingleChoice(choices))
    } else if let Some(asked) = asked.strip_prefix("choices:") {
        let (words, choices) = choices(asked)?;
        (words, QuestionKind::MultiChoice(choices))
    } else if let Some(words) = asked.strip_prefix("yes-no:") {
        (words.to_owned(), QuestionKind::Boolean)
    } else {
        (asked.to_owned(), QuestionKind::Text)
    };
    if words.trim().is_empty() {
        return Err(format!("`{text}` is no question; write its words"));
    }
    Ok(Question { required, kind, ..Question::text(words.trim()) })
}

/// A deviation: not negative.
pub(super) fn sigma(text: &str) -> Result<f64, String> {
    number(text, 0.0, 10.0)
}

/// A percentage.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    number(text.trim_end_matches('%'), 0.0, 100.0)
}

/// A bucket's size.
pub(super) fn burst(text: &str) -> Result<f64, String> {
    number(text, 1.0, 1e9)
}

/// At least one.
pub(super) fn count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| format!("`{text}` is no positive number"))
}

fn number(text: &str, least: f64, most: f64) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("`{text}` is no number between {least} and {most}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn questions_are_read_as_documented() {
        let told = |text: &str| {
            question(text).map(|asked| (asked.display_name, asked.required, asked.kind))
        };
        let choices = || vec!["Ghent".to_owned(), "New York".to_owned()];
        assert_eq!(told("Why: now?"), Ok(("Why: now?".into(), true, QuestionKind::Text)));
        assert_eq!(told("optional:1+1=2?"), Ok(("1+1=2?".into(), false, QuestionKind::Text)));
        assert_eq!(
            told("choice:Which city?=Ghent; New York"),
            Ok(("Which city?".into(), true, QuestionKind::SingleChoice(choices())))
        );
        assert_eq!(
            told("optional:choices:Cities=Ghent;New York"),
            Ok(("Cities".into(), false, QuestionKind::MultiChoice(choices())))
        );
        assert_eq!(told("yes-no:Vegan?"), Ok(("Vegan?".into(), true, QuestionKind::Boolean)));
        for bad in
            ["", " ", "optional:", "choice:City", "choice:City=", "choices:City=a;;b", "yes-no:"]
        {
            assert!(question(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn quotas_and_outages_are_read_as_documented() {
        let per = Duration::from_secs;
        assert_eq!(quota("50/s"), Ok(Quota { count: 50.0, per: per(1) }));
        assert_eq!(quota("0.5/30s"), Ok(Quota { count: 0.5, per: per(30) }));
        assert_eq!(quota("600/m"), Ok(Quota { count: 600.0, per: per(60) }));
        for bad in ["50", "0/s", "-1/s", "inf/s", "NaN/s", "5/0s", "/s"] {
            assert!(quota(bad).is_err(), "{bad}");
        }
        let expected = Outage { scope: Scope::Token, from: per(10), until: per(20) };
        assert_eq!(outage("token:10s..20s"), Ok(expected));
        assert!(outage("graph:10s..20s").is_err());
    }
}
