//! The whole of it in one thread under paused time: engine, ledger and simulator without sockets,
//! everything drawn from one seed, so that any failure replays.
//!
//! A seed's story: a server with strangers on its books; an export that grows and is sorted anew
//! between runs; answers that are lost, cut, wrong, late or throttled; tokens that expire; lists
//! that fail and lag; runs that are interrupted, and runs that die at a poll, at a time, before a
//! request leaves or when its answer was under way. What was under way reaches the server after
//! the death. A dead run's ledger is the copy of its files at that moment, write-ahead log included.
//! After each death and each end the books are held against the ledger and the files; after the
//! chaos the runs must come to an end with everybody enrolled. In two of the proofs others act between
//! the runs ([`others`]), and [`nights`] holds thirty nights of a living list against a model.

mod fragile;
mod nights;
mod others;
mod run;
mod webinar_pace;
mod world;

use std::time::Duration;

use crate::seeds;
use world::World;

/// Everything that is the same when a seed is played again.
#[derive(Debug, PartialEq, Eq)]
struct Played {
    calls: u64,
    transcript: u64,
    runs: u32,
    took: Duration,
}

fn play(seed: u64, late: bool) -> Played {
    play_with(World::new, seed, late)
}

fn play_with(new: impl FnOnce(u64, bool) -> World, seed: u64, late: bool) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut world = new(seed, late);
        world.settle_strangers().await;
        world.live().await;
        Played {
            calls: world.simulator.stats().calls,
            transcript: world.transcript.get(),
            runs: world.runs,
            took: world.began.elapsed(),
        }
    })
}

#[test]
fn whatever_dies_and_whenever_everybody_is_enrolled_once() {
    seeds::each("REGISTRANT_IMPORT_SEEDS", 120, |seed| {
        play(seed, false);
    });
}

#[test]
fn whatever_dies_and_whenever_everybody_has_one_link_of_the_webinar() {
    seeds::each("REGISTRANT_IMPORT_SEEDS", 120, |seed| {
        play_with(World::webinar, seed, false);
    });
}

/// An organizer cancels, rejects and removes, people register again, a question is added, and the list
/// drifts in its spelling: no dead link stands in the enrolled file of a run that had its list, and in
/// the end no live one is missing.
#[test]
fn whatever_others_do_between_the_runs_each_link_lives() {
    seeds::each("REGISTRANT_IMPORT_SEEDS", 60, |seed| {
        play_with(|seed, late| World::new(seed, late).among_others(), seed, false);
    });
}

#[test]
fn whatever_others_do_between_the_runs_each_link_of_the_webinar_lives() {
    seeds::each("REGISTRANT_IMPORT_SEEDS", 60, |seed| {
        play_with(|seed, late| World::webinar(seed, late).among_others(), seed, false);
    });
}

/// A row in doubt is not on the list although the server holds it, and so is posted again.
#[test]
fn where_lists_come_later_than_the_settling_time_one_link_is_the_result() {
    seeds::each("REGISTRANT_IMPORT_LATE", 40, |seed| {
        play(seed, true);
    });
}

#[test]
fn where_lists_come_later_than_the_settling_time_the_webinar_has_everybody_once() {
    seeds::each("REGISTRANT_IMPORT_LATE", 40, |seed| {
        play_with(World::webinar, seed, true);
    });
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..5 {
        assert_eq!(play(seed, false), play(seed, false), "seed {seed}");
    }
}

#[test]
fn a_clock_that_was_set_back_makes_nobody_wait() {
    for seed in 0..20 {
        let back = |seed, late| World {
            set_back: Duration::from_secs(5 * 3_600),
            ..World::new(seed, late)
        };
        let (right, back) = (play(seed, false).took, play_with(back, seed, false).took);
        assert!(back < right + Duration::from_secs(300), "seed {seed}: {back:?} for {right:?}");
    }
}
