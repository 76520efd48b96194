//! What must not be left or let through: files beside a ledger that was only looked at, and a
//! file's or a server's commands to the terminal.

use std::fs;

use registrant_import::simulator::Config;

use super::{export, export_with};

#[test]
fn a_look_at_a_ledger_leaves_nothing_beside_it() {
    let context = export_with(Config::default(), 5);
    context.run("run people.csv --meeting M --ledger l.ledger").expect(0);
    let files = || {
        let mut names: Vec<_> = fs::read_dir(context.path(""))
            .expect("reads")
            .map(|file| file.expect("a file").file_name())
            .collect();
        names.sort();
        names
    };
    let before = files();
    let status = context.run("status --ledger l.ledger");
    assert!(status.stdout.contains("5  enrolled, link held"), "{}", status.stdout);
    let story = context.run("explain SECRET-1 --ledger l.ledger");
    assert!(story.stdout.contains("its link is held"), "{}", story.stdout);
    assert_eq!(files(), before);
    // A ledger whose log holds something that the file itself does not is read with its log.
    let writer = rusqlite::Connection::open(context.path("l.ledger")).expect("opens");
    let sql = "UPDATE registrant SET state = 0 WHERE id = 'SECRET-1'";
    assert_eq!(writer.execute(sql, []).expect("writes"), 1);
    let status = context.run("status --ledger l.ledger");
    assert!(status.stdout.contains("4  enrolled, link held"), "{}", status.stdout);
}

#[test]
fn nothing_that_a_file_says_commands_the_terminal() {
    let context = export(1);
    let csv = "ticket\u{1b}]0;owned\u{7},na\u{1b}[2Jme\n1,Ada\n";
    context.file("bad.csv", csv);
    for words in ["check bad.csv", "rehearse bad.csv", "check bad.csv --map id=nowhere"] {
        let out = context.run(words);
        let told = out.stdout + &out.stderr;
        assert!(told.contains("ticket\u{fffd}]0;owned\u{fffd}"), "{words}: {told}");
        assert!(!told.contains(['\u{1b}', '\u{7}']), "{words}: {told}");
    }
}
