//! Where files stand: names made from the CSV's, a ledger for each target, and the check that they
//! are held apart. A file that is written is never one that is read, kept, or written as something
//! else, which is found out before anything is touched or asked.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::failure::Failure;
use crate::{
    auth::{AuthSettings, KeptSignIn},
    graph::target::Api,
    input::Source,
    ledger::{self, Identity, Reading, short_digest},
    output,
};

/// `attendees.csv` → `attendees.enrolled.csv`; `.csv.gz` loses both, for the files are not packed.
pub(super) fn beside(source: &Source, ending: &str) -> Result<PathBuf, Failure> {
    let Source::File(csv) = source else {
        return Err(Failure::usage(format!(
            "{source} has no name to make the files' names from; name them with --output FILE and --rejects FILE",
        )));
    };
    let name = csv.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    Ok(csv.with_file_name(format!("{stem}.{ending}")))
}

/// A ledger, and where it is.
pub(super) struct LedgerSettings {
    pub(super) path: PathBuf,
    /// The target that it belongs to.
    pub(super) identity: Identity,
    /// Whether another one was named, which belongs to another kind of target and stays as it is.
    pub(super) is_beside_the_named: bool,
}

/// The ledger of a target: as given, or its own. A meeting's ledger that is named for a webinar, or
/// either's for a town hall, stays as it is, and the event's stands beside it: the same command goes
/// on with another target.
pub(super) fn own_ledger(
    given: Option<&Path>,
    identity: Identity,
) -> Result<LedgerSettings, Failure> {
    let path = if let Some(path) = given {
        let of_another_kind = || {
            let reading = Reading::glance(path).ok()?;
            Some(reading.target().ok()?.kind != identity.kind)
        };
        let moved = identity.kind != Api::Meeting.word() && of_another_kind().unwrap_or(false);
        if moved { beside_the_named(path, &identity.in_one_form()) } else { path.to_owned() }
    } else {
        default_ledger(&own_folder()?, &identity)?
    };
    let is_beside_the_named = given.is_some_and(|given| given != path);
    Ok(LedgerSettings { path, identity, is_beside_the_named })
}

/// The folder of what all runs share: that of the ledgers, also where `ledger` was named; beside that
/// one where there is no home.
pub(super) fn shared_folder(ledger: &Path) -> PathBuf {
    own_folder().unwrap_or_else(|_| ledger.parent().unwrap_or(Path::new(".")).to_owned())
}

/// Where ledgers stand that are not named.
fn own_folder() -> Result<PathBuf, Failure> {
    let state = state_folder(std::env::var_os("XDG_STATE_HOME"), std::env::home_dir())?;
    Ok(state.join("registrant-import"))
}

/// `$XDG_STATE_HOME`, which must be absolute (XDG base directory specification), else
/// `~/.local/state`.
fn state_folder(xdg: Option<OsString>, home: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let xdg = xdg.filter(|path| !path.is_empty()).map(PathBuf::from);
    match (xdg, home) {
        (Some(path), _) if path.is_absolute() => Ok(path),
        (_, Some(home)) => Ok(home.join(".local/state")),
        (Some(path), None) => Err(Failure::usage(format!(
            "XDG_STATE_HOME is `{}`, which is no absolute path, and HOME is not set: mend one of them, or name the ledger with --ledger",
            path.display()
        ))),
        (None, None) => Err(Failure::usage(
            "neither XDG_STATE_HOME nor HOME is set: name the ledger with --ledger",
        )),
    }
}

/// The target's ledger in this folder, also one that was named by another spelling of the target.
fn default_ledger(folder: &Path, identity: &Identity) -> Result<PathBuf, Failure> {
    let wanted = identity.in_one_form();
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<(PathBuf, Identity)> = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "ledger"))
        .filter_map(|path| Some((path.clone(), Reading::glance(&path).ok()?.target().ok()?)))
        .filter(|(_, target)| target.is_same(&wanted))
        .collect();
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    match found.as_slice() {
        [] => Ok(folder.join(ledger_name(&wanted))),
        [(path, target)] if target.in_one_form() == wanted => Ok(path.clone()),
        others => {
            let others: Vec<String> =
                others.iter().map(|(path, _)| path.display().to_string()).collect();
            Err(Failure::usage(format!(
                "this {} has a ledger under another organizer's name, or more than one, and who is enrolled stands in one of them: {}; name the right one with --ledger, or a new file",
                identity.kind,
                others.join(", ")
            )))
        }
    }
}

/// `attendees.ledger` → `attendees.webinar-<8 digits>.ledger`.
fn beside_the_named(path: &Path, target: &Identity) -> PathBuf {
    let digest = short_digest(target.to_string().as_bytes());
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}.{}-{}{ending}", target.kind, &digest[..8]))
}

/// A name that a person recognises and that no other target has.
fn ledger_name(target: &Identity) -> String {
    let readable: String = target
        .name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(24)
        .collect();
    format!("{}-{readable}-{}.ledger", target.kind, short_digest(target.to_string().as_bytes()))
}

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

    pub(super) fn credentials(&mut self, sign_in: &AuthSettings) {
        self.read("the token's file", sign_in.token_file.as_deref());
        self.read("the authority's certificates (--ca-file)", sign_in.http.ca_file.as_deref());
        self.read("the client's certificate", sign_in.certificate.as_deref());
        self.read("the workload's token", sign_in.federated_token_file.as_deref());
        self.read("the kept sign-in", sign_in.kept.as_ref().map(KeptSignIn::path));
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

    /// For a command that writes none of these files.
    pub(super) fn leave_alone(&mut self) {
        let written = self.written.drain(..).map(|file| ("a file of the run", file.path));
        self.read.extend(written);
    }

    pub(super) fn log(&mut self, path: Option<&Path>) {
        let option = "--log-file";
        let log = |path: &Path| Written { option, path: path.to_owned(), replaced: false };
        self.written.extend(path.map(log));
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
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
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

    #[test]
    fn the_files_stand_beside_the_input() {
        for (csv, enrolled) in [
            ("a/attendees.csv", "a/attendees.enrolled.csv"),
            ("attendees", "attendees.enrolled.csv"),
            ("list.2026.csv", "list.2026.enrolled.csv"),
            ("list.csv.gz", "list.enrolled.csv"),
        ] {
            let source = Source::File(PathBuf::from(csv));
            assert_eq!(beside(&source, "enrolled.csv").expect("a name"), Path::new(enrolled));
        }
        assert!(beside(&Source::Stdin, "enrolled.csv").is_err());
    }

    #[test]
    fn a_webinars_ledger_stands_beside_the_meetings_that_was_named() {
        let webinar = Identity {
            kind: "webinar".to_owned(),
            name: "W@T".to_owned(),
            organizer: None,
            graph: "https://graph.microsoft.com".to_owned(),
        };
        let name =
            |path: &str| beside_the_named(Path::new(path), &webinar).to_string_lossy().into_owned();
        let digest = &short_digest(webinar.to_string().as_bytes())[..8];
        assert_eq!(name("a/b.ledger"), format!("a/b.webinar-{digest}.ledger"));
        assert_eq!(name("books"), format!("books.webinar-{digest}"));
    }

    #[test]
    fn the_state_folder_is_absolute_or_the_fault_is_told() {
        let folder = |xdg: Option<&str>, home: Option<&str>| {
            state_folder(xdg.map(OsString::from), home.map(PathBuf::from))
        };
        assert_eq!(folder(Some("/x"), None).expect("a folder"), Path::new("/x"));
        for xdg in [Some("x"), Some(""), None] {
            let found = folder(xdg, Some("/h")).expect("a folder");
            assert_eq!(found, Path::new("/h/.local/state"));
        }
        let told = folder(Some("state"), None).expect_err("no folder").sentence;
        assert!(told.starts_with("XDG_STATE_HOME is `state`, which is no absolute path"), "{told}");
        let told = folder(Some(""), None).expect_err("no folder").sentence;
        assert!(told.starts_with("neither XDG_STATE_HOME nor HOME is set"), "{told}");
    }

    #[test]
    fn each_target_has_a_ledger_of_its_own() {
        let identity = |name: &str, organizer: Option<&str>| Identity {
            kind: "meeting".to_owned(),
            name: name.to_owned(),
            organizer: organizer.map(str::to_owned),
            graph: "https://graph.microsoft.com".to_owned(),
        };
        let name = ledger_name(&identity("MSpk/YzE3=", None));
        assert!(name.starts_with("meeting-MSpk-YzE3--"), "{name}");
        assert_ne!(name, ledger_name(&identity("MSpk-YzE3=", None)));
        assert_ne!(name, ledger_name(&identity("MSpk/YzE3=", Some("ada@example.org"))));
    }
}
