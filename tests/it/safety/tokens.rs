//! Runs that outlive their tokens: against the simulator's own token endpoint, which takes no token
//! that it did not issue or that has ended.

use std::time::Duration;

use registrant_import::simulator::{
    CallKind, Config, Faults, Outage, SimulatedFault as Fault, Stats, TokenRule,
};

use super::MEETING;
use crate::{context::Context, people::persons, program::serve};

/// A Graph whose tokens live two seconds.
fn forgetful(faults: Faults) -> Config {
    let mut config = Config { faults, ..Config::default() };
    config.tokens.rule = TokenRule::Issued;
    config.tokens.lifetime = Duration::from_secs(2);
    config
}

/// Enrols so many people, some a second; gives exit code and what was told, and the server's books.
fn enrol(config: Config, people: usize, rate: &str) -> (Option<i32>, String, Stats) {
    let (simulator, served) = serve(config);
    let context = Context::offline().secret(&served.url(), "secret");
    context.file("people.csv", persons(people));
    let ran = context.run(&format!(
        "run people.csv --meeting {MEETING} --organizer o --graph-url {} --rate {rate} --concurrency 8",
        served.url()
    ));
    (ran.code, ran.stderr + &ran.stdout, simulator.stats())
}

/// As many as the run has seconds, at a replacement after 1.5 s: each by one request.
#[track_caller]
fn outlives(seconds: usize) {
    let people = seconds * 10;
    let (code, told, stats) = enrol(forgetful(Faults::default()), people, "10/s");
    assert_eq!(code, Some(0), "{told}");
    assert_eq!((stats.created, stats.duplicates), (people as u64, 0));
    let expected = seconds * 2 / 3;
    let tokens = usize::try_from(stats.tokens).expect("few");
    assert!((expected - 2..=expected + 2).contains(&tokens), "{tokens} tokens in {seconds} s");
}

#[test]
fn a_run_outlives_its_tokens_by_one_refresh_at_a_time() {
    outlives(6);
}

#[test]
#[ignore = "takes 20 s"]
fn a_long_run_outlives_its_tokens_by_one_refresh_at_a_time() {
    outlives(20);
}

#[test]
fn a_storm_of_401_fails_no_row() {
    let people = 40;
    let storm = (0..people).fold(Faults::default(), |faults, n| {
        faults.script(format!("person-{n}"), Some(1), Fault::ExpiredToken)
    });
    let (code, told, stats) = enrol(forgetful(storm), people, "100/s");
    assert_eq!(code, Some(0), "{told}");
    assert_eq!((stats.created, stats.duplicates), (people as u64, 0));
    assert!(stats.tokens <= 1 + people as u64, "{} tokens", stats.tokens);
}

#[test]
fn tokens_that_have_ended_when_they_come_end_the_run_after_a_few_sign_ins() {
    let mut config = forgetful(Faults::default());
    config.tokens.lifetime = Duration::ZERO;
    let (code, told, stats) = enrol(config, 40, "100/s");
    assert_eq!(code, Some(6), "{told}");
    assert!(told.contains("grants tokens that cannot be used: they have ended when"), "{told}");
    assert_eq!((stats.token_calls, stats.posts), (4, 0));
}

#[track_caller]
fn waits_for(outage: Duration) {
    let from = Duration::from_secs(1);
    let faults =
        Faults::default().outage(Outage { scope: CallKind::Token, from, until: from + outage });
    let (code, told, stats) = enrol(forgetful(faults), 40, "10/s");
    assert_eq!(code, Some(0), "{told}");
    assert_eq!((stats.created, stats.duplicates), (40, 0));
}

#[test]
fn an_endpoint_that_is_down_for_a_while_fails_no_row() {
    waits_for(Duration::from_secs(3));
}

#[test]
#[ignore = "takes 20 s"]
fn an_endpoint_that_is_down_for_10_s_fails_no_row() {
    waits_for(Duration::from_secs(10));
}
