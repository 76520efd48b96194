//! How an export is to be read: what the user says, and what its head shows.
//!
//! [`Options`] are the user's; a [`Layout`] is what follows from them for one file before its first
//! row is read: encoding, delimiter, header, preset, mapping.

use std::fmt::Write;

use super::{
    Delimiter, Encoding, Filter, Header, InputError, Keep, MapOption, Mapping, NameOrder,
    PresetChoice, SetOption,
    csv::{Text, count_lines},
    filter::{ColumnFilter, column_filters, marks as marks_of},
    header::{self, Found, find, normal, search},
    mapping::{PersonColumns, Slot, parts},
    presets::Preset,
    sheet::SheetInfo,
};
use crate::registrant::{Field, Form, Mode, Rule};

/// How an export is to be read. What is left out is detected.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--delimiter`.
    pub delimiter: Option<Delimiter>,
    /// `--encoding`; a BOM outweighs it.
    pub encoding: Option<Encoding>,
    /// `--sheet`: the sheet of a spreadsheet.
    pub sheet: Option<String>,
    /// `--skip-lines`: physical lines above the header.
    pub skip_lines: Option<u64>,
    /// `--map`.
    pub map: Vec<MapOption>,
    /// `--set`.
    pub set: Vec<SetOption>,
    /// `--preset`.
    pub preset: Option<PresetChoice>,
    /// `--where`.
    pub filters: Vec<Filter>,
    /// `--cancel-where`; `None` where nobody is to be cancelled, and no row is a mark.
    pub marks: Option<Vec<Filter>>,
    /// `--keep`, `--keep-all`.
    pub keep: Keep,
    /// `--id-prefix`: stands before every id, without a joiner.
    pub id_prefix: Option<String>,
    /// `--allow-empty`: nobody need be left.
    pub allow_empty: bool,
}

/// What was recognised in the file, as `check --json` prints it.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Detected {
    /// The encoding that is read.
    pub encoding: Encoding,
    /// The delimiter.
    pub delimiter: Delimiter,
    /// The header's physical line, counted from 1.
    pub header_line: u64,
    /// The sheet, of a spreadsheet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// The preset's name.
    pub preset: Option<&'static str>,
    /// The preset's system, in words.
    #[serde(skip)]
    pub system: Option<&'static str>,
    /// Whether the file is packed.
    #[serde(skip)]
    pub gzip: bool,
    /// Whether a BOM stands at its head.
    #[serde(skip)]
    pub bom: bool,
    /// Whether it is a rejects file of this program, whose four own columns are dropped.
    #[serde(skip)]
    pub rejects: bool,
}

/// What was recognised in the head of an input: everything that reading a row needs to know.
pub struct Layout {
    pub(super) name: String,
    pub(super) header: Header,
    pub(super) detected: Detected,
    pub(super) sheet: Option<SheetInfo>,
    pub(super) preset: Option<&'static Preset>,
    pub(super) mapping: Mapping,
    pub(super) filters: Vec<ColumnFilter>,
    /// What says that a person cancelled.
    pub(super) marks: Vec<ColumnFilter>,
    pub(super) kept: Vec<usize>,
    pub(super) id_prefix: String,
    pub(super) allow_empty: bool,
    /// The columns that fill a field other than the id, or choose rows.
    pub(super) used: Vec<usize>,
    /// The columns that tell who a row is about: what a person's mark is made of.
    pub(super) people: PersonColumns,
    /// The same columns, in the header's order.
    pub(super) person: Vec<usize>,
    /// How many rows there will be, judged by the first ones; 0 if nothing can be said.
    pub(super) expected_rows: usize,
    /// What has to be told before the first row.
    pub(super) notes: Vec<String>,
}

/// How much text is read before the header is chosen.
const HEAD: usize = 512 * 1024;

impl Layout {
    /// Recognises the head of `text` and leaves `text` behind the header.
    pub(super) fn recognise(
        name: &str,
        text: &mut Text,
        sheet: Option<&SheetInfo>,
        options: &Options,
    ) -> Result<Self, InputError> {
        text.fill_to(HEAD)?;
        if text.at_hand().trim().is_empty() && text.has_ended() {
            return Err(InputError::Empty { name: name.to_owned() });
        }
        let mut notes = sheet.map(SheetInfo::notes).unwrap_or_default();
        let delimiter = if sheet.is_some() { Some(Delimiter::SHEET) } else { options.delimiter };
        let Found { header, rejects, below, next, lines } =
            search(name, text, delimiter, options.skip_lines, |names| merit(names, options))?;
        let preset = match options.preset {
            Some(PresetChoice::Nothing) => None,
            Some(PresetChoice::Named(preset)) => Some(preset),
            None => Preset::recognise(&header.names),
        };
        let decoder = text.decoder();
        let detected = Detected {
            encoding: decoder.encoding,
            delimiter: header.delimiter(),
            sheet: sheet.map(|sheet| sheet.name.clone()),
            header_line: header.line,
            preset: preset.map(|preset| preset.name),
            system: preset.map(|preset| preset.title),
            gzip: decoder.gzip,
            bom: decoder.bom.is_some(),
            rejects,
        };
        if let (Some(bom), Some(wanted)) = (decoder.bom, options.encoding)
            && bom != wanted
        {
            notes.push(format!("the file's BOM says {bom}: it is read so, not as {wanted}"));
        }
        if header.line > 1 {
            let line = if sheet.is_some() { "row" } else { "line" };
            notes.push(format!("the header is taken from {line} {}", header.line));
        }
        if rejects {
            notes.push("this is a rejects file: its four last columns are dropped".to_owned());
        }
        let mapping = Mapping::resolve(&options.map, &options.set, preset, &header, &mut notes)?;
        let mut filters = column_filters(&options.filters, preset, &header, &mut notes)?;
        let marks = match &options.marks {
            Some(marks) => marks_of(marks, preset, &header)?,
            None => Vec::new(),
        };
        // What the preset leaves out by itself is told once.
        let own = filters.iter().find(|filter| filter.is_presets()).map(ColumnFilter::column);
        let further = marks.iter().filter(|mark| Some(mark.column()) != own);
        filters.extend(further.cloned().collect::<Vec<_>>());
        if let Some(column) = unused_status(&header).filter(|_| filters.is_empty()) {
            notes.push(format!(
                "no row is left out: if `{column}` tells who comes, choose rows with --where '{column}=VALUE,VALUE'"
            ));
        }
        let kept = options.keep.resolve(&header, &mut notes)?;
        // Of an export without an id, the advice comes with the error that none is mapped.
        if let Some(advice) = preset.filter(|p| !p.id.is_empty()).and_then(|p| p.advice) {
            notes.push(advice.to_owned());
        }
        let people = PersonColumns::find(&mapping, preset, &header, &below);
        // What more is sent than an id is compared with what was sent before.
        if people.knows() == (false, false) && !mapping.fills(&Field::UserId) {
            notes.push(
                "no column tells people apart, neither names nor e-mail addresses: ids that come to other people cannot be noticed".to_owned(),
            );
        }
        let id = mapping.id_columns();
        let mut used = mapping.columns();
        used.extend(filters.iter().map(ColumnFilter::column));
        used.retain(|column| !id.contains(column));
        used.sort_unstable();
        used.dedup();
        let expected_rows = expected_rows(text.at_hand(), decoder.size);
        text.advance(next, lines);
        Ok(Self {
            name: name.to_owned(),
            header,
            detected,
            sheet: sheet.cloned(),
            preset,
            mapping,
            filters,
            used,
            marks,
            kept,
            id_prefix: options.id_prefix.clone().unwrap_or_default(),
            allow_empty: options.allow_empty,
            person: people.all(),
            people,
            expected_rows,
            notes,
        })
    }

    /// What was recognised.
    pub fn detected(&self) -> &Detected {
        &self.detected
    }

    /// Which columns fill which fields.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The header, without a rejects file's own columns.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Whether the rows tell people's addresses, and whether they tell names: what their marks are
    /// made of.
    pub fn tells_people(&self) -> (bool, bool) {
        self.people.knows()
    }

    /// How many cells a row must have.
    pub(super) fn width(&self) -> usize {
        let own = if self.detected.rejects { header::REJECTS_COLUMNS.len() } else { 0 };
        self.header.names.len() + own
    }

    /// How rows are read, in a text that stays the same as long as this does: which columns make the
    /// id, which rows are left out, by whose words.
    pub(super) fn reading(&self) -> String {
        let filters = self.filters.iter().map(|filter| {
            // A preset's list of words may grow with the program.
            if filter.stays() {
                filter.label.clone()
            } else {
                self.header.names[filter.column()].clone()
            }
        });
        let (id, prefix) = (self.mapping.shown(&Field::Id), &self.id_prefix);
        let rest: Vec<String> = filters.collect();
        format!("{id}\n{prefix}\n{:?}\n{}", self.detected.preset, rest.join("\n"))
    }

    /// The header names of the columns that the enrolled file keeps.
    pub fn kept_names(&self) -> Vec<String> {
        self.kept.iter().map(|&column| self.header.names[column].clone()).collect()
    }

    /// Whether anybody is left of `read` rows, of which filters leave out so many.
    ///
    /// # Errors
    /// [`InputError::NobodyLeft`], unless that was allowed.
    pub fn hold_empty(&self, read: u64, excluded: u64) -> Result<(), InputError> {
        if read > excluded || self.allow_empty {
            return Ok(());
        }
        let rows = if read == 1 { "the 1 row".to_owned() } else { format!("{read} rows") };
        let labels: Vec<&str> = self.filters.iter().map(|filter| filter.label.as_str()).collect();
        let why = match self.filters.as_slice() {
            [filter] if filter.stays() => format!("{} matches none of {rows}", filter.label),
            _ => format!("{rows} and none stays ({})", labels.join("; ")),
        };
        Err(InputError::NobodyLeft { why })
    }

    /// Whether each `answer:` column is asked by a form that was read, and each required question
    /// has its column.
    ///
    /// # Errors
    /// [`InputError::Form`].
    pub fn suits(&self, form: &Form) -> Result<(), InputError> {
        let mapped: Vec<&str> = self.mapping.questions().collect();
        Ok(form.hold(&mapped)?)
    }

    /// Whether every field that this rule requires can be filled.
    ///
    /// # Errors
    /// [`InputError::MissingField`] for the first one that cannot.
    pub fn require(&self, rule: &Rule) -> Result<(), InputError> {
        let (fields, who): (&[Field], _) = match rule {
            Rule::Meeting(Mode::Everyone) => (&[Field::Id], None),
            Rule::Meeting(Mode::Organization) => (
                &[Field::Id, Field::TenantId, Field::UserId],
                Some("a meeting in mode `organization`"),
            ),
            Rule::Event(_) => (
                &[Field::Id, Field::FirstName, Field::LastName, Field::Email],
                Some("a webinar or town hall"),
            ),
        };
        let Some(field) = fields.iter().find(|&field| self.mapping.slot(field).is_none()) else {
            return Ok(());
        };
        let hint = match (field, self.preset.and_then(|preset| preset.advice)) {
            (Field::Id, Some(advice)) => match self.mapping.slot(&Field::Email) {
                Some(_) => format!(
                    "; {advice}; to take the e-mail: --map 'id={}'",
                    self.mapping.shown(&Field::Email)
                ),
                None => format!("; {advice}"),
            },
            (Field::Id, None) if self.header.names.len() == 1 => {
                "; only one column was found: if another character stands between the cells, name it with --delimiter; if each line is quoted as a whole, export the list again".to_owned()
            }
            (Field::Id, None) => format!(
                "; if line {} is not the header, name the lines above it with --skip-lines N",
                self.header.line
            ),
            // One address for all of them would serve one of them.
            (Field::Email, _) => String::new(),
            (field, _) => {
                let whole = self
                    .whole_name()
                    .filter(|_| matches!(field, Field::FirstName | Field::LastName));
                let split = whole.map_or_else(String::new, |column| {
                    format!(
                        "; if `{column}` holds whole names, split them with --map 'firstName={column}' --map 'lastName={column}' --set name-order=first-last (or last-first)"
                    )
                });
                format!(" or fill it with --set '{field}=VALUE'{split}")
            }
        };
        Err(InputError::MissingField {
            name: self.name.clone(),
            field: field.to_string(),
            required_by: who.filter(|_| *field != Field::Id),
            header_line: self.header.line,
            columns: self.header.listed(),
            hint,
        })
    }

    /// The column that may hold whole names, for advice.
    fn whole_name(&self) -> Option<String> {
        let known = self.preset.map_or(&[][..], |preset| preset.full_name);
        let usual = ["name", "full name", "attendee name", "participant", "participant name"];
        let column = known
            .iter()
            .copied()
            .chain(usual)
            .find_map(|name| header::find(&self.header.names, name).first().copied())?;
        Some(self.header.unique_name(column))
    }

    /// What `check` prints: a line a matter; the last can be typed again to override the mapping.
    pub fn describe(&self) -> String {
        let detected = &self.detected;
        let mut text = String::new();
        let mut line = |label: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{label:<12}{value}");
        };
        if let Some(sheet) = &self.sheet {
            line("Sheet", &format!("`{}`, {}", sheet.name, sheet.range()));
        }
        let packed = if detected.gzip { ", gzip" } else { "" };
        let bom = if detected.bom { " with BOM" } else { "" };
        if self.sheet.is_none() {
            line("Encoding", &format!("{}{bom}{packed}", detected.encoding));
            line("Delimiter", &detected.delimiter.to_string());
        }
        let count = self.header.names.len();
        let columns = if count == 1 { "1 column".to_owned() } else { format!("{count} columns") };
        let row = if self.sheet.is_some() { "row" } else { "line" };
        line("Header", &format!("{row} {}, {columns}", detected.header_line));
        match (detected.system, detected.preset) {
            (Some(system), Some(name)) => line("Recognised", &format!("{system} (preset {name})")),
            _ => line("Recognised", "no known system; columns are mapped by their names"),
        }
        let mut shown = self.mapping.iter().peekable();
        if shown.peek().is_none() {
            line("Mapping", "no field has a column");
        }
        for (nth, (field, column)) in shown.enumerate() {
            let split = match self.mapping.slot(field) {
                Some(Slot::Name(_, order)) => format!(", split {}", order.as_str()),
                _ => String::new(),
            };
            let prefix = if field.name() == "id" && !self.id_prefix.is_empty() {
                format!("`{}` + ", self.id_prefix)
            } else {
                String::new()
            };
            let column = column.replace(['\r', '\n'], " ");
            let value = match column.strip_prefix('=') {
                Some(value) => format!("{field} is always `{value}`"),
                None => format!("{field} from {prefix}`{column}`{split}"),
            };
            line(if nth == 0 { "Mapping" } else { "" }, &value);
        }
        for (nth, filter) in self.filters.iter().enumerate() {
            let verb = if filter.stays() { "all but " } else { "" };
            line(if nth == 0 { "Left out" } else { "" }, &format!("{verb}{}", filter.label));
        }
        let order = self.mapping.name_order.map(|order| {
            format!("--set {}", quote(&format!("{}={}", NameOrder::OPTION, order.as_str())))
        });
        let options: Vec<String> = self
            .mapping
            .slots
            .iter()
            .zip(self.mapping.iter())
            .filter(|((_, slot), _)| !matches!(slot, Slot::Value(_)))
            .map(|(_, (field, column))| format!("--map {}", quote(&format!("{field}={column}"))))
            .chain(order)
            .collect();
        if !options.is_empty() {
            line("To override", &options.join(" "));
        }
        text
    }
}

/// A word as a POSIX shell takes it.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// What of the settings' and presets' wishes a row fulfils.
fn merit(names: &[String], options: &Options) -> u32 {
    let holds = |column: &str| !find(names, column).is_empty();
    let holds_all = |column: &String| parts(names, column).iter().all(|part| holds(part));
    let mut id = options.map.iter().filter(|option| option.field == Field::Id).peekable();
    let wanted = options.map.iter().map(|option| &option.column);
    let others = options.filters.iter().map(|filter| &filter.column);
    let mut merit = 0;
    if !options.map.is_empty() && wanted.clone().all(holds_all) {
        merit += 16;
    }
    if !options.filters.is_empty() && others.clone().all(|column| holds(column)) {
        merit += 4;
    }
    if id.peek().is_some() && id.all(|option| holds_all(&option.column)) {
        merit += 8;
    }
    let known = match options.preset {
        Some(PresetChoice::Nothing) => false,
        Some(PresetChoice::Named(preset)) => preset.matches(names),
        None => Preset::recognise(names).is_some(),
    };
    merit + 2 * u32::from(known) + u32::from(names.iter().any(|name| normal(name) == "id"))
}

/// The rows of a file of this size whose head has lines as long as these.
fn expected_rows(head: &str, size: u64) -> usize {
    let lines = count_lines(head.as_bytes()).max(1);
    let length = (head.len() as u64 / lines).max(1);
    usize::try_from(size / length).unwrap_or_default()
}

/// A column that seems to say who comes, where nothing is left out.
fn unused_status(header: &Header) -> Option<String> {
    const WORDS: [&str; 6] = ["status", "statut", "estado", "rsvp", "cancel", "ステータス"];
    // A lead's status is the sales people's own.
    let tells = |name: &String| {
        let name = normal(name);
        WORDS.iter().any(|word| name.contains(word)) && !name.contains("lead")
    };
    let column = header.names.iter().position(tells)?;
    Some(header.unique_name(column).replace(['\r', '\n'], " "))
}
