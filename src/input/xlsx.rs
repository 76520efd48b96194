//! `.xlsx`: Office Open XML (ECMA-376, part 1, `SpreadsheetML`), one part of the archive a sheet.

use std::vec;

use jiff::{ToSpan as _, civil::date};
use quick_xml::events::Event;

use super::sheet::{
    Archive, Book, MAX_COLUMNS, Meter, SheetFault, Sink, Value, Xml, add_text, attribute,
    no_spreadsheet,
};

/// The texts that cells share are kept in memory: 100,000 people with six texts of 40 letters each, none
/// of them twice, take a third of this.
const MAX_SHARED: usize = 64 << 20;

/// How a number is shown, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    General,
    /// `00000`: so many digits at least.
    Zeros(usize),
    Date,
    Time,
}

pub(super) struct Xlsx<'a> {
    archive: &'a mut Archive,
    meter: &'a Meter,
    /// The names of the sheets and of their parts, visible ones first.
    sheets: vec::IntoIter<(String, String)>,
    part: String,
    strings: Strings,
    formats: Vec<Format>,
    from_1904: bool,
}

/// The texts that cells share, one behind the other.
#[derive(Default)]
struct Strings {
    text: String,
    ends: Vec<u32>,
}

impl Strings {
    fn get(&self, place: usize) -> Option<&str> {
        let end = *self.ends.get(place)? as usize;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        Some(&self.text[start..end])
    }
}

impl<'a> Xlsx<'a> {
    pub(super) fn open(archive: &'a mut Archive, meter: &'a Meter) -> Result<Self, SheetFault> {
        let main = |kind: &str| kind.ends_with("/officeDocument");
        let workbook = relations(archive, "", "_rels/.rels", meter)?
            .into_iter()
            .find(|relation| main(&relation.kind))
            .ok_or_else(no_spreadsheet)?
            .part;
        let (folder, file) = workbook.rsplit_once('/').unwrap_or(("", &workbook));
        let relations = relations(archive, folder, &format!("{folder}/_rels/{file}.rels"), meter)?;
        let (mut sheets, mut from_1904) = (Vec::new(), false);
        let mut xml = Xml::of(archive, &workbook, meter)?.ok_or_else(no_spreadsheet)?;
        let mut is_workbook = false;
        loop {
            match xml.next()? {
                Event::Start(tag) => match tag.local_name().as_ref() {
                    "workbook" => is_workbook = true,
                    "workbookPr" => {
                        from_1904 = attribute(&tag, "date1904").is_some_and(|on| is_on(&on));
                    }
                    "sheet" => {
                        let id = attribute(&tag, "id").unwrap_or_default();
                        let is_sheet = |relation: &&Relation| {
                            relation.id == id && relation.kind.ends_with("/worksheet")
                        };
                        if let Some(relation) = relations.iter().find(is_sheet) {
                            let name = attribute(&tag, "name").unwrap_or_default();
                            let is_hidden =
                                attribute(&tag, "state").is_some_and(|s| s != "visible");
                            sheets.push((is_hidden, name, relation.part.clone()));
                        }
                    }
                    _ => {}
                },
                Event::Eof => break,
                _ => {}
            }
        }
        if !is_workbook {
            return Err(no_spreadsheet());
        }
        drop(xml);
        sheets.sort_by_key(|(is_hidden, ..)| *is_hidden);
        let sheets: Vec<_> = sheets.into_iter().map(|(_, name, part)| (name, part)).collect();
        let part = |kind: &str| {
            relations.iter().find(|relation| relation.kind.ends_with(kind)).map(|r| &r.part)
        };
        let strings = match part("/sharedStrings") {
            Some(part) => shared_strings(archive, part, meter)?,
            None => Strings::default(),
        };
        let formats = match part("/styles") {
            Some(part) => formats(archive, part, meter)?,
            None => Vec::new(),
        };
        let (sheets, part) = (sheets.into_iter(), String::new());
        Ok(Self { archive, meter, sheets, part, strings, formats, from_1904 })
    }
}

fn is_on(value: &str) -> bool {
    matches!(value, "1" | "true")
}

/// How one part names another.
struct Relation {
    id: String,
    kind: String,
    part: String,
}

fn relations(
    archive: &mut Archive,
    folder: &str,
    part: &str,
    meter: &Meter,
) -> Result<Vec<Relation>, SheetFault> {
    let mut relations = Vec::new();
    let part = part.trim_start_matches('/');
    let Some(mut xml) = Xml::of(archive, part, meter)? else { return Ok(relations) };
    loop {
        match xml.next()? {
            Event::Start(tag) if tag.local_name().as_ref() == "Relationship" => {
                let value = |name| attribute(&tag, name).unwrap_or_default();
                let target = value("Target");
                let part = match target.strip_prefix('/') {
                    Some(whole) => whole.to_owned(),
                    None if folder.is_empty() => target,
                    None => format!("{folder}/{}", target.trim_start_matches("./")),
                };
                relations.push(Relation { id: value("Id"), kind: value("Type"), part });
            }
            Event::Eof => return Ok(relations),
            _ => {}
        }
    }
}

/// Reads `<si>`: texts, or runs of them; how a word is pronounced (`<rPh>`) is not part of it.
fn shared_strings(archive: &mut Archive, part: &str, meter: &Meter) -> Result<Strings, SheetFault> {
    let mut strings = Strings::default();
    let Some(mut xml) = Xml::of(archive, part, meter)? else { return Ok(strings) };
    let (mut text, mut in_text, mut in_phonetic) = (String::new(), false, false);
    loop {
        match xml.next()? {
            Event::Start(tag) => match tag.local_name().as_ref() {
                "t" => in_text = !in_phonetic,
                "rPh" => in_phonetic = true,
                _ => {}
            },
            Event::End(tag) => match tag.local_name().as_ref() {
                "t" => in_text = false,
                "rPh" => in_phonetic = false,
                "si" => {
                    strings.text.push_str(&unescaped(&text));
                    text.clear();
                    let kept = strings.text.len() + strings.ends.len() * size_of::<u32>();
                    let end = u32::try_from(strings.text.len()).ok().filter(|_| kept < MAX_SHARED);
                    strings.ends.push(end.ok_or_else(|| {
                        SheetFault::new(
                            format!("the workbook's texts are more than {} MiB", MAX_SHARED >> 20),
                            "save the sheet as `CSV UTF-8`",
                        )
                    })?);
                }
                _ => {}
            },
            Event::Eof => return Ok(strings),
            event if in_text => add_text(&mut text, &event)?,
            _ => {}
        }
    }
}

/// `_x000D_` is how a text holds a character that XML does not (ECMA-376, part 1, 22.9.2.19).
fn unescaped(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains("_x") {
        return text.into();
    }
    let (mut whole, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("_x") {
        let char = rest
            .get(at + 2..at + 7)
            .and_then(|code| code.strip_suffix('_'))
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .and_then(char::from_u32);
        let (end, char) = char.map_or((at + 2, None), |char| (at + 7, Some(char)));
        whole.push_str(&rest[..if char.is_some() { at } else { end }]);
        whole.extend(char);
        rest = &rest[end..];
    }
    whole.push_str(rest);
    whole.into()
}

/// How each style of cells shows numbers.
fn formats(archive: &mut Archive, part: &str, meter: &Meter) -> Result<Vec<Format>, SheetFault> {
    let (mut formats, mut own, mut in_cells) = (Vec::new(), Vec::new(), false);
    let Some(mut xml) = Xml::of(archive, part, meter)? else { return Ok(formats) };
    loop {
        match xml.next()? {
            Event::Start(tag) => match tag.local_name().as_ref() {
                "numFmt" => {
                    let code = attribute(&tag, "formatCode").unwrap_or_default();
                    own.push((attribute(&tag, "numFmtId"), format_of(&code)));
                }
                "cellXfs" => in_cells = true,
                "xf" if in_cells => {
                    let id = attribute(&tag, "numFmtId");
                    let format = own.iter().find(|(own, _)| *own == id).map(|(_, format)| *format);
                    let id = id.and_then(|id| id.parse().ok()).unwrap_or_default();
                    formats.push(format.unwrap_or_else(|| builtin_format(id)));
                }
                _ => {}
            },
            Event::End(tag) if tag.local_name().as_ref() == "cellXfs" => in_cells = false,
            Event::Eof => return Ok(formats),
            _ => {}
        }
    }
}

/// The formats that have a number only (ECMA-376, part 1, 18.8.30).
fn builtin_format(id: u32) -> Format {
    match id {
        18..=21 | 45..=47 => Format::Time,
        14..=17 | 22 | 27..=36 | 50..=58 => Format::Date,
        _ => Format::General,
    }
}

fn format_of(code: &str) -> Format {
    let code = code.split(';').next().unwrap_or_default();
    if !code.is_empty() && code.bytes().all(|b| b == b'0') {
        return Format::Zeros(code.len());
    }
    // What is in quotes, behind a backslash, or in brackets (a colour, a currency) is no part of a
    // date; `[h]` is one of a time.
    let (mut letters, mut chars) = (String::new(), code.chars());
    while let Some(char) = chars.next() {
        match char {
            '"' => drop(chars.by_ref().find(|&c| c == '"')),
            '\\' | '_' | '*' => drop(chars.next()),
            '[' => {
                let inner: String = chars.by_ref().take_while(|&c| c != ']').collect();
                letters.extend(inner.chars().next().filter(|_| {
                    inner.chars().all(|c| matches!(c.to_ascii_lowercase(), 'h' | 'm' | 's'))
                }));
            }
            char => letters.push(char.to_ascii_lowercase()),
        }
    }
    if letters.starts_with("general") {
        return Format::General;
    }
    if letters.contains(['d', 'y']) || letters.contains("mmm") {
        Format::Date
    } else if letters.contains(['h', 's']) {
        Format::Time
    } else if letters.contains('m') {
        Format::Date
    } else {
        Format::General
    }
}

impl Book for Xlsx<'_> {
    fn next_sheet(&mut self) -> Result<Option<String>, SheetFault> {
        let Some((name, part)) = self.sheets.next() else { return Ok(None) };
        self.part = part;
        Ok(Some(name))
    }

    fn read_rows(&mut self, sink: &mut Sink) -> Result<(), SheetFault> {
        let missing = || SheetFault::damaged("a sheet is missing");
        let mut xml = Xml::of(self.archive, &self.part, self.meter)?.ok_or_else(missing)?;
        let (mut next_row, mut next_column) = (0_u32, 0_u32);
        let (mut kind, mut format, mut text) = (String::new(), Format::General, String::new());
        let (mut in_text, mut in_phonetic, mut has_formula) = (false, false, false);
        loop {
            match xml.next()? {
                Event::Start(tag) => match tag.local_name().as_ref() {
                    "row" => {
                        let row = attribute(&tag, "r").and_then(|r| r.parse::<u32>().ok());
                        let row = row.and_then(|row| row.checked_sub(1)).unwrap_or(next_row);
                        let is_hidden = attribute(&tag, "hidden").is_some_and(|on| is_on(&on));
                        sink.row(row, is_hidden)?;
                        (next_row, next_column) = (row.saturating_add(1), 0);
                    }
                    "c" => {
                        let place = attribute(&tag, "r").and_then(|place| column_of(&place));
                        next_column = place.unwrap_or(next_column);
                        kind = attribute(&tag, "t").unwrap_or_default();
                        let style = attribute(&tag, "s").and_then(|style| style.parse().ok());
                        let style = style.and_then(|style: usize| self.formats.get(style));
                        format = style.copied().unwrap_or(Format::General);
                        text.clear();
                        has_formula = false;
                    }
                    "f" => has_formula = true,
                    "v" => in_text = true,
                    "t" => in_text = !in_phonetic,
                    "rPh" => in_phonetic = true,
                    _ => {}
                },
                Event::End(tag) => match tag.local_name().as_ref() {
                    "v" | "t" => in_text = false,
                    "rPh" => in_phonetic = false,
                    "c" => {
                        let shown;
                        let value = match kind.as_str() {
                            "s" => {
                                let place = text.trim().parse().ok();
                                let shared = place.and_then(|place| self.strings.get(place));
                                Value::Text(shared.ok_or_else(|| {
                                    SheetFault::damaged("a cell names a text that is not there")
                                })?)
                            }
                            "str" | "inlineStr" => {
                                shown = unescaped(&text).into_owned();
                                Value::Text(&shown)
                            }
                            _ if has_formula && text.trim().is_empty() => Value::NotKept,
                            "e" => Value::Text(&text),
                            "b" => Value::Other(if is_on(text.trim()) { "TRUE" } else { "FALSE" }),
                            "d" => Value::Other(&text),
                            _ => {
                                let is_id;
                                (shown, is_id) = number(text.trim(), format, self.from_1904);
                                if is_id { Value::Number(&shown) } else { Value::Other(&shown) }
                            }
                        };
                        sink.cell(next_column, &value)?;
                        next_column += 1;
                    }
                    "sheetData" => return Ok(()),
                    _ => {}
                },
                Event::Eof => return Ok(()),
                event if in_text => add_text(&mut text, &event)?,
                _ => {}
            }
        }
    }
}

/// The column of `AB12`, counted from 0.
fn column_of(place: &str) -> Option<u32> {
    let letters = place.bytes().take_while(u8::is_ascii_alphabetic);
    let column = letters.take(4).fold(0_u32, |column, letter| {
        column * 26 + u32::from(letter.to_ascii_uppercase() - b'A') + 1
    });
    (1..=MAX_COLUMNS).contains(&column).then(|| column - 1)
}

/// A number as it is shown, and whether it can be an id: a whole number of at most 15 digits, which is
/// what Excel keeps.
pub(super) fn number_text(number: f64) -> (String, bool) {
    if number.abs() >= 1e21 {
        return (format!("{number:E}"), false);
    }
    // Sums of decimals have a rest in the digits that Excel does not keep.
    let kept = if number.abs() < 1e15 {
        format!("{number:.14e}").parse().unwrap_or(number)
    } else {
        number
    };
    (format!("{kept}"), kept.fract() == 0.0 && kept.abs() < 1e15)
}

fn number(text: &str, format: Format, from_1904: bool) -> (String, bool) {
    let Some(number) = text.parse::<f64>().ok().filter(|number| number.is_finite()) else {
        return (text.to_owned(), text.is_empty());
    };
    if matches!(format, Format::Date | Format::Time)
        && let Some(shown) = moment(number, format == Format::Date, from_1904)
    {
        return (shown, false);
    }
    let (shown, is_id) = number_text(number);
    match format {
        Format::Zeros(digits) if is_id && number >= 0.0 => (format!("{shown:0>digits$}"), true),
        _ => (shown, is_id),
    }
}

/// A date, a time, or both as ISO 8601 writes them. Days count from the end of 1899, in a year 1900 that
/// has a 29 February, or from 1904 (ECMA-376, part 1, 18.17.4).
fn moment(serial: f64, is_date: bool, from_1904: bool) -> Option<String> {
    /// The last day that a spreadsheet knows: 9999-12-31.
    const LAST: f64 = 2_958_466.0;
    if !(0.0..LAST).contains(&serial) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is below three million days")]
    let seconds = (serial * 86_400.0).round() as i64;
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let clock = |hours: i64| format!("{hours:02}:{:02}:{:02}", time / 60 % 60, time % 60);
    if !is_date || days == 0 && time > 0 {
        return Some(clock(seconds / 3_600));
    }
    let start = match (from_1904, days) {
        (true, _) => date(1904, 1, 1),
        (false, 0..60) => date(1899, 12, 31),
        (false, _) => date(1899, 12, 30),
    };
    let day = start.checked_add(days.days()).ok()?;
    Some(if time == 0 { day.to_string() } else { format!("{day}T{}", clock(time / 3_600)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_tells_dates_and_zeros() {
        for (code, format) in [
            ("00000", Format::Zeros(5)),
            ("00000;-0", Format::Zeros(5)),
            ("0.00", Format::General),
            ("General", Format::General),
            ("#,##0 \"days\"", Format::General),
            ("[Red]0", Format::General),
            ("yyyy\\-mm\\-dd", Format::Date),
            ("[$-407]d/m/yyyy", Format::Date),
            ("mmm", Format::Date),
            ("h:mm", Format::Time),
            ("[hh]:mm:ss", Format::Time),
            ("mm:ss", Format::Time),
        ] {
            assert_eq!(format_of(code), format, "{code}");
        }
    }

    #[test]
    fn a_number_is_shown_as_excel_keeps_it() {
        let shown = |text: &str, format| number(text, format, false);
        let general = |text: &str| shown(text, Format::General);
        assert_eq!(general("18441600001"), ("18441600001".into(), true));
        assert_eq!(general("999999999999999"), ("999999999999999".into(), true));
        assert_eq!(general("1234567890123456"), ("1234567890123456".into(), false));
        assert_eq!(general("1.23E+3"), ("1230".into(), true));
        assert_eq!(general("0.30000000000000004"), ("0.3".into(), false));
        assert_eq!(general("1.5"), ("1.5".into(), false));
        assert_eq!(shown("42", Format::Zeros(5)), ("00042".into(), true));
        assert_eq!(shown("123456", Format::Zeros(5)), ("123456".into(), true));
        let date = |text: &str| shown(text, Format::Date).0;
        assert_eq!(date("1"), "1900-01-01");
        assert_eq!(date("59"), "1900-02-28");
        assert_eq!(date("61"), "1900-03-01");
        assert_eq!(date("45415"), "2024-05-03");
        assert_eq!(date("45415.383842592596"), "2024-05-03T09:12:44");
        assert_eq!(number("0", Format::Date, true).0, "1904-01-01");
        assert_eq!(shown("0.5", Format::Time), ("12:00:00".into(), false));
        assert_eq!(shown("1.5", Format::Time).0, "36:00:00");
        assert_eq!(date("1e300"), format!("{:E}", 1e300));
    }

    #[test]
    fn characters_that_xml_lacks_are_escaped_in_a_text() {
        assert_eq!(unescaped("a_x000D_b_x005F_x0041_"), "a\rb_x0041_");
        for text in ["_x", "a_x00", "_xZZZZ_", "_x12é4_", "_xD800_"] {
            assert_eq!(unescaped(text), text);
        }
    }

    #[test]
    fn a_place_has_a_column() {
        assert_eq!((column_of("A1"), column_of("xfd9")), (Some(0), Some(16_383)));
        assert_eq!((column_of("XFE1"), column_of("1"), column_of("AAAAAAAA1")), (None, None, None));
    }
}
