//! Which ids were claimed, by which row: 24 bytes for each, whatever the ids' length, and a table
//! to find them by.

use std::hash::BuildHasher;

use super::row::KEYS;

/// What a row claims its id with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    /// Hash of the id: [`key`].
    pub(super) key: u64,
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

/// A claim that holds.
#[derive(Clone, Copy)]
struct Held {
    key: u64,
    row: u64,
    person: u32,
    line: u32,
}

/// The place of a held claim, counted from 1, in the low bits, and the high bits of its key in the
/// high ones; 0 is an empty place.
type Place = u64;

/// Low bits of a [`Place`]: a thousand billion claims.
const COUNT_BITS: u32 = 40;

/// The ids seen so far, by a hash of 64 bits that is keyed at random.
///
/// Two of a million ids fall together with a chance of 1 in 37 million; the second of them would
/// be reported as a duplicate, and nobody would be given another's link.
///
/// A table of its own, because nearly every look-up waits for far memory: here it is one access of
/// eight bytes for an id that is new (what is held lies in the order of the claims, and is only
/// looked at for an id that repeats), and those of many rows can be made to wait together
/// ([`Seen::approach`]).
#[derive(Default)]
pub(super) struct Seen {
    places: Vec<Place>,
    held: Vec<Held>,
}

impl Seen {
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Makes room for this many ids at once, instead of growing to it.
    pub(super) fn expect(&mut self, ids: usize) {
        /// An estimate may be wrong: no more room than this is made unasked.
        const MOST: usize = 1_000_000;
        let ids = ids.min(MOST);
        self.held.reserve(ids);
        let room = (ids * 4 / 3).next_power_of_two().max(1024);
        if room > self.places.len() {
            self.grow(room);
        }
    }

    /// Fetches the places of these ids from far memory, all at once.
    pub(super) fn approach(&self, keys: impl Iterator<Item = u64>) {
        if self.places.is_empty() {
            return;
        }
        // Nothing here waits for anything else, so the processor has all of them under way.
        let fetched = keys.fold(0, |sum, key| sum ^ self.places[self.home(key)]);
        std::hint::black_box(fetched);
    }

    /// Claims an id for a row.
    pub(super) fn claim(&mut self, claim: &Claim) -> Claimed {
        // At most three quarters are taken, so that a free place is near.
        if self.held.len() * 4 >= self.places.len() * 3 {
            self.grow((self.places.len() * 2).max(1024));
        }
        let mut at = self.home(claim.key);
        while self.places[at] != 0 {
            if self.places[at] >> COUNT_BITS == claim.key >> COUNT_BITS
                && let Some(held) = self.held(self.places[at])
                && held.key == claim.key
            {
                let line = u64::from(held.line);
                return if held.row == claim.row {
                    Claimed::Again { line }
                } else {
                    Claimed::Taken { line, same_person: held.person == claim.person }
                };
            }
            at = (at + 1) & (self.places.len() - 1);
        }
        // Lines beyond 4 billion are told as the last line that can be told.
        let line = u32::try_from(claim.line).unwrap_or(u32::MAX);
        self.held.push(Held { key: claim.key, row: claim.row, person: claim.person, line });
        self.places[at] = place(claim.key, self.held.len());
        Claimed::First
    }

    fn held(&self, place: Place) -> Option<&Held> {
        let nth = usize::try_from(place & ((1 << COUNT_BITS) - 1)).ok()?;
        self.held.get(nth.checked_sub(1)?)
    }

    fn home(&self, key: u64) -> usize {
        // On a narrow machine only the low bits count, which are as good as any.
        #[expect(clippy::cast_possible_truncation, reason = "the mask keeps the low bits alone")]
        let low = key as usize;
        low & (self.places.len() - 1)
    }

    fn grow(&mut self, room: usize) {
        // Written now and not merely reserved: else each page is faulted in twice, by the look-up
        // that reads it first and by the claim that writes it.
        self.places.clear();
        self.places.shrink_to(0);
        self.places.resize(room, std::hint::black_box(0));
        for nth in 0..self.held.len() {
            let key = self.held[nth].key;
            let mut at = self.home(key);
            while self.places[at] != 0 {
                at = (at + 1) & (room - 1);
            }
            self.places[at] = place(key, nth + 1);
        }
    }
}

/// What stands in the table for the `count`th claim.
fn place(key: u64, count: usize) -> Place {
    (key >> COUNT_BITS << COUNT_BITS) | count as u64
}

/// What an id is known by here.
pub(super) fn key(id: &str) -> u64 {
    KEYS.hash_one(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_claim_holds() {
        let mut seen = Seen::default();
        let mut claim =
            |id, row, person, line| seen.claim(&Claim { key: key(id), row, person, line });
        assert_eq!(claim("a", 1, 1, 2), Claimed::First);
        assert_eq!(claim("A", 2, 2, 3), Claimed::First);
        assert_eq!(claim("a", 1, 1, 4), Claimed::Again { line: 2 });
        assert_eq!(claim("a", 9, 9, 5), Claimed::Taken { line: 2, same_person: false });
        assert_eq!(claim("a", 9, 1, 6), Claimed::Taken { line: 2, same_person: true });
    }

    #[test]
    fn a_table_that_grows_forgets_nobody() {
        let mut seen = Seen::default();
        for round in [Claimed::First, Claimed::Again { line: 7 }] {
            for id in 0..5000 {
                let key = key(&id.to_string());
                let claimed = seen.claim(&Claim { key, row: id, person: 0, line: 7 });
                assert_eq!(claimed, round, "{id}");
            }
        }
    }

    #[test]
    fn ids_that_share_a_place_are_told_apart() {
        let mut seen = Seen::default();
        // Equal in their low bits, by which a place is found, and in their high ones, which stand
        // there: only the whole key tells them apart.
        let (one, other) = (7, 7 | 1 << (COUNT_BITS - 1));
        let mut claim = |key, line| seen.claim(&Claim { key, row: key, person: 0, line });
        assert_eq!(claim(one, 2), Claimed::First);
        assert_eq!(claim(other, 3), Claimed::First);
        assert_eq!(claim(one, 4), Claimed::Again { line: 2 });
        assert_eq!(claim(other, 5), Claimed::Again { line: 3 });
    }
}
