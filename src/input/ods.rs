//! `.ods`: `OpenDocument` 1.3, part 3 (OASIS), all sheets in one XML.

use quick_xml::events::{BytesStart, Event};

use super::{
    csv::MAX_ROW,
    sheet::{
        Archive, Book, MAX_COLUMNS, MAX_ROWS, Meter, SheetFault, Sink, Value, Xml, add_text,
        attribute, encrypted, no_spreadsheet,
    },
    xlsx::number_text,
};

pub(super) struct Ods<'a> {
    xml: Xml<'a>,
    /// Whether the table that was named last is still to be read.
    in_table: bool,
}

/// A cell that is read.
#[derive(Default)]
struct Content {
    repeated: u32,
    kind: String,
    value: String,
    has_formula: bool,
    is_error: bool,
    text: String,
    paragraphs: u32,
}

/// A row that is read: where each of its filled cells stands, and what it holds.
type RowCells = Vec<(u32, u32, Content)>;

impl<'a> Ods<'a> {
    /// Whether it is a spreadsheet, and can be read without a password.
    pub(super) fn check(archive: &mut Archive, meter: &Meter) -> Result<(), SheetFault> {
        let mut is_sheet = false;
        let Some(mut xml) = Xml::of(archive, "META-INF/manifest.xml", meter)? else {
            return Ok(());
        };
        loop {
            match xml.next()? {
                Event::Start(tag) => match tag.local_name().as_ref() {
                    "encryption-data" => return Err(encrypted()),
                    "file-entry" => {
                        is_sheet |= attribute(&tag, "full-path").as_deref() == Some("/")
                            && attribute(&tag, "media-type").is_some_and(|kind| {
                                kind.starts_with("application/vnd.oasis.opendocument.spreadsheet")
                            });
                    }
                    _ => {}
                },
                Event::Eof if is_sheet => return Ok(()),
                Event::Eof => return Err(no_spreadsheet()),
                _ => {}
            }
        }
    }

    pub(super) fn open(archive: &'a mut Archive, meter: &'a Meter) -> Result<Self, SheetFault> {
        let xml = Xml::of(archive, "content.xml", meter)?.ok_or_else(no_spreadsheet)?;
        Ok(Self { xml, in_table: false })
    }
}

fn repeated(tag: &BytesStart<'_>, name: &str, most: u32) -> u32 {
    let count = attribute(tag, name).and_then(|count| count.parse().ok()).unwrap_or(1);
    count.clamp(1, most)
}

impl Book for Ods<'_> {
    fn next_sheet(&mut self) -> Result<Option<String>, SheetFault> {
        let mut depth = u32::from(self.in_table);
        loop {
            match self.xml.next()? {
                Event::Start(tag) if tag.local_name().as_ref() == "table" => {
                    depth += 1;
                    if depth == 1 {
                        self.in_table = true;
                        return Ok(Some(attribute(&tag, "name").unwrap_or_default()));
                    }
                }
                Event::End(tag) if tag.local_name().as_ref() == "table" => {
                    depth = depth.saturating_sub(1);
                }
                Event::Eof => return Ok(None),
                _ => {}
            }
        }
    }

    fn read_rows(&mut self, sink: &mut Sink) -> Result<(), SheetFault> {
        self.in_table = false;
        let (mut row, mut rows, mut column, mut is_hidden) = (0_u32, 1_u32, 0_u32, false);
        let (mut cells, mut cell) = (RowCells::new(), None::<Content>);
        // How deep in a nested table, and in a comment on a cell.
        let (mut nested, mut comment) = (0_u32, 0_u32);
        let (mut in_text, mut length) = (0_u32, 0_usize);
        loop {
            match self.xml.next()? {
                Event::Start(tag) => match tag.local_name().as_ref() {
                    "table" => nested += 1,
                    "annotation" => comment += 1,
                    _ if nested > 0 || comment > 0 => {}
                    "table-row" => {
                        rows = repeated(&tag, "number-rows-repeated", MAX_ROWS);
                        let shown = attribute(&tag, "visibility");
                        is_hidden = shown.is_some_and(|shown| shown != "visible");
                        (column, length) = (0, 0);
                        cells.clear();
                    }
                    "table-cell" | "covered-table-cell" => cell = Some(Content::begin(&tag)),
                    _ => {
                        if let Some(cell) = &mut cell {
                            in_text += cell.add_tag(&tag)?;
                        }
                    }
                },
                Event::End(tag) => match tag.local_name().as_ref() {
                    "table" if nested == 0 => return Ok(()),
                    "table" => nested -= 1,
                    "annotation" => comment = comment.saturating_sub(1),
                    _ if nested > 0 || comment > 0 => {}
                    "p" => in_text = in_text.saturating_sub(1),
                    "table-cell" | "covered-table-cell" => {
                        let Some(done) = cell.take() else { continue };
                        let count = done.repeated;
                        if column.saturating_add(count) > MAX_COLUMNS {
                            return Err(SheetFault::damaged("a row has too many cells"));
                        }
                        length += done.text.len();
                        if length > MAX_ROW {
                            return Err(SheetFault::damaged("a row is too long"));
                        }
                        cells.push((column, count, done));
                        // What is empty is told by the next column's place.
                        if cells.last().is_some_and(|(.., cell)| cell.is_empty()) {
                            cells.pop();
                        }
                        column += count;
                    }
                    "table-row" => {
                        if row.saturating_add(rows) > MAX_ROWS && !cells.is_empty() {
                            return Err(SheetFault::damaged("it has too many rows"));
                        }
                        if !cells.is_empty() {
                            for row in row..row + rows {
                                sink.row(row, is_hidden)?;
                                write(&cells, sink)?;
                            }
                        }
                        row = row.saturating_add(rows);
                    }
                    _ => {}
                },
                Event::Eof => return Err(SheetFault::damaged("a sheet does not end")),
                event if in_text > 0 && comment == 0 && nested == 0 => {
                    if let Some(cell) = &mut cell {
                        add_text(&mut cell.text, &event)?;
                    }
                }
                _ => {}
            }
        }
    }
}

/// An attribute by its whole name: calc's own stand beside those of the format.
fn exact(tag: &BytesStart<'_>, name: &str) -> String {
    let mut attributes = tag.attributes();
    let mut found = attributes.with_checks(false).flatten();
    let found = found.find(|attribute| attribute.key.as_ref() == name);
    found.map_or_else(String::new, |attribute| attribute.value.into_owned())
}

impl Content {
    fn begin(tag: &BytesStart<'_>) -> Self {
        const VALUES: [&str; 5] =
            ["value", "date-value", "time-value", "boolean-value", "string-value"];
        let value = VALUES.iter().find_map(|name| attribute(tag, name));
        Self {
            repeated: repeated(tag, "number-columns-repeated", MAX_COLUMNS),
            kind: exact(tag, "office:value-type"),
            value: value.unwrap_or_default(),
            has_formula: attribute(tag, "formula").is_some(),
            is_error: exact(tag, "calcext:value-type") == "error",
            ..Self::default()
        }
    }

    /// Takes a tag within the cell: how many paragraphs it opens.
    fn add_tag(&mut self, tag: &BytesStart<'_>) -> Result<u32, SheetFault> {
        match tag.local_name().as_ref() {
            "p" => {
                self.text.extend((self.paragraphs > 0).then_some('\n'));
                self.paragraphs += 1;
                return Ok(1);
            }
            "s" => self.text.extend((0..repeated(tag, "c", 1 << 16)).map(|_| ' ')),
            "tab" => self.text.push('\t'),
            "line-break" => self.text.push('\n'),
            _ => {}
        }
        // Only for its bound.
        add_text(&mut self.text, &Event::Eof)?;
        Ok(0)
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.value.is_empty() && !self.has_formula
    }

    fn write(&self, column: u32, sink: &mut Sink) -> Result<(), SheetFault> {
        let text = if self.paragraphs > 0 { &self.text } else { &self.value };
        let shown;
        let value = match self.kind.as_str() {
            _ if self.is_error => {
                shown = if text.starts_with('#') { text.as_str() } else { "#VALUE!" };
                Value::Text(shown)
            }
            "float" | "percentage" | "currency" => {
                let number = self.value.parse::<f64>().ok().filter(|number| number.is_finite());
                let Some(number) = number else {
                    return Err(SheetFault::damaged("a number is none"));
                };
                let (plain, is_id) = number_text(number);
                // LibreOffice keeps a truth value as a number that is shown as a word.
                if !self.text.is_empty() && !self.text.contains(|c: char| c.is_numeric()) {
                    return sink.cell(column, &Value::Other(&self.text));
                }
                // `00042` is how its format shows 42.
                let digits = self.text.trim_start_matches('0');
                let padded = self.text.len() > plain.len()
                    && (digits == plain || digits.is_empty() && plain == "0");
                let text = if padded { &self.text } else { &plain };
                let value = if is_id { Value::Number(text) } else { Value::Other(text) };
                return sink.cell(column, &value);
            }
            "date" => Value::Other(self.value.strip_suffix("T00:00:00").unwrap_or(&self.value)),
            "time" => {
                let clock = clock(&self.value).unwrap_or_else(|| self.value.clone());
                return sink.cell(column, &Value::Other(&clock));
            }
            "boolean" => Value::Other(if self.value == "true" { "TRUE" } else { "FALSE" }),
            "string" => Value::Text(text),
            _ if self.has_formula && text.is_empty() => Value::NotKept,
            _ => Value::Text(text),
        };
        sink.cell(column, &value)
    }
}

fn write(cells: &RowCells, sink: &mut Sink) -> Result<(), SheetFault> {
    for (column, count, cell) in cells {
        for column in *column..column + count {
            cell.write(column, sink)?;
        }
    }
    Ok(())
}

/// `PT36H05M09S` as `36:05:09`.
fn clock(duration: &str) -> Option<String> {
    let (hours, rest) = duration.strip_prefix("PT")?.split_once('H')?;
    let (minutes, seconds) = rest.strip_suffix('S')?.split_once('M')?;
    let whole = seconds.split(['.', ',']).next().unwrap_or_default();
    Some(format!("{hours:0>2}:{minutes:0>2}:{whole:0>2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_as_a_clock_does() {
        assert_eq!(clock("PT09H12M44S").as_deref(), Some("09:12:44"));
        assert_eq!(clock("PT36H05M09.500000000S").as_deref(), Some("36:05:09"));
        assert_eq!(clock("P1D"), None);
    }
}
