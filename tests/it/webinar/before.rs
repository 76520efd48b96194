//! What a run finds out before anybody is posted.

use insta::assert_snapshot;
use registrant_import::{
    registrant::Mode,
    simulator::{
        ApiRefusal, Caller, Config, EventCall, EventConfig, EventQuestion, EventStatus,
        QuestionKind,
    },
};

use super::{WEBINAR, guests, run, webinar};
use crate::context::Context;

#[test]
fn what_a_webinar_asks_is_held_against_the_columns_before_anybody_is_posted() {
    let question = |words: &str, required, kind| EventQuestion {
        required,
        kind,
        ..EventQuestion::text(words)
    };
    let context = Context::with(webinar(EventConfig {
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
        ..EventConfig::default()
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
    error: the event requires an answer to `Job title` and `Your city`; give each a column: --map 'answer:Job title=COLUMN' --map 'answer:Your city=COLUMN'
    ");
    assert_snapshot!(run(&context, "--map 'answer:Job title=Job' --map answer:Cit=City"), @"
    exit 2
    --- stderr
    the webinar's audience: everyone
    error: the event asks no question `Cit`; it asks `Job title` (required), `Your city` (required), `Topics`, `Again?`
    ");
    assert_eq!(context.stats().posts, 0);
    let all = "--map 'answer:Job title=Job' --map 'answer:your city=City' --map answer:Topics=Topics --map answer:Again?=Again";
    assert_snapshot!(run(&context, all), @"
    exit 3
    --- stdout
    3 rows read:
            1  enrolled
            2  invalid        the file's fault
            1  missing-answer         invalid       3
            1  bad-answer             invalid       4
    files     people.enrolled.csv, people.rejects.csv, webinar-w1-t1
    next      mend the 2 rows in the rejects file and run it as it is: `_reason`
              says why, and nobody is enrolled twice
    --- stderr
    the webinar's audience: everyone
    1 new registrant, 2 invalid; at [rate] all go at once
    warning: Teams mails everybody whom it registers: 1 person; to prevent it, the event's isAttendeeEmailNotificationEnabled must be false
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
        (EventConfig { status: EventStatus::Draft, ..EventConfig::default() }, 6, "publish"),
        (EventConfig { status: EventStatus::Canceled, ..EventConfig::default() }, 6, "cancelled"),
        (EventConfig { audience: Mode::Organization, ..EventConfig::default() }, 6, "organization"),
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
        Context::with(Config { refuse: Some(ApiRefusal::AccessPolicy), ..Config::default() });
    context.file("people.csv", guests(3));
    let ran = run(&context, "").expect(6);
    assert!(ran.stderr.contains("New-CsApplicationAccessPolicy"), "{ran}");
    assert!(ran.stderr.contains("Grant-CsApplicationAccessPolicy"), "{ran}");
}

#[test]
fn what_awaits_people_is_said_before_they_are_registered() {
    let context = Context::with(webinar(EventConfig {
        capacity: Some(2),
        approval: true,
        ..EventConfig::default()
    }));
    context.file("people.csv", guests(3));
    let ran = run(&context, "").expect(2);
    for words in ["3 people are to be registered", "2 places left", "--over-capacity"] {
        assert!(ran.stderr.contains(words), "{words}: {ran}");
    }
    assert_eq!((context.stats().posts, context.has("people.enrolled.csv")), (0, false));
    let ran = run(&context, "--over-capacity");
    for words in ["Teams mails everybody", "3 people", "by hand", "takes 2 people and holds 0"] {
        assert!(ran.stderr.contains(words), "{words}: {ran}");
    }
    let silent = EventConfig { mails: false, ..EventConfig::default() };
    let context = Context::with(webinar(silent));
    context.file("people.csv", guests(3));
    assert!(!run(&context, "").expect(0).stderr.contains("mails"));
}

#[test]
fn where_the_configuration_may_not_be_read_the_run_goes_on() {
    let forbid = vec![EventCall::Configuration];
    let context = Context::with(Config { forbid, ..Config::default() });
    context.file("people.csv", guests(3));
    let ran = run(&context, "").expect(0);
    assert!(ran.stderr.contains("how many places the event has is not known"), "{ran}");
}

#[test]
fn a_persons_token_registers_nobody() {
    let context =
        Context::with(webinar(EventConfig { caller: Caller::Delegated, ..EventConfig::default() }));
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
