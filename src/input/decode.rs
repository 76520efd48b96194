//! From a source's bytes to UTF-8 text: unpacks gzip, strips the BOM, decodes, and checks.
//!
//! Text comes out in pieces and has no line numbers yet; a byte that is no text stops the reading
//! there, with its position.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    str,
    sync::Arc,
};

use flate2::bufread::GzDecoder;

use super::encoding::{self, Encoding};

/// How much is read at a time: large enough that calls do not count, small beside the memory
/// that the rows themselves take.
pub(super) const CHUNK: usize = 64 * 1024;

/// Where bytes come from.
pub(super) enum Bytes {
    File(File),
    Stdin(io::Stdin),
    /// A file that several readers share, each at its own place.
    Shared(Arc<File>, u64),
    #[cfg(test)]
    Memory(io::Cursor<Vec<u8>>),
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Stdin(stdin) => stdin.read(buffer),
            Self::Shared(file, at) => {
                let read = read_at(file, buffer, *at)?;
                *at += read as u64;
                Ok(read)
            }
            #[cfg(test)]
            Self::Memory(bytes) => bytes.read(buffer),
        }
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

/// Bytes whose head has been looked at.
pub(super) struct Prefixed {
    head: io::Cursor<Vec<u8>>,
    rest: Bytes,
}

impl Read for Prefixed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.head.read(buffer)? {
            0 => self.rest.read(buffer),
            read => Ok(read),
        }
    }
}

enum Unpacked {
    Plain(Prefixed),
    Gzip(Box<Members>),
}

/// The members of a gzip file, one after another. Zeros behind the last one are padding, as tapes
/// and block devices leave it, and `gzip -d` passes over them too.
struct Members {
    /// `None` once the last member has ended.
    decoder: Option<GzDecoder<BufReader<Prefixed>>>,
}

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
fn next_member(
    mut packed: BufReader<Prefixed>,
) -> io::Result<Option<GzDecoder<BufReader<Prefixed>>>> {
    loop {
        let at_hand = match packed.fill_buf() {
            Ok(at_hand) => at_hand,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let zeros = at_hand.iter().take_while(|&&byte| byte == 0).count();
        if zeros == at_hand.len() && zeros > 0 {
            packed.consume(zeros);
        } else if at_hand.is_empty() {
            return Ok(None);
        } else {
            packed.consume(zeros);
            return Ok(Some(GzDecoder::new(packed)));
        }
    }
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(bytes) => bytes.read(buffer),
            Self::Gzip(bytes) => bytes.read(buffer),
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
        likely: Option<Encoding>,
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

/// A source's text, piece by piece.
pub(super) struct Decoder {
    bytes: Unpacked,
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
    /// Looks at the head of `bytes` and settles packing and encoding.
    pub(super) fn new(mut bytes: Bytes, wanted: Option<Encoding>) -> Result<Self, Trouble> {
        let mut head = Vec::new();
        bytes.by_ref().take(8).read_to_end(&mut head)?;
        // The magic bytes of gzip: RFC 1952, 2.3.1.
        let gzip = head.starts_with(b"\x1F\x8B");
        let prefixed = Prefixed { head: io::Cursor::new(head), rest: bytes };
        let mut bytes = if gzip {
            let packed = BufReader::with_capacity(CHUNK, prefixed);
            Unpacked::Gzip(Box::new(Members { decoder: Some(GzDecoder::new(packed)) }))
        } else {
            Unpacked::Plain(prefixed)
        };
        let (mut pending, mut filled) = (Vec::new(), 0);
        let ended = read_chunk(&mut bytes, &mut pending, &mut filled)?;
        let head = &pending[..filled];
        if let Some((what, next)) = encoding::foreign(head) {
            return Err(Trouble::Foreign { what, next });
        }
        let mark = encoding::byte_order_mark(head);
        let encoding = mark
            .map(|(encoding, _)| encoding)
            .or(wanted)
            .or_else(|| encoding::bare_utf16(head))
            .unwrap_or(Encoding::UTF_8);
        let skipped = mark.map_or(0, |(_, length)| length);
        pending.copy_within(skipped..filled, 0);
        filled -= skipped;
        Ok(Self {
            bytes,
            gzip,
            encoding,
            bom: mark.map(|(encoding, _)| encoding),
            state: (!encoding.is_utf8()).then(|| encoding.decoder()),
            pending,
            filled,
            offset: skipped as u64,
            ended,
        })
    }

    /// The size of a file that is read as it stands; 0 if it is not known.
    pub(super) fn size(&self) -> u64 {
        match &self.bytes {
            Unpacked::Plain(Prefixed { rest: Bytes::File(file), .. }) => {
                file.metadata().map_or(0, |metadata| metadata.len())
            }
            _ => 0,
        }
    }

    /// A shared file that holds UTF-8 without a BOM, from its start.
    pub(super) fn copy(file: Arc<File>) -> Self {
        let prefixed = Prefixed { head: io::Cursor::new(Vec::new()), rest: Bytes::Shared(file, 0) };
        Self {
            bytes: Unpacked::Plain(prefixed),
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

    /// Appends the next piece to `text`; `false` at the end. Before an error, what stands in front
    /// of the bad byte has been appended.
    pub(super) fn read(&mut self, text: &mut String) -> Result<bool, Trouble> {
        let before = text.len();
        while text.len() == before {
            if self.filled < CHUNK / 2 && !self.ended {
                self.ended = read_chunk(&mut self.bytes, &mut self.pending, &mut self.filled)?;
            }
            if self.filled == 0 && (self.ended && self.state.is_none()) {
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
                Ok(used) => {
                    self.offset += used as u64;
                    self.pending.copy_within(used..self.filled, 0);
                    self.filled -= used;
                }
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

/// Fills up to a chunk behind what is there; `true` at the end.
fn read_chunk(bytes: &mut Unpacked, pending: &mut Vec<u8>, filled: &mut usize) -> io::Result<bool> {
    let before = *filled;
    let full = before.max(CHUNK / 2) + CHUNK / 2;
    if pending.len() < full {
        pending.resize(full, 0);
    }
    // Full pieces, also where the source gives little at a time.
    while *filled < full {
        match bytes.read(&mut pending[*filled..full]) {
            Ok(0) => break,
            Ok(read) => *filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(*filled == before)
}
