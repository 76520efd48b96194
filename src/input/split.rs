//! Where a record ends and where its cells stand: the one place that knows the quoting rules.
//!
//! Pure: text in, spans out. RFC 4180 with what real exports need beside it: LF, CRLF and CR end a
//! record, also mixed in one file; a quote in the middle of an unquoted cell is a character;
//! blanks between a closing quote and the delimiter are no part of the cell. What cannot be read
//! without guessing is a [`Defect`] of that record alone: a quote that is never closed does not
//! swallow the file, the record ends with the line in which that quote opened.

use memchr::{memchr, memchr_iter, memchr2, memchr2_iter, memchr3};

/// The quote of every dialect that is read here.
pub(super) const QUOTE: u8 = b'"';

/// What stands behind the text that is at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Supply {
    /// More text may follow.
    More,
    /// The text ends here.
    End,
    /// More text follows, but a record may not be longer than what is at hand.
    Full,
}

/// What makes a record unreadable without a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Defect {
    /// A quote opens in this cell, in this physical line of the record, and is not closed.
    Unclosed { cell: usize, line: u64 },
    /// The quote that opens in this cell, likewise, is closed `behind` lines further on, and the
    /// lines between read as rows.
    Swallowed { cell: usize, line: u64, behind: u64 },
    /// A quoted cell goes on after its closing quote.
    Stray { cell: usize },
}

/// One cell: `text[start..end]` without its quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    /// Where the cell begins in the record, its opening quote included.
    pub(super) at: u32,
    pub(super) start: u32,
    pub(super) end: u32,
    /// Whether doubled quotes stand for single ones between `start` and `end`.
    pub(super) doubled: bool,
}

/// The extent of one record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Bytes of the record without its line end.
    pub(super) length: usize,
    /// Bytes up to the next record.
    pub(super) next: usize,
    /// Physical lines from this record to the next.
    pub(super) lines: u64,
    /// Whether a quote stands in it.
    pub(super) quoted: bool,
    pub(super) defect: Option<Defect>,
}

/// What [`split`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Split {
    /// A whole record.
    Record,
    /// The record does not end in the text at hand.
    Unfinished,
    /// The record is longer than a record may be.
    TooLong,
}

/// Splits the record at the head of `text` into `cells` and tells its extent.
///
/// The extent is written in place: handed back by value it is copied in other pieces than it was
/// written in, and such a copy waits for all memory writes before it, which costs a fifth of the
/// time of a whole check.
pub(super) fn split(
    text: &str,
    delimiter: u8,
    supply: Supply,
    cells: &mut Vec<Span>,
    extent: &mut Extent,
) -> Split {
    cells.clear();
    let bytes = text.as_bytes();
    extent.quoted = false;
    // Without quotes the record ends with the line.
    let end = match (memchr2(b'\n', b'\r', bytes), supply) {
        (Some(end), _) => end,
        (None, Supply::More) => return Split::Unfinished,
        (None, Supply::Full) => return Split::TooLong,
        (None, Supply::End) => bytes.len(),
    };
    let mut start = 0;
    let mut at = 0;
    // Eight bytes at a time: a row has many short cells, and to look for each of them anew costs
    // more than to look at every byte once.
    let quoted = 'scan: {
        while at < end
            && let Some(word) = bytes[at..].first_chunk::<8>()
        {
            let word = u64::from_le_bytes(*word);
            let within = if end - at < 8 { (1 << (8 * (end - at))) - 1 } else { u64::MAX };
            if equal(word, QUOTE) & within != 0 {
                break 'scan true;
            }
            let mut delimiters = equal(word, delimiter) & within;
            while delimiters != 0 {
                let end = at + (delimiters.trailing_zeros() / 8) as usize;
                cells.push(span(start, start, end, false));
                start = end + 1;
                delimiters &= delimiters - 1;
            }
            at += 8;
        }
        // The last few bytes of the text.
        while at < end {
            if bytes[at] == QUOTE {
                break 'scan true;
            }
            if bytes[at] == delimiter {
                cells.push(span(start, start, at, false));
                start = at + 1;
            }
            at += 1;
        }
        false
    };
    if quoted {
        cells.clear();
        extent.quoted = true;
        return split_quoted(bytes, delimiter, supply, cells, extent);
    }
    cells.push(span(start, start, end, false));
    finish(bytes, end, 0, None, supply, extent)
}

/// The highest bit of each byte of `word` that is `byte`.
fn equal(word: u64, byte: u8) -> u64 {
    const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
    let zero_where_equal = word ^ (u64::from(byte) * 0x0101_0101_0101_0101);
    !(((zero_where_equal & LOW) + LOW) | zero_where_equal | LOW)
}

/// The same for a record with quotes in it.
fn split_quoted(
    bytes: &[u8],
    delimiter: u8,
    supply: Supply,
    cells: &mut Vec<Span>,
    extent: &mut Extent,
) -> Split {
    let out_of_text = if supply == Supply::Full { Split::TooLong } else { Split::Unfinished };
    let mut lines = 0;
    let mut stray = None;
    let mut at = 0;
    loop {
        let end = if bytes.get(at) == Some(&QUOTE) {
            let (close, doubled) = match closing_quote(bytes, at + 1, supply) {
                Close::At(close, doubled) => (close, doubled),
                Close::Unfinished => return Split::Unfinished,
                Close::Never => return unclosed(bytes, at, lines, supply, cells, extent),
            };
            let within = count_lines(&bytes[at..close]);
            let mut behind = close + 1;
            while bytes.get(behind) == Some(&b' ') && delimiter != b' ' {
                behind += 1;
            }
            match bytes.get(behind) {
                None if supply != Supply::End => return out_of_text,
                Some(&b) if b != delimiter && b != b'\n' && b != b'\r' => {
                    // Over a line's end this "closing" quote is the opening one of a later cell:
                    // the quote before it was never closed.
                    if within > 0 {
                        return unclosed(bytes, at, lines, supply, cells, extent);
                    }
                    let Some(end) = cell_end(bytes, behind, delimiter, supply) else {
                        return out_of_text;
                    };
                    stray = stray.or(Some(Defect::Stray { cell: cells.len() }));
                    cells.push(span(at, at, end, false));
                    end
                }
                _ => {
                    lines += within;
                    cells.push(span(at, at + 1, close, doubled));
                    behind
                }
            }
        } else {
            let Some(end) = cell_end(bytes, at, delimiter, supply) else { return out_of_text };
            cells.push(span(at, at, end, false));
            end
        };
        if bytes.get(end) == Some(&delimiter) {
            at = end + 1;
        } else {
            return finish(bytes, end, lines, stray, supply, extent);
        }
    }
}

enum Close {
    At(usize, bool),
    Unfinished,
    Never,
}

/// The closing quote of a cell whose text begins at `from`, and whether doubled quotes stand in it.
fn closing_quote(bytes: &[u8], from: usize, supply: Supply) -> Close {
    let mut doubled = false;
    let mut from = from;
    loop {
        let Some(quote) = memchr(QUOTE, &bytes[from..]).map(|at| from + at) else {
            return if supply == Supply::More { Close::Unfinished } else { Close::Never };
        };
        match bytes.get(quote + 1) {
            Some(&QUOTE) => {
                doubled = true;
                from = quote + 2;
            }
            None if supply == Supply::More => return Close::Unfinished,
            _ => return Close::At(quote, doubled),
        }
    }
}

/// Ends the record with the line in which the quote at `at` opens.
fn unclosed(
    bytes: &[u8],
    at: usize,
    lines: u64,
    supply: Supply,
    cells: &mut Vec<Span>,
    extent: &mut Extent,
) -> Split {
    let end = match memchr2(b'\n', b'\r', &bytes[at..]) {
        Some(length) => at + length,
        None if supply == Supply::End => bytes.len(),
        None => return Split::TooLong,
    };
    let defect = Defect::Unclosed { cell: cells.len(), line: lines };
    cells.push(span(at, at, end, false));
    finish(bytes, end, lines, Some(defect), supply, extent)
}

/// Ends a record before its time, with the line in which the quote of this cell opens: what was
/// taken for the cell's other lines are records of their own.
pub(super) fn end_early(
    text: &str,
    cell: usize,
    defect: Defect,
    cells: &mut Vec<Span>,
    extent: &mut Extent,
) {
    let bytes = text.as_bytes();
    let at = cells[cell].at as usize;
    let Some(length) = memchr2(b'\n', b'\r', &bytes[at..]) else { return };
    cells.truncate(cell);
    cells.push(span(at, at, at + length, false));
    finish(bytes, at + length, count_lines(&bytes[..at]), Some(defect), Supply::End, extent);
}

/// Where an unquoted cell ends; `None`: not in the text at hand.
fn cell_end(bytes: &[u8], from: usize, delimiter: u8, supply: Supply) -> Option<usize> {
    match memchr3(delimiter, b'\n', b'\r', &bytes[from..]) {
        Some(length) => Some(from + length),
        None => (supply == Supply::End).then_some(bytes.len()),
    }
}

/// Steps over the line end that stands at `end`.
fn finish(
    bytes: &[u8],
    end: usize,
    lines: u64,
    defect: Option<Defect>,
    supply: Supply,
    extent: &mut Extent,
) -> Split {
    let next = match (bytes.get(end), bytes.get(end + 1)) {
        (Some(b'\r'), Some(b'\n')) => end + 2,
        // The CR may be the first half of a CRLF.
        (Some(b'\r'), None) if supply == Supply::More => return Split::Unfinished,
        (Some(_), _) => end + 1,
        (None, _) => end,
    };
    extent.length = end;
    extent.next = next;
    extent.lines = lines + u64::from(next > end);
    extent.defect = defect;
    Split::Record
}

fn span(at: usize, start: usize, end: usize, doubled: bool) -> Span {
    let narrow = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
    Span { at: narrow(at), start: narrow(start), end: narrow(end), doubled }
}

/// Physical line ends: LF, CRLF and CR count one each.
pub(super) fn count_lines(bytes: &[u8]) -> u64 {
    // Ten times as fast, and most files have no CR.
    if memchr(b'\r', bytes).is_none() {
        return memchr_iter(b'\n', bytes).count() as u64;
    }
    memchr2_iter(b'\n', b'\r', bytes)
        .filter(|&at| bytes[at] == b'\n' || bytes.get(at + 1) != Some(&b'\n'))
        .count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(text: &str) -> (Vec<&str>, Extent) {
        let mut spans = Vec::new();
        let mut extent = Extent::default();
        let split = split(text, b',', Supply::End, &mut spans, &mut extent);
        assert_eq!(split, Split::Record, "{text:?}");
        (spans.iter().map(|s| &text[s.start as usize..s.end as usize]).collect(), extent)
    }

    #[test]
    fn cells_are_told_apart() {
        let cases: [(&str, &[&str]); 12] = [
            ("a,b\n", &["a", "b"]),
            ("a,b", &["a", "b"]),
            ("a,\r\n", &["a", ""]),
            (",\r", &["", ""]),
            ("\"a,b\",c\n", &["a,b", "c"]),
            ("\"a\nb\",c\n", &["a\nb", "c"]),
            ("\"a\"\"b\",c", &["a\"\"b", "c"]),
            ("a \"b\" c,d\n", &["a \"b\" c", "d"]),
            ("\"a\"  ,b\n", &["a", "b"]),
            ("\"\",\"\"", &["", ""]),
            ("é,\"ü,\"", &["é", "ü,"]),
            ("a,b\0c", &["a", "b\0c"]),
        ];
        for (text, expected) in cases {
            let (found, extent) = cells(text);
            assert_eq!(found, expected, "{text:?}");
            assert_eq!(extent.defect, None, "{text:?}");
        }
    }

    #[test]
    fn a_record_knows_its_lines() {
        assert_eq!(cells("\"a\r\nb\rc\nd\",x\r\ny").1.lines, 4);
        assert_eq!(cells("a,b\ry").1.next, 4);
        assert_eq!(cells("a,b\r\ny").1.next, 5);
        assert_eq!(count_lines(b"a\r\n\r\n\n\r"), 4);
    }

    #[test]
    fn an_unclosed_quote_ends_with_its_own_line() {
        let (found, extent) = cells("1,\"Ada\n2,Bob\n3,Eve\n");
        assert_eq!(found, ["1", "\"Ada"]);
        assert_eq!(extent.defect, Some(Defect::Unclosed { cell: 1, line: 0 }));
        assert_eq!(extent.next, 7);
        // The next cell's opening quote is not taken for its closing one.
        let (found, extent) = cells("1,\"Ada\n2,\"Bob\"\n");
        assert_eq!((found.len(), extent.next), (2, 7));
        // A cell of several lines before it stays whole.
        let (_, extent) = cells("\"a\nb\",\"Ada\n2,Bob\n");
        assert_eq!(extent.defect, Some(Defect::Unclosed { cell: 1, line: 1 }));
        assert_eq!((extent.next, extent.lines), (11, 2));
    }

    #[test]
    fn text_behind_a_closing_quote_is_a_defect_of_its_row() {
        let (found, extent) = cells("\"\\\"Hacksaw\\\" Jim\",1987\n");
        assert_eq!(found, ["\"\\\"Hacksaw\\\" Jim\"", "1987"]);
        assert_eq!(extent.defect, Some(Defect::Stray { cell: 0 }));
    }

    #[test]
    fn a_record_that_goes_on_is_not_cut() {
        let (mut spans, mut extent) = (Vec::new(), Extent::default());
        for text in ["a,b", "a,b\r", "a,\"b", "a,\"b\"", "a,\"b\"\"", "\"a\" ", "\"a\nb"] {
            let split = split(text, b',', Supply::More, &mut spans, &mut extent);
            assert_eq!(split, Split::Unfinished, "{text:?}");
        }
        let split = split("a,b", b',', Supply::Full, &mut spans, &mut extent);
        assert_eq!(split, Split::TooLong);
    }
}
