//! One application's limit, shared by all runs on a machine.

use registrant_import::simulator::Config;

use crate::context::Context;

/// People as a webinar wants them.
fn guests(n: usize) -> String {
    (0..n).fold("id,First name,Last name,Email\n".to_owned(), |text, n| {
        text + &format!("T-{n},Ada{n},Byron,ada{n}@example.org\n")
    })
}

/// A Graph whose tokens name the application.
fn context() -> Context {
    let context = Context::with(Config::default());
    let url = context.graph_url();
    context.secret(&url, "secret")
}

#[test]
fn a_run_of_another_webinar_finds_the_places_of_the_first_one_taken() {
    let context = context();
    context.file("first.csv", guests(12));
    context.file("second.csv", guests(10));
    context.run("run first.csv --webinar w1@t1 --settle 100ms").expect(0);
    assert!(context.files().iter().any(|(name, _)| name.ends_with("app-client.pace")));
    // Its own ledger knows nothing of the first run's twelve.
    context.run("run second.csv --webinar w2@t1 --settle 100ms --max-duration 5s").expect(5);
    assert_eq!(context.stats().posts, 15, "15 in 30 s for both");
}

#[test]
fn a_file_of_turns_that_is_damaged_is_told_and_stops_nobody() {
    let context = context();
    context.file("people.csv", guests(3));
    let state = context.path("state/registrant-import");
    std::fs::create_dir_all(&state).expect("a folder");
    std::fs::write(state.join("app-client.pace"), "no database ".repeat(99)).expect("written");
    let run = "run people.csv --webinar w1@t1 --settle 100ms --rate 1000/s";
    let told = context.run(run).expect(0).stderr;
    assert!(told.contains("app-client.pace") && told.contains("divide the limit"), "{told}");
}
