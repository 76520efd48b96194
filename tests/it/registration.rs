//! `registration show|enable|disable`.

use http::Method;
use insta::assert_snapshot;
use registrant_import::simulator::{Config, RegistrationState};

use crate::{context::Context, files, people::crowd};

fn with(registration: RegistrationState) -> Context {
    Context::with(Config { registration, ..Config::default() })
}

#[test]
fn it_is_enabled_shown_and_disabled() {
    let context = with(RegistrationState::Missing);
    assert_snapshot!(context.run("registration show --meeting m1"), @r"
    exit 6
    --- stderr
    error: Graph knows no registration of this meeting (404 NotFound); check the meeting's id and --organizer, or switch external registration on: `registrant-import registration enable --allow everyone` (or `run --enable everyone`)
    ");
    assert_snapshot!(context.run("registration enable --allow organization --meeting m1"), @r"
    exit 0
    --- stdout
    external registration [guid]: open to organization
    ");
    assert_snapshot!(context.run("registration show --meeting m1"), @r"
    exit 0
    --- stdout
    external registration [guid]: open to organization
    ");
    assert_snapshot!(context.run("registration disable --meeting m1"), @r"
    exit 0
    --- stdout
    the registration and its registrants are removed
    ");
    context.run("registration show --meeting m1").expect(6);
}

#[test]
fn one_that_is_there_is_left_alone() {
    let context = Context::new();
    context.file("people.csv", crowd(1));
    context.run("run people.csv --meeting m1").expect(0);
    assert_snapshot!(context.run("registration enable --allow everyone --meeting m1"), @r"
    exit 0
    --- stdout
    external registration [guid]: open to everyone
    ");
    assert_snapshot!(context.run("registration enable --allow organization --meeting m1"), @r"
    exit 6
    --- stderr
    error: the meeting has a registration for everyone already, and its mode cannot be changed; `registration disable` removes it, with every registrant
    ");
    assert_eq!(context.stats().enrolled, 1);
}

#[test]
fn teams_own_kind_is_told() {
    let context = with(RegistrationState::Teams);
    assert_snapshot!(context.run("registration show --meeting m1"), @r"
    exit 6
    --- stderr
    error: the meeting has a registration of Teams' own kind, which takes no external registrants; people register on Teams' own page; switch it off (`registrant-import registration disable`) and enable an external one
    ");
    assert_snapshot!(context.run("registration enable --allow everyone --meeting m1"), @r"
    exit 6
    --- stderr
    error: the meeting has a registration of Teams' own kind, which takes no external registrants; people register on Teams' own page; switch it off (`registrant-import registration disable`) and enable an external one
    ");
    context.run("registration disable --meeting m1").expect(0);
    context.run("registration enable --allow everyone --meeting m1").expect(0);
}

#[test]
fn a_registration_made_anew_does_not_pass_for_the_old_one() {
    let context = Context::new();
    context.sample("members.csv");
    context.run("run members.csv --meeting m1").expect(0);
    context.run("registration disable --meeting m1").expect(0);
    context.run("registration enable --allow organization --meeting m1").expect(0);
    let posts = context.stats().posts;
    assert_snapshot!(context.run("run members.csv --meeting m1"), @r"
    exit 6
    --- stdout
    24 rows read:
           24  enrolled       all of them before this run
    files     members.enrolled.csv, members.rejects.csv, meeting-m1
    next      mend the cause above, then run the same command again
    --- stderr
    error: stopped: the meeting's registration was made anew or switched off (it was [guid], everyone, now it is [guid], organization), so the links in this ledger may be dead; enrol everybody anew with another --ledger, or go on with --trust-ledger
    ");
    assert_eq!(context.stats().posts, posts);
    context.run("run members.csv --meeting m1 --ledger anew.ledger").expect(0);
    assert_eq!(context.stats().posts, posts + 24);
}

#[test]
fn a_registration_of_the_same_id_that_lacks_most_people_does_not_pass_for_the_old_one() {
    let context = Context::new();
    context.sample("members.csv");
    let run = "run members.csv --meeting m1 --ledger the.ledger";
    let remove = |ids: &[String]| {
        for id in ids {
            let target = format!("/beta/me/onlineMeetings/m1/registration/registrants/{id}");
            context.call(&Method::DELETE, &target, "");
        }
    };
    context.run(run).expect(0);
    let rows = files::enrolled(&context, "members.enrolled.csv");
    let ids: Vec<String> = rows.into_iter().map(|row| row.id).collect();
    let posts = context.stats().posts;
    // The list of people who were enrolled just now may be late: it tells nothing yet.
    remove(&ids[..13]);
    context.run(run).expect(0);
    context.age("the.ledger", 11);
    let files = || ["members.enrolled.csv", "members.rejects.csv"].map(|name| context.read(name));
    let before = files();
    let emptied = |ran: crate::context::Ran| {
        assert!(ran.stderr.contains("13 of the 24 people whom this ledger enrolled"), "{ran}");
        assert_eq!(files(), before, "untouched");
    };
    emptied(context.run(run).expect(6));
    // Nor does a run that was killed in between make it look sound.
    let ledger = rusqlite::Connection::open(context.path("the.ledger")).expect("a ledger");
    ledger.execute("UPDATE run SET ended_at = NULL", []).expect("its columns");
    emptied(context.run(run).expect(6));
    context.run(&format!("{run} --trust-ledger")).expect(0);
    assert_eq!(context.stats().posts, posts);
}

#[test]
fn a_registration_that_is_gone_is_not_replaced_unseen() {
    let context = Context::new();
    context.sample("members.csv");
    context.run("run members.csv --meeting m1 --enable everyone").expect(0);
    context.run("registration disable --meeting m1").expect(0);
    let stats = context.stats();
    for options in ["", "--enable everyone"] {
        let ran = context.run(&format!("run members.csv --meeting m1 {options}")).expect(6);
        assert!(ran.stderr.contains("now it is none"), "{ran}");
    }
    assert_eq!(context.stats().posts, stats.posts);
    let anew = "--enable everyone --ledger anew.ledger --output anew.csv";
    context.run(&format!("run members.csv --meeting m1 {anew}")).expect(0);
    assert_eq!(context.stats().posts, stats.posts + 24);
}
