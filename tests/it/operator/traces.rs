//! What must not be left or let through: files beside a ledger that was only looked at, and a
//! file's or a server's commands to the terminal.

use std::fs;

use super::{Graph, folder, run, text};

#[test]
fn a_look_at_a_ledger_leaves_nothing_beside_it() {
    let folder = folder(5);
    let graph = Graph::start(folder.path(), "");
    let words = format!("run people.csv --meeting M --graph-url {} --ledger l.ledger", graph.1);
    assert_eq!(run(folder.path(), &words).status.code(), Some(0));
    let files = || {
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .expect("reads")
            .map(|file| file.expect("a file").file_name())
            .collect();
        names.sort();
        names
    };
    let before = files();
    let status = run(folder.path(), "status --ledger l.ledger");
    assert!(text(&status.stdout).contains("5  enrolled, link held"), "{}", text(&status.stdout));
    let story = run(folder.path(), "explain SECRET-1 --ledger l.ledger");
    assert!(text(&story.stdout).contains("its link is held"), "{}", text(&story.stdout));
    assert_eq!(files(), before);
    // A ledger whose log holds something that the file itself does not is read with its log.
    let writer = rusqlite::Connection::open(folder.path().join("l.ledger")).expect("opens");
    let sql = "UPDATE registrant SET state = 0 WHERE id = 'SECRET-1'";
    assert_eq!(writer.execute(sql, []).expect("writes"), 1);
    let status = run(folder.path(), "status --ledger l.ledger");
    assert!(text(&status.stdout).contains("4  enrolled, link held"), "{}", text(&status.stdout));
}

#[test]
fn nothing_that_a_file_says_commands_the_terminal() {
    let folder = folder(1);
    let csv = "ticket\u{1b}]0;owned\u{7},na\u{1b}[2Jme\n1,Ada\n";
    fs::write(folder.path().join("bad.csv"), csv).expect("writes");
    for words in ["check bad.csv", "rehearse bad.csv", "check bad.csv --map id=nowhere"] {
        let out = run(folder.path(), words);
        let told = text(&out.stdout) + &text(&out.stderr);
        assert!(told.contains("ticket\u{fffd}]0;owned\u{fffd}"), "{words}: {told}");
        assert!(!told.contains(['\u{1b}', '\u{7}']), "{words}: {told}");
    }
}
