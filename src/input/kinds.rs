//! Whether a row below a blank line is a person of the list, or the header of another table.
//!
//! Two tables of one width without a title between them look like one list: the second header would
//! be enrolled as a person, and so would the rows below it. What gives it away is that its cells
//! are all filled and hold names alone, where the rows above have numbers and addresses.

use super::header::normal;

/// What a row below a blank line is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// A row of the list.
    Row,
    /// A row of the list that might be a header as well: nothing above it decides.
    Doubtful,
    /// Another table's header.
    Header,
}

/// Rows of which the kinds are learnt: the first ones, so that a long list is not slowed down.
const LEARNT: usize = 64;

/// Filled cells from which a column's kind can be told: one may be an accident.
const ENOUGH: usize = 2;

/// Which columns hold a digit or an `@` in every row, as numbers, dates and addresses do.
#[derive(Clone, Debug, Default)]
pub(super) struct Kinds {
    rows: usize,
    columns: Vec<Column>,
    /// Whether a blank line stood above an ordinary row before: then blank lines mean nothing here.
    blanks_within: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Column {
    filled: usize,
    marked: usize,
}

impl Column {
    fn breaks(self, cell: &str) -> bool {
        self.filled >= ENOUGH && self.marked == self.filled && !is_marked(cell)
    }
}

impl Kinds {
    pub(super) fn wants_more(&self) -> bool {
        self.rows < LEARNT
    }

    /// Learns from a row of the list.
    pub(super) fn learn<'a>(&mut self, cells: impl Iterator<Item = &'a str>) {
        self.rows += 1;
        for (nth, cell) in cells.enumerate() {
            if nth == self.columns.len() {
                self.columns.push(Column::default());
            }
            let column = &mut self.columns[nth];
            if !cell.trim().is_empty() {
                column.filled += 1;
                column.marked += usize::from(is_marked(cell));
            }
        }
    }

    /// Whether a cell has no digit and no `@` where every row of the list has one.
    pub(super) fn breaks(&self, column: usize, cell: &str) -> bool {
        self.columns.get(column).is_some_and(|column| column.breaks(cell))
    }

    /// Judges a row of the list's width that stands below a blank line, under a header with these
    /// names.
    pub(super) fn judge(&mut self, cells: &[&str], names: &[String]) -> Taken {
        let wordy = cells.iter().all(|cell| !cell.trim().is_empty() && !is_marked(cell));
        if !wordy || cells.len() < 2 || self.rows == 0 {
            self.blanks_within |= self.rows > 0;
            return Taken::Row;
        }
        let known = |cell: &&str| names.iter().any(|name| normal(name) == normal(cell));
        let breaks = |(column, cell): (&Column, &&str)| column.breaks(cell);
        if cells.iter().all(known)
            || !self.blanks_within && self.columns.iter().zip(cells).any(breaks)
        {
            Taken::Header
        } else {
            Taken::Doubtful
        }
    }

    /// Whether a row of the list's width is a title within it, padded with empty cells: words in one
    /// cell where the rows above have numbers, and nothing where they always have something.
    pub(super) fn is_title(&self, cells: &[&str]) -> bool {
        let mut filled = cells.iter().enumerate().filter(|(_, cell)| !cell.trim().is_empty());
        let (Some((place, cell)), None) = (filled.next(), filled.next()) else { return false };
        let always = |(nth, column): (usize, &Column)| nth != place && column.filled == self.rows;
        self.rows >= ENOUGH
            && !is_marked(cell)
            && self.columns.get(place).is_some_and(|c| c.filled >= ENOUGH && c.marked == c.filled)
            && self.columns.iter().enumerate().any(always)
    }
}

fn is_marked(cell: &str) -> bool {
    cell.contains(|c: char| c.is_numeric() || c == '@')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(above: &[&[&str]], row: &[&str]) -> Taken {
        let mut kinds = Kinds::default();
        for cells in above {
            kinds.learn(cells.iter().copied());
        }
        kinds.judge(row, &["id".to_owned(), "name".to_owned()])
    }

    #[test]
    fn names_where_numbers_stand_are_a_header() {
        let numbered: &[&[&str]] = &[&["1", "Ada"], &["2", "Bob"]];
        assert_eq!(judged(numbered, &["code", "label"]), Taken::Header);
        assert_eq!(judged(numbered, &["3", "Eve"]), Taken::Row);
        assert_eq!(judged(numbered, &["", "Eve"]), Taken::Row);
        let lettered: &[&[&str]] = &[&["abc", "Ada"], &["2", "Bob"]];
        assert_eq!(judged(lettered, &["code", "label"]), Taken::Doubtful);
        assert_eq!(judged(lettered, &["Name", "ID"]), Taken::Header);
        assert_eq!(judged(&[&["7", "Ada"]], &["aB", "x"]), Taken::Doubtful, "one row says little");
    }

    #[test]
    fn words_alone_in_a_full_list_are_a_title() {
        let mut kinds = Kinds::default();
        kinds.learn(["1", "Ada", ""].into_iter());
        assert!(!kinds.is_title(&["Waiting list", "", ""]), "one row says little");
        kinds.learn(["2", "Bob", "x"].into_iter());
        assert!(kinds.is_title(&["Waiting list", "", " "]));
        for row in [["3", "", ""], ["", "Eve", ""], ["admin", "Eve", ""], ["", "", ""]] {
            assert!(!kinds.is_title(&row), "{row:?}");
        }
        kinds.learn(["4", "", ""].into_iter());
        assert!(!kinds.is_title(&["admin", "", ""]), "other rows are as empty");
    }

    #[test]
    fn where_blank_lines_stand_between_rows_they_decide_nothing() {
        let mut kinds = Kinds::default();
        kinds.learn(["1", "Ada"].into_iter());
        let names = ["id".to_owned(), "name".to_owned()];
        assert_eq!(kinds.judge(&["2", "Bob"], &names), Taken::Row);
        assert_eq!(kinds.judge(&["host", "Eve"], &names), Taken::Doubtful);
    }
}
