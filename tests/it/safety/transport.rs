//! Where credentials go, and what a server can do to the program by its answers.

use std::time::Duration;

use registrant_import::simulator::{Config, Faults};

use super::MEETING;
use crate::{
    context::{Context, graph, side_by_side},
    people::persons,
    servers::{Answer, Server, meeting},
};

fn context() -> Context {
    let context = Context::offline().variable("GRAPH_TOKEN", "opaque");
    context.file("people.csv", persons(3));
    context
}

fn run(url: &str) -> String {
    format!("run people.csv --meeting {MEETING} --graph-url {url} --settle 50ms")
}

fn nothing() -> Answer {
    (404, String::new(), String::new())
}

#[test]
fn no_redirect_is_followed() {
    side_by_side(&[301, 302, 303, 307, 308], |&status| {
        for redirect_posts in [false, true] {
            let elsewhere = Server::start(|_| nothing());
            let to = format!("Location: {}/beta/stolen\r\n", elsewhere.url);
            let server = Server::start(move |came| match meeting(came) {
                Some(answer) if redirect_posts => answer,
                _ => (status, to.clone(), String::new()),
            });
            let ran = context().run(&format!("{} --on-unknown hold", run(&server.url)));
            // What became of the POSTs is not known; a registration that leads elsewhere is none.
            assert_eq!(
                ran.code,
                Some(if redirect_posts { 4 } else { 6 }),
                "{status}: {}",
                ran.stderr
            );
            assert!(elsewhere.came().is_empty(), "{status} was followed");
        }
    });
}

#[test]
fn the_secret_follows_no_redirect_either() {
    let elsewhere = Server::start(|_| nothing());
    let to = format!("Location: {}/token\r\n", elsewhere.url);
    let endpoint = Server::start(move |_| (307, to.clone(), String::new()));
    let context = Context::offline().secret(&endpoint.url, "secret");
    context.file("people.csv", persons(3));
    context.run(&format!("{} --organizer o", run(&endpoint.url))).expect(6);
    assert!(elsewhere.came().is_empty());
    let came = endpoint.came();
    assert!(came.iter().all(|came| came.line.starts_with("POST /tenant/oauth2/")), "{came:?}");
}

#[test]
fn a_list_that_goes_on_elsewhere_takes_no_token_there() {
    let server = Server::start(|came| {
        let answer = meeting(came).unwrap_or_else(nothing);
        if came.line.contains("/registrants") {
            let body = r#"{"value":[],"@odata.nextLink":"https://graph.evil.example/beta/x"}"#;
            return (200, String::new(), body.to_owned());
        }
        answer
    });
    let proxy = Server::start(|_| nothing());
    let context = context().variable("HTTPS_PROXY", &proxy.url);
    let ran = context.run(&run(&server.url)).expect(5);
    assert!(ran.stderr.contains("graph.evil.example), which gets no credential"), "{}", ran.stderr);
    assert!(
        proxy.came().is_empty() && server.came().iter().all(|came| came.line.starts_with("GET "))
    );
}

#[test]
fn no_credential_goes_to_an_unknown_host_or_over_plain_http() {
    // Were anything sent, it would be sent here.
    let proxy = Server::start(|_| nothing());
    let context = |name: &str, value: &str| {
        let context =
            context().variable("HTTPS_PROXY", &proxy.url).variable("HTTP_PROXY", &proxy.url);
        context.variable(name, value)
    };
    for (url, told) in [
        ("https://graph.evil.example", "add --trust-host graph.evil.example"),
        ("https://graph.microsoft.com.evil.example", "it is none of Microsoft's hosts"),
        ("http://graph.microsoft.com", "over plain http: use https"),
        ("https://user:opaque@graph.microsoft.com", "a user name has no place in it"),
    ] {
        let ran = context("NO", "MATTER").run(&run(url));
        assert_eq!(ran.code, Some(2), "{url}: {}", ran.stderr);
        assert!(ran.stderr.contains(told) && !ran.stderr.contains("user:opaque"), "{}", ran.stderr);
    }
    for host in ["login.evil.example", "http://login.microsoftonline.com"] {
        let context = context("AZURE_AUTHORITY_HOST", host)
            .variable("AZURE_TENANT_ID", "t")
            .variable("AZURE_CLIENT_ID", "c")
            .variable("AZURE_CLIENT_SECRET", "s");
        let line = format!("run people.csv --meeting {MEETING} --organizer o --auth client-secret");
        let ran = context.run(&line);
        assert_eq!(ran.code, Some(2), "{host}: {}", ran.stderr);
        assert!(ran.stderr.contains("AZURE_AUTHORITY_HOST"), "{}", ran.stderr);
    }
    assert!(proxy.came().is_empty(), "{:?}", proxy.came());
}

#[test]
fn a_proxy_of_the_environment_is_used_and_is_shown_no_token() {
    let proxy = Server::start(|_| (503, String::new(), String::new()));
    let context = context().variable("HTTPS_PROXY", &proxy.url).variable("HTTP_PROXY", &proxy.url);
    context.run(&format!("run people.csv --meeting {MEETING} --max-duration 1s")).expect(5);
    let came = proxy.came();
    assert!(!came.is_empty());
    for came in came {
        assert_eq!(came.line, "CONNECT graph.microsoft.com:443 HTTP/1.1");
        assert!(!came.head.contains("opaque") && !came.head.contains(MEETING), "{}", came.head);
    }
    // What is on this machine is asked for directly.
    let before = proxy.came().len();
    let served = graph(Config::default());
    let ran = context.run(&run(&served.url()));
    assert_eq!((ran.code, proxy.came().len()), (Some(0), before), "{}", ran.stderr);
}

/// The most memory that the process had so far, in MiB.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok()
        })
        .map_or(0, |kib| kib / 1_024)
}

#[test]
fn a_giant_answer_does_not_fill_the_memory() {
    // What is read first is asked for until time is up; a POST is given up at once.
    for (calls, code, within) in [("read", 5, "3s"), ("list", 5, "3s"), ("post", 4, "1m")] {
        let rate = format!("{calls}:giant-body=100").parse().expect("a rate");
        let faults = Faults::new(vec![rate]).expect("100 %");
        let served = graph(Config { faults, ..Config::default() });
        let context = context();
        let line = format!("{} --max-duration {within} --max-attempts 1", run(&served.url()));
        let mut child = context
            .command(&line)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("starts");
        let mut most = 0;
        let status = loop {
            most = most.max(peak(child.id()));
            if let Some(status) = child.try_wait().expect("waits") {
                break status;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(status.code(), Some(code), "{calls}");
        assert!((1..128).contains(&most), "{calls}: {most} MiB");
    }
}
