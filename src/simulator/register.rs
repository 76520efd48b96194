//! The people of one target, and lists of them in pages.
//!
//! A removed record stays as a gap, so that a page's position never shifts. A page has `value` and,
//! where there is more, an absolute `@odata.nextLink` whose token says nothing to anybody else.

use std::{collections::HashMap, fmt::Write as _, time::Duration};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::{answer::Problem, chance, config::Config, request};

/// One person of a target.
#[derive(Debug)]
pub(super) struct Record<T> {
    /// When it was made.
    pub(super) made: Duration,
    /// How many records of this key there were before.
    pub(super) nonce: u32,
    gone: bool,
    pub(super) data: T,
}

/// What is known of the hash of a key.
#[derive(Debug, Default)]
struct KnownKey {
    attempts: u32,
    /// Positions of its records, oldest first.
    records: Vec<u32>,
}

/// Records by the hash of their key: an id, or an e-mail address.
#[derive(Debug)]
pub(super) struct Register<T> {
    records: Vec<Record<T>>,
    keys: HashMap<u64, KnownKey>,
}

impl<T> Default for Register<T> {
    fn default() -> Self {
        Self { records: Vec::new(), keys: HashMap::new() }
    }
}

impl<T> Register<T> {
    /// Counts an attempt to enrol this key, from 1.
    pub(super) fn attempt(&mut self, hash: u64) -> u32 {
        let key = self.keys.entry(hash).or_default();
        key.attempts += 1;
        key.attempts
    }

    /// The records present whose hash is this, newest first, with their positions. A hash is not a
    /// key: the caller compares the key.
    pub(super) fn with_hash(&self, hash: u64) -> impl Iterator<Item = (u32, &Record<T>)> {
        let records = self.keys.get(&hash).map_or(&[][..], |key| &key.records);
        records.iter().rev().filter_map(|&number| Some((number, self.get(number)?)))
    }

    /// Adds a record; says where.
    pub(super) fn add(&mut self, hash: u64, made: Duration, data: T) -> u32 {
        let number = u32::try_from(self.records.len()).expect("fewer than 2^32 registrants");
        let key = self.keys.entry(hash).or_default();
        let nonce = u32::try_from(key.records.len()).expect("no more than all records");
        key.records.push(number);
        self.records.push(Record { made, nonce, gone: false, data });
        number
    }

    pub(super) fn get(&self, number: u32) -> Option<&Record<T>> {
        self.records.get(number as usize).filter(|record| !record.gone)
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Record<T>> {
        self.records.get_mut(number as usize).filter(|record| !record.gone)
    }

    pub(super) fn remove(&mut self, number: u32) {
        self.records[number as usize].gone = true;
    }

    /// Removes everybody; attempts stay counted.
    pub(super) fn clear(&mut self) {
        for record in &mut self.records {
            record.gone = true;
        }
    }

    /// Those present from this position on, with their positions.
    pub(super) fn present(&self, start: u32) -> impl Iterator<Item = (u32, &Record<T>)> {
        (start..)
            .zip(self.records.get(start as usize..).unwrap_or_default())
            .filter(|(_, record)| !record.gone)
    }
}

/// One page of a list.
#[derive(Serialize)]
pub(super) struct RegisterPage<T> {
    #[serde(rename = "@odata.context", skip_serializing_if = "Option::is_none")]
    pub(super) context: Option<String>,
    #[serde(rename = "@odata.nextLink", skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    value: Vec<T>,
}

impl<T> RegisterPage<T> {
    /// Cuts the page that the query asks for out of what `items` gives from a position on.
    pub(super) fn cut<I: Iterator<Item = (u32, T)>>(
        config: &Config,
        base: &str,
        path: &str,
        query: &str,
        items: impl FnOnce(u32) -> I,
    ) -> Result<Self, Problem> {
        let start = match request::parameter(query, "$skiptoken") {
            None => 0,
            Some(token) => unseal(config.seed, &token)
                .ok_or_else(|| Problem::bad_request("The $skiptoken is invalid."))?,
        };
        let mut items = items(start).peekable();
        let value = items.by_ref().take(config.page_size.max(1)).map(|(_, item)| item).collect();
        let next = items.peek().map(|(number, _)| {
            let mut next = format!("{base}{path}?");
            // The other parameters come along, as Graph does it.
            for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
                if name != "$skiptoken" {
                    let value = utf8_percent_encode(&value, NON_ALPHANUMERIC);
                    write!(next, "{name}={value}&").expect("a String takes everything");
                }
            }
            next + "$skiptoken=" + &seal(config.seed, *number)
        });
        Ok(Self { context: None, next, value })
    }
}

/// A position in a form that nobody is tempted to count on.
fn seal(seed: u64, number: u32) -> String {
    let number = u64::from(number) ^ (chance::mix(seed) >> 32);
    format!("R{:08x}{:08x}", number, chance::pair(seed, number) >> 32)
}

fn unseal(seed: u64, token: &str) -> Option<u32> {
    let number = u64::from_str_radix(token.strip_prefix('R')?.get(..8)?, 16).ok()?;
    let number = u32::try_from(number ^ (chance::mix(seed) >> 32)).ok()?;
    (seal(seed, number) == token).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_one_hash_are_told_apart_and_numbered() {
        let mut register = Register::default();
        let a = register.add(1, Duration::ZERO, "a");
        let b = register.add(1, Duration::ZERO, "b");
        let found = |register: &Register<&'static str>| -> Vec<_> {
            register.with_hash(1).map(|(number, record)| (number, record.data)).collect()
        };
        assert_eq!(found(&register), [(b, "b"), (a, "a")]);
        register.remove(a);
        register.remove(a);
        assert_eq!(found(&register), [(b, "b")]);
        assert!(register.get(a).is_none());
        assert_eq!(register.get(b).expect("present").nonce, 1);
        assert_eq!(register.present(0).map(|(number, _)| number).collect::<Vec<_>>(), [b]);
        assert_eq!(register.present(7).count(), 0);
        register.clear();
        assert_eq!((register.present(0).count(), register.with_hash(1).count()), (0, 0));
    }

    #[test]
    fn attempts_are_counted_by_hash_and_survive_a_clearing() {
        let mut register = Register::<()>::default();
        assert_eq!((register.attempt(1), register.attempt(1), register.attempt(2)), (1, 2, 1));
        register.clear();
        assert_eq!(register.attempt(1), 3);
    }

    #[test]
    fn a_token_is_opaque_and_only_its_own() {
        for number in [0, 1, 99, 100_000, u32::MAX] {
            let token = seal(3, number);
            assert_eq!(unseal(3, &token), Some(number));
            assert_eq!(unseal(4, &token), None);
            assert!(!token.contains(&number.to_string()) || number < 100);
        }
        for bad in ["", "R", "100", "Rzzzzzzzz00000000", "R0000000000000000"] {
            assert_eq!(unseal(3, bad), None, "{bad}");
        }
    }

    #[test]
    fn pages_follow_one_another_to_the_end() {
        let config = Config { page_size: 4, ..Config::default() };
        let (mut seen, mut pages) = (Vec::new(), 0);
        let mut query = "$filter=a+b".to_owned();
        loop {
            let page = RegisterPage::cut(&config, "http://h", "/list", &query, |start| {
                (start..10).map(|number| (number, number))
            })
            .expect("a page");
            seen.extend(page.value);
            pages += 1;
            let Some(next) = page.next else { break };
            let (path, rest) = next.split_once('?').expect("a query");
            assert_eq!(path, "http://h/list");
            assert!(rest.starts_with("$filter=a%20b&$skiptoken="), "{rest}");
            query = rest.to_owned();
        }
        assert_eq!((seen, pages), ((0..10).collect(), 3));
    }
}
