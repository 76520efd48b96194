//! The canaries of a webinar: it is sent names, addresses and answers, and whatever the server
//! makes of them, they come out in the enrolled and the rejects file alone.

use std::path::Path;

use registrant_import::simulator::{
    Config, EventConfig, EventPrid, EventQuestion, Faults, QuestionKind, Served,
    SimulatedFault as Fault,
};

use super::canary::{loud, silent, silent_text};
use crate::{
    context::{Context, graph, side_by_side},
    servers::{Came, Server, webinar},
};

const COLUMNS: &str = "--map answer:Diet=Diet --map answer:Hall=Hall";

const RUN: &str = "run people.csv --settle 50ms --timeout 1s --concurrency 8 --rate 100/s --max-attempts 2 --set referrer=canary-referrer";

/// Rows of every kind: good ones, and one for each fault that quotes its cell.
fn context() -> Context {
    let mut text = "id,firstName,lastName,email,Diet,Hall\n".to_owned();
    for n in 0..8 {
        text.push_str(&format!(
            "canary-{n},Canaryada,Lovecanary,canary{n}@example.org,no canary,Canary hall\n"
        ));
    }
    for wrong in [
        "canary-8,Canarybob,Lovecanary,CANARY0@example.org,,canary hall",
        "canary-9,Canarybob,Lovecanary,canary,,canary hall",
        "canary-10,Canarybob,Lovecanary,canary10@example.org,,canary cellar",
        "canary-11,,,canary11@example.org,,",
        "canary-0,Canarybob,Lovecanary,canary12@example.org,,canary hall",
    ] {
        text.push_str(&format!("{wrong}\n"));
    }
    let context = Context::offline();
    context.file("people.csv", &text);
    context.file(
        "names.csv",
        "id,name,email\ncanary-1,\"Lovecanary, Canaryada\",canary@example.org\n",
    );
    context
}

/// A webinar whose form asks what [`place`] answers.
fn asking(faults: Faults) -> Config {
    let hall = QuestionKind::SingleChoice(vec!["Canary hall".into(), "Canary loft".into()]);
    let questions = vec![
        EventQuestion { required: false, ..EventQuestion::text("Diet") },
        EventQuestion { kind: hall, ..EventQuestion::text("Hall") },
    ];
    let webinar = EventConfig { questions, prid: EventPrid::Posted, ..EventConfig::default() };
    Config { event: webinar, faults, ..Config::default() }
}

fn target(url: &str) -> String {
    format!("--webinar w@t --graph-url {url}")
}

#[test]
fn every_command_is_silent() {
    let served = graph(asking(Faults::default()));
    let context = context().secret(&served.url(), "canary-secret");
    let target = target(&served.url());
    loud(&context, &format!("check people.csv --webinar {COLUMNS}"), 3);
    loud(&context, &format!("check people.csv --webinar {COLUMNS} --json --rejects c.csv"), 3);
    loud(&context, "check names.csv --webinar --map firstName=name --map lastName=name", 2);
    let split = "--map firstName=name --map lastName=name --set name-order=first-last";
    loud(&context, &format!("check names.csv --webinar {split}"), 0);
    loud(&context, &format!("doctor people.csv {COLUMNS} {target}"), 0);
    // Questions that are not asked, or not answered.
    loud(&context, &format!("doctor people.csv {target}"), 2);
    loud(&context, &format!("{RUN} {target}"), 2);
    loud(&context, &format!("{RUN} {target} {COLUMNS} --map answer:Canapes=Diet"), 2);
    let log = loud(&context, &format!("{RUN} {COLUMNS} {target}"), 3);
    for told in ["attempt", "client_request_id", "row{line=2}", "a token was obtained"] {
        assert!(log.contains(told), "the log does not tell {told}: {log}");
    }
    let account = "--report report.html --metrics run.prom --json";
    loud(&context, &format!("{RUN} {COLUMNS} {target} {account}"), 3);
    silent_text("the report", &context.read("report.html"));
    silent_text("the metrics", &context.read("run.prom"));
    // Another ledger takes over who is there; a third id meets an address that is taken.
    loud(&context, &format!("{RUN} {COLUMNS} {target} --ledger other.ledger"), 3);
    let renamed = context.read("people.csv").replace("canary-3,", "canary-30,");
    context.file("people.csv", &renamed);
    loud(&context, &format!("{RUN} {COLUMNS} {target}"), 3);
    for id in ["canary-2", "canary-3", "canary-30"] {
        loud(&context, &format!("explain {id} {target}"), 0);
    }
    loud(&context, "explain canary-2 --ledger other.ledger", 0);
    loud(&context, "explain canary-none --ledger other.ledger", 2);
    loud(&context, &format!("status {target}"), 0);
    loud(&context, &format!("status {target} --json"), 0);
    // Offline nobody knows the form, so the answer that it does not take is only "not sent yet".
    let export = format!("export people.csv {COLUMNS} --set referrer=canary-referrer {target}");
    loud(&context, &export, 5);
    loud(&context, &format!("{export} --json"), 5);
    loud(&context, "rehearse people.csv --webinar --output r.csv --rejects r2.csv", 3);
    // What must not be silent: the two files.
    let enrolled = context.read("people.enrolled.csv");
    assert!(enrolled.contains("meetup-join") && enrolled.contains("canary-4"), "{enrolled}");
    let rejects = context.read("people.rejects.csv");
    assert!(rejects.contains("canary11@example.org") && rejects.contains("canary cellar"));
    for (name, bytes) in context.files() {
        let is_csv = Path::new(&name).extension().is_some_and(|ending| ending == "csv");
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        for person in ["canaryada", "canarybob", "@example", "canary hall", "canary-secret", "eyj"]
        {
            let own = is_csv && !person.contains("secret") && person != "eyj";
            assert!(own || !text.contains(person), "{name} holds {person}");
        }
    }
}

#[test]
fn a_webinar_that_takes_nobody_is_told_in_silence() {
    let cases = [
        ("--webinar-status draft", 6),
        ("--webinar-status canceled", 6),
        ("--mode organization", 6),
        ("--refuse access-policy", 6),
        ("--refuse forbidden", 6),
        ("--capacity 3", 2),
        ("--capacity 3 --over-capacity", 3),
        ("--capacity 3 --waitlist", 4),
        ("--approval", 4),
    ];
    side_by_side(&cases, |&(options, code)| {
        let context = context();
        let line = "rehearse people.csv --webinar --settle 50ms --output r.csv --rejects r2.csv";
        let ran = context.run(&format!("{line} {options} -vvv"));
        assert_eq!(ran.code, Some(code), "{options}: {} {}", ran.stdout, ran.stderr);
        silent(options, &ran);
    });
}

/// A simulated Graph where most POSTs, lists and readings of links fail in these ways.
fn stormy(faults: &[Fault]) -> Served {
    let rates = faults.iter().flat_map(|fault| {
        ["", "list:", "read:"].map(|calls| {
            let percent = 40 / faults.len();
            format!("{calls}{}={percent}", fault.as_str()).parse().expect("a rate")
        })
    });
    graph(asking(Faults::new(rates.collect()).expect("at most 40 %")))
}

#[track_caller]
fn silent_in(faults: &[Fault]) {
    let served = stormy(faults);
    let context = context().secret(&served.url(), "canary-secret");
    let line = format!("{RUN} {COLUMNS} {} -vvv", target(&served.url()));
    for format in ["text", "json --json"] {
        let ran = context.run(&format!("{line} --log-format {format}"));
        assert!(matches!(ran.code, Some(2..=6)), "{faults:?}: {ran}");
        silent(&format!("{faults:?}"), &ran);
    }
    for n in 0..8 {
        let ran = context.run(&format!("explain canary-{n} {}", target(&served.url())));
        silent(&format!("explain after {faults:?}"), &ran);
    }
}

#[test]
fn faults_of_every_kind_are_silent() {
    use Fault::{
        BadGateway, CutBody, CutJson, EmptyBody, ExpiredToken, GatewayTimeoutAfterCommit, Html,
        NoConnection, NoContent, NoLink, OtherId, Refused, ResetAfterCommit, ResetBeforeCommit,
        ServerErrorAfterCommit, Throttled, Unavailable, WrongPrid,
    };
    let groups: [&[Fault]; 5] = [
        &[Refused, BadGateway, ServerErrorAfterCommit, GatewayTimeoutAfterCommit],
        &[ExpiredToken, Throttled, Unavailable],
        &[NoConnection, ResetBeforeCommit, ResetAfterCommit, CutBody],
        &[CutJson, EmptyBody, Html, NoContent],
        &[NoLink, WrongPrid, OtherId],
    ];
    side_by_side(&groups, |faults| silent_in(faults));
}

/// An error that quotes the whole request in every place that it has.
fn quoting(came: &Came, status: u16) -> (u16, String, String) {
    let said = format!("{} {} {}", came.line, came.head, came.body);
    let error = serde_json::json!({"error": {"code": said, "message": said,
        "innerError": {"request-id": said, "date": said}}});
    (status, "request-id: canary-3\r\nRetry-After: canary\r\n".to_owned(), error.to_string())
}

#[test]
fn a_server_that_quotes_everything_is_not_repeated() {
    side_by_side(&[400, 401, 403, 404, 409, 410, 422, 429, 500, 501, 503], |&status| {
        let server = Server::start(move |came| {
            webinar(came, "", "").unwrap_or_else(|| quoting(came, status))
        });
        let context = context().variable("GRAPH_TOKEN", "canary-token");
        let line = format!("{RUN} {} --max-duration 3s -vvv", target(&server.url));
        let ran = context.run(&line);
        assert!(ran.code >= Some(3), "{status}: {ran}");
        silent(&status.to_string(), &ran);
        let told = context.run(&format!("explain canary-0 {}", target(&server.url)));
        silent("explain", &told);
        let posted = |came: &Came| {
            came.line.starts_with("POST ")
                && ["canary-0", "Canaryada", "canary0@example.org"]
                    .iter()
                    .all(|it| came.body.contains(it))
        };
        assert!(server.came().iter().any(posted), "{status}: nothing was posted");
    });
}

#[test]
fn links_that_are_not_to_be_had_are_not_repeated() {
    // Everybody is there already, under names that the server makes up; each session quotes.
    let member = |n: usize| {
        format!(
            r#"{{"id":"canary-r{n}","email":"canary{n}@example.org","status":"{}","firstName":"Canaryada",
                "externalRegistrationInformation":{{"registrationId":"canary-{n}"}}}}"#,
            ["registered", "canaryStatus", "waitlisted", "canceled", "rejectedByOrganizer"][n % 5]
        )
    };
    let members = (0..8).map(member).collect::<Vec<_>>().join(",");
    side_by_side(&[200, 400, 401, 403, 404, 410, 429, 500], |&status| {
        let members = members.clone();
        let server = Server::start(move |came| {
            webinar(came, "", &members).unwrap_or_else(|| match status {
                200 => {
                    let url = "https://canary.example.org/l/meetup-join/canary?context=%7b%22prid%22%3a%22canary%22%7d";
                    (200, String::new(), format!(r#"{{"value":[{{"joinWebUrl":"{url}"}}]}}"#))
                }
                status => quoting(came, status),
            })
        });
        let context = context().variable("GRAPH_TOKEN", "canary-token");
        let ran = context.run(&format!("{RUN} {} --max-duration 3s -vvv", target(&server.url)));
        assert!(ran.code >= Some(3), "{status}: {ran}");
        silent(&format!("sessions {status}"), &ran);
        let asked = server.came().iter().any(|came| came.line.contains("/sessions"));
        assert!(asked, "{status}: no link was asked for");
        for n in 0..5 {
            let told = context.run(&format!("explain canary-{n} {}", target(&server.url)));
            silent("explain", &told);
        }
        silent("status", &context.run(&format!("status {}", target(&server.url))));
    });
}

#[test]
fn what_the_preflight_is_told_is_not_repeated() {
    // Each part of what a run reads first, with something planted in it.
    let parts: [(&str, &str); 6] = [
        ("/w%40t", r#"{"status":"canary@example.org","audience":"everyone"}"#),
        ("/w%40t", r#"{"status":"published","audience":"canary@example.org"}"#),
        ("/w%40t", "<p>canary@example.org</p>"),
        ("/registrationConfiguration", "<p>canary@example.org</p>"),
        ("/questions", r#"{"value":"canary@example.org"}"#),
        (
            "/registrations",
            r#"{"value":[{"email":"canary@example.org"}],"@odata.nextLink":"https://elsewhere.example.org/"}"#,
        ),
    ];
    side_by_side(&parts, |&(end, body)| {
        let server = Server::start(move |came| {
            if came.line.contains(&format!("{end} HTTP")) {
                return (200, String::new(), body.to_owned());
            }
            webinar(came, "", "").unwrap_or_else(|| quoting(came, 500))
        });
        let context = context().variable("GRAPH_TOKEN", "canary-token");
        for command in ["doctor people.csv", RUN] {
            let ran =
                context.run(&format!("{command} {} --max-duration 3s -vvv", target(&server.url)));
            // doctor reads no further page.
            let taken = end == "/registrations" && command != RUN;
            assert_eq!(ran.code == Some(0), taken, "{command} {body}: {}", ran.stderr);
            silent(&format!("{command} {body}"), &ran);
        }
    });
    side_by_side(&[400, 401, 403, 404, 410], |&status| {
        let server = Server::start(move |came| quoting(came, status));
        let context = context().variable("GRAPH_TOKEN", "canary-token");
        for command in ["doctor people.csv", RUN] {
            let ran = context.run(&format!("{command} {} -vvv", target(&server.url)));
            assert!(ran.code >= Some(5), "{command} {status}: {ran}");
            silent(&format!("{command} {status}"), &ran);
        }
    });
}
