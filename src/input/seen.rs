//! Which ids were claimed, by which row: 24 bytes for each, whatever the ids' length.

use std::hash::BuildHasher;

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

/// Key, row, and person with line; a key of 0 is an empty place.
type Place = [u64; 3];

/// The ids seen so far, by a hash of 64 bits that is keyed at random.
///
/// Two of a million ids fall together with a chance of 1 in 37 million; the second of them would
/// be reported as a duplicate, and nobody would be given another's link.
///
/// A table of its own, because nearly every look-up waits for far memory, which is most of the time
/// of a check: here it is one access an id and not two, and those of many rows can be made to wait
/// together ([`Seen::approach`]).
#[derive(Default)]
pub(super) struct Seen {
    places: Vec<Place>,
    taken: usize,
    /// A buffer of [`Seen::approach`].
    homes: Vec<usize>,
}

impl Seen {
    pub(super) fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// Makes room for this many ids at once, instead of growing to it.
    pub(super) fn expect(&mut self, ids: usize) {
        /// An estimate may be wrong: no more room than this is made unasked.
        const MOST: usize = 1_000_000;
        let room = (ids.min(MOST) * 3 / 2).max(1024);
        if room > self.places.len() {
            self.grow(room);
        }
    }

    /// Fetches the places of these ids from far memory, all at once.
    pub(super) fn approach<'a>(&mut self, ids: impl Iterator<Item = &'a str>) {
        if self.places.is_empty() {
            return;
        }
        self.homes.clear();
        for id in ids {
            let home = self.home(key(id));
            self.homes.push(home);
        }
        // Nothing here waits for anything else, so the processor has all of them under way.
        let fetched = self.homes.iter().fold(0, |sum, &home| sum ^ self.places[home][0]);
        std::hint::black_box(fetched);
    }

    /// Claims an id for a row.
    pub(super) fn claim(&mut self, id: &str, claim: Claim) -> Claimed {
        // At most three quarters are taken, so that a free place is near.
        if self.taken * 4 >= self.places.len() * 3 {
            self.grow((self.places.len() * 3 / 2).max(1024));
        }
        let key = key(id);
        let mut at = self.home(key);
        let mut found = self.places[at][0];
        while found != 0 && found != key {
            at = next(at, self.places.len());
            found = self.places[at][0];
        }
        if found == 0 {
            // Lines beyond 4 billion are told as the last line that can be told.
            let line = claim.line.min(u64::from(u32::MAX));
            self.places[at] = [key, claim.row, u64::from(claim.person) << 32 | line];
            self.taken += 1;
            return Claimed::First;
        }
        let [_, row, rest] = self.places[at];
        let line = rest & u64::from(u32::MAX);
        if row == claim.row {
            Claimed::Again { line }
        } else {
            Claimed::Taken { line, same_person: rest >> 32 == u64::from(claim.person) }
        }
    }

    fn home(&self, key: u64) -> usize {
        home(key, self.places.len())
    }

    fn grow(&mut self, room: usize) {
        // Written now and not merely reserved: else each page is faulted in twice, by the look-up
        // that reads it first and by the claim that writes it.
        let mut places = Vec::with_capacity(room);
        places.resize(room, std::hint::black_box([0; 3]));
        let old = std::mem::replace(&mut self.places, places);
        for place in old.into_iter().filter(|place| place[0] != 0) {
            let mut at = self.home(place[0]);
            while self.places[at][0] != 0 {
                at = next(at, room);
            }
            self.places[at] = place;
        }
    }
}

/// The place of a key among so many: the key as a fraction of all keys, so that any number will do
/// and no room has to be twice as large as the last one.
fn home(key: u64, places: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "a fraction of a usize is one")]
    let place = ((u128::from(key) * places as u128) >> 64) as usize;
    place
}

fn next(at: usize, places: usize) -> usize {
    if at + 1 == places { 0 } else { at + 1 }
}

/// Never 0, which is an empty place.
fn key(id: &str) -> u64 {
    KEYS.hash_one(id).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_claim_holds() {
        let mut seen = Seen::default();
        let mut claim = |id, row, person, line| seen.claim(id, Claim { row, person, line });
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
                let claimed = seen.claim(&id.to_string(), Claim { row: id, person: 0, line: 7 });
                assert_eq!(claimed, round, "{id}");
            }
        }
    }
}
