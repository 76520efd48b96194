//! What is written is its owner's alone, holds no credential, and goes where it was sent.

use std::os::unix::fs::symlink;

use registrant_import::simulator::Config;

use super::MEETING;
use crate::{
    context::{Context, graph},
    people::persons,
};

#[test]
fn every_file_is_its_owners_and_holds_no_credential() {
    let served = graph(Config::default());
    let context = Context::offline().secret(&served.url(), "planted-secret");
    context.file("people.csv", persons(5));
    context
        .run(&format!(
            "run people.csv --meeting {MEETING} --organizer o --graph-url {} -vvv --log-file log",
            served.url()
        ))
        .expect(0);
    let files = context.files();
    assert!(files.len() >= 6, "{:?}", files.iter().map(|file| &file.0).collect::<Vec<_>>());
    for (name, bytes) in files.iter().filter(|(name, _)| name != "people.csv") {
        assert_eq!(context.mode(name), 0o600, "{name}");
        let text = String::from_utf8_lossy(bytes);
        for secret in ["planted-secret", "eyJ", "Bearer"] {
            assert!(!text.contains(secret), "{name} holds {secret}");
        }
    }
}

#[test]
fn no_file_is_written_through_a_symbolic_link() {
    for (link, options, followed) in [
        ("log", "--log-file log", Some("--log-file log: it is a symbolic link")),
        ("a.ledger", "--ledger a.ledger", Some("a.ledger: it is a symbolic link")),
        ("a.ledger.lock", "--ledger a.ledger", Some("a.ledger: it is a symbolic link")),
        // A file that is replaced as a whole takes the link's place.
        ("people.enrolled.csv", "", None),
        ("people.rejects.csv", "", None),
    ] {
        let context = Context::offline().variable("GRAPH_TOKEN", "opaque");
        context.file("people.csv", persons(2));
        for precious in ["precious", ""] {
            let served = graph(Config::default());
            let target = format!("--meeting {MEETING} --graph-url {}", served.url());
            context.file("precious", precious);
            let _ = std::fs::remove_file(context.path(link));
            symlink(context.path("precious"), context.path(link)).expect("a link");
            let options = if options.is_empty() {
                format!("--ledger {}.ledger", precious.len())
            } else {
                options.to_owned()
            };
            let ran = context.run(&format!("run people.csv {target} {options}"));
            assert_eq!(context.read("precious"), precious, "{link} was followed");
            match followed {
                Some(told) => {
                    assert_eq!(ran.code, Some(2), "{link}: {}", ran.stderr);
                    assert!(ran.stderr.contains(told), "{}", ran.stderr);
                }
                None => assert_eq!(ran.code, Some(0), "{link}: {}", ran.stderr),
            }
        }
    }
}
