//! Spreadsheets, `.xlsx` and `.ods`, told by their content: one sheet becomes a text, and from there on
//! it is read as a CSV is.
//!
//! The text has one line for each row of the sheet, so that a row's line is its number there; a cell's
//! own line breaks are written as [`BREAKS`] meanwhile. Its delimiter ([`Delimiter::SHEET`]) can stand in
//! no cell, and tells everything below that the cells come from a sheet. Cells keep their text verbatim;
//! what a number, a date or a formula becomes is said in [`Sink`] and in the two readers.
//!
//! Both formats are XML in a zip archive, and both are streamed: neither the size that a sheet claims nor
//! the size to which it unpacks is memory, and both are bounded ([`Meter`]). The zip crate reads the
//! archive, quick-xml the XML. calamine, which knows both formats, tells neither hidden rows nor number
//! formats (`00042`), and lays a sheet out in memory with all its empty cells.

use std::{
    cell::Cell,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
};

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use zip::{ZipArchive, result::ZipError};

use super::{
    Delimiter, InputError,
    csv::{BREAKS, MAX_ROW, NO_ID},
};

/// A spreadsheet's parts, unpacked, and the text that is made of a sheet are not larger. Excel's own limit is 1,048,576
/// rows; a row of twenty cells takes 1 KB.
pub(super) const MAX_UNPACKED: u64 = 1 << 30;
/// Rows and columns that a sheet can have (Microsoft, *Excel specifications and limits*).
pub(super) const MAX_ROWS: u32 = 1 << 20;
pub(super) const MAX_COLUMNS: u32 = 1 << 14;

/// [`Delimiter::SHEET`] as a text.
const SEPARATOR: &str = "\u{1f}";
/// What a formula without a kept value becomes: the spreadsheet's word for a value that is not there.
const NO_VALUE: &str = "#N/A";

/// Why a spreadsheet cannot be read: what is wrong, and what to do.
#[derive(Debug)]
pub(super) struct SheetFault {
    pub(super) what: String,
    next: &'static str,
}

impl SheetFault {
    pub(super) fn new(what: impl Into<String>, next: &'static str) -> Self {
        Self { what: what.into(), next }
    }

    pub(super) fn damaged(what: &str) -> Self {
        let what = format!("the spreadsheet is cut or damaged ({what})");
        Self::new(what, "export or copy it again, or save the sheet as `CSV UTF-8`")
    }

    pub(super) fn too_large(what: String) -> Self {
        Self::new(what, "save the sheet as `CSV UTF-8`")
    }

    pub(super) fn explained(self, name: &str) -> InputError {
        InputError::Spreadsheet { name: name.to_owned(), what: self.what, next: self.next }
    }
}

impl From<io::Error> for SheetFault {
    fn from(error: io::Error) -> Self {
        (&error).into()
    }
}

impl From<&io::Error> for SheetFault {
    fn from(error: &io::Error) -> Self {
        if error.get_ref().and_then(|inner| inner.downcast_ref::<TooLarge>()).is_none() {
            return Self::damaged("its data cannot be unpacked");
        }
        let most = MAX_UNPACKED >> 20;
        Self::too_large(format!("the spreadsheet unpacks to more than {most} MiB"))
    }
}

impl From<quick_xml::Error> for SheetFault {
    fn from(error: quick_xml::Error) -> Self {
        match error {
            quick_xml::Error::Io(error) => (&*error).into(),
            // What it says may quote the file.
            _ => Self::damaged("its XML is not well-formed"),
        }
    }
}

impl From<ZipError> for SheetFault {
    fn from(error: ZipError) -> Self {
        match error {
            ZipError::UnsupportedArchive(what) if what == ZipError::PASSWORD_REQUIRED => {
                encrypted()
            }
            ZipError::Io(error) => error.into(),
            _ => Self::damaged("its zip archive cannot be read"),
        }
    }
}

pub(super) fn temporary(error: &io::Error) -> SheetFault {
    let what = format!("the spreadsheet cannot be copied to a temporary file ({error})");
    SheetFault::new(what, "make room, or set TMPDIR to another folder")
}

pub(super) fn encrypted() -> SheetFault {
    SheetFault::new("the spreadsheet is encrypted", "save it without a password")
}

#[derive(Debug, thiserror::Error)]
#[error("too large")]
struct TooLarge;

/// Counts what is unpacked: of all parts together, and since the last tag or text, because the reader
/// of XML keeps that in memory.
pub(super) struct Meter {
    left: Cell<u64>,
    left_of_event: Cell<u64>,
}

impl Meter {
    /// A meter of so many bytes.
    pub(super) fn new(most: u64) -> Self {
        Self { left: Cell::new(most), left_of_event: Cell::new(0) }
    }
}

struct Metered<'a> {
    from: Box<dyn Read + 'a>,
    meter: &'a Meter,
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        for left in [&self.meter.left, &self.meter.left_of_event] {
            let more = left.get().checked_sub(read as u64);
            left.set(more.ok_or_else(|| io::Error::other(TooLarge))?);
        }
        Ok(read)
    }
}

pub(super) type Archive = ZipArchive<File>;

/// The XML of one part of the archive.
pub(super) struct Xml<'a> {
    reader: Reader<BufReader<Metered<'a>>>,
    buffer: Vec<u8>,
    meter: &'a Meter,
}

impl<'a> Xml<'a> {
    /// `None` where the archive has no such part.
    pub(super) fn of(
        archive: &'a mut Archive,
        part: &str,
        meter: &'a Meter,
    ) -> Result<Option<Self>, SheetFault> {
        let from: Box<dyn Read + 'a> = match archive.by_name(part) {
            Ok(file) => Box::new(file),
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut reader = Reader::from_reader(BufReader::new(Metered { from, meter }));
        reader.config_mut().expand_empty_elements = true;
        Ok(Some(Self { reader, buffer: Vec::new(), meter }))
    }

    pub(super) fn next(&mut self) -> Result<Event<'_>, SheetFault> {
        self.buffer.clear();
        self.meter.left_of_event.set(MAX_ROW as u64);
        match self.reader.read_event_into(&mut self.buffer)? {
            Event::DocType(_) => Err(SheetFault::damaged("its XML has a document type")),
            event => Ok(event),
        }
    }
}

/// An attribute's value, by its name without a prefix.
pub(super) fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = tag.attributes();
    let found = attributes.with_checks(false).flatten();
    found.into_iter().find(|attribute| attribute.key.local_name().as_ref() == name).and_then(
        |attribute| {
            let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0);
            value.ok().map(std::borrow::Cow::into_owned)
        },
    )
}

/// Adds the text of an event, if it is one. Entities are XML's own five alone: others would have to be
/// defined by the document.
pub(super) fn add_text(text: &mut String, event: &Event<'_>) -> Result<(), SheetFault> {
    match event {
        Event::Text(part) => text.push_str(&part.xml10_content()),
        Event::CData(part) => text.push_str(&part.xml10_content()),
        Event::GeneralRef(name) => match name.resolve_char_ref()? {
            Some(char) => text.push(char),
            None => text.push_str(
                quick_xml::escape::resolve_predefined_entity(name)
                    .ok_or_else(|| SheetFault::damaged("its XML names an entity"))?,
            ),
        },
        _ => {}
    }
    if text.len() > MAX_ROW { Err(SheetFault::damaged("a cell is too long")) } else { Ok(()) }
}

/// A spreadsheet whose sheets are gone through once.
pub(super) trait Book {
    /// The name of the next sheet.
    fn next_sheet(&mut self) -> Result<Option<String>, SheetFault>;
    /// The rows of the sheet that was named last.
    fn read_rows(&mut self, sink: &mut Sink) -> Result<(), SheetFault>;
}

/// The sheet that is read, as `check` describes it.
#[derive(Clone, Debug, Default)]
pub(super) struct SheetInfo {
    pub(super) name: String,
    /// The other sheets.
    pub(super) others: Vec<String>,
    /// First and last filled row and column, counted from 0.
    pub(super) rows: Option<(u32, u32)>,
    columns: Option<(u32, u32)>,
    /// The first one, and how many.
    hidden: Option<(u32, u64)>,
    without_value: Option<(u32, u64)>,
}

impl SheetInfo {
    /// `A1:H120`.
    pub(super) fn range(&self) -> String {
        let ((top, bottom), (left, right)) =
            (self.rows.unwrap_or_default(), self.columns.unwrap_or_default());
        format!("{}{}:{}{}", letters(left), top + 1, letters(right), bottom + 1)
    }

    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.others.is_empty() {
            /// More names than this help nobody.
            const SHOWN: usize = 8;
            let mut others: Vec<String> =
                self.others.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
            if self.others.len() > SHOWN {
                others.push(format!("{} more", self.others.len() - SHOWN));
            }
            notes.push(format!(
                "the list is taken from the sheet `{}`; there are also {}: choose with --sheet NAME",
                self.name,
                others.join(", ")
            ));
        }
        if let Some((first, count)) = self.hidden {
            notes.push(if count == 1 {
                format!("row {} is hidden in the sheet (by a filter or by hand) and is read", first + 1)
            } else {
                format!(
                    "{count} rows are hidden in the sheet (by a filter or by hand) and are read, the first is row {}",
                    first + 1
                )
            });
        }
        if let Some((first, count)) = self.without_value {
            let formulas = if count == 1 {
                "1 formula has".to_owned()
            } else {
                format!("{count} formulas have")
            };
            notes.push(format!(
                "{formulas} no kept value, the first in row {}: read as `{NO_VALUE}`; open the file in a spreadsheet program and save it again",
                first + 1
            ));
        }
        notes
    }
}

/// A column's letters: `A` to `XFD`.
fn letters(column: u32) -> String {
    let mut letters = Vec::new();
    let mut left = column + 1;
    while left > 0 {
        letters.push(char::from(b'A' + ((left - 1) % 26) as u8));
        left = (left - 1) / 26;
    }
    letters.iter().rev().collect()
}

/// What a cell holds.
pub(super) enum Value<'a> {
    Text(&'a str),
    /// A whole number that a spreadsheet keeps in every digit, as it is shown.
    Number(&'a str),
    /// Another number, a date, a truth value: as a text it says what the sheet shows, and it is no id.
    Other(&'a str),
    /// A formula whose value is not kept.
    NotKept,
}

/// Takes a sheet's cells in their order and writes the text.
pub(super) struct Sink {
    file: BufWriter<File>,
    info: SheetInfo,
    /// The row that is written to, the next column in it, and whether it is hidden.
    row: u32,
    column: u32,
    is_hidden: bool,
    is_empty: bool,
    /// How much may still be written.
    left: u64,
}

impl Sink {
    pub(super) fn new(name: &str, most: u64) -> Result<Self, SheetFault> {
        let file = tempfile::tempfile().map_err(|error| temporary(&error))?;
        let info = SheetInfo { name: name.to_owned(), ..SheetInfo::default() };
        let file = BufWriter::with_capacity(1 << 16, file);
        let (is_hidden, is_empty) = (false, true);
        Ok(Self { file, info, row: 0, column: 0, is_hidden, is_empty, left: most })
    }

    fn write(&mut self, text: &str) -> Result<(), SheetFault> {
        let left = self.left.checked_sub(text.len() as u64);
        self.left = left.ok_or_else(|| io::Error::other(TooLarge))?;
        self.file.write_all(text.as_bytes()).map_err(|error| temporary(&error))
    }

    /// Begins a row, counted from 0.
    pub(super) fn row(&mut self, row: u32, is_hidden: bool) -> Result<(), SheetFault> {
        if row >= MAX_ROWS || row < self.row || row == self.row && !self.is_empty {
            return Err(SheetFault::damaged("its rows are out of order"));
        }
        while self.row < row {
            self.write("\n")?;
            self.row += 1;
        }
        (self.column, self.is_hidden, self.is_empty) = (0, is_hidden, true);
        Ok(())
    }

    /// The next cell of the row that is filled; columns count from 0.
    pub(super) fn cell(&mut self, column: u32, value: &Value<'_>) -> Result<(), SheetFault> {
        let (text, is_id) = match *value {
            Value::Text(text) | Value::Number(text) => (text, true),
            Value::Other(text) => (text, false),
            Value::NotKept => (NO_VALUE, true),
        };
        if text.is_empty() {
            return Ok(());
        }
        if column >= MAX_COLUMNS || !self.is_empty && column <= self.column {
            return Err(SheetFault::damaged("its cells are out of order"));
        }
        let from = if self.is_empty { 0 } else { self.column };
        for _ in from..column {
            self.write(SEPARATOR)?;
        }
        if matches!(value, Value::NotKept) {
            self.info.without_value.get_or_insert((self.row, 0)).1 += 1;
        }
        if self.is_empty && self.is_hidden {
            self.info.hidden.get_or_insert((self.row, 0)).1 += 1;
        }
        let widened = |span: Option<(u32, u32)>, at: u32| {
            let (first, last) = span.unwrap_or((at, at));
            Some((first.min(at), last.max(at)))
        };
        self.info.rows = widened(self.info.rows, self.row);
        self.info.columns = widened(self.info.columns, column);
        (self.is_empty, self.column) = (false, column);
        self.write(&encoded(text, is_id))
    }

    pub(super) fn finish(mut self) -> Result<(File, SheetInfo), SheetFault> {
        if !self.is_empty {
            self.write("\n")?;
        }
        let file = self.file.into_inner().map_err(|error| temporary(error.error()))?;
        Ok((file, self.info))
    }
}

/// A cell as it stands in the text.
fn encoded(text: &str, is_id: bool) -> std::borrow::Cow<'_, str> {
    let special =
        |c: char| c < ' ' || c == '"' || matches!(c, '\u{fdd0}'..='\u{fdd2}' | '\u{feff}');
    if is_id && !text.contains(special) {
        return text.into();
    }
    let mut cell = String::with_capacity(text.len() + 8);
    let is_quoted = text.contains(['"', '\u{feff}']);
    cell.extend(is_quoted.then_some('"'));
    cell.extend((!is_id).then_some(NO_ID));
    for char in text.chars() {
        match char {
            '"' => cell.push_str("\"\""),
            '\u{fdd0}'..='\u{fdd2}' => cell.push(char::REPLACEMENT_CHARACTER),
            char if char == Delimiter::SHEET.char() => cell.push(char::REPLACEMENT_CHARACTER),
            char => cell.push(BREAKS.iter().find(|(_, real)| *real == char).map_or(char, |b| b.0)),
        }
    }
    cell.extend(is_quoted.then_some('"'));
    cell.into()
}

pub(super) fn no_spreadsheet() -> SheetFault {
    SheetFault::new("this is a zip archive and no spreadsheet", "unpack it first")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_has_letters() {
        for (column, name) in [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (16_383, "XFD")] {
            assert_eq!(letters(column), name);
        }
        assert_eq!(SEPARATOR.parse(), Ok(Delimiter::SHEET.char()));
    }
}
