//! Which ids were claimed, by which row: 25 bytes for each, whatever the ids' length.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, Hasher},
};

use super::row::KEYS;

/// What a row claims its id with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    /// Fingerprint of all cells.
    pub(super) row: u64,
    /// Fingerprint of names and e-mail.
    pub(super) person: u32,
    /// Physical line.
    pub(super) line: u64,
}

/// How a claim ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claimed {
    First,
    /// By a row that is equal in every cell.
    Again {
        line: u64,
    },
    /// By a row that differs.
    Taken {
        line: u64,
        same_person: bool,
    },
}

/// The table is cut in parts that grow one at a time: growing needs the old and the new memory
/// together, and so it is never the whole table's twice over.
const PARTS: usize = 64;

#[derive(Clone, Copy)]
struct Held {
    row: u64,
    person: u32,
    line: u32,
}

/// The ids seen so far, by a hash of 64 bits that is keyed at random.
///
/// Two of a million ids fall together with a chance of 1 in 37 million; the second of them would
/// be reported as a duplicate, and nobody would be given another's link.
pub(super) struct Seen {
    parts: Vec<HashMap<u64, Held, BuildHasherDefault<Hashed>>>,
}

impl Default for Seen {
    fn default() -> Self {
        Self { parts: (0..PARTS).map(|_| HashMap::default()).collect() }
    }
}

impl Seen {
    pub(super) fn claim(&mut self, id: &str, claim: Claim) -> Claimed {
        let key = KEYS.hash_one(id);
        // From the middle: the map itself goes by the lowest and the highest bits.
        let part = &mut self.parts[usize::from(key.to_le_bytes()[5]) % PARTS];
        // Lines beyond 4 billion are told as the last line that can be told.
        let line = u32::try_from(claim.line).unwrap_or(u32::MAX);
        match part.entry(key) {
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(Held { row: claim.row, person: claim.person, line });
                Claimed::First
            }
            std::collections::hash_map::Entry::Occupied(held) => {
                let held = held.get();
                let line = u64::from(held.line);
                if held.row == claim.row {
                    Claimed::Again { line }
                } else {
                    Claimed::Taken { line, same_person: held.person == claim.person }
                }
            }
        }
    }
}

/// The keys are hashes already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_claim_holds() {
        let mut seen = Seen::default();
        let claim = |row, person, line| Claim { row, person, line };
        assert_eq!(seen.claim("a", claim(1, 1, 2)), Claimed::First);
        assert_eq!(seen.claim("A", claim(2, 2, 3)), Claimed::First);
        assert_eq!(seen.claim("a", claim(1, 1, 4)), Claimed::Again { line: 2 });
        assert_eq!(seen.claim("a", claim(9, 9, 5)), Claimed::Taken { line: 2, same_person: false });
        assert_eq!(seen.claim("a", claim(9, 1, 6)), Claimed::Taken { line: 2, same_person: true });
    }
}
