//! Cells as they are written: quoted where they must be, and, where asked, made safe for
//! spreadsheets.

use csv::{QuoteStyle, Terminator, WriterBuilder};

/// One line of CSV from cells, by the csv crate's own rules of quoting.
pub(super) fn line<'a>(
    cells: impl IntoIterator<Item = &'a str, IntoIter: Clone>,
    delimiter: u8,
    ending: &str,
) -> Vec<u8> {
    let cells = cells.into_iter();
    // Most lines need no quotes, and a writer for one line costs more than the line. A lone cell may
    // be empty, which needs them.
    let plain = |cell: &str| {
        !cell.bytes().any(|byte| matches!(byte, b'"' | b'\n' | b'\r') || byte == delimiter)
    };
    if cells.clone().nth(1).is_some() && cells.clone().all(plain) {
        let mut bytes = Vec::with_capacity(128);
        for cell in cells {
            bytes.extend_from_slice(cell.as_bytes());
            bytes.push(delimiter);
        }
        bytes.pop();
        bytes.extend_from_slice(ending.as_bytes());
        return bytes;
    }
    let mut writer = WriterBuilder::new()
        .delimiter(delimiter)
        .quote_style(QuoteStyle::Necessary)
        .terminator(Terminator::Any(b'\n'))
        .flexible(true)
        .from_writer(Vec::new());
    let written = writer.write_record(cells);
    debug_assert!(written.is_ok(), "a Vec takes every record");
    let mut bytes = writer.into_inner().unwrap_or_default();
    bytes.pop();
    bytes.extend_from_slice(ending.as_bytes());
    bytes
}

/// The same, made safe for spreadsheets.
pub(super) fn safe_line<'a>(
    cells: impl IntoIterator<Item = &'a str>,
    delimiter: u8,
    ending: &str,
) -> Vec<u8> {
    let cells: Vec<_> = cells.into_iter().map(safe).collect();
    line(cells.iter().map(AsRef::as_ref), delimiter, ending)
}

/// Whether a spreadsheet would execute the cell.
/// Source: OWASP, "CSV Injection": `=`, `+`, `-`, `@`, tab and carriage return.
pub(super) fn is_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// The cell with an apostrophe before what a spreadsheet would execute.
pub(super) fn safe(cell: &str) -> std::borrow::Cow<'_, str> {
    if is_formula(cell) { format!("'{cell}").into() } else { cell.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let cells = ["a", "b,c", "d;e", "f\"g", "h\ni", "k\rl", "", "ü"];
        assert_eq!(
            String::from_utf8(line(cells, b',', "\r\n")).expect("text"),
            "a,\"b,c\",d;e,\"f\"\"g\",\"h\ni\",\"k\rl\",,ü\r\n"
        );
        assert_eq!(line(["a;b", "c"], b';', "\n"), b"\"a;b\";c\n");
        assert_eq!(line(["a,b", "", "c\"d"], b';', "\n"), b"a,b;;\"c\"\"d\"\n");
        assert_eq!(line(["a,b", "", "c"], b';', "\n"), b"a,b;;c\n");
        assert_eq!(line([""], b',', "\n"), b"\"\"\n");
    }

    #[test]
    fn a_formula_is_made_text_and_nothing_else_is_touched() {
        for cell in ["=1+1", "+49", "-5", "@x", "\tx", "\rx"] {
            assert_eq!(safe(cell), format!("'{cell}"));
        }
        for cell in ["", "a", "1-2", " =x", "'=x"] {
            assert_eq!(safe(cell), cell);
        }
    }
}
