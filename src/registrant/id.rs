//! The external system's unique id of a registrant: any string, kept verbatim.

use std::fmt;

use super::{Fault, FaultCode};

/// An id that can be enrolled: not empty, without control characters, not spoilt by a
/// spreadsheet. Never trimmed, never case-folded: `A1` and `a1 ` are two people.
///
/// `Debug` is masked, because ids appear in logs only when the user asks for it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistrantId(Box<str>);

/// U+FEFF: within a text it shows nowhere, and is left of files that were put one behind the other.
const BOM: char = '\u{feff}';

impl RegistrantId {
    /// Takes an id as it stands in the cell.
    ///
    /// # Errors
    /// A [`Fault`] when the id is blank, holds a control character, or is what a spreadsheet
    /// leaves of a long number.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.trim().is_empty() {
            return Err(Fault::new(FaultCode::MissingId, "the id is empty"));
        }
        if let Some((at, found)) =
            text.chars().enumerate().find(|&(_, c)| c.is_control() || c == BOM)
        {
            return Err(Fault::new(
                FaultCode::ControlCharacter,
                format!(
                    "the id holds the control character U+{:04X} at position {}",
                    found as u32,
                    at + 1
                ),
            ));
        }
        if let Some(what) = spreadsheet_damage(text) {
            return Err(Fault::new(
                FaultCode::SpreadsheetId,
                format!(
                    "the id `{text}` is {what}; export the list again and do not save it from a spreadsheet"
                ),
            ));
        }
        Ok(Self(text.into()))
    }

    /// Takes an id that was parsed before, such as one read back from the ledger.
    pub fn trusted(text: &str) -> Self {
        Self(text.into())
    }

    /// The id, verbatim.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RegistrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistrantId(…)")
    }
}

/// What a spreadsheet writes for a formula that it cannot work out.
const ERRORS: [&str; 8] =
    ["#REF!", "#N/A", "#NAME?", "#VALUE!", "#NUM!", "#DIV/0!", "#NULL!", "#SPILL!"];

/// Whether a cell holds the word for a formula that a spreadsheet cannot work out.
pub fn is_error_value(cell: &str) -> bool {
    cell.contains('#') && ERRORS.contains(&cell.trim())
}

/// What a spreadsheet did to the cell, if it did something that cannot be undone.
///
/// Excel shows a number of more than 11 digits as `1.84416E+10` (a comma in other countries),
/// fills a column that is too narrow with `#`, and writes `#REF!` and the like for a broken
/// formula; saving as CSV keeps what it shows, so different ids become the same text.
fn spreadsheet_damage(text: &str) -> Option<&'static str> {
    let text = text.trim();
    if is_error_value(text) {
        return Some("a spreadsheet's error value");
    }
    if text.len() >= 3 && text.bytes().all(|b| b == b'#') {
        return Some("what a spreadsheet shows in a column that is too narrow");
    }
    is_scientific(text.as_bytes()).then_some("a number that a spreadsheet has rounded")
}

/// `d[.,]d…E±dd`: one digit, decimals, a signed exponent of two or three digits. An id such as
/// `12E45` or `1E5` is none: no spreadsheet writes it without the sign.
fn is_scientific(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let Some(e) = digits.iter().position(|b| matches!(b, b'e' | b'E')) else { return false };
    let (mantissa, exponent) = (&digits[..e], &digits[e + 1..]);
    let mantissa_ok = match mantissa {
        [d] => d.is_ascii_digit(),
        [d, b'.' | b',', rest @ ..] => {
            d.is_ascii_digit() && !rest.is_empty() && rest.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    };
    let exponent_ok = match exponent {
        [b'+' | b'-', rest @ ..] => {
            (2..=3).contains(&rest.len()) && rest.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    };
    mantissa_ok && exponent_ok
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_kept_verbatim() {
        for text in
            ["9d96988d-a66a-46ce", " 0042 ", "gst-AbC", "Żółć/?#%", "1E5", "12E45", "1.5", "##"]
        {
            assert_eq!(RegistrantId::parse(text).expect(text).as_str(), text);
        }
    }

    #[test]
    fn each_way_to_be_no_id_has_its_code() {
        let cases = [
            ("", FaultCode::MissingId),
            (" \u{a0} ", FaultCode::MissingId),
            ("a\nb", FaultCode::ControlCharacter),
            ("a\u{0}", FaultCode::ControlCharacter),
            ("a\u{85}", FaultCode::ControlCharacter),
            ("\u{feff}1", FaultCode::ControlCharacter),
            ("1.84416E+10", FaultCode::SpreadsheetId),
            ("1,84416e+10", FaultCode::SpreadsheetId),
            ("2E+15", FaultCode::SpreadsheetId),
            ("########", FaultCode::SpreadsheetId),
            ("#REF!", FaultCode::SpreadsheetId),
        ];
        for (text, code) in cases {
            assert_eq!(RegistrantId::parse(text).expect_err(text).code, code, "{text:?}");
        }
    }

    #[test]
    fn debug_is_masked() {
        let id = RegistrantId::parse("secret-id").expect("an id");
        assert!(!format!("{id:?}").contains("secret"));
    }
}
