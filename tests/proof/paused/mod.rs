//! The whole of it in one thread under paused time: engine, ledger and simulator without sockets,
//! everything drawn from one seed, so that any failure replays.
//!
//! A seed's story: a server with strangers on its books; an export that grows and is sorted anew
//! between runs; answers that are lost, cut, wrong, late or throttled; tokens that expire; lists
//! that fail and lag; runs that are interrupted, and runs that die at a poll, at a time, before a
//! request leaves or when its answer was under way. What was under way reaches the server after
//! the death. A dead run's ledger is the copy of its files at that moment, write-ahead log included.
//! After each death and each end the books are held against the ledger and the files; after the
//! chaos the runs must come to an end with everybody enrolled.

mod fragile;
mod run;
mod world;

use crate::seeds;
use world::World;

/// Everything that is the same when a seed is played again.
#[derive(Debug, PartialEq, Eq)]
struct Played {
    calls: u64,
    transcript: u64,
    runs: u32,
}

fn play(seed: u64) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut world = World::new(seed);
        world.settle_strangers().await;
        world.live().await;
        Played {
            calls: world.simulator.stats().calls,
            transcript: world.transcript.get(),
            runs: world.runs,
        }
    })
}

#[test]
fn whatever_dies_and_whenever_everybody_is_enrolled_once() {
    seeds::each("REGISTRANT_IMPORT_SEEDS", 200, |seed| {
        play(seed);
    });
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..5 {
        assert_eq!(play(seed), play(seed), "seed {seed}");
    }
}
