//! What was found, line by line, and the exit code that follows.

use serde::Serialize;

use crate::cli::failure::Failure;

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Standing {
    /// As it should be.
    Ok,
    /// A run would go on; a person should know.
    Note,
    /// A run would end here: the text says what to do.
    Mend,
    /// Not looked at: the text says why.
    Skipped,
}

#[derive(Debug, Serialize)]
struct Finding {
    name: &'static str,
    standing: Standing,
    text: String,
    /// What `run` would end with.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
}

/// Everything that was found, in the order in which `run` would meet it.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    checks: &'a [Finding],
    exit_code: u8,
}

impl Findings {
    pub(super) fn ok(&mut self, name: &'static str, text: impl Into<String>) {
        self.add(name, Standing::Ok, text.into(), None);
    }

    pub(super) fn note(&mut self, name: &'static str, text: impl Into<String>) {
        self.add(name, Standing::Note, text.into(), None);
    }

    pub(super) fn mend(&mut self, name: &'static str, failure: impl Into<Failure>) {
        let Failure { code, sentence } = failure.into();
        self.add(name, Standing::Mend, sentence, Some(code));
    }

    pub(super) fn skipped(&mut self, name: &'static str, why: impl Into<String>) {
        self.add(name, Standing::Skipped, why.into(), None);
    }

    /// Notes the fault, or gives the value to go on with.
    pub(super) fn hold<T, E: Into<Failure>>(
        &mut self,
        name: &'static str,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.mend(name, error)).ok()
    }

    fn add(&mut self, name: &'static str, standing: Standing, text: String, code: Option<u8>) {
        self.0.push(Finding { name, standing, text, code });
    }

    /// What `run` would end with: it stops at the first fault that it meets.
    pub(super) fn exit_code(&self) -> u8 {
        self.0.iter().find_map(|finding| finding.code).unwrap_or(0)
    }

    pub(super) fn json(&self) -> String {
        let report = Report { checks: &self.0, exit_code: self.exit_code() };
        let json = serde_json::to_string(&report).expect("strings and numbers serialise");
        format!("{json}\n")
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for Finding { name, standing, text: found, .. } in &self.0 {
            let word = match standing {
                Standing::Ok => "ok",
                Standing::Note => "note",
                Standing::Mend => "mend",
                Standing::Skipped => "-",
            };
            text.push_str(&format!("{word:<5} {name:<13} {found}\n"));
        }
        let faults = self.0.iter().filter(|finding| finding.standing == Standing::Mend).count();
        text.push_str(&if faults == 0 {
            "\nnothing stands in the way of `run`\n".to_owned()
        } else {
            let code = self.exit_code();
            format!("\n{faults} to mend; until then `run` ends with exit code {code}\n")
        });
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fault_gives_the_code_and_notes_give_none() {
        let mut findings = Findings::default();
        findings.ok("settings", "read");
        findings.note("clock", "a little late");
        assert_eq!(findings.exit_code(), 0);
        assert!(findings.text().ends_with("nothing stands in the way of `run`\n"));
        findings.mend("ledger", Failure { code: 7, sentence: "held".to_owned() });
        findings.mend("sign-in", Failure { code: 6, sentence: "refused".to_owned() });
        assert_eq!(findings.exit_code(), 7);
        assert!(findings.text().contains("mend  ledger        held\n"), "{}", findings.text());
        let json: serde_json::Value = serde_json::from_str(&findings.json()).expect("JSON");
        assert_eq!((&json["exitCode"], &json["checks"][3]["code"]), (&7.into(), &6.into()));
        assert_eq!(json["checks"][1]["standing"], "note");
    }
}
