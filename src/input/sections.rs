//! Where the list ends before the file does.
//!
//! A list is one table: it ends at a footer (a sum, a report's last words), at a title that a header
//! follows, and at a blank line that another header follows, be it the list's own once more. Below
//! that nothing is enrolled, and whatever reads like a row there is rejected (`other-table`).
//!
//! A ragged row ends nothing, or one slip would lose everybody behind it; and a person may be called
//! `Suma` or work for `Total`: what stands beside the word decides. A header is told from a person by
//! its words: where nearly all rows of the list have a digit or an `@`, as ids and addresses do, it
//! has none.

use std::fmt;

use super::{
    Header, InputError,
    csv::{Cells, Extent, RecordAhead, Text, records_of},
    header::normal,
    layout::Layout,
};

/// What ends a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Footer,
    /// A title, and below it rows that may be like the list's: its own header once more.
    Title,
    /// A title, and below it a header of other names.
    Table,
    /// Another table's header, or the list's own, below a blank line.
    Header,
    /// The list's own header with its names in another order.
    Reordered,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Footer => "a footer begins there",
            Self::Title | Self::Table => "another table begins there",
            Self::Header => "below a blank line stands what reads like another table's header",
            Self::Reordered => "the header's names stand there in another order",
        })
    }
}

/// What a record is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowKind {
    Row,
    /// A row that might be another table's header as well: nothing above it decides.
    Doubtful,
    /// The list's header once more, right between its rows.
    OwnHeader,
    /// A title or a sum within the list: it alone is none of the list's rows.
    Alone(&'static str),
    /// The list ends before it.
    Ends(Ending),
}

/// How far ahead a header is searched for below a title.
const AHEAD: usize = 64 * 1024;
/// And how many records are read there.
const RECORDS_AHEAD: usize = 20;

/// Rows from which is learnt what rows of the list are like.
const LEARNT: u64 = 64;

/// First words of footers: Salesforce's report exports.
const FOOTERS: [&str; 4] =
    ["grand totals", "grand summaries", "confidential information - do not", "copyright (c)"];

/// First cells of the sums that spreadsheets write below a table.
const TOTALS: [&str; 9] =
    ["total", "totals", "grand total", "summe", "gesamt", "totale", "suma", "somme", "合計"];

/// Titles of tables that stand in one list with no blank line: Zoom's webinar reports.
const TITLES: [&str; 5] =
    ["host details", "panelist details", "attendee details", "other attended", "report generated"];

/// What the rows of a list were like so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Sections {
    rows: u64,
    below_blank: u64,
    /// How many rows have neither a digit nor an `@`.
    plain: u64,
    /// How many rows have one filled cell alone.
    thin: u64,
}

impl Sections {
    /// Learns from a row of the list.
    pub(super) fn learn(&mut self, cells: &Cells, after_blank: bool) {
        self.rows += 1;
        self.below_blank += u64::from(after_blank);
        if self.rows <= LEARNT {
            self.plain += u64::from(!is_marked(cells.text()));
            self.thin += u64::from(filled(cells) < 2);
        }
    }

    /// Whether a record has neither digit nor `@`, which nearly all rows of the list have.
    fn stands_out(&self, cells: &Cells) -> bool {
        let learnt = self.rows.min(LEARNT);
        learnt > 1 && self.plain * 10 <= learnt && !is_marked(cells.text())
    }

    /// What the next record of `text` is, whose cells and extent these are.
    pub(super) fn kind(
        &self,
        cells: &Cells,
        extent: &Extent,
        layout: &Layout,
        text: &mut Text,
        after_blank: bool,
    ) -> Result<RowKind, InputError> {
        if layout.detected.rejects {
            let own = text.at_hand()[..extent.length] == layout.header.whole;
            return Ok(if own { RowKind::OwnHeader } else { RowKind::Row });
        }
        if extent.defect.is_some() {
            return Ok(RowKind::Row);
        }
        // Where blank lines stand between all rows they mean nothing.
        let spaced = self.below_blank > 1 && self.below_blank + 1 >= self.rows;
        let apart = after_blank && self.rows > 0 && !spaced;
        match repeats(cells, &layout.header) {
            Some(Order::Same) if apart => return Ok(RowKind::Ends(Ending::Header)),
            Some(Order::Same) => return Ok(RowKind::OwnHeader),
            Some(Order::Other) => return Ok(RowKind::Ends(Ending::Reordered)),
            None => {}
        }
        let (width, filled) = (layout.width(), filled(cells));
        if filled == width && cells.len() == width && width > 1 {
            // Nearly every row of many lists ends here.
            return Ok(match after_blank && self.rows > 0 && !is_marked(cells.text()) {
                false => RowKind::Row,
                true if apart && self.stands_out(cells) => RowKind::Ends(Ending::Header),
                true => RowKind::Doubtful,
            });
        }
        match sum(cells, layout.mapping.id_columns(), width) {
            Some(Sum::Certain) => return Ok(RowKind::Ends(Ending::Footer)),
            Some(Sum::Doubtful) => return Ok(RowKind::Alone("sum")),
            None => {}
        }
        if filled == 1 {
            return self.kind_of_one(cells, extent, layout, text, apart);
        }
        let other = apart && filled == cells.len() && filled > width && self.stands_out(cells);
        Ok(if other { RowKind::Ends(Ending::Header) } else { RowKind::Row })
    }

    /// The same for a record with one filled cell.
    fn kind_of_one(
        &self,
        cells: &Cells,
        extent: &Extent,
        layout: &Layout,
        text: &mut Text,
        apart: bool,
    ) -> Result<RowKind, InputError> {
        let width = layout.width();
        let words = cells.get(0).unwrap_or_default().trim().to_lowercase();
        if words.is_empty() {
            return Ok(RowKind::Row);
        }
        if width > 1 && FOOTERS.iter().any(|known| words.starts_with(known)) {
            return Ok(RowKind::Ends(Ending::Footer));
        }
        let is_known = width > 1 && TITLES.contains(&words.as_str());
        let as_wide = cells.len() == width;
        // A row of the list may have one filled cell, if others have.
        let may_be_title = if width == 1 {
            apart || self.stands_out(cells)
        } else {
            (!as_wide || self.thin == 0) && (!is_marked(&words) || words.contains(' '))
        };
        let may_be_footer = !as_wide
            && (apart && words.contains(' ') || words.starts_with('#') || words.starts_with("//"));
        if is_known || may_be_title || may_be_footer {
            let ahead = ahead(text, extent, layout)?;
            let below = ahead.first().map(|record| &record.cells);
            let own = below.is_some_and(|cells| repeats(cells, &layout.header).is_some());
            let other = below.is_some_and(|cells| filled(cells) > 1 && self.stands_out(cells));
            if is_known || may_be_title && (own || other) {
                return Ok(RowKind::Ends(if other && !own {
                    Ending::Table
                } else {
                    Ending::Title
                }));
            }
            if may_be_footer && ahead.iter().all(|record| record.cells.len() != width) {
                return Ok(RowKind::Ends(Ending::Footer));
            }
        }
        // A sheet's rows end with their last filled cell.
        let is_whole = as_wide || layout.header.is_of_sheet();
        let title = width > 1 && is_whole && self.thin == 0 && self.stands_out(cells);
        Ok(if title { RowKind::Alone("title") } else { RowKind::Row })
    }
}

/// Whether a record below the list's end reads like one of its rows: as wide, with an id, and not with
/// an id alone.
pub(super) fn reads_like_row(cells: &Cells, extent: &Extent, layout: &Layout) -> bool {
    let (width, id) = (layout.width(), layout.mapping.id_columns());
    let holds = |&column: &usize| cells.get(column).is_some_and(|cell| !cell.trim().is_empty());
    extent.defect.is_none()
        && cells.len() == width
        && filled(cells) >= width.min(2)
        && !id.is_empty()
        && id.iter().all(holds)
        && repeats(cells, &layout.header) != Some(Order::Same)
}

/// The next records that are not blank.
fn ahead(
    text: &mut Text,
    extent: &Extent,
    layout: &Layout,
) -> Result<Vec<RecordAhead>, InputError> {
    text.fill_to(extent.next + AHEAD)?;
    let line = text.line() + extent.lines;
    let behind =
        text.at_hand()[extent.next..].get(..AHEAD).unwrap_or(&text.at_hand()[extent.next..]);
    let complete = text.has_ended() && text.at_hand().len() == extent.next + behind.len();
    let records = records_of(behind, line, layout.header.delimiter, complete);
    Ok(records.filter(|record| !record.is_blank()).take(RECORDS_AHEAD).collect())
}

/// In which order a record has the header's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Same,
    Other,
}

/// Whether a record holds the header's names, however they are spelt.
fn repeats(cells: &Cells, header: &Header) -> Option<Order> {
    let (names, first) = (&header.names, cells.get(0)?);
    // Nearly every row ends here.
    if cells.len() != names.len() || !names.iter().any(|name| name.eq_ignore_ascii_case(first)) {
        return None;
    }
    if names.len() == 1 {
        return (names[0] == first).then_some(Order::Same);
    }
    let mut own: Vec<String> = names.iter().map(|name| normal(name)).collect();
    let mut found: Vec<String> = cells.iter().map(normal).collect();
    if own == found {
        return Some(Order::Same);
    }
    own.sort_unstable();
    found.sort_unstable();
    (own == found).then_some(Order::Other)
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
fn sum(cells: &Cells, id: &[usize], width: usize) -> Option<Sum> {
    let first = cells.get(0)?.trim().trim_end_matches([':', ' ']);
    if width < 2 || !TOTALS.iter().any(|word| word.eq_ignore_ascii_case(first)) {
        return None;
    }
    let empty = |cell: &str| cell.trim().is_empty();
    if cells.len() >= width && !cells.iter().any(empty) {
        return None;
    }
    let bare = cells.iter().skip(1).all(|cell| empty(cell) || is_amount(cell));
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

/// Titles are padded with empty cells, not with blanks.
pub(super) fn filled(cells: &Cells) -> usize {
    cells.iter().filter(|cell| !cell.is_empty()).count()
}

fn is_marked(text: &str) -> bool {
    text.contains(|c: char| c.is_numeric() || c == '@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_holds_numbers_and_nobody() {
        let judged = |cells: &[&str], id: &[usize]| sum(&Cells::of(cells), id, 4);
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

    #[test]
    fn the_headers_names_are_known_in_any_order_and_spelling() {
        let header = Header::of(&["id", "First Name", "E-Mail"]);
        let repeated = |cells: &[&str]| repeats(&Cells::of(cells), &header);
        assert_eq!(repeated(&["ID", "first_name", "EMAIL"]), Some(Order::Same));
        assert_eq!(repeated(&["E-mail", "id", "First Name"]), Some(Order::Other));
        assert_eq!(repeated(&["id", "Ada", "a@x.org"]), None);
        assert_eq!(repeats(&Cells::of(&["ID"]), &Header::of(&["id"])), None, "an id, perhaps");
    }

    #[test]
    fn words_alone_stand_out_where_every_row_has_a_number() {
        let mut sections = Sections::default();
        let words = Cells::of(&["code", "label"]);
        sections.learn(&Cells::of(&["1", "Ada"]), false);
        assert!(!sections.stands_out(&words), "one row says little");
        sections.learn(&Cells::of(&["2", "Bob"]), false);
        assert!(sections.stands_out(&words));
        assert!(!sections.stands_out(&Cells::of(&["3", "Eve"])));
        sections.learn(&Cells::of(&["admin", "Root"]), false);
        assert!(!sections.stands_out(&words));
    }
}
