//! Which bytes stand for which text: an encoding's name, and what a file's first bytes tell of it.
//!
//! Nothing is guessed that could be wrong unseen: a BOM and the pattern of UTF-16's zero bytes are
//! certain; everything else is read as UTF-8, and where that fails the error proposes an encoding.

use std::{fmt, str::FromStr};

/// A character encoding, as `--encoding` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding(&'static encoding_rs::Encoding);

impl Encoding {
    /// UTF-8, which is taken unless something else is told or seen.
    pub const UTF_8: Self = Self(encoding_rs::UTF_8);
    /// UTF-16, little-endian.
    pub const UTF_16LE: Self = Self(encoding_rs::UTF_16LE);
    /// UTF-16, big-endian.
    pub const UTF_16BE: Self = Self(encoding_rs::UTF_16BE);

    pub(super) fn decoder(self) -> encoding_rs::Decoder {
        self.0.new_decoder_without_bom_handling()
    }

    /// What a text that is no UTF-8 most likely is: a proposal, never taken unasked.
    pub(super) fn likely(bytes: &[u8]) -> Self {
        let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
        detector.feed(bytes, true);
        Self(detector.guess(None, chardetng::Utf8Detection::Deny))
    }

    /// Whether this is UTF-8, whose text needs no decoding.
    #[must_use]
    pub fn is_utf8(self) -> bool {
        self == Self::UTF_8
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.name().to_ascii_lowercase())
    }
}

impl serde::Serialize for Encoding {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A name that is no encoding's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no encoding; common ones are utf-8, utf-16le, utf-16be, windows-1252, iso-8859-1, iso-8859-15, windows-1250, shift_jis"
)]
pub struct UnknownEncoding(pub String);

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    /// Takes any label of the WHATWG Encoding Standard. By that standard `iso-8859-1` and `latin1`
    /// are read as windows-1252, which differs only where ISO-8859-1 has control characters.
    fn from_str(text: &str) -> Result<Self, UnknownEncoding> {
        let label = text.trim().replace(' ', "-");
        let known = encoding_rs::Encoding::for_label(label.as_bytes())
            .or_else(|| encoding_rs::Encoding::for_label(label.replace('_', "-").as_bytes()));
        match known {
            Some(encoding)
                if encoding != encoding_rs::REPLACEMENT
                    && encoding != encoding_rs::X_USER_DEFINED =>
            {
                Ok(Self(encoding))
            }
            _ => Err(UnknownEncoding(text.to_owned())),
        }
    }
}

/// A BOM at the head of the bytes: its encoding and its length.
pub(super) fn byte_order_mark(head: &[u8]) -> Option<(Encoding, usize)> {
    encoding_rs::Encoding::for_bom(head).map(|(encoding, length)| (Encoding(encoding), length))
}

/// How many of the first bytes are looked at for UTF-16's pattern.
const PATTERN: usize = 4096;

/// UTF-16 without a BOM, by its zero bytes: a delimited text holds delimiters, line ends and
/// digits, each of which has one zero byte, always on the same side.
pub(super) fn bare_utf16(head: &[u8]) -> Option<Encoding> {
    let head = &head[..head.len().min(PATTERN) & !1];
    let zeros = |side: usize| head.iter().skip(side).step_by(2).filter(|&&b| b == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    let pairs = head.len() / 2;
    // At least a tenth of the characters are below U+0100, and the other side is all but free of
    // zeros; a text with stray NULs has them on both sides, or few.
    let pattern = |many: usize, few: usize| many * 10 > pairs && few * 20 <= many;
    if pairs < 2 {
        None
    } else if pattern(second, first) {
        Some(Encoding::UTF_16LE)
    } else if pattern(first, second) {
        Some(Encoding::UTF_16BE)
    } else {
        None
    }
}

/// A file that is no delimited text, by its first bytes: what it is, and what to do.
pub(super) fn foreign(head: &[u8]) -> Option<(&'static str, &'static str)> {
    const KNOWN: [(&[u8], &str, &str); 18] = [
        (b"PK\x03\x04", "a zip archive or an Excel workbook", "save the sheet as `CSV UTF-8`"),
        (b"\xD0\xCF\x11\xE0", "an old Excel workbook", "save the sheet as `CSV UTF-8`"),
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

    fn utf16(text: &str, big: bool) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
            .collect()
    }

    #[test]
    fn utf16_shows_without_a_bom() {
        for text in ["id,name\n1,Ada\n", "id;имя\n1;Анна Каренина\n", "id,名前\n1,山田\n"]
        {
            assert_eq!(bare_utf16(&utf16(text, false)), Some(Encoding::UTF_16LE), "{text}");
            assert_eq!(bare_utf16(&utf16(text, true)), Some(Encoding::UTF_16BE), "{text}");
            assert_eq!(bare_utf16(text.as_bytes()), None, "{text}");
        }
        assert_eq!(bare_utf16(b"id,na\0me\n1,A\0\0da\n"), None);
    }

    #[test]
    fn the_usual_names_are_known() {
        for (name, encoding) in [
            ("utf8", "utf-8"),
            ("UTF-16LE", "utf-16le"),
            ("latin1", "windows-1252"),
            ("ISO-8859-1", "windows-1252"),
            ("cp1252", "windows-1252"),
            ("Windows 1252", "windows-1252"),
        ] {
            assert_eq!(name.parse::<Encoding>().expect(name).to_string(), encoding);
        }
        assert!("ebcdic".parse::<Encoding>().is_err());
    }

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
