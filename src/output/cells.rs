//! Cells as they are written: quoted where they must be, and, where asked, made safe for
//! spreadsheets.

use csv::{QuoteStyle, Terminator, WriterBuilder};

/// One line of CSV from cells, by the csv crate's own rules of quoting.
pub(super) fn line<'a>(
    cells: impl IntoIterator<Item = &'a str, IntoIter: Clone>,
    delimiter: u8,
    ending: &str,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    push_line(&mut bytes, cells, delimiter, ending);
    bytes
}

/// Appends such a line to `bytes`.
pub(super) fn push_line<'a>(
    bytes: &mut Vec<u8>,
    cells: impl IntoIterator<Item = &'a str, IntoIter: Clone>,
    delimiter: u8,
    ending: &str,
) {
    let cells = cells.into_iter();
    // Most lines need no quotes, and a writer for one line costs more than the line. A lone cell may
    // be empty, which needs them.
    if cells.clone().nth(1).is_some() && cells.clone().all(|cell| is_plain(cell, delimiter)) {
        for cell in cells {
            bytes.extend_from_slice(cell.as_bytes());
            bytes.push(delimiter);
        }
        bytes.pop();
    } else {
        push_quoted(bytes, cells, delimiter);
    }
    bytes.extend_from_slice(ending.as_bytes());
}

/// The same for a line that may need quotes, without its end.
fn push_quoted<'a>(bytes: &mut Vec<u8>, cells: impl Iterator<Item = &'a str>, delimiter: u8) {
    let mut writer = WriterBuilder::new()
        .delimiter(delimiter)
        .quote_style(QuoteStyle::Necessary)
        .terminator(Terminator::Any(b'\n'))
        .flexible(true)
        // Filled with zeros for each line.
        .buffer_capacity(512)
        .from_writer(&mut *bytes);
    let written = writer.write_record(cells).and_then(|()| Ok(writer.flush()?));
    debug_assert!(written.is_ok(), "a Vec takes every record");
    drop(writer);
    bytes.pop();
}

/// Whether the cell needs no quotes. Looks at every byte rather than to stop at the first one that
/// tells: so it takes many at a time.
fn is_plain(cell: &str, delimiter: u8) -> bool {
    let special =
        |byte: u8| matches!(byte, b'"' | b'\n' | b'\r') as u8 | u8::from(byte == delimiter);
    cell.bytes().fold(0, |found, byte| found | special(byte)) == 0
}

/// [`line`], made safe for spreadsheets.
pub(super) fn safe_line<'a>(
    cells: impl IntoIterator<Item = &'a str>,
    delimiter: u8,
    ending: &str,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    push_safe_line(&mut bytes, cells, delimiter, ending);
    bytes
}

/// [`push_line`], made safe for spreadsheets.
pub(super) fn push_safe_line<'a>(
    bytes: &mut Vec<u8>,
    cells: impl IntoIterator<Item = &'a str>,
    delimiter: u8,
    ending: &str,
) {
    let cells: Vec<_> = cells.into_iter().map(safe).collect();
    push_line(bytes, cells.iter().map(AsRef::as_ref), delimiter, ending);
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
