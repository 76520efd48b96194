//! What the ledger promises, shown on real files.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::{writer::commit, *};
use crate::registrant::{JoinLink, PersonFingerprint, RegistrantId};

const LINK: &str = "https://teams.microsoft.com/l/meetup-join/t/0";

struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("state").join("meeting.ledger");
        Self { _folder: folder, path }
    }

    fn open(&self) -> Ledger {
        let mut ledger = Ledger::open(&self.path, &target("m"), 1_000).expect("opens");
        ledger.begin_run(1_000).expect("begins");
        ledger
    }

    fn sql(&self, text: &str) {
        let connection = rusqlite::Connection::open(&self.path).expect("opens");
        connection.execute_batch(text).expect("runs");
    }
}

fn target(name: &str) -> Identity {
    Identity {
        kind: "meeting".to_owned(),
        name: name.to_owned(),
        organizer: None,
        graph: "graph.microsoft.com".to_owned(),
    }
}

fn id(text: &str) -> RegistrantId {
    RegistrantId::parse(text).expect("an id")
}

fn intent(text: &str, remove: bool) -> Intent {
    Intent {
        id: id(text),
        sent: String::new(),
        person: PersonFingerprint::UNKNOWN,
        line: 2,
        purpose: if remove { Purpose::Remove } else { Purpose::Post },
        client_request_id: Uuid::from_u128(7),
        at: 2_000,
    }
}

fn attempt(verdict: &'static str) -> Attempt {
    Attempt {
        call: "POST",
        client_request_id: Uuid::from_u128(7),
        request_id: Some("r".to_owned()),
        sent_at: 2_000,
        answered_at: 2_120,
        waited_ms: 5,
        status: Some(200),
        verdict,
        detail: None,
    }
}

fn settle(ledger: &mut Ledger, seq: Seq, verdict: &'static str, becomes: NextState) {
    let settlement = Transition { seq, attempt: Some(attempt(verdict)), becomes, at: 2_120 };
    commit(ledger, |group| group.settle(&settlement)).expect("settles");
}

fn go(ledger: &mut Ledger, intent: &Intent) -> Seq {
    match commit(ledger, |group| group.intend(intent)).expect("writes") {
        SendPermit::Go(seq) => seq,
        SendPermit::Held(state) => panic!("held: {state:?}"),
    }
}

fn held(ledger: &mut Ledger, intent: &Intent) -> State {
    match commit(ledger, |group| group.intend(intent)).expect("writes") {
        SendPermit::Held(state) => state,
        SendPermit::Go(_) => panic!("granted"),
    }
}

fn enrolled() -> NextState {
    NextState::Enrolled {
        link: JoinLink::trusted(LINK),
        registrant_id: Some("own".to_owned()),
        adopted: false,
    }
}

fn unknown() -> NextState {
    NextState::Unknown { code: "timed-out".to_owned(), reason: "no answer".to_owned() }
}

fn state(ledger: &Ledger, text: &str) -> Option<State> {
    ledger.find(&id(text)).expect("reads").map(|entry| entry.state)
}

#[test]
fn nobody_who_is_or_may_be_enrolled_is_granted_another_post() {
    let place = Place::new();
    let mut ledger = place.open();
    let seq = go(&mut ledger, &intent("a", false));
    assert_eq!(held(&mut ledger, &intent("a", false)), State::Sending);
    settle(&mut ledger, seq, "unknown", unknown());
    assert_eq!(held(&mut ledger, &intent("a", false)), State::Unknown);
    assert_eq!(go(&mut ledger, &intent("a", true)), seq, "one in doubt may be removed");
    assert_eq!(held(&mut ledger, &intent("a", false)), State::Removing);
    settle(&mut ledger, seq, "done", NextState::Ready);
    assert_eq!(go(&mut ledger, &intent("a", false)), seq, "and then posted");
    settle(&mut ledger, seq, "done", enrolled());
    assert_eq!(held(&mut ledger, &intent("a", false)), State::Enrolled);
    assert_eq!(held(&mut ledger, &intent("a", true)), State::Enrolled, "its link is held");
    assert_eq!(held(&mut ledger, &intent("never sent", true)), State::Ready);
}

#[test]
fn ids_differ_by_case_and_by_blanks() {
    let place = Place::new();
    let mut ledger = place.open();
    let seqs = ["gst-A", "gst-a", "gst-a "].map(|text| go(&mut ledger, &intent(text, false)));
    assert_eq!(seqs, [Seq(1), Seq(2), Seq(3)]);
}

#[test]
fn a_run_that_died_leaves_its_intents_in_doubt_and_their_story_told() {
    let place = Place::new();
    let mut ledger = place.open();
    go(&mut ledger, &intent("a", false));
    drop(ledger);
    let ledger = place.open();
    let entry = ledger.find(&id("a")).expect("reads").expect("is there");
    assert_eq!(entry.state, State::Unknown);
    assert_eq!(entry.touched_at, Some(1_000), "it may have left just before this run began");
    let story = Reading::open(&place.path).expect("opens").story("a").expect("reads");
    let story = story.expect("is there");
    assert_eq!(story.attempts.len(), 1);
    assert_eq!(story.attempts[0].verdict, "lost");
}

#[test]
fn the_whole_list_tells_strangers_from_our_own() {
    let place = Place::new();
    let mut ledger = place.open();
    let [doubt, absent, mine] =
        ["doubt", "absent", "mine"].map(|t| go(&mut ledger, &intent(t, false)));
    settle(&mut ledger, doubt, "unknown", unknown());
    settle(&mut ledger, absent, "unknown", NextState::Ready);
    settle(&mut ledger, mine, "done", enrolled());
    assert_eq!(ledger.listed().expect("reads").at, None);
    let list = ["doubt", "absent", "mine", "stranger"].map(str::to_owned);
    assert_eq!(ledger.keep_list(list, 3_000).expect("writes"), 1);
    assert_eq!(ledger.listed().expect("reads").at, Some(3_000));
    assert_eq!(state(&ledger, "stranger"), Some(State::Foreign));
    assert_eq!(state(&ledger, "doubt"), Some(State::Unknown));
    assert_eq!(state(&ledger, "mine"), Some(State::Enrolled));
    assert_eq!(state(&ledger, "absent"), Some(State::Unknown), "the server was late");
    assert_eq!(held(&mut ledger, &intent("stranger", false)), State::Foreign);
    assert_eq!(held(&mut ledger, &intent("stranger", true)), State::Foreign, "never touched");
    assert_eq!(ledger.keep_list([], 4_000).expect("writes"), 0);
    assert_eq!(state(&ledger, "stranger"), Some(State::Ready), "its owner removed it");
}

#[test]
fn a_link_comes_back_as_it_was_written_or_not_at_all() {
    let place = Place::new();
    let mut ledger = place.open();
    let seq = go(&mut ledger, &intent("a", false));
    settle(&mut ledger, seq, "done", enrolled());
    let entry = ledger.find(&id("a")).expect("reads").expect("is there");
    assert_eq!(entry.link.expect("a link").expose(), LINK);
    drop(ledger);
    place.sql("UPDATE registrant SET join_web_url = replace(join_web_url, '/t/', '/u/')");
    let ledger = Ledger::open(&place.path, &target("m"), 1).expect("opens");
    let error = ledger.find(&id("a")).map(|_| ()).expect_err("damaged");
    assert!(matches!(error.kind(), LedgerError::Damaged(_)), "{error}");
    drop(ledger);
    damaged(&place.path);
}

/// Ids that all differ; of three, two are enrolled and one is being sent.
fn fill(ledger: &mut Ledger, count: u32) {
    let write = |group: &writer::GroupCommit<'_>| {
        for n in 0..count {
            let permit = group.intend(&intent(&format!("id-{n}"), false))?;
            let SendPermit::Go(seq) = permit else { panic!("held") };
            if n % 3 > 0 {
                group.settle(&Transition { seq, attempt: None, becomes: enrolled(), at: 2 })?;
            }
        }
        Ok(())
    };
    commit(ledger, write).expect("writes");
}

/// In whatever order they are asked for, by id and by number.
#[test]
fn look_ups_find_everybody_in_any_order() {
    let place = Place::new();
    let mut ledger = place.open();
    fill(&mut ledger, 3_000);
    let mut orders: Vec<Vec<u32>> = vec![
        (0..3_000).collect(),
        (0..3_000).chain(0..3_000).collect(),
        (0..2_000).chain(700..3_000).collect(),
        (0..3_000).rev().collect(),
        (0..3_000).filter(|n| n % 700 > 0).collect(),
        (0..1_500).flat_map(|n| [n, n + 1_500]).collect(),
        (0..1_500).flat_map(|n| [2 * n + 1, 2 * n]).collect(),
        (0..300).flat_map(|n| [n * 7 % 999, n * 7 % 999 + 1]).collect(),
        (0..3_000).flat_map(|n| [n, 5_000 + n]).collect(),
    ];
    let mut random = fastrand::Rng::with_seed(9);
    orders.extend((0..5).map(|_| (0..2_000).map(|_| random.u32(..3_100)).collect::<Vec<u32>>()));
    for order in orders {
        let mut look_ups = ledger.look_ups().expect("reads");
        for n in order {
            let found = look_ups.find(&id(&format!("id-{n}"))).expect("reads");
            let wanted = (n < 3_000).then(|| (i64::from(n) + 1, n % 3 > 0));
            let found = found.map(|entry| (entry.seq, entry.link.is_some()));
            assert_eq!(found.map(|(seq, link)| (seq.0, link)), wanted, "{n}");
        }
    }
    // One within another, and a single one within both.
    let (mut one, mut other) =
        (ledger.look_ups().expect("reads"), ledger.look_ups().expect("reads"));
    assert!(one.find(&id("id-1")).expect("reads").is_some());
    assert!(other.find(&id("id-1")).expect("reads").is_some());
    drop((one, other));
    // The last one out takes the log along.
    drop(ledger);
    assert!(!place.path.with_extension("ledger-wal").exists());
}

/// What an earlier run left is put in doubt under a new seal, so the old one must fit first.
#[test]
fn a_new_seal_is_never_put_on_a_changed_row() {
    for (change, sound) in [
        ("", true),
        ("UPDATE registrant SET sent = 'x' WHERE id = 'b'", false),
        // An enrolled one that reads as being sent.
        ("UPDATE registrant SET state = 1 WHERE id = 'a'", false),
    ] {
        let place = Place::new();
        let mut ledger = place.open();
        let seq = go(&mut ledger, &intent("a", false));
        settle(&mut ledger, seq, "done", enrolled());
        go(&mut ledger, &intent("b", false));
        drop(ledger);
        place.sql(change);
        let mut ledger = Ledger::open(&place.path, &target("m"), 1).expect("opens");
        let begun = ledger.begin_run(9);
        assert_eq!(begun.is_ok(), sound, "{change}: {begun:?}");
        if sound {
            assert_eq!(state(&ledger, "b"), Some(State::Unknown));
        }
    }
}

#[test]
fn a_list_that_is_not_kept_leaves_no_trace() {
    let place = Place::new();
    let mut ledger = place.open();
    let mut list = ledger.begin_list(3_000).expect("begins");
    list.take(["a".to_owned(), "b".to_owned()]).expect("takes");
    drop(list);
    assert_eq!((state(&ledger, "a"), ledger.listed().expect("reads").at), (None, None));
    let mut list = ledger.begin_list(3_000).expect("begins");
    for page in [["a", "b"], ["b", "c"]] {
        list.take(page.map(str::to_owned)).expect("takes");
    }
    assert_eq!(list.keep().expect("keeps"), 3);
    assert_eq!(state(&ledger, "c"), Some(State::Foreign));
    assert_eq!(ledger.listed().expect("reads").at, Some(3_000));
}

/// The ledger is refused, at the latest when it is asked for the right to post somebody new, and as
/// often as it is asked.
fn damaged(path: &Path) {
    let refused = |error: LedgerError| {
        assert!(matches!(error.kind(), LedgerError::Damaged(_)), "{error}");
        assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
    };
    match Ledger::open(path, &target("m"), 1) {
        Err(error) => refused(error),
        Ok(mut ledger) => {
            for _ in 0..2 {
                let intent = intent("somebody new", false);
                refused(commit(&mut ledger, |group| group.intend(&intent)).expect_err("damaged"));
                refused(ledger.verify().expect_err("damaged"));
                refused(ledger.keep_list([], 2).expect_err("damaged"));
            }
        }
    }
}

#[test]
fn a_changed_state_and_an_index_that_lost_an_id_are_damage() {
    for change in [
        "UPDATE registrant SET state = 0",
        "PRAGMA writable_schema = ON;
         CREATE TABLE other (id TEXT NOT NULL UNIQUE) STRICT;
         INSERT INTO other VALUES ('b');
         UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema
                                              WHERE name = 'sqlite_autoindex_other_1')
         WHERE name = 'sqlite_autoindex_registrant_1'",
    ] {
        let place = Place::new();
        let mut ledger = place.open();
        let seq = go(&mut ledger, &intent("a", false));
        settle(&mut ledger, seq, "done", enrolled());
        drop(ledger);
        place.sql(change);
        damaged(&place.path);
    }
}

#[test]
fn an_emptied_ledger_is_no_new_one() {
    let place = Place::new();
    drop(place.open());
    std::fs::write(&place.path, "").expect("writes");
    damaged(&place.path);
    std::fs::remove_file(&place.path).expect("removes");
    drop(place.open());
}

#[test]
fn a_run_that_was_torn_off_is_known() {
    let place = Place::new();
    let ledger = place.open();
    assert!(!ledger.was_torn(), "there was none before it");
    drop(ledger);
    let mut ledger = place.open();
    assert!(ledger.was_torn(), "its end is not on record");
    let end = RunEnd { at: 2_500, exit_code: 0, stop_reason: None, summary: "{}" };
    ledger.end_run(&end).expect("writes");
    drop(ledger);
    assert!(!place.open().was_torn());
}

#[test]
fn the_view_for_the_shell_shows_the_enrolled() {
    let place = Place::new();
    let mut ledger = place.open();
    let seq = go(&mut ledger, &intent("a", false));
    settle(&mut ledger, seq, "done", enrolled());
    go(&mut ledger, &intent("b", false));
    drop(ledger);
    let connection = rusqlite::Connection::open(&place.path).expect("opens");
    let row: (String, String, String) = connection
        .query_row("SELECT id, join_web_url, enrolled_at FROM enrolled", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .expect("one row");
    assert_eq!(row, ("a".to_owned(), LINK.to_owned(), "1970-01-01T00:00:02Z".to_owned()));
}

#[test]
fn one_run_at_a_time_and_death_frees_it() {
    let place = Place::new();
    let ledger = place.open();
    let second = Ledger::open(&place.path, &target("m"), 1).map(|_| ());
    assert!(matches!(second.expect_err("held").kind(), LedgerError::Held));
    assert!(Reading::open(&place.path).is_ok(), "looking is always allowed");
    drop(ledger);
    assert!(Ledger::open(&place.path, &target("m"), 1).is_ok());
}

#[test]
fn what_is_no_ledger_of_this_target_is_named_and_left_alone() {
    let refused = |path: &Path| {
        let before = std::fs::read(path).expect("reads");
        let error = Ledger::open(path, &target("m"), 1).map(|_| ()).expect_err("refused");
        assert_eq!(std::fs::read(path).expect("reads"), before, "{error}");
        assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
        error
    };
    let place = Place::new();
    drop(place.open());
    let other = Ledger::open(&place.path, &target("n"), 1).map(|_| ()).expect_err("refused");
    assert!(matches!(other.kind(), LedgerError::OtherTarget { .. }), "{other}");
    place.sql("PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)");
    assert!(matches!(refused(&place.path).kind(), LedgerError::Newer { found: 99, .. }));
    let text = place.path.with_extension("txt");
    std::fs::write(&text, "id,name\n1,Ada\n".repeat(100)).expect("writes");
    assert!(matches!(refused(&text).kind(), LedgerError::NotALedger));
    let foreign = place.path.with_extension("db");
    rusqlite::Connection::open(&foreign)
        .and_then(|c| c.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)"))
        .expect("writes");
    assert!(matches!(refused(&foreign).kind(), LedgerError::NotALedger));
}

#[test]
fn the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let mut ledger = place.open();
    go(&mut ledger, &intent("a", false));
    for side in ["", "-wal", "-shm", ".lock"] {
        let mut name = place.path.as_os_str().to_owned();
        name.push(side);
        let mode = std::fs::metadata(&name).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", name.display());
    }
}

#[test]
fn neither_ledger_nor_lock_is_written_through_a_link() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().expect("a folder");
    let precious = folder.path().join("precious");
    for side in ["", ".lock"] {
        std::fs::write(&precious, "").expect("writes");
        let path = folder.path().join(format!("linked{side}.ledger"));
        let mut link = path.as_os_str().to_owned();
        link.push(side);
        symlink(&precious, &link).expect("links");
        let error = Ledger::open(&path, &target("m"), 1_000).err().expect("refused");
        assert!(error.to_string().contains("symbolic link"), "{error}");
        assert_eq!(std::fs::metadata(&precious).expect("is there").len(), 0);
    }
    // A folder may well be one.
    let real = folder.path().join("real");
    std::fs::create_dir(&real).expect("a folder");
    symlink(&real, folder.path().join("state")).expect("links");
    Ledger::open(&folder.path().join("state/a.ledger"), &target("m"), 1_000).expect("opens");
}

#[tokio::test]
async fn many_tasks_write_through_one_scribe_and_all_of_it_is_there() {
    let place = Place::new();
    let scribe = LedgerWriter::start(place.open()).expect("a thread");
    let rows: Vec<String> = (0..1_000).map(|n| format!("id-{n}")).collect();
    let write = async |text: &String| {
        let granted = scribe.intend(intent(text, false)).await.expect("writes");
        let SendPermit::Go(seq) = granted else { panic!("held") };
        let attempt = Some(attempt("done"));
        scribe
            .settle(Transition { seq, attempt, becomes: enrolled(), at: 3_000 })
            .await
            .expect("writes");
    };
    futures_util::future::join_all(rows.iter().map(write)).await;
    drop(scribe.finish());
    let counts = Reading::open(&place.path).expect("opens").counts().expect("counts");
    assert_eq!(counts.of(State::Enrolled), 1_000);
    assert_eq!(counts.in_doubt(), 0);
}

#[tokio::test]
async fn once_its_file_is_gone_nothing_more_is_permitted_and_outcomes_are_still_taken() {
    for threaded in [true, false] {
        let place = Place::new();
        let mut ledger = place.open();
        go(&mut ledger, &intent("sent", false));
        std::fs::rename(&place.path, place.path.with_extension("moved")).expect("moved");
        std::fs::copy(place.path.with_extension("moved"), &place.path)
            .expect("a copy is another file");
        let writer = if threaded {
            LedgerWriter::start(ledger).expect("a thread")
        } else {
            LedgerWriter::here(ledger)
        };
        let next = writer.intend(intent("next", false)).await;
        let error = next.expect_err("nothing is to be sent");
        assert!(error.to_string().contains("deleted or replaced"), "{error}");
        let answered =
            Transition { seq: Seq(1), attempt: Some(attempt("done")), becomes: enrolled(), at: 1 };
        writer.settle(answered).await.expect("its link is wanted for the files");
        let ledger = writer.finish();
        assert_eq!(state(&ledger, "sent"), Some(State::Enrolled));
        assert!(ledger.is_in_place().is_err());
    }
}

#[tokio::test]
async fn after_a_failed_write_nothing_more_is_promised() {
    let place = Place::new();
    let mut ledger = place.open();
    go(&mut ledger, &intent("before", false));
    place.sql("DROP TABLE attempt");
    let scribe = LedgerWriter::start(ledger).expect("a thread");
    let lost =
        Transition { seq: Seq(1), attempt: Some(attempt("done")), becomes: enrolled(), at: 1 };
    assert!(scribe.settle(lost).await.is_err());
    let next = scribe.intend(intent("after", false)).await;
    assert!(matches!(next, Err(LedgerError::FailedBefore(_))), "{next:?}");
    let ledger = scribe.finish();
    assert_eq!(state(&ledger, "before"), Some(State::Sending), "what is on disk is the truth");
    assert_eq!(state(&ledger, "after"), None);
}

#[test]
fn a_write_counts_for_the_ceiling_from_when_the_server_may_have_counted_it() {
    let place = Place::new();
    let mut ledger = place.open();
    // Sent at 2,000 and answered at 2,120; then one whose run dies.
    let answered = go(&mut ledger, &intent("a", false));
    settle(&mut ledger, answered, "done", enrolled());
    go(&mut ledger, &intent("b", false));
    assert_eq!(ledger.recent_sends(0, 1_000).expect("reads"), [2_120]);
    assert_eq!(ledger.recent_sends(0, 50).expect("reads"), [2_050]);
    drop(ledger);
    let mut ledger = Ledger::open(&place.path, &target("m"), 9_000).expect("opens");
    ledger.begin_run(9_000).expect("begins");
    // Its intent is of 2,000; it may have left at any time before 9,000.
    assert_eq!(ledger.recent_sends(0, 1_000).expect("reads"), [2_120, 9_000]);
    drop(ledger);
    let mut ledger = Ledger::open(&place.path, &target("m"), 20_000).expect("opens");
    ledger.begin_run(20_000).expect("begins");
    assert_eq!(ledger.recent_sends(2_121, 1_000).expect("reads"), [9_000]);
}

const ADA: PersonFingerprint = PersonFingerprint { email: 5, name: 7 };

fn post_person(ledger: &mut Ledger, text: &str, person: PersonFingerprint) -> Seq {
    go(ledger, &Intent { person, ..intent(text, false) })
}

fn person(ledger: &Ledger, text: &str) -> PersonFingerprint {
    ledger.find(&id(text)).expect("reads").expect("is there").person
}

#[test]
fn a_fingerprint_comes_with_its_registrant_or_is_learnt_later() {
    let place = Place::new();
    let mut ledger = place.open();
    assert!(!ledger.knows_people().expect("reads"));
    let (a, b) = (
        post_person(&mut ledger, "a", ADA),
        post_person(&mut ledger, "b", PersonFingerprint::UNKNOWN),
    );
    assert_eq!((person(&ledger, "a"), person(&ledger, "b")), (ADA, PersonFingerprint::UNKNOWN));
    let bob = PersonFingerprint { email: u32::MAX, name: 0 };
    ledger.store_fingerprints(&[(a, bob), (b, ADA)]).expect("writes");
    assert_eq!((person(&ledger, "a"), person(&ledger, "b")), (bob, ADA));
    let mut given = Vec::new();
    ledger.for_each_fingerprint(|seq, person| given.push((seq, person))).expect("reads");
    assert_eq!(given, [(a, bob), (b, ADA)]);
    assert!(ledger.knows_people().expect("reads"));
    ledger.verify().expect("every seal fits");
    assert!(
        ledger.store_fingerprints(&[(a, ADA), (Seq(9), ADA)]).is_err(),
        "nobody has this number"
    );
    assert_eq!(person(&ledger, "a"), bob, "all of it or nothing");
}

#[test]
fn a_changed_fingerprint_and_a_changed_key_are_damage() {
    for (change, opens) in [
        ("UPDATE registrant SET person = person + 1", true),
        ("UPDATE registrant SET person = NULL", true),
        ("UPDATE person_key SET key = randomblob(16)", false),
        ("UPDATE person_key SET key = randomblob(15)", false),
        ("DELETE FROM person_key", false),
    ] {
        let place = Place::new();
        let mut ledger = place.open();
        let seq = post_person(&mut ledger, "a", ADA);
        drop(ledger);
        place.sql(change);
        let damaged = |error: LedgerError| {
            assert!(matches!(error.kind(), LedgerError::Damaged(_)), "{change}: {error}");
        };
        match Ledger::open(&place.path, &target("m"), 1) {
            Ok(mut ledger) => {
                assert!(opens, "{change}");
                damaged(ledger.find(&id("a")).map(drop).expect_err("damaged"));
                damaged(ledger.store_fingerprints(&[(seq, ADA)]).expect_err("damaged"));
            }
            Err(error) => {
                assert!(!opens, "{change}: {error}");
                damaged(error);
            }
        }
    }
}

/// The nanoseconds that this thread has had of a processor, so that what else runs does not count.
fn on_processor() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    told.split(' ').next().and_then(|text| text.parse().ok()).expect("a number")
}

/// What a look-up costs: `cargo test --release ledger -- --ignored --nocapture`.
#[test]
#[ignore = "measures"]
#[expect(clippy::print_stderr, reason = "the figures are what it is run for")]
fn a_look_up_takes_microseconds() {
    let count: u32 =
        std::env::var("LOOK_UPS").map_or(100_000, |text| text.parse().expect("a number"));
    let place = Place::new();
    let mut ledger = place.open();
    let ids: Vec<RegistrantId> = {
        let mut random = fastrand::Rng::with_seed(1);
        (0..count).map(|_| id(&Uuid::from_u128(random.u128(..)).to_string())).collect()
    };
    for part in ids.chunks(10_000) {
        commit(&mut ledger, |group| {
            for id in part {
                let SendPermit::Go(seq) =
                    group.intend(&Intent { id: id.clone(), ..intent("a", false) })?
                else {
                    panic!("held")
                };
                let becomes = NextState::Enrolled {
                    link: JoinLink::trusted(&format!("{LINK}{}{}", id.as_str(), "x".repeat(250))),
                    registrant_id: Some(id.as_str().to_owned()),
                    adopted: false,
                };
                group.settle(&Transition {
                    seq,
                    attempt: Some(attempt("done")),
                    becomes,
                    at: 2,
                })?;
            }
            Ok(())
        })
        .expect("writes");
    }
    drop(ledger);
    let ledger = place.open();
    let mut shuffled: Vec<usize> = (0..ids.len()).collect();
    fastrand::Rng::with_seed(2).shuffle(&mut shuffled);
    let measure = |what: &str, order: &[usize]| {
        let mut look_ups = ledger.look_ups().expect("reads");
        let start = on_processor();
        for &nth in order {
            assert!(look_ups.find(&ids[nth]).expect("reads").is_some());
        }
        let each = (on_processor() - start) / 1e3 / f64::from(count);
        eprintln!("{what}: {each:.2} µs");
    };
    let in_order: Vec<usize> = (0..ids.len()).collect();
    measure("in the ledger's order", &in_order);
    measure("in any order", &shuffled);
}

#[test]
fn a_cancellation_leaves_no_link_and_a_restored_ledger_no_absence() {
    let place = Place::new();
    let mut ledger = place.open();
    let seq = go(&mut ledger, &intent("a", false));
    let link = JoinLink::trusted(LINK);
    let enrolled = NextState::Enrolled { link, registrant_id: None, adopted: false };
    settle(&mut ledger, seq, "done", enrolled);
    let absence = Absence { reading: 1, since: 2, lists: 3, reread: false, declined: false };
    let list = ListRead { written_at: Some(1), content: 2, reading: 3, rows: 4 };
    assert_eq!(ledger.earlier_lists(&list).expect("reads"), EarlierLists::default());
    ledger.store_list(&list, true, 9, [(seq, absence)]).expect("stored");
    let earlier = EarlierLists { known: true, reading: Some(3), rows: Some(4) };
    assert_eq!(ledger.earlier_lists(&list).expect("reads"), earlier);
    assert_eq!(ledger.absences().expect("reads"), HashMap::from([(seq, absence)]));
    let cancel = CancelIntent { seq, reason: CancelReason::Missing, approved: false, at: 10 };
    let permit = commit(&mut ledger, |group| group.permit_cancellation(&cancel));
    assert_eq!(permit.expect("written"), SendPermit::Go(seq));
    assert_eq!(ledger.open_cancellations().expect("reads").len(), 1, "in doubt until it is told");
    assert_eq!(ledger.cancellations_since(9).expect("reads"), 1);
    let outcome = Some(CancelOutcome::Cancelled);
    ledger.end_cancellation(&CancelEnd { seq, attempt: None, outcome, at: 11 }).expect("written");
    let entry = ledger.find(&RegistrantId::trusted("a")).expect("reads").expect("known");
    assert!(entry.state == State::Ready && entry.link.is_none());
    assert!(ledger.absences().expect("reads").is_empty());
    let again = commit(&mut ledger, |group| group.permit_cancellation(&cancel));
    assert_eq!(again.expect("written"), SendPermit::Held(State::Ready), "once");
    // A copy from before a later run.
    ledger.store_list(&list, true, 12, [(seq, absence)]).expect("stored");
    drop(ledger);
    let backup = std::fs::read(&place.path).expect("reads");
    assert_eq!(place.open().absences().expect("reads").len(), 1);
    std::fs::write(&place.path, backup).expect("writes");
    assert!(place.open().absences().expect("reads").is_empty());
}
