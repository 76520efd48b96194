//! What would make two registrants of one person, or take a person's own for a stranger's.

use std::time::Duration;

use registrant_import::simulator::{Config, Faults, SecondPost, SimulatedFault};

use crate::{
    context::Context,
    files,
    people::{crowd, id},
};

const MEETING: &str = "run people.csv --meeting m1 --settle 100ms";

/// The target, and what a run of it is called with.
fn targets() -> [(&'static str, String); 2] {
    let guests = (0..5).fold("id,First name,Last name,Email\n".to_owned(), |text, n| {
        text + &format!("{},Ada{n},Byron,ada{n}@example.org\n", id(n))
    });
    [(MEETING, crowd(5)), ("run people.csv --webinar w1@t1 --settle 100ms --rate 1000/s", guests)]
}

#[test]
fn a_post_that_was_throttled_and_processed_all_the_same_is_our_own() {
    for (run, people) in targets() {
        for second_post in [SecondPost::Return, SecondPost::Conflict, SecondPost::Duplicate] {
            let fault = SimulatedFault::ThrottledAfterCommit;
            let faults = Faults::default().script(id(2), Some(1), fault);
            let context = Context::with(Config { faults, second_post, ..Config::default() });
            context.file("people.csv", &people);
            let ran = context.run(run).expect(0);
            assert_eq!(files::enrolled(&context, "people.enrolled.csv").len(), 5, "{ran}");
            let held = context.simulator().books().registrants.len();
            assert_eq!(held, 5, "{run}, {second_post:?}");
        }
    }
}

#[test]
fn two_registrants_that_a_run_could_not_see_are_made_one_by_the_next() {
    for (run, people) in targets() {
        let fault = SimulatedFault::ThrottledAfterCommit;
        let context = Context::with(Config {
            faults: Faults::default().script(id(2), Some(1), fault),
            second_post: SecondPost::Duplicate,
            list_lag: Duration::from_secs(2),
            ..Config::default()
        });
        context.file("people.csv", &people);
        let held = || context.simulator().books().registrants;
        let ran = context.run(run);
        // A webinar's links are on the list alone, so its run has seen both.
        let seen = if run == MEETING { 6 } else { 5 };
        assert_eq!(held().len(), seen, "{ran}");
        std::thread::sleep(Duration::from_secs(2));
        context.run(run).expect(0);
        assert_eq!(held().len(), 5, "{run}");
        for row in files::enrolled(&context, "people.enrolled.csv") {
            let link =
                held().into_iter().find(|held| held.id == row.id).expect("held").join_web_url;
            assert_eq!(Some(row.link), link, "the link of the one that stays");
        }
    }
}
