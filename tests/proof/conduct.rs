//! The surroundings: another run, signals, closed pipes, folders that take no file.

use std::{
    thread,
    time::{Duration, Instant},
};

use registrant_import::simulator::{CallLatency, Config, Faults, SimulatedFault as Fault};

use crate::{
    program::{Ran, program, signal},
    stage::Stage,
};

/// A server that takes its time.
fn slow() -> Config {
    Config {
        latency: CallLatency { median: Duration::from_millis(60), sigma: 0.0 },
        ..Config::default()
    }
}

/// Waits until so many people are on the books.
fn wait_for(stage: &Stage, enrolled: u64) {
    let began = Instant::now();
    while stage.simulator.stats().enrolled < enrolled {
        assert!(began.elapsed() < Duration::from_secs(20), "nobody is enrolled");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn one_run_at_a_time_and_death_makes_room() {
    let stage = Stage::new(40, slow());
    let mut first = stage.start();
    wait_for(&stage, 2);
    let posts = stage.simulator.stats().posts;
    let second = stage.run();
    assert_eq!(second.code, Some(7), "{second:?}");
    assert!(second.stderr.contains("another run holds this ledger"), "{second:?}");
    assert!(second.stderr.contains("people.ledger"), "{second:?}");
    assert!(stage.simulator.stats().posts >= posts, "the first one goes on");
    first.kill().expect("the run is ours to kill");
    first.wait().expect("a killed run ends");
    stage.finish();
}

#[test]
fn two_targets_run_side_by_side() {
    let stage = Stage::new(10, slow());
    let runs = ["M", "N"].map(|meeting| {
        let file = |what: &str| stage.path(&format!("{meeting}.{what}.csv"));
        let mut command = stage.command_for(meeting, &format!("{meeting}.ledger"));
        command.arg("--output").arg(file("enrolled")).arg("--rejects").arg(file("rejects"));
        command.spawn().expect("the program starts")
    });
    for run in runs {
        Ran::end_of(run).expect(0);
    }
    assert_eq!(stage.simulator.stats().enrolled, 20);
}

#[test]
fn a_signal_drains_the_run_and_the_next_one_completes_it() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let stage = Stage::new(60, slow());
        let run = stage.command().spawn().expect("the program starts");
        wait_for(&stage, 3);
        signal(&run, name);
        Ran::end_of(run).expect(code);
        let written = stage.verify_links();
        let enrolled = usize::try_from(stage.simulator.stats().enrolled).expect("few");
        assert_eq!(written.enrolled.len(), enrolled, "what was under way was awaited");
        assert_eq!(written.rejects.len(), 60 - enrolled);
        for reject in written.rejects.values() {
            assert_eq!(reject.outcome, "not-attempted");
        }
        assert!(enrolled < 60, "the signal came too late");
        stage.finish();
    }
}

#[test]
fn a_second_interrupt_ends_at_once_and_loses_nothing() {
    let stalls = |faults: Faults, n| faults.script(format!("guest-{n:03}"), Some(1), Fault::Stall);
    let faults = (1..4).fold(Faults::default(), stalls);
    let stage = Stage::new(10, Config { faults, ..slow() });
    let run = stage.command().spawn().expect("the program starts");
    wait_for(&stage, 1);
    // So that a POST is under way, which never has an answer.
    thread::sleep(Duration::from_millis(300));
    signal(&run, "INT");
    thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    signal(&run, "INT");
    Ran::end_of(run).expect(130);
    assert!(began.elapsed() < Duration::from_secs(5), "at once");
    stage.finish_with(&["--timeout", "1s"]);
}

#[test]
fn nobody_need_listen() {
    let stage = Stage::new(10, Config::default());
    let mut run = stage.command().spawn().expect("the program starts");
    drop((run.stdout.take(), run.stderr.take()));
    assert_eq!(run.wait().expect("the run ends").code(), Some(0));
    stage.verify();
}

#[test]
fn what_cannot_be_written_is_found_before_the_first_post() {
    for option in ["--output", "--rejects", "--ledger"] {
        // No folder of this file system takes a file, not even root's.
        let stage = Stage::new(5, Config::default());
        let mut command = stage.command_for("M", "people.ledger");
        if option == "--ledger" {
            command = program(stage.folder.path());
            command
                .args(["run", "people.csv", "--meeting", "M"])
                .args(["--graph-url", &stage.served.url()]);
        }
        let ended = Ran::of(command.args([option, "/proc/people"]));
        assert_eq!(ended.code, Some(2), "{option}: {ended:?}");
        assert!(ended.stderr.contains("/proc/people"), "{option}: {ended:?}");
        assert_eq!(stage.simulator.stats().posts, 0, "{option}");
    }
}
