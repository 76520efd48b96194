//! One row: its own text, its cells, what the mapping makes of them, and whether it can be read.

use std::{
    hash::BuildHasher,
    sync::{Arc, LazyLock},
};

use super::{
    csv::{Cells, Defect, Extent, Splitter, before_last_cells, line_of},
    filter::ColumnFilter,
    header::REJECTS_COLUMNS,
    layout::Layout,
    mapping::{JOINER, Slot, split_name},
};
use crate::registrant::{
    Fault, FaultCode, Field, Fields, Fingerprinter, PersonFingerprint, RegistrantId, is_error_value,
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
    /// The row's own text.
    raw: String,
    pub(super) cells: Cells,
    /// The composed or prefixed id.
    id: Option<String>,
    line: u64,
    /// Which filter leaves it out.
    excluded: Option<usize>,
    /// Whether it says that the person cancelled.
    marked: bool,
    faults: Vec<Fault>,
    /// What a spreadsheet did to cells that are used.
    cell_faults: Vec<Fault>,
}

impl Row {
    /// An empty row to read into.
    pub fn new() -> Self {
        Self::default()
    }

    /// The physical line in the original file where the row begins, counted from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The row's own text without its line end; of a rejects file's row without the four columns
    /// that this program added.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// A cell by its column.
    pub(super) fn cell(&self, column: usize) -> Option<&str> {
        self.cells.get(column)
    }

    /// All cells, unquoted.
    pub fn cells(&self) -> impl Iterator<Item = &str> {
        self.cells.iter()
    }

    /// The id alone, as in [`Row::fields`].
    pub(super) fn id(&self) -> &str {
        let first = self.layout.as_deref().and_then(|layout| layout.mapping.slots.first());
        match (&self.id, first) {
            (Some(id), _) => id,
            // The id is the first field of a mapping that has it.
            (None, Some((Field::Id, Slot::Column(column)))) => {
                self.cell(*column).unwrap_or_default()
            }
            _ => "",
        }
    }

    /// The cells that the mapping gives to the fields. Of a broken row they mean nothing.
    pub fn fields(&self) -> Fields<'_> {
        let mut fields = Fields::default();
        let Some(layout) = self.layout.as_deref() else { return fields };
        for (field, slot) in &layout.mapping.slots {
            let cell = match slot {
                Slot::Column(column) => self.cell(*column),
                Slot::Name(column, order) => self.cell(*column).map(|whole| {
                    let (first, last) = split_name(whole, *order);
                    if *field == Field::FirstName { first } else { last }
                }),
                Slot::Composed(_) => None,
                Slot::Value(value) => Some(value.as_str()),
            };
            match field {
                Field::Id => fields.id = self.id.as_deref().or(cell),
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
    pub fn fingerprint(&self) -> u64 {
        KEYS.hash_one(&self.cells)
    }

    /// Whether the row can be judged, and if not, why.
    pub fn standing(&self) -> Standing<'_> {
        if !self.faults.is_empty() {
            return Standing::Broken(&self.faults);
        }
        match (self.excluded, self.layout.as_deref()) {
            (Some(filter), Some(layout)) => Standing::Excluded(&layout.filters[filter].label),
            _ => Standing::Included,
        }
    }

    /// Whether it says that the person cancelled.
    pub fn is_marked(&self) -> bool {
        self.marked && self.faults.is_empty()
    }

    /// Whether the parts of its id are as they were in the system that they come from.
    pub fn has_sound_id(&self) -> bool {
        self.cell_faults.is_empty() && !self.id().contains(char::REPLACEMENT_CHARACTER)
    }

    /// A fingerprint of the cells of names and e-mail, which mostly stand side by side.
    pub(super) fn person(&self) -> u32 {
        let columns = self.layout.as_deref().map_or(&[] as &[usize], |layout| &layout.person);
        let side_by_side = match (columns.first(), columns.last()) {
            (Some(&first), Some(&last)) if last - first < columns.len() => Some((first, last)),
            _ => None,
        };
        let hash = match side_by_side {
            Some((first, last)) => KEYS.hash_one(self.cells.span(first, last)),
            None => columns.iter().fold(0, |hash: u64, &column| {
                hash.rotate_left(1) ^ KEYS.hash_one(self.cell(column).unwrap_or_default())
            }),
        };
        (hash >> 32) as u32
    }

    /// The mark of the person whom the row is about, as far as its columns tell.
    pub fn mark(&self, marker: &mut Fingerprinter) -> PersonFingerprint {
        let Some(layout) = self.layout.as_deref() else { return PersonFingerprint::UNKNOWN };
        layout.people.mark(marker, |column| self.cell(column).unwrap_or_default())
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

    pub(super) fn cell_faults(&self) -> &[Fault] {
        &self.cell_faults
    }

    /// Takes in the record whose cells are already in `self.cells`.
    pub(super) fn take(
        &mut self,
        layout: &Arc<Layout>,
        splitter: &mut Splitter,
        raw: &str,
        extent: &Extent,
        line: u64,
    ) {
        if self.layout.as_ref().is_none_or(|own| !Arc::ptr_eq(own, layout)) {
            self.layout = Some(Arc::clone(layout));
        }
        (self.line, self.excluded, self.id) = (line, None, None);
        self.marked = false;
        self.faults.clear();
        self.cell_faults.clear();
        self.raw.clear();
        self.raw.push_str(raw);
        let (mut extent, mut former) = (*extent, None);
        if layout.header.is_of_sheet() {
            self.cells.pad(layout.width());
        }
        if layout.detected.rejects {
            former = self.former();
            self.drop_own_columns(layout, splitter, &mut extent);
        }
        if layout.header.is_of_sheet() {
            self.raw = line_of(self.cells.iter());
        }
        self.find_faults(layout, &extent);
        if self.faults.is_empty() {
            self.compose_id(layout);
            self.find_cell_faults(layout);
            // Whom an error value would leave out is reported.
            let lets_pass = |filter: &ColumnFilter| {
                let cell = self.cell(filter.column()).unwrap_or_default();
                is_error_value(cell) || filter.lets_pass(cell)
            };
            self.excluded = layout.filters.iter().position(|filter| !lets_pass(filter));
            self.marked = layout
                .marks
                .iter()
                .any(|mark| !mark.lets_pass(self.cell(mark.column()).unwrap_or_default()));
            if let Some(former) = former {
                self.compare_with(former);
            }
        }
    }

    /// Of a rejects file's row: what nobody can have mended without a trace in it.
    fn former(&self) -> Option<Former> {
        let code = self.cells.len().checked_sub(2).filter(|&code| code >= 2)?;
        if self.cell(code)? == FaultCode::OtherTable.as_str() {
            return Some(Former::OtherTable);
        }
        let reason = self.cell(code + 1)?;
        let known = [FaultCode::DuplicateId, FaultCode::SpreadsheetId];
        let had = known.iter().any(|code| reason.contains(code.as_str()));
        had.then(|| Former::Reason(reason.to_owned()))
    }

    /// Compares the row, as it is now, with what it was rejected for.
    fn compare_with(&mut self, former: Former) {
        match former {
            Former::OtherTable => self.disown(
                "it was rejected as another table's row; if it is a person, empty its cell `_code`"
                    .to_owned(),
            ),
            Former::Reason(reason) => {
                let layout = self.layout.clone();
                let columns = layout.as_deref().map_or(&[][..], |l| l.mapping.id_columns());
                let spoilt = columns.iter().filter_map(|&column| self.cell(column)).map(no_id);
                let still = spoilt.filter(|sentence| reason.contains(sentence)).map(spreadsheet_id);
                let still: Vec<Fault> = still.collect();
                self.cell_faults.extend(still);
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

    /// Drops the four columns of a rejects file, and reads the row's own text again, as it was in the
    /// file that it came from: a broken quote in it may have taken them in.
    fn drop_own_columns(&mut self, layout: &Layout, splitter: &mut Splitter, extent: &mut Extent) {
        if layout.header.is_of_sheet() {
            self.cells.truncate(layout.header.names.len());
            return;
        }
        let delimiter = layout.header.delimiter;
        if let Some(end) = before_last_cells(&self.raw, delimiter, REJECTS_COLUMNS.len()) {
            self.raw.truncate(end);
            extent.defect = splitter.read_whole(&self.raw, &mut self.cells).defect;
        }
    }

    fn find_faults(&mut self, layout: &Layout, extent: &Extent) {
        let (found, wanted) = (self.cells.len(), layout.header.names.len());
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

    /// What a spreadsheet did to cells that fill a field or choose rows. Error values are the same in a
    /// CSV that a spreadsheet has written.
    fn find_cell_faults(&mut self, layout: &Layout) {
        for &column in layout.mapping.id_columns() {
            if self.cells.is_no_id(column) {
                let cell = self.cell(column).unwrap_or_default();
                self.cell_faults.push(spreadsheet_id(no_id(cell)));
            }
        }
        for &column in &layout.used {
            let cell = self.cells.get(column).unwrap_or_default();
            if is_error_value(cell) {
                let name = layout.header.names[column].replace(['\r', '\n'], " ");
                let sentence = format!(
                    "column `{name}` holds `{}`, a spreadsheet's word for a value that it does not have; correct the formula or enter the value",
                    cell.trim()
                );
                self.cell_faults.push(Fault::new(FaultCode::ErrorValue, sentence));
            }
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
        let mut id = layout.id_prefix.clone();
        for (nth, &column) in columns.iter().enumerate() {
            let part = self.cells.get(column).unwrap_or_default();
            if part.trim().is_empty() {
                id.clear();
                break;
            }
            // Within a composed id the damage would no longer show.
            if let Err(fault) = RegistrantId::parse(part)
                && fault.code == FaultCode::SpreadsheetId
            {
                self.cell_faults.push(fault);
            }
            if nth > 0 {
                id.push(JOINER);
            }
            id.push_str(part);
        }
        self.id = Some(id);
    }
}

fn spreadsheet_id(sentence: String) -> Fault {
    Fault::new(FaultCode::SpreadsheetId, sentence)
}

/// Why a spreadsheet's number is no id; how a reason quotes it.
fn no_id(cell: &str) -> String {
    format!(
        "the id `{cell}` is no text in the spreadsheet (it is a date, a truth value, or a number that is not kept in every digit); format the column as text and enter the id again"
    )
}

/// Why a row of a rejects file was rejected, where that still holds after a look at its cells alone.
enum Former {
    OtherTable,
    /// The whole reason, which quotes what it was rejected for.
    Reason(String),
}

/// How a reason begins to say that somebody else has this id.
pub(super) fn taken(id: &str) -> String {
    format!("the id `{id}` stands in")
}

fn counted(cells: usize) -> String {
    if cells == 1 { "1 cell".to_owned() } else { format!("{cells} cells") }
}
