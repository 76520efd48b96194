//! The header: which row it is, its names, and how a name that a user types finds its column.
//!
//! Of all rows at the head of the file and all usual delimiters, the header is the row that holds
//! most of what the settings and the presets ask for; where nothing asks, the row with the width
//! that most rows have. Ties go to the earlier row, so data never outbids the header above it.

use std::collections::BTreeMap;

use super::{
    Delimiter, InputError,
    csv::{
        Cells, RecordAhead, Text, after_lines, before_last_cells, line_ending, line_of, records_of,
        separator_line,
    },
};
pub(super) use crate::registrant::normal;

/// The four columns that this program adds to a rejects file; an input that ends in them is one.
pub const REJECTS_COLUMNS: [&str; 4] = ["_line", "_outcome", "_code", "_reason"];

/// The enrolled file's own columns, which stand before the kept ones.
pub const ENROLLED_COLUMNS: [&str; 4] = ["id", "joinWebUrl", "registrantId", "status"];

/// The header of an input, without the four columns of a rejects file.
#[derive(Clone, Debug)]
pub struct Header {
    pub(super) names: Vec<String>,
    raw: String,
    /// Its text with the four columns of a rejects file.
    pub(super) whole: String,
    pub(super) line: u64,
    pub(super) delimiter: Delimiter,
    line_ending: &'static str,
}

impl Header {
    /// The names, as they stand in the file.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The header's own text, quotes and all, without its line end.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// Its physical line, counted from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The input's delimiter; of a sheet the one of the files that are written for it.
    pub fn delimiter(&self) -> Delimiter {
        if self.is_of_sheet() { Delimiter::COMMA } else { self.delimiter }
    }

    /// Whether the cells come from a spreadsheet.
    pub(super) fn is_of_sheet(&self) -> bool {
        self.delimiter == Delimiter::SHEET
    }

    /// How the header's line ends: LF, CRLF or CR.
    pub fn line_ending(&self) -> &'static str {
        self.line_ending
    }

    /// The names as a sentence lists them.
    pub(super) fn listed(&self) -> String {
        /// More names than this help nobody.
        const MOST: usize = 40;
        if self.is_personal() {
            return "not shown, for this line looks like a person's row, as if the header were missing"
                .to_owned();
        }
        let mut listed: Vec<String> = self
            .names
            .iter()
            .take(MOST)
            .map(|name| format!("`{}`", name.replace(['\r', '\n'], " ")))
            .collect();
        if self.names.len() > MOST {
            listed.push(format!("and {} more", self.names.len() - MOST));
        }
        listed.join(", ")
    }

    /// Whether this line is a person's rather than a header.
    fn is_personal(&self) -> bool {
        self.names.iter().any(|name| is_personal(name))
    }

    /// The column that a setting names; the name must be unambiguous.
    pub(super) fn column(&self, wanted: &str, setting: &str) -> Result<usize, InputError> {
        match find(&self.names, wanted).as_slice() {
            [] => Err(InputError::NoColumn {
                setting: setting.to_owned(),
                wanted: wanted.to_owned(),
                nearest: self.nearest(wanted),
                header_line: self.line,
                columns: self.listed(),
            }),
            [column] => Ok(*column),
            several => Err(InputError::AmbiguousColumn {
                setting: setting.to_owned(),
                wanted: wanted.to_owned(),
                count: several.len(),
                header_line: self.line,
            }),
        }
    }

    /// A name by which `Header::column` finds exactly this column.
    pub fn unique_name(&self, column: usize) -> String {
        let Some(name) = self.names.get(column) else { return String::new() };
        let same = find(&self.names, name);
        match same.iter().position(|&other| other == column) {
            Some(place) if same.len() > 1 => format!("{name}#{}", place + 1),
            _ => name.clone(),
        }
    }

    /// Whether other columns are called as this one is: a sentence that says which is taken, and
    /// another one of them.
    pub(super) fn alike(&self, column: usize) -> Option<(String, usize)> {
        let name = self.names.get(column)?;
        let key = normal(name);
        let same = places(&self.names, |other| normal(other) == key);
        let other = *same.iter().find(|&&other| other != column)?;
        let place = same.iter().position(|&other| other == column)?;
        let which = match place {
            0 => "the first".to_owned(),
            place => format!("number {}", place + 1),
        };
        Some((format!("{} columns are called `{name}`: {which} is taken", same.len()), other))
    }

    fn nearest(&self, wanted: &str) -> Option<String> {
        if self.is_personal() {
            return None;
        }
        let wanted = normal(wanted);
        self.names
            .iter()
            .filter(|name| !name.trim().is_empty())
            .map(|name| (distance(&wanted, &normal(name)), name))
            .filter(|&(far, name)| {
                far * 2 <= wanted.chars().count().max(normal(name).chars().count())
            })
            .min_by_key(|&(far, _)| far)
            .map(|(_, name)| name.clone())
    }
}

/// Records among which the header is searched for: preambles have a handful of lines, tables above
/// the one that is wanted (a webinar's hosts and panelists) some dozens of rows.
const HEAD_RECORDS: usize = 250;

/// The header of a text.
pub(super) struct Found {
    pub(super) header: Header,
    /// Whether it is a rejects file's.
    pub(super) rejects: bool,
    /// The records below it, as far as they were read to find it.
    pub(super) below: Vec<Cells>,
    /// How many bytes and line ends stand before the first of them.
    pub(super) next: usize,
    pub(super) lines: u64,
}

/// Finds the header in the text that is at hand. `merit` says how much of what is wanted a row's
/// cells would fulfil as names.
pub(super) fn search(
    name: &str,
    text: &Text,
    mut delimiter: Option<Delimiter>,
    skip: Option<u64>,
    merit: impl Fn(&[String]) -> u32,
) -> Result<Found, InputError> {
    let (head, complete) = (text.at_hand(), text.has_ended());
    let none = || InputError::NoHeader { name: name.to_owned(), skipped: skip };
    let (mut start, mut line) = (0, text.line());
    let first = memchr::memchr2(b'\n', b'\r', head.as_bytes()).unwrap_or(head.len());
    if let Some(separator) = separator_line(&head[..first]) {
        (start, line) = (after_lines(head, 1).unwrap_or(head.len()), line + 1);
        delimiter = delimiter.or(Some(separator));
    }
    if let Some(skip) = skip {
        let skipped = after_lines(head, skip).ok_or_else(none)?;
        if skipped >= start {
            (start, line) = (skipped, text.line() + skip);
        }
    }
    let head = &head[start..];
    let candidates = delimiter.map_or(Delimiter::USUAL.to_vec(), |delimiter| vec![delimiter]);
    let mut best: Option<(Score, Delimiter, Vec<RecordAhead>)> = None;
    for delimiter in candidates {
        let records = records_of(head, line, delimiter, complete).take(HEAD_RECORDS).collect();
        let Some((score, records)) = header_among(records, delimiter, skip.is_some(), &merit)
        else {
            continue;
        };
        if best.as_ref().is_none_or(|(other, ..)| score > *other) {
            best = Some((score, delimiter, records));
        }
    }
    let (_, delimiter, mut records) = best.ok_or_else(none)?;
    let record = records.remove(0);
    if record.defect.is_some() {
        return Err(InputError::BrokenHeader { name: name.to_owned(), line: record.line });
    }
    let whole = &head[record.start..record.end];
    let mut names: Vec<String> = record.cells.iter().map(str::to_owned).collect();
    let own = names.len().saturating_sub(REJECTS_COLUMNS.len());
    let rejects = own > 0 && names[own..] == REJECTS_COLUMNS;
    let mut raw = whole.to_owned();
    if rejects {
        names.truncate(own);
        let end = before_last_cells(whole, delimiter, REJECTS_COLUMNS.len());
        raw.truncate(end.unwrap_or(whole.len()));
    }
    if delimiter == Delimiter::SHEET {
        raw = line_of(names.iter().map(String::as_str));
    }
    let header = Header {
        names,
        raw,
        whole: whole.to_owned(),
        line: record.line,
        delimiter,
        line_ending: line_ending(&head[record.end..]),
    };
    let below = records.into_iter().filter(|record| record.defect.is_none());
    Ok(Found {
        header,
        rejects,
        below: below.map(|record| record.cells).collect(),
        next: start + record.next,
        lines: record.next_line - text.line(),
    })
}

/// How well a row does as the header: what it holds; how many of all lines are it or rows below it
/// of its width (in thousandths; a width of one is none); and that width. Lines above it count, or
/// the decimal commas of `1;Ada;12,50` would explain as much as the semicolons, which stand in the
/// header too.
type Score = (u32, usize, usize);

/// The header that does best, and the records below it.
fn header_among(
    mut records: Vec<RecordAhead>,
    delimiter: Delimiter,
    given: bool,
    merit: impl Fn(&[String]) -> u32,
) -> Option<(Score, Vec<RecordAhead>)> {
    let usual = usual_width(&records);
    let mut best: Option<(u32, usize)> = None;
    for (place, record) in records.iter().enumerate().filter(|(_, record)| !record.is_blank()) {
        let names: Vec<String> = record.cells.iter().map(str::to_owned).collect();
        let merit = if record.defect.is_some() { 0 } else { merit(&names) };
        // A sheet's rows end with their last filled cell.
        let is_wide = delimiter == Delimiter::SHEET && names.len() > usual;
        let fits = given || merit > 0 || names.len() == usual || is_wide;
        let score = merit * 2 + u32::from(fits);
        // Among the rows of one delimiter only the merit counts: the earlier row wins a tie.
        if best.is_none_or(|(other, _)| score > other) {
            best = Some((score, place));
        }
        if given {
            break;
        }
    }
    let (score, place) = best?;
    let width = records[place].cells.len();
    let filled = |records: &[RecordAhead], width: Option<usize>| {
        let is_it = |record: &&RecordAhead| {
            !record.is_blank() && width.is_none_or(|width| record.cells.len() == width)
        };
        records.iter().filter(is_it).count()
    };
    let same = filled(&records[place..], Some(width)) * 1000 / filled(&records, None).max(1);
    records.drain(..place);
    Some(((score, if width < 2 { 0 } else { same }, width), records))
}

/// The width that most rows have, a width of one aside.
fn usual_width(records: &[RecordAhead]) -> usize {
    let mut widths = BTreeMap::new();
    for record in records.iter().filter(|record| !record.is_blank() && record.cells.len() > 1) {
        *widths.entry(record.cells.len()).or_insert(0) += 1;
    }
    widths.into_iter().max_by_key(|&(width, count)| (count, width)).map_or(1, |(width, _)| width)
}

/// Whether this is a person's cell and no column's name: an address, an Entra id, a link, a telephone
/// number, or a number alone or between other delimiters (`1;Ada Meier;12`), unless it is a year's.
/// What is a name or a worded id alone cannot be told from a column's.
fn is_personal(name: &str) -> bool {
    let name = name.trim();
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    let year = |part: &str| part.len() == 4 && (part.starts_with("19") || part.starts_with("20"));
    let number = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit() || b == b'.') && !year(part)
    };
    name.contains('@')
        || name.contains("://")
        || uuid::Uuid::try_parse(name).is_ok()
        || (digits >= 7 && name.bytes().all(|b| b.is_ascii_digit() || b" +-()./".contains(&b)))
        || name.split([',', ';', '\t', '|']).any(|part| number(part.trim()))
}

/// The columns that a name means. A name that is spelt exactly as one column means that one only;
/// `Company#2` is the second column called `Company`, unless a column is called so itself.
pub(super) fn find(names: &[String], wanted: &str) -> Vec<usize> {
    let exact: Vec<usize> = places(names, |name| name == wanted);
    if exact.len() == 1 {
        return exact;
    }
    let key = normal(wanted);
    if key.is_empty() {
        return Vec::new();
    }
    let found = places(names, |name| normal(name) == key);
    if !found.is_empty() {
        return found;
    }
    match wanted.rsplit_once('#').map(|(name, nth)| (name, nth.trim().parse::<usize>())) {
        Some((name, Ok(nth))) if nth > 0 => {
            let mut same = places(names, |other| other == name);
            if same.len() < 2 {
                let key = normal(name);
                same = places(names, |other| !key.is_empty() && normal(other) == key);
            }
            same.get(nth - 1).map_or_else(Vec::new, |&column| vec![column])
        }
        _ => Vec::new(),
    }
}

fn places(names: &[String], matches: impl Fn(&str) -> bool) -> Vec<usize> {
    names.iter().enumerate().filter(|(_, name)| matches(name)).map(|(place, _)| place).collect()
}

/// How many letters must be changed to turn one name into the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
impl Header {
    pub(super) fn of(names: &[&str]) -> Self {
        Self {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            raw: names.join(","),
            whole: names.join(","),
            line: 1,
            delimiter: Delimiter::COMMA,
            line_ending: "\n",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_row_in_the_headers_place_is_not_shown() {
        for cell in [
            "ada@example.org",
            "https://example.org/ada",
            "+49 (0)30 1234567",
            "18441600001",
            "7",
            "50",
        ] {
            assert!(is_personal(cell), "{cell}");
        }
        assert!(is_personal("1;Ada Meier;12"));
        assert!(is_personal("9d96988d-a66a-46ce-aad7-0b245615b297"));
        for name in
            ["id", "E-Mail", "Ticket 2026", "2026-11", "Question 1: where?", "2026", "1st", ""]
        {
            assert!(!is_personal(name), "{name}");
        }
    }

    #[test]
    fn case_blanks_and_dashes_do_not_count() {
        let names = names(&["Attendee #", "E-Mail", "first_name", "Given\nName"]);
        assert_eq!(find(&names, "attendee#"), [0]);
        assert_eq!(find(&names, "email"), [1]);
        assert_eq!(find(&names, "First Name"), [2]);
        assert_eq!(find(&names, "given name"), [3]);
        assert_eq!(find(&names, ""), [] as [usize; 0]);
    }

    #[test]
    fn repeated_names_are_told_apart() {
        let names = names(&["Company", "City", "Company", "company", "Seat#2", "Seat"]);
        assert_eq!(find(&names, "Company"), [0, 2, 3]);
        assert_eq!(find(&names, "Company#2"), [2]);
        assert_eq!(find(&names, "Company#3"), [] as [usize; 0]);
        assert_eq!(find(&names, "company"), [3]);
        assert_eq!(find(&names, "Seat#2"), [4]);
        assert_eq!(find(&names, "Seat#1"), [5]);
    }

    #[test]
    fn the_nearest_name_is_proposed() {
        let header = Header::of(&["Attendee #", "Order #", "Email"]);
        let error = header.column("Atendee #", "--map id").expect_err("misspelt").to_string();
        assert!(error.contains("did you mean `Attendee #`?"), "{error}");
        let error = header.column("Barcode", "--map id").expect_err("missing").to_string();
        assert!(!error.contains("did you mean"), "{error}");
        assert!(error.contains("`Order #`, `Email`"), "{error}");
    }
}
