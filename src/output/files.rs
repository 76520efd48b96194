//! Both files of a run: each row's decision and what the ledger holds of it now → enrolled file or
//! rejects file. One reading of the input; the files are put in their places together, or not at all.

use std::{
    collections::HashSet,
    hash::{BuildHasher as _, RandomState},
    path::{Path, PathBuf},
};

use csv::WriterBuilder;

use super::{
    atomic::{AtomicFile, FileError},
    outcome::{Counts, Reasons, Rejected, RowOutcome, RunSoFar, faults_in_words, outcome},
};
use crate::{
    input::{ENROLLED_COLUMNS, Header, InputError, Row, Snapshot, parse_row},
    job::{
        decision::{Action, Decision},
        plan::Plan,
    },
    ledger::{Entry, Ledger, LedgerError},
    registrant::{Fault, RegistrantId, Rule},
};

/// The trailing columns of a rejects file (README, *The two files*).
const TRAILING: [&str; 4] = ["_line", "_outcome", "_code", "_reason"];

/// Why there are no files.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The copy of the input.
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    File(#[from] FileError),
}

/// What the files are made of.
pub struct Projection<'a> {
    pub input: &'a Snapshot,
    /// What was decided about its rows.
    pub plan: &'a Plan,
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
        let missing = self.plan.counts.missing;
        let mut counts = Counts { missing, ..Counts::default() };
        let mut reasons = Reasons::default();
        let run = RunSoFar {
            number: self.ledger.run()?,
            stopped: self.stopped.as_ref(),
            rule: &self.plan.rule,
        };
        let shared = self.shared_links()?;
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
                RowOutcome::Enrolled { already, link, registrant_id, .. } => {
                    let status = match already {
                        _ if shared.contains(link.expose()) => "shared",
                        true => "already",
                        false => "enrolled",
                    };
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

    /// The links that several people have: an event's, where `--shared-link` allows it.
    fn shared_links(&self) -> Result<HashSet<String>, LedgerError> {
        let (mut seen, mut shared) = (HashSet::new(), HashSet::new());
        if matches!(self.plan.rule, Rule::Event(_)) {
            let hasher = RandomState::new();
            self.ledger.for_each_link(|_, link, _| {
                if !seen.insert(hasher.hash_one(link)) {
                    shared.insert(link.to_owned());
                }
            })?;
        }
        Ok(shared)
    }

    /// What only few rows have to tell: the faults of an invalid one, and in what one is not the person
    /// whom it was enrolled for. Rows that this run has sent have been sent as they are.
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
                changed = self.plan.changed_identity(row, entry);
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
}

impl EnrolledFile {
    fn begin(path: &Path, input: &Snapshot, formula_safe: bool) -> Result<Self, FileError> {
        let mut file = AtomicFile::create(path, "--output")?;
        let kept = input.kept_names();
        let names = ENROLLED_COLUMNS.into_iter().chain(kept.iter().map(String::as_str));
        file.write(&line(names, b',', "\n"))?;
        Ok(Self { file, formula_safe })
    }

    fn row<'a>(&mut self, cells: impl Iterator<Item = &'a str>) -> Result<(), FileError> {
        let line = if self.formula_safe {
            line(cells.map(safe), b',', "\n")
        } else {
            line(cells, b',', "\n")
        };
        self.file.write(&line)
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
        let mut text = if self.formula_safe && row.cells().any(is_formula) {
            line(row.cells().map(safe), self.delimiter, "")
        } else {
            row.raw().as_bytes().to_vec()
        };
        text.push(self.delimiter);
        let number = row.line().to_string();
        let trailing = [number.as_str(), kind.word(), code, reason];
        text.extend(line(trailing, self.delimiter, self.ending));
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

/// One line of CSV, quoted where it must be.
fn line<C: AsRef<[u8]>>(
    cells: impl IntoIterator<Item = C>,
    delimiter: u8,
    ending: &str,
) -> Vec<u8> {
    let mut writer = WriterBuilder::new()
        .delimiter(delimiter)
        // Filled with zeros for each line.
        .buffer_capacity(512)
        .from_writer(Vec::with_capacity(128));
    writer.write_record(cells).expect("a Vec takes every record");
    let mut line = writer.into_inner().expect("a Vec takes every record");
    line.pop();
    line.extend_from_slice(ending.as_bytes());
    line
}

/// Whether a spreadsheet would execute the cell.
/// Source: OWASP, "CSV Injection": `=`, `+`, `-`, `@`, tab and carriage return.
fn is_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// The cell with an apostrophe before what a spreadsheet would execute.
fn safe(cell: &str) -> String {
    if is_formula(cell) { format!("'{cell}") } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let cells = ["a", "b,c", "d;e", "f\"g", "h\ni", "k\rl", "", "ü"];
        assert_eq!(
            String::from_utf8(line(cells, b',', "\r\n")).expect("text"),
            "a,\"b,c\",d;e,\"f\"\"g\",\"h\ni\",\"k\rl\",,ü\r\n"
        );
        assert_eq!(line(["a;b", "c"], b';', "\n"), b"\"a;b\";c\n");
        assert_eq!(line(["a,b", "", "c\"d"], b';', "\n"), b"a,b;;\"c\"\"d\"\n");
        assert_eq!(line(["a,b", "", "c"], b';', "\n"), b"a,b;;c\n");
        assert_eq!(line([""], b',', "\n"), b"\"\"\n");
    }

    #[test]
    fn a_formula_is_made_text_and_nothing_else_is_touched() {
        for cell in ["=1+1", "+49", "-5", "@x", "\tx", "\rx"] {
            assert_eq!(safe(cell), format!("'{cell}"));
        }
        for cell in ["", "a", "1-2", " =x", "'=x"] {
            assert_eq!(safe(cell), cell);
        }
    }
}
