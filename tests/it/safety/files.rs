//! What is written is its owner's alone, holds no credential, and goes where it was sent.

use std::{
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use registrant_import::simulator::Config;

use super::place::{MEETING, Place, graph};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("is there").permissions().mode() & 0o777
}

#[test]
fn every_file_is_its_owners_and_holds_no_credential() {
    let served = graph(Config::default());
    let place = Place::new().with_secret(&served.url(), "planted-secret");
    place.write_people("people.csv", 5);
    let ran = place.say(&format!(
        "run people.csv --meeting {MEETING} --organizer o --graph-url {} -vvv --log-file log",
        served.url()
    ));
    assert_eq!(ran.code, 0, "{}", ran.err);
    let files = place.files();
    assert!(files.len() >= 6, "{:?}", files.iter().map(|file| &file.0).collect::<Vec<_>>());
    for (name, bytes) in files.iter().filter(|(name, _)| name != "people.csv") {
        assert_eq!(mode(&place.path(name)), 0o600, "{name}");
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
        let place = Place::new().with("GRAPH_TOKEN", "opaque");
        place.write_people("people.csv", 2);
        for precious in ["precious", ""] {
            let served = graph(Config::default());
            let target = format!("--meeting {MEETING} --graph-url {}", served.url());
            place.write("precious", precious);
            let _ = std::fs::remove_file(place.path(link));
            symlink(place.path("precious"), place.path(link)).expect("a link");
            let options = if options.is_empty() {
                format!("--ledger {}.ledger", precious.len())
            } else {
                options.to_owned()
            };
            let ran = place.say(&format!("run people.csv {target} {options}"));
            assert_eq!(place.read("precious"), precious, "{link} was followed");
            match followed {
                Some(told) => {
                    assert_eq!(ran.code, 2, "{link}: {}", ran.err);
                    assert!(ran.err.contains(told), "{}", ran.err);
                }
                None => assert_eq!(ran.code, 0, "{link}: {}", ran.err),
            }
        }
    }
}
