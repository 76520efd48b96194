//! Why an input cannot be read: one sentence each, with the place and the next step.

use std::{io, path::PathBuf};

use super::{
    command::CommandFault,
    encoding::{Encoding, LikelyEncoding},
};
use crate::registrant::FormFault;

/// Why an input cannot be read at all. What is wrong with a single row is data, not an error.
///
/// No message quotes a data row's cell; column names are quoted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// There is no such file.
    #[error("{}: no such file; give the path of the CSV export, or `-` for standard input", path.display())]
    NoFile {
        /// The path as given.
        path: PathBuf,
    },
    /// The path is a folder.
    #[error("{}: this is a folder; give the path of the CSV export in it", path.display())]
    Folder {
        /// The path as given.
        path: PathBuf,
    },
    /// The system refuses to open or read it.
    #[error("{name}: cannot be read: {cause}")]
    Unreadable {
        /// File or standard input.
        name: String,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// A gzip file is cut or damaged.
    #[error("{name}: the gzip data is cut or damaged ({cause}); export or copy the file again")]
    Gzip {
        /// File or standard input.
        name: String,
        /// What the unpacker says.
        #[source]
        cause: io::Error,
    },
    /// The first bytes belong to another kind of file.
    #[error("{name}: this is {what}, not a CSV text; {next}")]
    Foreign {
        /// File or standard input.
        name: String,
        /// What it is.
        what: &'static str,
        /// What to do.
        next: &'static str,
    },
    /// The command that was to give the input.
    #[error("the input command {0}")]
    Command(#[from] CommandFault),
    /// A sheet is named, of a text.
    #[error("--sheet {sheet}: {name} is a text and has no sheets; leave --sheet out")]
    NoSheets {
        /// File or standard input.
        name: String,
        /// The sheet.
        sheet: String,
    },
    /// A spreadsheet that cannot be read.
    #[error("{name}: {what}; {next}")]
    Spreadsheet {
        /// File or standard input.
        name: String,
        /// What is wrong with it.
        what: String,
        /// What to do.
        next: &'static str,
    },
    /// A byte does not fit the encoding.
    #[error(
        "{name}: byte {byte} in line {line} is not {encoding}; {}",
        likely.map_or_else(
            || "the file was cut or damaged on its way here, export or copy it again".to_owned(),
            |likely| format!("the file {likely}")
        )
    )]
    NotText {
        /// File or standard input.
        name: String,
        /// The byte's place, counted from 0, in the unpacked file.
        byte: u64,
        /// Its physical line.
        line: u64,
        /// The encoding that was tried.
        encoding: Encoding,
        /// What it probably is; `None` when it is cut or damaged rather than something else.
        likely: Option<LikelyEncoding>,
    },
    /// The file holds nothing.
    #[error("{name}: the file is empty; export the list again")]
    Empty {
        /// File or standard input.
        name: String,
    },
    /// A header, and nothing under it.
    #[error(
        "{name}: no rows: nothing stands under the header of line {header_line}; check the export's filter, or add --allow-empty"
    )]
    NoRows {
        /// File or standard input.
        name: String,
        /// Physical line of the header.
        header_line: u64,
    },
    /// No row can be the header.
    #[error(
        "{name}: no header: no line holds column names{}; name the lines above it with --skip-lines N",
        skipped.map_or_else(String::new, |n| format!(" after the {n} skipped lines"))
    )]
    NoHeader {
        /// File or standard input.
        name: String,
        /// The value of `--skip-lines`.
        skipped: Option<u64>,
    },
    /// The header's quoting is broken.
    #[error(
        "{name}: the quotes of the header in line {line} are broken (a quote opens and is not closed, or text follows a closing one); mend that line, or name the lines above the header with --skip-lines N"
    )]
    BrokenHeader {
        /// File or standard input.
        name: String,
        /// Physical line of the header.
        line: u64,
    },
    /// A setting names a column that the header does not have.
    #[error(
        "{setting}: the header in line {header_line} has no column `{wanted}`{}; its columns are {columns}",
        nearest.as_ref().map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
    )]
    NoColumn {
        /// The setting as typed.
        setting: String,
        /// The name that was looked for.
        wanted: String,
        /// The most similar name.
        nearest: Option<String>,
        /// Physical line of the header.
        header_line: u64,
        /// All names.
        columns: String,
    },
    /// A name stands more than once in the header.
    #[error(
        "{setting}: the header in line {header_line} has {count} columns `{wanted}`; write `{wanted}#1` for the first, `{wanted}#2` for the second"
    )]
    AmbiguousColumn {
        /// The setting as typed.
        setting: String,
        /// The name that was looked for.
        wanted: String,
        /// How many columns match.
        count: usize,
        /// Physical line of the header.
        header_line: u64,
    },
    /// A required field has neither a column nor a value.
    #[error(
        "{name}: no column for `{field}`{}; the columns in line {header_line} are {columns}; choose one with --map '{field}=COLUMN'{hint}",
        required_by.map_or_else(String::new, |who| format!(", which {who} requires"))
    )]
    MissingField {
        /// File or standard input.
        name: String,
        /// The field.
        field: String,
        /// What requires it.
        required_by: Option<&'static str>,
        /// Physical line of the header.
        header_line: u64,
        /// All column names.
        columns: String,
        /// More advice, with its leading punctuation.
        hint: String,
    },
    /// A field is given twice.
    #[error("`{field}` is given twice (by --map or --set); give each field once")]
    FieldTwice {
        /// The field.
        field: String,
    },
    /// A setting that would give all people one id.
    #[error("--set id=…: every row would get the same id; map a column with --map id=COLUMN")]
    SetId,
    /// One column for both names, and nobody said which word is which.
    #[error(
        "`{column}` is mapped to firstName and to lastName; say how it is split: --set name-order=first-last where the last word is the last name (`Ada King Lovelace`), --set name-order=last-first where the first word is"
    )]
    WholeName {
        /// The column.
        column: String,
    },
    /// An order of names, and no column that holds whole names.
    #[error(
        "--set name-order={order}: firstName and lastName do not come from one column; map both to the column that holds the whole name, with --map firstName=COLUMN --map lastName=COLUMN, or leave name-order out"
    )]
    NothingToSplit {
        /// The order.
        order: &'static str,
    },
    /// Only an id may be composed of several columns.
    #[error("--map {field}=…: only the id can be composed of several columns; name one column")]
    Composed {
        /// The field.
        field: String,
    },
    /// A record that does not end.
    #[error(
        "{name}: the row in line {line} is longer than {megabytes} MiB; this is no CSV of people, or its line ends are lost"
    )]
    RowTooLong {
        /// File or standard input.
        name: String,
        /// The physical line where it begins.
        line: u64,
        /// The bound.
        megabytes: usize,
    },
    /// The mapped answers do not fit the webinar's form.
    #[error(transparent)]
    Form(#[from] FormFault),
    /// Every row is left out.
    #[error("nobody is left: {why}; check the filter, or add --allow-empty")]
    NobodyLeft {
        /// What leaves them out.
        why: String,
    },
    /// The copy that outlives changes of the file cannot be written.
    #[error("{}: the working copy of the input cannot be written: {cause}", directory.display())]
    Copy {
        /// Where it was to be.
        directory: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
}
