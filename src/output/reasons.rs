//! Why rows are not enrolled: each reason counted once, with the first lines that show it.
//!
//! What is kept does not grow with the input. Codes only, no sentences: a sentence may quote a cell,
//! and these counts go to terminals, reports and mails.

use super::outcome::Rejected;

/// So many lines are kept of each reason: enough to look one up, and to see a pattern.
const EXAMPLES: usize = 3;

/// So many different reasons are told apart. The documented list is shorter; a server that invents
/// a code for every row must not fill the memory.
const MOST: usize = 64;

/// The code under which every further reason is counted.
const FURTHER: &str = "others";

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Whose word it is.
    pub kind: Rejected,
    /// The code, as in the rejects file.
    pub code: String,
    /// How many rows.
    pub count: u64,
    /// The first of their lines in the input.
    pub lines: Vec<u64>,
}

impl Reason {
    /// Some of its lines: "17" or "4, 9, 17, …".
    #[must_use]
    pub fn examples(&self) -> String {
        let lines: Vec<String> = self.lines.iter().map(u64::to_string).collect();
        let more = if self.count > self.lines.len() as u64 { ", …" } else { "" };
        lines.join(", ") + more
    }
}

/// Every reason of a projection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons(Vec<Reason>);

impl Reasons {
    /// Counts the row of this line.
    pub fn count(&mut self, kind: Rejected, code: &str, line: u64) {
        let full = self.0.len() >= MOST;
        let found = self.0.iter().position(|reason| reason.kind == kind && reason.code == code);
        let place = found.or_else(|| {
            let code = if full { FURTHER } else { code };
            let at = self.0.iter().position(|reason| reason.kind == kind && reason.code == code);
            at.or_else(|| {
                self.0.push(Reason { kind, code: code.to_owned(), count: 0, lines: Vec::new() });
                Some(self.0.len() - 1)
            })
        });
        if let Some(reason) = place.and_then(|at| self.0.get_mut(at)) {
            reason.count += 1;
            if reason.lines.len() < EXAMPLES {
                reason.lines.push(line);
            }
        }
    }

    /// The commonest first, at most so many; equals in the order in which they were met.
    #[must_use]
    pub fn commonest(&self, most: usize) -> Vec<&Reason> {
        let mut reasons: Vec<&Reason> = self.0.iter().collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
        reasons.truncate(most);
        reasons
    }

    /// How many different reasons there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether every row is enrolled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commonest_come_first_with_their_first_lines() {
        let mut reasons = Reasons::default();
        for line in 2..7 {
            reasons.count(Rejected::Invalid, "missing-id", line);
        }
        reasons.count(Rejected::Refused, "exists-on-server", 9);
        for line in 10..13 {
            reasons.count(Rejected::Unknown, "no-answer", line);
        }
        let told: Vec<(&str, u64, String)> = reasons
            .commonest(2)
            .into_iter()
            .map(|reason| (reason.code.as_str(), reason.count, reason.examples()))
            .collect();
        assert_eq!(
            told,
            [("missing-id", 5, "2, 3, 4, …".to_owned()), ("no-answer", 3, "10, 11, 12".to_owned())]
        );
        assert_eq!(reasons.commonest(9)[2].examples(), "9");
    }

    #[test]
    fn a_server_that_invents_codes_fills_no_memory() {
        let mut reasons = Reasons::default();
        for line in 0..10_000 {
            reasons.count(Rejected::Refused, &format!("code-{line}"), line);
        }
        assert_eq!(reasons.len(), MOST + 1);
        assert_eq!(reasons.commonest(1)[0].code, FURTHER);
        assert_eq!(reasons.0.iter().map(|reason| reason.count).sum::<u64>(), 10_000);
    }
}
