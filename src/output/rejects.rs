//! The rejects file: each row's own text, then why it is here. It runs again as input as it is.

use std::path::{Path, PathBuf};

use super::{
    atomic::{AtomicFile, FileError},
    cells,
};
use crate::{
    input::{Header, Row},
    registrant::Fault,
};

/// The trailing columns (contract, section 5).
const TRAILING: [&str; 4] = ["_line", "_outcome", "_code", "_reason"];

/// `_outcome` of a rejects file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// The file's fault.
    Invalid,
    /// The server's word.
    Refused,
    /// Sent, and the result was never learnt.
    Unknown,
    /// On the server, no link yet.
    Awaiting,
    /// The run stopped early.
    NotAttempted,
}

impl Rejected {
    /// The word in the file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Awaiting => "awaiting",
            Self::NotAttempted => "not-attempted",
        }
    }

    /// The word for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NotAttempted => "not attempted",
            _ => self.word(),
        }
    }
}

/// A rejects file in the making, in the input's own columns, order and delimiter.
pub struct Rejects {
    file: AtomicFile,
    delimiter: u8,
    ending: &'static str,
    formula_safe: bool,
}

impl Rejects {
    /// Begins the file at `path` with the input's header.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be written.
    pub fn begin(path: &Path, header: &Header, formula_safe: bool) -> Result<Self, FileError> {
        let (delimiter, ending) = (header.delimiter(), header.line_ending());
        let mut line = header.raw().to_owned();
        for name in TRAILING {
            line.push(delimiter.char());
            line.push_str(name);
        }
        line.push_str(ending);
        let mut file = AtomicFile::create(path, "--rejects")?;
        file.write(line.as_bytes())?;
        Ok(Self { file, delimiter: delimiter.byte(), ending, formula_safe })
    }

    /// Writes a row with its outcome.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be written.
    pub fn row(
        &mut self,
        row: &Row,
        kind: Rejected,
        code: &str,
        reason: &str,
    ) -> Result<(), FileError> {
        let mut text = if self.formula_safe && row.cells().any(cells::is_formula) {
            cells::safe_line(row.cells(), self.delimiter, "")
        } else {
            row.raw().as_bytes().to_vec()
        };
        text.push(self.delimiter);
        let line = row.line().to_string();
        let trailing = [line.as_str(), kind.word(), code, reason];
        text.extend(cells::line(trailing, self.delimiter, self.ending));
        self.file.write(&text)
    }

    /// Writes a row with the file's own faults.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be written.
    pub fn invalid(&mut self, row: &Row, faults: &[Fault]) -> Result<(), FileError> {
        let (code, reason) = faults_in_words(faults);
        self.row(row, Rejected::Invalid, &code, &reason)
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be written to its end.
    pub fn commit(self) -> Result<PathBuf, FileError> {
        self.file.commit()
    }
}

/// `_code` is the first fault's; `_reason` tells every fault, each with its code.
pub(super) fn faults_in_words(faults: &[Fault]) -> (String, String) {
    let code = faults.first().map_or("invalid", |fault| fault.code.as_str());
    let reason: Vec<String> =
        faults.iter().map(|fault| format!("{}: {}", fault.code, fault.sentence)).collect();
    (code.to_owned(), reason.join("; "))
}
