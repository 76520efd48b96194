//! What can be wrong with a row: one documented list of codes, and a sentence for each finding.

use std::fmt;

/// Defines [`FaultCode`] from one table: variant and spelling.
macro_rules! fault_codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The code of a fault, as it stands in `_code` and in front of each sentence of `_reason`.
        ///
        /// Scripts depend on the spelling: a code is never renamed, only added. The README lists
        /// them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FaultCode {
            $($(#[$doc])* $name,)*
        }

        impl FaultCode {
            /// Every code, in the order in which a row's faults are reported.
            pub const ALL: [Self; [$($text),*].len()] = [$(Self::$name),*];

            /// The code as scripts see it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

fault_codes! {
    /// The row is a title within the list, or stands below what looks like the header of another
    /// table.
    OtherTable = "other-table",
    /// The row has more or fewer cells than the header.
    ColumnCount = "column-count",
    /// A quote opens in the row and is never closed.
    UnclosedQuote = "unclosed-quote",
    /// A quoted cell goes on after its closing quote.
    StrayQuote = "stray-quote",
    /// The id holds U+FFFD: characters were lost when the file was converted, before it came here.
    Undecodable = "undecodable",
    /// The id is empty or not there.
    MissingId = "missing-id",
    /// The id holds a control character (a line break, a tab, a NUL) or a BOM.
    ControlCharacter = "control-character",
    /// The id was damaged by a spreadsheet (`1.84416E+10`, `#####`, `#REF!`).
    SpreadsheetId = "spreadsheet-id",
    /// A cell that is used holds a spreadsheet's error value (`#N/A`).
    ErrorValue = "error-value",
    /// The id is longer than the target can carry.
    LongId = "long-id",
    /// The same id stands in an earlier row whose other cells differ.
    DuplicateId = "duplicate-id",
    /// `tenantId` is empty or not there.
    MissingTenantId = "missing-tenant-id",
    /// `tenantId` is no GUID.
    BadTenantId = "bad-tenant-id",
    /// `userId` is empty or not there.
    MissingUserId = "missing-user-id",
    /// `userId` is no GUID.
    BadUserId = "bad-user-id",
    /// `firstName` is empty or not there.
    MissingFirstName = "missing-first-name",
    /// `lastName` is empty or not there.
    MissingLastName = "missing-last-name",
    /// `email` is empty or not there.
    MissingEmail = "missing-email",
    /// `email` cannot be an address.
    BadEmail = "bad-email",
    /// The same e-mail address stands in an earlier row of another id.
    DuplicateEmail = "duplicate-email",
    /// A question that must be answered is not.
    MissingAnswer = "missing-answer",
    /// An answer is none that the question takes.
    BadAnswer = "bad-answer",
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One thing that is wrong with a row.
///
/// The sentence may quote a cell, always in backticks, so it belongs in the rejects file; on a screen
/// and in a log [`Fault::told`] stands for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which rule the row breaks.
    pub code: FaultCode,
    /// What was found and what to do, as one sentence without a full stop.
    pub sentence: String,
}

impl Fault {
    pub fn new(code: FaultCode, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into() }
    }

    /// The sentence without what it quotes: from its first backtick to its last, because a cell may
    /// hold backticks as well.
    pub fn told(&self) -> std::borrow::Cow<'_, str> {
        match (self.sentence.find('`'), self.sentence.rfind('`')) {
            (Some(first), Some(last)) => {
                let (before, after) = (&self.sentence[..first], &self.sentence[last + 1..]);
                format!("{before}`…`{after}").into()
            }
            _ => self.sentence.as_str().into(),
        }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault").field("code", &self.code).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_listed_once_and_spelt_in_kebab_case() {
        let mut seen = std::collections::BTreeSet::new();
        for code in FaultCode::ALL {
            assert!(seen.insert(code.as_str()), "{code} is listed twice");
            assert!(code.as_str().chars().all(|c| c.is_ascii_lowercase() || c == '-'));
        }
        assert!(FaultCode::ALL.is_sorted(), "faults are sorted by their order here");
    }

    #[test]
    fn a_fault_does_not_print_the_cell_that_it_quotes() {
        let fault = Fault::new(FaultCode::BadEmail, "`ada@example` is no address");
        assert!(!format!("{fault:?}").contains("ada"));
        assert_eq!(fault.told(), "`…` is no address");
        let fault = Fault::new(FaultCode::BadEmail, "email `a`da`` cannot be an address");
        assert_eq!(fault.told(), "email `…` cannot be an address");
        assert_eq!(Fault::new(FaultCode::MissingId, "the id is empty").told(), "the id is empty");
    }
}
