//! How long the program takes to be there at all, and how large it is.

use std::fs;

use super::program::{Fault, Place, watch};

/// Runs of each command; the median counts.
const ROUNDS: usize = 31;
/// The largest program, in MB.
const MOST_BYTES: u64 = 15_000_000;

pub(crate) fn start() -> Result<(), Fault> {
    println!("## Start\n\n| command | of 100 rows; median of {ROUNDS}, ms | lowest | aim |");
    println!("| --- | ---: | ---: | ---: |");
    let place = Place::new()?;
    place.export(0, 100)?;
    for (words, aim) in [("--help", 10), ("check people.csv", 20)] {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let ran = watch(&mut place.program(words))?;
            if ran.code != 0 {
                return Err(format!("{words}: exit code {}", ran.code).into());
            }
            times.push(ran.wall * 1e3);
        }
        times.sort_by(f64::total_cmp);
        println!("| `{words}` | {:.1} | {:.1} | {aim} |", times[ROUNDS / 2], times[0]);
    }
    let bytes = fs::metadata(env!("CARGO_BIN_EXE_registrant-import"))?.len();
    println!("\nthe program has {bytes} bytes (aim: less than {MOST_BYTES})\n");
    Ok(())
}
