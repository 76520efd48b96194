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

/// A CSV of `count` ids `person-0`, `person-1`, … and nothing else.
pub(crate) fn persons(count: usize) -> String {
    (0..count).fold("id\n".to_owned(), |csv, n| csv + &format!("person-{n}\n"))
}

/// The id of the nth of the [`crowd`].
pub(crate) fn id(n: usize) -> String {
    format!("p-{n:05}")
}

/// A GUID of its own for each number.
pub(crate) fn guid(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012x}")
}
