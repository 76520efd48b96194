//! Made-up people, as many as a test needs.

use std::fmt::Write;

/// A CSV of `count` people with ids `p-00000`, `p-00001`, …
pub(crate) fn crowd(count: usize) -> String {
    let mut csv = "id,name\n".to_owned();
    for n in 0..count {
        writeln!(csv, "{},Person {n}", id(n)).expect("a String takes it");
    }
    csv
}

/// The id of the nth of them.
pub(crate) fn id(n: usize) -> String {
    format!("p-{n:05}")
}

/// A GUID of its own for each number.
pub(crate) fn guid(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012x}")
}
