//! `run --webinar`: the same job on the API that replaces the old one.

use std::{collections::BTreeSet, time::Duration};

use insta::assert_snapshot;
use registrant_import::{
    registrant::Mode,
    simulator::{
        Caller, Config, DateForm, Fault, Faults, Question, QuestionKind, Refusal,
        RegistrationStatus, SecondPost, WebinarConfig, WebinarPrid, WebinarStatus,
    },
};
use serde_json::Value;

use crate::{
    context::Context,
    files,
    openapi::OpenApi,
    recorder::{Recorder, Sent},
    wire::reference,
};

const WEBINAR: &str = "--webinar w1@t1 --settle 100ms --rate 1000/s";

fn webinar(config: WebinarConfig) -> Config {
    Config { webinar: config, ..Config::default() }
}

fn faults(rates: &[&str]) -> Faults {
    let rates = rates.iter().map(|rate| rate.parse().expect("a fault")).collect();
    Faults::new(rates).expect("at most 100 %")
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
fn everybody_is_registered_once_and_a_second_run_posts_nothing() {
    let context = Context::new();
    context.file("people.csv", guests(40));
    assert_snapshot!(run(&context, ""), @"
    exit 0
    --- stdout
    40 rows read in [time]:

           40  enrolled

    enrolled  people.enrolled.csv
    rejects   people.rejects.csv
    ledger    [folder]/state/registrant-import/webinar-w1-t1-[digest].ledger
    next      nothing: everybody is enrolled
    --- stderr
    the webinar's audience: everyone
    40 new registrants; at [rate] about [time]
    warning: Teams mails everybody whom it registers: 40 people; to prevent it, the webinar's isAttendeeEmailNotificationEnabled must be false
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
    40 rows read in [time]:

           40  enrolled       all of them before this run

    enrolled  people.enrolled.csv
    rejects   people.rejects.csv
    ledger    [folder]/state/registrant-import/webinar-w1-t1-[digest].ledger
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
        (true, DateForm::Object, WebinarPrid::Absent, 3),
        (false, DateForm::Text, WebinarPrid::Posted, 100),
        (true, DateForm::Text, WebinarPrid::Registration, 1),
    ] {
        let config = WebinarConfig { wrapped, dates, prid, ..WebinarConfig::default() };
        let context = Context::with(Config { page_size, ..webinar(config) });
        context.file("people.csv", guests(7));
        run(&context, "").expect(0);
        let rows = files::enrolled(&context, "people.enrolled.csv");
        each_has_a_link_of_their_own(&rows);
        assert_eq!(rows.len(), 7);
    }
}

#[test]
fn whoever_is_registered_already_is_taken_over() {
    let context = Context::new();
    context.file("people.csv", guests(3));
    run(&context, "--ledger other.ledger --output other.csv").expect(0);
    // The same ids with another ledger; one more person; one whom another tool registered under
    // another id.
    let mut more = guests(4);
    more.push_str("NEW,Ada,Byron,ADA2@example.org\n");
    context.file("people.csv", more.replace("T-002,", "GONE,").replace("ada2@", "gone@"));
    assert_snapshot!(run(&context, ""), @"
    exit 0
    --- stdout
    5 rows read in [time]:

            5  enrolled       3 of them before this run

    enrolled  people.enrolled.csv
    rejects   people.rejects.csv
    ledger    [folder]/state/registrant-import/webinar-w1-t1-[digest].ledger
    next      nothing: everybody is enrolled
    --- stderr
    the webinar's audience: everyone
    2 new registrants, 3 on the webinar already, whose links are fetched; at [rate] about [time]
    warning: Teams mails everybody whom it registers: 2 people; to prevent it, the webinar's isAttendeeEmailNotificationEnabled must be false
    ");
    let rows = files::enrolled(&context, "people.enrolled.csv");
    let told: Vec<_> = rows.iter().map(|row| (row.id.as_str(), row.status.as_str())).collect();
    assert_eq!(
        told,
        [
            ("T-000", "already"),
            ("T-001", "already"),
            ("GONE", "enrolled"),
            ("T-003", "enrolled"),
            ("NEW", "already"),
        ]
    );
    each_has_a_link_of_their_own(&rows);
    assert_eq!((context.stats().posts, context.stats().duplicates), (5, 0));
}

#[test]
fn an_address_that_this_ledger_has_registered_is_not_given_to_somebody_else() {
    let context = Context::new();
    context.file("people.csv", guests(2));
    run(&context, "").expect(0);
    context.file("people.csv", guests(2).replace("T-001,", "T-777,"));
    run(&context, "").expect(3);
    let rejects = context.read("people.rejects.csv");
    assert!(rejects.contains("T-777") && rejects.contains("exists-on-server"), "{rejects}");
    assert_eq!(context.stats().posts, 2);
}

#[test]
fn one_registration_is_one_persons_whatever_changed_hands() {
    let context = Context::new();
    // Another tool has registered T-000 with the address that T-001 has in the list.
    context.file("people.csv", guests(1).replace("ada0@", "ada1@"));
    run(&context, "--ledger other.ledger").expect(0);
    context.file("people.csv", guests(2));
    run(&context, "").expect(3);
    let rows = files::enrolled(&context, "people.enrolled.csv");
    assert_eq!(rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["T-000"]);
    let rejects = context.read("people.rejects.csv");
    assert!(rejects.contains("T-001") && rejects.contains("exists-on-server"), "{rejects}");
    assert_eq!(context.stats().posts, 1);
}

#[test]
fn an_id_that_the_webinar_holds_for_somebody_else_is_not_theirs() {
    let context = Context::new();
    context.file("people.csv", guests(2));
    run(&context, "--ledger other.ledger --output other.csv").expect(0);
    // Another list, whose ids begin anew, and a ledger that knows nobody.
    context.file("people.csv", guests(1).replace(",Ada0,Byron,ada0@", ",Zoe,Zander,zoe@"));
    run(&context, "").expect(3);
    assert!(files::enrolled(&context, "people.enrolled.csv").is_empty());
    let rejects = context.read("people.rejects.csv");
    assert!(rejects.contains("exists-on-server") && rejects.contains("other names"), "{rejects}");
    assert_eq!(context.stats().posts, 2);
}

#[test]
fn a_row_in_doubt_does_not_take_the_link_of_whoever_had_its_address() {
    let lost = Faults::default().script("typo@example.org", None, Fault::ResetBeforeCommit);
    let context = Context::with(Config { faults: lost, ..Config::default() });
    context.file("people.csv", guests(2).replace("ada1@", "typo@"));
    run(&context, "--on-unknown hold").expect(4);
    // Both addresses are put right: T-001 has the one that T-000 is registered with.
    context.file("people.csv", guests(2).replace("ada0@", "new@").replace("ada1@", "ada0@"));
    run(&context, "").expect(3);
    assert!(files::enrolled(&context, "people.enrolled.csv").is_empty());
    let rejects = context.read("people.rejects.csv");
    assert!(rejects.contains("changed-since-enrolled"), "{rejects}");
    assert!(rejects.contains("exists-on-server"), "{rejects}");
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
    let context = Context::with(webinar(WebinarConfig {
        capacity: Some(2),
        waitlist: true,
        ..WebinarConfig::default()
    }));
    context.file("people.csv", guests(4));
    // One at a time: among requests that are under way together, chance has the last seat.
    assert_snapshot!(run(&context, "--concurrency 1"), @"
    exit 4
    --- stdout
    4 rows read in [time]:

            2  enrolled
            2  awaiting       on the server, no link yet

         rows  reason                 outcome       example lines
            2  waitlisted             awaiting      4, 5

    enrolled  people.enrolled.csv
    rejects   people.rejects.csv
    ledger    [folder]/state/registrant-import/webinar-w1-t1-[digest].ledger
    next      run the same command again later: it looks up the 2 rows first
    --- stderr
    the webinar's audience: everyone
    4 new registrants; at [rate] about [time]
    warning: Teams mails everybody whom it registers: 4 people; to prevent it, the webinar's isAttendeeEmailNotificationEnabled must be false
    warning: the webinar takes 2 people and holds 0: 2 people of the list go onto its waiting list
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
    4 rows read in [time]:

            3  enrolled       2 of them before this run
            1  refused        each has its reason

         rows  reason                 outcome       example lines
            1  rejected-by-organizer  refused       5

    enrolled  people.enrolled.csv
    rejects   people.rejects.csv
    ledger    [folder]/state/registrant-import/webinar-w1-t1-[digest].ledger
    next      mend the row in the rejects file and run it as it is: `_reason` says
              why, and nobody is enrolled twice
    --- stderr
    the webinar's audience: everyone
    0 new registrants, 2 already enrolled, 2 on the webinar without a link yet
    ");
    assert_eq!(context.stats().posts, 4, "nobody is posted again");
    run(&context, "").expect(3);
    assert_eq!(context.stats().posts, 4, "not even who was rejected");
}

#[test]
fn an_answer_that_is_lost_leads_to_one_registration_and_its_link() {
    for second_post in [SecondPost::Return, SecondPost::Conflict, SecondPost::Duplicate] {
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
        run(&context, "").expect(0);
        assert_eq!((context.stats().created, context.stats().duplicates), (60, 0));
        let rows = files::enrolled(&context, "people.enrolled.csv");
        each_has_a_link_of_their_own(&rows);
        let books = context.simulator().books();
        for row in &rows {
            let held = books.registrants.iter().find(|held| held.id == row.id).expect("held");
            assert_eq!(Some(&row.link), held.join_web_url.as_ref());
        }
    }
}

#[test]
fn a_registration_that_a_late_list_made_too_many_is_cancelled() {
    let lost = Faults::default().script("ada1@example.org", Some(1), Fault::ResetAfterCommit);
    let context = Context::with(Config {
        second_post: SecondPost::Duplicate,
        faults: lost,
        list_lag: Duration::from_millis(300),
        ..Config::default()
    });
    context.file("people.csv", guests(3));
    // Asked after a fifth of a second, the list does not show yet what the server has.
    let more = "--set referrer=x --settle 200ms --webinar w1@t1 --rate 1000/s";
    context.run(&format!("run people.csv --map id=Ticket {more}")).expect(0);
    let stats = context.stats();
    assert_eq!((stats.duplicates, stats.deleted), (1, 1), "one too many, and cancelled");
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
fn what_a_webinar_asks_is_held_against_the_columns_before_anybody_is_posted() {
    let question =
        |words: &str, required, kind| Question { required, kind, ..Question::text(words) };
    let context = Context::with(webinar(WebinarConfig {
        questions: vec![
            question("Job title", true, QuestionKind::Predefined("jobTitle".into())),
            question(
                "Your city",
                true,
                QuestionKind::SingleChoice(vec!["Ghent".into(), "London".into()]),
            ),
            question("Topics", false, QuestionKind::MultiChoice(vec!["A, B".into(), "C".into()])),
            question("Again?", false, QuestionKind::Boolean),
        ],
        ..WebinarConfig::default()
    }));
    context.file(
        "people.csv",
        "Ticket,First name,Last name,Email,Job,City,Topics,Again\n\
         1,Ada,Byron,a@example.org,Analyst,ghent,\"A, B;C\",yes\n\
         2,Bob,Cole,b@example.org,,London,,\n\
         3,Cid,Dane,c@example.org,Poet,Paris,C,no\n",
    );
    assert_snapshot!(run(&context, ""), @"
    exit 2
    --- stderr
    the webinar's audience: everyone
    error: the webinar requires an answer to `Job title` and `Your city`; give each a column: --map 'answer:Job title=COLUMN' --map 'answer:Your city=COLUMN'
    ");
    assert_snapshot!(run(&context, "--map 'answer:Job title=Job' --map answer:Cit=City"), @"
    exit 2
    --- stderr
    the webinar's audience: everyone
    error: the webinar asks no question `Cit`; it asks `Job title` (required), `Your city` (required), `Topics`, `Again?`
    ");
    assert_eq!(context.stats().posts, 0);
    let all = "--map 'answer:Job title=Job' --map 'answer:your city=City' --map answer:Topics=Topics --map answer:Again?=Again";
    assert_snapshot!(run(&context, all), @"
    exit 3
    --- stdout
    3 rows read in [time]:

            1  enrolled
            2  invalid        the file's fault

         rows  reason                 outcome       example lines
            1  missing-answer         invalid       3
            1  bad-answer             invalid       4

    enrolled  people.enrolled.csv
    rejects   people.rejects.csv
    ledger    [folder]/state/registrant-import/webinar-w1-t1-[digest].ledger
    next      mend the 2 rows in the rejects file and run it as it is: `_reason`
              says why, and nobody is enrolled twice
    --- stderr
    the webinar's audience: everyone
    1 new registrant, 2 invalid; at [rate] about [time]
    warning: Teams mails everybody whom it registers: 1 person; to prevent it, the webinar's isAttendeeEmailNotificationEnabled must be false
    ");
    assert_snapshot!(context.read("people.rejects.csv"), @r#"
    Ticket,First name,Last name,Email,Job,City,Topics,Again,_line,_outcome,_code,_reason
    2,Bob,Cole,b@example.org,,London,,,3,invalid,missing-answer,"missing-answer: the answer to “Job title” is empty, and required"
    3,Cid,Dane,c@example.org,Poet,Paris,C,no,4,invalid,bad-answer,"bad-answer: the answer to “Your city” must be one of “Ghent”, “London” and is `Paris`"
    "#);
    assert_eq!(context.stats().posts, 1);
    run(&context, all).expect(3);
    assert_eq!(context.stats().posts, 1);
}

#[test]
fn a_webinar_that_takes_nobody_ends_the_run_before_the_first_post() {
    for (config, code, words) in [
        (WebinarConfig { status: WebinarStatus::Draft, ..WebinarConfig::default() }, 6, "publish"),
        (
            WebinarConfig { status: WebinarStatus::Canceled, ..WebinarConfig::default() },
            6,
            "cancelled",
        ),
        (
            WebinarConfig { audience: Mode::Organization, ..WebinarConfig::default() },
            6,
            "organization",
        ),
    ] {
        let context = Context::with(webinar(config));
        context.file("people.csv", guests(3));
        let ran = run(&context, "").expect(code);
        assert!(ran.stderr.contains(words), "{ran}");
        assert_eq!(context.stats().created, 0);
        assert_eq!(context.read("people.rejects.csv").lines().count(), 4, "{ran}");
    }
    let context = Context::new();
    context.file("people.csv", guests(3));
    let ran = context.run("run people.csv --map id=Ticket --webinar missing1").expect(6);
    assert!(ran.stderr.contains("knows no such webinar"), "{ran}");
}

#[test]
fn a_missing_policy_names_what_an_administrator_runs() {
    let context =
        Context::with(Config { refuse: Some(Refusal::AccessPolicy), ..Config::default() });
    context.file("people.csv", guests(3));
    let ran = run(&context, "").expect(6);
    assert!(ran.stderr.contains("New-CsApplicationAccessPolicy"), "{ran}");
    assert!(ran.stderr.contains("Grant-CsApplicationAccessPolicy"), "{ran}");
}

#[test]
fn what_awaits_people_is_said_before_they_are_registered() {
    let context = Context::with(webinar(WebinarConfig {
        capacity: Some(2),
        approval: true,
        ..WebinarConfig::default()
    }));
    context.file("people.csv", guests(3));
    let ran = run(&context, "");
    for words in ["Teams mails everybody", "3 people", "by hand", "takes 2 people and holds 0"] {
        assert!(ran.stderr.contains(words), "{words}: {ran}");
    }
    let silent = WebinarConfig { mails: false, ..WebinarConfig::default() };
    let context = Context::with(webinar(silent));
    context.file("people.csv", guests(3));
    assert!(!run(&context, "").expect(0).stderr.contains("mails"));
}

#[test]
fn two_people_of_one_address_cannot_both_have_a_link() {
    let context = Context::new();
    context.file("people.csv", guests(3).replace("ada2@", "ADA0@"));
    run(&context, "").expect(3);
    let rejects = context.read("people.rejects.csv");
    assert!(rejects.contains("duplicate-email") && rejects.contains("line 2"), "{rejects}");
    assert_eq!(context.stats().posts, 2);
}

#[test]
fn a_list_that_is_sorted_anew_takes_nobodys_address() {
    let context = Context::new();
    context.file("people.csv", guests(2));
    run(&context, "").expect(0);
    let header = guests(0);
    let body = guests(2).replace(&header, "");
    context.file("people.csv", format!("{header}NEW,Eve,Cole,ada1@example.org\n{body}"));
    run(&context, "").expect(3);
    let rows = files::enrolled(&context, "people.enrolled.csv");
    assert_eq!(rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["T-000", "T-001"]);
    let rejects = context.read("people.rejects.csv");
    assert!(rejects.contains("NEW") && rejects.contains("duplicate-email"), "{rejects}");
    // A row that repeats an enrolled id with another address takes it from nobody.
    let repeat = "T-000,Ada0,Byron,other@example.org\nT-9,Fay,Dean,other@example.org\n";
    context.file("people.csv", format!("{header}{body}{repeat}"));
    run(&context, "").expect(3);
    let rows = files::enrolled(&context, "people.enrolled.csv");
    let ids: Vec<_> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, ["T-000", "T-001", "T-9"]);
}

#[test]
fn a_meetings_ledger_and_list_go_on_with_a_webinar() {
    let context = Context::new();
    context.file("people.csv", guests(5));
    context.run("run people.csv --map id=Ticket --meeting m1 --ledger books.ledger").expect(0);
    let before = std::fs::read(context.path("books.ledger")).expect("the meeting's ledger");
    let ran = run(&context, "--ledger books.ledger").expect(0);
    assert!(ran.stderr.contains("belongs to a meeting"), "{ran}");
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
    let question = Question { required: false, ..Question::text("City") };
    let config = WebinarConfig { questions: vec![question], ..WebinarConfig::default() };
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

#[test]
fn a_persons_token_registers_nobody() {
    let context = Context::with(webinar(WebinarConfig {
        caller: Caller::Delegated,
        ..WebinarConfig::default()
    }));
    context.file("people.csv", guests(3));
    // {"idtyp":"user","scp":"VirtualEvent.ReadWrite"}
    let token = "e30.eyJpZHR5cCI6InVzZXIiLCJzY3AiOiJWaXJ0dWFsRXZlbnQuUmVhZFdyaXRlIn0.x";
    let ran = context
        .run_with(&[("GRAPH_TOKEN", token)], &format!("run people.csv --map id=Ticket {WEBINAR}"))
        .expect(6);
    for words in ["nobody but themselves", "VirtualEventRegistration-Anon.ReadWrite.All"] {
        assert!(ran.stderr.contains(words), "{ran}");
    }
    assert_eq!(context.stats().posts, 0);
}

#[test]
fn every_request_is_one_of_microsofts_description() {
    let Some(folder) = reference() else { return };
    let yaml = std::fs::read_to_string(folder.join("openapi-v1.0-slice.yaml")).expect("it is text");
    let api = OpenApi::parse(&yaml);
    let sent = every_request();
    for sent in &sent {
        api.judge(sent).unwrap_or_else(|why| panic!("{why}: {} {}", sent.method, sent.target));
    }
    let has = |method: &str, end: &str| {
        sent.iter().any(|sent| sent.method == method && sent.target.ends_with(end))
    };
    for (method, end) in [
        ("GET", "/w1%40t1"),
        ("GET", "/registrationConfiguration"),
        ("GET", "/questions"),
        ("GET", "/registrations"),
        ("POST", "/registrations"),
        ("GET", "/sessions"),
    ] {
        assert!(has(method, end), "{method} {end}");
    }
}

#[test]
fn the_body_is_that_of_the_documentations_example() {
    let Some(folder) = reference() else { return };
    let example = folder.join("examples/virtualEventRegistration-post.application.request.json");
    let example: Value =
        serde_json::from_str(&std::fs::read_to_string(example).expect("text")).expect("JSON");
    let sent = every_request();
    let posted = sent.iter().find_map(Sent::json).expect("a POST");
    for member in ["firstName", "lastName", "email", "externalRegistrationInformation"] {
        assert_eq!(posted[member], example[member]);
    }
    let members = |value: &Value| -> Vec<String> {
        value.as_object().expect("an object").keys().cloned().collect()
    };
    assert_eq!(members(&posted), members(&example));
}

/// Every kind of request that a run sends to a webinar.
fn every_request() -> Vec<Sent> {
    let question = Question { required: false, ..Question::text("City") };
    let config = WebinarConfig { questions: vec![question], ..WebinarConfig::default() };
    let mut context = Context::with(Config { page_size: 1, ..webinar(config) });
    let recorder = Recorder::before(&context.graph_url());
    context.call_through(recorder.url());
    context.file(
        "people.csv",
        "Ticket,First name,Last name,Email,City\n\
         myExternalRegistrationId,Diane,Demoss,DianeDemoss@contoso.com,Ghent\n\
         2,Bob,O'Hara,o'hara+2@example.org,\n",
    );
    run(&context, "--map answer:City=City --set referrer=Fabrikam --set preferredTimezone='Pacific Standard Time'")
        .expect(0);
    recorder.sent()
}
