//! What others do between two runs, at the target and in the list.

use http::Method;
use registrant_import::simulator::{Config, EventConfig, RegistrationStatus};

use crate::{context::Context, files};

const RUN: &str = "run people.csv --webinar w1@t1 --settle 100ms --rate 1000/s --ledger the.ledger";

/// So many people as a webinar wants them.
fn guests(n: usize) -> String {
    (0..n).fold("id,first name,last name,email\n".to_owned(), |text, n| {
        text + &format!("T-{n},Ada{n},Byron,ada{n}@example.org\n")
    })
}

fn decide(context: &Context, n: usize, status: RegistrationStatus) {
    assert!(context.simulator().decide("w1@t1", &format!("ada{n}@example.org"), status));
}

/// Who is enrolled, and why the others are not, as the files tell it.
fn told(context: &Context) -> (Vec<String>, Vec<String>) {
    let enrolled = files::enrolled(context, "people.enrolled.csv");
    let rejected = files::rejected(context, "people.rejects.csv");
    (
        enrolled.into_iter().map(|row| row.id).collect(),
        rejected.into_iter().map(|row| format!("{}/{}", row.outcome, row.code)).collect(),
    )
}

#[test]
fn who_was_cancelled_or_rejected_keeps_no_dead_link() {
    let context = Context::new();
    context.file("people.csv", guests(4));
    context.run(RUN).expect(0);
    decide(&context, 1, RegistrationStatus::Canceled);
    decide(&context, 2, RegistrationStatus::RejectedByOrganizer);
    let ended = ["refused/canceled", "refused/rejected-by-organizer"];
    // In the run that sees it, in the next one, and where nobody is asked.
    for run in [RUN, RUN] {
        context.run(run).expect(3);
        let (enrolled, rejected) = told(&context);
        assert_eq!(enrolled, ["T-0", "T-3"]);
        assert_eq!(rejected, ended);
    }
    context.run("export people.csv --ledger the.ledger").expect(3);
    assert_eq!(told(&context).1, ended);
    context.run(&format!("{RUN} --trust-ledger")).expect(3);
    assert_eq!(told(&context).1, ended);
    assert_eq!(context.stats().posts, 4, "whoever has cancelled stays so");
}

#[test]
fn who_registers_again_by_themselves_is_taken_over_with_the_link_that_lives() {
    let context = Context::new();
    context.file("people.csv", guests(2));
    context.run(RUN).expect(0);
    let before = files::enrolled(&context, "people.enrolled.csv");
    decide(&context, 1, RegistrationStatus::Canceled);
    let again = r#"{"firstName":"Ada1","lastName":"Byron","email":"ada1@example.org",
        "preferredTimezone":"UTC","preferredLanguage":"en-us",
        "externalRegistrationInformation":{"registrationId":"by-herself"}}"#;
    for seen_dead in [false, true] {
        if seen_dead {
            decide(&context, 1, RegistrationStatus::Canceled);
            context.run(RUN).expect(3);
        }
        let posts = context.stats().posts;
        context.call(
            &Method::POST,
            "/v1.0/solutions/virtualEvents/webinars/w1@t1/registrations",
            again,
        );
        context.run(RUN).expect(0);
        let rows = files::enrolled(&context, "people.enrolled.csv");
        let books = context.simulator().books().registrants;
        let email = Some("ada1@example.org");
        let lives = books.iter().find(|held| held.email.as_deref() == email).expect("there");
        assert_eq!(Some(&rows[1].link), lives.join_web_url.as_ref());
        assert_ne!(rows[1].link, before[1].link);
        assert_eq!(rows[0].link, before[0].link);
        assert_eq!(context.stats().posts, posts + 1, "their own");
    }
}

#[test]
fn a_registration_that_vanished_was_removed_and_is_not_made_again() {
    let approval = EventConfig { approval: true, ..EventConfig::default() };
    let context = Context::with(Config { event: approval, ..Config::default() });
    context.file("people.csv", guests(2));
    context.run(RUN).expect(4);
    decide(&context, 0, RegistrationStatus::Registered);
    context.run(RUN).expect(4);
    assert_eq!(told(&context), (vec!["T-0".into()], vec!["awaiting/pending-approval".into()]));
    // Both are gone from the list; it may be late until ten minutes are over.
    for n in 0..2 {
        assert!(context.simulator().remove("w1@t1", &format!("ada{n}@example.org")));
    }
    context.run(RUN).expect(4);
    assert_eq!(told(&context).0, ["T-0"]);
    context.age("the.ledger", 11);
    for _ in 0..2 {
        context.run(RUN).expect(3);
        assert_eq!(told(&context), (vec![], vec!["refused/removed-on-server".to_owned(); 2]));
    }
    assert_eq!(context.stats().posts, 2);
}

#[test]
fn who_was_removed_from_a_meeting_keeps_no_dead_link() {
    let context = Context::new();
    context.file("people.csv", guests(5));
    let run = "run people.csv --meeting m1 --ledger the.ledger";
    context.run(run).expect(0);
    let registrants = "/beta/me/onlineMeetings/m1/registration/registrants";
    for id in ["T-1", "T-2"] {
        context.call(&Method::DELETE, &format!("{registrants}/{id}"), "");
    }
    context.run(run).expect(0);
    context.age("the.ledger", 11);
    let gone = ["refused/removed-on-server"; 2];
    for _ in 0..2 {
        context.run(run).expect(3);
        let (enrolled, rejected) = told(&context);
        assert_eq!(enrolled, ["T-0", "T-3", "T-4"]);
        assert_eq!(rejected, gone);
    }
    // Whoever made it anew there holds its link; this ledger's is dead all the same.
    let anew = r##"{"@odata.type":"#microsoft.graph.externalMeetingRegistrant","id":"T-1"}"##;
    context.call(&Method::POST, registrants, anew);
    let stats = context.stats();
    context.run(run).expect(3);
    assert_eq!(told(&context).1, gone);
    let after = context.stats();
    assert_eq!((after.posts, after.deletes), (stats.posts, stats.deletes), "nobody is touched");
}
