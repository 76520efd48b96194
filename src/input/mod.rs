//! The input room: from an event system's export, whatever it looks like, to numbered rows.
//!
//! [`open`] unpacks and decodes the source, finds delimiter and header, and maps the columns.
//! Then [`Input::into_rows`] reads it once as it streams by, or [`Input::snapshot`] keeps a copy
//! that can be read any number of times, because a run takes hours and the export may change
//! meanwhile. A [`Validator`] checks the rows. Nothing is guessed where a wrong guess would enrol the
//! wrong person: a row that cannot be read with certainty is reported with its line, an input that
//! cannot be read is one [`InputError`], and everything passed over is told.
//!
//! What stands behind the cells (layout, rows, sections) knows no bytes: the rows of a sheet can take
//! the same way.

use std::{
    fs::File,
    io::{BufWriter, Write},
    ops::Deref,
    path::Path,
    sync::{Arc, OnceLock},
};

mod command;
mod csv;
mod encoding;
mod error;
mod filter;
mod header;
mod layout;
mod mapping;
mod ods;
mod presets;
mod row;
mod rows;
mod sections;
mod sheet;
mod source;
mod trap;
mod validate;
mod workbook;
mod xlsx;

pub use command::{CommandFault, CommandLine, end as end_command};
pub use csv::{Delimiter, MAX_ROW, UnknownDelimiter};
pub use encoding::{Encoding, UnknownEncoding};
pub use error::InputError;
pub use filter::{BadFilter, Filter, Keep};
pub use header::{ENROLLED_COLUMNS, Header, REJECTS_COLUMNS};
pub use layout::{Detected, Layout, Options};
pub use mapping::{BadAssignment, JOINER, MapOption, Mapping, NameOrder, SetOption, UnknownOrder};
pub use presets::{Preset, PresetChoice, UnknownPreset, preset_names};
pub use row::{Row, Standing};
pub use rows::Rows;
pub use source::Source;
pub use trap::IdTrap;
pub use validate::{Clashes, RowCheck, RowLine, Survey, Validator, parse_row, row_line, survey};

use sha2::{Digest, Sha256};

use crate::registrant::Field;
use csv::Text;

use rows::{Findings, Progress};
use sheet::SheetInfo;
use source::{Bytes, Decoder};

/// An export that is recognised and mapped, and of which no row has been read.
pub struct Input {
    layout: Arc<Layout>,
    rows: Rows,
    shared: Arc<OnceLock<Findings>>,
    written_at: Option<i64>,
}

/// Opens an export and recognises it.
///
/// # Errors
/// [`InputError`] when it cannot be read, holds no rows, or a setting does not fit its header.
pub fn open(source: &Source, options: &Options) -> Result<Input, InputError> {
    let bytes = Bytes::of(source)?;
    let written_at = bytes.written_at;
    Ok(Input { written_at, ..open_bytes(&source.to_string(), bytes, options)? })
}

fn open_bytes(name: &str, mut bytes: Bytes, options: &Options) -> Result<Input, InputError> {
    let unreadable = |cause| InputError::Unreadable { name: name.to_owned(), cause };
    if workbook::is_archive(&bytes.peek().map_err(unreadable)?) {
        let text = |file: File| {
            let decoder = Decoder::copy(Arc::new(file));
            Text::new(name.to_owned(), decoder, 1)
        };
        let mut holds_list = |file: &File| {
            let layout = file.try_clone().map(|file| {
                Layout::recognise(name, &mut text(file), Some(&SheetInfo::default()), options)
            });
            layout.is_ok_and(|layout| layout.is_ok_and(|l| l.mapping.fills(&Field::Id)))
        };
        let (file, sheet) = workbook::read(
            &mut bytes.from,
            options.sheet.as_deref(),
            sheet::MAX_UNPACKED,
            &mut holds_list,
        )
        .map_err(|fault| fault.explained(name))?;
        return recognised(name, text(file), Some(&sheet), options);
    }
    if let Some(sheet) = &options.sheet {
        return Err(InputError::NoSheets { name: name.to_owned(), sheet: sheet.clone() });
    }
    let decoder = Decoder::new(bytes, options.encoding).map_err(|trouble| {
        trouble.explained(name, options.encoding.unwrap_or(Encoding::UTF_8), true, 1)
    })?;
    recognised(name, Text::new(name.to_owned(), decoder, 1), None, options)
}

fn recognised(
    name: &str,
    mut text: Text,
    sheet: Option<&SheetInfo>,
    options: &Options,
) -> Result<Input, InputError> {
    let layout = Arc::new(Layout::recognise(name, &mut text, sheet, options)?);
    let shared = Arc::default();
    let mut rows = Rows::new(Arc::clone(&layout), text, Progress::default(), Arc::clone(&shared));
    if rows.is_empty()? && !options.allow_empty {
        return Err(InputError::NoRows { name: name.to_owned(), header_line: layout.header.line });
    }
    Ok(Input { layout, rows, shared, written_at: None })
}

impl Input {
    /// What has to be told already. What the rows themselves bring to light (a footer, rows left
    /// out) is in [`Rows::notes`] after the last row.
    pub fn notes(&self) -> Vec<String> {
        self.layout.notes.clone()
    }

    /// Reads the rows once, as they stream by.
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
        let failed = |cause| InputError::Copy { directory: directory.to_owned(), cause };
        let (text, progress) = self.rows.into_parts();
        // Unlinked at once where the system can do it, else on closing; never readable by others.
        let file = tempfile::tempfile_in(directory).map_err(failed)?;
        let line = text.line();
        let mut copy = BufWriter::with_capacity(1 << 16, &file);
        let mut digest = Sha256::new();
        text.drain(|piece| {
            digest.update(piece);
            copy.write_all(piece.as_bytes()).map_err(failed)
        })?;
        copy.flush().map_err(failed)?;
        drop(copy);
        let (content, written_at) = (first_bits(digest), self.written_at);
        let (layout, shared) = (self.layout, self.shared);
        Ok(Snapshot { layout, file: Arc::new(file), line, progress, shared, content, written_at })
    }
}

/// The decoded rows of an input, in a file without a name: a copy that can be read many times, and
/// stays when the export is overwritten.
pub struct Snapshot {
    layout: Arc<Layout>,
    file: Arc<File>,
    /// The physical line of the first byte of the copy in the original file.
    line: u64,
    /// Where a pass over the copy begins.
    progress: Progress,
    shared: Arc<OnceLock<Findings>>,
    /// A digest of the copy.
    content: u64,
    written_at: Option<i64>,
}

/// What tells a list, and how it was read, from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListIdentity {
    /// When the file was written, in milliseconds since 1970; `None` for standard input.
    pub written_at: Option<i64>,
    /// A digest of its text.
    pub content: u64,
    /// A digest of how it is read: the id's columns, filters, preset.
    pub reading: u64,
}

fn first_bits(hash: Sha256) -> u64 {
    let digest = hash.finalize();
    digest.iter().take(8).fold(0, |bits, &byte| bits << 8 | u64::from(byte))
}

impl Snapshot {
    /// What tells this list from others.
    pub fn identity(&self) -> ListIdentity {
        let reading = first_bits(Sha256::new_with_prefix(self.layout.reading()));
        ListIdentity { written_at: self.written_at, content: self.content, reading }
    }

    /// Whether the rows are a list's, and one table with nothing of another beside it; known once a
    /// pass has reached the end. A rejects file is a part of the list that it was made from.
    pub fn is_whole_list(&self) -> bool {
        !self.layout.detected.rejects && self.shared.get().is_some_and(Findings::is_one_table)
    }

    /// A new pass over all rows; several may go on at once.
    pub fn rows(&self) -> Result<Rows, InputError> {
        tracing::debug!("the rows are read");
        let decoder = Decoder::copy(Arc::clone(&self.file));
        let text = Text::new(self.layout.name.clone(), decoder, self.line);
        let (layout, shared) = (Arc::clone(&self.layout), Arc::clone(&self.shared));
        Ok(Rows::new(layout, text, self.progress.clone(), shared))
    }

    /// What has to be told; with what the rows bring to light (a footer, rows left out) as soon as
    /// one pass has reached the end.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.layout.notes.clone();
        notes.extend(self.row_notes());
        notes
    }

    /// What the rows brought to light alone; nothing before one pass has reached the end.
    pub fn row_notes(&self) -> Vec<String> {
        self.shared.get().map_or_else(Vec::new, |findings| findings.notes(&self.layout))
    }
}

/// What was recognised in the head is asked of either alike.
impl Deref for Input {
    type Target = Layout;

    fn deref(&self) -> &Layout {
        &self.layout
    }
}

impl Deref for Snapshot {
    type Target = Layout;

    fn deref(&self) -> &Layout {
        &self.layout
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
