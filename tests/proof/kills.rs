//! The real binary, killed by SIGKILL at seeded moments in chains of five, on sockets, while a
//! fifth of all answers is lost or spoilt; then run until it is done.

use std::{
    os::unix::process::ExitStatusExt,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use fastrand::Rng;
use registrant_import::simulator::{CallLatency, Config, SecondPost};

use crate::{program::faults, seeds, stage::Stage};

/// Kills in a row before a run is let to its end.
const CHAIN: u64 = 5;

/// Chains that are played side by side: they wait most of the time.
const SIDE_BY_SIDE: usize = 4;

/// A fifth of all answers, most of them to work that was done.
const MIXED: [&str; 18] = [
    "reset-after-commit=5",
    "reset-before-commit=2",
    "500-after-commit=2",
    "504-after-commit=2",
    "502=1",
    "503=1",
    "cut-json=2",
    "cut-body=1",
    "empty-body=0.5",
    "html=1",
    "no-content=0.5",
    "no-link=1",
    "wrong-prid=1",
    "list:500=5",
    "list:cut-json=5",
    "delete:reset-after-commit=10",
    "delete:500=5",
    "read:cut-body=5",
];

/// The same of a webinar, whose links come from its sessions.
const WEBINAR: [&str; 12] = [
    "reset-after-commit=6",
    "reset-before-commit=2",
    "500-after-commit=3",
    "504-after-commit=2",
    "502=1",
    "503=1",
    "html=2",
    "list:500=5",
    "list:cut-json=5",
    "read:no-link=4",
    "read:wrong-prid=4",
    "read:cut-body=5",
];

/// Plays a chain; returns how many runs were killed.
fn play(seed: u64, webinar: bool) -> u64 {
    let mut random = Rng::with_seed(seed);
    let second_post = [SecondPost::Return, SecondPost::Conflict, SecondPost::Duplicate];
    let (stage, faults): (fn(usize, Config) -> Stage, _) =
        if webinar { (Stage::event, faults(&WEBINAR)) } else { (Stage::new, faults(&MIXED)) };
    let mut stage = stage(
        random.usize(30..60),
        Config {
            seed,
            second_post: random.choice(second_post).expect("one of three"),
            latency: CallLatency { median: Duration::from_millis(random.u64(1..8)), sigma: 0.7 },
            page_size: random.usize(5..60),
            list_lag: Duration::from_millis(if webinar { random.u64(..100) } else { 0 }),
            faults,
            ..Config::default()
        },
    );
    let mut killed = 0;
    while killed < CHAIN {
        let mut run = stage.start();
        thread::sleep(Duration::from_micros(random.u64(1_000..250_000)));
        run.kill().expect("the run is ours to kill");
        let status = run.wait().expect("a killed run ends");
        // One that was done before its time was not killed; then all are enrolled, and later runs
        // are too short to be hit for long.
        if status.signal().is_none() {
            break;
        }
        killed += 1;
        random.shuffle(&mut stage.ids);
        stage.write_export();
    }
    stage.finish();
    killed
}

#[test]
fn killed_at_any_moment_everybody_is_enrolled_once() {
    sweep(|seed| play(seed, false));
}

#[test]
fn killed_at_any_moment_everybody_has_one_link_of_the_webinar() {
    sweep(|seed| play(seed, true));
}

/// Chains until enough runs were killed.
fn sweep(play: impl Fn(u64) -> u64 + Sync) {
    if let Some(seed) = seeds::replayed() {
        seeds::one(seed, |seed| {
            play(seed);
        });
        return;
    }
    let wanted = seeds::number("REGISTRANT_IMPORT_KILLS", 120);
    let (next, killed) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while killed.load(Ordering::Relaxed) < wanted {
                    seeds::one(next.fetch_add(1, Ordering::Relaxed), |seed| {
                        killed.fetch_add(play(seed), Ordering::Relaxed);
                    });
                }
            });
        }
    });
}
