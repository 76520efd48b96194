//! What a ledger tells: `status`, `explain`, `export`, and the view for `sqlite3`.

use insta::assert_snapshot;
use registrant_import::simulator::{Config, Faults, SimulatedFault as Fault};
use rusqlite::Connection;

use crate::{
    context::Context,
    files,
    people::{crowd, id},
};

/// Four people: one is refused, and a row without an id.
fn imported() -> Context {
    let faults = Faults::default().script(id(1), None, Fault::Refused);
    let context = Context::with(Config { faults, ..Config::default() });
    context.file("people.csv", format!("{},nobody\n", crowd(4)));
    context.run("run people.csv --meeting m1").expect(3);
    context
}

#[test]
fn status_counts_and_says_what_comes_next() {
    let context = imported();
    assert_snapshot!(context.run("status --meeting m1"), @r"
    exit 0
    --- stdout
    ledger  [folder]/state/registrant-import/meeting-m1-[digest].ledger
    target  meeting m1 at this machine

            3  enrolled, link held
            1  refused by the server (BadRequest), since [stamp], first on line 3

    last runs
      run 1  [stamp]  took [time], enrolled 3 at [rate], exit 3

    the next run sends 1 row again, where the CSV still holds them, sends every row that is new
    ");
    let json = context.run("status --meeting m1 --json").expect(0).json();
    assert_eq!((&json["counts"]["enrolled"], &json["counts"]["refused"]), (&3.into(), &1.into()));
    assert_eq!(json["runs"][0]["exitCode"], 3);
    assert_eq!(json["target"]["id"], "m1");
}

#[test]
fn a_ledger_that_is_named_outweighs_a_meeting_of_the_environment() {
    let context = Context::new();
    context.file("people.csv", crowd(2));
    context.run("run people.csv --meeting m1 --ledger the.ledger").expect(0);
    let meeting = [("REGISTRANT_IMPORT_MEETING", "m2")];
    let ran = context.run_with(&meeting, "status --ledger the.ledger").expect(0);
    assert!(ran.stdout.contains("target  meeting m1 "), "{ran}");
}

#[test]
fn explain_tells_one_registrants_story() {
    let context = imported();
    assert_snapshot!(context.run("explain p-00000 --meeting m1"), @r"
    exit 0
    --- stdout
    state   enrolled, its link is held (run 1)
    line    2 of the CSV that it was last sent from

    attempt 1: POST in run 1, sent [stamp], status 200 after [time]: done
      client-request-id [guid]
      request-id        [guid]
    ");
    assert_snapshot!(context.run("explain p-00001 --meeting m1"), @r"
    exit 0
    --- stdout
    state   refused by the server (run 1)
    line    3 of the CSV that it was last sent from
    code    BadRequest
    reason  the server's own words: see `_reason` in the rejects file

    attempt 1: POST in run 1, sent [stamp], status 400 after [time]: refused (400 BadRequest)
      client-request-id [guid]
      request-id        [guid]
    ");
}

#[test]
fn export_writes_what_the_run_wrote() {
    let context = imported();
    let before = [context.read("people.enrolled.csv"), context.read("people.rejects.csv")];
    for name in ["people.enrolled.csv", "people.rejects.csv"] {
        std::fs::remove_file(context.path(name)).expect("it was there");
    }
    let calls = context.stats().calls;
    assert_snapshot!(context.run("export people.csv --meeting m1"), @"
    exit 3
    --- stdout
    5 rows read:
            3  enrolled
            1  invalid        the file's fault
            1  refused        each has its reason
            1  BadRequest             refused       3
            1  missing-id             invalid       6
    files     people.enrolled.csv, people.rejects.csv, meeting-m1
    next      mend the 2 rows in the rejects file and run it as it is: `_reason`
              says why, and nobody is enrolled twice
    ");
    assert_eq!(context.stats().calls, calls, "no network");
    let after = [context.read("people.enrolled.csv"), context.read("people.rejects.csv")];
    assert_eq!(after, before);
    context.run("run people.csv --meeting m1").expect(3);
    context.run("export people.csv --meeting m1 --output again.csv").expect(3);
    assert_eq!(context.read("again.csv"), context.read("people.enrolled.csv"));
}

#[test]
fn the_view_for_sqlite3_holds_ids_and_links() {
    let context = Context::new();
    context.file("people.csv", crowd(3));
    context.run("run people.csv --meeting m1 --ledger the.ledger").expect(0);
    let ledger = Connection::open(context.path("the.ledger")).expect("a database");
    let mut query = ledger
        .prepare("SELECT id, join_web_url FROM enrolled ORDER BY id")
        .expect("the view is there");
    let rows: Vec<(String, String)> = query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("it answers")
        .collect::<Result<_, _>>()
        .expect("rows");
    let written: Vec<(String, String)> = files::enrolled(&context, "people.enrolled.csv")
        .into_iter()
        .map(|row| (row.id, row.link))
        .collect();
    assert_eq!(rows, written);
}
