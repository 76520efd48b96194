//! The rows of an input, one after another, and where they end.
//!
//! Not rows: blank lines; the header once more (exports glued together); lines of nothing but
//! delimiters at the very end, which spreadsheets leave behind. In the midst of the data such a
//! line is a row without an id, and is reported as one. A footer or another table ends the rows;
//! where it is not certain that another table begins, its rows are rejected, so that nobody of
//! them is enrolled and none is lost.
//! Whatever is passed over is counted and said aloud.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use super::{
    InputError, Row,
    counter::RowCounter,
    ending::{self, Ending, RowKind},
    kinds::{Kinds, Taken},
    layout::Layout,
    split::Extent,
    statuses::Statuses,
    swallowed,
    text::{MAX_ROW, Text},
    trap,
};

/// What a whole pass found out.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    gaps: Vec<Gap>,
    padding_from: Option<u64>,
    repeated_headers: Vec<u64>,
    /// Lines that look like another table's header, and whether a blank line stands above.
    other_headers: Vec<(u64, bool)>,
    /// Lines below a blank one that might be such a header: the first one, and how many.
    doubtful: Option<(u64, u64)>,
    /// Titles within the list: the first one's line, and how many.
    titles: Option<(u64, u64)>,
    /// Sums within the list, likewise.
    sums: Option<(u64, u64)>,
    /// Ids that look accidental: the first one's line, and how many.
    accidental: Option<(u64, u64)>,
    counter: RowCounter,
    excluded: Vec<u64>,
    statuses: Statuses,
    rows: u64,
}

/// Lines that are not read as rows.
#[derive(Clone, Copy, Debug)]
struct Gap {
    ending: Ending,
    line: u64,
    /// Where the header comes again and the list goes on.
    until: Option<u64>,
    /// Rows that look like the list's all the same: the first one's line, and how many.
    rows: Option<(u64, u64)>,
    own_header: bool,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ending, line, until, rows, .. } = self;
        match until {
            None => {
                write!(f, "the data ends before line {line}: {ending}; what follows is not read")?;
            }
            Some(until) => write!(
                f,
                "lines {line} to {} are not read: {ending}; the list goes on below line {until}, which repeats the header",
                until - 1
            )?,
        }
        match rows {
            None => Ok(()),
            Some((first, 1)) => {
                write!(f, ", but line {first} has an id and is rejected (other-table)")
            }
            Some((first, count)) => write!(
                f,
                ", but {count} rows there have an id and are rejected (other-table), the first is line {first}"
            ),
        }
    }
}

impl Findings {
    pub(super) fn notes(&self, layout: &Layout) -> Vec<String> {
        let mut notes = Vec::new();
        for (gate, &count) in layout.gates.iter().zip(&self.excluded) {
            if count > 0 {
                let rows = if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
                notes.push(format!("{rows} left out by {}", gate.label));
            }
        }
        notes.extend(self.statuses.note(layout));
        if let Some((line, count)) = self.accidental {
            const WHY: &str = "blanks around, invisible characters, a spreadsheet's `'`, `=\"…\"` or `.0`, a word such as NULL";
            notes.push(if count == 1 {
                format!("the id in line {line} looks accidental ({WHY}): it is taken as it stands")
            } else {
                format!("{count} ids look accidental ({WHY}), the first in line {line}: they are taken as they stand")
            });
        }
        notes.extend(self.counter.note(layout));
        match self.repeated_headers.as_slice() {
            [] => {}
            [line] => notes.push(format!("line {line} repeats the header and is passed over")),
            [line, ..] => notes.push(format!(
                "{} lines repeat the header and are passed over, the first is line {line}",
                self.repeated_headers.len()
            )),
        }
        notes.extend(self.other_headers.iter().map(|&(line, below_blank)| {
            let what = if below_blank {
                "stands below a blank line and looks like the header of another table"
            } else {
                "repeats the header's names in another order"
            };
            format!("line {line} {what}: it and the rows below it are rejected (other-table)")
        }));
        for (found, what) in [(self.titles, "title"), (self.sums, "sum")] {
            let Some((line, count)) = found else { continue };
            let lines = if count == 1 {
                format!(
                    "line {line} looks like a {what} within the list and is rejected (other-table)"
                )
            } else {
                format!(
                    "{count} lines look like {what}s within the list and are rejected (other-table), the first is line {line}"
                )
            };
            notes.push(format!("{lines}; the rows below are read as rows of the list"));
        }
        if let Some((line, count)) = self.doubtful {
            let more = match count - 1 {
                0 => String::new(),
                1 => ", and so does 1 more line".to_owned(),
                more => format!(", and so do {more} more lines"),
            };
            notes.push(format!(
                "line {line} stands below a blank line and might be the header of another table{more}: taken as a row; if it is none, cut the file there"
            ));
        }
        notes.extend(self.gaps.iter().map(Gap::to_string));
        if let Some(line) = self.padding_from {
            notes.push(format!("from line {line} on there are only delimiters: not rows"));
        }
        notes
    }
}

/// A pass over the data rows.
pub struct Rows {
    layout: Arc<Layout>,
    text: Text,
    after_blank: bool,
    /// Whether the delimiters-only lines at hand are known not to be the last ones.
    within_data: bool,
    kinds: Kinds,
    /// The line of the other table's header, within its rows, and whether it has the list's own
    /// names in another order.
    other_table: Option<(u64, bool)>,
    /// The gap that is being passed over, below a footer or another table's title.
    gap: Option<usize>,
    ended: bool,
    findings: Findings,
    /// Filled by the first pass that reaches the end.
    shared: Arc<OnceLock<Findings>>,
}

impl Rows {
    pub(super) fn new(layout: Arc<Layout>, text: Text, shared: Arc<OnceLock<Findings>>) -> Self {
        let excluded = vec![0; layout.gates.len()];
        Self {
            layout,
            text,
            after_blank: false,
            within_data: false,
            kinds: Kinds::default(),
            other_table: None,
            gap: None,
            ended: false,
            findings: Findings { excluded, ..Findings::default() },
            shared,
        }
    }

    pub(super) fn into_text(self) -> Text {
        self.text
    }

    /// Whether there is a row at all; the next one stays the next.
    pub(super) fn is_empty(&mut self) -> Result<bool, InputError> {
        let mark = self.text.mark();
        let empty = !self.read(&mut Row::new())?;
        self.text.reset(mark);
        if !empty {
            self.findings =
                Findings { excluded: vec![0; self.layout.gates.len()], ..Findings::default() };
            (self.after_blank, self.within_data) = (false, false);
            (self.kinds, self.other_table) = (Kinds::default(), None);
            self.gap = None;
        }
        Ok(empty)
    }

    /// What must be said aloud; complete once the last row has been read.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.layout.notes.clone();
        notes.extend(self.findings.notes(&self.layout));
        notes
    }

    /// Reads the next row into `row`, whose buffers are used again; `false` at the end.
    ///
    /// # Errors
    /// When the source cannot be read on, or a row is longer than [`MAX_ROW`].
    pub fn read(&mut self, row: &mut Row) -> Result<bool, InputError> {
        let delimiter = self.layout.header.delimiter.byte();
        let mut extent = Extent::default();
        while !self.ended && self.text.record(delimiter, &mut row.spans, &mut extent)? {
            if extent.lines > 1 && extent.defect.is_none() {
                let text = self.text.slice(extent.next);
                swallowed::reopen(text, &self.layout, &mut row.spans, &mut extent);
            }
            let raw = self.text.slice(extent.length);
            if is_blank(raw, delimiter) {
                self.text.advance(extent.next, extent.lines);
                self.after_blank = true;
                continue;
            }
            if self.layout.is_header_again(raw, &row.spans) {
                let line = self.text.line();
                match self.gap.take() {
                    Some(gap) => self.findings.gaps[gap].until = Some(line),
                    None => self.findings.repeated_headers.push(line),
                }
                (self.other_table, self.after_blank) = (None, false);
                self.text.advance(extent.next, extent.lines);
                continue;
            }
            if let Some(gap) = self.gap {
                if self.take_from_gap(gap, row, &extent) {
                    return Ok(true);
                }
                continue;
            }
            if self.layout.reorders_header(raw, &row.spans) {
                self.findings.other_headers.push((self.text.line(), self.after_blank));
                self.other_table = Some((self.text.line(), true));
            }
            let is_sum = match self.verdict(row, &extent)? {
                Some(RowKind::Row) => false,
                Some(RowKind::Sum) => true,
                Some(RowKind::Ends { ending, own_header }) => {
                    let line = self.text.line();
                    let gap = Gap { ending, line, until: None, rows: None, own_header };
                    self.gap = Some(self.findings.gaps.len());
                    self.findings.gaps.push(gap);
                    self.text.advance(extent.next, extent.lines);
                    continue;
                }
                None => break,
            };
            let raw = self.text.slice(extent.length);
            row.take(&self.layout, raw, &extent, self.text.line());
            let padded = raw.as_bytes().ends_with(&[delimiter, delimiter]);
            if !is_sum && (self.after_blank || padded || self.kinds.wants_more()) {
                self.look_at_kinds(row, padded);
            }
            if is_sum && !row.is_broken() && self.other_table.is_none() {
                self.findings.sums.get_or_insert((row.line(), 0)).1 += 1;
                row.disown(
                    "the row looks like a sum; if it is a person, fill the other cells".to_owned(),
                );
            }
            if let Some((line, reordered)) = self.other_table {
                row.disown(if reordered {
                    format!(
                        "line {line} holds the header's names in another order; bring the cells of the rows below it into the first header's order and delete that line, or give them a file of their own"
                    )
                } else {
                    format!(
                        "line {line} looks like the header of another table; if its rows belong to the list, delete that line or the blank one above it"
                    )
                });
            }
            self.text.advance(extent.next, extent.lines);
            self.after_blank = false;
            self.findings.rows += 1;
            if !row.is_broken() {
                self.findings.counter.look_at(row, &self.layout);
            }
            if let Some(gate) = row.excluded_by() {
                self.findings.excluded[gate] += 1;
            } else if !row.is_broken() {
                if trap::looks_accidental(row.id()) {
                    self.findings.accidental.get_or_insert((row.line(), 0)).1 += 1;
                }
                self.findings.statuses.look_at(row, &self.layout);
            }
            return Ok(true);
        }
        if !self.ended {
            self.ended = true;
            let _ = self.shared.set(self.findings.clone());
        }
        Ok(false)
    }

    /// What the record at hand is taken for; `None`: nothing but delimiters follows.
    fn verdict(&mut self, row: &Row, extent: &Extent) -> Result<Option<RowKind>, InputError> {
        let delimiter = self.layout.header.delimiter.byte();
        if row.spans.iter().all(|span| span.start == span.end) && extent.defect.is_none() {
            if !self.within_data && self.only_padding_follows(delimiter)? {
                self.findings.padding_from = Some(self.text.line());
                return Ok(None);
            }
            self.within_data = true;
            return Ok(Some(RowKind::Row));
        }
        self.within_data = false;
        let raw = self.text.slice(extent.length);
        if extent.defect.is_none()
            && (row.spans.len() != self.layout.width()
                || self.after_blank
                || ending::may_be_title(raw, delimiter))
        {
            let (layout, kinds) = (&self.layout, &self.kinds);
            let spans = &row.spans;
            return ending::at(&mut self.text, layout, extent, spans, kinds, self.after_blank)
                .map(Some);
        }
        Ok(Some(RowKind::Row))
    }

    /// Steps over a record below a footer or a title; what might be a person of the list is a row,
    /// and rejected.
    fn take_from_gap(&mut self, gap: usize, row: &mut Row, extent: &Extent) -> bool {
        let raw = self.text.slice(extent.length);
        row.take(&self.layout, raw, extent, self.text.line());
        self.text.advance(extent.next, extent.lines);
        let gap = &mut self.findings.gaps[gap];
        let cells: Vec<&str> = row.cells().collect();
        if gap.own_header
            || row.is_broken()
            || cells.iter().filter(|cell| !cell.trim().is_empty()).count() < 2
            || !ending::holds_an_id(&cells, &self.layout, &self.kinds)
        {
            return false;
        }
        gap.rows.get_or_insert((row.line(), 0)).1 += 1;
        row.disown(format!(
            "the row stands below line {}, where the list seems to end ({}); if it belongs to the list, delete that line",
            gap.line, gap.ending
        ));
        self.findings.rows += 1;
        true
    }

    /// Whether a row belongs to the list, as far as its cells tell.
    fn look_at_kinds(&mut self, row: &mut Row, padded: bool) {
        if self.layout.detected.rejects
            || row.is_broken()
            || self.other_table == Some((row.line(), true))
        {
            return;
        }
        let (line, cells) = (row.line(), row.cells().collect::<Vec<_>>());
        if padded && self.other_table.is_none() && self.kinds.is_title(&cells) {
            self.findings.titles.get_or_insert((line, 0)).1 += 1;
            row.disown(
                "the row looks like a title within the list; if it is a person, fill the other cells".to_owned(),
            );
            return;
        }
        if self.after_blank {
            match self.kinds.judge(&cells, &self.layout.header.names) {
                Taken::Row => {}
                Taken::Doubtful => {
                    self.findings.doubtful.get_or_insert((line, 0)).1 += 1;
                }
                Taken::Header => {
                    self.findings.other_headers.push((line, true));
                    self.other_table = Some((line, false));
                }
            }
        }
        if self.kinds.wants_more() && self.other_table.is_none() {
            self.kinds.learn(cells.into_iter());
        }
    }

    /// Whether nothing but delimiters, quotes, blanks and line ends follows.
    fn only_padding_follows(&mut self, delimiter: u8) -> Result<bool, InputError> {
        let mut from = 0;
        loop {
            let at_hand = self.text.at_hand().as_bytes();
            let padding = |&b: &u8| b == delimiter || matches!(b, b'"' | b' ' | b'\r' | b'\n');
            if !at_hand[from..].iter().all(padding) || at_hand.len() > MAX_ROW {
                return Ok(false);
            }
            from = at_hand.len();
            if !self.text.fill()? && self.text.has_ended() {
                return Ok(true);
            }
        }
    }
}

/// A line without anything in it, or with the mark by which DOS ended a text; a line of delimiters
/// is not blank.
fn is_blank(raw: &str, delimiter: u8) -> bool {
    raw.bytes().all(|b| b != delimiter && matches!(b, b' ' | b'\t' | b'\x1A'))
}
