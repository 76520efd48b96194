//! The input room: from an event system's export, whatever it looks like, to numbered rows.
//!
//! [`open`] unpacks and decodes the source, finds delimiter and header, and maps the columns.
//! Then [`Input::into_rows`] reads it once as it streams by, or [`Input::snapshot`] keeps a copy
//! that can be read any number of times, because a run takes hours and the export may change
//! meanwhile. A [`Validator`] checks the rows. Nothing is guessed where a wrong guess would enrol the
//! wrong person: a row that cannot be read with certainty is reported with its line, an input that
//! cannot be read is one [`InputError`], and everything passed over is said aloud.

use std::{
    convert::Infallible,
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, OnceLock},
};

mod counter;
mod decode;
mod describe;
mod dialect;
mod encoding;
mod ending;
mod error;
mod filter;
mod header;
mod kinds;
mod layout;
mod mapping;
mod names;
mod person;
mod preset;
mod row;
mod rows;
mod snapshot;
mod split;
mod statuses;
mod swallowed;
mod text;
mod trap;
mod validate;

pub use dialect::{Delimiter, UnknownDelimiter};
pub use encoding::{Encoding, UnknownEncoding};
pub use error::InputError;
pub use filter::{BadFilter, Filter, Keep};
pub use header::{ENROLLED_COLUMNS, Header, REJECTS_COLUMNS};
pub use layout::Detected;
pub use mapping::{BadAssignment, JOINER, MapOption, Mapping, SetOption};
pub use names::{NameOrder, UnknownOrder};
pub use preset::{Preset, PresetChoice, UnknownPreset, names as preset_names};
pub use row::{Row, Standing};
pub use rows::Rows;
pub use snapshot::Snapshot;
pub use text::MAX_ROW;
pub use trap::IdTrap;
pub use validate::{Clashes, RowCheck, RowLine, Survey, Validator, parse_row, row_line, survey};

use crate::registrant::{Field, Form, Mode, Rule};
use decode::{Bytes, Decoder};
use layout::Layout;
use rows::Findings;
use text::Text;

/// Where an export comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// Standard input, `-`.
    Stdin,
}

impl FromStr for Source {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "-" { Self::Stdin } else { Self::File(text.into()) })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Stdin => f.write_str("standard input"),
        }
    }
}

/// How an export is to be read. What is left out is detected.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--delimiter`.
    pub delimiter: Option<Delimiter>,
    /// `--encoding`; a BOM outweighs it.
    pub encoding: Option<Encoding>,
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
    /// `--keep`, `--keep-all`.
    pub keep: Keep,
    /// `--id-prefix`: stands before every id, without a joiner.
    pub id_prefix: Option<String>,
}

/// An export that is recognised and mapped, and of which no row has been read.
pub struct Input {
    layout: Arc<Layout>,
    rows: Rows,
    shared: Arc<OnceLock<Findings>>,
}

/// Opens an export and recognises it.
///
/// # Errors
/// [`InputError`] when it cannot be read, holds no rows, or a setting does not fit its header.
pub fn open(source: &Source, options: &Options) -> Result<Input, InputError> {
    let bytes = match source {
        Source::Stdin => Bytes::Stdin(io::stdin()),
        Source::File(path) => Bytes::File(open_file(path)?),
    };
    open_bytes(&source.to_string(), bytes, options)
}

fn open_file(path: &Path) -> Result<fs::File, InputError> {
    let unreadable = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound => InputError::NoFile { path: path.to_owned() },
        io::ErrorKind::IsADirectory => InputError::Folder { path: path.to_owned() },
        _ => InputError::Unreadable { name: path.display().to_string(), cause },
    };
    let file = fs::File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(InputError::Folder { path: path.to_owned() });
    }
    Ok(file)
}

fn open_bytes(name: &str, bytes: Bytes, options: &Options) -> Result<Input, InputError> {
    let decoder = Decoder::new(bytes, options.encoding).map_err(|trouble| {
        let encoding = options.encoding.unwrap_or(Encoding::UTF_8);
        InputError::from_trouble(name, trouble, encoding, true, 1)
    })?;
    let mut text = Text::new(name.to_owned(), decoder, 1);
    let layout = Arc::new(Layout::recognise(name, &mut text, options)?);
    let shared = Arc::new(OnceLock::new());
    let mut rows = Rows::new(Arc::clone(&layout), text, Arc::clone(&shared));
    if rows.is_empty()? {
        return Err(InputError::NoRows { name: name.to_owned(), header_line: layout.header.line });
    }
    Ok(Input { layout, rows, shared })
}

impl Input {
    /// What was recognised.
    #[must_use]
    pub fn detected(&self) -> &Detected {
        &self.layout.detected
    }

    /// Which columns fill which fields.
    #[must_use]
    pub fn mapping(&self) -> &Mapping {
        &self.layout.mapping
    }

    /// The header, without a rejects file's own columns.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.layout.header
    }

    /// What must be said aloud already. What the rows themselves bring to light (a footer, rows
    /// left out) is in [`Rows::notes`] after the last row.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.layout.notes.clone()
    }

    /// The header names of the columns that the enrolled file keeps.
    #[must_use]
    pub fn kept_names(&self) -> Vec<String> {
        self.layout.kept_names()
    }

    /// Whether every field that this rule requires can be filled.
    ///
    /// # Errors
    /// [`InputError::MissingField`] for the first one that cannot.
    pub fn require(&self, rule: &Rule) -> Result<(), InputError> {
        self.layout.require(rule)
    }

    /// Whether each `answer:` column is asked by a form that was read, and each required question
    /// has its column.
    ///
    /// # Errors
    /// [`InputError::Form`].
    pub fn suits(&self, form: &Form) -> Result<(), InputError> {
        self.layout.suits(form)
    }

    /// What `check` prints: what was recognised and mapped, what is left out, and how to override.
    #[must_use]
    pub fn describe(&self) -> String {
        describe::describe(&self.layout)
    }

    /// Reads the rows once, as they stream by.
    ///
    /// # Errors
    /// None today; the rows' own come from [`Rows::read`].
    pub fn into_rows(self) -> Result<Rows, InputError> {
        Ok(self.rows)
    }

    /// Keeps the rest of the source as UTF-8 in a nameless file of mode 0600 in `directory`, and
    /// with it survives changes of the export; what is no text shows now and not in the midst of a
    /// run.
    ///
    /// # Errors
    /// [`InputError`] when the source cannot be read to its end or the copy cannot be written.
    pub fn snapshot(self, directory: &Path) -> Result<Snapshot, InputError> {
        Snapshot::take(self.layout, self.rows.into_text(), self.shared, directory)
    }
}

impl Layout {
    fn kept_names(&self) -> Vec<String> {
        self.kept.iter().map(|&column| self.header.names[column].clone()).collect()
    }

    fn suits(&self, form: &Form) -> Result<(), InputError> {
        let mapped: Vec<&str> = self.mapping.questions().collect();
        Ok(form.hold(&mapped)?)
    }

    fn require(&self, rule: &Rule) -> Result<(), InputError> {
        let (fields, who): (&[Field], _) = match rule {
            Rule::Meeting(Mode::Everyone) => (&[Field::Id], None),
            Rule::Meeting(Mode::Organization) => (
                &[Field::Id, Field::TenantId, Field::UserId],
                Some("a meeting in mode `organization`"),
            ),
            Rule::Webinar(_) => {
                (&[Field::Id, Field::FirstName, Field::LastName, Field::Email], Some("a webinar"))
            }
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
}

impl Layout {
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
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
