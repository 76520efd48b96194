//! The delimiter: as the user names it, as Excel's `sep=` line names it, or as the text shows it.

use std::{fmt, str::FromStr};

use super::{
    InputError,
    split::{Defect, Extent, Span, Split, Supply, split},
};

/// The character between two cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimiter(u8);

impl Delimiter {
    /// The comma, which is taken where a header has one column only.
    pub const COMMA: Self = Self(b',');

    /// What is looked for when nothing is told, the most usual first.
    pub(super) const USUAL: [Self; 4] = [Self(b','), Self(b';'), Self(b'\t'), Self(b'|')];

    /// The delimiter as a byte of the decoded text.
    #[must_use]
    pub fn byte(self) -> u8 {
        self.0
    }

    /// The delimiter as a character.
    #[must_use]
    pub fn char(self) -> char {
        char::from(self.0)
    }

    fn new(byte: u8) -> Option<Self> {
        let usable = byte == b'\t' || byte == b' ' || byte.is_ascii_punctuation();
        (usable && byte != b'"').then_some(Self(byte))
    }
}

impl fmt::Display for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            b'\t' => f.write_str("tab"),
            b' ' => f.write_str("space"),
            byte => write!(f, "`{}`", char::from(byte)),
        }
    }
}

impl serde::Serialize for Delimiter {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_char(self.char())
    }
}

/// A text that names no delimiter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no delimiter; write one character such as `,` `;` `|`, or `tab`")]
pub struct UnknownDelimiter(pub String);

impl FromStr for Delimiter {
    type Err = UnknownDelimiter;

    fn from_str(text: &str) -> Result<Self, UnknownDelimiter> {
        let byte = match text.to_ascii_lowercase().as_str() {
            "tab" | "\\t" => b'\t',
            "comma" => b',',
            "semicolon" => b';',
            "pipe" => b'|',
            "space" => b' ',
            _ => match text.as_bytes() {
                [byte] => *byte,
                _ => return Err(UnknownDelimiter(text.to_owned())),
            },
        };
        Self::new(byte).ok_or_else(|| UnknownDelimiter(text.to_owned()))
    }
}

/// Excel's own first line, `sep=;`: the delimiter that it names.
pub(super) fn separator_line(line: &str) -> Option<Delimiter> {
    let line = line.trim_end_matches(['\r', '\n']).trim_matches('"');
    match line.as_bytes() {
        [s, e, p, b'=', byte] if [*s, *e, *p].eq_ignore_ascii_case(b"sep") => Delimiter::new(*byte),
        _ => None,
    }
}

/// One record of a file's head, taken apart to be looked at.
#[derive(Clone, Debug)]
pub(super) struct HeadRecord {
    /// Where it begins and ends in the head, without its line end.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Where the next one begins, and the line ends between.
    pub(super) next: usize,
    /// Its first physical line and the line of the next record.
    pub(super) line: u64,
    pub(super) next_line: u64,
    pub(super) cells: Vec<String>,
    pub(super) defect: Option<Defect>,
}

impl HeadRecord {
    pub(super) fn is_blank(&self) -> bool {
        self.cells.iter().all(|cell| cell.trim().is_empty())
    }
}

/// How many records of a file's head are looked at for header and delimiter: preambles have a
/// handful of lines, tables above the one that is wanted (a webinar's hosts and panelists) some
/// dozens of rows.
const HEAD_RECORDS: usize = 250;

/// Takes a head apart. A record that may go on behind the head is left out.
pub(super) fn head_records(
    head: &str,
    first_line: u64,
    delimiter: Delimiter,
    complete: bool,
) -> Vec<HeadRecord> {
    let supply = if complete { Supply::End } else { Supply::More };
    let mut records = Vec::new();
    let mut spans = Vec::new();
    let (mut start, mut line) = (0, first_line);
    while start < head.len() && records.len() < HEAD_RECORDS {
        let mut extent = Extent::default();
        let rest = &head[start..];
        if split(rest, delimiter.byte(), supply, &mut spans, &mut extent) != Split::Record {
            break;
        }
        let Extent { length, next, lines, defect, .. } = extent;
        let text = &head[start..start + length];
        records.push(HeadRecord {
            start,
            end: start + length,
            next: start + next,
            line,
            next_line: line + lines,
            cells: spans.iter().map(|span| unquote(text, span)).collect(),
            defect,
        });
        start += next;
        line += lines;
    }
    records
}

pub(super) fn unquote(text: &str, span: &Span) -> String {
    let cell = &text[span.start as usize..span.end as usize];
    if span.doubled { cell.replace("\"\"", "\"") } else { cell.to_owned() }
}

/// Splits what a user typed, `Company,"Last, First"`, into its parts.
pub(super) fn list(text: &str) -> Vec<String> {
    let (mut spans, mut extent) = (Vec::new(), Extent::default());
    match split(text, b',', Supply::End, &mut spans, &mut extent) {
        Split::Record if extent.next == text.len() && extent.defect.is_none() => {
            spans.iter().map(|span| unquote(text, span)).collect()
        }
        _ => vec![text.to_owned()],
    }
}

/// How a head's lines end, for files that follow the input's own manner.
pub(super) fn line_ending(head: &str) -> &'static str {
    match memchr::memchr2(b'\n', b'\r', head.as_bytes()) {
        Some(at) if head[at..].starts_with("\r\n") => "\r\n",
        Some(at) if head[at..].starts_with('\r') => "\r",
        _ => "\n",
    }
}

/// Steps over `skip` physical lines: where the text goes on, if it does.
pub(super) fn skip_lines(head: &str, skip: u64, name: &str) -> Result<usize, InputError> {
    let bytes = head.as_bytes();
    let mut at = 0;
    for _ in 0..skip {
        match memchr::memchr2(b'\n', b'\r', &bytes[at..]) {
            Some(length) => {
                at += length;
                at += if bytes[at..].starts_with(b"\r\n") { 2 } else { 1 };
            }
            None => {
                return Err(InputError::NoHeader { name: name.to_owned(), skipped: Some(skip) });
            }
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delimiter_is_a_character_or_a_word() {
        for (text, byte) in [(",", b','), (";", b';'), ("tab", b'\t'), ("\\t", b'\t'), ("|", b'|')]
        {
            assert_eq!(text.parse::<Delimiter>().expect(text).byte(), byte);
        }
        for text in ["", "\"", "\n", "a", "ab", "é"] {
            assert!(text.parse::<Delimiter>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn excels_own_line_is_known() {
        assert_eq!(separator_line("sep=;\r\n"), Some(Delimiter(b';')));
        assert_eq!(separator_line("SEP=\t\n"), Some(Delimiter(b'\t')));
        assert_eq!(separator_line("\"sep=|\""), Some(Delimiter(b'|')));
        assert_eq!(separator_line("separator"), None);
        assert_eq!(separator_line("sep="), None);
    }

    #[test]
    fn a_typed_list_may_quote() {
        assert_eq!(list("a,\"b, c\",d"), ["a", "b, c", "d"]);
        assert_eq!(list("a"), ["a"]);
    }
}
