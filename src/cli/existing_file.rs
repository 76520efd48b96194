//! A file that is there already and worth something: an enrolled file with links that the ledger
//! does not know, because it is new, was lost, or comes from a backup, is kept before another takes
//! its place, and a rehearsal never replaces the files of a real run.
//!
//! Such links stand nowhere else, not even with Graph. The file may have gone through a spreadsheet
//! meanwhile: with a BOM, in UTF-16, with another delimiter, or with lines above the header.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use jiff::Timestamp;
use memchr::memmem;

use super::{failure::Failure, paths::beside};
use crate::{
    input::Source,
    ledger::{Ledger, LedgerError},
    output::{Console, FileError},
    private,
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

/// The column of an enrolled file that holds the links.
const COLUMN: &[u8] = b"joinWebUrl";

/// So far into a file the header is looked for.
const HEAD: usize = 1 << 16;

/// A row with a link: its id, where the file tells it, and the link.
type HeldLink = (Option<String>, String);

/// The links of the file at `path`, row by row; none where it is no file with such a column, or
/// cannot be read.
fn held_links(path: &Path) -> impl Iterator<Item = HeldLink> {
    rows(path).into_iter().flatten()
}

fn rows(path: &Path) -> Option<impl Iterator<Item = HeldLink>> {
    // A pipe would wait for its writer.
    let file = File::open(path).ok().filter(|_| path.is_file())?;
    let mut text = BufReader::with_capacity(HEAD, WithoutNuls(file));
    let mut head = Vec::new();
    text.by_ref().take(HEAD as u64).read_to_end(&mut head).ok()?;
    let (before, after) = head.split_at(memmem::find(&head, COLUMN)?);
    // What stands behind the name, or before it where it is the last one.
    let unquoted = |byte: &&u8| **byte != b'"';
    let behind = after[COLUMN.len()..].iter().find(unquoted);
    let beside = [behind, before.iter().rev().find(unquoted)];
    let delimiter = beside.into_iter().flatten().copied().find(|byte| b",;\t|".contains(byte));
    let delimiter = delimiter.unwrap_or(b',');
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(delimiter);
    let reader = builder.from_reader(io::Cursor::new(head).chain(text));
    let mut records = reader.into_byte_records().filter_map(Result::ok);
    let (id, link) = records.find_map(|header| {
        let at = |name: &[u8]| header.iter().position(|cell| bare(cell) == name);
        Some((at(b"id"), at(COLUMN)?))
    })?;
    Some(records.filter_map(move |row| {
        let cell = |at: usize| row.get(at).map(|cell| String::from_utf8_lossy(cell).into_owned());
        let link = cell(link).filter(|link| !link.trim().is_empty())?;
        Some((id.and_then(cell), link))
    }))
}

/// A name without the BOM before it.
fn bare(cell: &[u8]) -> &[u8] {
    let start = cell.iter().position(u8::is_ascii_graphic).unwrap_or(0);
    cell[start..].trim_ascii()
}

/// UTF-16 comes down to ASCII without its zeros, as far as it is any: enough for names and links.
struct WithoutNuls<R>(R);

impl<R: Read> Read for WithoutNuls<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.0.read(buffer)?;
            let mut left = 0;
            for at in 0..read {
                if buffer[at] != 0 {
                    buffer[left] = buffer[at];
                    left += 1;
                }
            }
            if left > 0 || read == 0 {
                return Ok(left);
            }
        }
    }
}

/// Gives the file at `path` a second name beside it, `<name>.kept-<now in UTC>.csv`, that nothing
/// has yet, and makes it its owner's alone. A file in its place then takes only the first name.
fn keep(path: &Path, now: i64) -> Result<PathBuf, FileError> {
    let failed = |source| FileError::Keep { path: path.to_owned(), source };
    let stamp = Timestamp::from_millisecond(now).unwrap_or_default().strftime("%Y%m%dT%H%M%SZ");
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    for further in 1.. {
        let further = if further == 1 { String::new() } else { format!("-{further}") };
        let kept = path.with_file_name(format!("{stem}.kept-{stamp}{further}.csv"));
        let linked = std::fs::hard_link(path, &kept).or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Err(error),
            // Not every file system has second names.
            _ => copy(path, &kept),
        });
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
            Ok(()) => {
                #[cfg(unix)]
                {
                    let owners = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                    std::fs::set_permissions(&kept, owners).map_err(failed)?;
                }
                return Ok(kept);
            }
        }
    }
    Err(failed(io::ErrorKind::AlreadyExists.into()))
}

fn copy(path: &Path, kept: &Path) -> io::Result<()> {
    let mut copy = private::open(kept, File::options().write(true).create_new(true))?;
    io::copy(&mut File::open(path)?, &mut copy)?;
    copy.flush()?;
    copy.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(bytes: &[u8]) -> Vec<HeldLink> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.csv");
        std::fs::write(&path, bytes).expect("writes");
        held_links(&path).collect()
    }

    #[test]
    fn links_are_found_whatever_a_spreadsheet_made_of_the_file() {
        let text = "id,joinWebUrl,registrantId,status\r\n1,https://l/1,,enrolled\r\n";
        let wanted = vec![(Some("1".to_owned()), "https://l/1".to_owned())];
        assert_eq!(held(text.as_bytes()), wanted);
        for delimiter in [";", "\t", "|"] {
            let text = text.replace(',', delimiter);
            assert_eq!(held(text.as_bytes()), wanted);
            assert_eq!(held(format!("\u{FEFF}{text}").as_bytes()), wanted);
            let preamble = format!("sep={delimiter}\r\n{text}");
            assert_eq!(held(preamble.as_bytes()), wanted);
            let wide: Vec<u8> =
                format!("\u{FEFF}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert_eq!(held(&wide), wanted);
        }
        let quoted = "\"id\",\"joinWebUrl\"\n\"1\",\"https://l/1\"\n";
        assert_eq!(held(quoted.as_bytes()), wanted);
        // The last column has no delimiter behind it.
        for delimiter in [";", "\t", "|"] {
            let last = format!("id{delimiter}joinWebUrl\r\n1{delimiter}https://l/1\r\n");
            assert_eq!(held(last.as_bytes()), wanted);
            let wide: Vec<u8> = last.encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert_eq!(held(&wide), wanted);
        }
        assert_eq!(held(b"id,joinWebUrl\n1,\n"), []);
        assert_eq!(held(b"id,name\n1,https://l/1\n"), []);
        assert_eq!(held_links(Path::new("/no/such/file")).count(), 0);
    }
}
