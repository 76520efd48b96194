//! The join links that an earlier enrolled file holds. Where no ledger knows them any more they stand
//! nowhere else, not even with Graph, so whoever puts a file in its place looks here first.
//!
//! The file may have gone through a spreadsheet meanwhile: with a BOM, in UTF-16, with another
//! delimiter, or with lines above the header.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::atomic::FileError;
use crate::private;

/// The column of an enrolled file that holds the links.
const COLUMN: &[u8] = b"joinWebUrl";

/// So far into a file the header is looked for.
const HEAD: usize = 1 << 16;

/// A row with a link: its id, where the file tells it, and the link.
pub type HeldLink = (Option<String>, String);

/// The links of the file at `path`, row by row; none where it is no file with such a column, or
/// cannot be read.
pub fn held_links(path: &Path) -> impl Iterator<Item = HeldLink> {
    rows(path).into_iter().flatten()
}

fn rows(path: &Path) -> Option<impl Iterator<Item = HeldLink>> {
    // A pipe would wait for its writer.
    let file = File::open(path).ok().filter(|_| path.is_file())?;
    let mut text = BufReader::with_capacity(HEAD, WithoutNuls(file));
    let mut head = Vec::new();
    text.by_ref().take(HEAD as u64).read_to_end(&mut head).ok()?;
    let (before, after) = head.split_at(memchr::memmem::find(&head, COLUMN)?);
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
///
/// # Errors
/// [`FileError::Keep`].
pub fn keep(path: &Path, now: i64) -> Result<PathBuf, FileError> {
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
