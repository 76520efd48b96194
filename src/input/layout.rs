//! What is settled before the first row is read: encoding, delimiter, header, preset, mapping.
//!
//! Of all rows at the head of the file and all usual delimiters, the header is the row that holds
//! most of what the settings and the presets ask for; where nothing asks, the row with the width
//! that most rows have. Ties go to the earlier row, so data never outbids the header above it.

use super::{
    Delimiter, Encoding, Header, InputError, Mapping, Options, PresetChoice, REJECTS_COLUMNS,
    dialect::{HeadRecord, head_records, line_ending, separator_line, skip_lines, unquote},
    filter::{ColumnFilter, gates},
    header::{find, normal},
    mapping::parts,
    person::{PersonColumns, person_columns},
    preset::Preset,
    split::{Extent, Span, Split, Supply, count_lines, split},
    text::Text,
};
use crate::registrant::Field;

/// How much text is looked at before the header is chosen.
const HEAD: usize = 512 * 1024;

/// What was recognised in the file; serialises as contract section 10 has it.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Detected {
    /// The encoding that is read.
    pub encoding: Encoding,
    /// The delimiter.
    pub delimiter: Delimiter,
    /// The header's physical line, counted from 1.
    pub header_line: u64,
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

/// Everything that reading a row needs to know.
pub(super) struct Layout {
    pub(super) name: String,
    pub(super) header: Header,
    /// The header's text with the four columns of a rejects file.
    pub(super) whole_header: String,
    pub(super) detected: Detected,
    pub(super) preset: Option<&'static Preset>,
    pub(super) mapping: Mapping,
    pub(super) gates: Vec<ColumnFilter>,
    pub(super) kept: Vec<usize>,
    pub(super) id_prefix: String,
    /// How the header's names begin and how long they are: few rows are compared with all of them.
    pub(super) names: Names,
    /// The columns that tell people apart.
    pub(super) person: Vec<usize>,
    /// The columns that a person's mark is made of.
    pub(super) teller: PersonColumns,
    /// How many rows there will be, judged by the first ones; 0 if nothing can be said.
    pub(super) expected_rows: usize,
    /// What is said aloud before the first row.
    pub(super) notes: Vec<String>,
}

impl Layout {
    /// How many cells a row must have.
    pub(super) fn width(&self) -> usize {
        self.header.names.len() + if self.detected.rejects { REJECTS_COLUMNS.len() } else { 0 }
    }

    /// Whether a record is the header once more: the same text, or the same names in another
    /// spelling, as in exports of one list that were glued together.
    pub(super) fn is_header_again(&self, raw: &str, spans: &[Span]) -> bool {
        if raw.len() == self.whole_header.len() && *raw == self.whole_header {
            return true;
        }
        if let Some(raw) = raw.strip_prefix('\u{feff}') {
            let (mut spans, mut extent) = (Vec::new(), Extent::default());
            let delimiter = self.header.delimiter.byte();
            return split(raw, delimiter, Supply::End, &mut spans, &mut extent) == Split::Record
                && extent.next == raw.len()
                && self.is_header_again(raw, &spans);
        }
        let names = &self.header.names;
        // Nearly every row ends here.
        if self.detected.rejects
            || names.len() < 2
            || spans.len() != names.len()
            || !raw[spans[0].start as usize..spans[0].end as usize].eq_ignore_ascii_case(&names[0])
        {
            return false;
        }
        spans.iter().zip(names).all(|(span, name)| normal(&unquote(raw, span)) == normal(name))
    }

    /// Whether a record holds the header's own names in another order, as a list does that was
    /// glued behind this one.
    pub(super) fn reorders_header(&self, raw: &str, spans: &[Span]) -> bool {
        let names = &self.header.names;
        if self.detected.rejects || names.len() < 2 || spans.len() != names.len() {
            return false;
        }
        let first = &raw[spans[0].start as usize..spans[0].end as usize];
        if !self.names.may_hold(first) || !names.iter().any(|n| n.eq_ignore_ascii_case(first)) {
            return false;
        }
        let mut own: Vec<String> = names.iter().map(|name| normal(name)).collect();
        let mut found: Vec<String> = spans.iter().map(|span| normal(&unquote(raw, span))).collect();
        own.sort_unstable();
        found.sort_unstable();
        own == found
    }

    /// Recognises the head of `text` and leaves `text` behind the header.
    pub(super) fn recognise(
        name: &str,
        text: &mut Text,
        options: &Options,
    ) -> Result<Self, InputError> {
        while text.at_hand().len() < HEAD && text.fill()? {}
        if text.at_hand().trim().is_empty() && text.has_ended() {
            return Err(InputError::Empty { name: name.to_owned() });
        }
        let mut notes = Vec::new();
        let found = search(name, text, options)?;
        let preset = match options.preset {
            Some(PresetChoice::Nothing) => None,
            Some(PresetChoice::Named(preset)) => Some(preset),
            None => Preset::recognise(&found.record.cells),
        };
        let (header, whole_header, rejects) = read_header(&found, text);
        let decoder = text.decoder();
        let detected = Detected {
            encoding: decoder.encoding,
            delimiter: found.delimiter,
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
            notes.push(format!("the header is taken from line {}", header.line));
        }
        if rejects {
            notes.push("this is a rejects file: its four last columns are dropped".to_owned());
        }
        let mapping = Mapping::resolve(&options.map, &options.set, preset, &header, &mut notes)?;
        let gates = gates(&options.filters, preset, &header, &mut notes)?;
        if let Some(column) = unused_status(&header, &gates) {
            notes.push(format!(
                "no row is left out: if `{column}` tells who comes, choose rows with --where '{column}=VALUE,VALUE'"
            ));
        }
        let kept = options.keep.resolve(&header, &mut notes)?;
        let person = person_columns(&mapping, &header);
        let teller = PersonColumns::find(&mapping, preset, &header);
        // Of an export without an id, the advice comes with the error that none is mapped.
        if let Some(advice) = preset.filter(|p| !p.id.is_empty()).and_then(|p| p.advice) {
            notes.push(advice.to_owned());
        }
        let names = Names::of(&header);
        let expected_rows = expected_rows(text.at_hand(), text.decoder().size());
        let (next, lines) = (found.start + found.record.next, found.record.next_line - text.line());
        text.advance(next, lines);
        Ok(Self {
            name: name.to_owned(),
            header,
            whole_header,
            detected,
            preset,
            mapping,
            gates,
            kept,
            id_prefix: options.id_prefix.clone().unwrap_or_default(),
            names,
            person,
            teller,
            expected_rows,
            notes,
        })
    }
}

/// A bit for each first letter and length that the header's names have.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Names(u64);

impl Names {
    fn of(header: &Header) -> Self {
        Self(header.names.iter().fold(0, |all, name| all | Self::bit(name)))
    }

    /// In ASCII the last five bits of a letter are those of its capital.
    fn bit(name: &str) -> u64 {
        let letter = name.bytes().next().map_or(0, |byte| usize::from(byte & 31));
        1 << ((letter + 11 * name.len()) % 64)
    }

    fn may_hold(self, cell: &str) -> bool {
        self.0 & Self::bit(cell) != 0
    }
}

/// The rows of a file of this size whose head has lines as long as these.
fn expected_rows(head: &str, size: u64) -> usize {
    let lines = count_lines(head.as_bytes()).max(1);
    let length = (head.len() as u64 / lines).max(1);
    usize::try_from(size / length).unwrap_or_default()
}

/// The header among the records of a file's head.
struct Found {
    delimiter: Delimiter,
    record: HeadRecord,
    /// Where the records' own positions begin.
    start: usize,
}

fn search(name: &str, text: &Text, options: &Options) -> Result<Found, InputError> {
    let head = text.at_hand();
    let complete = text.has_ended();
    let mut start = 0;
    let mut line = text.line();
    let mut told = options.delimiter;
    let first_end = memchr::memchr2(b'\n', b'\r', head.as_bytes()).unwrap_or(head.len());
    if let Some(separator) = separator_line(&head[..first_end]) {
        start = skip_lines(head, 1, name).unwrap_or(head.len());
        line += 1;
        told = told.or(Some(separator));
    }
    if let Some(skip) = options.skip_lines {
        let skipped = skip_lines(head, skip, name)?;
        if skipped >= start {
            (start, line) = (skipped, text.line() + skip);
        }
    }
    let candidates = told.map_or(Delimiter::USUAL.to_vec(), |delimiter| vec![delimiter]);
    let mut best: Option<(Score, Found)> = None;
    for delimiter in candidates {
        let records = head_records(&head[start..], line, delimiter, complete);
        let Some((score, record)) = header_among(records, options) else { continue };
        if best.as_ref().is_none_or(|(other, _)| score > *other) {
            best = Some((score, Found { delimiter, record, start }));
        }
    }
    let (_, found) =
        best.ok_or(InputError::NoHeader { name: name.to_owned(), skipped: options.skip_lines })?;
    if found.record.defect.is_some() {
        return Err(InputError::BrokenHeader { name: name.to_owned(), line: found.record.line });
    }
    Ok(found)
}

/// How well a row does as the header: what it holds; how many of all lines are it or rows below it
/// of its width (in thousandths; a width of one is none); and that width. Lines above it count, or
/// the decimal commas of `1;Ada;12,50` would explain as much as the semicolons, which stand in the
/// header too.
type Score = (u32, usize, usize);

fn header_among(records: Vec<HeadRecord>, options: &Options) -> Option<(Score, HeadRecord)> {
    let given = options.skip_lines.is_some();
    let usual = usual_width(&records);
    let mut best: Option<(Score, usize)> = None;
    for (place, record) in records.iter().enumerate() {
        if record.is_blank() {
            continue;
        }
        let merit = merit(record, options);
        let fits = given || merit > 0 || record.cells.len() == usual;
        let score = (merit * 2 + u32::from(fits), consistency(&records, place), record.cells.len());
        // Among the rows of one delimiter only the merit counts: the earlier row wins a tie.
        if best.is_none_or(|(other, _)| score.0 > other.0) {
            best = Some((score, place));
        }
        if given {
            break;
        }
    }
    let (score, place) = best?;
    records.into_iter().nth(place).map(|record| (score, record))
}

/// What of the settings' and presets' wishes a row fulfils.
fn merit(record: &HeadRecord, options: &Options) -> u32 {
    if record.defect.is_some() {
        return 0;
    }
    let names = &record.cells;
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

/// The width that most rows have, a width of one aside.
fn usual_width(records: &[HeadRecord]) -> usize {
    let mut widths = std::collections::BTreeMap::new();
    for record in records.iter().filter(|record| !record.is_blank() && record.cells.len() > 1) {
        *widths.entry(record.cells.len()).or_insert(0) += 1;
    }
    widths.into_iter().max_by_key(|&(width, count)| (count, width)).map_or(1, |(width, _)| width)
}

fn consistency(records: &[HeadRecord], header: usize) -> usize {
    let width = records.get(header).map_or(0, |record| record.cells.len());
    let all = records.iter().filter(|record| !record.is_blank()).count();
    let rows = records[header..].iter().filter(|record| !record.is_blank());
    let same = rows.filter(|record| record.cells.len() == width).count();
    if width < 2 || all == 0 { 0 } else { same * 1000 / all }
}

/// The header, its whole text, and whether it is a rejects file's.
fn read_header(found: &Found, text: &Text) -> (Header, String, bool) {
    let head = &text.at_hand()[found.start..];
    let whole = &head[found.record.start..found.record.end];
    let mut names = found.record.cells.clone();
    if let Some(first) = names.first_mut() {
        // The BOM of a file that was glued behind another one's.
        *first = first.trim_start_matches('\u{feff}').to_owned();
    }
    let own = names.len().saturating_sub(REJECTS_COLUMNS.len());
    let rejects = own > 0 && names[own..] == REJECTS_COLUMNS;
    let mut raw = whole;
    if rejects {
        names.truncate(own);
        let (mut spans, mut extent) = (Vec::new(), Extent::default());
        let byte = found.delimiter.byte();
        if split(whole, byte, Supply::End, &mut spans, &mut extent) == Split::Record {
            raw = &whole[..(spans[own].at as usize).saturating_sub(1)];
        }
    }
    let header = Header {
        names,
        raw: raw.to_owned(),
        line: found.record.line,
        delimiter: found.delimiter,
        line_ending: line_ending(&head[found.record.end..]),
    };
    (header, whole.to_owned(), rejects)
}

/// A column that seems to say who comes, where nothing is left out.
fn unused_status(header: &Header, gates: &[ColumnFilter]) -> Option<String> {
    const WORDS: [&str; 6] = ["status", "statut", "estado", "rsvp", "cancel", "ステータス"];
    // A lead's status is the sales people's own.
    let tells = |name: &String| {
        let name = normal(name);
        WORDS.iter().any(|word| name.contains(word)) && !name.contains("lead")
    };
    let column = header.names.iter().position(tells).filter(|_| gates.is_empty())?;
    Some(header.unique_name(column).replace(['\r', '\n'], " "))
}
