//! Links that no ledger knows any more: the file that holds them is not lost with its name.

use std::{os::unix::fs::PermissionsExt as _, time::Duration};

use registrant_import::simulator::{Config, SecondPost};

use crate::{
    context::Context,
    files,
    people::{crowd, id},
};

const RUN: &str = "run people.csv --meeting m1 --ledger l.ledger";

/// Three people who are enrolled.
fn imported() -> Context {
    // A second POST of one id gets no link.
    let second_post = SecondPost::Conflict;
    let context = Context::with(Config { second_post, ..Config::default() });
    context.file("people.csv", crowd(3));
    context.run(RUN).expect(0);
    context
}

fn lose_the_ledger(context: &Context) {
    for name in ["l.ledger", "l.ledger.lock"] {
        std::fs::remove_file(context.path(name)).expect("it was there");
    }
}

/// The files that were kept, by name.
fn kept(context: &Context) -> Vec<String> {
    let names = std::fs::read_dir(context.path(".")).expect("lists");
    let names = names.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| name.contains(".kept-"));
    names.sort();
    names
}

#[test]
fn a_lost_ledger_does_not_cost_the_links_that_the_file_holds() {
    let context = imported();
    let before = context.read("people.enrolled.csv");
    context.run(RUN).expect(0);
    assert_eq!(kept(&context), [""; 0], "the ledger knows all of them");
    let held = context.read("people.enrolled.csv");
    lose_the_ledger(&context);
    let ran = context.run(&format!("{RUN} --json")).expect(3);
    assert_eq!(files::enrolled(&context, "people.enrolled.csv").len(), 0);
    let names = kept(&context);
    let [name] = names.as_slice() else { panic!("{names:?}") };
    assert!(name.starts_with("people.enrolled.kept-") && name.ends_with("Z.csv"), "{name}");
    assert_eq!(context.read(name), held);
    assert_ne!(before, held, "`already` took the place of `enrolled`");
    let mode = std::fs::metadata(context.path(name)).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let told = format!(
        "warning: people.enrolled.csv held links that this ledger does not know; it is kept as {name}"
    );
    assert!(ran.stderr.contains(&told), "{ran}");
    assert_eq!(ran.json()["files"]["kept"], name.as_str());
    // Once is enough.
    context.run(RUN).expect(3);
    assert_eq!(kept(&context), names);
}

#[test]
fn nor_does_another_meeting_or_an_export_from_another_ledger() {
    let context = imported();
    let held = context.read("people.enrolled.csv");
    context.run("run people.csv --meeting other --ledger other.ledger");
    let names = kept(&context);
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(context.read(&names[0]), held);

    let context = imported();
    let held = context.read("people.enrolled.csv");
    context.file("one.csv", "id\nsomebody\n");
    context.run("run one.csv --meeting m1 --ledger one.ledger").expect(0);
    let ran = context.run("export one.csv --ledger one.ledger --output people.enrolled.csv");
    let names = kept(&context);
    assert_eq!(names.len(), 1, "{names:?}: {ran}");
    assert_eq!(context.read(&names[0]), held);
    assert!(ran.stdout.contains(&format!("kept      {}", names[0])), "{ran}");
}

#[test]
fn a_ledger_from_a_backup_does_not_cost_the_links_since() {
    let context = imported();
    std::fs::copy(context.path("l.ledger"), context.path("backup")).expect("copies");
    context.file("people.csv", crowd(5));
    // The files are told from the backup's by their time.
    std::thread::sleep(Duration::from_millis(50));
    context.run(RUN).expect(0);
    let held = context.read("people.enrolled.csv");
    assert!(held.contains(&id(4)));
    std::fs::copy(context.path("backup"), context.path("l.ledger")).expect("copies");
    context.run(RUN).expect(3);
    let names = kept(&context);
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(context.read(&names[0]), held);
}

#[test]
fn a_file_that_the_ledger_knows_is_not_kept_whatever_its_time() {
    let context = imported();
    let held = context.read("people.enrolled.csv");
    std::thread::sleep(Duration::from_millis(50));
    context.file("people.enrolled.csv", format!("\u{FEFF}{}", held.replace(',', ";")));
    context.run(RUN).expect(0);
    context.run("export people.csv --ledger l.ledger").expect(0);
    context.run(RUN).expect(0);
    assert_eq!(kept(&context), [""; 0]);
}

const REAL: &str = "id,joinWebUrl,registrantId,status\r\np-00000,https://teams.microsoft.com/l/meetup-join/19%3ameeting_NzU1/0,,enrolled\r\n";

#[test]
fn a_rehearsal_knows_real_links_in_whatever_form_and_place() {
    let context = Context::offline();
    context.file("people.csv", crowd(1));
    let by_excel = format!("\u{FEFF}{}", REAL.replace(',', ";"));
    let wide: Vec<u8> = by_excel.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for real in [REAL.as_bytes(), by_excel.as_bytes(), &wide] {
        for (option, words) in [
            ("--output", "rehearse people.csv --output real.csv"),
            ("--rejects", "rehearse people.csv --rejects real.csv"),
        ] {
            context.file("real.csv", real);
            let ran = context.run(words).expect(2);
            let told = "error: real.csv holds real join links, and a rehearsal would replace them";
            assert!(ran.stderr.starts_with(told) && ran.stderr.contains(option), "{ran}");
            assert_eq!(std::fs::read(context.path("real.csv")).expect("reads"), real);
        }
    }
}

#[test]
fn a_rehearsal_spares_the_rejects_of_a_real_run_and_not_its_own() {
    let context = Context::offline();
    context.file("people.csv", format!("{},nobody\n", crowd(1)));
    for _ in 0..2 {
        context.run("rehearse people.csv").expect(3);
    }
    let rejects = "id,name,_line,_outcome,_code,_reason\n,nobody,3,invalid,missing-id,none\n";
    context.file("people.rejects.csv", rejects);
    context.file("people.enrolled.csv", REAL);
    for words in [
        "rehearse people.csv --output rehearsed.csv",
        "rehearse people.csv --output rehearsed.csv --rejects people.rejects.csv",
    ] {
        let ran = context.run(words).expect(2);
        let told = "error: people.rejects.csv holds the rejected rows of the run that wrote people.enrolled.csv";
        assert!(ran.stderr.starts_with(told), "{ran}");
        assert_eq!(context.read("people.rejects.csv"), rejects);
    }
    context
        .run("rehearse people.csv --output rehearsed.csv --rejects rehearsed.rejects.csv")
        .expect(3);
    // A header alone holds nobody.
    context.file("people.rejects.csv", "id,name,_line,_outcome,_code,_reason\n");
    context.run("rehearse people.csv --output rehearsed.csv").expect(3);
}
