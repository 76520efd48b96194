//! A person's fingerprint: what shows whether a row is about the same person as before, where the id
//! alone cannot, and from which nobody's name or address can be read back.
//!
//! It has two halves, of the e-mail address and of the name: 32 bits each of a keyed SHA-256. The key
//! is drawn at random for each ledger ([`FingerprintKey`]), so fingerprints of two ledgers have
//! nothing in common and no table can be made beforehand. Whoever has a ledger has its key and can try
//! guesses; so few bits then fit many a name.
//!
//! What is compared is the plain text: letters without case, in one Unicode form (NFKC), a name as
//! the set of its words, so that `Lovelace, Ada` in one column is `Ada` and `Lovelace` in two.

use icu_normalizer::ComposingNormalizerBorrowed;
use sha2::{Digest, Sha256};

/// A person's fingerprint; a half of 0 is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersonFingerprint {
    /// Of the e-mail address.
    pub email: u32,
    /// Of the name.
    pub name: u32,
}

impl PersonFingerprint {
    /// That of somebody of whom nothing is known.
    pub const UNKNOWN: Self = Self { email: 0, name: 0 };

    /// Whether neither half is known.
    pub fn is_unknown(self) -> bool {
        self == Self::UNKNOWN
    }

    /// Both halves in one number, for a file; `None` where neither is known.
    pub fn to_number(self) -> Option<i64> {
        let number = u64::from(self.email) << 32 | u64::from(self.name);
        (number != 0).then_some(number.cast_signed())
    }

    /// The fingerprint that became this number.
    pub fn from_number(number: Option<i64>) -> Self {
        let number = number.unwrap_or(0).cast_unsigned();
        #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
        Self { email: (number >> 32) as u32, name: number as u32 }
    }

    /// Compares what is known of somebody with what a row says now.
    pub fn compared_with(self, now: Self) -> Likeness {
        let mut likeness = Likeness::default();
        for (before, now) in [(self.email, now.email), (self.name, now.name)] {
            if before != 0 && now != 0 {
                *(if before == now { &mut likeness.same } else { &mut likeness.differ }) += 1;
            }
        }
        likeness
    }

    /// What is known after this: a half that it does not have stays.
    pub fn updated(self, now: Self) -> Self {
        let half = |before, now| if now == 0 { before } else { now };
        Self { email: half(self.email, now.email), name: half(self.name, now.name) }
    }

    /// The halves that `these` has as well; `None` where one of them is not known here.
    pub fn reduced_to(self, these: Self) -> Option<Self> {
        let half = |own, wanted| match (own, wanted) {
            (_, 0) => Some(0),
            (0, _) => None,
            (own, _) => Some(own),
        };
        Some(Self { email: half(self.email, these.email)?, name: half(self.name, these.name)? })
    }
}

/// How many halves of two fingerprints are the same and how many differ; one that either does not
/// know counts as neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Likeness {
    /// Halves that are the same.
    pub same: u8,
    /// Halves that are not.
    pub differ: u8,
}

/// The random key of a ledger's fingerprints.
#[derive(Clone, Copy)]
pub struct FingerprintKey([u8; FingerprintKey::BYTES]);

impl FingerprintKey {
    /// Its length: with it and a tag before them, nearly all names and addresses fit one block of
    /// SHA-256.
    pub const BYTES: usize = 16;

    /// The key of these bytes.
    pub fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }
}

/// Makes fingerprints with one key.
pub struct Fingerprinter {
    key: FingerprintKey,
}

/// What stands between the key and the text.
const EMAIL: u8 = b'@';
const NAME: u8 = b'n';

/// What systems write where a name is not known yet, its words in their order of letters.
const NOBODY: [&str; 8] = ["a n", "nan", "none", "null", "tba", "tbc", "tbd", "info requested"];

impl Fingerprinter {
    /// One for this key.
    pub fn new(key: FingerprintKey) -> Self {
        Self { key }
    }

    /// The fingerprint of a person with this address and these parts of a name. What is empty, no
    /// address, or a word for nobody is not known.
    pub fn fingerprint<'a>(
        &self,
        email: &str,
        name: impl Iterator<Item = &'a str>,
    ) -> PersonFingerprint {
        PersonFingerprint { email: self.email(email), name: self.name(name) }
    }

    fn email(&self, text: &str) -> u32 {
        if text.contains('@') { self.half(EMAIL, &plain(text.trim())) } else { 0 }
    }

    fn name<'a>(&self, parts: impl Iterator<Item = &'a str>) -> u32 {
        let parts: Vec<String> = parts.map(plain).collect();
        // ASCII's blanks and signs stand between words, but for the apostrophe.
        let between = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && c != '\'';
        let words = parts.iter().flat_map(|part| part.split(between));
        let mut words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        words.sort_unstable();
        words.dedup();
        let name = words.join(" ");
        if name.is_empty() || NOBODY.contains(&name.as_str()) { 0 } else { self.half(NAME, &name) }
    }

    /// The half of a fingerprint that a text makes; never 0.
    fn half(&self, tag: u8, text: &str) -> u32 {
        let hash = Sha256::new_with_prefix(self.key.0).chain_update([tag]).chain_update(text);
        let mut first = [0; 4];
        first.copy_from_slice(&hash.finalize()[..4]);
        u32::from_be_bytes(first).max(1)
    }
}

/// Letters without case, in one form.
pub(super) fn plain(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let text = ComposingNormalizerBorrowed::new_nfkc().normalize(text);
    // By way of the capitals, so that `ß` is `ss` and a final sigma is a sigma.
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker() -> Fingerprinter {
        Fingerprinter::new(FingerprintKey::new([7; FingerprintKey::BYTES]))
    }

    fn name(parts: &[&str]) -> u32 {
        marker().fingerprint("", parts.iter().copied()).name
    }

    fn email(text: &str) -> u32 {
        marker().fingerprint(text, std::iter::empty()).email
    }

    #[test]
    fn a_name_is_the_same_however_it_is_written() {
        let ada = name(&["Ada", "Lovelace"]);
        for other in [
            &["Lovelace", "Ada"][..],
            &["Ada Lovelace"],
            &["  LOVELACE,\tada "],
            &["Ada", "Lovelace", "Ada Lovelace"],
            &["\u{ff21}da\u{3000}Lovelace", ""],
        ] {
            assert_eq!(name(other), ada, "{other:?}");
        }
        for other in [&["Ada"][..], &["Ada", "Byron"], &["AdaLovelace"]] {
            assert_ne!(name(other), ada, "{other:?}");
        }
        assert_eq!(name(&["Zoe\u{301} STRASSE"]), name(&["Zo\u{e9}", "Straße"]));
        assert_eq!(name(&["ΟΔΥΣΣΕΥΣ"]), name(&["Οδυσσευς"]));
        assert_eq!(name(&["Anna-Maria O'Hara"]), name(&["Anna Maria", "o'hara"]));
        assert_ne!(name(&["山田"]), name(&["太郎"]));
    }

    #[test]
    fn an_address_is_the_same_in_any_case() {
        assert_eq!(email(" Ada@Example.ORG "), email("ada@example.org"));
        assert_ne!(email("ada@example.org"), email("bob@example.org"));
        assert_ne!(email("ada@example.org"), name(&["ada@example.org"]), "each half has its tag");
    }

    #[test]
    fn what_tells_nobody_is_not_known() {
        for nothing in ["", " ", "-", "n/a", "N/A", "TBA", "Info Requested", "null"] {
            assert_eq!(
                marker().fingerprint(nothing, [nothing].into_iter()),
                PersonFingerprint::UNKNOWN,
                "{nothing}"
            );
        }
        assert_eq!(email("yes"), 0);
        assert_ne!(name(&["Nan Goldin"]), 0);
    }

    #[test]
    fn another_key_makes_other_fingerprints() {
        let other = Fingerprinter::new(FingerprintKey::new([8; FingerprintKey::BYTES]))
            .fingerprint("a@b", ["Ada"].into_iter());
        let own = marker().fingerprint("a@b", ["Ada"].into_iter());
        assert_eq!(own.compared_with(other), Likeness { same: 0, differ: 2 });
    }

    #[test]
    fn halves_that_are_not_known_decide_nothing() {
        let mark = |email, name| PersonFingerprint { email, name };
        for (before, now, same, differ) in [
            (mark(1, 2), mark(1, 2), 2, 0),
            (mark(1, 2), mark(1, 3), 1, 1),
            (mark(1, 2), mark(4, 3), 0, 2),
            (mark(0, 2), mark(4, 3), 0, 1),
            (mark(1, 2), mark(0, 2), 1, 0),
            (mark(1, 0), mark(0, 2), 0, 0),
            (PersonFingerprint::UNKNOWN, mark(1, 2), 0, 0),
        ] {
            let likeness = before.compared_with(now);
            assert_eq!((likeness.same, likeness.differ), (same, differ), "{before:?} {now:?}");
        }
        assert_eq!(mark(1, 2).updated(mark(0, 3)), mark(1, 3));
        assert_eq!(mark(1, 2).reduced_to(mark(0, 9)), Some(mark(0, 2)));
        assert_eq!(mark(0, 2).reduced_to(mark(5, 9)), None);
    }

    #[test]
    fn a_fingerprint_comes_back_from_its_number() {
        for mark in [
            PersonFingerprint::UNKNOWN,
            PersonFingerprint { email: u32::MAX, name: 1 },
            PersonFingerprint { email: 0, name: u32::MAX },
            PersonFingerprint { email: 1, name: 0 },
        ] {
            assert_eq!(PersonFingerprint::from_number(mark.to_number()), mark);
        }
        assert_eq!(PersonFingerprint::UNKNOWN.to_number(), None);
    }
}
