//! Which e-mail addresses were claimed, by whom: for a webinar, which keeps one registration for
//! each address.
//!
//! Source: `email` is an alternate key of `virtualEventRegistration` in Microsoft's metadata
//! (`schemas/v1.0-Prod.csdl`). So of two ids with one address the second would get no link of its
//! own. Upper and lower case are one address.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::BuildHasher,
};

use super::{Row, Standing, row::KEYS};
use crate::registrant::{Fault, FaultCode};

/// The addresses seen so far: 24 bytes each, whatever their length. Hashes stand for addresses and
/// ids; that two of a million fall together is as unlikely as in [`Seen`](super::seen::Seen), and
/// would make a row invalid that need not be.
#[derive(Default)]
pub(super) struct Addresses(HashMap<u64, Holder, foldhash::fast::RandomState>);

struct Holder {
    id: u64,
    line: u32,
}

impl Addresses {
    /// Gives a row's address to it before any other row may claim it.
    pub(super) fn reserve(&mut self, row: &Row) {
        self.hold(row, &mut Vec::new());
    }

    /// Holds a row against the rows before it. Without any fault so far it claims its address: a
    /// row that cannot be enrolled takes it from nobody. The cells of a broken row mean nothing.
    pub(super) fn hold(&mut self, row: &Row, faults: &mut Vec<Fault>) {
        if row.standing() != Standing::Included {
            return;
        }
        let fields = row.fields();
        let email = fields.email.unwrap_or_default().trim();
        if email.is_empty() {
            return;
        }
        let key = if email.bytes().any(|b| b.is_ascii_uppercase() || !b.is_ascii()) {
            KEYS.hash_one(email.to_lowercase().as_str())
        } else {
            KEYS.hash_one(email)
        };
        let id = KEYS.hash_one(fields.id.unwrap_or_default());
        let other = match self.0.entry(key) {
            Entry::Occupied(held) => Some(held.get().line).filter(|_| held.get().id != id),
            Entry::Vacant(free) => {
                if faults.is_empty() {
                    // Lines beyond 4 billion are told as the last line that can be told.
                    free.insert(Holder { id, line: u32::try_from(row.line()).unwrap_or(u32::MAX) });
                }
                None
            }
        };
        if let Some(line) = other {
            faults.push(Fault::new(
                FaultCode::DuplicateEmail,
                format!(
                    "the e-mail address stands in line {line} already, with another id; Teams keeps one registration for each address"
                ),
            ));
        }
    }
}
