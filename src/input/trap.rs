//! Ids that are none: the order number taken for an id, seen before anything is posted, with the better
//! column; and ids that are valid and yet hardly meant, which are taken as they stand, because an id
//! is verbatim, but told.

use std::{collections::HashSet, fmt, hash::BuildHasher};

use super::{
    Row,
    header::{find, normal},
    layout::Layout,
    mapping::Slot,
    row::KEYS,
};
use crate::registrant::Field;

/// The id column holds something that several people share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdTrap {
    /// The column(s) mapped to `id`.
    pub column: String,
    /// How many rows repeat an earlier row's id with another person.
    pub repeats: u64,
    /// Of how many rows.
    pub rows: u64,
    /// What to map instead, where a column offers itself.
    pub better: Option<String>,
}

impl fmt::Display for IdTrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no id of a person: {} of {} rows repeat an id of an earlier row for somebody else, as an order number does; ",
            self.column, self.repeats, self.rows
        )?;
        match &self.better {
            Some(better) => write!(f, "map the better column with --map 'id={better}'"),
            None => write!(
                f,
                "choose a column that differs for each person with --map id=COLUMN, or compose one with --map id='COLUMN+COLUMN'"
            ),
        }
    }
}

impl std::error::Error for IdTrap {}

/// Rows whose columns are compared to find a better id.
const SAMPLE: usize = 1000;

/// Words in the names of columns that hold ids, and of columns that look so and hold none.
const ID_WORDS: [&str; 10] =
    ["id", "number", "reference", "code", "barcode", "uuid", "guid", "ref", "key", "no"];
const OTHER_WORDS: [&str; 9] =
    ["zip", "postal", "country", "phone", "mobile", "area", "discount", "promo", "tax"];

/// Counts what speaks for the trap.
#[derive(Default)]
pub(super) struct TrapWatch {
    rows: u64,
    repeats: u64,
    /// Columns that might be the better id, with what was seen in them; a repeated or empty cell
    /// takes a column out.
    candidates: Option<Vec<(usize, HashSet<u64>)>>,
    sampled: usize,
    layout: Option<std::sync::Arc<Layout>>,
}

impl TrapWatch {
    /// A row with an id of its own.
    pub(super) fn first(&mut self, row: &Row) {
        self.rows += 1;
        if self.sampled < SAMPLE {
            self.sample(row);
        }
    }

    /// A row whose id another row has, with other cells.
    pub(super) fn taken(&mut self, row: &Row, same_person: bool) {
        self.rows += 1;
        let nameless = row.layout.as_deref().is_some_and(|layout| layout.person.is_empty());
        self.repeats += u64::from(!same_person || nameless);
        if self.sampled < SAMPLE {
            self.sample(row);
        }
    }

    fn sample(&mut self, row: &Row) {
        let Some(layout) = &row.layout else { return };
        self.sampled += 1;
        let candidates = self.candidates.get_or_insert_with(|| {
            (0..layout.header.names.len())
                .filter(|&column| may_be_id(&layout.header.names[column]))
                .map(|column| (column, HashSet::new()))
                .collect()
        });
        candidates.retain_mut(|(column, seen)| {
            let cell = row.cell(*column).unwrap_or_default();
            !cell.trim().is_empty() && seen.insert(KEYS.hash_one(cell))
        });
        if self.layout.is_none() {
            self.layout = Some(std::sync::Arc::clone(layout));
        }
    }

    /// The trap, if it is one: any repeat of a column that is known to be shared; else a fifth of
    /// the rows while a better column offers itself; else half of them.
    pub(super) fn verdict(&self) -> Option<IdTrap> {
        let layout = self.layout.as_deref()?;
        let mapped = layout.mapping.slot(&Field::Id)?;
        let better = self.better(layout, mapped);
        let known = layout.preset.is_some_and(|preset| {
            preset
                .traps
                .iter()
                .filter_map(|trap| find(&layout.header.names, trap).first().copied())
                .any(|column| *mapped == Slot::Column(column))
        });
        let share =
            |parts: u64, least: u64| self.repeats >= least && self.repeats * parts >= self.rows;
        let trapped = known && self.repeats > 0 || better.is_some() && share(5, 3) || share(2, 10);
        trapped.then(|| IdTrap {
            column: layout.mapping.shown(&Field::Id),
            repeats: self.repeats,
            rows: self.rows,
            better,
        })
    }

    fn better(&self, layout: &Layout, mapped: &Slot) -> Option<String> {
        if let Some(slot) = layout.preset.and_then(|preset| preset.slot(&Field::Id, &layout.header))
            && slot != *mapped
        {
            return Some(slot.shown(&layout.header));
        }
        let candidates = self.candidates.as_ref()?;
        candidates
            .iter()
            .map(|&(column, _)| column)
            .find(|&column| *mapped != Slot::Column(column))
            .map(|column| layout.header.unique_name(column))
    }
}

fn may_be_id(name: &str) -> bool {
    let lower = name.to_lowercase();
    let whole = normal(name);
    let mut words = lower.split(|c: char| !c.is_alphanumeric());
    (name.contains('#')
        || words.clone().any(|word| ID_WORDS.contains(&word))
        || ["id", "barcode", "reference"].iter().any(|end| whole.ends_with(end)))
        && !words.any(|word| OTHER_WORDS.contains(&word))
}

/// What systems and programs write where there is no id.
const PLACEHOLDERS: [&str; 7] = ["null", "none", "nan", "n/a", "na", "undefined", "(blank)"];

/// Whether an id looks accidental: blanks around it, a character that shows nowhere, a
/// spreadsheet's mark of a text (`'0012`, `="0012"`) or decimals (`18441600001.0`), no letter or
/// digit at all, or a word for nothing.
pub(super) fn looks_accidental(id: &str) -> bool {
    let bytes = id.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return false };
    // Nearly every id of a long list is of this kind.
    let whole = first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() && id.is_ascii();
    if !whole {
        let trimmed = id.trim();
        return !trimmed.is_empty()
            && (trimmed != id
                || id.contains(is_invisible)
                || first == b'\''
                || id.starts_with("=\"")
                || !id.contains(char::is_alphanumeric)
                || is_placeholder(id));
    }
    let decimals = last == b'0'
        && id.strip_suffix(".0").is_some_and(|whole| whole.bytes().all(|b| b.is_ascii_digit()));
    decimals || first.is_ascii_alphabetic() && is_placeholder(id)
}

fn is_placeholder(id: &str) -> bool {
    id.len() < 10 && PLACEHOLDERS.iter().any(|word| id.eq_ignore_ascii_case(word))
}

/// Zero-width characters, marks of writing direction, the soft hyphen.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{ad}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accidents_show() {
        for id in
            [" 7", "7\u{a0}", "\u{200b}7", "'0012", "=\"0012\"", "-", "----", "17.0", "NULL", "n/a"]
        {
            assert!(looks_accidental(id), "{id}");
        }
        for id in
            ["7", "007", "AB-1", "gst-AbC", "a@x.org", "名前", "1.5", "v1.0", "nullable", "", " "]
        {
            assert!(!looks_accidental(id), "{id}");
        }
    }
}
