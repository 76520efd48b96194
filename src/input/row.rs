//! One row: its own text, its cells, what the mapping makes of them, and whether it can be read.

use std::{
    hash::BuildHasher,
    sync::{Arc, LazyLock},
};

use super::{
    header::REJECTS_COLUMNS,
    layout::Layout,
    mapping::{JOINER, Slot},
    names,
    split::{Defect, Extent, QUOTE, Span, Split, Supply, split},
};
use crate::registrant::{
    Fault, FaultCode, Field, Fields, Fingerprinter, PersonFingerprint, RegistrantId,
};

/// The keys of every fingerprint of this process: drawn anew each time, so that no file can be
/// made whose rows collide.
pub(super) static KEYS: LazyLock<foldhash::quality::RandomState> =
    LazyLock::new(foldhash::quality::RandomState::default);

/// Whether a row can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// It can.
    Included,
    /// This filter leaves it out.
    Excluded(&'a str),
    /// Its cells cannot be told apart with certainty.
    Broken(&'a [Fault]),
}

/// A data row of the input. One value is read into again and again.
#[derive(Default)]
pub struct Row {
    pub(super) layout: Option<Arc<Layout>>,
    /// The row's own text, then cells that had to be unquoted, then the composed id.
    text: String,
    raw: usize,
    /// Whether a quote stands in it.
    quoted: bool,
    /// The cells' places in `text`.
    pub(super) spans: Vec<Span>,
    /// The composed or prefixed id's place in `text`.
    id: Option<(u32, u32)>,
    line: u64,
    excluded: Option<usize>,
    faults: Vec<Fault>,
    /// What a spreadsheet did to a part of a composed or prefixed id.
    part_fault: Option<Fault>,
}

impl Row {
    /// An empty row to read into.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The physical line in the original file where the row begins, counted from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The row's own text without its line end; of a rejects file's row without the four columns
    /// that this program added.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.text[..self.raw]
    }

    /// A cell by its column.
    pub(super) fn cell(&self, column: usize) -> Option<&str> {
        self.spans.get(column).map(|span| self.slice((span.start, span.end)))
    }

    fn slice(&self, (start, end): (u32, u32)) -> &str {
        &self.text[start as usize..end as usize]
    }

    /// All cells, unquoted.
    pub fn cells(&self) -> impl Iterator<Item = &str> {
        self.spans.iter().map(|span| self.slice((span.start, span.end)))
    }

    /// The id alone, as in [`Row::fields`].
    pub(super) fn id(&self) -> &str {
        let first = self.layout.as_deref().and_then(|layout| layout.mapping.slots.first());
        match (self.id, first) {
            (Some(place), _) => self.slice(place),
            // The id is the first field of a mapping that has it.
            (None, Some((Field::Id, Slot::Column(column)))) => {
                self.cell(*column).unwrap_or_default()
            }
            _ => "",
        }
    }

    /// The cells that the mapping gives to the fields. Of a broken row they mean nothing.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        let mut fields = Fields::default();
        let Some(layout) = self.layout.as_deref() else { return fields };
        for (field, slot) in &layout.mapping.slots {
            let cell = match slot {
                Slot::Column(column) => self.cell(*column),
                Slot::Name(column, order) => self.cell(*column).map(|whole| {
                    let (first, last) = names::split(whole, *order);
                    if *field == Field::FirstName { first } else { last }
                }),
                Slot::Composed(_) => None,
                Slot::Value(value) => Some(value.as_str()),
            };
            match field {
                Field::Id => fields.id = self.id.map(|place| self.slice(place)).or(cell),
                Field::TenantId => fields.tenant_id = cell,
                Field::UserId => fields.user_id = cell,
                Field::FirstName => fields.first_name = cell,
                Field::LastName => fields.last_name = cell,
                Field::Email => fields.email = cell,
                Field::PreferredLanguage => fields.preferred_language = cell,
                Field::PreferredTimezone => fields.preferred_timezone = cell,
                Field::Referrer => fields.referrer = cell,
                Field::Answer(question) => {
                    fields.answers.push((question, cell.unwrap_or_default()));
                }
            }
        }
        fields
    }

    /// The cells that the enrolled file keeps, one for each name of the header's kept names.
    pub fn kept(&self) -> impl Iterator<Item = &str> + Clone {
        let kept = self.layout.as_deref().map_or(&[] as &[usize], |layout| &layout.kept);
        kept.iter().map(|&column| self.cell(column).unwrap_or_default())
    }

    /// Equal for rows whose cells are all equal, however they are quoted; keyed at random for each
    /// process.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint_with(&mut String::new())
    }

    /// The same with a buffer that is used again.
    pub(super) fn fingerprint_with(&self, plain: &mut String) -> u64 {
        let raw = self.raw();
        if !self.quoted {
            return KEYS.hash_one(raw);
        }
        // The same cells with as few quotes as possible: then quotes around a cell that needs none
        // make no difference.
        let delimiter =
            self.layout.as_deref().map_or(b',', |layout| layout.header.delimiter.byte());
        plain.clear();
        for (place, cell) in self.cells().enumerate() {
            if place > 0 {
                plain.push(char::from(delimiter));
            }
            let bytes = cell.as_bytes();
            let quote = memchr::memchr(QUOTE, bytes).is_some();
            if quote || memchr::memchr3(delimiter, b'\r', b'\n', bytes).is_some() {
                plain.push('"');
                if quote {
                    plain.push_str(&cell.replace('"', "\"\""));
                } else {
                    plain.push_str(cell);
                }
                plain.push('"');
            } else {
                plain.push_str(cell);
            }
        }
        KEYS.hash_one(plain.as_str())
    }

    /// Whether the row can be judged, and if not, why.
    #[must_use]
    pub fn standing(&self) -> Standing<'_> {
        if !self.faults.is_empty() {
            return Standing::Broken(&self.faults);
        }
        match (self.excluded, self.layout.as_deref()) {
            (Some(gate), Some(layout)) => Standing::Excluded(&layout.gates[gate].label),
            _ => Standing::Included,
        }
    }

    /// A fingerprint of the cells of names and e-mail, which mostly stand side by side.
    pub(super) fn person(&self) -> u32 {
        let columns = self.layout.as_deref().map_or(&[] as &[usize], |layout| &layout.person);
        let hash = match (columns.first(), columns.last()) {
            (Some(&first), Some(&last)) if last - first < columns.len() && !self.quoted => {
                let span = |column| self.spans.get(column).copied().unwrap_or_default();
                let (from, to) = (span(first).start, span(last).end);
                KEYS.hash_one(self.slice((from, to.max(from))))
            }
            _ => columns.iter().fold(0, |hash: u64, &column| {
                hash.rotate_left(1) ^ KEYS.hash_one(self.cell(column).unwrap_or_default())
            }),
        };
        (hash >> 32) as u32
    }

    /// The mark of the person whom the row is about, as far as its columns tell.
    pub fn mark(&self, marker: &mut Fingerprinter) -> PersonFingerprint {
        let Some(layout) = self.layout.as_deref() else { return PersonFingerprint::UNKNOWN };
        layout.teller.mark(marker, |column| self.cell(column).unwrap_or_default())
    }

    /// Takes the row for none of the list.
    pub(super) fn disown(&mut self, why: String) {
        self.faults.insert(0, Fault::new(FaultCode::OtherTable, why));
    }

    /// Whether its cells cannot be told apart, or are another table's.
    pub(super) fn is_broken(&self) -> bool {
        !self.faults.is_empty()
    }

    pub(super) fn excluded_by(&self) -> Option<usize> {
        self.excluded.filter(|_| self.faults.is_empty())
    }

    pub(super) fn part_fault(&self) -> Option<&Fault> {
        self.part_fault.as_ref()
    }

    /// Takes in the record whose spans are already in `self.spans`.
    pub(super) fn take(&mut self, layout: &Arc<Layout>, raw: &str, extent: &Extent, line: u64) {
        if self.layout.as_ref().is_none_or(|own| !Arc::ptr_eq(own, layout)) {
            self.layout = Some(Arc::clone(layout));
        }
        self.line = line;
        self.excluded = None;
        self.id = None;
        self.part_fault = None;
        self.faults.clear();
        self.text.clear();
        self.text.push_str(raw);
        self.raw = raw.len();
        let delimiter = layout.header.delimiter.byte();
        let own;
        let mut former = None;
        let extent = if layout.detected.rejects {
            former = self.former();
            own = self.drop_own_columns(extent, delimiter);
            &own
        } else {
            extent
        };
        self.quoted = extent.quoted;
        if self.quoted {
            self.undouble();
        }
        self.find_faults(layout, extent);
        if self.faults.is_empty() {
            self.compose_id(layout);
            self.excluded = layout
                .gates
                .iter()
                .position(|gate| !gate.lets_pass(self.cell(gate.column()).unwrap_or_default()));
            if let Some(former) = former {
                self.hold(former);
            }
        }
    }

    /// Of a rejects file's row: what nobody can have mended without a trace in it.
    fn former(&self) -> Option<Former> {
        let code = self.spans.len().checked_sub(2).filter(|&code| code >= 2)?;
        if self.cell(code)? == FaultCode::OtherTable.as_str() {
            return Some(Former::OtherTable);
        }
        let reason = self.cell(code + 1)?;
        let had = reason.contains(FaultCode::DuplicateId.as_str());
        had.then(|| Former::DuplicateId(reason.replace("\"\"", "\"")))
    }

    /// Holds the row, as it is now, against what it was rejected for.
    fn hold(&mut self, former: Former) {
        match former {
            Former::OtherTable => self.disown(
                "it was rejected as another table's row; if it is a person, empty its cell `_code`"
                    .to_owned(),
            ),
            Former::DuplicateId(reason) => {
                let id = self.id();
                // Its id is still the one that another row has, who may be enrolled by now.
                if !id.is_empty() && reason.contains(&taken(id)) {
                    let sentence = format!(
                        "{} the row for whose sake this one was rejected; two people must not share a link: give it an id of its own",
                        taken(id)
                    );
                    self.faults.push(Fault::new(FaultCode::DuplicateId, sentence));
                }
            }
        }
    }

    /// Puts cells with doubled quotes behind the row's own text, as they read.
    fn undouble(&mut self) {
        for span in self.spans.iter_mut().filter(|span| span.doubled) {
            let cell = self.text[span.start as usize..span.end as usize].replace("\"\"", "\"");
            span.start = place(self.text.len());
            self.text.push_str(&cell);
            span.end = place(self.text.len());
        }
    }

    /// Drops the four columns of a rejects file. Where a quote is broken they are found from the
    /// end, and the row's own text is split again, as it was in the file that it came from.
    fn drop_own_columns(&mut self, extent: &Extent, delimiter: u8) -> Extent {
        let mut own = *extent;
        let count = REJECTS_COLUMNS.len();
        if extent.defect.is_some() {
            if let Some(end) = before_last_cells(&self.text, delimiter, count) {
                self.raw = end;
                let text = &self.text[..end];
                let mut again = Extent::default();
                let split = split(text, delimiter, Supply::End, &mut self.spans, &mut again);
                if split == Split::Record {
                    own.defect = again.defect;
                }
            }
        } else if let Some(last) = self.spans.len().checked_sub(count).filter(|&n| n > 0) {
            self.raw = (self.spans[last].at as usize).saturating_sub(1);
            self.spans.truncate(last);
        }
        own
    }

    fn find_faults(&mut self, layout: &Layout, extent: &Extent) {
        let (found, wanted) = (self.spans.len(), layout.header.names.len());
        let column = |cell: usize| {
            layout.header.names.get(cell).map_or_else(
                || format!("cell {}", cell + 1),
                |name| format!("column `{}`", name.replace(['\r', '\n'], " ")),
            )
        };
        if found != wanted
            && !matches!(extent.defect, Some(Defect::Unclosed { .. } | Defect::Swallowed { .. }))
        {
            let mut sentence = format!("the row has {}, the header {wanted}", counted(found));
            if extent.lines > 1 && extent.defect.is_none() && self.raw().contains(['\n', '\r']) {
                sentence
                    .push_str("; a quoted cell goes on over several lines, is a quote missing?");
            }
            self.faults.push(Fault::new(FaultCode::ColumnCount, sentence));
        }
        match extent.defect {
            Some(Defect::Unclosed { cell, line }) => self.faults.push(Fault::new(
                FaultCode::UnclosedQuote,
                format!(
                    "the quote that opens {} in line {} is not closed",
                    column(cell),
                    self.line + line
                ),
            )),
            Some(Defect::Swallowed { cell, line, behind }) => self.faults.push(Fault::new(
                FaultCode::UnclosedQuote,
                format!(
                    "the quote that opens {} in line {} is closed in line {} only, and the lines between read as rows; close it in its line, write it twice, or take it away (the other lines are read as rows of their own)",
                    column(cell),
                    self.line + line,
                    self.line + line + behind
                ),
            )),
            Some(Defect::Stray { cell }) => self.faults.push(Fault::new(
                FaultCode::StrayQuote,
                format!(
                    "text follows the closing quote of {}; a quote inside a quoted cell is written twice",
                    column(cell)
                ),
            )),
            None => {}
        }
    }

    /// Builds an id of several columns or with a prefix. An empty part leaves the id empty, so
    /// that it is reported and not enrolled by half.
    fn compose_id(&mut self, layout: &Layout) {
        let columns = match layout.mapping.slot(&Field::Id) {
            Some(Slot::Composed(columns)) => columns.as_slice(),
            Some(Slot::Column(column)) if !layout.id_prefix.is_empty() => {
                std::slice::from_ref(column)
            }
            _ => return,
        };
        let start = self.text.len();
        self.text.push_str(&layout.id_prefix);
        let mut whole = true;
        for (nth, &column) in columns.iter().enumerate() {
            if nth > 0 {
                self.text.push(JOINER);
            }
            let span = self.spans.get(column);
            let part = span.map_or(0..0, |span| span.start as usize..span.end as usize);
            if self.text[part.clone()].trim().is_empty() {
                whole = false;
                break;
            }
            // Within a composed id the damage would no longer show.
            self.part_fault = self.part_fault.take().or_else(|| {
                RegistrantId::parse(&self.text[part.clone()])
                    .err()
                    .filter(|fault| fault.code == FaultCode::SpreadsheetId)
            });
            self.text.extend_from_within(part);
        }
        if !whole {
            self.text.truncate(start);
        }
        self.id = Some((place(start), place(self.text.len())));
    }
}

/// Why a row of a rejects file was rejected, where that still holds after a look at its cells alone.
enum Former {
    OtherTable,
    /// The reason.
    DuplicateId(String),
}

/// How a reason begins to say that somebody else has this id.
pub(super) fn taken(id: &str) -> String {
    format!("the id `{id}` stands in")
}

/// Places in a row fit 32 bits: a row is at most [`super::MAX_ROW`] long, and its unquoted cells
/// and its id add at most as much again.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn counted(cells: usize) -> String {
    if cells == 1 { "1 cell".to_owned() } else { format!("{cells} cells") }
}

/// Where the text before the last `count` cells ends, read from the back.
fn before_last_cells(text: &str, delimiter: u8, count: usize) -> Option<usize> {
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
        end = memchr::memrchr(delimiter, &bytes[..start])?;
    }
    Some(end)
}
