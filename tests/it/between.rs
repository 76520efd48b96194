//! What others do between two runs, at the target and in the list.

use http::Method;
use registrant_import::simulator::{
    Config, EventConfig, EventQuestion, QuestionKind, RegistrationStatus,
};

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

#[test]
fn another_spelling_of_the_same_is_no_change() {
    let context = Context::new();
    let list = |text: &str| context.file("people.csv", text);
    list(
        "id,first name,last name,email\n1,Zoe\u{308},Byron,ada@Example.ORG\n2,Bob,Cole,bob@x.org\n",
    );
    context.run(RUN).expect(0);
    // Composed, and in other letters of the address.
    list(
        "id,first name,last name,email\n1,Zo\u{eb},Byron,Ada@example.org\n2,Bob,Cole,BOB@X.ORG \n",
    );
    let same = context.summary(&format!("{RUN} --set preferredTimezone=UTC"));
    assert_eq!((same["already"].as_u64(), same["changed"].as_u64()), (Some(2), Some(0)));
    // The wrong way round, and in another zone: their links stay.
    list("id,last name,first name,email\n1,Zo\u{eb},Byron,ada@example.org\n2,Bob,Cole,bob@x.org\n");
    let ran = context.run(&format!("{RUN} --set preferredTimezone=GMT --metrics m.prom --json"));
    let told = ran.json();
    assert_eq!((told["already"].as_u64(), told["changed"].as_u64()), (Some(2), Some(2)));
    assert_eq!(told["exitCode"], 0);
    assert!(ran.stderr.contains("2 people's details differ from what Teams has"), "{ran}");
    assert!(context.read("m.prom").contains("_last_run_people_changed{ledger=\"the.ledger\"} 2"));
    let ran = context.run(RUN).expect(0);
    assert!(ran.stdout.contains("2 people's details differ"), "{ran}");
    // Another address is another person's, as far as a webinar can tell.
    list("id,first name,last name,email\n1,Zo\u{eb},Byron,eve@example.org\n2,Bob,Cole,bob@x.org\n");
    context.run(RUN).expect(3);
    assert_eq!(told_codes(&context), ["refused/changed-since-enrolled"]);
    assert_eq!(context.stats().posts, 2);
}

fn told_codes(context: &Context) -> Vec<String> {
    told(context).1
}

#[test]
fn many_other_addresses_are_another_column_and_touch_nothing() {
    let context = Context::new();
    context.file("people.csv", guests(40));
    context.run(RUN).expect(0);
    let before = context.files();
    let brake = |people: usize, options: &str, code| {
        let list = guests(people);
        let mut lines: Vec<String> = list.lines().map(str::to_owned).collect();
        for line in &mut lines[1..=10] {
            *line = line.replace("ada", "office");
        }
        context.file("people.csv", lines.join("\n"));
        context.run(&format!("{RUN} {options}")).expect(code)
    };
    let ran = brake(40, "", 2);
    let told = "error: `email` gives 10 of 40 rows another email than their ids in `id` were enrolled with (the first is line 2); nothing was posted and the files are as they were. Take the former column (--map email=COLUMN, --map id=COLUMN)";
    assert!(ran.stderr.contains(told), "{ran}");
    for name in ["people.enrolled.csv", "people.rejects.csv"] {
        let then = before.iter().find(|(file, _)| file == name).expect("written");
        assert_eq!(context.read(name).as_bytes(), then.1, "{name} is untouched");
    }
    // They are refused one by one where somebody says so, or where they are few of many.
    brake(40, "--trust-ids", 3);
    assert_eq!(told_codes(&context).len(), 10);
    brake(60, "", 3);
    assert_eq!(told_codes(&context).len(), 10);
}

#[test]
fn a_question_that_was_added_is_asked_of_new_people_only() {
    let context = Context::new();
    context.file("people.csv", guests(2));
    context.run(RUN).expect(0);
    let city = EventQuestion {
        required: true,
        kind: QuestionKind::SingleChoice(vec!["Ghent".into(), "London".into()]),
        ..EventQuestion::text("City")
    };
    context.simulator().ask(city);
    // Nobody new: nobody has to answer.
    context.run(RUN).expect(0);
    context.file("people.csv", guests(3));
    let ran = context.run(RUN).expect(2);
    assert!(ran.stderr.contains("the event requires an answer to `City`"), "{ran}");
    let list = "id,first name,last name,email,city\n\
                T-0,Ada0,Byron,ada0@example.org,\n\
                T-1,Ada1,Byron,ada1@example.org,Paris\n\
                T-2,Ada2,Byron,ada2@example.org,ghent\n\
                T-3,Ada3,Byron,ada3@example.org,\n";
    context.file("people.csv", list);
    let run = format!("{RUN} --map answer:City=city");
    context.run(&run).expect(3);
    let (enrolled, rejected) = told(&context);
    assert_eq!(enrolled, ["T-0", "T-1", "T-2"]);
    assert_eq!(rejected, ["invalid/missing-answer"]);
    let again = context.summary(&run);
    assert_eq!((again["already"].as_u64(), again["changed"].as_u64()), (Some(3), Some(1)));
    assert_eq!(context.stats().posts, 3);
}

#[test]
fn who_is_no_longer_in_the_list_is_told_and_counted() {
    let context = Context::new();
    context.file("people.csv", guests(6));
    context.run(RUN).expect(0);
    // One is left out by a filter and one is invalid: the list names them all the same.
    let list = guests(3).replace("T-1,Ada1", "T-1,") + "T-5,No,Byron,ada5@example.org\n";
    context.file("people.csv", list);
    let run = format!("{RUN} --where 'first name=Ada0,Ada2,' --metrics m.prom --report r.html");
    let ran = context.run(&run).expect(3);
    assert!(
        ran.stdout.contains("2 people are no longer in the list, and still registered"),
        "{ran}"
    );
    assert!(context.read("m.prom").contains("_last_run_people_missing{ledger=\"the.ledger\"} 2"));
    assert!(context.read("r.html").contains("2 people are no longer in the list"));
    assert_eq!(context.summary(&run)["missing"], 2);
    // The rows of a rejects file are not the list.
    let rejects = context.summary(&RUN.replace("people.csv", "people.rejects.csv"));
    assert_eq!(rejects["missing"], 0);
}

#[test]
fn nobody_left_is_no_success() {
    let context = Context::new();
    context.file("people.csv", guests(4));
    context.run(RUN).expect(0);
    let files = || ["people.enrolled.csv", "people.rejects.csv"].map(|name| context.read(name));
    let before = files();
    let run = format!("{RUN} --where 'first name=VIP'");
    let ran = context.run(&run).expect(2);
    let told = "error: nobody is left: --where 'first name=VIP' matches none of 4 rows; check the filter, or add --allow-empty";
    assert!(ran.stderr.contains(told), "{ran}");
    assert_eq!(files(), before);
    context.file("people.csv", "id,first name,last name,email\n");
    let ran = context.run(RUN).expect(2);
    assert!(ran.stderr.contains("or add --allow-empty"), "{ran}");
    assert_eq!(files(), before);
    let told = context.summary(&format!("{RUN} --allow-empty"));
    assert_eq!(
        (&told["read"], &told["missing"], &told["exitCode"]),
        (&0.into(), &4.into(), &0.into())
    );
    context.file("people.csv", guests(4));
    let told = context.summary(&format!("{run} --allow-empty"));
    assert_eq!((&told["excluded"], &told["exitCode"]), (&4.into(), &0.into()));
}

#[test]
fn another_spelling_of_the_target_is_the_same_ledger() {
    let context = Context::new();
    context.file("people.csv", guests(3));
    let ledgers = || {
        let files = context.files();
        files.iter().filter(|(name, _)| name.ends_with(".ledger")).count()
    };
    let meeting = "run people.csv --meeting Ab1 --organizer";
    context.run(&format!("{meeting} Ada@Example.org")).expect(0);
    let told = context.summary(&format!("{meeting} ada@example.ORG"));
    assert_eq!((&told["already"], ledgers()), (&3.into(), 1));
    let webinar = "run people.csv --rate 1000/s --settle 100ms --webinar";
    context.run(&format!("{webinar} Ab-1@Cd-2")).expect(0);
    let told = context.summary(&format!("{webinar} AB-1@cd-2"));
    assert_eq!((&told["already"], ledgers()), (&3.into(), 2));
    // An organizer's two names cannot be told to be one: --ledger decides.
    let by_id = format!("{meeting} {}", crate::people::guid(7));
    let before = context.read("people.enrolled.csv");
    let ran = context.run(&by_id).expect(2);
    assert!(ran.stderr.contains("/state/registrant-import/meeting-Ab1-"), "{ran}");
    assert_eq!((context.read("people.enrolled.csv"), ledgers()), (before, 2));
    let files = context.files();
    let names = files.iter().map(|(name, _)| name);
    let mut own = names.filter(|name| name.contains("meeting-Ab1-") && name.ends_with(".ledger"));
    let ledger = own.next().expect("it is there");
    let told = context.summary(&format!("{by_id} --ledger {ledger}"));
    assert_eq!(told["already"], 3);
    // A meeting's id counts to the letter.
    context.run("run people.csv --meeting aB1 --organizer ada@example.org").expect(0);
    assert_eq!(ledgers(), 3);
}
