//! An enrolled file whose links the ledger does not know, because it is new, was lost, or comes from
//! a backup: such a file is kept before another takes its place.

use std::{
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use super::failure::Failure;
use crate::{
    ledger::{Ledger, LedgerError},
    output::{Console, held_links, keep},
    registrant::RegistrantId,
    simulator::is_simulated_link,
};

/// What stands in the way of an enrolled file.
pub(super) struct Before<'a> {
    /// Its place.
    pub(super) enrolled: &'a Path,
    /// When this ledger's files were last written, before this command: [`Ledger::filed_at`].
    pub(super) filed_at: Option<i64>,
    /// Where the links come from: those of a simulated Graph are worth something to itself alone.
    pub(super) simulated: bool,
}

impl<'a> Before<'a> {
    /// What a command finds as it begins.
    pub(super) fn begin(
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
