//! Many rows: in their order, in little memory.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use crate::{
    context::{Context, Ran},
    files,
    people::{crowd, id},
};

#[test]
fn two_thousand_rows_stay_in_the_inputs_order() {
    let context = Context::offline();
    context.file("people.csv", crowd(2_000));
    let summary = context.summary("rehearse people.csv");
    assert_eq!((&summary["enrolled"], &summary["exitCode"]), (&2_000.into(), &0.into()));
    let rows = files::enrolled(&context, "people.enrolled.csv");
    assert!(rows.iter().map(|row| row.id.clone()).eq((0..2_000).map(id)));
    files::each_link_is_its_own(&rows);
}

/// The most memory that the program may ever hold at once.
const MOST_MEMORY_KIB: u64 = 64 * 1_024;

/// Minutes in a debug build, seconds in a release build:
///
/// ```console
/// cargo test --release --test it -- --ignored --nocapture a_hundred_thousand
/// ```
#[test]
#[ignore = "long: cargo test --release --test it -- --ignored --nocapture a_hundred_thousand"]
fn a_hundred_thousand_rows_fit_into_64_mib() {
    const ROWS: usize = 100_000;
    let context = Context::offline();
    context.file("people.csv", crowd(ROWS));
    let began = Instant::now();
    let mut child = context
        .command("rehearse people.csv --json --progress never")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut most = 0;
    while child.try_wait().expect("it can be asked").is_none() {
        most = most.max(peak_memory_kib(child.id()).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(20));
    }
    let summary = Ran::from(child.wait_with_output().expect("it ends")).expect(0).json();
    #[expect(clippy::print_stderr, reason = "the figures are what the test is run for")]
    {
        eprintln!("{ROWS} rows in {:.1} s, at most {most} KiB", began.elapsed().as_secs_f64());
    }
    assert_eq!(summary["enrolled"], ROWS);
    let rows = files::enrolled(&context, "people.enrolled.csv");
    assert!(rows.iter().map(|row| row.id.clone()).eq((0..ROWS).map(id)));
    files::each_link_is_its_own(&rows);
    assert!((1..MOST_MEMORY_KIB).contains(&most), "{most} KiB");
}

/// The high-water mark of a process's resident memory, as Linux keeps it.
fn peak_memory_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
