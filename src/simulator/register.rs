//! The people of one target, held tightly: 100,000 of them take a few megabytes.
//!
//! The texts stand one behind another in one string, a record is a few numbers, and the index maps
//! the hash of a key to the newest record with it; older ones of the same hash are chained. A
//! removed record stays as a gap, so that a page's position never shifts.

use std::{collections::HashMap, fmt::Write as _, time::Duration};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::{answer::Problem, chance, config::Config, request};

/// What a record says beside its texts; which texts there are is the owner's.
#[derive(Clone, Debug)]
pub(super) struct Record<T> {
    start: u32,
    end: u32,
    older: u32,
    /// When it was made, in nanoseconds: half of a `Duration`.
    made: u64,
    /// How many records of this key there were before.
    pub(super) nonce: u32,
    pub(super) gone: bool,
    pub(super) data: T,
}

impl<T> Record<T> {
    /// When it was made.
    pub(super) fn made(&self) -> Duration {
        Duration::from_nanos(self.made)
    }
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    newest: u32,
    attempts: u32,
}

const NONE: u32 = u32::MAX;

/// Records by the hash of their key.
#[derive(Debug)]
pub(super) struct Register<T> {
    texts: String,
    records: Vec<Record<T>>,
    index: HashMap<u64, Slot>,
    present: usize,
}

impl<T> Default for Register<T> {
    fn default() -> Self {
        Self { texts: String::new(), records: Vec::new(), index: HashMap::new(), present: 0 }
    }
}

impl<T> Register<T> {
    /// Counts an attempt to enrol this key, from 1.
    pub(super) fn attempt(&mut self, hash: u64) -> u32 {
        let slot = self.index.entry(hash).or_insert(Slot { newest: NONE, attempts: 0 });
        slot.attempts += 1;
        slot.attempts
    }

    /// The records present whose hash is this, newest first. A hash is not a key: the caller
    /// compares the text.
    pub(super) fn with_hash(&self, hash: u64) -> impl Iterator<Item = u32> {
        let mut at = self.index.get(&hash).map_or(NONE, |slot| slot.newest);
        std::iter::from_fn(move || {
            let found = at;
            at = self.records.get(found as usize)?.older;
            Some(found)
        })
        .filter(|&found| !self.records[found as usize].gone)
    }

    /// Adds a record.
    pub(super) fn add(&mut self, hash: u64, text: &str, made: Duration, data: T) -> u32 {
        let number = u32::try_from(self.records.len()).expect("fewer than 2^32 registrants");
        let slot = self.index.entry(hash).or_insert(Slot { newest: NONE, attempts: 0 });
        let older = std::mem::replace(&mut slot.newest, number);
        let nonce = self.records.get(older as usize).map_or(0, |older| older.nonce + 1);
        let start = u32::try_from(self.texts.len()).expect("less than 4 GiB of names");
        self.texts.push_str(text);
        let end = u32::try_from(self.texts.len()).expect("less than 4 GiB of names");
        let made = u64::try_from(made.as_nanos()).expect("less than 584 years");
        self.records.push(Record { start, end, older, made, nonce, gone: false, data });
        self.present += 1;
        number
    }

    pub(super) fn get(&self, number: u32) -> Option<&Record<T>> {
        self.records.get(number as usize).filter(|record| !record.gone)
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Record<T>> {
        self.records.get_mut(number as usize).filter(|record| !record.gone)
    }

    pub(super) fn text(&self, record: &Record<T>) -> &str {
        &self.texts[record.start as usize..record.end as usize]
    }

    pub(super) fn remove(&mut self, number: u32) {
        if let Some(record) = self.get_mut(number) {
            record.gone = true;
            self.present -= 1;
        }
    }

    /// Removes everybody; attempts stay counted.
    pub(super) fn clear(&mut self) {
        for record in &mut self.records {
            record.gone = true;
        }
        self.present = 0;
    }

    /// How many are present.
    pub(super) fn len(&self) -> usize {
        self.present
    }

    /// Those present from this position on, with their positions.
    pub(super) fn from(&self, start: u32) -> impl Iterator<Item = (u32, &Record<T>)> {
        (start..)
            .zip(self.records.get(start as usize..).unwrap_or_default())
            .filter(|(_, record)| !record.gone)
    }
}

/// One page.
#[derive(Serialize)]
pub(super) struct ListPage<T> {
    #[serde(rename = "@odata.context", skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    #[serde(rename = "@odata.nextLink", skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    value: Vec<T>,
}

impl<T> ListPage<T> {
    pub(super) fn with_context(self, context: String) -> Self {
        Self { context: Some(context), ..self }
    }
}

impl<T> Default for ListPage<T> {
    fn default() -> Self {
        Self { context: None, next: None, value: Vec::new() }
    }
}

/// Cuts the page that the query asks for out of what `items` gives from a position on.
pub(super) fn cut<T, I: Iterator<Item = (u32, T)>>(
    config: &Config,
    base: &str,
    path: &str,
    query: &str,
    items: impl FnOnce(u32) -> I,
) -> Result<ListPage<T>, Problem> {
    let start = match request::parameter(query, "$skiptoken") {
        None => 0,
        Some(token) => unseal(config.seed, &token)
            .ok_or_else(|| Problem::bad_request("The $skiptoken is invalid."))?,
    };
    let mut items = items(start).peekable();
    let value = items.by_ref().take(config.page_size.max(1)).map(|(_, item)| item).collect();
    let next = items.peek().map(|(number, _)| {
        let mut next = format!("{}{path}?", config.next_link_base.as_deref().unwrap_or(base));
        // The other parameters come along, as Graph does it.
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if name != "$skiptoken" {
                let value = utf8_percent_encode(&value, NON_ALPHANUMERIC);
                write!(next, "{name}={value}&").expect("a String takes everything");
            }
        }
        next + "$skiptoken=" + &seal(config.seed, *number)
    });
    Ok(ListPage { context: None, next, value })
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
        let a = register.add(1, "a", Duration::ZERO, ());
        let b = register.add(1, "b", Duration::ZERO, ());
        assert_eq!(register.with_hash(1).collect::<Vec<_>>(), [b, a]);
        register.remove(a);
        register.remove(a);
        assert_eq!(register.with_hash(1).collect::<Vec<_>>(), [b]);
        assert_eq!((register.len(), register.get(a).is_none()), (1, true));
        let record = register.get(b).expect("present");
        assert_eq!((register.text(record), record.nonce), ("b", 1));
        assert_eq!(register.from(0).map(|(number, _)| number).collect::<Vec<_>>(), [b]);
        assert_eq!(register.from(7).count(), 0);
        register.clear();
        assert_eq!((register.len(), register.with_hash(1).count()), (0, 0));
    }

    #[test]
    fn attempts_are_counted_by_hash_and_survive_a_clearing() {
        let mut register = Register::<()>::default();
        assert_eq!((register.attempt(1), register.attempt(1), register.attempt(2)), (1, 2, 1));
        register.clear();
        assert_eq!(register.attempt(1), 3);
    }

    #[test]
    fn a_record_is_small() {
        assert_eq!(size_of::<Record<u32>>(), 32);
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
            let page = cut(&config, "http://h", "/list", &query, |start| {
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
