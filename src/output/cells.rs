//! Cells as they are written: quoted where they must be, and, where asked, made safe for
//! spreadsheets.

use csv::{QuoteStyle, Terminator, WriterBuilder};
use memchr::{memchr_iter, memchr3};

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
    let start = bytes.len();
    let mut count = 0;
    for cell in cells.clone() {
        bytes.extend_from_slice(cell.as_bytes());
        bytes.push(delimiter);
        count += 1;
    }
    // Most lines need no quotes, and a writer for one line costs more than the line. A lone cell may
    // be empty, which needs them.
    let line = &bytes[start..];
    let plain = count > 1
        && memchr3(b'"', b'\n', b'\r', line).is_none()
        && memchr_iter(delimiter, line).count() == count;
    if plain {
        bytes.pop();
    } else {
        bytes.truncate(start);
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

/// [`line()`], made safe for spreadsheets.
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
    use proptest::{collection, prelude::*};

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
    fn a_line_is_what_the_csv_crate_writes() {
        let cell = prop_oneof![any::<String>(), "[a,;\"\r\n\t |]{0,3}", "[a-z]{0,20}"];
        let delimiter = prop_oneof![Just(b','), Just(b';'), Just(b'\t'), Just(b'|')];
        proptest!(|(cells in collection::vec(cell, 1..6), delimiter in delimiter)| {
            let mut writer = WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
            writer.write_record(&cells).expect("a Vec takes it");
            let written = writer.into_inner().expect("a Vec takes it");
            prop_assert_eq!(line(cells.iter().map(String::as_str), delimiter, "\n"), written);
        });
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
