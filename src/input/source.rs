//! From a source to UTF-8 text: opens it, unpacks gzip, strips the BOM, decodes, and checks.
//!
//! Text comes out in pieces and has no line numbers yet; a byte that is no text ends the reading
//! there, with its position. Nothing is guessed that could be wrong unseen: a BOM and the pattern of
//! UTF-16's zero bytes are certain; everything else is read as UTF-8, and where that fails the error
//! proposes an encoding.

use std::{
    convert::Infallible,
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::{Path, PathBuf},
    str::{self, FromStr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use flate2::bufread::GzDecoder;

use super::{
    InputError,
    command::{self, CommandLine},
    encoding::{Encoding, LikelyEncoding, bare_utf16},
};

/// How much is read at a time: large enough that calls do not count, small beside the memory
/// that the rows themselves take.
const CHUNK: usize = 64 * 1024;

/// Where an export comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// Standard input, `-`.
    Stdin,
    /// What a command writes within this time.
    Command(CommandLine, Duration),
}

impl FromStr for Source {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "-" { Self::Stdin } else { Self::File(text.into()) })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Stdin => f.write_str("standard input"),
            Self::Command(..) => f.write_str("the input command"),
        }
    }
}

/// Bytes, and how many there are, where that is known; else 0.
pub(super) struct Bytes {
    pub(super) from: Box<dyn Read + Send>,
    pub(super) size: u64,
    /// When the file was written, in milliseconds since 1970.
    pub(super) written_at: Option<i64>,
}

impl Bytes {
    /// The first bytes, which stay the first ones.
    pub(super) fn peek(&mut self) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        self.from.by_ref().take(8).read_to_end(&mut head)?;
        let rest = std::mem::replace(&mut self.from, Box::new(io::empty()));
        self.from = Box::new(Cursor::new(head.clone()).chain(rest));
        Ok(head)
    }

    pub(super) fn of(source: &Source) -> Result<Self, InputError> {
        match source {
            Source::Stdin => Ok(Self { from: Box::new(io::stdin()), size: 0, written_at: None }),
            Source::Command(line, limit) => {
                let (file, size) = command::fetch(line, *limit)?;
                // Each time that the command ran is a list of its own.
                let written_at = millis(SystemTime::now());
                Ok(Self { from: Box::new(file), size, written_at })
            }
            Source::File(path) => {
                let file = open_file(path)?;
                let about = file.metadata().ok();
                let size = about.as_ref().map_or(0, std::fs::Metadata::len);
                let written_at = about.and_then(|about| about.modified().ok()).and_then(millis);
                Ok(Self { from: Box::new(file), size, written_at })
            }
        }
    }
}

fn millis(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_millis()).ok()
}

fn open_file(path: &Path) -> Result<File, InputError> {
    let unreadable = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound => InputError::NoFile { path: path.to_owned() },
        io::ErrorKind::IsADirectory => InputError::Folder { path: path.to_owned() },
        _ => InputError::Unreadable { name: path.display().to_string(), cause },
    };
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(InputError::Folder { path: path.to_owned() });
    }
    Ok(file)
}

/// A file that several readers share, each at its own place.
struct SharedFile(Arc<File>, u64);

impl Read for SharedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = read_at(&self.0, buffer, self.1)?;
        self.1 += read as u64;
        Ok(read)
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}

/// The members of a gzip file, one after another. Zeros behind the last one are padding, as tapes
/// and block devices leave it, and `gzip -d` passes over them too.
struct Members {
    /// `None` once the last member has ended.
    decoder: Option<GzDecoder<Packed>>,
}

type Packed = BufReader<Box<dyn Read + Send>>;

impl Read for Members {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(decoder) = &mut self.decoder {
            let read = decoder.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let packed = self.decoder.take().map(GzDecoder::into_inner);
            self.decoder = packed.map(next_member).transpose()?.flatten();
        }
        Ok(0)
    }
}

/// The member that begins here, behind zeros or none; `None` at the end.
fn next_member(mut packed: Packed) -> io::Result<Option<GzDecoder<Packed>>> {
    loop {
        let at_hand = match packed.fill_buf() {
            Ok(at_hand) => at_hand,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let zeros = at_hand.iter().take_while(|&&byte| byte == 0).count();
        let (all_zeros, ended) = (zeros == at_hand.len(), at_hand.is_empty());
        packed.consume(zeros);
        if ended {
            return Ok(None);
        }
        if !all_zeros {
            return Ok(Some(GzDecoder::new(packed)));
        }
    }
}

/// Why no more text can be had.
#[derive(Debug)]
pub(super) enum Trouble {
    Io(io::Error),
    /// The byte at this place, counted from 0, is no text; `likely` is what chardetng makes of it.
    NotText {
        byte: u64,
        likely: Option<LikelyEncoding>,
    },
    /// The file is something else altogether.
    Foreign {
        what: &'static str,
        next: &'static str,
    },
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Trouble {
    /// The error, of a source with this name, in this line.
    pub(super) fn explained(
        self,
        name: &str,
        encoding: Encoding,
        gzip: bool,
        line: u64,
    ) -> InputError {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        let name = name.to_owned();
        match self {
            Self::Io(cause)
                if gzip && matches!(cause.kind(), UnexpectedEof | InvalidData | InvalidInput) =>
            {
                InputError::Gzip { name, cause }
            }
            Self::Io(cause) => InputError::Unreadable { name, cause },
            Self::NotText { byte, likely } => {
                InputError::NotText { name, byte, line, encoding, likely }
            }
            Self::Foreign { what, next } => InputError::Foreign { name, what, next },
        }
    }
}

/// A source's text, piece by piece.
pub(super) struct Decoder {
    bytes: Box<dyn Read + Send>,
    /// How many bytes there are, if they are read as they stand and that is known; else 0.
    pub(super) size: u64,
    pub(super) gzip: bool,
    pub(super) encoding: Encoding,
    /// The encoding that the BOM told, if there was one.
    pub(super) bom: Option<Encoding>,
    /// `None` for UTF-8, which is checked and copied.
    state: Option<encoding_rs::Decoder>,
    /// The first `filled` ones were read and not yet decoded; the rest is room, kept so that it is
    /// cleared once and not for each piece.
    pending: Vec<u8>,
    filled: usize,
    /// How many bytes lie before `pending`.
    offset: u64,
    ended: bool,
}

impl Decoder {
    /// Settles packing and encoding by the first bytes.
    pub(super) fn new(bytes: Bytes, wanted: Option<Encoding>) -> Result<Self, Trouble> {
        let mut bytes = bytes;
        let (head, size) = (bytes.peek()?, bytes.size);
        // The magic bytes of gzip: RFC 1952, 2.3.1.
        let gzip = head.starts_with(b"\x1F\x8B");
        let mut bytes = bytes.from;
        if gzip {
            let packed = BufReader::with_capacity(CHUNK, bytes);
            bytes = Box::new(Members { decoder: Some(GzDecoder::new(packed)) });
        }
        let mut decoder = Self::utf8(bytes);
        (decoder.gzip, decoder.size) = (gzip, if gzip { 0 } else { size });
        decoder.read_chunk()?;
        let head = &decoder.pending[..decoder.filled];
        if let Some((what, next)) = foreign(head) {
            return Err(Trouble::Foreign { what, next });
        }
        let mark = encoding_rs::Encoding::for_bom(head);
        let encoding = mark
            .map(|(encoding, _)| Encoding(encoding))
            .or(wanted)
            .or_else(|| bare_utf16(head))
            .unwrap_or(Encoding::UTF_8);
        decoder.encoding = encoding;
        decoder.state =
            (!encoding.is_utf8()).then(|| encoding.0.new_decoder_without_bom_handling());
        decoder.bom = mark.map(|_| encoding);
        decoder.step_over(mark.map_or(0, |(_, length)| length));
        Ok(decoder)
    }

    /// A shared file that holds UTF-8 without a BOM, from its start.
    pub(super) fn copy(file: Arc<File>) -> Self {
        Self::utf8(Box::new(SharedFile(file, 0)))
    }

    fn utf8(bytes: Box<dyn Read + Send>) -> Self {
        Self {
            bytes,
            size: 0,
            gzip: false,
            encoding: Encoding::UTF_8,
            bom: None,
            state: None,
            pending: Vec::new(),
            filled: 0,
            offset: 0,
            ended: false,
        }
    }

    fn step_over(&mut self, bytes: usize) {
        self.pending.copy_within(bytes..self.filled, 0);
        self.filled -= bytes;
        self.offset += bytes as u64;
    }

    /// Appends the next piece to `text`; `false` at the end. Before an error, what stands in front
    /// of the bad byte has been appended.
    pub(super) fn read(&mut self, text: &mut String) -> Result<bool, Trouble> {
        let before = text.len();
        while text.len() == before {
            if self.filled < CHUNK / 2 && !self.ended {
                self.read_chunk()?;
            }
            if self.filled == 0 && self.ended && self.state.is_none() {
                return Ok(false);
            }
            let pending = &self.pending[..self.filled];
            let used = match &mut self.state {
                None => check_utf8(pending, self.ended, text),
                Some(decoder) => {
                    text.reserve(pending.len() * 3 + 16);
                    let (result, used) =
                        decoder.decode_to_string_without_replacement(pending, text, self.ended);
                    match result {
                        encoding_rs::DecoderResult::Malformed(bad, behind) => {
                            Err(used.saturating_sub(usize::from(bad) + usize::from(behind)))
                        }
                        encoding_rs::DecoderResult::InputEmpty if self.ended => {
                            self.state = None;
                            Ok(used)
                        }
                        _ => Ok(used),
                    }
                }
            };
            match used {
                Ok(used) => self.step_over(used),
                Err(at) => {
                    // A file that ends in the midst of a character was cut, and what was decoded by
                    // the user's own word or by a BOM is damaged.
                    let cut =
                        str::from_utf8(pending).is_err_and(|error| error.error_len().is_none());
                    let likely = (self.encoding.is_utf8() && !(self.ended && cut))
                        .then(|| Encoding::likely(pending));
                    return Err(Trouble::NotText { byte: self.offset + at as u64, likely });
                }
            }
        }
        Ok(true)
    }

    /// Fills up to a chunk behind what is there.
    fn read_chunk(&mut self) -> Result<(), Trouble> {
        let before = self.filled;
        let full = before.max(CHUNK / 2) + CHUNK / 2;
        if self.pending.len() < full {
            self.pending.resize(full, 0);
        }
        // Full pieces, also where the source gives little at a time.
        while self.filled < full {
            match self.bytes.read(&mut self.pending[self.filled..full]) {
                Ok(0) => break,
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.ended = self.filled == before;
        Ok(())
    }
}

/// Appends what is UTF-8 at the head of `bytes`: how many bytes that were, or where the first bad
/// one stands.
fn check_utf8(bytes: &[u8], ended: bool, text: &mut String) -> Result<usize, usize> {
    match str::from_utf8(bytes) {
        Ok(good) => {
            text.push_str(good);
            Ok(bytes.len())
        }
        Err(error) => {
            let good = error.valid_up_to();
            text.push_str(str::from_utf8(&bytes[..good]).unwrap_or_default());
            // Without a length the character is merely cut by the end of the piece.
            if error.error_len().is_none() && !ended { Ok(good) } else { Err(good) }
        }
    }
}

/// A file that is no delimited text, by its first bytes: what it is, and what to do.
fn foreign(head: &[u8]) -> Option<(&'static str, &'static str)> {
    const KNOWN: [(&[u8], &str, &str); 18] = [
        (b"PK\x03\x04", "a zip archive or a spreadsheet within gzip", "unpack it first"),
        (
            b"\xD0\xCF\x11\xE0",
            "an old Excel workbook (.xls), or a new one with a password",
            "save it as `.xlsx` without a password, or the sheet as `CSV UTF-8`",
        ),
        (b"ID;PWXL", "a SYLK sheet", "save the sheet as `CSV UTF-8`"),
        (b"%PDF-", "a PDF", "export the list as CSV"),
        (b"{\\rtf", "an RTF text", "export the list as CSV"),
        (b"\x28\xB5\x2F\xFD", "compressed with zstd", "unpack it first"),
        (b"\xFD7zXZ\0", "compressed with xz", "unpack it first"),
        (b"BZh", "compressed with bzip2", "unpack it first"),
        (b"<!DOCTYPE", "an HTML page", "export the list as CSV"),
        (b"<html", "an HTML page", "export the list as CSV"),
        (b"<head", "an HTML page", "export the list as CSV"),
        (b"<meta", "an HTML page", "export the list as CSV"),
        (b"<table", "an HTML page", "export the list as CSV"),
        (b"<?xml", "an XML file", "export the list as CSV"),
        (b"BEGIN:VCARD", "a file of contacts (vCard)", "export the list as CSV"),
        (b"BEGIN:VCALENDAR", "a calendar", "export the list as CSV"),
        (b"{\"", "a JSON text", "export the list as CSV"),
        (b"[{", "a JSON text", "export the list as CSV"),
    ];
    if head.starts_with(b"\xFF\xFE\0\0") || head.starts_with(b"\0\0\xFE\xFF") {
        return Some(("a UTF-32 text", "save it as UTF-8"));
    }
    let text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
    // JSON may have blanks anywhere.
    let dense: Vec<u8> = match text.first() {
        Some(b'{' | b'[') => {
            text.iter().take(64).filter(|byte| !byte.is_ascii_whitespace()).copied().collect()
        }
        _ => Vec::new(),
    };
    KNOWN
        .iter()
        .find(|(magic, _, _)| {
            let begins = |text: &[u8]| {
                text.get(..magic.len()).is_some_and(|start| start.eq_ignore_ascii_case(magic))
            };
            begins(text) || begins(&dense)
        })
        .map(|&(_, what, next)| (what, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workbook_is_no_text() {
        assert!(foreign(b"PK\x03\x04....").is_some());
        assert!(foreign(b"<!doctype html>").is_some());
        assert!(foreign(b"\n <TABLE border=1>").is_some());
        assert!(foreign(b"[\n  {\"id\": 1}]").is_some());
        assert!(foreign(b"ID;Price\n").is_none());
        assert!(foreign(b"id,name\n").is_none());
    }
}
