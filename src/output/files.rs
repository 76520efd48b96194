//! Both files of a run: each row's decision and what the ledger holds of it now → enrolled file or
//! rejects file. One reading of the input; the files are put in their places together, or not at all.

use std::path::{Path, PathBuf};

use super::{
    atomic::{AtomicFile, FileError},
    cells,
    outcome::{Counts, Reasons, Rejected, RowOutcome, RunSoFar, faults_in_words, outcome},
};
use crate::{
    input::{ENROLLED_COLUMNS, Header, InputError, Row, Snapshot, parse_row},
    job::{
        decision::{Action, Decision, changed_since},
        plan::Plan,
    },
    ledger::{Entry, Ledger, LedgerError, sent_digest},
    registrant::{Fault, RegistrantId},
};

/// The trailing columns of a rejects file (README, *The two files*).
const TRAILING: [&str; 4] = ["_line", "_outcome", "_code", "_reason"];

/// Why there are no files.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The copy of the input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What the files are made of.
pub struct Projection<'a> {
    /// The input.
    pub input: &'a Snapshot,
    /// What was decided about its rows.
    pub plan: &'a Plan,
    /// The ledger.
    pub ledger: &'a Ledger,
    /// Why rows were not attempted: the stop's word and sentence.
    pub stopped: Option<(&'static str, String)>,
    /// Make cells safe for spreadsheets.
    pub formula_safe: bool,
}

impl Projection<'_> {
    /// Writes both files; counts the rows, and the reasons of those that are not enrolled. Neither
    /// file is touched unless both could be written to their end.
    ///
    /// # Errors
    /// [`ProjectionError`]: input or ledger cannot be read, or a file cannot be written.
    pub fn write(
        &self,
        enrolled: &Path,
        rejects: &Path,
    ) -> Result<(Counts, Reasons), ProjectionError> {
        let mut enrolled = EnrolledFile::begin(enrolled, self.input, self.formula_safe)?;
        let mut rejects = Rejects::begin(rejects, self.input.header(), self.formula_safe)?;
        let (mut counts, mut reasons) = (Counts::default(), Reasons::default());
        let run = RunSoFar {
            number: self.ledger.run()?,
            stopped: self.stopped.as_ref(),
            rule: &self.plan.rule,
        };
        let mut look_ups = self.ledger.look_ups()?;
        let (mut rows, mut row) = (self.input.rows()?, Row::new());
        for nth in 0.. {
            if !rows.read(&mut row)? {
                break;
            }
            let decision = self.plan.decision(nth).expect("the copy of the input does not change");
            let fields = row.fields();
            let id = fields.id.unwrap_or_default();
            let asked = !matches!(decision.action, Action::Excluded | Action::Invalid(_));
            let entry = if asked { look_ups.find(&RegistrantId::trusted(id))? } else { None };
            let (faults, changed) = self.in_detail(&row, decision, entry.as_ref());
            let end = outcome(decision.action, &faults, &changed, entry.as_ref(), &run);
            counts.read += 1;
            counts.count(&end);
            match &end {
                RowOutcome::Excluded => {}
                RowOutcome::Enrolled { already, link, registrant_id } => {
                    let status = if *already { "already" } else { "enrolled" };
                    let own = registrant_id.unwrap_or_default();
                    enrolled.row([id, link.expose(), own, status].into_iter().chain(row.kept()))?;
                }
                RowOutcome::Rejected { kind, code, reason } => {
                    reasons.count(*kind, code, row.line());
                    rejects.row(&row, *kind, code, reason)?;
                }
            }
        }
        rejects.commit()?;
        enrolled.file.commit()?;
        Ok((counts, reasons))
    }

    /// What only few rows have to tell: the faults of an invalid one, and the fields in which one
    /// differs from what was sent of it. Rows that this run has sent have been sent as they are.
    fn in_detail(
        &self,
        row: &Row,
        decision: Decision,
        entry: Option<&Entry>,
    ) -> (Vec<Fault>, Vec<String>) {
        let (rule, mut faults, mut changed) = (&self.plan.rule, Vec::new(), Vec::new());
        match (decision.action, entry) {
            (Action::Invalid(clashes), _) => {
                // What a row has by itself is not kept for a million of them.
                let own = parse_row(row, rule).err().unwrap_or_default();
                faults = clashes.added_to(own, row);
            }
            (Action::Refuse(_) | Action::Reconcile | Action::FetchLink, Some(entry)) => {
                if let Ok(registrant) = parse_row(row, rule) {
                    let sent = sent_digest(&registrant);
                    let names = changed_since(entry, &sent, rule);
                    changed = names.into_iter().map(str::to_owned).collect();
                }
            }
            _ => {}
        }
        (faults, changed)
    }
}

/// An enrolled file in the making.
struct EnrolledFile {
    file: AtomicFile,
    formula_safe: bool,
    /// The line in the making, used again and again.
    line: Vec<u8>,
}

impl EnrolledFile {
    fn begin(path: &Path, input: &Snapshot, formula_safe: bool) -> Result<Self, FileError> {
        let file = AtomicFile::create(path, "--output")?;
        let mut enrolled = Self { file, formula_safe: false, line: Vec::new() };
        let kept = input.kept_names();
        enrolled.row(ENROLLED_COLUMNS.into_iter().chain(kept.iter().map(String::as_str)))?;
        Ok(Self { formula_safe, ..enrolled })
    }

    fn row<'a>(&mut self, cells: impl Iterator<Item = &'a str> + Clone) -> Result<(), FileError> {
        self.line.clear();
        if self.formula_safe {
            cells::push_safe_line(&mut self.line, cells, b',', "\n");
        } else {
            cells::push_line(&mut self.line, cells, b',', "\n");
        }
        self.file.write(&self.line)
    }
}

/// A rejects file in the making, in the input's own columns, order and delimiter. It runs again as
/// input as it is.
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
