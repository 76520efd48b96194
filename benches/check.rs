//! How fast `check` reads: the survey with its duplicate detection, held against a bare
//! `csv::ByteRecord` loop over the same file in the same run.
//!
//! `cargo bench --bench check` prints both rates, their ratio and the survey's peak memory. Rounds
//! of the two alternate, so that a change in the machine's load falls on both.

#![expect(clippy::print_stdout, reason = "a bench talks on standard output")]

use std::{
    error::Error,
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    time::Instant,
};

use registrant_import::{
    input::{InputError, Options, Source, open, survey},
    registrant::{Mode, Rule},
};

/// Rows of the file, each with an id of its own.
const ROWS: u64 = 1_000_000;
/// Rounds of each kind; the best one counts.
const ROUNDS: usize = 9;
/// The least share of the bare loop's rate that the survey must reach.
const LEAST_RATIO: f64 = 0.4;
/// The most resident memory, in MiB.
const MOST_MEMORY: u64 = 96;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("attendees.csv");
    write_attendees(&path)?;
    let megabytes = fs::metadata(&path)?.len() / 1_000_000;
    println!("{ROWS} rows, {megabytes} MB");

    let (mut bare, mut checked) = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        bare = bare.min(bare_loop(&path)?);
        checked = checked.min(check(&path)?);
    }
    #[expect(clippy::cast_precision_loss, reason = "a million is exact in f64")]
    let rate = |seconds: f64| ROWS as f64 / seconds;
    let ratio = bare / checked;
    println!("csv::ByteRecord loop  {:>10.0} rows/s", rate(bare));
    println!("survey (check)        {:>10.0} rows/s", rate(checked));
    println!("ratio                 {ratio:>10.2} (at least {LEAST_RATIO})");
    match peak_memory() {
        Some(peak) => println!("peak resident memory  {peak:>10} MiB (less than {MOST_MEMORY})"),
        None => println!("peak resident memory  not told by this system"),
    }
    if ratio < LEAST_RATIO || peak_memory().is_some_and(|peak| peak >= MOST_MEMORY) {
        return Err("the survey is slower or larger than promised".into());
    }
    Ok(())
}

/// An export as event systems write them: an id, names, an e-mail, a few more columns.
fn write_attendees(path: &Path) -> Result<(), Box<dyn Error>> {
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "Order code,id,First Name,Last Name,Email,Company,Status,Registered")?;
    for row in 0..ROWS {
        // A multiplicative step scatters the ids, as real ones are.
        let id = row.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let order = row / 3;
        let company = if row % 8 == 0 { "\"Lovelace, Byron & Co\"" } else { "Analytical Engines" };
        writeln!(
            file,
            "O{order:07},{id:016x},Ada{row},Byron,ada{row}@example.org,{company},Paid,2026-05-01 09:15:00"
        )?;
    }
    file.flush()?;
    Ok(())
}

fn bare_loop(path: &Path) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    let mut reader = csv::Reader::from_path(path)?;
    let mut record = csv::ByteRecord::new();
    let mut rows = 0;
    while reader.read_byte_record(&mut record)? {
        rows += 1;
    }
    assert_eq!(rows, ROWS);
    Ok(start.elapsed().as_secs_f64())
}

fn check(path: &Path) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    let input = open(&Source::File(path.to_owned()), &Options::default())?;
    let mut rows = input.into_rows()?;
    let found = survey::<InputError>(&mut rows, Rule::Meeting(Mode::Everyone), |_, _| Ok(()))?;
    assert_eq!((found.read, found.valid), (ROWS, ROWS));
    Ok(start.elapsed().as_secs_f64())
}

/// The peak resident memory of this process in MiB, where Linux tells it.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib / 1024)
}
