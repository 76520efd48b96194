//! Cancellations that wait for a person: the file of them, and the file that a person approves.

use std::{
    collections::HashSet,
    path::Path,
    time::{Duration, SystemTime},
};

use super::{failure::Failure, paths::is_same};
use crate::{
    job::roll_call::CancelPlan,
    ledger::{Ledger, digest},
    output::{AtomicFile, CANCEL, Console, HELD, held_file},
};

/// What was true a day ago need not be so now.
const LASTS: Duration = Duration::from_secs(24 * 60 * 60);

/// The ids whose cancellation the file at `path` approves.
pub(super) fn approved(path: &Path) -> Result<HashSet<String>, Failure> {
    let fault = |why: &str| Failure::usage(format!("--approve {}: {why}", path.display()));
    let unreadable = |error: std::io::Error| fault(&format!("it cannot be read ({error})"));
    let written = std::fs::metadata(path).and_then(|about| about.modified()).map_err(unreadable)?;
    if SystemTime::now().duration_since(written).unwrap_or_default() > LASTS {
        return Err(fault("it is older than a day; run without --approve for a new one"));
    }
    let text = std::fs::read(path).map_err(unreadable)?;
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&text);
    let no_such = || {
        fault(
            "it has no columns `action` and `id`: give a file of --changes, or one of held cancellations",
        )
    };
    let mut reader = csv::Reader::from_reader(text);
    let names = reader.headers().map_err(|_| no_such())?;
    let column = |name| names.iter().position(|other| other == name).ok_or_else(no_such);
    let (action, id) = (column("action")?, column("id")?);
    let mut ids = HashSet::new();
    for record in reader.records() {
        let record = record.map_err(|error| fault(&format!("it is no CSV ({error})")))?;
        if matches!(record.get(action), Some(CANCEL | HELD)) {
            ids.extend(record.get(id).map(str::to_owned));
        }
    }
    Ok(ids)
}

/// Writes the held cancellations to `path`, where they are others than before; removes the file where
/// none is held any more. A file that somebody edited stays.
pub(super) fn write_held(
    plan: &CancelPlan,
    path: &Path,
    approved: Option<&Path>,
    ledger: &mut Ledger,
    console: &Console,
) -> Result<(), Failure> {
    let found = std::fs::read(path).ok();
    let ours = ledger.held_file()?;
    // One that was approved has served.
    let served = approved.is_some_and(|approved| is_same(approved, path));
    let edited = !served && found.as_ref().is_some_and(|found| Some(digest(found)) != ours);
    match held_file(plan) {
        None if found.is_some() && !edited => {
            std::fs::remove_file(path)
                .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        }
        None => {}
        Some(text) if found.as_ref() == Some(&text) && !is_old(path) => {
            ledger.store_held_file(digest(&text))?;
        }
        Some(_) if edited => console.warn(format!(
            "{} was edited and stays as it is; approve it (--approve), or remove it for the cancellations that are held now",
            path.display()
        )),
        Some(text) => {
            ledger.store_held_file(digest(&text))?;
            let mut file = AtomicFile::create(path, "the file of held cancellations")?;
            file.write(&text)?;
            file.commit()?;
        }
    }
    Ok(())
}

/// Whether it could be approved no more: then it is written anew, as it is.
fn is_old(path: &Path) -> bool {
    let written = std::fs::metadata(path).and_then(|about| about.modified());
    let age = |written| SystemTime::now().duration_since(written).unwrap_or_default();
    written.is_ok_and(|written| age(written) > LASTS)
}
