//! The simulated Graph over TLS: which version of HTTP is agreed on, and by how many connections.

use registrant_import::simulator::{Config, Served, Simulator, Stats, Tls};

use crate::{context::Context, files, people::crowd};

/// A run of 300 people over TLS with these options, and what the server saw of it.
fn run(options: &str) -> Stats {
    let simulator = Simulator::new(Config { page_size: 100, ..Config::default() });
    let tls = Tls::generate().expect("a certificate");
    let address = "127.0.0.1:0".parse().expect("an address");
    let served = Served::start_on(&simulator, address, Some(tls.clone())).expect("a loopback port");
    let context = Context::offline();
    context.file("people.csv", crowd(300));
    context.file("ca.pem", tls.authority());
    let url = served.url();
    assert!(url.starts_with("https://"), "{url}");
    context
        .run_with(
            &[("GRAPH_TOKEN", "a-token")],
            &format!("run people.csv --meeting m1 --graph-url {url} {options}"),
        )
        .expect(0);
    files::each_link_is_its_own(&files::enrolled(&context, "people.enrolled.csv"));
    // A lost ledger: the pages of the list are read over TLS as well.
    let second = context.run_with(
        &[("GRAPH_TOKEN", "a-token")],
        &format!("run people.csv --meeting m1 --graph-url {url} {options} --ledger new.ledger"),
    );
    assert!(second.stdout.contains("exists-on-server"), "{second}");
    simulator.stats()
}

#[test]
fn http_2_is_agreed_on_and_one_connection_serves_a_run() {
    let stats = run("--ca-file ca.pem");
    assert_eq!((stats.created, stats.lists), (300, 1 + 3));
    assert_eq!(stats.http2, stats.calls, "all by HTTP/2");
    assert_eq!(stats.connections, 2, "one for each of two runs");
    assert!(stats.max_in_flight > 1, "several at one time");
}

#[test]
fn http_1_is_spoken_where_it_is_asked_for() {
    let stats = run("--ca-file ca.pem --http1");
    assert_eq!((stats.created, stats.http2), (300, 0));
    assert!(stats.connections > 2, "one for each request at one time");
}

#[test]
fn a_certificate_of_an_authority_that_nobody_trusts_is_refused() {
    let simulator = Simulator::new(Config::default());
    let tls = Tls::generate().expect("a certificate");
    let address = "127.0.0.1:0".parse().expect("an address");
    let served = Served::start_on(&simulator, address, Some(tls.clone())).expect("a loopback port");
    let context = Context::offline();
    let other = Tls::generate().expect("a certificate");
    context.file("ca.pem", other.authority());
    for trust in ["", "--ca-file ca.pem"] {
        let shown = context.run_with(
            &[("GRAPH_TOKEN", "a-token")],
            &format!("doctor --meeting m1 --graph-url {} {trust}", served.url()),
        );
        assert_ne!(shown.code, Some(0), "{shown}");
    }
    assert_eq!(simulator.stats().calls, 0);
}

#[test]
fn whoever_is_not_trusted_is_not_asked_again() {
    let tls = Tls::generate().expect("a certificate");
    let address = "127.0.0.1:0".parse().expect("an address");
    let simulator = Simulator::new(Config::default());
    let served = Served::start_on(&simulator, address, Some(tls.clone())).expect("a loopback port");
    let context = Context::offline();
    context.file("people.csv", crowd(3));
    let url = served.url();
    let graph = [("GRAPH_TOKEN", "a-token")];
    let sign_in = [
        ("AZURE_AUTHORITY_HOST", url.as_str()),
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_CLIENT_SECRET", "s"),
    ];
    let cause = "is from an authority that this machine does not trust; give that authority's certificate with --ca-file FILE";
    for variables in [&graph[..], &sign_in[..]] {
        for command in ["run", "doctor"] {
            let line = format!("{command} people.csv --meeting m1 --graph-url {url}");
            let shown = context.run_with(variables, &line).expect(6);
            assert!((shown.stdout.clone() + &shown.stderr).contains(cause), "{shown}");
        }
    }
    let line = format!("run people.csv --meeting m1 --graph-url {url} --json");
    let summary = context.run_with(&graph, &line).expect(6).json();
    assert_eq!((&summary["stopReason"], &summary["requests"]), (&"untrusted".into(), &1.into()));
    assert_eq!(simulator.stats().calls, 0);
}

#[test]
fn simulate_serves_tls_and_leaves_its_authority_in_a_file() {
    use std::io::{BufRead, BufReader};
    let context = Context::offline();
    context.file("people.csv", crowd(3));
    let mut simulate = context
        .command("simulate --tls ca.pem")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut url = String::new();
    let stdout = simulate.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut url).expect("a line");
    let ran = context.run_with(
        &[("GRAPH_TOKEN", "a-token")],
        &format!("run people.csv --meeting m1 --graph-url {} --ca-file ca.pem", url.trim()),
    );
    // A panic below must not leave it behind.
    simulate.kill().expect("it is ours to kill");
    simulate.wait().expect("it ends");
    assert!(context.read("ca.pem").contains("BEGIN CERTIFICATE"));
    ran.expect(0);
}
