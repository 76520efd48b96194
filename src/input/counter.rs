//! Ids that count the rows. Some systems number their people so, and then all is well; where the
//! number is the row's own, it comes to somebody else as soon as the list changes.

use super::{Row, layout::Layout};

/// Of fewer rows nothing is said: three people may well have the numbers 1, 2 and 3.
const LEAST: u64 = 10;

/// Whether the ids count the rows so far.
#[derive(Clone, Debug, Default)]
pub(super) enum RowCounter {
    /// No row was seen.
    #[default]
    Ready,
    /// From the first number on, one by one.
    Counts { first: u64, rows: u64 },
    /// They do not.
    Off,
}

impl RowCounter {
    /// Looks at the next row.
    pub(super) fn look_at(&mut self, row: &Row, layout: &Layout) {
        // Nearly every list ends here.
        if matches!(self, Self::Off) {
            return;
        }
        let number = match layout.mapping.id_columns() {
            [column] => row.cell(*column).and_then(|cell| cell.trim().parse::<u64>().ok()),
            _ => None,
        };
        *self = match (&self, number) {
            (Self::Ready, Some(first @ 0..=1)) => Self::Counts { first, rows: 1 },
            (Self::Counts { first, rows }, Some(number)) if number == first + rows => {
                Self::Counts { first: *first, rows: rows + 1 }
            }
            _ => Self::Off,
        };
    }

    pub(super) fn note(&self, layout: &Layout) -> Option<String> {
        let Self::Counts { first, rows } = self else { return None };
        let [column] = layout.mapping.id_columns() else { return None };
        (*rows >= LEAST).then(|| {
            format!(
                "the ids in `{}` count the rows from {first} to {}: if they are the rows' own numbers, they come to other people when the list changes; take a column that stays with a person (--map id=COLUMN)",
                layout.header.unique_name(*column),
                first + rows - 1
            )
        })
    }
}
