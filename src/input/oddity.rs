//! Ids that are valid and yet hardly meant: taken as they stand, because an id is verbatim, but said
//! aloud.

/// What systems and programs write where there is no id.
const PLACEHOLDERS: [&str; 7] = ["null", "none", "nan", "n/a", "na", "undefined", "(blank)"];

/// Whether an id looks accidental: blanks around it, a character that shows nowhere, a
/// spreadsheet's mark of a text (`'0012`, `="0012"`) or decimals (`18441600001.0`), no letter or
/// digit at all, or a word for nothing.
pub(super) fn looks_accidental(id: &str) -> bool {
    let (bytes, Some(&last)) = (id.as_bytes(), id.as_bytes().last()) else { return false };
    let trimmed = id.trim();
    if trimmed.is_empty() {
        return false;
    }
    if trimmed != id
        || !id.is_ascii() && id.contains(is_invisible)
        || bytes[0] == b'\''
        || id.starts_with("=\"")
        || !(last.is_ascii_alphanumeric() || id.contains(char::is_alphanumeric))
    {
        return true;
    }
    if last == b'0'
        && let Some(whole) = id.strip_suffix(".0")
    {
        return !whole.is_empty() && whole.bytes().all(|b| b.is_ascii_digit());
    }
    bytes.len() < 10 && PLACEHOLDERS.iter().any(|word| id.eq_ignore_ascii_case(word))
}

/// Zero-width characters, marks of writing direction, the soft hyphen.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{ad}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accidents_show() {
        for id in
            [" 7", "7\u{a0}", "\u{200b}7", "'0012", "=\"0012\"", "-", "----", "17.0", "NULL", "n/a"]
        {
            assert!(looks_accidental(id), "{id}");
        }
        for id in
            ["7", "007", "AB-1", "gst-AbC", "a@x.org", "名前", "1.5", "v1.0", "nullable", "", " "]
        {
            assert!(!looks_accidental(id), "{id}");
        }
    }
}
