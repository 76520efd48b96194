//! Exports that a command fetches: how it must end, and the recipes.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    context::{Context, Ran},
    program::signal,
};

const RUN: &str =
    "run --meeting m1 --organizer o --output out.csv --rejects rejects.csv --ledger l";

#[test]
fn what_a_command_writes_is_the_input() {
    let context = Context::new().variable("GRAPH_TOKEN", "opaque");
    context.file("job.toml", "input-command = [\"printf\", \"id\\n%s\\n\", \"A-1\"]\n");
    let ran = context.run(&format!("{RUN} --job job.toml")).expect(0);
    assert!(context.read("out.csv").contains("\nA-1,http"), "{ran}");
    let shell = "check --input-command 'printf \"id\\n%s\\n\" A-1 B-2 | sort -r' --json";
    assert_eq!(context.run(shell).json()["read"], 2);
    let both = context.run("check people.csv --input-command true").expect(2);
    assert!(both.stderr.contains("cannot be used with"), "{both}");
}

#[test]
fn a_command_that_does_not_end_well_sends_nothing() {
    let context = Context::new().variable("GRAPH_TOKEN", "opaque");
    let half = "printf \"id\\nA-1\\n\"; echo Hidden >&2;";
    for (command, told) in [
        (format!("{half} exit 22"), "the input command ended with exit status: 22"),
        (format!("{half} kill -9 $$"), "the input command ended with signal: 9"),
        (format!("{half} sleep 600"), "the input command did not end within 1 s"),
    ] {
        let ran = context.run(&format!("{RUN} --input-command '{command}' --input-timeout 1s"));
        let ran = ran.expect(5);
        assert!(ran.stderr.contains(told), "{ran}");
        assert!(!ran.stderr.contains("Hidden") && !ran.stderr.contains("printf"), "{ran}");
    }
    assert_eq!((context.stats().posts, context.files()), (0, Vec::new()));
    let ran = context.run(&format!("check -vv --input-command '{half} exit 3'")).expect(5);
    assert!(ran.stderr.contains("Hidden") && !ran.stderr.contains("A-1"), "{ran}");
}

#[test]
fn a_command_ends_with_the_program() {
    let context = Context::new().variable("GRAPH_TOKEN", "opaque");
    let command = "echo $$ > pid; exec sleep 600";
    for (words, name, code) in [(RUN, "TERM", 143), ("check", "INT", 130)] {
        let mut run = context.command(&format!("{words} --input-command '{command}'"));
        let child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let pid = loop {
            match fs::read_to_string(context.path("pid")) {
                Ok(pid) if pid.ends_with('\n') => break pid,
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        signal(&child, name);
        Ran::end_of(child).expect(code);
        // Killed, it may be on its way, or a zombie until somebody has waited for it.
        let state = || fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        while state().is_ok_and(|state| !state.contains(") Z ")) {
            std::thread::sleep(Duration::from_millis(10));
        }
        fs::remove_file(context.path("pid")).expect("the note goes");
    }
}

const LISTING: &str = "HTTP/1.1 200 X\r\nContent-Type: text/html\r\nContent-Length: 44\r\n\
    Connection: close\r\n\r\n<a href=\"attendees.xlsx\">attendees.xlsx</a>  ";

/// Answers requests in turn, each with a status and a body; gives the address, and collects what was
/// asked: request line and authorization.
fn serve(answers: Vec<(u16, Vec<u8>)>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("its address"));
    let own = address.clone();
    let asked = std::thread::spawn(move || {
        let mut asked = Vec::new();
        let mut answers = answers.into_iter().peekable();
        while let Some((status, body)) = answers.peek() {
            let (stream, _) = listener.accept().expect("a request");
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let mut told = lines.next().unwrap_or_default();
            for line in lines.take_while(|line| !line.is_empty()) {
                if line.to_lowercase().starts_with("authorization") {
                    told = format!("{told} {line}");
                }
            }
            let body = String::from_utf8(body.clone())
                .map_or(body.clone(), |text| text.replace("ADDRESS", &own).into_bytes());
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nLast-Modified: Mon, 02 Nov 2026 08:00:00 GMT\r\nConnection: close\r\n\r\n",
                body.len()
            );
            // Whoever looks for the file first, as rclone does, gets no body or a list of one file, and the
            // answer stays.
            let (head, body) = match told.split(' ').next() {
                Some("HEAD") => (head, Vec::new()),
                _ if told.contains("/exports/ ") => (LISTING.to_owned(), Vec::new()),
                _ => (head, body),
            };
            let is_look = body.is_empty() && *status == 200;
            let _ = (&stream).write_all(&[head.into_bytes(), body].concat());
            if !is_look {
                asked.push(told);
                answers.next();
            }
        }
        asked
    });
    (address, asked)
}

/// Whether a program is here. Where it is not, its recipe is left out, with a word.
#[expect(clippy::print_stderr, reason = "what is left out is said")]
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("left out: {program} is not installed");
    }
    found
}

/// A folder with the recipes and a token, in which this address stands for the real one.
fn recipes(real: &str, address: &str) -> Context {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/recipes");
    let context = Context::offline();
    for entry in fs::read_dir(folder).expect("the recipes") {
        let path = entry.expect("a recipe").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("a recipe");
        context.file(&name, text.replace(real, address));
    }
    context.file("token-header", "Authorization: Token secret\n");
    context
}

fn sample(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sheets/xlsx");
    fs::read(folder.join(name)).expect("a sheet")
}

#[test]
fn the_recipe_for_curl_fetches_a_sheet_with_a_token() {
    if !has("curl") {
        return;
    }
    let (address, asked) = serve(vec![(200, sample("sample-attendees.xlsx"))]);
    let context = recipes("https://events.example.org", &address);
    let checked = context.run("check --job curl.toml --json").json();
    assert_eq!(
        (&checked["valid"], &checked["detected"]["sheet"]),
        (&40.into(), &"sample-attendees".into())
    );
    let asked = asked.join().expect("it was asked");
    assert_eq!(asked, ["GET /export/attendees.xlsx HTTP/1.1 Authorization: Token secret"]);
    let (address, _) = serve(vec![(403, b"id\nA-1\n".to_vec())]);
    let context = recipes("https://events.example.org", &address);
    let ran = context.run("check --job curl.toml").expect(5);
    assert!(ran.stderr.contains("the input command ended with exit status: 22"), "{ran}");
}

#[test]
fn the_recipe_for_pretix_starts_an_export_and_waits_for_it() {
    if !has("curl") {
        return;
    }
    let list = b"Order code,Position ID,Status\nABC12,1,Paid\nABC12,2,Canceled\n".to_vec();
    let started = br#"{"download": "ADDRESS/download/1/2/"}"#.to_vec();
    let answers = vec![
        (202, started),
        (409, Vec::new()),
        (409, Vec::new()),
        (200, list.clone()),
        (200, list),
    ];
    let (address, asked) = serve(answers);
    let context = recipes("https://pretix.eu", &address).variable("PAUSE", "0");
    let checked = context.run("check --job pretix.toml --json").json();
    assert_eq!((&checked["valid"], &checked["excluded"]), (&1.into(), &1.into()), "{checked}");
    let asked = asked.join().expect("it was asked");
    assert!(
        asked[0]
            .starts_with("POST /api/v1/organizers/ORGANIZER/events/EVENT/exporters/orderlist/run/")
    );
    assert!(asked.iter().all(|asked| asked.ends_with(" Authorization: Token secret")), "{asked:?}");
}

#[test]
fn the_recipe_for_rclone_fetches_a_file_of_a_cloud() {
    if !has("rclone") {
        return;
    }
    let sheet = sample("sample-attendees.xlsx");
    let (address, asked) = serve(vec![(200, sheet)]);
    let context = recipes("events:", ":http:").variable("RCLONE_HTTP_URL", &address);
    let checked = context.run("check --job rclone.toml --json").json();
    assert_eq!(checked["valid"], 40, "{checked}");
    assert!(asked.join().expect("it was asked")[0].contains("/exports/attendees.xlsx"));
}
