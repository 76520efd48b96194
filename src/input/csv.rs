//! Records: what the `csv` crate reads, and what it cannot tell.
//!
//! `csv_core`, the reader inside `csv`, finds the cells of each record and where it ends; LF, CRLF
//! and CR end one, also mixed in one file. `csv::Reader` itself would not do: it keeps neither a row's
//! own text, which a rejects file gives back, nor its physical line where lines end in CR, and it
//! cannot go back behind a quote that is never closed.
//!
//! `csv` takes whatever stands there for something. So a record with a quote in it, and no other, is
//! walked through once more for what could only be guessed: a quote that is never closed, one that
//! swallowed rows, text behind a closing quote. Each is a [`Defect`] of that record alone; where a
//! quote is to blame, the record ends with the line in which it opens. Blanks between a closing quote
//! and the delimiter are taken off the cell. On a million rows of eight cells, in memory, this runs at
//! 0.82 to 0.86 of a bare `csv::ByteRecord` loop where one row in eight has quotes, and at 0.46 to
//! 0.65 where every row has (`cargo bench --bench check` measures the whole of `check` so).

use std::{
    fmt::{self, Write as _},
    str::FromStr,
};

use csv_core::ReadRecordResult;
use memchr::{memchr, memchr_iter, memchr2, memchr2_iter};

use super::{
    InputError,
    source::{Decoder, Trouble},
};

/// What stands for LF and CR within a cell of a spreadsheet: noncharacters, which no text has.
pub(super) const BREAKS: [(char, char); 2] = [('\u{fdd0}', '\n'), ('\u{fdd1}', '\r')];
/// Stands before a cell that is no text and whose value cannot be taken for an id.
pub(super) const NO_ID: char = '\u{fdd2}';

/// The longest record: far above any real row, and small enough that a file without a single line
/// end (or with a quote that is never closed) is reported instead of filling the memory.
pub const MAX_ROW: usize = 16 * 1024 * 1024;

const QUOTE: u8 = b'"';
/// Between files that were joined; `csv` takes it for no part of a record's first cell.
const BOM: char = '\u{feff}';

/// The character between two cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimiter(u8);

impl Delimiter {
    /// The comma, which is taken where a header has one column only.
    pub const COMMA: Self = Self(b',');

    /// Between the cells of a spreadsheet's row, whose text [`super::sheet`] makes: the unit separator,
    /// which XML has in no text. Never a user's, nor a file's.
    pub(super) const SHEET: Self = Self(0x1F);

    /// What is tried where nothing is told, the most usual first.
    pub(super) const USUAL: [Self; 4] = [Self(b','), Self(b';'), Self(b'\t'), Self(b'|')];

    /// The delimiter as a byte of the decoded text.
    pub fn byte(self) -> u8 {
        self.0
    }

    /// The delimiter as a character.
    pub fn char(self) -> char {
        char::from(self.0)
    }

    fn new(byte: u8) -> Option<Self> {
        let usable = byte == b'\t' || byte == b' ' || byte.is_ascii_punctuation();
        (usable && byte != QUOTE).then_some(Self(byte))
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
            "tab" | "\\t" => Some(b'\t'),
            "comma" => Some(b','),
            "semicolon" => Some(b';'),
            "pipe" => Some(b'|'),
            "space" => Some(b' '),
            _ => Some(text.as_bytes()).filter(|bytes| bytes.len() == 1).map(|bytes| bytes[0]),
        };
        byte.and_then(Self::new).ok_or_else(|| UnknownDelimiter(text.to_owned()))
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

/// The cells of one record, without their quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Cells {
    text: String,
    ends: Vec<usize>,
    /// The cells of a spreadsheet that are no text and no id.
    no_ids: Vec<usize>,
}

impl Cells {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    fn start(&self, cell: usize) -> usize {
        cell.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    pub(super) fn get(&self, cell: usize) -> Option<&str> {
        let end = *self.ends.get(cell)?;
        Some(&self.text[self.start(cell)..end])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        (0..self.len()).filter_map(|cell| self.get(cell))
    }

    /// All cells, one behind the other.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Several cells in a row, one behind the other.
    pub(super) fn span(&self, first: usize, last: usize) -> Option<&str> {
        let end = *self.ends.get(last)?;
        Some(&self.text[self.start(first)..end])
    }

    pub(super) fn truncate(&mut self, cells: usize) {
        self.ends.truncate(cells);
        self.text.truncate(self.start(self.len()));
        self.no_ids.retain(|&cell| cell < cells);
    }

    /// Whether a cell of a spreadsheet is a number or a date that cannot be an id.
    pub(super) fn is_no_id(&self, cell: usize) -> bool {
        self.no_ids.contains(&cell)
    }

    /// Adds empty cells up to so many: a sheet's rows have as many as are filled.
    pub(super) fn pad(&mut self, cells: usize) {
        let end = self.text.len();
        self.ends.resize(self.ends.len().max(cells), end);
    }

    /// Gives a sheet's cells back what stands for it in the text.
    fn restore(&mut self) {
        let stands_for = |c: char| matches!(c, '\u{fdd0}'..='\u{fdd2}');
        if !self.text.contains(stands_for) {
            return;
        }
        let mut own = Self::default();
        for (place, cell) in self.iter().enumerate() {
            let text = cell.strip_prefix(NO_ID);
            own.no_ids.extend(text.map(|_| place));
            let [line_feed, carriage_return] = BREAKS;
            let text = text.unwrap_or(cell).replace(line_feed.0, "\n");
            own.push(&text.replace(carriage_return.0, "\r"));
        }
        *self = own;
    }

    fn push(&mut self, cell: &str) {
        self.text.push_str(cell);
        self.ends.push(self.text.len());
    }

    #[cfg(test)]
    pub(super) fn of(cells: &[&str]) -> Self {
        let mut own = Self::default();
        for cell in cells {
            own.push(cell);
        }
        own
    }

    /// Takes bytes off the ends of some cells, each a place and how many, in one pass.
    fn shorten(&mut self, cells: &[(usize, usize)]) {
        let mut short = Self::default();
        let mut by = cells.iter().copied().peekable();
        for (place, cell) in self.iter().enumerate() {
            let by = by.next_if(|&(at, _)| at == place).map_or(0, |(_, by)| by);
            short.push(&cell[..cell.len() - by]);
        }
        *self = short;
    }
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

/// The extent of one record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Bytes of the record without its line end.
    pub(super) length: usize,
    /// Bytes up to the next record.
    pub(super) next: usize,
    /// Physical lines from this record to the next.
    pub(super) lines: u64,
    pub(super) defect: Option<Defect>,
}

/// What stands behind the text that is at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Supply {
    /// More text may follow.
    More,
    /// The text ends here.
    End,
    /// More text follows, but a record may not be longer than what is at hand.
    Full,
}

/// Whether a record could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Record,
    /// It does not end in the text at hand.
    Unfinished,
    /// It is longer than a record may be.
    TooLong,
}

/// Reads records, one at a time, from the head of a text.
pub(super) struct Splitter {
    reader: csv_core::Reader,
    delimiter: u8,
    output: Vec<u8>,
    ends: Vec<usize>,
}

impl Splitter {
    pub(super) fn new(delimiter: Delimiter) -> Self {
        let reader = csv_core::ReaderBuilder::new().delimiter(delimiter.byte()).build();
        Self { reader, delimiter: delimiter.byte(), output: vec![0; 1024], ends: vec![0; 32] }
    }

    /// The only record of a text; `None` if it holds more than one, or none that can be read.
    pub(super) fn only(&mut self, text: &str, cells: &mut Cells) -> Option<()> {
        let extent = self.read_whole(text, cells);
        (extent.next == text.len() && extent.defect.is_none()).then_some(())
    }

    /// The first record of a text behind which nothing stands.
    pub(super) fn read_whole(&mut self, text: &str, cells: &mut Cells) -> Extent {
        let mut extent = Extent::default();
        self.read(text, Supply::End, cells, &mut extent);
        extent
    }

    fn read(
        &mut self,
        text: &str,
        supply: Supply,
        cells: &mut Cells,
        extent: &mut Extent,
    ) -> Progress {
        let bytes = text.as_bytes();
        cells.truncate(0);
        *extent = Extent::default();
        // `csv` passes over blank lines, which count here.
        let start = if text.starts_with(BOM) { BOM.len_utf8() } else { 0 };
        let end = if let Some(b'\n' | b'\r') = bytes.get(start) {
            Some(start)
        } else {
            self.read_filled(bytes, supply, cells)
        };
        if cells.len() == 0 {
            cells.push("");
        }
        let Some(end) = end.or_else(|| (supply == Supply::End).then_some(bytes.len())) else {
            // A quote that is not closed within the longest record is never closed.
            if supply == Supply::Full && memchr(QUOTE, bytes).is_some() {
                self.examine(text, bytes.len(), cells, extent);
            }
            return match (extent.defect, supply) {
                (Some(Defect::Unclosed { .. }), _) => Progress::Record,
                (_, Supply::Full) => Progress::TooLong,
                _ => Progress::Unfinished,
            };
        };
        // The CR may be the first half of a CRLF.
        if supply == Supply::More && bytes[end..] == *b"\r" {
            return Progress::Unfinished;
        }
        if memchr(QUOTE, &bytes[..end]).is_some() {
            self.examine(text, end, cells, extent);
        } else {
            extent.end_at(bytes, end, 0);
        }
        if self.delimiter == Delimiter::SHEET.0 {
            cells.restore();
        }
        Progress::Record
    }

    /// Has `csv` read a record that is no blank line: where its text ends, if its end is at hand.
    fn read_filled(&mut self, bytes: &[u8], supply: Supply, cells: &mut Cells) -> Option<usize> {
        self.reader.reset();
        let (mut read, mut written, mut found) = (0, 0, 0);
        let end = loop {
            let (result, nin, nout, nend) = self.reader.read_record(
                &bytes[read..],
                &mut self.output[written..],
                &mut self.ends[found..],
            );
            (read, written, found) = (read + nin, written + nout, found + nend);
            match result {
                ReadRecordResult::Record => break Some(read.saturating_sub(usize::from(nin > 0))),
                ReadRecordResult::OutputFull => self.output.resize(self.output.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                // Asked once more with nothing, it ends the record.
                ReadRecordResult::InputEmpty if supply == Supply::End => {}
                ReadRecordResult::InputEmpty | ReadRecordResult::End => break None,
            }
        };
        let text = str::from_utf8(&self.output[..written]);
        cells.text.push_str(text.expect("text without ASCII delimiters and quotes is text"));
        cells.ends.extend_from_slice(&self.ends[..found]);
        end
    }

    /// Walks through a record with quotes in it, of which `csv` says that it ends at `end`.
    fn examine(&self, text: &str, end: usize, cells: &mut Cells, extent: &mut Extent) {
        let record = &text.as_bytes()[..end];
        let (mut stray, mut blank) = (None, Vec::new());
        for quoted in Quoted::of(record, self.delimiter) {
            let Quoted { cell, open, close, blanks, .. } = quoted;
            // Over a line's end a "closing" quote with text behind is the opening one of a later
            // cell: the quote before it was never closed.
            let closed = close.filter(|&close| {
                !quoted.stray || memchr2(b'\n', b'\r', &record[open..close]).is_none()
            });
            if closed.is_none() {
                let line = count_lines(&record[..open]);
                Self::end_early(text, &quoted, Defect::Unclosed { cell, line }, cells, extent);
                return;
            }
            if quoted.stray {
                stray = stray.or(Some(Defect::Stray { cell }));
            } else if blanks > 0 {
                blank.push((cell, blanks));
            }
        }
        if !blank.is_empty() {
            cells.shorten(&blank);
        }
        extent.end_at(text.as_bytes(), end, count_lines(record));
        extent.defect = stray;
    }

    /// Ends the record with the line in which this cell's quote opens: what was taken for the cell's
    /// other lines are records of their own.
    fn end_early(
        text: &str,
        quoted: &Quoted<'_>,
        defect: Defect,
        cells: &mut Cells,
        extent: &mut Extent,
    ) {
        let (bytes, open) = (text.as_bytes(), quoted.open);
        let end = memchr2(b'\n', b'\r', &bytes[open..]).map_or(bytes.len(), |length| open + length);
        cells.truncate(quoted.cell);
        cells.push(&text[open..end]);
        extent.end_at(bytes, end, count_lines(&bytes[..open]));
        extent.defect = Some(defect);
    }

    /// Ends a record with the line of a quote that swallowed rows: `1,"near door,Rome` opens a cell
    /// that ends at the next quote, hundreds of people further on, and if a delimiter follows there,
    /// all of it is well-formed and one row. What gives it away is that the lines within the cell are
    /// rows of a list as wide as this and with its id columns. A cell of an address or a note has
    /// such a line by accident only, and not one after another.
    pub(super) fn give_back_rows(
        &mut self,
        text: &str,
        (width, id): (usize, &[usize]),
        cells: &mut Cells,
        extent: &mut Extent,
    ) {
        /// Lines within a cell from which their width alone decides. Of fewer lines the first and the
        /// last must have it as well, and each must begin a row that has a number in its id.
        const ENOUGH: usize = 2;
        /// Of ten lines within the cell so many must be rows: one of the people may be broken too.
        const OF_TEN: usize = 9;
        if extent.lines < 2 || extent.defect.is_some() || width < 2 || id.is_empty() {
            return;
        }
        let record = &text[..extent.length];
        for quoted in Quoted::of(record.as_bytes(), self.delimiter) {
            let Some(close) = quoted.close else { return };
            let lines = lines(&record[quoted.open + 1..close]);
            let [_, within @ .., last] = lines.as_slice() else { continue };
            let mut is_row = |line: &str, numbered| self.is_row(line, width, id, numbered);
            let filled: Vec<&str> =
                within.iter().copied().filter(|line| !line.trim().is_empty()).collect();
            let rows = filled.iter().filter(|line| is_row(line, false)).count();
            let swallowed = if rows < ENOUGH {
                let head = &record[..quoted.open];
                let head = &head[head.rfind(['\n', '\r']).map_or(0, |end| end + 1)..];
                let first = &record[quoted.open..quoted.open + 1 + lines[0].len()];
                let delimiters = head.bytes().chain(first.bytes()).filter(|&b| b == self.delimiter);
                let as_wide = delimiters.count() + 1 == width;
                let tail = record[close - last.len()..].lines().next().unwrap_or_default();
                rows == filled.len()
                    && width > 2
                    && as_wide
                    && filled.iter().all(|line| self.is_row(line, width, id, true))
                    && self.is_row(tail, width, id, true)
            } else {
                rows * 10 >= filled.len() * OF_TEN
            };
            if swallowed {
                let line = count_lines(&record.as_bytes()[..quoted.open]);
                let behind = lines.len() as u64 - 1;
                let defect = Defect::Swallowed { cell: quoted.cell, line, behind };
                Self::end_early(text, &quoted, defect, cells, extent);
                return;
            }
        }
    }

    /// Whether a line is a row of the list. A comma before a blank is a sentence's.
    fn is_row(&mut self, line: &str, width: usize, id: &[usize], numbered: bool) -> bool {
        let mut cells = Cells::default();
        self.only(line, &mut cells).is_some()
            && cells.len() == width
            && cells.iter().skip(1).all(|cell| !cell.starts_with(' '))
            && id.iter().filter_map(|&id| cells.get(id)).all(|id| {
                !id.trim().is_empty()
                    && (!numbered || id.contains(|c: char| c.is_numeric() || c == '@'))
            })
    }
}

impl Extent {
    /// Ends the record here, behind this many line ends, and steps over its own.
    fn end_at(&mut self, bytes: &[u8], end: usize, lines: u64) {
        self.length = end;
        self.next = match &bytes[end..] {
            [b'\r', b'\n', ..] => end + 2,
            [_, ..] => end + 1,
            [] => end,
        };
        self.lines = lines + u64::from(self.next > end);
    }
}

/// The quoted cells of a record, one after another.
#[derive(Clone)]
struct Quoted<'a> {
    record: &'a [u8],
    delimiter: u8,
    /// Where the next cell begins.
    at: Option<usize>,
    cell: usize,
    /// Where its quotes stand.
    open: usize,
    close: Option<usize>,
    /// How many blanks stand behind the closing quote, and whether more than blanks does.
    blanks: usize,
    stray: bool,
}

impl<'a> Quoted<'a> {
    fn of(record: &'a [u8], delimiter: u8) -> Self {
        let (at, close) = (Some(0), None);
        Self { record, delimiter, at, cell: usize::MAX, open: 0, close, blanks: 0, stray: false }
    }
}

impl Iterator for Quoted<'_> {
    type Item = Self;

    fn next(&mut self) -> Option<Self> {
        loop {
            let at = self.at?;
            self.cell = self.cell.wrapping_add(1);
            let quoted = self.record.get(at) == Some(&QUOTE);
            let mut from = at;
            if quoted {
                (self.open, self.close) = (at, closing_quote(self.record, at + 1));
                from = self.close.map_or(self.record.len(), |close| close + 1);
                let behind = &self.record[from..];
                let blank = |&&byte: &&u8| byte == b' ' && self.delimiter != b' ';
                self.blanks = behind.iter().take_while(blank).count();
                self.stray = behind.get(self.blanks).is_some_and(|&byte| byte != self.delimiter);
            }
            self.at = memchr(self.delimiter, &self.record[from..]).map(|length| from + length + 1);
            if quoted {
                return Some(self.clone());
            }
        }
    }
}

/// The closing quote of a cell whose text begins at `from`; doubled ones stand for one of its text.
fn closing_quote(bytes: &[u8], mut from: usize) -> Option<usize> {
    loop {
        let quote = from + memchr(QUOTE, bytes.get(from..)?)?;
        if bytes.get(quote + 1) != Some(&QUOTE) {
            return Some(quote);
        }
        from = quote + 2;
    }
}

/// Where the text before the last `count` cells of a record ends, read from the back: so it is found
/// in a record whose quotes are broken, too.
pub(super) fn before_last_cells(text: &str, delimiter: Delimiter, count: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut end = bytes.len();
    for _ in 0..count {
        let mut start = end;
        if start > 0 && bytes[start - 1] == QUOTE {
            // Back to the opening quote: the first one that is not half of a doubled one.
            start -= 1;
            loop {
                start = memchr::memrchr(QUOTE, &bytes[..start])?;
                if start > 0 && bytes[start - 1] == QUOTE {
                    start -= 1;
                } else {
                    break;
                }
            }
        }
        end = memchr::memrchr(delimiter.byte(), &bytes[..start])?;
    }
    Some(end)
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

/// Steps over `skip` physical lines: where the text goes on, if it does.
pub(super) fn after_lines(text: &str, skip: u64) -> Option<usize> {
    let (bytes, mut at) = (text.as_bytes(), 0);
    for _ in 0..skip {
        at += memchr2(b'\n', b'\r', &bytes[at..])?;
        at += if bytes[at..].starts_with(b"\r\n") { 2 } else { 1 };
    }
    Some(at)
}

/// How the first line of a text ends, for files that follow the input's own manner.
pub(super) fn line_ending(text: &str) -> &'static str {
    match memchr2(b'\n', b'\r', text.as_bytes()) {
        Some(at) if text[at..].starts_with("\r\n") => "\r\n",
        Some(at) if text[at..].starts_with('\r') => "\r",
        _ => "\n",
    }
}

/// Some cells as one line of a CSV with commas.
pub(super) fn line_of<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for (place, cell) in cells.enumerate() {
        line.extend((place > 0).then_some(','));
        if cell.contains([',', '"', '\n', '\r', BOM]) {
            let _ = write!(line, "\"{}\"", cell.replace('"', "\"\""));
        } else {
            line.push_str(cell);
        }
    }
    line
}

/// Splits what a user typed, `Company,"Last, First"`, into its parts.
pub(super) fn list(text: &str) -> Vec<String> {
    let mut cells = Cells::default();
    match Splitter::new(Delimiter::COMMA).only(text, &mut cells) {
        Some(()) => cells.iter().map(str::to_owned).collect(),
        None => vec![text.to_owned()],
    }
}

/// One record of a text that is read ahead.
pub(super) struct RecordAhead {
    /// Where it begins and ends in the text, without its line end.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Where the next one begins.
    pub(super) next: usize,
    /// Its first physical line and the line of the next record.
    pub(super) line: u64,
    pub(super) next_line: u64,
    pub(super) cells: Cells,
    pub(super) defect: Option<Defect>,
}

impl RecordAhead {
    pub(super) fn is_blank(&self) -> bool {
        self.cells.text().trim().is_empty()
    }
}

/// The records of a text whose first line is `line`. One that may go on behind the text is left out
/// unless the text is `complete`.
pub(super) fn records_of(
    text: &str,
    mut line: u64,
    delimiter: Delimiter,
    complete: bool,
) -> impl Iterator<Item = RecordAhead> + '_ {
    let supply = if complete { Supply::End } else { Supply::More };
    let (mut splitter, mut start) = (Splitter::new(delimiter), 0);
    std::iter::from_fn(move || {
        let (mut cells, mut extent) = (Cells::default(), Extent::default());
        let rest = &text[start..];
        if rest.is_empty()
            || splitter.read(rest, supply, &mut cells, &mut extent) != Progress::Record
        {
            return None;
        }
        let Extent { length, next, lines, defect } = extent;
        let next_line = line + lines;
        let (end, next) = (start + length, start + next);
        let record = RecordAhead { start, end, next, line, next_line, cells, defect };
        (start, line) = (next, next_line);
        Some(record)
    })
}

/// A window on a source's text that moves forward record by record and knows the physical line.
pub(super) struct Text {
    /// What errors call the source.
    name: String,
    decoder: Decoder,
    buffer: String,
    /// Where the next record begins in `buffer`.
    at: usize,
    /// The physical line of that place in the original file, counted from 1.
    line: u64,
    ended: bool,
}

impl Text {
    pub(super) fn new(name: String, decoder: Decoder, line: u64) -> Self {
        Self { name, decoder, buffer: String::new(), at: 0, line, ended: false }
    }

    pub(super) fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// What is at hand from the next record on.
    pub(super) fn at_hand(&self) -> &str {
        &self.buffer[self.at..]
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Takes in more text, as much again as is at hand, so that a long record is not read over and
    /// over; `false` if there is none.
    pub(super) fn fill(&mut self) -> Result<bool, InputError> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let before = self.buffer.len();
        while !self.ended && self.buffer.len() < (before * 2).max(1) {
            match self.decoder.read(&mut self.buffer) {
                Ok(more) => self.ended = !more,
                Err(trouble) => {
                    let line = self.line + count_lines(self.buffer.as_bytes());
                    return Err(self.explain(trouble, line));
                }
            }
        }
        Ok(self.buffer.len() > before)
    }

    /// Takes in text until so much is at hand, or the source ends.
    pub(super) fn fill_to(&mut self, bytes: usize) -> Result<(), InputError> {
        while self.at_hand().len() < bytes && self.fill()? {}
        Ok(())
    }

    /// Reads the next record, which stays the next one until [`Self::advance`]; `false` at the end.
    pub(super) fn record(
        &mut self,
        splitter: &mut Splitter,
        cells: &mut Cells,
        extent: &mut Extent,
    ) -> Result<bool, InputError> {
        loop {
            let text = self.at_hand();
            if text.is_empty() && self.ended {
                return Ok(false);
            }
            let supply = match (self.ended, text.len() > MAX_ROW) {
                (true, false) => Supply::End,
                (false, false) => Supply::More,
                (_, true) => Supply::Full,
            };
            let text = if supply == Supply::Full { &text[..cut(text, MAX_ROW)] } else { text };
            match splitter.read(text, supply, cells, extent) {
                Progress::Record => return Ok(true),
                Progress::Unfinished => {
                    self.fill()?;
                }
                Progress::TooLong => {
                    return Err(InputError::RowTooLong {
                        name: self.name.clone(),
                        line: self.line,
                        megabytes: MAX_ROW / (1024 * 1024),
                    });
                }
            }
        }
    }

    /// Steps over bytes that hold this many line ends.
    pub(super) fn advance(&mut self, bytes: usize, lines: u64) {
        self.at += bytes;
        self.line += lines;
    }

    /// Hands the rest to `sink`, piece by piece.
    pub(super) fn drain(
        mut self,
        mut sink: impl FnMut(&str) -> Result<(), InputError>,
    ) -> Result<(), InputError> {
        loop {
            let piece = &self.buffer[self.at..];
            sink(piece)?;
            self.line += count_lines(piece.as_bytes());
            self.at = self.buffer.len();
            if !self.fill()? && self.ended {
                return Ok(());
            }
        }
    }

    pub(super) fn explain(&self, trouble: Trouble, line: u64) -> InputError {
        trouble.explained(&self.name, self.decoder.encoding, self.decoder.gzip, line)
    }
}

/// The last character boundary at or before `at`.
fn cut(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&place| text.is_char_boundary(place)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, Extent) {
        let (mut cells, mut extent) = (Cells::default(), Extent::default());
        let mut splitter = Splitter::new(Delimiter::COMMA);
        let progress = splitter.read(text, Supply::End, &mut cells, &mut extent);
        assert_eq!(progress, Progress::Record, "{text:?}");
        (cells.iter().map(str::to_owned).collect(), extent)
    }

    #[test]
    fn cells_are_told_apart() {
        let cases: [(&str, &[&str]); 14] = [
            ("a,b\n", &["a", "b"]),
            ("a,b", &["a", "b"]),
            ("a,\r\n", &["a", ""]),
            (",\r", &["", ""]),
            ("\n", &[""]),
            ("\"a,b\",c\n", &["a,b", "c"]),
            ("\"a\nb\",c\n", &["a\nb", "c"]),
            ("\"a\"\"b\",c", &["a\"b", "c"]),
            ("a \"b\" c,d\n", &["a \"b\" c", "d"]),
            ("\"a\"  ,b\n", &["a", "b"]),
            ("x,\"a\" ,\"b \"  \n", &["x", "a", "b "]),
            ("\"\",\"\"", &["", ""]),
            ("é,\"ü,\"", &["é", "ü,"]),
            ("a,b\0c", &["a", "b\0c"]),
        ];
        for (text, expected) in cases {
            let (found, extent) = read(text);
            assert_eq!(found, expected, "{text:?}");
            assert_eq!(extent.defect, None, "{text:?}");
        }
        let wide = vec!["x".repeat(90); 90];
        assert_eq!(read(&wide.join(",")).0, wide);
    }

    #[test]
    fn a_record_knows_its_lines() {
        assert_eq!(read("\"a\r\nb\rc\nd\",x\r\ny").1.lines, 4);
        assert_eq!(read("a,b\ry").1.next, 4);
        assert_eq!(read("a,b\r\ny").1.next, 5);
        assert_eq!(read("\r\ny").1.next, 2);
        assert_eq!(count_lines(b"a\r\n\r\n\n\r"), 4);
        assert_eq!(lines("a\r\nb\rc\nd\r"), ["a", "b", "c", "d", ""]);
        assert_eq!(lines("\r"), ["", ""]);
    }

    #[test]
    fn an_unclosed_quote_ends_with_its_own_line() {
        let (found, extent) = read("1,\"Ada\n2,Bob\n3,Eve\n");
        assert_eq!(found, ["1", "\"Ada"]);
        assert_eq!(extent.defect, Some(Defect::Unclosed { cell: 1, line: 0 }));
        assert_eq!(extent.next, 7);
        // The next cell's opening quote is not taken for its closing one.
        let (found, extent) = read("1,\"Ada\n2,\"Bob\"\n");
        assert_eq!((found.len(), extent.next), (2, 7));
        // A cell of several lines before it stays whole.
        let (_, extent) = read("\"a\nb\",\"Ada\n2,Bob\n");
        assert_eq!(extent.defect, Some(Defect::Unclosed { cell: 1, line: 1 }));
        assert_eq!((extent.next, extent.lines), (11, 2));
    }

    #[test]
    fn text_behind_a_closing_quote_is_a_defect_of_its_row() {
        let (found, extent) = read("\"\\\"Hacksaw\\\" Jim\",1987\n");
        assert_eq!(found.len(), 2);
        assert_eq!(extent.defect, Some(Defect::Stray { cell: 0 }));
    }

    #[test]
    fn a_record_that_goes_on_is_not_cut() {
        let (mut cells, mut extent) = (Cells::default(), Extent::default());
        let mut splitter = Splitter::new(Delimiter::COMMA);
        for text in ["a,b", "a,b\r", "\r", "a,\"b", "a,\"b\"", "a,\"b\"\"", "\"a\" ", "\"a\nb"] {
            let progress = splitter.read(text, Supply::More, &mut cells, &mut extent);
            assert_eq!(progress, Progress::Unfinished, "{text:?}");
        }
        for (text, expected) in
            [("a,b", Progress::TooLong), ("\"a\"b", Progress::TooLong), ("\"a", Progress::Record)]
        {
            let progress = splitter.read(text, Supply::Full, &mut cells, &mut extent);
            assert_eq!(progress, expected, "{text:?}");
        }
    }

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
