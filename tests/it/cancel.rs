//! `plan` and cancellations, as a person meets them: command lines, files, exit codes.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use registrant_import::simulator::{AfterCancel, CancelAnswer, Config, EventConfig};

use crate::context::Context;

const MEETING: &str = "--meeting m1 --ledger l.ledger";
const WEBINAR: &str = "--webinar w@t --rate 1000/s --settle 150ms --ledger l.ledger";

/// A list of these people; a name with `!` is marked.
fn list(people: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut text = "id,firstName,lastName,email,state\n".to_owned();
    for person in people {
        let id = person.as_ref().trim_end_matches('!');
        let state = if person.as_ref().ends_with('!') { "refunded" } else { "paid" };
        writeln!(text, "{id},Ada,{id},{id}@x.org,{state}").expect("a String takes it");
    }
    text
}

fn people(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| format!("p{n:03}")).collect()
}

/// Writes the list as a file that was written at another time than any before.
fn give(context: &Context, people: impl IntoIterator<Item = impl AsRef<str>>) {
    // A file's time may be as coarse as a few milliseconds.
    std::thread::sleep(Duration::from_millis(15));
    context.file("people.csv", list(people));
}

fn enrolled(context: &Context) -> BTreeSet<String> {
    let books = context.simulator().books();
    books.registrants.iter().map(|person| person.id.clone()).collect()
}

/// The ids of the enrolled file, which must be those on the books with the links that they hold.
fn held_links(context: &Context) -> BTreeSet<String> {
    let books = context.simulator().books();
    let links = books.links();
    let file = context.read("people.enrolled.csv");
    let mut ids = BTreeSet::new();
    for row in csv::Reader::from_reader(file.as_bytes()).records() {
        let row = row.expect("a row");
        let held = links[&row[0]].iter().flatten().copied().collect::<Vec<_>>();
        if held[0].contains("meetup-join") || !held.is_empty() {
            assert_eq!(held, [&row[1]], "{}: the link that is held", &row[0]);
        }
        ids.insert(row[0].to_owned());
    }
    ids
}

/// What was printed, without its line breaks.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn set(people: &[&str]) -> BTreeSet<String> {
    people.iter().map(|&person| person.to_owned()).collect()
}

#[test]
fn who_is_marked_is_cancelled_once_and_enrolled_anew_when_the_list_names_them_again() {
    for target in [MEETING, WEBINAR] {
        let context = Context::new();
        let run = format!("run people.csv {target} --cancel marked --cancel-where state=refunded");
        give(&context, ["a", "b", "c", "d"]);
        context.run(&run).expect(0);
        let first = context.read("people.enrolled.csv");
        give(&context, ["a", "b!", "c!", "d"]);
        let ran = context.run(&run).expect(0);
        assert!(ran.stdout.contains("2  cancelled"), "{ran}");
        assert!(ran.stdout.contains("2  excluded"), "{ran}");
        assert_eq!(enrolled(&context), set(&["a", "d"]));
        assert_eq!(held_links(&context), set(&["a", "d"]));
        let deleted = context.stats().deleted;
        context.run(&run).expect(0);
        assert_eq!((deleted, context.stats().deleted), (2, 2), "each once");
        let told = context.run("explain b --ledger l.ledger").expect(0).stdout;
        assert!(told.contains("cancelled") && told.contains("line 3"), "{told}");
        give(&context, ["a", "b", "c!", "d"]);
        let ran = context.run(&run).expect(0);
        assert_eq!(held_links(&context), set(&["a", "b", "d"]), "{ran}");
        let link = |file: &str| {
            let row = file.lines().find(|line| line.starts_with("b,")).map(str::to_owned);
            row.unwrap_or_default()
        };
        assert_ne!(link(&first), link(&context.read("people.enrolled.csv")), "a new link");
        assert_eq!(context.stats().duplicates, 0);
    }
}

#[test]
fn nobody_is_cancelled_unless_it_is_asked_for() {
    let context = Context::new();
    give(&context, ["a", "b"]);
    context.run(&format!("run people.csv {MEETING}")).expect(0);
    give(&context, ["a", "b!"]);
    context.run(&format!("run people.csv {MEETING} --where state=paid")).expect(0);
    context.run(&format!("run people.csv {MEETING} --cancel-where state=refunded")).expect(0);
    assert_eq!(enrolled(&context), set(&["a", "b"]));
}

#[test]
fn whom_this_ledger_did_not_enrol_stays() {
    let context = Context::new();
    give(&context, ["a", "b"]);
    context.run(&format!("run people.csv {WEBINAR}")).expect(0);
    // Another ledger takes them over.
    let other = WEBINAR.replace("l.ledger", "other.ledger");
    context.run(&format!("run people.csv {other}")).expect(0);
    give(&context, ["a", "b!"]);
    let run = format!(
        "run people.csv {other} --cancel missing --missing-for 0s --cancel-where state=refunded"
    );
    context.run(&run).expect(0);
    assert_eq!(enrolled(&context), set(&["a", "b"]));
}

#[test]
fn who_is_missing_from_two_lists_for_long_enough_is_cancelled() {
    for target in [MEETING, WEBINAR] {
        let context = Context::new();
        let run = format!("run people.csv {target} --cancel missing");
        let now = format!("{run} --missing-for 0s");
        give(&context, people(0..20));
        context.run(&now).expect(0);
        give(&context, people(1..20));
        context.run(&now).expect(0);
        assert_eq!(enrolled(&context).len(), 20, "one list proves nothing");
        context.run(&now).expect(0);
        assert_eq!(enrolled(&context).len(), 20, "nor does the same file again");
        give(&context, people(1..20));
        context.run(&run).expect(0);
        assert_eq!(enrolled(&context).len(), 20, "a day is not over");
        let ran = context.run(&now).expect(0);
        assert!(ran.stdout.contains("1  cancelled"), "{ran}");
        assert_eq!(enrolled(&context).len(), 19);
        // Another reading begins anew, and a person has to decide.
        give(&context, people(1..20));
        context.run(&format!("{now} --where state=paid")).expect(0);
        for code in [0, 8] {
            give(&context, people(2..20));
            context.run(&now).expect(code);
        }
        assert_eq!(enrolled(&context).len(), 19);
        context.run(&format!("{now} --approve people.held.csv")).expect(0);
        assert_eq!(enrolled(&context).len(), 18);
    }
}

#[test]
fn a_row_that_names_somebody_keeps_them_however_wrong_it_is() {
    let context = Context::new();
    let run = format!(
        "run people.csv {WEBINAR} --cancel missing --missing-for 0s --cancel-where state=refunded"
    );
    give(&context, ["a", "b", "c", "d"]);
    context.run(&run).expect(0);
    for _ in 0..3 {
        give(&context, ["a", "b", "c"]);
        // No address, left out by a filter, marked in one of two rows.
        let text = context.read("people.csv").replace("b@x.org", "");
        let text = text.replace("c@x.org,paid", "c@x.org,open")
            + "d,Ada,d,d@x.org,refunded\nd,Ada,d,d@x.org,paid\n";
        context.file("people.csv", text);
        context.run(&format!("{run} --where state=paid,refunded"));
    }
    assert_eq!(enrolled(&context), set(&["a", "b", "c", "d"]));
}

#[test]
fn over_the_brake_a_person_decides() {
    let context = Context::new();
    let run = format!("run people.csv {WEBINAR} --cancel marked --cancel-where state=refunded");
    let marked = |from: usize, to: usize| {
        let mut all = people(0..100);
        all[from..to].iter_mut().for_each(|person| person.push('!'));
        all
    };
    give(&context, people(0..100));
    context.run(&run).expect(0);
    // Three within five of a hundred, and later three more: six in a day.
    give(&context, marked(0, 3));
    context.run(&run).expect(0);
    assert_eq!(enrolled(&context).len(), 97);
    let mut next = marked(0, 6);
    next.push("new".to_owned());
    give(&context, next.clone());
    let held = context.run(&run).expect(8);
    assert!(plain(&held.stdout).contains("3 cancellations wait for you"), "{held}");
    assert!(plain(&held.stdout).contains("with 3 in the last 24 hours"), "{held}");
    assert!(held.stdout.contains("--approve"), "{held}");
    assert!(enrolled(&context).contains("new"), "new people are enrolled");
    assert_eq!(context.mode("people.held.csv"), 0o600);
    let text = context.read("people.held.csv");
    assert_eq!(
        text,
        "action,id,reason,line\nheld,p003,\"marked, over-max-cancel\",5\nheld,p004,\"marked, over-max-cancel\",6\nheld,p005,\"marked, over-max-cancel\",7\n"
    );
    // Nobody slips through, however often it runs.
    for nth in 0..3 {
        next.push(format!("new-{nth}"));
        give(&context, next.clone());
        context.run(&run).expect(8);
        assert_eq!(context.read("people.held.csv"), text, "the same file");
    }
    assert_eq!(enrolled(&context).len(), 101);
    let summary = context.run(&format!("{run} --json")).expect(8).json();
    assert_eq!((&summary["cancelled"], &summary["cancellationsHeld"]), (&0.into(), &3.into()));
    // An edited file stays as it is, and whoever was taken out of it stays enrolled.
    let edited: String = text
        .lines()
        .filter(|line| !line.contains("p004"))
        .fold(String::new(), |text, line| text + line + "\n");
    context.file("people.held.csv", &edited);
    context.run(&run).expect(8);
    assert_eq!(context.read("people.held.csv"), edited);
    let ran = context.run(&format!("{run} --approve people.held.csv")).expect(8);
    assert!(ran.stdout.contains("2  cancelled"), "{ran}");
    assert!(enrolled(&context).contains("p004") && !enrolled(&context).contains("p005"));
    let ran = context.run(&run).expect(8);
    assert!(plain(&ran.stdout).contains("left out when others were approved"), "{ran}");
    context.run(&format!("{run} --approve people.held.csv")).expect(0);
    assert!(!enrolled(&context).contains("p004"));
    assert!(!context.has("people.held.csv"), "nobody waits any more");
}

#[test]
fn a_forbidden_cancellation_ends_the_run_and_the_enrolments_stand() {
    let event = EventConfig { cancel_answer: CancelAnswer::Forbidden, ..EventConfig::default() };
    let context = Context::with(Config { event, ..Config::default() });
    let run = format!("run people.csv {WEBINAR} --cancel marked --cancel-where state=refunded");
    give(&context, ["a", "b", "c"]);
    context.run(&run).expect(0);
    give(&context, ["a", "b!", "c!", "d"]);
    let ran = context.run(&run).expect(6);
    for permission in [
        "VirtualEventRegistration-Anon.ReadWrite.All",
        "VirtualEventRegistration-Anon.ReadWrite.Chat",
    ] {
        assert!(ran.stderr.contains(permission), "{ran}");
    }
    assert_eq!(context.stats().deletes, 1, "no further one");
    assert_eq!(enrolled(&context), set(&["a", "b", "c", "d"]));
}

#[test]
fn one_that_is_cancelled_already_is_done_and_a_lost_answer_is_looked_up() {
    let event = EventConfig { cancel_answer: CancelAnswer::Once, ..EventConfig::default() };
    let faults =
        ["delete:reset-after-commit=60"].map(|rate| rate.parse().expect("a rate")).to_vec();
    let faults = registrant_import::simulator::Faults::new(faults).expect("below 100 %");
    let context = Context::with(Config { event, faults, ..Config::default() });
    let run = format!(
        "run people.csv {WEBINAR} --cancel marked --cancel-where state=refunded --max-cancel 50"
    );
    give(&context, people(0..20));
    context.run(&run).expect(0);
    let mut next = people(0..20);
    next[..12].iter_mut().for_each(|person| person.push('!'));
    give(&context, next);
    let ran = context.run(&run).expect(0);
    assert!(ran.stdout.contains("12  cancelled"), "{ran}");
    assert_eq!((enrolled(&context).len(), context.stats().deleted), (8, 12));
}

#[test]
fn who_comes_back_has_a_link_whatever_graph_makes_of_it() {
    for (after_cancel, code) in
        [(AfterCancel::New, 0), (AfterCancel::Revive, 0), (AfterCancel::Refuse, 3)]
    {
        let event = EventConfig { after_cancel, ..EventConfig::default() };
        let context = Context::with(Config {
            event,
            list_lag: Duration::from_millis(300),
            ..Config::default()
        });
        let run = format!("run people.csv {WEBINAR} --cancel marked --cancel-where state=refunded");
        give(&context, ["a", "b"]);
        context.run(&run).expect(0);
        give(&context, ["a", "b!"]);
        context.run(&run).expect(0);
        give(&context, ["a", "b"]);
        let ran = context.run(&run).expect(code);
        assert_eq!(held_links(&context).contains("b"), code == 0, "{ran}");
        assert_eq!(context.stats().mails, if code == 0 { 4 } else { 3 });
    }
}

#[test]
fn the_missing_stay_while_the_list_is_doubtful_or_the_event_goes_on() {
    let context = Context::new();
    let run = format!("run people.csv {WEBINAR} --cancel missing --missing-for 0s");
    give(&context, people(0..20));
    context.run(&run).expect(0);
    for _ in 0..3 {
        give(&context, people(1..20));
        let text = context.read("people.csv") + "bad,\"row\n";
        context.file("people.csv", text);
        context.run(&run).expect(3);
    }
    for _ in 0..3 {
        give(&context, people(0..10));
        context.run(&run);
    }
    assert_eq!(enrolled(&context).len(), 20, "a far shorter list");
    let held = context.run(&run).expect(8);
    assert!(
        plain(&held.stdout).contains("the list has 10 rows, and the last complete one had 20"),
        "{held}"
    );
    context
        .run(&format!("run - {WEBINAR} --cancel missing --output o.csv --rejects r.csv"))
        .expect(2);
    context.run(&format!("{run} --approve people.held.csv")).expect(0);
    assert_eq!(enrolled(&context).len(), 10, "a person accepts its size");
    let event = EventConfig { begun: true, ..EventConfig::default() };
    let context = Context::with(Config { event, ..Config::default() });
    for people in [people(0..20), people(1..20), people(1..20)] {
        give(&context, people);
        context.run(&run).expect(0);
    }
    assert_eq!(enrolled(&context).len(), 20, "the event has begun");
}

/// Who is to be enrolled, and who cancelled, by a file of changes.
fn changes(context: &Context) -> (BTreeSet<String>, BTreeSet<String>) {
    let text = context.read("changes.csv");
    let of = |wanted: &str| {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows = reader.records().map(|row| row.expect("a row"));
        rows.filter(|row| &row[0] == wanted).map(|row| row[1].to_owned()).collect()
    };
    (of("enrol"), of("cancel"))
}

#[test]
fn what_the_plan_says_is_what_the_run_does_and_it_writes_nothing() {
    let lists: [&[&str]; 6] = [
        &["a", "b", "c", "d", "e"],
        &["a", "b!", "c", "d", "e", "f"],
        &["a", "c", "d", "e", "f"],
        &["a", "b", "d", "e", "f", "g!"],
        &["a", "b", "d!", "e", "f"],
        &["a!", "b!", "e!", "f!", "h"],
    ];
    for target in [MEETING, WEBINAR] {
        let context = Context::new();
        let options = format!(
            "people.csv {target} --cancel missing --missing-for 0s --cancel-where state=refunded"
        );
        for list in lists {
            give(&context, list);
            let ledger = |context: &Context| {
                context
                    .has("l.ledger")
                    .then(|| std::fs::read(context.path("l.ledger")).expect("reads"))
            };
            let before = (context.stats(), enrolled(&context), ledger(&context));
            let ran = context.run(&format!("plan {options} --changes changes.csv")).expect(0);
            let after = context.stats();
            let writes = |stats: &registrant_import::simulator::Stats| (stats.posts, stats.deletes);
            assert_eq!(writes(&after), writes(&before.0), "{ran}");
            assert_eq!(ledger(&context), before.2, "the ledger is untouched");
            assert_eq!(context.mode("changes.csv"), 0o600);
            let (enrol, cancel) = changes(&context);
            let told = context.run(&format!("plan {options} --json")).expect(0).json();
            assert_eq!(told["toEnrol"], enrol.len(), "{ran}");
            let due = [&told["toCancel"]["marked"], &told["toCancel"]["missing"]];
            assert_eq!(
                due.iter().filter_map(|count| count.as_u64()).sum::<u64>(),
                cancel.len() as u64
            );
            context.run(&format!("run {options}"));
            let now = enrolled(&context);
            assert_eq!(enrol, now.difference(&before.1).cloned().collect(), "{list:?} {ran}");
            assert_eq!(cancel, before.1.difference(&now).cloned().collect(), "{list:?} {ran}");
        }
        assert!(context.run(&format!("plan {options}")).expect(0).stdout.contains("held back"));
    }
}

#[test]
fn the_plan_needs_no_ledger_and_waits_for_no_run() {
    let context = Context::new();
    give(&context, ["a", "b"]);
    let files = context.files().len();
    let ran = context.run(&format!("plan people.csv {WEBINAR}")).expect(0);
    assert!(ran.stdout.contains("2  enrol") && ran.stdout.contains("2  mails"), "{ran}");
    assert_eq!(context.files().len(), files, "no file is left behind");
    context.run(&format!("run people.csv {WEBINAR}")).expect(0);
    let ledger = std::fs::OpenOptions::new().write(true).open(context.path("l.ledger.lock"));
    let lock = ledger.expect("a lock");
    lock.lock().expect("held");
    context.run(&format!("run people.csv {WEBINAR}")).expect(7);
    let ran = context.run(&format!("plan people.csv {WEBINAR}")).expect(0);
    assert!(ran.stdout.contains("2  leave alone"), "{ran}");
    context.run("plan people.csv --webinar missing@t --rate 1000/s").expect(6);
}

#[test]
fn a_cut_list_cancels_nobody_and_the_whole_one_afterwards_neither() {
    let context = Context::new();
    let options = format!("{MEETING} --cancel missing --missing-for 0s");
    give(&context, people(0..1_000));
    context.run(&format!("run people.csv {options}")).expect(0);
    let (whole, ledger) = (context.read("people.csv"), std::fs::read(context.path("l.ledger")));
    let ledger = ledger.expect("reads");
    // Every 500th byte with the variable; some places each time.
    let every = if std::env::var_os("REGISTRANT_IMPORT_CUTS").is_some() { 500 } else { 6_500 };
    for cut in (every..whole.len()).step_by(every) {
        std::fs::write(context.path("l.ledger"), &ledger).expect("writes");
        for text in [&whole[..cut], &whole] {
            std::thread::sleep(Duration::from_millis(15));
            context.file("people.csv", text);
            context.run(&format!("run people.csv {options}"));
            assert_eq!((context.stats().deletes, context.stats().enrolled), (0, 1_000), "{cut}");
        }
    }
}

#[test]
fn killed_among_faults_everybody_is_cancelled_once_and_nobody_is_left_in_doubt() {
    let kills = std::env::var("REGISTRANT_IMPORT_KILLS").ok().and_then(|text| text.parse().ok());
    for (target, seed) in
        (0..kills.unwrap_or(2_u64)).flat_map(|seed| [(MEETING, seed), (WEBINAR, seed)])
    {
        let rates = [
            "delete:reset-after-commit=8",
            "delete:reset-before-commit=4",
            "delete:500-after-commit=4",
            "delete:504=4",
            "list:500=5",
            "read:500=5",
        ];
        let faults = rates.map(|rate| rate.parse().expect("a rate")).to_vec();
        let faults = registrant_import::simulator::Faults::new(faults).expect("below 100 %");
        let latency = registrant_import::simulator::CallLatency {
            median: Duration::from_millis(8),
            sigma: 0.5,
        };
        let context = Context::with(Config { seed, faults, latency, ..Config::default() });
        let run = format!(
            "run people.csv {target} --cancel marked --cancel-where state=refunded --max-cancel 100 --concurrency 4"
        );
        give(&context, people(0..60));
        context.run(&run).expect(0);
        let mut next = people(0..60);
        next[..40].iter_mut().for_each(|person| person.push('!'));
        next.extend((0..5).map(|n| format!("new-{n}")));
        give(&context, next);
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..4 {
            let mut child = context.start(&run);
            std::thread::sleep(Duration::from_millis(random.u64(20..500)));
            child.kill().expect("killed");
            child.wait().expect("waited for");
        }
        for _ in 0..3 {
            context.run(&run);
        }
        let ran = context.run(&run).expect(0);
        // A meeting's row whose POST was lost is removed and posted once more.
        let stats = context.stats();
        let cancelled = stats.deleted - (stats.created - 65);
        assert_eq!((enrolled(&context).len(), cancelled), (25, 40), "{seed} {ran}");
        assert_eq!(held_links(&context).len(), 25);
        assert_eq!(context.stats().duplicates, 0);
        let ledger = rusqlite::Connection::open(context.path("l.ledger")).expect("a database");
        let count =
            |query: &str| ledger.query_row(query, [], |row| row.get::<_, i64>(0)).expect("a count");
        assert_eq!(count("SELECT count(*) FROM cancellation WHERE outcome IS NULL"), 0);
        assert_eq!(count("SELECT count(*) FROM cancellation WHERE outcome = 'cancelled'"), 40);
    }
}
