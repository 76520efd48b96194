//! A file that is there already and worth something: an enrolled file with links that the ledger
//! does not know, because it is new, was lost, or comes from a backup, is kept before another takes
//! its place, and a rehearsal never replaces the files of a real run.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use memchr::memmem;

use super::{failure::Failure, paths::beside};
use crate::{
    input::Source,
    ledger::{Ledger, LedgerError},
    output::{Console, held_links, keep},
    registrant::RegistrantId,
    simulator::is_simulated_link,
};

/// The place of an enrolled file, and what may be there.
pub(super) struct ExistingFile<'a> {
    enrolled: &'a Path,
    /// When this ledger's files were last written, before this command: [`Ledger::filed_at`].
    filed_at: Option<i64>,
    /// Where the links come from: those of a simulated Graph are worth something to itself alone.
    simulated: bool,
}

impl<'a> ExistingFile<'a> {
    /// What a command finds as it begins.
    pub(super) fn find(
        enrolled: &'a Path,
        ledger: &Ledger,
        simulated: bool,
    ) -> Result<Self, LedgerError> {
        let filed_at = ledger.filed_at().map_err(|error| error.at(ledger.path()))?;
        Ok(Self { enrolled, filed_at, simulated })
    }

    /// Keeps the file, where it holds a link that `ledger` does not know; says so, and gives its
    /// new name.
    pub(super) fn keep(
        &self,
        ledger: &Ledger,
        now: i64,
        console: &Console,
    ) -> Result<Option<PathBuf>, Failure> {
        let link = std::fs::symlink_metadata(self.enrolled).is_ok_and(|found| found.is_symlink());
        // A link is replaced, and what it leads to stays.
        if link || !self.is_worth_it(ledger)? {
            return Ok(None);
        }
        let kept = keep(self.enrolled, now)?;
        console.warn(format!(
            "{} held links that this ledger does not know; it is kept as {}",
            self.enrolled.display(),
            kept.display()
        ));
        Ok(Some(kept))
    }

    fn is_worth_it(&self, ledger: &Ledger) -> Result<bool, LedgerError> {
        let mut links = held_links(self.enrolled)
            .filter(|(_, link)| self.simulated || !is_simulated_link(link));
        let Some(filed_at) = self.filed_at else { return Ok(links.next().is_some()) };
        // What was there when this ledger's own run wrote its files last is either that run's, and
        // then known to the last link, or another ledger's, and then the first one tells.
        let written = std::fs::metadata(self.enrolled).and_then(|found| found.modified());
        let written = written.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let since = written.is_none_or(|written| written.as_millis() > unsigned(filed_at));
        let mut look_ups = ledger.look_ups()?;
        for (id, link) in links.take(if since { usize::MAX } else { 1 }) {
            let id = id.unwrap_or_default();
            // `--formula-safe` puts an apostrophe before some.
            let mut known = false;
            for id in [Some(id.as_str()), id.strip_prefix('\'')].into_iter().flatten() {
                let entry = look_ups.find(&RegistrantId::trusted(id))?;
                let held = entry.and_then(|entry| entry.link);
                known |= held.is_some_and(|held| held.expose() == link);
            }
            if !known {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn unsigned(millis: i64) -> u128 {
    u128::try_from(millis).unwrap_or(0)
}

/// A rehearsal never takes the place of a file with real links, nor of the rejects file that a real
/// run wrote beside one: its rows are people who still have to be enrolled. A rejects file tells
/// nobody whose it is, so the enrolled file beside it does, by its name or by the CSV's.
pub(super) fn spare_real_files(
    source: &Source,
    enrolled: &Path,
    rejects: &Path,
) -> Result<(), Failure> {
    let is_real = |path: &Path| held_links(path).any(|(_, link)| !is_simulated_link(&link));
    for (path, option) in [(enrolled, "--output"), (rejects, "--rejects")] {
        if is_real(path) {
            return Err(Failure::usage(format!(
                "{} holds real join links, and a rehearsal would replace them; name another file with {option}",
                path.display()
            )));
        }
    }
    let name = rejects.file_name().unwrap_or_default().to_string_lossy();
    let by_its_name =
        name.contains(".rejects.").then(|| name.replacen(".rejects.", ".enrolled.", 1));
    let by_its_name = by_its_name.map(|name| rejects.with_file_name(name));
    // Only where it is the place that a real run takes by itself.
    let is_default = beside(source, "rejects.csv").is_ok_and(|path| path == rejects);
    let by_the_input = beside(source, "enrolled.csv").ok().filter(|_| is_default);
    let real = by_its_name.into_iter().chain(by_the_input).find(|path| is_real(path));
    match real {
        Some(real) if is_rejects_with_rows(rejects) => Err(Failure::usage(format!(
            "{} holds the rejected rows of the run that wrote {}, and a rehearsal would replace them; name another file with --rejects",
            rejects.display(),
            real.display()
        ))),
        _ => Ok(()),
    }
}

/// Whether the file holds more than the header of a rejects file.
fn is_rejects_with_rows(path: &Path) -> bool {
    let file = File::open(path).ok().filter(|_| path.is_file());
    let mut lines = file.map(BufReader::new).into_iter().flat_map(|file| file.split(b'\n'));
    lines.any(|line| line.is_ok_and(|line| memmem::find(&line, b"_outcome").is_some()))
        && lines.any(|line| line.is_ok_and(|line| !line.trim_ascii().is_empty()))
}
