//! Character encodings: their names, and UTF-16 that shows by its zero bytes.

use std::{fmt, str::FromStr};

/// A character encoding, as `--encoding` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding(pub(super) &'static encoding_rs::Encoding);

impl Encoding {
    /// UTF-8, which is taken unless something else is told or seen.
    pub const UTF_8: Self = Self(encoding_rs::UTF_8);
    /// UTF-16, little-endian.
    pub const UTF_16LE: Self = Self(encoding_rs::UTF_16LE);
    /// UTF-16, big-endian.
    pub const UTF_16BE: Self = Self(encoding_rs::UTF_16BE);

    /// What a text that is no UTF-8 most likely is: a proposal, never taken unasked.
    pub(super) fn likely(bytes: &[u8]) -> LikelyEncoding {
        let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
        detector.feed(bytes, true);
        let guess = detector.guess(None, chardetng::Utf8Detection::Deny);
        // chardetng knows what browsers meet, and takes these two for windows-1252. Within a word its
        // bytes from 0x80 to 0x9F are hardly ever letters; here they are é, ä, ü, è and ç.
        let (mut dos, mut mac, mut latin) = (0, 0, 0);
        for pair in bytes.windows(2).filter(|pair| pair[0].is_ascii_alphabetic()) {
            match pair[1] {
                0x81 | 0x82 | 0x84 => dos += 1,
                0x8D | 0x8E | 0x8F | 0x9F => mac += 1,
                0xC0.. => latin += 1,
                _ => {}
            }
        }
        match dos.max(mac) {
            most if most <= latin || !guess.is_single_byte() => LikelyEncoding::Known(Self(guess)),
            most if most == dos => LikelyEncoding::Dos,
            _ => LikelyEncoding::Known(Self(encoding_rs::MACINTOSH)),
        }
    }

    /// Whether this is UTF-8, whose text needs no decoding.
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

/// What a text that is no UTF-8 probably is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LikelyEncoding {
    /// One that can be read.
    Known(Encoding),
    /// Code page 850 or 437, which cannot.
    Dos,
}

impl fmt::Display for LikelyEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(likely) => {
                write!(f, "looks like {likely}, pass --encoding {likely} (or export it as UTF-8)")
            }
            Self::Dos => f.write_str(
                "looks like that of a DOS program (code page 850), which is not read: export it as UTF-8",
            ),
        }
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

/// How many of the first bytes may show UTF-16's pattern.
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
    fn old_code_pages_are_not_taken_for_windows() {
        let likely = |bytes: &[u8]| Encoding::likely(bytes).to_string();
        // "Müller, André, Grün, Bäcker" as four kinds of programs write it.
        for (bytes, wanted) in [
            (&b"id,M\xFCller\n1,Andr\xE9\n2,Gr\xFCn \x84B\xE4cker\x93\n"[..], "windows-1252"),
            (b"id,M\x9Fller\n1,Andr\x8E\n2,Gr\x9Fn B\x8Acker\n", "macintosh"),
            (b"id,M\x81ller\n1,Andr\x82\n2,Gr\x81n B\x84cker\n", "code page 850"),
        ] {
            assert!(likely(bytes).contains(wanted), "{}", likely(bytes));
        }
    }
}
