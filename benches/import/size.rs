//! What grows with the list: memory, and the ledger of a million.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    time::Instant,
};

use super::program::{Fault, Place, Ran, Simulated, expect, watch};

const MILLION: u64 = 1_000_000;
/// The most resident memory, in MiB.
const MOST_MEMORY: u64 = 96;
/// The most time of `status` and `explain`.
const GLANCE: f64 = 0.050;
/// A re-run with nothing new takes at most so many times the bare work.
const MOST_BARE: f64 = 3.0;

/// The most resident memory of runs of several lengths, then a ledger of a million.
pub(crate) fn size(wanted: impl Fn(&str) -> bool) -> Result<(), Fault> {
    let (memory, ledger) = (wanted("memory"), wanted("ledger"));
    if memory {
        println!(
            "## Memory: the most resident memory of a whole `run` (aim: less than {MOST_MEMORY} MiB)\n"
        );
        println!("| rows | MiB | rows/s |\n| ---: | ---: | ---: |");
        for rows in [10_000, 100_000] {
            let (graph, place) = (Simulated::start("")?, Place::new()?);
            first_run(&graph, &place, rows, true)?;
        }
    }
    let (graph, mut place) = (Simulated::start("--page-size 999")?, Place::new()?);
    if memory || ledger {
        first_run(&graph, &place, MILLION, memory)?;
    }
    if memory {
        // A ledger that was lost: the server holds everybody, and gives no link of theirs.
        let other = Place::new()?;
        other.export(0, MILLION)?;
        let ran = other.run(&graph, "")?;
        if ran.count("refused") != MILLION {
            return Err(format!("not all are on the server: {}", ran.summary).into());
        }
        println!("| {MILLION}, all on the server already, new ledger | {} | |", mib(&ran));
        println!();
    }
    if ledger {
        place.let_loose();
        rerun(&graph, &place)?;
        glances(&place)?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a count of rows")]
fn first_run(graph: &Simulated, place: &Place, rows: u64, tell: bool) -> Result<(), Fault> {
    place.export(0, rows)?;
    let ran = place.run(graph, "")?;
    expect(&ran, rows, 0)?;
    if tell {
        println!("| {rows} | {} | {:.0} |", mib(&ran), rows as f64 / ran.wall);
    }
    Ok(())
}

fn mib(ran: &Ran) -> u64 {
    ran.peak.div_ceil(1_024)
}

/// Everybody is enrolled: read, look up, write both files.
fn rerun(graph: &Simulated, place: &Place) -> Result<(), Fault> {
    const ROUNDS: usize = 3;
    let megabytes = |name: &str| fs::metadata(place.path(name)).map_or(0, |m| m.len() / 1_000_000);
    println!("## Ledger: {MILLION} enrolled, nothing new\n");
    println!(
        "| round | csv crate over the input, s | writing the enrolled file, s | `run`, s | ÷ both (aim {MOST_BARE}) | MiB |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    for round in 1..=ROUNDS {
        let (read, written) = (bare_read(place)?, bare_write(place)?);
        let ran = place.run(graph, "")?;
        expect(&ran, MILLION, 0)?;
        if ran.count("posts") != 0 {
            return Err("a re-run posted somebody".into());
        }
        println!(
            "| {round} | {read:.2} | {written:.2} | {:.2} | {:.2} | {} |",
            ran.wall,
            ran.wall / (read + written),
            mib(&ran)
        );
    }
    println!(
        "\ninput {} MB, enrolled file {} MB, ledger {} MB\n",
        megabytes("people.csv"),
        megabytes("people.enrolled.csv"),
        megabytes("people.ledger")
    );
    Ok(())
}

fn bare_read(place: &Place) -> Result<f64, Fault> {
    let start = Instant::now();
    let mut reader = csv::Reader::from_path(place.path("people.csv"))?;
    let (mut record, mut rows) = (csv::ByteRecord::new(), 0);
    while reader.read_byte_record(&mut record)? {
        rows += 1;
    }
    if rows != MILLION {
        return Err(format!("{rows} rows").into());
    }
    Ok(start.elapsed().as_secs_f64())
}

/// The rows of the enrolled file, read before, written by the csv crate to a synced file.
fn bare_write(place: &Place) -> Result<f64, Fault> {
    let mut rows = csv::Reader::from_path(place.path("people.enrolled.csv"))?;
    let rows: Vec<csv::ByteRecord> = rows.byte_records().collect::<Result<_, _>>()?;
    let start = Instant::now();
    let file = File::create(place.path("copy.csv"))?;
    let mut writer = csv::Writer::from_writer(BufWriter::with_capacity(1 << 16, file));
    for row in &rows {
        writer.write_byte_record(row)?;
    }
    let mut file = writer.into_inner().map_err(|error| error.to_string())?;
    file.flush()?;
    file.get_ref().sync_all()?;
    Ok(start.elapsed().as_secs_f64())
}

fn glances(place: &Place) -> Result<(), Fault> {
    println!("| command on that ledger | best of 5, ms (aim {:.0}) |", GLANCE * 1e3);
    println!("| --- | ---: |");
    let id = MILLION.wrapping_div(2).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    for words in [
        "status --ledger people.ledger".to_owned(),
        format!("explain {id:016x} --ledger people.ledger"),
    ] {
        let mut best = f64::MAX;
        for _ in 0..5 {
            let ran = watch(&mut place.program(&words))?;
            if ran.code != 0 {
                return Err(format!("{words}: exit code {}", ran.code).into());
            }
            best = best.min(ran.wall);
        }
        let name = words.split(' ').next().unwrap_or_default();
        println!("| `{name}` | {:.1} |", best * 1e3);
    }
    println!();
    Ok(())
}
