//! Whose a link is, and that links can be read before everybody is registered.

use registrant_import::simulator::{Config, EventCall, EventConfig};

use super::{guests, run, webinar};
use crate::{context::Context, files, program::faults};

fn forbidding(forbid: &[EventCall]) -> Context {
    let context = Context::with(Config { forbid: forbid.to_vec(), ..Config::default() });
    context.file("people.csv", guests(20));
    context
}

#[test]
fn one_link_for_everybody_stops_the_run_before_the_third_person_is_registered() {
    let one = Config { faults: faults(&["read:shared-link=100"]), ..Config::default() };
    let context = Context::with(one);
    context.file("people.csv", guests(20));
    let ran = run(&context, "").expect(6);
    assert!(ran.stderr.contains("--shared-link"), "{ran}");
    assert_eq!(context.stats().posts, 2);
    assert!(files::enrolled(&context, "people.enrolled.csv").is_empty());
    let held = files::rejected(&context, "people.rejects.csv");
    let shared = held.iter().filter(|row| row.outcome == "awaiting").count();
    assert_eq!((shared, held.len()), (2, 20));
    run(&context, "").expect(6);
    assert_eq!(context.stats().posts, 2, "nor by the next run");
    run(&context, "--shared-link").expect(0);
    let rows = files::enrolled(&context, "people.enrolled.csv");
    assert_eq!((rows.len(), context.stats().created), (20, 20));
    assert!(rows.iter().all(|row| row.status == "shared"));
}

#[test]
fn somebody_new_does_not_get_the_link_of_an_earlier_run() {
    let one = Config { faults: faults(&["read:shared-link=100"]), ..Config::default() };
    let context = Context::with(one);
    for (people, code) in [(1, 0), (2, 6)] {
        context.file("people.csv", guests(people));
        run(&context, "").expect(code);
    }
    assert!(files::enrolled(&context, "people.enrolled.csv").is_empty());
}

#[test]
fn where_one_way_of_reading_links_is_forbidden_the_other_is_taken() {
    for way in [EventCall::Sessions, EventCall::Registration] {
        let context = forbidding(&[way]);
        let ran = run(&context, "").expect(0);
        assert_eq!(files::enrolled(&context, "people.enrolled.csv").len(), 20, "{ran}");
    }
}

#[test]
fn links_that_nobody_may_read_are_found_out_with_the_first_person() {
    let context = forbidding(&[EventCall::Sessions, EventCall::Registration]);
    let ran = run(&context, "").expect(6);
    assert!(ran.stderr.contains("VirtualEvent.Read.All"), "{ran}");
    assert_eq!(context.stats().posts, 1);
    // Somebody is there now, whose link is asked for before anybody else is registered.
    run(&context, "").expect(6);
    assert_eq!(context.stats().posts, 1);
}

#[test]
fn whoever_waits_for_the_organizer_keeps_nobody_from_being_registered() {
    let approval = EventConfig { approval: true, ..EventConfig::default() };
    let context = Context::with(webinar(approval));
    context.file("people.csv", guests(10));
    run(&context, "").expect(4);
    assert_eq!(context.stats().created, 10);
    let none = Config { faults: faults(&["read:no-link=100"]), ..Config::default() };
    let context = Context::with(none);
    context.file("people.csv", guests(10));
    run(&context, "--max-attempts 2").expect(4);
    assert_eq!(context.stats().created, 10);
}
