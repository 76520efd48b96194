//! A file that is written is never one that is read, kept, or written as something else: every path
//! of a command and what it is for, checked before anything is touched or asked.

use std::path::{Path, PathBuf};

use super::failure::Failure;
use crate::{input::Source, ledger, output};

/// The paths of one command.
#[derive(Default)]
pub(super) struct Paths {
    /// What is read or kept, each by what it is.
    read: Vec<(&'static str, PathBuf)>,
    written: Vec<Written>,
}

/// A file that is written, by the option that names it.
struct Written {
    option: &'static str,
    path: PathBuf,
    /// Whether a new file takes its place; the log is added to.
    replaced: bool,
}

/// SQLite's own files beside a ledger, and the lock.
const BESIDE_A_LEDGER: [&str; 4] = ["-wal", "-shm", "-journal", ".lock"];

impl Paths {
    pub(super) fn input(&mut self, source: Option<&Source>) {
        if let Some(Source::File(path)) = source {
            self.read("the input itself", Some(path));
        }
    }

    pub(super) fn ledger(&mut self, ledger: Option<&Path>) {
        let Some(ledger) = ledger else { return };
        for ending in BESIDE_A_LEDGER {
            let mut name = ledger.as_os_str().to_owned();
            name.push(ending);
            self.read("a file that belongs to the ledger", Some(Path::new(&name)));
        }
        self.read("the ledger", Some(ledger));
    }

    pub(super) fn read(&mut self, what: &'static str, path: Option<&Path>) {
        self.read.extend(path.map(|path| (what, path.to_owned())));
    }

    pub(super) fn write(&mut self, option: &'static str, path: Option<&Path>) {
        let written = |path: &Path| Written { option, path: path.to_owned(), replaced: true };
        self.written.extend(path.map(written));
    }

    /// The same for a command that leaves these files alone.
    pub(super) fn unwritten(mut self) -> Self {
        let written = std::mem::take(&mut self.written);
        self.read.extend(written.into_iter().map(|file| ("a file of the run", file.path)));
        self
    }

    /// The same with the log.
    pub(super) fn log(mut self, path: Option<&Path>) -> Self {
        let log =
            |path: &Path| Written { option: "--log-file", path: path.to_owned(), replaced: false };
        self.written.extend(path.map(log));
        self
    }

    /// Refuses a file that is written and is anything else as well.
    pub(super) fn check(&self) -> Result<(), Failure> {
        for (nth, Written { option, path, replaced }) in self.written.iter().enumerate() {
            if let Some((what, _)) = self.read.iter().find(|(_, read)| is_same(read, path)) {
                return Err(Failure::usage(format!("{option} names {what}; name another file")));
            }
            let other = self.written[..nth].iter().find(|other| is_same(&other.path, path));
            if let Some(Written { option: other, .. }) = other {
                return Err(Failure::usage(format!(
                    "{other} and {option} name the same file; name two"
                )));
            }
            if *replaced {
                output::replaceable(path, option)?;
            }
            if ledger::is_part_of_one(path) {
                return Err(Failure::usage(format!(
                    "{option}: {} is a ledger or belongs to one, and stays as it is; name another file",
                    path.display()
                )));
            }
        }
        Ok(())
    }
}

/// Whether both name one file: the same one where both are there, else the same place.
fn is_same(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    if let (Ok(one), Ok(other)) = (std::fs::metadata(one), std::fs::metadata(other)) {
        use std::os::unix::fs::MetadataExt as _;
        let files = one.is_file() && other.is_file();
        if files && (one.dev(), one.ino()) == (other.dev(), other.ino()) {
            return true;
        }
    }
    place(one) == place(other)
}

/// The path with its folders' own names, as far as they are there. The file itself is not followed:
/// a link in its place is replaced.
fn place(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or(path.to_owned());
    let mut folders = path.ancestors().skip(1);
    let real = folders.find_map(|folder| {
        let below = path.strip_prefix(folder).ok()?;
        Some(folder.canonicalize().ok()?.join(below))
    });
    real.unwrap_or(path)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn one_file_is_known_under_all_its_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("sub")).expect("a folder");
        std::os::unix::fs::symlink(at("sub"), at("link")).expect("a link");
        // Neither is there yet.
        assert!(is_same(&at("sub/a"), &at("link/a")));
        assert!(is_same(&at("sub/../sub/a"), &at("sub/./a")));
        assert!(is_same(&at("new/folder/a"), &at("new/folder/a")));
        assert!(!is_same(&at("sub/a"), &at("sub/b")));
        std::fs::write(at("sub/a"), "").expect("writes");
        std::fs::hard_link(at("sub/a"), at("hard")).expect("a link");
        std::os::unix::fs::symlink(at("hard"), at("soft")).expect("a link");
        assert!(is_same(&at("sub/a"), &at("soft")));
        assert!(!is_same(&at("sub/a"), &at("sub/b")));
    }
}
