//! Whose the registrants are: their marks, and the key that these are made with.
//!
//! A mark is written with its registrant's intent. Here are the two other ways: to learn it of
//! somebody who was enrolled before it was known, or whose row has changed since, and to look for
//! whoever is known under another id, which no index helps with, since that is seldom asked.

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Ledger, LedgerError, Seq, State, record::first_bits};
use crate::registrant::{FingerprintKey, PersonFingerprint};

/// Draws the key of a ledger that has none.
pub(super) fn draw_key(connection: &Connection) -> Result<(), LedgerError> {
    // 122 bits of the system's own randomness. aws-lc gathers some of its own first, for a tenth of a
    // second.
    let key: [u8; FingerprintKey::BYTES] = Uuid::new_v4().into_bytes();
    connection.execute(
        "INSERT INTO person_key (one, key, seal) VALUES (1, ?, ?)",
        params![key, seal(&key)],
    )?;
    Ok(())
}

/// The key, as it was drawn. With another one everybody would be somebody else.
pub(super) fn key(connection: &Connection) -> Result<FingerprintKey, LedgerError> {
    let found: Option<([u8; FingerprintKey::BYTES], i64)> = connection
        .query_row("SELECT key, seal FROM person_key", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        Some((key, sealed)) if seal(&key) == sealed => Ok(FingerprintKey::new(key)),
        _ => Err(LedgerError::Damaged("the key of the people's marks is broken".to_owned())),
    }
}

fn seal(key: &[u8]) -> i64 {
    first_bits(Sha256::new_with_prefix(key)).cast_signed()
}

impl Ledger {
    /// Whether anybody's mark is known.
    ///
    /// # Errors
    /// [`LedgerError`] when the file cannot be read.
    pub fn knows_people(&self) -> Result<bool, LedgerError> {
        let known = "SELECT EXISTS (SELECT 1 FROM registrant WHERE person IS NOT NULL)";
        Ok(self.connection().query_row(known, [], |row| row.get(0))?)
    }

    /// Keeps what was learnt of registrants.
    ///
    /// # Errors
    /// [`LedgerError`], with the path, when the file is damaged or cannot be written; nothing is
    /// changed then.
    pub fn store_fingerprints(&mut self, learnt: &[(Seq, PersonFingerprint)]) -> Result<(), LedgerError> {
        if learnt.is_empty() {
            return Ok(());
        }
        let path = self.path().to_owned();
        let connection = self.connection_mut();
        let mut write = || {
            let transaction = connection.transaction()?;
            // They get new seals, so the old ones must fit.
            let mut keep = transaction.prepare(
                "UPDATE registrant
                 SET person = ?1,
                     seal = seal(id, state, sent, join_web_url, registrant_id, ?1)
                 WHERE seq = ?2
                   AND seal = seal(id, state, sent, join_web_url, registrant_id, person)",
            )?;
            for (seq, mark) in learnt {
                if keep.execute(params![mark.to_number(), seq.0])? != 1 {
                    return Err(LedgerError::Damaged(format!(
                        "the seal of registrant {} is broken",
                        seq.0
                    )));
                }
            }
            drop(keep);
            Ok(transaction.commit()?)
        };
        write().map_err(|error: LedgerError| error.at(path))
    }

    /// Tells the mark of everybody whom the target holds, or may hold, by this ledger's doing.
    ///
    /// # Errors
    /// [`LedgerError`], with the path, when the file cannot be read.
    pub fn for_each_fingerprint(
        &self,
        mut tell: impl FnMut(Seq, PersonFingerprint),
    ) -> Result<(), LedgerError> {
        let mut read = || {
            let mut statement = self.connection().prepare(
                "SELECT seq, person FROM registrant NOT INDEXED
                 WHERE person IS NOT NULL AND state NOT IN (?, ?, ?)",
            )?;
            let not_held = [State::Ready as u8, State::Refused as u8, State::Foreign as u8];
            let mut rows = statement.query(not_held)?;
            while let Some(row) = rows.next()? {
                tell(Seq(row.get(0)?), PersonFingerprint::from_number(row.get(1)?));
            }
            Ok(())
        };
        read().map_err(|error: LedgerError| error.at(self.path()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        ledger::{SendPermit, Identity, Intent, Purpose},
        registrant::RegistrantId,
    };

    const ADA: PersonFingerprint = PersonFingerprint { email: 5, name: 7 };

    fn open(path: &Path) -> Result<Ledger, LedgerError> {
        let target = Identity {
            kind: "meeting".to_owned(),
            name: "m".to_owned(),
            organizer: None,
            graph: "graph".to_owned(),
        };
        Ledger::open(path, &target, 1)
    }

    fn id(text: &str) -> RegistrantId {
        RegistrantId::parse(text).expect("an id")
    }

    fn post(ledger: &mut Ledger, text: &str, person: PersonFingerprint) -> Seq {
        let intent = Intent {
            id: id(text),
            sent: String::new(),
            person,
            line: 2,
            purpose: Purpose::Post,
            client_request_id: Uuid::from_u128(7),
            at: 2,
        };
        match ledger.commit(|batch| batch.intend(&intent)).expect("writes") {
            SendPermit::Go(seq) => seq,
            SendPermit::Held(state) => panic!("held: {state:?}"),
        }
    }

    fn person(ledger: &Ledger, text: &str) -> PersonFingerprint {
        ledger.find(&id(text)).expect("sound").expect("there").person
    }

    #[test]
    fn a_mark_is_kept_with_its_registrant_or_learnt_later() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("l");
        let mut ledger = open(&path).expect("opens");
        assert!(!ledger.knows_people().expect("reads"));
        let (a, b) =
            (post(&mut ledger, "a", ADA), post(&mut ledger, "b", PersonFingerprint::UNKNOWN));
        assert_eq!((person(&ledger, "a"), person(&ledger, "b")), (ADA, PersonFingerprint::UNKNOWN));
        let bob = PersonFingerprint { email: u32::MAX, name: 0 };
        ledger.store_fingerprints(&[(a, bob), (b, ADA)]).expect("writes");
        assert_eq!((person(&ledger, "a"), person(&ledger, "b")), (bob, ADA));
        let mut told = Vec::new();
        ledger.for_each_fingerprint(|seq, mark| told.push((seq, mark))).expect("reads");
        assert_eq!(told, [(a, bob), (b, ADA)]);
        assert!(ledger.knows_people().expect("reads"));
        ledger.verify().expect("every seal fits");
        assert!(ledger.store_fingerprints(&[(a, ADA), (Seq(9), ADA)]).is_err(), "nobody has this number");
        assert_eq!(person(&ledger, "a"), bob, "all of it or nothing");
    }

    #[test]
    fn a_changed_mark_and_a_changed_key_are_damage() {
        for (change, opens) in [
            ("UPDATE registrant SET person = person + 1", true),
            ("UPDATE registrant SET person = NULL", true),
            ("UPDATE person_key SET key = randomblob(16)", false),
            ("UPDATE person_key SET key = randomblob(15)", false),
            ("DELETE FROM person_key", false),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("l");
            let mut ledger = open(&path).expect("opens");
            let seq = post(&mut ledger, "a", ADA);
            drop(ledger);
            Connection::open(&path).expect("opens").execute_batch(change).expect("runs");
            let damaged = |error: LedgerError| {
                assert!(matches!(error.kind(), LedgerError::Damaged(_)), "{change}: {error}");
            };
            match open(&path) {
                Ok(mut ledger) => {
                    assert!(opens, "{change}");
                    damaged(ledger.find(&id("a")).map(drop).expect_err("damaged"));
                    damaged(ledger.store_fingerprints(&[(seq, ADA)]).expect_err("damaged"));
                }
                Err(error) => {
                    assert!(!opens, "{change}: {error}");
                    damaged(error);
                }
            }
        }
    }
}
