//! The rows of an input, one after another.
//!
//! Not rows: blank lines; the header once more, right between rows (exports that were joined); lines
//! of nothing but delimiters at the very end, which spreadsheets leave behind. In the midst of the
//! data such a line is a row without an id, and is reported as one. Where the list ends before the
//! file does, [`sections`](super::sections) says. Whatever is passed over is counted and told.

use std::sync::{Arc, OnceLock};

use super::{
    InputError, Row,
    csv::{Cells, Delimiter, Extent, MAX_ROW, Splitter, Text},
    filter::UnknownStatuses,
    layout::Layout,
    sections::{Ending, RowKind, Sections, filled, reads_like_row},
    trap,
};

/// Some lines: the first one, and how many.
type Lines = Option<(u64, u64)>;

fn add(lines: &mut Lines, line: u64) {
    lines.get_or_insert((line, 0)).1 += 1;
}

/// What a pass over the rows found out.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    /// Where the list ends, and the rows below.
    end: Option<(Ending, u64)>,
    below_end: Lines,
    padding_from: Option<u64>,
    repeated_headers: Lines,
    /// Lines below a blank one that might be another table's header.
    doubtful: Lines,
    /// Titles and sums within the list.
    titles: Lines,
    sums: Lines,
    /// Ids that look accidental.
    accidental: Lines,
    counter: RowCounter,
    /// By filter.
    excluded: Vec<u64>,
    statuses: UnknownStatuses,
}

impl Findings {
    /// Whether nothing speaks of another table.
    pub(super) fn is_one_table(&self) -> bool {
        let ends_well = self.end.is_none_or(|(ending, _)| ending == Ending::Footer);
        let odd = [self.below_end, self.doubtful, self.titles, self.sums];
        ends_well && odd.iter().all(Option::is_none)
    }

    pub(super) fn notes(&self, layout: &Layout) -> Vec<String> {
        let mut notes = Vec::new();
        for (filter, &count) in layout.filters.iter().zip(&self.excluded) {
            if count > 0 {
                let rows = if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
                notes.push(format!("{rows} left out by {}", filter.label));
            }
        }
        let by_status = layout.filters.iter().find(|filter| filter.is_presets()).zip(layout.preset);
        notes.extend(
            by_status
                .and_then(|(filter, preset)| self.statuses.note(filter, preset, &layout.header)),
        );
        if let Some((line, count)) = self.accidental {
            const WHY: &str = "blanks around, invisible characters, a spreadsheet's `'`, `=\"…\"` or `.0`, a word such as NULL";
            notes.push(if count == 1 {
                format!("the id in line {line} looks accidental ({WHY}): it is taken as it stands")
            } else {
                format!("{count} ids look accidental ({WHY}), the first in line {line}: they are taken as they stand")
            });
        }
        notes.extend(self.counter.note(layout));
        match self.repeated_headers {
            None => {}
            Some((line, 1)) => {
                notes.push(format!("line {line} repeats the header and is passed over"));
            }
            Some((line, count)) => notes.push(format!(
                "{count} lines repeat the header and are passed over, the first is line {line}"
            )),
        }
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
        if let Some((ending, line)) = self.end {
            let rows = match self.below_end {
                None => String::new(),
                Some((first, 1)) => {
                    format!(", but line {first} has an id and is rejected (other-table)")
                }
                Some((first, count)) => format!(
                    ", but {count} rows there have an id and are rejected (other-table), the first is line {first}"
                ),
            };
            notes.push(format!(
                "the data ends before line {line}: {ending}; what follows is not read{rows}"
            ));
        }
        if let Some(line) = self.padding_from {
            notes.push(format!("from line {line} on there are only delimiters: not rows"));
        }
        notes
    }
}

/// Ids that count the rows. Some systems number their people so, and then all is well; where the
/// number is the row's own, it comes to somebody else as soon as the list changes.
#[derive(Clone, Debug, Default)]
enum RowCounter {
    /// No row was seen.
    #[default]
    Ready,
    /// From the first number on, one by one.
    Counts { first: u64, rows: u64 },
    /// They do not.
    Off,
}

impl RowCounter {
    fn note_row(&mut self, row: &Row, layout: &Layout) {
        // Nearly every list ends here.
        if matches!(self, Self::Off) {
            return;
        }
        let number = match layout.mapping.id_columns() {
            [column] => row.cell(*column).and_then(|cell| cell.trim().parse::<u64>().ok()),
            _ => None,
        };
        *self = match (&self, number) {
            (Self::Ready, Some(first @ 0..=1)) => Self::Counts { first, rows: 1 },
            (Self::Counts { first, rows }, Some(number)) if number == first + rows => {
                Self::Counts { first: *first, rows: rows + 1 }
            }
            _ => Self::Off,
        };
    }

    fn note(&self, layout: &Layout) -> Option<String> {
        /// Of fewer rows nothing is told: three people may well have the numbers 1, 2 and 3.
        const LEAST: u64 = 10;
        let Self::Counts { first, rows } = self else { return None };
        let [column] = layout.mapping.id_columns() else { return None };
        (*rows >= LEAST).then(|| {
            format!(
                "the ids in `{}` count the rows from {first} to {}: if they are the rows' own numbers, they come to other people when the list changes; take a column that stays with a person (--map id=COLUMN)",
                layout.header.unique_name(*column),
                first + rows - 1
            )
        })
    }
}

/// Where a pass is, apart from its text.
#[derive(Clone, Default)]
pub(super) struct Progress {
    sections: Sections,
    after_blank: bool,
    /// Whether the delimiters-only lines at hand are known not to be the last ones.
    within_data: bool,
    ended: bool,
    findings: Findings,
}

/// A pass over the data rows.
pub struct Rows {
    layout: Arc<Layout>,
    text: Text,
    splitter: Splitter,
    progress: Progress,
    /// Filled by the first pass that reaches the end.
    shared: Arc<OnceLock<Findings>>,
}

impl Rows {
    pub(super) fn new(
        layout: Arc<Layout>,
        text: Text,
        mut progress: Progress,
        shared: Arc<OnceLock<Findings>>,
    ) -> Self {
        progress.findings.excluded.resize(layout.filters.len(), 0);
        let splitter = Splitter::new(layout.header.delimiter);
        Self { layout, text, splitter, progress, shared }
    }

    /// The text from the next row on, and where this pass is.
    pub(super) fn into_parts(self) -> (Text, Progress) {
        (self.text, self.progress)
    }

    /// Whether there is no row any more; the next one stays the next.
    pub(super) fn is_empty(&mut self) -> Result<bool, InputError> {
        Ok(self.next_row(&mut Cells::default(), &mut Extent::default())?.is_none())
    }

    /// What has to be told; complete once the last row has been read.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.layout.notes.clone();
        notes.extend(self.progress.findings.notes(&self.layout));
        notes
    }

    /// Reads the next row into `row`, whose buffers are used again; `false` at the end.
    ///
    /// # Errors
    /// When the source cannot be read on, or a row is longer than [`MAX_ROW`].
    pub fn read(&mut self, row: &mut Row) -> Result<bool, InputError> {
        let mut extent = Extent::default();
        let Some(kind) = self.next_row(&mut row.cells, &mut extent)? else {
            if !self.progress.ended {
                self.progress.ended = true;
                let _ = self.shared.set(self.progress.findings.clone());
            }
            return Ok(false);
        };
        let (text, progress) = (&mut self.text, &mut self.progress);
        let (raw, line) = (&text.at_hand()[..extent.length], text.line());
        row.take(&self.layout, &mut self.splitter, raw, &extent, line);
        text.advance(extent.next, extent.lines);
        let findings = &mut progress.findings;
        if let Some((ending, end)) = findings.end {
            add(&mut findings.below_end, line);
            row.disown(match ending {
                Ending::Header => format!(
                    "line {end} looks like the header of another table; if its rows belong to the list, delete that line or the blank one above it"
                ),
                Ending::Reordered => format!(
                    "line {end} holds the header's names in another order; bring the cells of the rows below it into the first header's order and delete that line, or give them a file of their own"
                ),
                Ending::Footer | Ending::Title | Ending::Table => format!(
                    "the row stands below line {end}, where the list seems to end ({ending}); if it belongs to the list, delete that line"
                ),
            });
            return Ok(true);
        }
        match kind {
            RowKind::Alone(what) if !row.is_broken() => {
                let lines = if what == "sum" { &mut findings.sums } else { &mut findings.titles };
                add(lines, line);
                row.disown(format!("the row looks like a {what} within the list; if it is a person, fill the other cells"));
            }
            RowKind::Doubtful => add(&mut findings.doubtful, line),
            _ => {}
        }
        // A row of delimiters alone sets apart what is below it, as a blank line does.
        let blank = row.cells.text().trim().is_empty();
        if !row.is_broken() && !blank {
            progress.sections.learn(&row.cells, progress.after_blank);
        }
        progress.after_blank = blank && row.cells.len() > 1;
        if let Some(filter) = row.excluded_by() {
            findings.excluded[filter] += 1;
        } else if !row.is_broken() {
            if trap::looks_accidental(row.id()) {
                add(&mut findings.accidental, line);
            }
            if let Some(filter) = self.layout.filters.iter().find(|filter| filter.is_presets()) {
                let cell = row.cell(filter.column()).unwrap_or_default();
                findings.statuses.note_cell(filter, cell);
            }
        }
        if !row.is_broken() {
            findings.counter.note_row(row, &self.layout);
        }
        Ok(true)
    }

    /// Steps over what is no row: the kind of the next row, which is at hand then; `None` at the end.
    fn next_row(
        &mut self,
        cells: &mut Cells,
        extent: &mut Extent,
    ) -> Result<Option<RowKind>, InputError> {
        let (layout, delimiter) = (Arc::clone(&self.layout), self.layout.header.delimiter);
        let list = (layout.width(), layout.mapping.id_columns());
        while !self.progress.ended && self.text.record(&mut self.splitter, cells, extent)? {
            let raw = self.text.at_hand();
            if self.layout.header.is_of_sheet() && filled(cells) > 1 {
                cells.pad(self.layout.width());
            }
            self.splitter.give_back_rows(&raw[..extent.next], list, cells, extent);
            if is_blank(&raw[..extent.length], delimiter) {
                self.progress.after_blank = true;
                self.text.advance(extent.next, extent.lines);
                continue;
            }
            let (progress, line) = (&mut self.progress, self.text.line());
            if progress.findings.end.is_none() {
                let blank = cells.text().is_empty() && extent.defect.is_none();
                if blank && !progress.within_data && only_padding(&mut self.text, delimiter)? {
                    progress.findings.padding_from = Some(line);
                    return Ok(None);
                }
                progress.within_data = blank;
                let after_blank = progress.after_blank;
                let text = &mut self.text;
                match progress.sections.kind(cells, extent, &layout, text, after_blank)? {
                    RowKind::OwnHeader => {
                        add(&mut progress.findings.repeated_headers, line);
                        progress.after_blank = false;
                        self.text.advance(extent.next, extent.lines);
                        continue;
                    }
                    RowKind::Ends(ending) => progress.findings.end = Some((ending, line)),
                    kind => return Ok(Some(kind)),
                }
            }
            // A footer and a title are no rows themselves, and a table with a header of its own has none.
            let none = match self.progress.findings.end {
                Some((Ending::Footer | Ending::Title, end)) => end == line,
                end => matches!(end, Some((Ending::Table, _))),
            };
            if !none && reads_like_row(cells, extent, &layout) {
                return Ok(Some(RowKind::Row));
            }
            self.text.advance(extent.next, extent.lines);
        }
        Ok(None)
    }
}

/// Whether nothing but delimiters, quotes, blanks and line ends follows.
fn only_padding(text: &mut Text, delimiter: Delimiter) -> Result<bool, InputError> {
    let mut from = 0;
    loop {
        let at_hand = text.at_hand().as_bytes();
        let padding = |&b: &u8| b == delimiter.byte() || matches!(b, b'"' | b' ' | b'\r' | b'\n');
        if !at_hand[from..].iter().all(padding) || at_hand.len() > MAX_ROW {
            return Ok(false);
        }
        from = at_hand.len();
        if !text.fill()? && text.has_ended() {
            return Ok(true);
        }
    }
}

/// A line without anything in it, or with the mark by which DOS ended a text; a line of delimiters
/// is not blank.
fn is_blank(raw: &str, delimiter: Delimiter) -> bool {
    raw.bytes().all(|b| b != delimiter.byte() && matches!(b, b' ' | b'\t' | b'\x1A'))
}
