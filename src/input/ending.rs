//! Where the data ends before the file does: at a footer, or at another table.
//!
//! A ragged row must not end the data, or one slip would lose everybody behind it. So a line ends
//! the data only if it is a title that a known system writes there; or if it stands apart (behind
//! a blank line, as a comment, or as a sum), reads like a title or a header, and no row of the
//! header's width follows.

use std::fmt;

use super::{
    InputError,
    dialect::{head_records, unquote},
    layout::Layout,
    split::{Extent, Span},
    text::Text,
};

/// What ends the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Footer,
    Table,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Footer => "a footer begins there",
            Self::Table => "another table begins there",
        })
    }
}

/// How far ahead is looked for a row of the header's width.
const AHEAD: usize = 64 * 1024;

/// First words of footers: Salesforce's report exports.
const FOOTERS: [&str; 4] =
    ["grand totals", "grand summaries", "confidential information - do not", "copyright (c)"];

/// First cells of the sums that spreadsheets write below a table.
const TOTALS: [&str; 9] =
    ["total", "totals", "grand total", "summe", "gesamt", "totale", "suma", "somme", "合計"];

/// Titles of tables: Zoom's webinar reports.
const TABLES: [&str; 5] =
    ["host details", "panelist details", "attendee details", "other attended", "report generated"];

/// Whether a row with this text may be a title (one filled cell among empty ones) or a sum. Cheap,
/// because every row is asked.
pub(super) fn may_be_title(raw: &str, delimiter: u8) -> bool {
    let raw = raw.as_bytes();
    raw.ends_with(&[delimiter, delimiter])
        || matches!(raw, [b'T' | b't' | b'S' | b's' | b'G' | b'g', b'o' | b'u' | b'r' | b'e', ..])
        || raw.starts_with("合計".as_bytes())
}

/// What ends the data at the next record of `text`, if anything does.
pub(super) fn at(
    text: &mut Text,
    layout: &Layout,
    extent: &Extent,
    spans: &[Span],
    after_blank: bool,
) -> Result<Option<Ending>, InputError> {
    let width = layout.width();
    if layout.detected.rejects || width < 2 {
        return Ok(None);
    }
    let raw = text.slice(extent.length);
    let cells: Vec<String> = spans.iter().map(|span| unquote(raw, span)).collect();
    let filled = cells.iter().filter(|cell| !cell.trim().is_empty()).count();
    let first = cells[0].trim().to_lowercase();
    let is_title = filled == 1 && !first.is_empty();
    if is_title {
        if FOOTERS.iter().any(|known| first.starts_with(known)) {
            return Ok(Some(Ending::Footer));
        }
        if TABLES.contains(&first.as_str()) || is_numbered(&first) {
            return Ok(Some(Ending::Table));
        }
    }
    let is_sum = filled < width && TOTALS.contains(&first.trim_end_matches([':', ' ']));
    if cells.len() == width && !is_sum {
        return Ok(None);
    }
    let comment = first.starts_with('#') || first.starts_with("//");
    let phrase = after_blank && first.contains(' ');
    let ending = if is_sum || is_title && (comment || phrase) {
        Ending::Footer
    } else if after_blank && cells.len() > 1 && cells.iter().all(|cell| reads_like_a_name(cell)) {
        Ending::Table
    } else {
        return Ok(None);
    };
    while text.at_hand().len() < extent.next + AHEAD && text.fill()? {}
    let ahead = &text.at_hand()[extent.next..];
    let ahead = head_records(ahead, text.line(), layout.header.delimiter, text.has_ended());
    let mut behind = ahead.iter().filter(|record| !record.is_blank());
    let same_table = behind.clone().any(|record| record.cells.len() == width);
    let under_it = behind.next().is_some_and(|record| record.cells.len() == cells.len());
    let ends = !same_table && (ending == Ending::Footer || under_it);
    Ok(ends.then_some(ending))
}

/// `3. In-Meeting Activities`: how a Teams report numbers its tables.
fn is_numbered(title: &str) -> bool {
    title.split_once(". ").is_some_and(|(number, rest)| {
        !number.is_empty()
            && number.len() < 3
            && number.bytes().all(|b| b.is_ascii_digit())
            && rest.starts_with(char::is_alphabetic)
    })
}

/// A column's name rather than a person's data.
fn reads_like_a_name(cell: &str) -> bool {
    !cell.trim().is_empty() && !cell.contains(|c: char| c.is_numeric() || c == '@')
}
