//! Where the server sets the pace: how near a run comes to what its latency or its limit allows.

use rusqlite::Connection;

use super::program::{Fault, Place, Simulated, expect};

/// The most that a run may take of the ideal.
const MOST: f64 = 1.03;

/// When the first request of a run left, when its answer came, and
/// when the last answer came, in milliseconds.
struct Times {
    first: i64,
    first_answer: i64,
    last_answer: i64,
}

fn times(place: &Place, run: i64) -> Result<Times, Fault> {
    let ledger = Connection::open(place.path("people.ledger"))?;
    let look = |what: &str| {
        let query = format!("SELECT {what} FROM attempt WHERE run = ?");
        ledger.query_row(&query, [run], |row| row.get::<_, i64>(0))
    };
    let first = look("min(sent_at)")?;
    let first_answer = look("min(answered_at)")?;
    Ok(Times { first, first_answer, last_answer: look("max(answered_at)")? })
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds")]
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1_000.0
}

/// A server of 100 ms: rows × latency ÷ concurrency, once the pace is known.
pub(crate) fn latency() -> Result<(), Fault> {
    const ROWS: u64 = 2_000;
    const IDEAL: f64 = 4.0;
    println!("## Latency: 100 ms, {ROWS} rows, --concurrency 50; ideal {IDEAL} s\n");
    println!(
        "| run | from the first answer to the last, s | ÷ ideal | before that, s | whole, s |"
    );
    println!("| --- | ---: | ---: | ---: | ---: |");
    let graph = Simulated::start("--latency 100ms --latency-sigma 0")?;
    let place = Place::new()?;
    for run in 1..=3 {
        place.export(0, ROWS * run)?;
        let ran = place.run(&graph, "--concurrency 50")?;
        expect(&ran, ROWS * run, 0)?;
        let times = times(&place, run.cast_signed())?;
        let rest = seconds(times.last_answer - times.first_answer);
        // The lone first row is out of it.
        let ideal = IDEAL * (ROWS - 1).div_ceil(50) as f64 / (ROWS / 50) as f64;
        let name = if run == 1 { "1, the pace unknown" } else { "later, the pace known" };
        println!(
            "| {name} | {rest:.3} | {:.3} (aim {MOST}) | {:.3} | {:.3} |",
            rest / ideal,
            ran.wall - rest,
            ran.wall
        );
    }
    println!();
    Ok(())
}

/// A limit of 50 a second: the burst at once, the rest as it comes.
pub(crate) fn limit() -> Result<(), Fault> {
    const ROWS: u64 = 500;
    const IDEAL: f64 = 9.0;
    println!("## Limit: 50/s, burst 50, Retry-After 1, {ROWS} rows; ideal {IDEAL} s\n");
    println!(
        "| latency | first request to last answer, s | ÷ ideal (aim {MOST}) | refused (at most 50) | enrolled, twice |"
    );
    println!("| --- | ---: | ---: | ---: | ---: |");
    for latency in ["0ms", "20ms", "100ms"] {
        for _ in 0..3 {
            let options = format!("--limit 50/s --burst 50 --latency {latency}");
            let (graph, place) = (Simulated::start(&options)?, Place::new()?);
            place.export(0, ROWS)?;
            let ran = place.run(&graph, "")?;
            expect(&ran, ROWS, 0)?;
            let times = times(&place, 1)?;
            let took = seconds(times.last_answer - times.first);
            println!(
                "| {latency} | {took:.2} | {:.3} | {} | {}, {} |",
                took / IDEAL,
                graph.count("throttled")?,
                graph.count("created")?,
                graph.count("duplicates")?
            );
        }
    }
    println!();
    Ok(())
}
