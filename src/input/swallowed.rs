//! A quote that was meant as a sign of inches, and the rows that it swallowed.
//!
//! `1,"near door,Rome` opens a cell that ends at the next quote, hundreds of people further on; if
//! a delimiter follows there, all of it is well-formed and one row. What gives it away is that the
//! lines within the cell are rows of the list themselves: as wide as it, with an id. A cell of an
//! address or a note has such a line by accident only, and not one after another.

use super::{
    layout::Layout,
    split::{Defect, Extent, Span, Split, Supply, count_lines, end_early, split},
};

/// Lines within a cell from which their width alone decides. Of fewer lines the first and the last
/// must have it as well, and each must begin a row that has a number in its id.
const ENOUGH: usize = 2;

/// Of ten lines within the cell so many must be rows: one of the people may be broken too.
const OF_TEN: usize = 9;

/// Ends the record with the line of a quote that swallowed rows. Asked only of a record that has
/// several lines.
pub(super) fn reopen(text: &str, layout: &Layout, spans: &mut Vec<Span>, extent: &mut Extent) {
    let width = layout.width();
    let id = layout.mapping.id_columns();
    if width < 2 || id.is_empty() {
        return;
    }
    let record = &text[..extent.length];
    for cell in 0..spans.len() {
        let span = spans[cell];
        let inner = &record[span.start as usize..span.end as usize];
        // An unquoted cell has no line ends.
        if !inner.contains(['\n', '\r']) {
            continue;
        }
        let lines = lines(inner);
        let within = &lines[1..lines.len() - 1];
        let mut look = Look { delimiter: layout.header.delimiter.byte(), width, id, spans: vec![] };
        let rows = within.iter().filter(|line| look.is_row(line, false)).count();
        let filled = within.iter().filter(|line| !line.trim().is_empty()).count();
        let swallowed = if rows < ENOUGH {
            let head = before_line_end(record, span.at as usize);
            let tail = &record[span.end as usize - lines[lines.len() - 1].len()..];
            rows == filled
                && width > 2
                && look.is_as_wide(head)
                && within
                    .iter()
                    .filter(|line| !line.trim().is_empty())
                    .all(|l| look.is_row(l, true))
                && look.is_row(tail.lines().next().unwrap_or_default(), true)
        } else {
            rows * 10 >= filled * OF_TEN
        };
        if swallowed {
            let line = count_lines(&record.as_bytes()[..span.at as usize]);
            let behind = lines.len() as u64 - 1;
            end_early(text, cell, Defect::Swallowed { cell, line, behind }, spans, extent);
            return;
        }
    }
}

/// Physical lines: LF, CRLF and CR end one each.
fn lines(text: &str) -> Vec<&str> {
    let (mut lines, mut rest) = (Vec::new(), text);
    while let Some(end) = rest.find(['\n', '\r']) {
        lines.push(&rest[..end]);
        rest = rest[end..].strip_prefix("\r\n").unwrap_or(&rest[end + 1..]);
    }
    lines.push(rest);
    lines
}

/// The physical line in which `at` stands.
fn before_line_end(record: &str, at: usize) -> &str {
    let start = record[..at].rfind(['\n', '\r']).map_or(0, |end| end + 1);
    let end = record[at..].find(['\n', '\r']).map_or(record.len(), |end| at + end);
    &record[start..end]
}

struct Look<'a> {
    delimiter: u8,
    width: usize,
    id: &'a [usize],
    spans: Vec<Span>,
}

impl Look<'_> {
    /// Whether a line is a row of the list. A comma before a blank is a sentence's.
    fn is_row(&mut self, line: &str, numbered: bool) -> bool {
        let mut extent = Extent::default();
        let split = split(line, self.delimiter, Supply::End, &mut self.spans, &mut extent);
        let cell = |span: &Span| &line[span.start as usize..span.end as usize];
        split == Split::Record
            && extent.next == line.len()
            && extent.defect.is_none()
            && self.spans.len() == self.width
            && self.spans[1..].iter().all(|span| !cell(span).starts_with(' '))
            && self.id.iter().all(|&id| {
                self.spans.get(id).is_some_and(|span| {
                    let id = cell(span);
                    !id.trim().is_empty()
                        && (!numbered || id.contains(|c: char| c.is_numeric() || c == '@'))
                })
            })
    }

    /// Whether a line has the list's width where its quotes are characters.
    fn is_as_wide(&self, line: &str) -> bool {
        line.bytes().filter(|&byte| byte == self.delimiter).count() + 1 == self.width
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart_however_they_end() {
        assert_eq!(lines("a\r\nb\rc\nd\r"), ["a", "b", "c", "d", ""]);
        assert_eq!(lines("\r"), ["", ""]);
        assert_eq!(lines("a"), ["a"]);
    }
}
