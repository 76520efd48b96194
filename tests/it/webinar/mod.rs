//! `run --webinar`: the same job on the API that replaces the old one.

mod before;
mod described;
mod links;
mod story;
mod whose;
mod wire;

use std::{collections::BTreeSet, time::Duration};

use insta::assert_snapshot;
use registrant_import::simulator::{
    Config, DateForm, EventConfig, EventPrid, EventQuestion, Faults, RegistrationStatus,
    SecondPost, SimulatedFault as Fault,
};

use crate::{
    context::{Context, side_by_side},
    files,
    program::faults,
};

const WEBINAR: &str = "--webinar w1@t1 --settle 100ms --rate 1000/s";

fn webinar(config: EventConfig) -> Config {
    Config { event: config, ..Config::default() }
}

fn id(n: usize) -> String {
    format!("T-{n:03}")
}

/// So many people as a webinar wants them.
fn guests(n: usize) -> String {
    (0..n).fold("Ticket,First name,Last name,Email\n".to_owned(), |text, n| {
        text + &format!("{},Ada{n},Byron,ada{n}@example.org\n", id(n))
    })
}

/// A webinar's links may carry nobody's id.
fn each_has_a_link_of_their_own(rows: &[files::Enrolled]) {
    let links: BTreeSet<&str> = rows.iter().map(|row| row.link.as_str()).collect();
    assert_eq!(links.len(), rows.len(), "two rows have one link");
}

fn run(context: &Context, more: &str) -> crate::context::Ran {
    context.run(&format!("run people.csv --map id=Ticket {WEBINAR} {more}"))
}

#[test]
fn the_input_is_read_to_plan_to_send_and_to_write_the_files() {
    let context = Context::new();
    context.file("people.csv", guests(20));
    let readings = || {
        let ran = run(&context, "-vvv");
        let told = ran.stderr.matches("the rows are read").count();
        (ran.code, told)
    };
    assert_eq!(readings(), (Some(0), 3));
    assert_eq!(readings(), (Some(0), 2), "nobody is sent");
    // Sorted anew, with somebody new who has the address of a row further down.
    let list = guests(20).replace("T-000,Ada0", "T-900,Eve,Byron,ada7@example.org\nT-000,Ada0");
    context.file("people.csv", list);
    assert_eq!(readings(), (Some(3), 2));
    let held = files::rejected(&context, "people.rejects.csv");
    assert_eq!(held[0].code, "duplicate-email");
    assert_eq!(files::enrolled(&context, "people.enrolled.csv").len(), 20);
}

#[test]
fn everybody_is_registered_once_and_a_second_run_posts_nothing() {
    let context = Context::new();
    context.file("people.csv", guests(40));
    assert_snapshot!(run(&context, ""), @"
    exit 0
    --- stdout
    40 rows read:
           40  enrolled
    files     people.enrolled.csv, people.rejects.csv, webinar-w1-t1
    next      nothing: everybody is enrolled
    --- stderr
    the webinar's audience: everyone
    40 new registrants; at [rate] all go at once
    warning: Teams mails everybody whom it registers: 40 people; to prevent it, the event's isAttendeeEmailNotificationEnabled must be false
    ");
    let first = context.read("people.enrolled.csv");
    let rows = files::enrolled(&context, "people.enrolled.csv");
    each_has_a_link_of_their_own(&rows);
    let books = context.simulator().books();
    for row in &rows {
        let held = books.registrants.iter().find(|held| held.id == row.id).expect("held");
        assert_eq!(Some(&row.link), held.join_web_url.as_ref());
    }
    assert_snapshot!(run(&context, ""), @"
    exit 0
    --- stdout
    40 rows read:
           40  enrolled       all of them before this run
    files     people.enrolled.csv, people.rejects.csv, webinar-w1-t1
    next      nothing: everybody is enrolled
    --- stderr
    the webinar's audience: everyone
    0 new registrants, 40 already enrolled
    ");
    assert_eq!(context.stats().posts, 40);
    assert_eq!(context.read("people.enrolled.csv"), first.replace(",enrolled\n", ",already\n"));
}

#[test]
fn both_documented_shapes_of_everything_are_read() {
    for (wrapped, dates, prid, page_size) in [
        (true, DateForm::Object, EventPrid::Absent, 3),
        (false, DateForm::Text, EventPrid::Posted, 100),
        (true, DateForm::Text, EventPrid::Registration, 1),
    ] {
        let config = EventConfig { wrapped, dates, prid, ..EventConfig::default() };
        let context = Context::with(Config { page_size, ..webinar(config) });
        context.file("people.csv", guests(7));
        run(&context, "").expect(0);
        let rows = files::enrolled(&context, "people.enrolled.csv");
        each_has_a_link_of_their_own(&rows);
        assert_eq!(rows.len(), 7);
    }
}

#[test]
fn a_list_that_cannot_be_read_is_asked_for_again_in_the_same_run() {
    // With this seed the first list can be read in the end, and the second not at all.
    let context =
        Context::with(Config { seed: 3, faults: faults(&["list:html=80"]), ..Config::default() });
    context.file("people.csv", guests(5));
    let ran = run(&context, "-v").expect(0);
    assert!(ran.stderr.contains("no list"), "{ran}");
    assert_eq!(files::enrolled(&context, "people.enrolled.csv").len(), 5);
}

#[test]
fn who_waits_for_the_organizer_is_awaited_and_had_by_a_later_run() {
    let context = Context::with(webinar(EventConfig {
        capacity: Some(2),
        waitlist: true,
        ..EventConfig::default()
    }));
    context.file("people.csv", guests(4));
    // One at a time: among requests that are under way together, chance has the last seat.
    assert_snapshot!(run(&context, "--concurrency 1"), @"
    exit 4
    --- stdout
    4 rows read:
            2  enrolled
            2  awaiting       on the server, no link yet
            2  waitlisted             awaiting      4, 5
    files     people.enrolled.csv, people.rejects.csv, webinar-w1-t1
    next      run the same command again later: it looks up the 2 rows first
    --- stderr
    the webinar's audience: everyone
    4 new registrants; at [rate] all go at once
    warning: Teams mails everybody whom it registers: 4 people; to prevent it, the event's isAttendeeEmailNotificationEnabled must be false
    warning: the event takes 2 people and holds 0: 2 people of the list go onto its waiting list
    ");
    assert_snapshot!(context.run("status --webinar w1@t1"), @"
    exit 0
    --- stdout
    ledger  [folder]/state/registrant-import/webinar-w1-t1-[digest].ledger
    target  webinar w1@t1 at this machine

            2  enrolled, link held
            2  on the server, no link yet (waitlisted), since [stamp], first on line 4

    last runs
      run 1  [stamp]  took [time], enrolled 2 at [rate], exit 4

    the next run looks again at 2 rows on the server, sends every row that is new
    ");
    let decide = |n: usize, status| {
        assert!(context.simulator().decide("w1@t1", &format!("ada{n}@example.org"), status));
    };
    decide(2, RegistrationStatus::Registered);
    decide(3, RegistrationStatus::RejectedByOrganizer);
    assert_snapshot!(run(&context, ""), @"
    exit 3
    --- stdout
    4 rows read:
            3  enrolled       2 of them before this run
            1  refused        each has its reason
            1  rejected-by-organizer  refused       5
    files     people.enrolled.csv, people.rejects.csv, webinar-w1-t1
    next      mend the row in the rejects file and run it as it is: `_reason` says
              why, and nobody is enrolled twice
    --- stderr
    the webinar's audience: everyone
    0 new registrants, 2 already enrolled, 1 on the event without a link yet, 1 cancelled, rejected or removed on the server
    ");
    assert_eq!(context.stats().posts, 4, "nobody is posted again");
    run(&context, "").expect(3);
    assert_eq!(context.stats().posts, 4, "not even who was rejected");
}

/// What is in doubt becomes older.
fn ten_minutes_pass(context: &Context) {
    let (path, _) = context
        .files()
        .into_iter()
        .find(|(name, _)| name.ends_with(".ledger"))
        .expect("the webinar's ledger");
    let older = "UPDATE registrant SET sent_at = sent_at - 660000, settled_at = settled_at - 660000
                 WHERE state IN (1, 2, 6)";
    let ledger = rusqlite::Connection::open(context.path(&path)).expect("opens");
    ledger.execute(older, []).expect("its times are under no seal");
}

#[test]
fn an_answer_that_is_lost_leads_to_one_registration_and_its_link() {
    let answers = [SecondPost::Return, SecondPost::Conflict, SecondPost::Duplicate];
    side_by_side(&answers, |&second_post| {
        let context = Context::with(Config {
            second_post,
            faults: faults(&[
                "reset-after-commit=15",
                "reset-before-commit=10",
                "500-after-commit=10",
                "read:no-link=10",
                "read:500=10",
                "list:cut-json=10",
            ]),
            list_lag: Duration::from_millis(50),
            ..Config::default()
        });
        context.file("people.csv", guests(60));
        // Whom no later registration proves absent is not mailed again before ten minutes have passed.
        while run(&context, "").code == Some(4) {
            ten_minutes_pass(&context);
        }
        assert_eq!((context.stats().created, context.stats().duplicates), (60, 0));
        let rows = files::enrolled(&context, "people.enrolled.csv");
        each_has_a_link_of_their_own(&rows);
        let books = context.simulator().books();
        for row in &rows {
            let held = books.registrants.iter().find(|held| held.id == row.id).expect("held");
            assert_eq!(Some(&row.link), held.join_web_url.as_ref());
        }
    });
}

#[test]
fn a_registration_that_a_late_list_does_not_show_is_not_made_again() {
    let lost = Faults::default().script("ada2@example.org", Some(1), Fault::ResetAfterCommit);
    let context = Context::with(Config {
        second_post: SecondPost::Duplicate,
        faults: lost,
        list_lag: Duration::from_secs(1),
        ..Config::default()
    });
    context.file("people.csv", guests(3));
    // Asked after a fifth of a second, the list does not show yet what the server has, and nobody
    // was registered later who could tell how late it is: nobody is mailed twice.
    let more = "--set referrer=x --settle 200ms --webinar w1@t1 --concurrency 1";
    let run = format!("run people.csv --map id=Ticket {more}");
    context.run(&run).expect(4);
    assert_eq!(files::rejected(&context, "people.rejects.csv")[0].outcome, "unknown");
    std::thread::sleep(Duration::from_secs(1));
    context.run(&run).expect(0);
    let stats = context.stats();
    assert_eq!((stats.posts, stats.duplicates, stats.deleted), (3, 0, 0));
    let held = context.simulator().books().registrants;
    let mut ids: Vec<&str> = held.iter().map(|held| held.id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["T-000", "T-001", "T-002"]);
    for row in files::enrolled(&context, "people.enrolled.csv") {
        let held = held.iter().find(|held| held.id == row.id).expect("held");
        assert_eq!(Some(&row.link), held.join_web_url.as_ref(), "the link of the one that stays");
    }
}

#[test]
fn a_late_list_is_awaited_where_a_later_registration_tells_how_late_it_is() {
    let lost = Faults::default().script("ada1@example.org", Some(1), Fault::ResetAfterCommit);
    let context = Context::with(Config {
        second_post: SecondPost::Duplicate,
        faults: lost,
        list_lag: Duration::from_secs(1),
        ..Config::default()
    });
    context.file("people.csv", guests(3));
    // Asked after a fifth of a second, the list shows neither the lost one nor the one after it.
    let more = "--set referrer=x --settle 200ms --webinar w1@t1 --concurrency 1";
    context.run(&format!("run people.csv --map id=Ticket {more}")).expect(0);
    let stats = context.stats();
    assert_eq!((stats.created, stats.duplicates), (3, 0));
}

#[test]
fn a_meetings_ledger_and_list_go_on_with_a_webinar() {
    let context = Context::new();
    context.file("people.csv", guests(5));
    context.run("run people.csv --map id=Ticket --meeting m1 --ledger books.ledger").expect(0);
    let before = std::fs::read(context.path("books.ledger")).expect("the meeting's ledger");
    let ran = run(&context, "--ledger books.ledger").expect(0);
    assert!(ran.stderr.contains("belongs to another kind"), "{ran}");
    assert_eq!(std::fs::read(context.path("books.ledger")).expect("still there"), before);
    // A log beside it would tell the meeting's next run that this one had died.
    assert!(!context.has("books.ledger-wal") && !context.has("books.ledger-shm"));
    let summary = run(&context, "--ledger books.ledger --json").expect(0).json();
    assert_eq!(summary["target"]["kind"], "webinar");
    assert_eq!((&summary["already"], &summary["posts"]), (&5.into(), &0.into()));
    for command in ["status", "explain T-001"] {
        let told = context.run(&format!("{command} --ledger books.ledger --webinar w1@t1"));
        assert_eq!(told.code, Some(0), "{told}");
    }
}

#[test]
fn export_writes_the_files_again_without_the_network() {
    let question = EventQuestion { required: false, ..EventQuestion::text("City") };
    let config = EventConfig { questions: vec![question], ..EventConfig::default() };
    let context = Context::with(webinar(config));
    context.file(
        "people.csv",
        guests(5).replace("Email\n", "Email,City\n").replace("org\n", "org,Ghent\n"),
    );
    let columns = "--map id=Ticket --map answer:City=City";
    context.run(&format!("run people.csv {columns} {WEBINAR}")).expect(0);
    let before = context.read("people.enrolled.csv");
    std::fs::remove_file(context.path("people.enrolled.csv")).expect("it was there");
    context.run(&format!("export people.csv {columns} --webinar w1@t1")).expect(0);
    assert_eq!(context.read("people.enrolled.csv"), before);
}
