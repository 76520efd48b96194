//! A ledger that is cut short, or whose bits are flipped, after a run that ended or was killed.
//!
//! The next run must refuse it with a sentence before it posts anybody, or go on without harm: no
//! link in the output that is not the person's own, and nobody posted who is enrolled. The server
//! makes a second registrant of a second POST, so that harm would show.

use std::{fs, path::Path, thread, time::Duration};

use fastrand::Rng;
use registrant_import::simulator::{CallLatency, Config, SecondPost};

use crate::{program::Ran, seeds, stage::Stage, verify};

/// Spoils one of the ledger's files; tells how.
fn spoil(random: &mut Rng, ledger: &Path) -> String {
    let log = ledger.with_extension("ledger-wal");
    let has_log = fs::metadata(&log).is_ok_and(|log| log.len() > 0);
    let path = if has_log && random.bool() { &log } else { ledger };
    let mut bytes = fs::read(path).expect("the ledger is there");
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if bytes.is_empty() {
        return format!("{name} was empty");
    }
    let how = if random.bool() {
        let length = random.usize(..bytes.len());
        bytes.truncate(length);
        format!("{name} cut at {length}")
    } else {
        let flips: Vec<(usize, u8)> = (0..random.usize(1..4))
            .map(|_| (random.usize(..bytes.len()), 1 << random.u8(..8)))
            .collect();
        for &(at, bit) in &flips {
            bytes[at] ^= bit;
        }
        format!("{name} of {} bytes flipped at {flips:?}", bytes.len())
    };
    fs::write(path, bytes).expect("the ledger is spoilt");
    how
}

/// A run over a part of the people that ends by itself or by a kill.
fn before(random: &mut Rng, stage: &mut Stage) {
    let everybody = stage.ids.clone();
    stage.ids.truncate(random.usize(1..everybody.len()));
    stage.write_export();
    let mut run = stage.start();
    if random.bool() {
        thread::sleep(Duration::from_millis(random.u64(40..200)));
        run.kill().expect("the run is ours to kill");
    }
    run.wait().expect("the run ends");
    // What a killed run sent may arrive after its death: not as the next run's.
    stage.serve_anew();
    stage.ids = everybody;
    random.shuffle(&mut stage.ids);
    stage.write_export();
}

fn play(seed: u64) {
    let mut random = Rng::with_seed(seed);
    let mut stage = Stage::new(
        random.usize(5..30),
        Config {
            seed,
            second_post: SecondPost::Duplicate,
            latency: CallLatency { median: Duration::from_millis(2), sigma: 0.5 },
            ..Config::default()
        },
    );
    before(&mut random, &mut stage);
    let ledger = stage.path("people.ledger");
    if !ledger.exists() {
        return;
    }
    let how = spoil(&mut random, &ledger);
    seeds::story(|| format!("seed {seed}: {how}"));
    for file in ["people.enrolled.csv", "people.rejects.csv"] {
        // There may be none yet.
        let _ = fs::remove_file(stage.path(file));
    }
    let posts = stage.simulator.stats().posts;
    let ended = stage.run();
    let posted = stage.simulator.stats().posts - posts;
    check(&stage, &ended, posted, &how);
}

fn check(stage: &Stage, ended: &Ran, posted: u64, how: &str) {
    let told = format!("{how}; {posted} posted; {ended:?}");
    assert_eq!(stage.simulator.stats().duplicates, 0, "somebody was posted twice: {told}");
    verify::books(&stage.simulator);
    match ended.code {
        Some(2) => {
            assert_eq!(posted, 0, "refused after POSTs: {told}");
            assert!(ended.stderr.contains("people.ledger"), "the file is not named: {told}");
        }
        // 3: the ledger forgot people, and the list says that they are on the server.
        Some(0 | 3 | 4) => {
            let written = stage.verify_links();
            let known = ["exists-on-server", "changed-since-enrolled"];
            for reject in written.rejects.values() {
                let right = reject.outcome == "unknown" || known.contains(&reject.code.as_str());
                assert!(right, "{reject:?}: {told}");
            }
        }
        Some(6) => assert!(ended.stderr.contains("ledger"), "{told}"),
        _ => panic!("{told}"),
    }
}

#[test]
fn a_damaged_ledger_is_refused_or_does_no_harm() {
    seeds::each("REGISTRANT_IMPORT_DAMAGES", 60, play);
}
