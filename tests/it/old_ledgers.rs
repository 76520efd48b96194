//! Ledgers that an earlier program wrote (`tests/ledgers`) are read, told, exported and gone on with.

use std::path::{Path, PathBuf};

use insta::assert_snapshot;
use registrant_import::simulator::{Config, EventConfig, Faults, SimulatedFault as Fault};

use crate::{context::Context, files};

const MEETING: &str = "people.csv --meeting m1 --ledger meeting.ledger";

const WEBINAR: &str = "people.csv --webinar w1@t1 --ledger webinar.ledger";

/// Nothing that was done more than a moment ago is waited for; nobody is asked again.
const RUN: &str = "--settle 100ms --timeout 1s --concurrency 1 --on-unknown hold";

/// A meeting's people: two are enrolled, one is refused, one was enrolled by somebody else, one has
/// lost its answer, and one has no id.
fn meeting() -> Context {
    let faults = Faults::default().script("m-3", None, Fault::Refused).script(
        "m-5",
        Some(1),
        Fault::NoContent,
    );
    let context = Context::with(Config { faults, ..Config::default() });
    context.file("people.csv", "id,seat\nm-1,A\nm-2,B\nm-3,C\nm-4,D\nm-5,E\n,F\n");
    context.file("early.csv", "id,seat\nm-4,D\n");
    context
}

/// A webinar's people: two are registered, one was before, one is refused, one has an address that
/// somebody else has registered, one has lost its answer, and one waits for a place.
fn webinar() -> Context {
    let webinar = EventConfig { capacity: Some(4), waitlist: true, ..EventConfig::default() };
    let faults = Faults::default().script("w4@example.org", None, Fault::Refused).script(
        "w6@example.org",
        None,
        Fault::ResetBeforeCommit,
    );
    let context = Context::with(Config { event: webinar, faults, ..Config::default() });
    context.file("people.csv", guests(1..8));
    context.file("early.csv", guests(3..4) + "x-5,Other,Person,w5@example.org\n");
    context
}

fn guests(numbers: std::ops::Range<usize>) -> String {
    numbers.fold("id,firstName,lastName,email\n".to_owned(), |text, n| {
        text + &format!("w-{n},First{n},Last{n},w{n}@example.org\n")
    })
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ledgers")
}

/// How the ledgers were made: what comes of it now has the same rows in the same states.
/// `REGISTRANT_IMPORT_KEEP_LEDGERS=1` keeps it in the place of the old ones.
#[test]
fn todays_ledgers_hold_the_same_rows() {
    for (context, words, name) in
        [(meeting(), MEETING, "meeting.ledger"), (webinar(), WEBINAR, "webinar.ledger")]
    {
        let early = words.replace("people.csv", "early.csv").replace(name, "other.ledger");
        context.run(&format!("run {early} {RUN}")).expect(0);
        context.run(&format!("run {words} {RUN}")).expect(4);
        if std::env::var_os("REGISTRANT_IMPORT_KEEP_LEDGERS").is_some() {
            std::fs::copy(context.path(name), folder().join(name)).expect("it is written");
        }
        let status = |context: &Context| {
            context.run(&format!("status --ledger {name} --json")).expect(0).json()
        };
        let (today, kept) = (status(&context), status(&with_kept(Context::offline(), name)));
        assert_eq!((&today["counts"], &today["next"]), (&kept["counts"], &kept["next"]));
    }
}

/// The same people, with the ledger that was kept, before a Graph that was not there then.
fn with_kept(context: Context, name: &str) -> Context {
    let bytes = std::fs::read(folder().join(name)).expect("it is kept");
    context.file(name, bytes);
    context
}

/// What `explain` tells of each of these, below its id.
fn stories(context: &Context, ledger: &str, ids: &[&str]) -> String {
    let story = |id: &&str| {
        let told = context.run(&format!("explain {id} --ledger {ledger}")).expect(0).stdout;
        format!("{id}\n{told}\n")
    };
    ids.iter().map(story).collect()
}

/// What `status` tells, in words and as JSON.
fn standing(context: &Context, ledger: &str) -> String {
    let told =
        |json: &str| context.run(&format!("status --ledger {ledger}{json}")).expect(0).stdout;
    told("") + &told(" --json")
}

#[test]
fn a_meetings_ledger_is_told_and_exported() {
    let context = with_kept(meeting(), "meeting.ledger");
    assert_snapshot!(standing(&context, "meeting.ledger"), @r#"
    ledger  meeting.ledger
    target  meeting m1 at this machine

            2  enrolled, link held
            1  sent, perhaps on the server, no link held (no-link), since [stamp], first on line 6
            1  refused by the server (BadRequest), since [stamp], first on line 4
            1  on the server, never sent by this ledger, since [stamp]

    last runs
      run 1  [stamp]  took [time], enrolled 2 at [rate], exit 4

    the next run lists the target and finishes 1 row in doubt, sends 1 row again, where the CSV still holds them, looks again at 1 row on the server, sends every row that is new
    {"absent":0,"counts":{"awaiting":0,"enrolled":2,"foreign":1,"gone":0,"ready":0,"refused":1,"removing":0,"sending":0,"unknown":1},"ledger":"meeting.ledger","next":{"lookAgain":1,"lookUp":1,"sendAgain":1,"text":"lists the target and finishes 1 row in doubt, sends 1 row again, where the CSV still holds them, looks again at 1 row on the server, sends every row that is new"},"runs":[{"endedAt":"[stamp]","enrolled":2,"exitCode":4,"going":false,"n":1,"rowsPerSecond":6.451612903225807,"startedAt":"[stamp]","stopReason":null,"throttled":0}],"target":{"graph":"this machine","id":"m1","kind":"meeting","organizer":null},"waiting":[{"code":"no-link","count":1,"firstLine":6,"since":"[stamp]","state":"unknown"},{"code":"BadRequest","count":1,"firstLine":4,"since":"[stamp]","state":"refused"},{"code":null,"count":1,"firstLine":null,"since":"[stamp]","state":"foreign"}]}
    "#);
    context.run("explain m-6 --ledger meeting.ledger").expect(2);
    assert_snapshot!(stories(&context, "meeting.ledger", &["m-1", "m-3", "m-4", "m-5"]), @"
    m-1
    state   enrolled, its link is held (run 1)
    line    2 of the CSV that it was last sent from

    attempt 1: POST in run 1, sent [stamp], status 200 after [time]: done
      client-request-id [guid]
      request-id        [guid]

    m-3
    state   refused by the server (run 1)
    line    4 of the CSV that it was last sent from
    code    BadRequest
    reason  the server's own words: see `_reason` in the rejects file

    attempt 1: POST in run 1, sent [stamp], status 400 after [time]: refused (400 BadRequest)
      client-request-id [guid]
      request-id        [guid]

    m-4
    state   on the server, and never sent by this ledger (run 1)

    m-5
    state   unknown: sent, perhaps on the server, no link held; the next run looks it up (run 1)
    line    6 of the CSV that it was last sent from
    code    no-link
    reason  the answer holds no join link

    attempt 1: POST in run 1, sent [stamp], status 204 after [time]: done
      client-request-id [guid]
      request-id        [guid]
    ");
    assert_snapshot!(context.run(&format!("export {MEETING}")), @"
    exit 4
    --- stdout
    6 rows read:
            2  enrolled
            1  invalid        the file's fault
            2  refused        each has its reason
            1  unknown        perhaps on the server, no link held
            1  BadRequest             refused       4
            1  exists-on-server       refused       5
            1  no-link                unknown       6
            1  missing-id             invalid       7
    files     people.enrolled.csv, people.rejects.csv
    ledger    meeting.ledger
    next      mend the 3 rows in the rejects file and run it as it is: `_reason`
              says why, and nobody is enrolled twice
              run the same command again later: it looks up the row first
    ");
    assert_snapshot!(context.read("people.enrolled.csv"), @"
    id,joinWebUrl,registrantId,status
    m-1,https://teams.microsoft.com/l/meetup-join/19%3ameeting_rehearsal7be5608089c7feb7%40thread.v2/0?context=%7b%22Tid%22%3a%22[guid]%22%2c%22Oid%22%3a%22[guid]%22%2c%22prid%22%3a%22m-1%22%2c%22isPublic%22%3atrue%7d,m-1,enrolled
    m-2,https://teams.microsoft.com/l/meetup-join/19%3ameeting_rehearsal7be5608089c7feb7%40thread.v2/0?context=%7b%22Tid%22%3a%22[guid]%22%2c%22Oid%22%3a%22[guid]%22%2c%22prid%22%3a%22m-2%22%2c%22isPublic%22%3atrue%7d,m-2,enrolled
    ");
    assert_snapshot!(context.read("people.rejects.csv"), @r#"
    id,seat,_line,_outcome,_code,_reason
    m-3,C,4,refused,BadRequest,The registrant is invalid.
    m-4,D,5,refused,exists-on-server,"the target holds a registrant with this id that this ledger never sent, and gives no link of it; if nobody uses it, remove it there and run again"
    m-5,E,6,unknown,no-link,the answer holds no join link
    ,F,7,invalid,missing-id,missing-id: the id is empty
    "#);
    assert_eq!(context.stats().calls, 0);
}

#[test]
fn a_webinars_ledger_is_told_and_exported() {
    let context = with_kept(webinar(), "webinar.ledger");
    assert_snapshot!(standing(&context, "webinar.ledger"), @r#"
    ledger  webinar.ledger
    target  webinar w1@t1 at this machine

            4  enrolled, link held
            1  sent, perhaps on the server, no link held (connection-lost), since [stamp], first on line 7
            1  refused by the server (BadRequest), since [stamp], first on line 5
            1  on the server, no link yet (waitlisted), since [stamp], first on line 8

    last runs
      run 1  [stamp]  took [time], enrolled 2 at [rate], exit 4

    the next run lists the target and finishes 1 row in doubt, sends 1 row again, where the CSV still holds them, looks again at 1 row on the server, sends every row that is new
    {"absent":0,"counts":{"awaiting":1,"enrolled":4,"foreign":0,"gone":0,"ready":0,"refused":1,"removing":0,"sending":0,"unknown":1},"ledger":"webinar.ledger","next":{"lookAgain":1,"lookUp":1,"sendAgain":1,"text":"lists the target and finishes 1 row in doubt, sends 1 row again, where the CSV still holds them, looks again at 1 row on the server, sends every row that is new"},"runs":[{"endedAt":"[stamp]","enrolled":2,"exitCode":4,"going":false,"n":1,"rowsPerSecond":1.1166945840312674,"startedAt":"[stamp]","stopReason":null,"throttled":0}],"target":{"graph":"this machine","id":"w1@t1","kind":"webinar","organizer":null},"waiting":[{"code":"connection-lost","count":1,"firstLine":7,"since":"[stamp]","state":"unknown"},{"code":"BadRequest","count":1,"firstLine":5,"since":"[stamp]","state":"refused"},{"code":"waitlisted","count":1,"firstLine":8,"since":"[stamp]","state":"awaiting"}]}
    "#);
    assert_eq!(context.stats().calls, 0);
}

#[test]
fn the_people_of_a_webinars_ledger_are_explained() {
    let context = with_kept(webinar(), "webinar.ledger");
    assert_snapshot!(stories(&context, "webinar.ledger", &["w-1", "w-3", "w-4", "w-5", "w-6", "w-7"]), @"
    w-1
    state   enrolled, its link is held (run 1)
    line    2 of the CSV that it was last sent from

    attempt 1: POST in run 1, sent [stamp], status 204 after [time]: done
      client-request-id [guid]
      request-id        [guid]

    attempt 2: GET of its link in run 1, sent [stamp], status 200 after [time]: done
      client-request-id [guid]
      request-id        [guid]

    w-3
    state   enrolled, its link is held (taken over: the target held it already)
    line    4 of the CSV

    attempt 1: GET of its link in run 1, sent [stamp], status 200 after [time]: done
      client-request-id [guid]
      request-id        [guid]

    w-4
    state   refused by the server (run 1)
    line    5 of the CSV that it was last sent from
    code    BadRequest
    reason  the server's own words: see `_reason` in the rejects file

    attempt 1: POST in run 1, sent [stamp], status 400 after [time]: refused (400 BadRequest)
      client-request-id [guid]
      request-id        [guid]

    w-5
    state   enrolled, its link is held (taken over: the target held it already)
    line    6 of the CSV

    attempt 1: GET of its link in run 1, sent [stamp], status 200 after [time]: done
      client-request-id [guid]
      request-id        [guid]

    w-6
    state   unknown: sent, perhaps on the server, no link held; the next run looks it up (run 1)
    line    7 of the CSV that it was last sent from
    code    connection-lost
    reason  the result of the POST was never learnt (connection broken: connection error: Connection reset by peer (os error 104))

    attempt 1: POST in run 1, sent [stamp], no answer after [time]: unknown (connection broken: connection error: Connection reset by peer (os error 104))
      client-request-id [guid]

    w-7
    state   on the server, no link yet (run 1)
    line    8 of the CSV that it was last sent from
    code    waitlisted
    reason  the webinar is full; it is on the waiting list

    attempt 1: POST in run 1, sent [stamp], status 204 after [time]: done
      client-request-id [guid]
      request-id        [guid]
    ");
    assert_snapshot!(context.run(&format!("export {WEBINAR}")), @"
    exit 4
    --- stdout
    7 rows read:
            4  enrolled       2 of them before this run
            1  refused        each has its reason
            1  unknown        perhaps on the server, no link held
            1  awaiting       on the server, no link yet
            1  BadRequest             refused       5
            1  connection-lost        unknown       7
            1  waitlisted             awaiting      8
    files     people.enrolled.csv, people.rejects.csv
    ledger    webinar.ledger
    next      mend the row in the rejects file and run it as it is: `_reason` says
              why, and nobody is enrolled twice
              run the same command again later: it looks up the 2 rows first
    ");
    assert_snapshot!(context.read("people.enrolled.csv"), @"
    id,joinWebUrl,registrantId,status
    w-1,https://teams.microsoft.com/l/meetup-join/19%3ameeting_rehearsale06ad9c0250145be%40thread.v2/0?context=%7b%22Tid%22%3a%22[guid]%22%2c%22Oid%22%3a%22[guid]%22%7d,[guid],enrolled
    w-2,https://teams.microsoft.com/l/meetup-join/19%3ameeting_rehearsal692d462562f5d8f8%40thread.v2/0?context=%7b%22Tid%22%3a%22[guid]%22%2c%22Oid%22%3a%22[guid]%22%7d,[guid],enrolled
    w-3,https://teams.microsoft.com/l/meetup-join/19%3ameeting_rehearsal356eb9c471858e9c%40thread.v2/0?context=%7b%22Tid%22%3a%22[guid]%22%2c%22Oid%22%3a%22[guid]%22%7d,[guid],already
    w-5,https://teams.microsoft.com/l/meetup-join/19%3ameeting_rehearsal7ecc3b60753e55dd%40thread.v2/0?context=%7b%22Tid%22%3a%22[guid]%22%2c%22Oid%22%3a%22[guid]%22%7d,[guid],already
    ");
    assert_snapshot!(context.read("people.rejects.csv"), @"
    id,firstName,lastName,email,_line,_outcome,_code,_reason
    w-4,First4,Last4,w4@example.org,5,refused,BadRequest,The registrant is invalid.
    w-6,First6,Last6,w6@example.org,7,unknown,connection-lost,the result of the POST was never learnt (connection broken: connection error: Connection reset by peer (os error 104))
    w-7,First7,Last7,w7@example.org,8,awaiting,waitlisted,the webinar is full; it is on the waiting list
    ");
    assert_eq!(context.stats().calls, 0);
}

#[test]
fn a_run_goes_on_with_a_meetings_ledger() {
    let context = with_kept(Context::new(), "meeting.ledger");
    // Whom the ledger enrolled, and whom somebody else did.
    context.file("early.csv", "id\nm-1\nm-2\nm-4\n");
    context.run("run early.csv --meeting m1 --ledger other.ledger").expect(0);
    context.file("people.csv", meeting().read("people.csv"));
    let posts = context.stats().posts;
    assert_snapshot!(context.run(&format!("run {MEETING} --settle 100ms")), @"
    exit 3
    --- stdout
    6 rows read:
            4  enrolled       2 of them before this run
            1  invalid        the file's fault
            1  refused        each has its reason
            1  exists-on-server       refused       5
            1  missing-id             invalid       7
    files     people.enrolled.csv, people.rejects.csv
    ledger    meeting.ledger
    next      mend the 2 rows in the rejects file and run it as it is: `_reason`
              says why, and nobody is enrolled twice
    --- stderr
    the meeting's rule: everyone
    1 new registrant, 2 already enrolled, 1 left in doubt by an earlier run, to be looked up, 1 on the server that this ledger never sent, 1 invalid; the pace is found out on the way (Microsoft publishes no limit for meetings)
    ");
    assert_snapshot!(context.read("people.enrolled.csv"), @"
    id,joinWebUrl,registrantId,status
    m-1,https://teams.microsoft.com/l/meetup-join/19%3ameeting_rehearsal7be5608089c7feb7%40thread.v2/0?context=%7b%22Tid%22%3a%22[guid]%22%2c%22Oid%22%3a%22[guid]%22%2c%22prid%22%3a%22m-1%22%2c%22isPublic%22%3atrue%7d,m-1,already
    m-2,https://teams.microsoft.com/l/meetup-join/19%3ameeting_rehearsal7be5608089c7feb7%40thread.v2/0?context=%7b%22Tid%22%3a%22[guid]%22%2c%22Oid%22%3a%22[guid]%22%2c%22prid%22%3a%22m-2%22%2c%22isPublic%22%3atrue%7d,m-2,already
    m-3,https://teams.microsoft.com/l/meetup-join/19%3ameeting_rehearsal7be5608089c7feb7%40thread.v2/0?context=%7b%22Tid%22%3a%22[guid]%22%2c%22Oid%22%3a%22[guid]%22%2c%22prid%22%3a%22m-3%22%2c%22isPublic%22%3atrue%7d,m-3,enrolled
    m-5,https://teams.microsoft.com/l/meetup-join/19%3ameeting_rehearsal7be5608089c7feb7%40thread.v2/0?context=%7b%22Tid%22%3a%22[guid]%22%2c%22Oid%22%3a%22[guid]%22%2c%22prid%22%3a%22m-5%22%2c%22isPublic%22%3atrue%7d,m-5,enrolled
    ");
    // The refused one again, and the one in doubt, whom the list does not show.
    assert_eq!(context.stats().posts, posts + 2);
}

#[test]
fn a_run_goes_on_with_a_webinars_ledger() {
    let webinar = EventConfig { capacity: Some(7), waitlist: true, ..EventConfig::default() };
    let config = Config { event: webinar, ..Config::default() };
    let context = with_kept(Context::with(config), "webinar.ledger");
    context.file(
        "early.csv",
        guests(1..4) + "x-5,Other,Person,w5@example.org\nw-7,First7,Last7,w7@example.org\n",
    );
    context.run("run early.csv --webinar w1@t1 --ledger other.ledger").expect(0);
    context.file("people.csv", guests(1..8));
    let posts = context.stats().posts;
    context.run(&format!("export {WEBINAR}")).expect(4);
    let kept = files::enrolled(&context, "people.enrolled.csv");
    assert_snapshot!(context.run(&format!("run {WEBINAR} --settle 100ms")), @"
    exit 0
    --- stdout
    7 rows read:
            7  enrolled       4 of them before this run
    files     people.enrolled.csv, people.rejects.csv
    ledger    webinar.ledger
    next      nothing: everybody is enrolled
    --- stderr
    the webinar's audience: everyone
    1 new registrant, 4 already enrolled, 1 on the event without a link yet, 1 left in doubt by an earlier run, to be looked up; at 15/30s all go at once
    warning: Teams mails everybody whom it registers: 1 person; to prevent it, the event's isAttendeeEmailNotificationEnabled must be false
    ");
    // Links of the ledger are as they were, the others are those that the server holds.
    let books = context.simulator().books().registrants;
    let rows = files::enrolled(&context, "people.enrolled.csv");
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, ["w-1", "w-2", "w-3", "w-4", "w-5", "w-6", "w-7"]);
    for row in &rows {
        let before = kept.iter().find(|kept| kept.id == row.id);
        let held = books.iter().find(|held| held.id == row.id);
        let (link, status) = match before {
            Some(kept) => (Some(&kept.link), "already"),
            None => (held.and_then(|held| held.join_web_url.as_ref()), "enrolled"),
        };
        assert_eq!((Some(&row.link), row.status.as_str()), (link, status), "{}", row.id);
    }
    assert_eq!(kept.len(), 4);
    assert_eq!(context.stats().posts, posts + 2);
}
