//! Statuses that a preset does not know: their rows are taken, and that is said aloud.

use std::collections::BTreeMap;

use super::{Row, layout::Layout};

/// More values than this help nobody.
const SHOWN: usize = 8;

/// What is longer is no status, and might be anything.
const LONGEST: usize = 40;

/// The values that rows were taken with, unknown to the preset.
#[derive(Clone, Debug, Default)]
pub(super) struct Statuses {
    values: BTreeMap<String, u64>,
    /// Rows whose value is not to be shown.
    others: u64,
}

impl Statuses {
    /// Looks at a row that no filter leaves out.
    pub(super) fn look_at(&mut self, row: &Row, layout: &Layout) {
        let Some(gate) = layout.gates.iter().find(|gate| !gate.stays()) else { return };
        let cell = row.cell(gate.column()).unwrap_or_default().trim();
        if gate.knows(cell) {
            return;
        }
        let shown = cell.chars().count() <= LONGEST
            && !cell.contains(|c: char| c == '@' || c.is_control())
            && (self.values.len() < SHOWN || self.values.contains_key(cell));
        if shown {
            *self.values.entry(cell.to_owned()).or_default() += 1;
        } else {
            self.others += 1;
        }
    }

    pub(super) fn note(&self, layout: &Layout) -> Option<String> {
        let gate = layout.gates.iter().find(|gate| !gate.stays())?;
        let count = self.others + self.values.values().sum::<u64>();
        if count == 0 {
            return None;
        }
        let mut values: Vec<String> = self
            .values
            .iter()
            .map(|(value, count)| match value.as_str() {
                "" => format!("empty ({count})"),
                value => format!("`{value}` ({count})"),
            })
            .collect();
        if self.others > 0 {
            values.push(format!("others ({})", self.others));
        }
        let rows = if count == 1 { "1 row is".to_owned() } else { format!("{count} rows are") };
        Some(format!(
            "{rows} taken whose `{}` preset {} does not know: {}; if only those who come shall be taken, pass {}",
            layout.header.unique_name(gate.column()),
            layout.preset.map_or("", |preset| preset.name),
            values.join(", "),
            gate.advice
        ))
    }
}
