//! Ends that nobody watches: a closed terminal, a closed pipe, a killed run, a line of cron's.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{Graph, folder, program, run, samples, signal, text};

const SLOW: &str = "rehearse people.csv --rate 10/s --progress never";

/// A run under way: it has told what it is about to do, and takes some three seconds more.
fn under_way(command: &mut Command) -> Child {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut told = child.stderr.take().expect("a pipe");
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"new registrants") && told.read(&mut byte).expect("readable") > 0 {
        text.push(byte[0]);
    }
    child.stderr = Some(told);
    std::thread::sleep(Duration::from_millis(300));
    child
}

/// Whether whoever started this process has it ignore SIGHUP, and so whatever it starts.
fn outlives_its_terminal() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_none_or(|mask| mask & 1 == 1)
}

#[test]
fn a_terminal_that_closes_ends_a_run_in_order_unless_it_is_to_outlive_it() {
    let folder = folder(30);
    if outlives_its_terminal() {
        let told = "this test was started by nohup or the like: half of it is left out";
        let _ = writeln!(std::io::stderr(), "{told}");
    } else {
        let child = under_way(&mut program(folder.path(), SLOW));
        signal(&child, "HUP");
        let out = child.wait_with_output().expect("ends");
        assert_eq!(out.status.code(), Some(143), "{}", text(&out.stderr));
        let rejects = fs::read_to_string(folder.path().join("people.rejects.csv"));
        let rejects = rejects.expect("written");
        assert!(rejects.contains(",not-attempted,terminated,"), "{rejects}");
    }

    let plain = program(folder.path(), SLOW);
    let mut outliving = Command::new("sh");
    outliving.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(plain.get_program());
    outliving.args(plain.get_args()).current_dir(folder.path()).stdin(Stdio::null());
    let child = under_way(&mut outliving);
    signal(&child, "HUP");
    let out = child.wait_with_output().expect("ends");
    assert_eq!(out.status.code(), Some(3), "{}", text(&out.stderr));
}

#[test]
fn a_summary_that_nobody_can_read_is_told_on_standard_error() {
    let folder = folder(3);
    for words in ["rehearse people.csv --json", "check people.csv --json"] {
        let mut command = program(folder.path(), words);
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let out = command.stdout(writer).stderr(Stdio::piped()).output().expect("starts");
        assert_eq!(out.status.code(), Some(0), "{words}");
        let told = text(&out.stderr);
        assert!(told.contains("error: standard output could not be written"), "{words}: {told}");
    }
}

#[test]
fn status_tells_a_run_that_goes_from_one_that_died() {
    let folder = folder(30);
    let graph = Graph::start(folder.path(), "");
    let words = format!(
        "run people.csv --meeting m --organizer o --graph-url {} --ledger l --rate 5/s",
        graph.1
    );
    let mut child = under_way(program(folder.path(), &words).env("GRAPH_TOKEN", "opaque"));
    let told = || {
        let json: serde_json::Value =
            serde_json::from_slice(&run(folder.path(), "status --ledger l --json").stdout)
                .expect("JSON");
        (text(&run(folder.path(), "status --ledger l").stdout), json["runs"][0]["going"].clone())
    };
    let (words, going) = told();
    assert!(words.contains("  is going\n") && going == true, "{words}");
    child.kill().expect("killed");
    child.wait().expect("ends");
    let (words, going) = told();
    assert!(words.contains("  died; the next run goes on\n") && going == false, "{words}");
}

#[test]
fn the_line_for_cron_hands_the_credential_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("import")).expect("a folder");
    fs::write(at("import/environment"), "GRAPH_TOKEN=handed-on\n").expect("writes");
    // In the program's place: says what it is given, and fails, so that cron mails it.
    let double = "#!/bin/sh\necho \"$GRAPH_TOKEN $*\"\nexit 2\n";
    fs::write(at("registrant-import"), double).expect("writes");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(at("registrant-import"), executable).expect("its rights");
    let table = fs::read_to_string(samples().join("deploy/crontab")).expect("the sample");
    let line = table.lines().find(|line| !line.starts_with('#')).expect("a line");
    let command = line.splitn(6, ' ').last().expect("a command");
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let out = Command::new("/bin/sh")
        .args(["-c", command])
        .env_clear()
        .env("HOME", folder.path())
        .env("PATH", path)
        .output()
        .expect("a shell");
    assert_eq!(text(&out.stdout), "exit 2: handed-on run --job job.toml --quiet\n");
}
