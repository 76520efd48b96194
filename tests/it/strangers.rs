//! Ids that come to other people between runs: nobody is given the link that somebody else holds.

use std::{collections::BTreeMap, fmt::Write as _};

use insta::assert_snapshot;
use registrant_import::{
    registrant::Mode,
    simulator::{Config, RegistrationState},
};
use rusqlite::Connection;

use crate::{
    context::{Context, Ran},
    files, people,
};

const RUN: &str = "run people.csv --meeting m1 --ledger l.ledger --keep name,email";

/// A list of these people with these ids; by their number they have a name and an address.
fn list(rows: impl IntoIterator<Item = (String, usize)>) -> String {
    let mut list = "id,name,email\n".to_owned();
    for (id, n) in rows {
        writeln!(list, "{id},Ada Person{n},ada{n}@example.org").expect("a String takes it");
    }
    list
}

/// The same with the rows' numbers for ids.
fn numbered(people: impl IntoIterator<Item = usize>) -> String {
    list(people.into_iter().enumerate().map(|(row, n)| ((row + 1).to_string(), n)))
}

/// Whose each link of the enrolled file is: by the address.
fn links(context: &Context) -> BTreeMap<String, String> {
    let links = files::column(context, "people.enrolled.csv", "joinWebUrl");
    let emails = files::column(context, "people.enrolled.csv", "email");
    links.into_iter().zip(emails).collect()
}

/// Asserts that no link of `before` is somebody else's now.
#[track_caller]
fn keeps_its_own(context: &Context, before: &BTreeMap<String, String>) {
    for (link, owner) in links(context) {
        assert!(
            before.get(&link).is_none_or(|first| *first == owner),
            "{owner} has another's link"
        );
    }
}

/// Runs, and asserts that nothing was posted and both files are as they were.
#[track_caller]
fn stops(context: &Context, words: &str) -> Ran {
    let files = || ["people.enrolled.csv", "people.rejects.csv"].map(|name| context.read(name));
    let (before, posts) = (files(), context.stats().posts);
    let ran = context.run(words).expect(2);
    assert_eq!(context.stats().posts, posts, "{ran}");
    assert_eq!(files(), before, "{ran}");
    assert!(!ran.stderr.contains("example.org") && !ran.stderr.contains("Ada"), "{ran}");
    ran
}

fn codes(context: &Context) -> Vec<String> {
    files::rejected(context, "people.rejects.csv").into_iter().map(|row| row.code).collect()
}

#[test]
fn rows_that_are_numbered_anew_end_the_run() {
    let context = Context::new();
    context.file("people.csv", numbered(0..20));
    let ran = context.run(RUN).expect(0);
    let counter = "the ids in `id` count the rows from 1 to 20";
    assert_eq!(ran.stderr.matches(counter).count(), 1, "{ran}");
    let before = links(&context);
    // Somebody new comes in above.
    context.file("people.csv", numbered([0, 1, 2, 100].into_iter().chain(3..20)));
    let ran = stops(&context, &format!("{RUN} --quiet"));
    assert_snapshot!(ran, @"
    exit 2
    --- stderr
    error: the ids in `id` stand for other people now: 17 of 20 rows tell somebody else than their id was enrolled for (the first is line 5), and 17 of them have changed places; nothing was posted and the files are as they were, for these people would get each other's links. Take ids that stay with a person (--map id=COLUMN; a row's number does not); if they are the same people, run once with --trust-ids
    ");
    stops(&context, "export people.csv --ledger l.ledger --keep name,email");
    assert_eq!(links(&context), before);
    // The operator knows better.
    context.run(&format!("{RUN} --trust-ids")).expect(0);
    assert_eq!(links(&context).len(), 21);
    context.run(RUN).expect(0);
    context.run("export people.csv --ledger l.ledger --keep name,email").expect(0);
}

#[test]
fn people_are_known_whatever_their_columns_are_called() {
    const HEADINGS: [(&str, &str); 13] = [
        ("Teilnehmer", "Mailadresse"),
        ("Teilnehmende Person", "Kontakt"),
        ("Asistente", "Correo"),
        ("Deelnemer", "Mailadres"),
        ("Participant·e", "Adresse électronique"),
        ("Deltagare", "E-postadress"),
        ("Partecipante", "Posta elettronica"),
        ("Uczestnik", "Adres poczty"),
        ("姓名", "邮箱"),
        ("참가자", "이메일"),
        ("Участник", "Почта"),
        ("Osallistuja", "Sähköposti"),
        ("Katılımcı", "E-posta"),
    ];
    let list = |nth: usize, by: usize| {
        let (name, address) = HEADINGS[nth];
        let mut list = format!("Status,id,{name},{address},Datum\n");
        for n in 0..30 {
            let id = (n + by) % 30;
            writeln!(
                list,
                "ok,p{nth}-{id:02},Ada Person{n},ada{n}@example.org,2026-05-{:02}",
                n / 2 + 1
            )
            .expect("a String takes it");
        }
        list
    };
    let context = Context::new();
    for (nth, headings) in HEADINGS.into_iter().enumerate() {
        context.file("people.csv", list(nth, 0));
        let run = format!("run people.csv --meeting m1 --ledger {nth}.ledger");
        context.run(&run).expect(0);
        context.file("people.csv", list(nth, 1));
        let ran = context.run(&run);
        assert_eq!(ran.code, Some(2), "{headings:?}: {ran}");
        assert!(ran.stderr.contains("stand for other people now"), "{headings:?}: {ran}");
    }
}

#[test]
fn a_list_that_tells_nobody_apart_says_so_once() {
    let context = Context::new();
    context.file("people.csv", "id,seat\na1,7\na2,8\n");
    let told = "ids that come to other people cannot be noticed";
    for line in ["check people.csv", "run people.csv --meeting m1 --ledger l.ledger"] {
        let ran = context.run(line).expect(0);
        assert_eq!(ran.stderr.matches(told).count(), 1, "{ran}");
    }
}

#[test]
fn a_run_that_comes_to_no_plan_looks_before_it_writes_its_files() {
    let context = Context::new();
    context.file("people.csv", numbered(0..20));
    context.run(RUN).expect(0);
    let before = links(&context);
    context.run("registration disable --meeting m1").expect(0);
    context.run(RUN).expect(6);
    assert_eq!(links(&context), before, "the links are dead, and each is its own");
    context.file("people.csv", numbered([99].into_iter().chain(0..20)));
    let ran = stops(&context, RUN);
    for told in ["switched off", "stand for other people now"] {
        assert!(ran.stderr.contains(told), "{ran}");
    }
    let ran = context.run("status --ledger l.ledger").expect(0);
    assert!(ran.stdout.contains("exit 2"), "its end is on record: {ran}");
}

#[test]
fn in_a_short_list_each_row_is_refused_by_itself() {
    let context = Context::new();
    context.file("people.csv", numbered(0..5));
    context.run(RUN).expect(0);
    let before = links(&context);
    context.file("people.csv", numbered([0, 1, 50, 2, 3, 4]));
    let ran = context.run(RUN).expect(3);
    keeps_its_own(&context, &before);
    assert_eq!(links(&context).len(), 3, "two stay, and one is new: {ran}");
    assert_eq!(codes(&context), ["changed-since-enrolled"; 3]);
    let reasons = files::column(&context, "people.rejects.csv", "_reason");
    assert!(reasons[0].contains("another name and another e-mail address"), "{reasons:?}");
    // The rows that were refused are so again, alone too.
    std::fs::copy(context.path("people.rejects.csv"), context.path("again.csv")).expect("copies");
    context.run("run again.csv --meeting m1 --ledger l.ledger").expect(3);
    context.file("people.csv", numbered(0..5));
    context.run(RUN).expect(0);
    keeps_its_own(&context, &before);
}

#[test]
fn one_half_alone_is_a_correction_unless_people_changed_places() {
    let context = Context::new();
    let file = |rows: &str| context.file("people.csv", format!("id,name,email\n{rows}"));
    file("a,Ada King,ada@x.org\nb,Bob King,kings@x.org\nc,Cleo King,kings@x.org\n");
    context.run(RUN).expect(0);
    let first = files::enrolled(&context, "people.enrolled.csv");
    // Married, and a new address: one after the other.
    file("a,Ada Lovelace,ada@x.org\nb,Bob King,kings@x.org\nc,Cleo King,kings@x.org\n");
    context.run(RUN).expect(0);
    file("a,LOVELACE Ada,ada@y.org\nb,Bob King,kings@x.org\nc,Cleo King,kings@x.org\n");
    let ran = context.run(RUN).expect(0);
    assert!(!ran.stderr.contains("warning"), "{ran}");
    let now = files::enrolled(&context, "people.enrolled.csv");
    assert!(now.iter().map(|row| &row.link).eq(first.iter().map(|row| &row.link)));
    // The couple, who share an address, have changed places.
    file("a,Ada Lovelace,ada@y.org\nb,Cleo King,kings@x.org\nc,Bob King,kings@x.org\n");
    context.run(RUN).expect(3);
    assert_eq!(codes(&context), ["changed-since-enrolled"; 2]);
    // Known by the name alone, and that has changed.
    context.file("people.csv", "id,name\na,Ada Byron\nb,Bob King\nc,Cleo King\n");
    let run = "run people.csv --meeting m1 --ledger l.ledger";
    context.run(run).expect(3);
    assert_eq!(codes(&context), ["changed-since-enrolled"]);
    let reasons = files::column(&context, "people.rejects.csv", "_reason");
    assert!(reasons[0].contains("tells nothing else of the person"), "{reasons:?}");
    context.run(&format!("{run} --trust-ids")).expect(0);
    context.run(run).expect(0);
}

#[test]
fn a_short_list_of_names_that_was_replaced_gets_no_links() {
    let context = Context::new();
    let run = "run people.csv --meeting m1 --ledger l.ledger";
    context.file("people.csv", "id,name\n1,Ada\n2,Bob\n3,Cleo\n");
    context.run(run).expect(0);
    context.file("people.csv", "id,name\n1,Xenia\n2,Yves\n3,Zoe\n4,Wim\n");
    context.run(run).expect(3);
    let ids: Vec<_> = files::enrolled(&context, "people.enrolled.csv");
    assert_eq!(ids.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["4"]);
    assert_eq!(codes(&context), ["changed-since-enrolled"; 3]);
    context.run(&format!("{run} --trust-ids")).expect(0);
    context.run(run).expect(0);
}

#[test]
fn of_two_rows_with_one_id_the_first_one_enrolled_keeps_the_link() {
    let context = Context::new();
    let file = |rows: [&str; 3]| {
        context.file("people.csv", format!("id,name,email,seat\n{}\n", rows.join("\n")));
    };
    // Two people behind one id, and a couple behind one address, which is its id.
    let (ada, bob, cleo) = ("k-1,Ada,ada@x.org,1", "k-1,Bob,bob@x.org,2", "z-1,Cleo,cleo@x.org,3");
    let run = "run people.csv --meeting m1 --ledger l.ledger --keep name,email";
    file([ada, cleo, bob]);
    context.run(run).expect(3);
    let before = links(&context);
    for rows in [[bob, cleo, ada], [cleo, bob, ada], [bob, ada, cleo], [ada, bob, cleo]] {
        file(rows);
        let ran = context.run(run).expect(3);
        assert_eq!(links(&context), before, "{ran}");
        assert_eq!(codes(&context), ["duplicate-id"], "{ran}");
    }
    // Without Ada it is still her link.
    file([bob, cleo, cleo]);
    context.run(run).expect(3);
    keeps_its_own(&context, &before);
    assert_eq!(codes(&context), ["changed-since-enrolled"]);

    let context = Context::new();
    let (ann, ben) = ("the.smiths@x.org,Ann Smith", "the.smiths@x.org,Ben Smith");
    let run = "run people.csv --meeting m1 --ledger l.ledger --map id=email --keep name,email";
    let file =
        |rows: [&str; 2]| context.file("people.csv", format!("email,name\n{}\n", rows.join("\n")));
    file([ann, ben]);
    context.run(run).expect(3);
    let names = || files::column(&context, "people.enrolled.csv", "name");
    assert_eq!(names(), ["Ann Smith"]);
    file([ben, ann]);
    context.run(run).expect(3);
    assert_eq!(names(), ["Ann Smith"]);
    context.run("export people.csv --ledger l.ledger --map id=email --keep name,email").expect(3);
    assert_eq!(names(), ["Ann Smith"]);
}

#[test]
fn another_id_column_ends_the_run() {
    let context = Context::new();
    let ids = |prefix: &str| list((0..12).map(|n| (format!("{prefix}-{}", n * 7), n)));
    context.file("people.csv", ids("ticket"));
    context.run(RUN).expect(0);
    context.file("people.csv", ids("order"));
    let ran = stops(&context, &format!("{RUN} --quiet"));
    assert_snapshot!(ran, @"
    exit 2
    --- stderr
    error: the ids in `id` are not those of earlier runs: none of them are known, and 12 of 12 rows with a new id tell people who are enrolled under another one (the first is line 2); nothing was posted and the files are as they were, for these people are enrolled already. Take the former ids (--map id=COLUMN, --id-prefix TEXT); if they are to be enrolled anew, run once with --trust-ids
    ");
    // The same ids with something before them.
    context.file("people.csv", ids("ticket"));
    stops(&context, &format!("{RUN} --id-prefix 2026-"));
    context.run(RUN).expect(0);
    context.file("people.csv", ids("order"));
    context.run_with(&[("REGISTRANT_IMPORT_TRUST_IDS", "true")], RUN).expect(0);
    assert_eq!(context.stats().enrolled, 24);
}

#[test]
fn a_second_list_of_other_people_goes_on_without_a_word() {
    let context = Context::new();
    context.file("people.csv", list((0..30).map(|n| (format!("a-{}", n * 7), n))));
    context.run(RUN).expect(0);
    context.file("people.csv", list((30..60).map(|n| (format!("b-{}", n * 7), n))));
    let ran = context.run(RUN).expect(0);
    assert!(!ran.stderr.contains("warning"), "{ran}");
    // Both at once, and the second one has grown.
    let both = |to| (0..30).map(|n| ("a", n)).chain((30..to).map(|n| ("b", n)));
    let both = |to| list(both(to).map(|(list, n)| (format!("{list}-{}", n * 7), n)));
    context.file("people.csv", both(90));
    let ran = context.run(RUN).expect(0);
    assert!(!ran.stderr.contains("warning"), "{ran}");
    assert_eq!(context.stats().enrolled, 90);
    // Who is on the second list with an id of its own has another link, and that is said.
    context.file("people.csv", list((28..60).map(|n| (format!("b-{}", n * 7), n))));
    let ran = context.run(RUN).expect(0);
    assert_snapshot!(ran.stderr.lines().find(|line| line.contains("warning")).unwrap_or_default(), @"warning: 2 rows with a new id tell people who are enrolled under an id that the list no longer has (the first is line 2) and are enrolled once more");
    assert_eq!(context.stats().enrolled, 92);
}

/// Makes a ledger what the first version of the program left.
fn make_old(context: &Context) {
    let ledger = Connection::open(context.path("l.ledger")).expect("a database");
    ledger
        .execute_batch(
            "DROP VIEW enrolled; CREATE VIEW enrolled AS SELECT id FROM registrant WHERE state = 3;
             DROP TABLE list; DROP TABLE absence; DROP TABLE cancellation; DROP TABLE held;
             ALTER TABLE registrant DROP COLUMN person; DROP TABLE person_key;
             PRAGMA user_version = 1",
        )
        .expect("an old ledger");
}

#[test]
fn an_old_ledger_learns_whom_it_has() {
    let context = Context::new();
    let ids = (1..=12).fold("id\n".to_owned(), |ids, n| format!("{ids}{n}\n"));
    context.file("people.csv", ids);
    context.run("run people.csv --meeting m1 --ledger l.ledger").expect(0);
    make_old(&context);
    // To look at it changes nothing.
    let old = std::fs::read(context.path("l.ledger")).expect("reads");
    context.run("status --ledger l.ledger").expect(0);
    context.run("explain 3 --ledger l.ledger").expect(0);
    context.run("run people.csv --meeting m2 --ledger l.ledger").expect(2);
    assert_eq!(std::fs::read(context.path("l.ledger")).expect("reads"), old);
    context.file("people.csv", numbered(0..12));
    let ran = context.run(RUN).expect(0);
    assert!(ran.stdout.contains("all of them before this run"), "{ran}");
    let before = links(&context);
    context.run(RUN).expect(0);
    context.file("people.csv", numbered([99].into_iter().chain(0..12)));
    stops(&context, RUN);
    keeps_its_own(&context, &before);
}

#[test]
fn the_ledger_holds_no_name_and_no_address() {
    let context = Context::new();
    context.file("people.csv", "id,name,email\na,Zaphod Beeblebrox,zaphod@magrathea.org\n");
    context.run(RUN).expect(0);
    let ledger = std::fs::read(context.path("l.ledger")).expect("reads").to_ascii_lowercase();
    for word in ["zaphod", "beeblebrox", "magrathea"] {
        assert!(memchr::memmem::find(&ledger, word.as_bytes()).is_none(), "{word}");
    }
    // The same person has another mark in another ledger.
    context.run(&RUN.replace("l.ledger", "m.ledger").replace("m1", "m2"));
    let mark = |name: &str| -> i64 {
        let ledger = Connection::open(context.path(name)).expect("a database");
        let mark = ledger.query_row("SELECT person FROM registrant", [], |row| row.get(0));
        mark.expect("a mark")
    };
    assert_ne!(mark("l.ledger"), mark("m.ledger"));
}

#[test]
fn an_entra_user_is_told_by_their_id_and_not_by_a_name() {
    let context = Context::with(Config {
        registration: RegistrationState::External(Mode::Organization),
        ..Config::default()
    });
    let row = |id: &str, user: usize, name: &str| {
        format!("{id},{},{},{name},{name}@x.org\n", people::guid(1), people::guid(user))
    };
    let file = |rows: [String; 2]| {
        context.file("people.csv", format!("id,tenantId,userId,name,email\n{}", rows.concat()));
    };
    file([row("a", 5, "ada"), row("b", 6, "bob")]);
    context.run(RUN).expect(0);
    file([row("a", 5, "augusta"), row("b", 6, "bob")]);
    context.run(RUN).expect(0);
    // One id twice: it is its user's.
    file([row("b", 5, "bob"), row("b", 6, "robert")]);
    context.run(RUN).expect(3);
    assert_eq!(files::column(&context, "people.enrolled.csv", "name"), ["robert"]);
    assert_eq!(codes(&context), ["duplicate-id"]);
}

#[test]
fn a_webinars_people_keep_their_ids() {
    let context = Context::new();
    let run = "run people.csv --webinar w1 --ledger l.ledger --keep email";
    let list = |rows: &[(&str, usize)]| {
        let mut list = "id,firstName,lastName,email\n".to_owned();
        for (id, n) in rows {
            writeln!(list, "{id},Ada,Person{n},ada{n}@example.org").expect("a String takes it");
        }
        context.file("people.csv", list);
    };
    list(&[("k", 1), ("z", 2), ("k", 3)]);
    context.run(run).expect(3);
    let before = links(&context);
    list(&[("k", 3), ("z", 2), ("k", 1)]);
    let ran = context.run(run).expect(3);
    assert_eq!(links(&context), before, "{ran}");
    assert_eq!(codes(&context), ["duplicate-id"]);

    let ids: Vec<String> = (0..12).map(|n| format!("new-{}", n * 3)).collect();
    let rows: Vec<(&str, usize)> = ids.iter().map(String::as_str).zip(10..).collect();
    list(&rows);
    context.run(run).expect(0);
    let ids: Vec<String> = (0..12).map(|n| format!("other-{}", n * 3)).collect();
    let rows: Vec<(&str, usize)> = ids.iter().map(String::as_str).zip(10..).collect();
    list(&rows);
    let ran = stops(&context, run);
    assert!(ran.stderr.contains("are not those of earlier runs"), "{ran}");
}
