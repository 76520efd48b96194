//! Ids that are valid and yet hardly meant: taken as they stand, because an id is verbatim, but said
//! aloud.

/// What systems and programs write where there is no id.
const PLACEHOLDERS: [&str; 7] = ["null", "none", "nan", "n/a", "na", "undefined", "(blank)"];

/// Whether an id looks accidental: blanks around it, a character that shows nowhere, a
/// spreadsheet's mark of a text (`'0012`, `="0012"`) or decimals (`18441600001.0`), no letter or
/// digit at all, or a word for nothing.
pub(super) fn looks_accidental(id: &str) -> bool {
    let bytes = id.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return false };
    // Nearly every id of a long list is of this kind.
    let whole = first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() && id.is_ascii();
    if !whole {
        let trimmed = id.trim();
        return !trimmed.is_empty()
            && (trimmed != id
                || id.contains(is_invisible)
                || first == b'\''
                || id.starts_with("=\"")
                || !id.contains(char::is_alphanumeric)
                || is_placeholder(id));
    }
    let decimals = last == b'0'
        && id.strip_suffix(".0").is_some_and(|whole| whole.bytes().all(|b| b.is_ascii_digit()));
    decimals || first.is_ascii_alphabetic() && is_placeholder(id)
}

fn is_placeholder(id: &str) -> bool {
    id.len() < 10 && PLACEHOLDERS.iter().any(|word| id.eq_ignore_ascii_case(word))
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
