//! What is said while Graph keeps a run waiting.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
};

use super::export;
use crate::{program::signal, servers::Server};

/// A server that answers every request with 429 and this `Retry-After`.
fn throttling(retry_after: &str) -> Server {
    let header = format!("retry-after: {retry_after}\r\n");
    Server::start(move |_| (429, header.clone(), String::new()))
}

#[test]
fn an_endless_wait_is_told_in_a_sentence() {
    let context = export(3);
    let server = throttling(&"9".repeat(30));
    let words = format!("run people.csv --meeting M --graph-url {} --max-duration 3s", server.url);
    let out = context.run(&words).expect(5);
    let told = out.stderr;
    let sentence =
        "the server asks to wait longer than a year; waiting one hour, then asking again\n";
    assert!(told.contains(sentence), "{told}");
    assert!(!told.contains("oddity") && !told.contains("18446744073709551615"), "{told}");
}

#[test]
fn a_person_is_told_how_long_graph_asks_to_wait() {
    let context = export(3);
    let server = throttling("600");
    for (options, end) in [
        ("", "for as long as it asks"),
        ("--max-duration 2h", "it is asked again after that, until "),
    ] {
        let words = format!("run people.csv --meeting M --graph-url {} {options}", server.url);
        let mut child = context.start(&words);
        let mut lines =
            BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
        let told = lines.find(|line| line.starts_with("Graph asks to wait until "));
        signal(&child, "USR1");
        let state = lines.find(|line| line.contains("which asked to wait until "));
        signal(&child, "INT");
        assert_eq!(child.wait().expect("ends").code(), Some(130));
        let told = told.expect("told");
        assert!(told.contains(end) && !told.contains("10 min"), "{told}");
        assert!(state.expect("told").contains("no row is sent yet"));
    }
}

#[test]
fn whoever_asks_a_throttled_run_hears_until_when_it_waits() {
    let context = export(30);
    // A few at once, and then one in a quarter of an hour.
    let words = "rehearse people.csv --limit 4/h --burst 3 --progress never";
    let mut child = context.start(words);
    let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let mut told = false;
    let mut last = String::new();
    for line in lines.map_while(Result::ok) {
        told |= line.contains(" of 29 rows: ") && line.contains("Graph asked to wait until ");
        if told {
            break;
        }
        // It is asked again after each answer, until it waits.
        std::thread::sleep(std::time::Duration::from_millis(200));
        signal(&child, "USR1");
        last = line;
    }
    signal(&child, "INT");
    assert_eq!(child.wait().expect("ends").code(), Some(130), "{last}");
    assert!(told, "{last}");
}

#[test]
fn a_person_is_told_that_graph_does_not_answer() {
    let context = export(3);
    // A port of this machine's that nobody listens on.
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = closed.local_addr().expect("its address").port();
    drop(closed);
    let words = format!("run people.csv --meeting M --graph-url http://127.0.0.1:{port}");
    let mut child = context.start(&words);
    let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let told = lines.map_while(Result::ok).find(|line| line.contains("does not answer"));
    signal(&child, "INT");
    assert_eq!(child.wait().expect("ends").code(), Some(130));
    let told = told.expect("told");
    assert!(told.contains("(connection refused): it is asked again for up to 10 min"), "{told}");
}
