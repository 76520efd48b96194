//! `run`: everybody once, again and again.

use std::time::Duration;

use insta::assert_snapshot;
use registrant_import::{
    pacing::Quota,
    registrant::Mode,
    simulator::{
        CallLatency, Config, Faults, LimitShape, RateLimit, RegistrationState,
        SimulatedFault as Fault, Stats, ThrottledCalls,
    },
};

use crate::{
    context::{Context, Ran},
    files,
    people::{crowd, guid, id},
    program::faults,
};

fn organization() -> Config {
    Config { registration: RegistrationState::External(Mode::Organization), ..Config::default() }
}

#[test]
fn a_second_run_posts_nothing_and_writes_the_files_again() {
    let context = Context::new();
    context.sample("attendees.csv");
    assert_snapshot!(context.run("run attendees.csv --meeting m1"), @"
    exit 0
    --- stdout
    40 rows read:
           40  enrolled
    files     attendees.enrolled.csv, attendees.rejects.csv, meeting-m1
    next      nothing: everybody is enrolled
    --- stderr
    the meeting's rule: everyone
    40 new registrants; the pace is found out on the way (Microsoft publishes no limit for meetings)
    ");
    let first = context.read("attendees.enrolled.csv");
    std::fs::remove_file(context.path("attendees.enrolled.csv")).expect("it was there");
    assert_snapshot!(context.run("run attendees.csv --meeting m1"), @r"
    exit 0
    --- stdout
    40 rows read:
           40  enrolled       all of them before this run
    files     attendees.enrolled.csv, attendees.rejects.csv, meeting-m1
    next      nothing: everybody is enrolled
    --- stderr
    the meeting's rule: everyone
    0 new registrants, 40 already enrolled
    ");
    let Stats { posts, created, duplicates, .. } = context.stats();
    assert_eq!((posts, created, duplicates), (40, 40, 0));
    let second = context.read("attendees.enrolled.csv");
    assert_eq!(second, first.replace(",enrolled\n", ",already\n"));
}

#[test]
fn a_living_list_may_be_sorted_anew_and_grow() {
    let context = Context::new();
    context.file("people.csv", crowd(20));
    context.run("run people.csv --meeting m1").expect(0);
    let mut lines: Vec<String> = crowd(25).lines().map(str::to_owned).collect();
    lines[1..].reverse();
    context.file("people.csv", lines.join("\n"));
    context.run("run people.csv --meeting m1").expect(0);
    assert_eq!(context.stats().posts, 25);
    let rows = files::enrolled(&context, "people.enrolled.csv");
    for (nth, row) in rows.iter().enumerate() {
        let n = 24 - nth;
        assert_eq!(
            (row.id.as_str(), row.status.as_str()),
            (id(n).as_str(), if n < 20 { "already" } else { "enrolled" })
        );
    }
    files::each_link_is_its_own(&rows);
}

#[test]
fn whom_somebody_else_enrolled_is_not_touched() {
    let context = Context::new();
    context.file("early.csv", crowd(2));
    context.run("run early.csv --meeting m1 --ledger other.ledger").expect(0);
    context.file("people.csv", crowd(3));
    assert_snapshot!(context.run("run people.csv --meeting m1"), @"
    exit 3
    --- stdout
    3 rows read:
            1  enrolled
            2  refused        each has its reason
            2  exists-on-server       refused       2, 3
    files     people.enrolled.csv, people.rejects.csv, meeting-m1
    next      mend the 2 rows in the rejects file and run it as it is: `_reason`
              says why, and nobody is enrolled twice
    --- stderr
    the meeting's rule: everyone
    1 new registrant, 2 on the server that this ledger never sent; the pace is found out on the way (Microsoft publishes no limit for meetings)
    ");
    assert_snapshot!(context.read("people.rejects.csv"), @r#"
    id,name,_line,_outcome,_code,_reason
    p-00000,Person 0,2,refused,exists-on-server,"the target holds a registrant with this id that this ledger never sent, and gives no link of it; if nobody uses it, remove it there and run again"
    p-00001,Person 1,3,refused,exists-on-server,"the target holds a registrant with this id that this ledger never sent, and gives no link of it; if nobody uses it, remove it there and run again"
    "#);
    let Stats { posts, deletes, .. } = context.stats();
    assert_eq!((posts, deletes), (3, 0));
}

#[test]
fn a_row_that_changed_since_it_was_enrolled_is_not_posted_again() {
    let context = Context::with(organization());
    let csv = |user| format!("id,tenantId,userId\na,{},{}\n", guid(1), guid(user));
    context.file("people.csv", csv(2));
    context.run("run people.csv --meeting m1").expect(0);
    context.file("people.csv", csv(3));
    assert_snapshot!(context.run("run people.csv --meeting m1"), @"
    exit 3
    --- stdout
    1 row read:
            1  refused        each has its reason
            1  changed-since-enrolled refused       2
    files     people.enrolled.csv, people.rejects.csv, meeting-m1
    next      mend the row in the rejects file and run it as it is: `_reason` says
              why, and nobody is enrolled twice
    --- stderr
    the meeting's rule: organization
    0 new registrants, 1 changed since they were enrolled
    ");
    assert_snapshot!(context.read("people.rejects.csv"), @r#"
    id,tenantId,userId,_line,_outcome,_code,_reason
    a,[guid],[guid],2,refused,changed-since-enrolled,"userId changed since this id was enrolled; nobody is enrolled twice, so give the row its former value, or another id"
    "#);
    assert_eq!(context.stats().posts, 1);
}

#[test]
fn without_the_targets_list_nobody_is_enrolled_unless_the_ledger_is_trusted() {
    let context = Context::with(Config { faults: faults(&["list:500=100"]), ..Config::default() });
    context.file("people.csv", crowd(3));
    let ran = context.run("run people.csv --meeting m1 --max-duration 3s").expect(5);
    assert!(ran.stderr.contains("Graph does not answer (HTTP 500)"), "{ran}");
    assert!(ran.stdout.contains("3  not attempted"), "{ran}");
    assert_eq!(context.stats().posts, 0);
    context.run("run people.csv --meeting m1 --trust-ledger").expect(0);
    assert_eq!(files::enrolled(&context, "people.enrolled.csv").len(), 3);
}

#[test]
fn strict_posts_nothing_where_one_row_is_invalid() {
    let context = Context::new();
    context.file("people.csv", format!("{},nobody\n", crowd(2)));
    assert_snapshot!(context.run("run people.csv --meeting m1 --strict"), @"
    exit 3
    --- stdout
    3 rows read:
            1  invalid        the file's fault
            2  not attempted  the run did not get to them
            2  rejects                not attempted 2, 3
            1  missing-id             invalid       4
    files     people.enrolled.csv, people.rejects.csv, meeting-m1
    next      mend the row in the rejects file and run it as it is: `_reason` says
              why, and nobody is enrolled twice
    --- stderr
    the meeting's rule: everyone
    2 new registrants, 1 invalid; the pace is found out on the way (Microsoft publishes no limit for meetings)
    error: stopped: 1 row is invalid and --strict is set; mend the rows in the rejects file and run again
    ");
    assert_snapshot!(context.read("people.rejects.csv"), @r"
    id,name,_line,_outcome,_code,_reason
    p-00000,Person 0,2,not-attempted,rejects,1 row is invalid and --strict is set; mend the rows in the rejects file and run again
    p-00001,Person 1,3,not-attempted,rejects,1 row is invalid and --strict is set; mend the rows in the rejects file and run again
    ,nobody,4,invalid,missing-id,missing-id: the id is empty
    ");
    assert_eq!(context.stats().posts, 0);
}

#[test]
fn max_rejects_stops_beyond_the_limit_and_not_at_it() {
    let context = Context::new();
    context.file("people.csv", format!("{},nobody\n,noone\n", crowd(8)));
    assert_snapshot!(context.run("run people.csv --meeting m1 --max-rejects 19%"), @"
    exit 3
    --- stdout
    10 rows read:
            2  invalid        the file's fault
            8  not attempted  the run did not get to them
            8  rejects                not attempted 2, 3, 4, …
            2  missing-id             invalid       10, 11
    files     people.enrolled.csv, people.rejects.csv, meeting-m1
    next      mend the 2 rows in the rejects file and run it as it is: `_reason`
              says why, and nobody is enrolled twice
    --- stderr
    the meeting's rule: everyone
    8 new registrants, 2 invalid; the pace is found out on the way (Microsoft publishes no limit for meetings)
    error: stopped: 2 rows are invalid or refused, more than --max-rejects 19%; mend the rows in the rejects file and run again
    ");
    assert_eq!(context.stats().posts, 0);
    context.run("run people.csv --meeting m1 --max-rejects 20%").expect(3);
    assert_eq!(context.stats().posts, 8);
}

#[test]
fn a_missing_registration_is_enabled_on_request() {
    let context =
        Context::with(Config { registration: RegistrationState::Missing, ..Config::default() });
    context.file("people.csv", crowd(2));
    assert_snapshot!(context.run("run people.csv --meeting m1"), @"
    exit 6
    --- stdout
    2 rows read:
            2  not attempted  the run did not get to them
            2  target-gone            not attempted 2, 3
    files     people.enrolled.csv, people.rejects.csv, meeting-m1
    next      mend the cause above, then run the same command again: it goes on with
              the 2 rows
    --- stderr
    error: stopped: Graph knows no registration of this meeting (404 NotFound); check the meeting's id and --organizer, or switch external registration on: `registrant-import registration enable --allow everyone` (or `run --enable everyone`)
    ");
    context.run("run people.csv --meeting m1 --enable everyone").expect(0);
    assert_eq!(files::enrolled(&context, "people.enrolled.csv").len(), 2);
}

#[test]
fn a_registration_of_teams_own_kind_stops_the_run() {
    let context =
        Context::with(Config { registration: RegistrationState::Teams, ..Config::default() });
    context.file("people.csv", crowd(2));
    assert_snapshot!(context.run("run people.csv --meeting m1 --enable everyone"), @"
    exit 6
    --- stdout
    2 rows read:
            2  not attempted  the run did not get to them
            2  registration-unusable  not attempted 2, 3
    files     people.enrolled.csv, people.rejects.csv, meeting-m1
    next      mend the cause above, then run the same command again: it goes on with
              the 2 rows
    --- stderr
    error: stopped: the meeting has a registration of Teams' own kind, which takes no external registrants; people register on Teams' own page; switch it off (`registrant-import registration disable`) and enable an external one
    ");
    assert_snapshot!(context.read("people.rejects.csv"), @r#"
    id,name,_line,_outcome,_code,_reason
    p-00000,Person 0,2,not-attempted,registration-unusable,"the meeting has a registration of Teams' own kind, which takes no external registrants; people register on Teams' own page; switch it off (`registrant-import registration disable`) and enable an external one"
    p-00001,Person 1,3,not-attempted,registration-unusable,"the meeting has a registration of Teams' own kind, which takes no external registrants; people register on Teams' own page; switch it off (`registrant-import registration disable`) and enable an external one"
    "#);
    assert_eq!(context.stats().posts, 0);
}

#[test]
fn throttling_is_waited_out() {
    let quota = Quota { count: 20, per: Duration::from_secs(1) };
    let limit = RateLimit {
        quota,
        burst: None,
        shape: LimitShape::Bucket,
        throttled_calls: ThrottledCalls::Free,
    };
    let context = Context::with(Config { write_limit: Some(limit), ..Config::default() });
    context.file("people.csv", crowd(80));
    let summary = context.summary("run people.csv --meeting m1");
    assert_eq!((&summary["enrolled"], &summary["exitCode"]), (&80.into(), &0.into()));
    assert_eq!(summary["throttled"], context.stats().throttled);
    assert!(summary["throttled"].as_u64() > Some(0), "{summary}");
    assert_eq!(summary["posts"], context.stats().posts);
    assert_eq!(summary["retries"], summary["throttled"]);
}

#[test]
fn refusals_are_the_servers_word() {
    let context = Context::with(Config {
        faults: Faults::default().script(id(1), None, Fault::Refused),
        ..Config::default()
    });
    context.file("people.csv", crowd(3));
    assert_snapshot!(context.run("run people.csv --meeting m1"), @"
    exit 3
    --- stdout
    3 rows read:
            2  enrolled
            1  refused        each has its reason
            1  BadRequest             refused       3
    files     people.enrolled.csv, people.rejects.csv, meeting-m1
    next      mend the row in the rejects file and run it as it is: `_reason` says
              why, and nobody is enrolled twice
    --- stderr
    the meeting's rule: everyone
    3 new registrants; the pace is found out on the way (Microsoft publishes no limit for meetings)
    ");
    assert_snapshot!(context.read("people.rejects.csv"), @r"
    id,name,_line,_outcome,_code,_reason
    p-00001,Person 1,3,refused,BadRequest,The registrant is invalid.
    ");
}

#[test]
fn a_run_ends_in_time_and_the_next_one_goes_on() {
    let context = Context::new();
    context.file("people.csv", crowd(4));
    let line = "run people.csv --meeting m1 --rate 1/s --max-duration 1.5s";
    let summary = context.run(&format!("{line} --json")).expect(5).json();
    assert_eq!(summary["stopReason"], "deadline");
    let left = summary["notAttempted"].as_u64().expect("a number");
    assert!((1..4).contains(&left), "{left} of 4 rows left");
    let rejected = files::rejected(&context, "people.rejects.csv");
    assert_eq!(rejected.len() as u64, left);
    assert!(rejected.iter().all(|r| (&*r.outcome, &*r.code) == ("not-attempted", "deadline")));
    context.run("run people.csv --meeting m1").expect(0);
    assert_eq!(context.stats().posts, 4);
}

#[test]
fn a_ledger_serves_one_run_at_a_time() {
    let slow = CallLatency { median: Duration::from_millis(300), sigma: 0.0 };
    let context = Context::with(Config { latency: slow, ..Config::default() });
    context.file("people.csv", crowd(3));
    let mut first = context.command("run people.csv --meeting m1").spawn().expect("it starts");
    while context.stats().posts == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_snapshot!(context.run("run people.csv --meeting m1 --output other.csv"), @r"
    exit 7
    --- stderr
    error: [folder]/state/registrant-import/meeting-m1-[digest].ledger: another run holds this ledger
    ");
    assert!(first.wait().expect("it ends").success());
}

#[test]
fn whoever_is_killed_goes_on_where_the_work_stopped() {
    let latency = CallLatency { median: Duration::from_millis(20), sigma: 0.5 };
    let context = Context::with(Config { latency, ..Config::default() });
    context.file("people.csv", crowd(300));
    let line = "run people.csv --meeting m1 --settle 500ms";
    let mut first = context.command(line).spawn().expect("it starts");
    while context.stats().created < 60 {
        std::thread::sleep(Duration::from_millis(1));
    }
    first.kill().expect("it still goes");
    assert_eq!(Ran::from(first.wait_with_output().expect("it ends")).code, None, "kill -9");
    assert!(context.stats().created < 300, "in the middle of the run");
    assert!(!context.has("people.enrolled.csv"));
    context.run(line).expect(0);
    assert_eq!(context.stats().duplicates, 0);
    let rows = files::enrolled(&context, "people.enrolled.csv");
    assert_eq!(rows.len(), 300);
    let books = context.simulator().books();
    let links = books.links();
    assert_eq!(links.len(), 300);
    for row in rows {
        assert_eq!(links[row.id.as_str()], [Some(row.link.as_str())], "the link that counts");
    }
}

#[test]
fn files_are_their_owners_alone() {
    let context = Context::new();
    context.file("people.csv", crowd(1));
    context.run("run people.csv --meeting m1 --ledger the.ledger").expect(0);
    for name in ["people.enrolled.csv", "people.rejects.csv", "the.ledger"] {
        assert_eq!(context.mode(name), 0o600, "{name}");
    }
}

#[test]
fn the_loudest_log_names_nobody() {
    let context =
        Context::with(Config { faults: faults(&["400=20", "500=20"]), ..Config::default() });
    context.sample("attendees.csv");
    let line = "run attendees.csv --meeting m1 -vvv --log-file log.txt --settle 100ms";
    let ran = context.run_with(&[("GRAPH_TOKEN", "a-bearer-of-secrets")], line);
    let told = format!("{}{}", context.read("log.txt"), ran.stderr);
    assert!(told.lines().count() > 40, "the log is loud");
    let names = files::column(&context, "attendees.csv", "name");
    let ids = files::column(&context, "attendees.csv", "id");
    for secret in names.iter().chain(&ids).map(String::as_str).chain([
        "example.org",
        "meetup-join",
        "a-bearer-of-secrets",
    ]) {
        assert!(!told.contains(secret), "{secret} in the log");
    }
}

#[test]
fn the_second_person_does_not_get_the_first_ones_link() {
    let faults = crate::program::faults(&["shared-link=100"]);
    let context = Context::with(Config { faults, ..Config::default() });
    context.file("people.csv", "id\na\nb\n");
    let ran = context.run("run people.csv --meeting m1 --settle 50ms --max-attempts 2").expect(4);
    assert_eq!(files::enrolled(&context, "people.enrolled.csv").len(), 1, "{ran}");
    assert_eq!(files::rejected(&context, "people.rejects.csv")[0].code, "wrong-link", "{ran}");
}
