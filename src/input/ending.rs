//! Where the data ends before the file does: at a footer, or at another table.
//!
//! A ragged row must not end the data, or one slip would lose everybody behind it. So a line ends
//! the data only if it is a title that a known system writes there; or if it stands apart (behind
//! a blank line, as a comment, or as a sum), reads like a title or a header, and no row of the
//! header's width follows. Rows that lack cells are never another table, and what has more cells
//! is one only if words stand where the list has numbers. A person may be called `Suma` or work for `Total`: what such a row holds
//! beside the word decides, and where that leaves a doubt the row is rejected and the rest is read.

use std::fmt;

use super::{
    InputError,
    dialect::{head_records, unquote},
    kinds::Kinds,
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

/// What a row is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowKind {
    Row,
    /// The data ends before it; `own_header` if another table's header follows, so that what is
    /// below cannot be the list's.
    Ends {
        ending: Ending,
        own_header: bool,
    },
    /// A sum within the list, or what might be one: it alone is none of the list's rows.
    Sum,
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

/// Whether the data ends before the next record of `text`.
pub(super) fn at(
    text: &mut Text,
    layout: &Layout,
    extent: &Extent,
    spans: &[Span],
    kinds: &Kinds,
    after_blank: bool,
) -> Result<RowKind, InputError> {
    let width = layout.width();
    if layout.detected.rejects || width < 2 {
        return Ok(RowKind::Row);
    }
    let raw = text.slice(extent.length);
    let cells: Vec<String> = spans.iter().map(|span| unquote(raw, span)).collect();
    let filled = cells.iter().filter(|cell| !cell.trim().is_empty()).count();
    let first = cells[0].trim().to_lowercase();
    let is_title = filled == 1 && !first.is_empty();
    let known = is_title && TABLES.contains(&first.as_str());
    let numbered = is_title && is_numbered(&first);
    if is_title && FOOTERS.iter().any(|known| first.starts_with(known)) {
        return Ok(RowKind::Ends { ending: Ending::Footer, own_header: false });
    }
    let sum = match sum(&cells, layout.mapping.id_columns(), width) {
        Some(Sum::Doubtful) => return Ok(RowKind::Sum),
        sum => sum.is_some(),
    };
    if cells.len() == width && !(sum || known || numbered) {
        return Ok(RowKind::Row);
    }
    let comment = first.starts_with('#') || first.starts_with("//");
    let phrase = after_blank && first.contains(' ');
    let ending = if known || numbered {
        Ending::Table
    } else if sum || is_title && (comment || phrase) {
        Ending::Footer
    } else if after_blank
        && cells.len() > width
        && cells.iter().all(|cell| reads_like_a_name(cell))
        && cells.iter().enumerate().any(|(column, cell)| kinds.breaks(column, cell))
    {
        Ending::Table
    } else {
        return Ok(RowKind::Row);
    };
    while text.at_hand().len() < extent.next + AHEAD && text.fill()? {}
    let ahead = &text.at_hand()[extent.next..];
    let ahead = head_records(ahead, text.line(), layout.header.delimiter, text.has_ended());
    let mut behind = ahead.iter().filter(|record| !record.is_blank());
    let same_table = behind.clone().any(|record| record.cells.len() == width);
    let next = behind.next().map(|record| record.cells.as_slice());
    let own_header = next.is_some_and(|next| is_other_header(next, layout, kinds));
    let under_it = next.is_some_and(|next| next.len() == cells.len());
    let ends = if numbered {
        // An id may be `1. Ada`.
        own_header
    } else {
        known || !same_table && (ending == Ending::Footer || under_it)
    };
    Ok(if ends {
        RowKind::Ends { ending, own_header }
    } else if sum {
        RowKind::Sum
    } else {
        RowKind::Row
    })
}

/// Whether a record below a title is the header of a table of its own: names alone, and no row of
/// the list.
fn is_other_header(cells: &[String], layout: &Layout, kinds: &Kinds) -> bool {
    let mut filled = cells.iter().filter(|cell| !cell.trim().is_empty());
    filled.clone().count() > 1
        && filled.all(|cell| reads_like_a_name(cell))
        && (cells.len() != layout.width() || !holds_an_id(cells, layout, kinds))
}

/// Whether these cells have an id, and of the kind that the list's ids are.
pub(super) fn holds_an_id(cells: &[impl AsRef<str>], layout: &Layout, kinds: &Kinds) -> bool {
    let id = layout.mapping.id_columns();
    !id.is_empty()
        && id.iter().all(|&column| {
            let cell = cells.get(column).map_or("", AsRef::as_ref);
            !cell.trim().is_empty() && !kinds.breaks(column, cell)
        })
}

/// A row that begins with a word for a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sum {
    /// It holds numbers beside the word and nobody's id.
    Certain,
    /// It holds an id and nothing else that a person has, or the word is its id.
    Doubtful,
}

/// Whether these cells are a sum. A row that is filled throughout is none, and neither is one with
/// words beside the first: a person's other name, a town.
fn sum(cells: &[String], id: &[usize], width: usize) -> Option<Sum> {
    let first = cells[0].trim().to_lowercase();
    if !TOTALS.contains(&first.trim_end_matches([':', ' '])) {
        return None;
    }
    let empty = |cell: &String| cell.trim().is_empty();
    if cells.len() >= width && !cells.iter().any(empty) {
        return None;
    }
    let bare = cells[1..].iter().all(|cell| empty(cell) || is_amount(cell));
    let word_is_id = id.contains(&0);
    let has_id = !id.is_empty() && id.iter().all(|&id| cells.get(id).is_some_and(|c| !empty(c)));
    match (bare, word_is_id, has_id) {
        (true, true, _) | (true, false, false) => Some(Sum::Certain),
        (false, true, _) | (true, false, true) => Some(Sum::Doubtful),
        (false, false, _) => None,
    }
}

/// `24`, `1.299,50`, `EUR 24.00`, `24 €`.
fn is_amount(cell: &str) -> bool {
    cell.contains(|c: char| c.is_ascii_digit())
        && cell.chars().filter(|c| c.is_alphabetic()).count() <= "EUR".len()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_holds_numbers_and_nobody() {
        let judged = |cells: &[&str], id: &[usize]| {
            let cells: Vec<String> = cells.iter().map(|&cell| cell.to_owned()).collect();
            sum(&cells, id, 4)
        };
        for cells in [["Total", "", "", "24"], ["Summe:", "", "EUR 1.299,50", ""]] {
            assert_eq!(judged(&cells, &[0]), Some(Sum::Certain), "{cells:?}");
        }
        assert_eq!(judged(&["Total", "", "", "24"], &[2]), Some(Sum::Certain));
        assert_eq!(judged(&["Total", "2 people", "", ""], &[0]), Some(Sum::Doubtful));
        assert_eq!(judged(&["Suma", "", "3", ""], &[2]), Some(Sum::Doubtful));
        assert_eq!(judged(&["Suma", "Maria", "3", ""], &[2]), None);
        assert_eq!(judged(&["Total", "Jean Petit", "", ""], &[2]), None);
        assert_eq!(judged(&["Total", "1", "2", "3"], &[0]), None);
        assert_eq!(judged(&["Totally", "", "", "24"], &[0]), None);
    }
}
