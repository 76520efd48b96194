//! Canaries: secrets, names, addresses, ids and links are planted, every command is run as loud as
//! it can be, and none of them may come out but in the enrolled and the rejects file.

use std::io::{BufRead as _, BufReader, Read as _};

use registrant_import::simulator::{Config, Faults, Served, SimulatedFault as Fault};

use super::MEETING;
use crate::{
    context::{Context, Ran, graph, side_by_side},
    servers::{Came, Server, meeting},
};

/// Part of every planted text, and the ways in which one might come out all the same: as it is, in
/// base64 at each of the three alignments, as the head of a JWT, as a link or its context.
const TRACES: [&str; 7] =
    ["canary", "y2fuyxj5", "nhbmfye", "jyw5hcn", "eyj", "meetup-join", "%22prid%22"];

/// The identity of an organization's member, in two spellings.
const MEMBER: [&str; 2] =
    ["c0ffee00-aaaa-4bbb-8ccc-0123456789ab", "c0ffee00aaaa4bbb8ccc0123456789ab"];

/// Rows of every kind: good ones, and one for each fault that quotes its cell.
fn people() -> String {
    let mut text = "id,firstName,lastName,email,userId,tenantId\n".to_owned();
    for n in 0..12 {
        text.push_str(&format!(
            "canary-{n},Canaryada,Lovecanary,canary{n}@example.org,{0},{0}\n",
            MEMBER[n % 2]
        ));
    }
    text.push_str("canary-0,Another,Person,canary0@example.org,,\n");
    text.push_str("1.84416E+10,Canaryada,Lovecanary,canary,not-a-canary-guid,canary`guid`\n");
    text.push_str("can\u{fffd}canary,Canaryada,Lovecanary,canary@example.org,,\n");
    text.push_str("canary-cells,Canaryada\n");
    text.push_str("\"canary-quote\"canary,Canaryada,Lovecanary,canary@example.org,,\n");
    text.push_str(",Canaryada,Lovecanary,canary@example.org,,\n");
    text
}

fn context() -> Context {
    let context = Context::offline();
    context.file("people.csv", people());
    context
}

/// Fails where any of the traces stands in `text`.
#[track_caller]
pub(crate) fn silent_text(what: &str, text: &str) {
    let text = text.to_ascii_lowercase();
    for trace in TRACES.iter().chain(&MEMBER) {
        if let Some(at) = text.find(trace) {
            let from = text[..at].char_indices().rev().nth(200).map_or(0, |(at, _)| at);
            let until = text[at..].char_indices().nth(60).map_or(text.len(), |(more, _)| at + more);
            panic!("{what} holds {trace}: …{}…", &text[from..until]);
        }
    }
}

#[track_caller]
pub(crate) fn silent(what: &str, ran: &Ran) {
    silent_text(&format!("{what}: standard output"), &ran.stdout);
    silent_text(&format!("{what}: standard error"), &ran.stderr);
}

/// Runs `line` as loud as it can be: text and JSON, to standard error and to a file.
#[track_caller]
pub(crate) fn loud(context: &Context, line: &str, code: i32) -> String {
    let mut log = String::new();
    for (nth, format) in ["text", "json"].into_iter().enumerate() {
        let file = format!("log-{format}");
        let to_file = if nth == 0 { String::new() } else { format!(" --log-file {file}") };
        let ran = context.run(&format!("{line} -vvv --log-format {format}{to_file}"));
        assert_eq!(ran.code, Some(code), "{line}: {}{}", ran.stdout, ran.stderr);
        silent(line, &ran);
        log.push_str(&ran.stderr);
        if nth == 1 {
            let text = context.read(&file);
            silent_text(&format!("{line}: log file"), &text);
            log.push_str(&text);
            std::fs::remove_file(context.path(&file)).expect("removed");
        }
    }
    log
}

/// A simulated Graph of whose POSTs most fail, in these ways.
fn stormy(faults: &[Fault]) -> Served {
    let percent = 60 / faults.len();
    let rate = |fault: &Fault| format!("{}={percent}", fault.as_str()).parse().expect("a rate");
    let faults = Faults::new(faults.iter().map(rate).collect()).expect("at most 60 %");
    graph(Config { faults, ..Config::default() })
}

const RUN: &str = "run people.csv --settle 50ms --timeout 1s --concurrency 8";

#[test]
fn every_command_is_silent() {
    let served = graph(Config::default());
    let url = served.url();
    let context = context().secret(&url, "canary-secret");
    let target = format!("--meeting {MEETING} --organizer o --graph-url {url}");
    loud(&context, &format!("doctor people.csv {target}"), 0);
    loud(&context, "check people.csv", 3);
    loud(&context, "check people.csv --mode organization", 3);
    loud(&context, "check people.csv --mode organization --json", 3);
    let log = loud(&context, &format!("{RUN} {target}"), 3);
    for told in ["attempt", "client_request_id", "row{line=2}", "a token was obtained"] {
        assert!(log.contains(told), "the log does not tell {told}: {log}");
    }
    let account = "--report report.html --metrics run.prom";
    loud(&context, &format!("{RUN} {target} --json {account}"), 3);
    silent_text("the report", &context.read("report.html"));
    silent_text("the metrics", &context.read("run.prom"));
    loud(&context, &format!("status {target}"), 0);
    loud(&context, &format!("status --json {target}"), 0);
    loud(&context, &format!("explain canary-3 {target}"), 0);
    loud(&context, &format!("explain canary-none {target}"), 2);
    loud(&context, &format!("export people.csv {target}"), 3);
    loud(&context, &format!("export people.csv {target} --json"), 3);
    loud(&context, &format!("registration show {target}"), 0);
    loud(&context, &format!("registration enable --allow organization {target}"), 6);
    loud(&context, &format!("registration disable {target}"), 0);
    loud(&context, &format!("{RUN} {target}"), 6);
    loud(&context, "rehearse people.csv --output r.csv --rejects r.rejects.csv", 3);
    loud(&context, "rehearse people.csv --mode organization --output r.csv --rejects r2.csv", 3);
    // What must not be silent: the two files.
    let enrolled = context.read("people.enrolled.csv");
    assert!(enrolled.contains("meetup-join") && enrolled.contains("canary-3"), "{enrolled}");
    assert!(context.read("people.rejects.csv").contains("canary@example.org"));
    for (name, bytes) in context.files() {
        let own = name.starts_with("people.") || name.starts_with("r.") || name == "r2.csv";
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        assert!(own || name.ends_with(".ledger") || !text.contains("canary"), "{name}");
        assert!(!text.contains("canary-secret") && !text.contains("eyj"), "{name} holds a secret");
    }
}

/// Two runs, in text and in JSON, while most POSTs fail in these ways.
#[track_caller]
fn silent_in(faults: &[Fault]) {
    let served = stormy(faults);
    let context = context().secret(&served.url(), "canary-secret");
    let line = format!("{RUN} --meeting {MEETING} --organizer o --graph-url {} -vvv", served.url());
    let ran = context.run(&line);
    assert!(matches!(ran.code, Some(3 | 4 | 6)), "{faults:?}: {ran}");
    silent(&format!("{faults:?}"), &ran);
    let json = context.run(&format!("{line} --json --log-format json"));
    silent(&format!("{faults:?}"), &json);
}

fn silent_in_each(faults: &[&[Fault]]) {
    side_by_side(faults, |faults| silent_in(faults));
}

#[test]
fn errors_of_the_server_are_silent() {
    use Fault::{
        BadGateway, ExpiredToken, GatewayTimeoutAfterCommit, Refused, ServerErrorAfterCommit,
        Throttled, Unavailable, UnavailableRetryAfter,
    };
    silent_in_each(&[
        &[Refused, BadGateway, ServerErrorAfterCommit, GatewayTimeoutAfterCommit],
        &[ExpiredToken, Throttled, Unavailable, UnavailableRetryAfter],
    ]);
}

#[test]
fn broken_connections_are_silent() {
    use Fault::{
        CutBody, GiantBody, NoConnection, ResetAfterCommit, ResetBeforeCommit, Silence, Stall,
    };
    silent_in_each(&[
        &[NoConnection, ResetBeforeCommit, ResetAfterCommit, CutBody],
        &[GiantBody, Silence, Stall],
    ]);
}

#[test]
fn answers_that_are_no_answers_are_silent() {
    use Fault::{CutJson, EmptyBody, Html, NoContent, NoLink, OtherId, WrongPrid};
    silent_in_each(&[&[CutJson, EmptyBody, Html, NoContent], &[NoLink, WrongPrid, OtherId]]);
}

#[test]
fn a_server_that_quotes_everything_is_not_repeated() {
    side_by_side(&[400, 401, 403, 404, 409, 410, 422, 429, 500, 501, 503], |&status| {
        let server = Server::start(move |came| {
            meeting(came).unwrap_or_else(|| {
                let said = format!("{} {} {}", came.line, came.head, came.body);
                let error = serde_json::json!({"error": {"code": said, "message": said,
                    "innerError": {"request-id": said, "date": said}}});
                let quote = "request-id: canary-3\r\nRetry-After: canary\r\n".to_owned();
                (status, quote, error.to_string())
            })
        });
        let context = context().variable("GRAPH_TOKEN", "canary-token");
        let line = format!(
            "{RUN} --meeting {MEETING} --graph-url {} --max-duration 4s -vvv --max-rejects 9",
            server.url
        );
        let ran = context.run(&line);
        assert!(ran.code >= Some(3), "{status}: {ran}");
        silent(&status.to_string(), &ran);
        silent(
            "explain",
            &context
                .run(&format!("explain canary-0 --meeting {MEETING} --graph-url {}", server.url)),
        );
        let posted = |came: &Came| {
            came.line.starts_with("POST ")
                && came.head.contains("canary-token")
                && came.body.contains("canary-0")
        };
        assert!(server.came().iter().any(posted), "{status}: nothing was posted");
    });
}

#[test]
fn the_preflight_quotes_nothing_either() {
    side_by_side(&[400, 401, 403, 404, 410, 500], |&status| {
        let server = Server::start(move |came| {
            let said = format!("canary {}", came.head);
            let error = serde_json::json!({"error": {"code": "Code", "message": said}});
            (status, String::new(), error.to_string())
        });
        let context = context().variable("GRAPH_TOKEN", "canary-token");
        let target = format!("--meeting {MEETING} --graph-url {} -vvv", server.url);
        for command in
            ["doctor people.csv", "run people.csv --max-duration 1s", "registration show"]
        {
            if status == 500 && command != "run people.csv --max-duration 1s" {
                continue;
            }
            let ran = context.run(&format!("{command} {target}"));
            assert!(ran.code >= Some(5), "{command} {status}: {ran}");
            silent(&format!("{command} {status}"), &ran);
        }
    });
}

#[test]
fn what_is_no_list_of_people_is_not_quoted() {
    for (name, text) in [
        (
            "headless.csv",
            "canary-1,Canaryada,canary@example.org\ncanary-2,Canarybob,canary2@example.org\n",
        ),
        ("quote.csv", "id,name\ncanary-1,\"Canaryada\ncanary-2,Canarybob\n"),
        ("noid.csv", "name,email\nCanaryada,canary@example.org\n"),
        (
            "orders.csv",
            "id,name,email\ncanary-1,Canaryada,canary@example.org\ncanary-1,Canarybob,canary2@example.org\ncanary-1,Canarycyd,canary3@example.org\n",
        ),
    ] {
        let context = Context::offline();
        context.file(name, text);
        for command in ["check", "rehearse"] {
            let ran = context.run(&format!("{command} {name} -vvv"));
            silent(&format!("{command} {name}"), &ran);
        }
    }
}

#[test]
fn ids_come_into_the_log_only_when_they_are_asked_for() {
    let served = graph(Config::default());
    let context = context().secret(&served.url(), "canary-secret");
    let line = format!(
        "{RUN} --meeting {MEETING} --organizer o --graph-url {} -vv --log-file log",
        served.url()
    );
    let ran = context.run(&format!("{line} --log-ids"));
    silent("with --log-ids, outside the log", &ran);
    let log = context.read("log");
    assert!(log.contains("canary-3"), "{log}");
    for other in ["canary-secret", "anaryada", "ovecanary", "@", "meetup-join", "eyJ"] {
        assert!(!log.contains(other), "the log holds {other}: {log}");
    }
}

#[test]
fn sign_in_and_its_failures_are_silent() {
    let said = r#"{"error":"invalid_client","error_description":"AADSTS7000215: canary-secret","error_codes":[7000215],"trace_id":"canary"}"#;
    let server = Server::start(move |_| (401, String::new(), said.to_owned()));
    let context = context().secret(&server.url, "canary-secret");
    let target = format!("--meeting {MEETING} --organizer o --graph-url {} -vvv", server.url);
    for command in ["doctor", "run people.csv", "registration show", "login"] {
        let target = if command == "login" { "-vvv" } else { &target };
        let ran = context.run(&format!("{command} {target}"));
        assert_eq!(ran.code, Some(6), "{command}: {}{}", ran.stdout, ran.stderr);
        silent(command, &ran);
    }
    context.file("token", "canary token\n");
    let ran = context.run(&format!("doctor --token-file token --auth token {target}")).expect(6);
    silent("a token that is none", &ran);
    let command = "sh -c 'echo canary >&2; exit 1'";
    let ran =
        context.run(&format!("run people.csv --auth token --token-command \"{command}\" {target}"));
    assert_eq!(ran.code, Some(6), "{ran}");
    silent("a command that fails", &ran);
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    let context = context();
    for text in [
        "client-secret = \"canary-secret\"\n",
        "GRAPH_TOKEN = canary-token\n",
        "meeting = \"m\"\ntoken-file = [\"canary-token\"\n",
        "timeout = { token = \"canary-token\" }\n",
    ] {
        context.file("job.toml", text);
        let ran = context.run("run people.csv --job job.toml -vvv");
        assert_eq!(ran.code, Some(2), "{text}: {}", ran.stderr);
        silent(text, &ran);
    }
    let ran = context.run("run people.csv --meeting m --client-secret=canary-secret").expect(2);
    silent("a flag", &ran);
}

#[test]
fn signing_in_and_simulating_are_silent() {
    let context = context();
    let mut simulate = context.start("simulate -vvv --fault 400=30 --fault reset-after-commit=20");
    let mut out = BufReader::new(simulate.stdout.take().expect("piped"));
    let mut url = String::new();
    out.read_line(&mut url).expect("the address");
    let url = url.trim();
    let person = Context::offline()
        .variable("AZURE_AUTHORITY_HOST", url)
        .variable("AZURE_CLIENT_ID", "client")
        .variable("AZURE_TENANT_ID", "tenant");
    person.file("people.csv", people());
    // Ten seconds, of the two polls that Microsoft's five-second interval makes.
    let login = person.run("login -vvv").expect(0);
    assert!(
        login.stderr.contains("/devicelogin in any browser and enter the code"),
        "{}",
        login.stderr
    );
    silent("login", &login);
    let ran = person.run(&format!("{RUN} --meeting {MEETING} --graph-url {url} -vvv")).expect(3);
    silent("a person's run", &ran);
    let kept = person.read("state/registrant-import/sign-in.json");
    let kept: serde_json::Value = serde_json::from_str(&kept).expect("JSON");
    let refresh = kept["refresh_token"].as_str().expect("a refresh token").to_owned();
    for text in [&login.stderr, &login.stdout, &ran.stderr, &ran.stdout] {
        assert!(!text.contains(&refresh), "holds the refresh token: {text}");
    }
    simulate.kill().expect("ends");
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("reads");
    let told = simulate.wait_with_output().expect("ended").stderr;
    silent_text("simulate", &(rest + &String::from_utf8_lossy(&told)));
}
