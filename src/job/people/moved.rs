//! So many people under other ids at once that the ids themselves must be others: told in one
//! sentence, by counts and a line.

use std::fmt;

/// The ids of the list are not those that the ledger has these people under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdsMoved {
    /// Ids that are enrolled belong to other people now.
    ToOthers {
        /// So many rows.
        rows: u64,
        /// Of so many that could be compared.
        of: u64,
        /// So many of them are about people who are known under another id, or were here.
        seen: u64,
        /// The line of the first one.
        first: u64,
        /// The column(s) that the ids are taken from.
        column: String,
    },
    /// People who are enrolled have new ids.
    NewIds {
        /// So many rows.
        rows: u64,
        /// Of so many with new ids.
        of: u64,
        /// So many ids of the list are known.
        known: u64,
        /// The line of the first one.
        first: u64,
        /// The column(s) that the ids are taken from.
        column: String,
    },
}

impl fmt::Display for IdsMoved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ToOthers { rows, of, seen, first, column } => {
                write!(
                    f,
                    "the ids in `{column}` stand for other people now: {rows} of {of} rows tell somebody else than their id was enrolled for (the first is line {first})"
                )?;
                if *seen > 0 {
                    write!(f, ", and {seen} of them have changed places")?;
                }
                f.write_str(
                    "; nothing was posted and the files are as they were, for these people would get each other's links. Take ids that stay with a person (--map id=COLUMN; a row's number does not); if they are the same people, run once with --trust-ids",
                )
            }
            Self::NewIds { rows, of, known, first, column } => {
                let known = if *known == 0 { "none".to_owned() } else { format!("only {known}") };
                write!(
                    f,
                    "the ids in `{column}` are not those of earlier runs: {known} of them are known, and {rows} of {of} rows with a new id tell people who are enrolled under another one (the first is line {first}); nothing was posted and the files are as they were, for these people are enrolled already. Take the former ids (--map id=COLUMN, --id-prefix TEXT); if they are to be enrolled anew, run once with --trust-ids"
                )
            }
        }
    }
}

impl std::error::Error for IdsMoved {}
