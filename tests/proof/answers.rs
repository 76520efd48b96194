//! One answer in every way that it can go wrong, over sockets: each lands in its right outcome
//! within the time limits, and the next run brings everybody in.

use std::time::{Duration, Instant};

use registrant_import::simulator::{Config, Faults, SimulatedFault as Fault};

use crate::{program::Ran, stage::Stage};

/// The limit on one request. Everything that never comes is over by then.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What a fault of the first attempt comes to where rows in doubt are left alone: the outcome and
/// the code in the rejects file; nothing for the enrolled.
const OUTCOMES: [(Fault, Option<(&str, &str)>); 25] = [
    (Fault::CutJson, Some(("unknown", "unreadable-answer"))),
    (Fault::EmptyBody, Some(("unknown", "no-link"))),
    (Fault::Html, Some(("unknown", "unreadable-answer"))),
    (Fault::NoContent, Some(("unknown", "no-link"))),
    (Fault::NoLink, Some(("unknown", "no-link"))),
    (Fault::WrongPrid, Some(("unknown", "wrong-link"))),
    (Fault::OtherId, None),
    (Fault::Silence, Some(("unknown", "timed-out"))),
    (Fault::SlowBody, Some(("unknown", "timed-out"))),
    (Fault::Stall, Some(("unknown", "timed-out"))),
    (Fault::GiantBody, Some(("unknown", "unreadable-answer"))),
    (Fault::CutBody, Some(("unknown", "connection-lost"))),
    (Fault::ResetBeforeCommit, Some(("unknown", "connection-lost"))),
    (Fault::ResetAfterCommit, Some(("unknown", "connection-lost"))),
    (Fault::ServerError, Some(("unknown", "server-error"))),
    (Fault::ServerErrorAfterCommit, Some(("unknown", "server-error"))),
    (Fault::BadGateway, Some(("unknown", "server-error"))),
    (Fault::BadGatewayAfterCommit, Some(("unknown", "server-error"))),
    (Fault::Unavailable, Some(("unknown", "server-error"))),
    (Fault::GatewayTimeout, Some(("unknown", "server-error"))),
    (Fault::GatewayTimeoutAfterCommit, Some(("unknown", "server-error"))),
    (Fault::UnavailableRetryAfter, None),
    (Fault::Throttled, None),
    (Fault::Refused, Some(("refused", "BadRequest"))),
    (Fault::NoConnection, Some(("unknown", "connection-lost"))),
];

#[test]
fn each_spoilt_answer_lands_in_its_outcome_and_the_next_run_mends_it() {
    let script = |faults: Faults, (n, (fault, _)): (usize, &(Fault, _))| {
        faults.script(format!("guest-{:03}", n + 1), Some(1), *fault)
    };
    let faults = OUTCOMES.iter().enumerate().fold(Faults::default(), script);
    let config = Config { faults, quirks: 0.0, ..Config::default() };
    // The first one has an answer of its own kind: it tells that the target works.
    let stage = Stage::new(OUTCOMES.len() + 1, config);
    let began = Instant::now();
    let options = ["--on-unknown", "hold", "--timeout", "2s", "--json"];
    let ended = Ran::of(stage.command().args(options));
    let took = began.elapsed();
    assert_eq!(ended.code, Some(4), "{ended:?}");
    // Three that never come, one after another at worst, two waits of a second, and the rest.
    assert!(took < TIMEOUT * 10, "{took:?}: {}", ended.stdout);
    let written = stage.verify_links();
    for (line, (fault, outcome)) in (3..).zip(&OUTCOMES) {
        let found = written.rejects.get(&line);
        let found = found.map(|reject| (reject.outcome.as_str(), reject.code.as_str()));
        assert_eq!(found, *outcome, "{fault}");
    }
    stage.finish_with(&["--timeout", "2s"]);
}

#[test]
fn a_first_answer_without_a_link_ends_the_run_and_names_the_cause() {
    for fault in [Fault::NoLink, Fault::NoContent, Fault::EmptyBody] {
        let faults = Faults::default().script("guest-000", Some(1), fault);
        let stage = Stage::new(5, Config { faults, ..Config::default() });
        let ended = stage.run().expect(6);
        assert!(ended.stderr.contains("without a join link"), "{ended:?}");
        assert_eq!(stage.simulator.stats().posts, 1, "one answer is enough");
        stage.finish();
    }
}

/// An API that ends in mid-run is everybody's trouble, and no reason to try each row again and again.
#[test]
fn links_that_stop_to_come_end_the_run() {
    let faults = (1..200).fold(Faults::default(), |faults, n| {
        faults.script(format!("guest-{n:03}"), Some(1), Fault::NoLink)
    });
    let stage = Stage::new(200, Config { faults, ..Config::default() });
    let ended = stage.run().expect(6);
    assert!(
        ended
            .stderr
            .contains("20 rows, and none between them better, with 200 and without a join link"),
        "{ended:?}"
    );
    let posts = stage.simulator.stats().posts;
    assert!(posts < 1 + 20 + 64, "no more than were under way: {posts}");
    stage.verify_links();
    assert_eq!(stage.simulator.stats().duplicates, 0);
}
