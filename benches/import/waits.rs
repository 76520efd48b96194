//! Where the server sets the pace: how near a run comes to what its latency or its limit allows.

use rusqlite::Connection;

use super::program::{Fault, Place, Simulated, expect};

/// The most that a run may take of the ideal.
const MOST: f64 = 1.03;

/// Sent and answered, in milliseconds since 1970, of each request of a run for a row.
fn attempts(place: &Place, run: u64) -> Result<Vec<(i64, i64)>, Fault> {
    let ledger = Connection::open(place.path("people.ledger"))?;
    let mut statement = ledger.prepare(
        "SELECT sent_at, answered_at FROM attempt WHERE run = ? ORDER BY sent_at, answered_at",
    )?;
    let times = statement.query_map([run.cast_signed()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(times.collect::<Result<_, _>>()?)
}

/// The time at which so many requests were under way for the first time.
fn full_at(attempts: &[(i64, i64)], most: usize) -> Option<i64> {
    attempts.iter().enumerate().map(|(n, &(sent, _))| (n + 1, sent)).find_map(
        |(sent_so_far, at)| {
            let answered = attempts.iter().filter(|attempt| attempt.1 <= at).count();
            (sent_so_far - answered >= most).then_some(at)
        },
    )
}

fn last_answer(attempts: &[(i64, i64)]) -> i64 {
    attempts.iter().map(|attempt| attempt.1).max().unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds")]
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1_000.0
}

/// A server of 100 ms: rows × latency ÷ concurrency from the moment on at which all slots are in use
/// for the first time.
pub(crate) fn latency() -> Result<(), Fault> {
    const ROWS: u64 = 2_000;
    const SLOTS: usize = 50;
    const LATENCY: f64 = 0.1;
    println!("## Latency: 100 ms, {ROWS} rows, --concurrency {SLOTS}\n");
    println!(
        "| run | start-up, s | rows after it | time for them, s | ÷ rows × latency ÷ concurrency (aim {MOST}) | median answer, ms |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    let graph = Simulated::start("--latency 100ms --latency-sigma 0")?;
    let place = Place::new()?;
    for run in 1..=3 {
        place.export(0, ROWS * run)?;
        let ran = place.run(&graph, &format!("--concurrency {SLOTS}"))?;
        expect(&ran, ROWS * run, 0)?;
        let attempts = attempts(&place, run)?;
        let full = full_at(&attempts, SLOTS).ok_or("the slots were never all in use")?;
        let left = attempts.iter().filter(|attempt| attempt.1 > full).count();
        #[expect(clippy::cast_precision_loss, reason = "rows")]
        let ideal = left as f64 * LATENCY / SLOTS as f64;
        let took = seconds(last_answer(&attempts) - full);
        let mut answers: Vec<i64> = attempts.iter().map(|&(sent, at)| at - sent).collect();
        answers.sort_unstable();
        println!(
            "| {run} | {:.3} | {left} | {took:.3} | {:.3} | {} |",
            seconds(full - attempts[0].0),
            took / ideal,
            answers[answers.len() / 2]
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
            let attempts = attempts(&place, 1)?;
            let took = seconds(last_answer(&attempts) - attempts[0].0);
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
