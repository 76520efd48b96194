//! A run that finds nothing to do: its files are drafted while it plans, and must be those that the
//! ledger has to show.

use std::fmt::Write as _;

use registrant_import::{
    registrant::Mode,
    simulator::{Config, RegistrationState},
};

use crate::{
    context::Context,
    files,
    people::{crowd, guid, id},
};

/// So many that the ledger is read ahead by another thread.
const MANY: usize = 2_000;

/// Runs once more, and holds its files against those that `export` makes of the ledger.
fn holds_what_the_ledger_holds(context: &Context, run: &str, export: &str) {
    let posts = context.stats().posts;
    let again = context.run(run);
    assert_eq!(context.stats().posts, posts, "nobody is posted: {again}");
    let mut files = Vec::new();
    for name in ["people.enrolled.csv", "people.rejects.csv"] {
        assert_eq!(context.mode(name), 0o600, "{name}");
        files.push(context.read(name));
    }
    context.run(&format!("export {export} --output exported.csv --rejects exported.rejects.csv"));
    assert!(files[0] == context.read("exported.csv"), "the enrolled file");
    assert_eq!(files[1], context.read("exported.rejects.csv"));
    no_half_of_a_file(context);
}

fn no_half_of_a_file(context: &Context) {
    for entry in std::fs::read_dir(context.path("")).expect("lists") {
        let name = entry.expect("lists").file_name();
        assert!(!name.to_string_lossy().ends_with(".part"), "{}", name.display());
    }
}

#[test]
fn every_kind_of_settled_row_is_where_the_ledger_has_it() {
    let context = Context::new();
    let mut list = "id,name,status\n".to_owned();
    for n in 0..MANY {
        writeln!(list, "{},\"Person {n}, \"\"the\"\" one\",paid", id(n))
            .expect("a String takes it");
    }
    list.push_str(",nobody,paid\nx-1,left out,open\n");
    // Equal to an earlier row, and not.
    for n in [0, 700, 3, MANY - 1, 5] {
        writeln!(list, "{},\"Person {n}, \"\"the\"\" one\",paid", id(n))
            .expect("a String takes it");
        writeln!(list, "{},Another {n},paid", id(n)).expect("a String takes it");
    }
    list.push_str("\"bad\"row,x,paid\n");
    context.file("people.csv", list);
    let choice = "--where status=paid --keep name";
    let run = format!("run people.csv --meeting m1 {choice} --formula-safe");
    context.run(&run).expect(3);
    let first = context.read("people.enrolled.csv");
    assert_eq!(files::enrolled(&context, "people.enrolled.csv").len(), MANY + 5);
    holds_what_the_ledger_holds(
        &context,
        &run,
        &format!("people.csv --meeting m1 {choice} --formula-safe"),
    );
    let again = context.read("people.enrolled.csv");
    assert!(again == first.replace(",enrolled,", ",already,"), "the same links in the same order");
}

#[test]
fn a_row_that_changed_or_was_never_ours_is_refused_in_a_draft_too() {
    let context = Context::with(Config {
        registration: RegistrationState::External(Mode::Organization),
        ..Config::default()
    });
    let list = |users: [usize; 3]| {
        let mut list = "id,tenantId,userId\n".to_owned();
        for (n, user) in users.into_iter().enumerate() {
            writeln!(list, "{},{},{}", id(n), guid(1), guid(user)).expect("a String takes it");
        }
        list
    };
    context.file("early.csv", list([10, 11, 12]).lines().take(2).collect::<Vec<_>>().join("\n"));
    context.run("run early.csv --meeting m1 --ledger other.ledger").expect(0);
    context.file("people.csv", list([10, 11, 12]));
    context.run("run people.csv --meeting m1").expect(3);
    context.file("people.csv", list([10, 99, 12]));
    holds_what_the_ledger_holds(&context, "run people.csv --meeting m1", "people.csv --meeting m1");
    let codes: Vec<_> = files::rejected(&context, "people.rejects.csv")
        .into_iter()
        .map(|row| (row.outcome, row.code))
        .collect();
    let refused = |code: &str| ("refused".to_owned(), code.to_owned());
    assert_eq!(codes, [refused("exists-on-server"), refused("changed-since-enrolled")]);
}

#[test]
fn a_draft_ends_at_the_first_row_that_is_new() {
    let context = Context::new();
    context.file("people.csv", crowd(MANY));
    context.run("run people.csv --meeting m1").expect(0);
    context.file("people.csv", crowd(MANY + 2));
    context.run("run people.csv --meeting m1").expect(0);
    let rows = files::enrolled(&context, "people.enrolled.csv");
    assert!(rows.iter().map(|row| row.id.clone()).eq((0..MANY + 2).map(id)));
    let new = rows.iter().filter(|row| row.status == "enrolled").count();
    assert_eq!((new, context.stats().posts), (2, MANY as u64 + 2));
    files::each_link_is_its_own(&rows);
    no_half_of_a_file(&context);
}
