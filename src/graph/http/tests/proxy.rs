//! A proxy from the environment. The environment of a running process cannot be changed safely, so
//! each test runs this binary again with another one.

use std::process::Command;

use super::super::super::host::Cloud;
use super::*;

/// Takes connections as a proxy that serves nobody, and tells the first line of each.
async fn proxy() -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let (sender, lines) = tokio::sync::mpsc::unbounded_channel();
    let address = serve(move |mut stream, _| {
        let sender = sender.clone();
        async move {
            let request = read_request(&mut stream).await;
            let _ = sender.send(request.lines().next().unwrap_or_default().to_owned());
            let _ = stream.write_all(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n").await;
        }
    })
    .await;
    (address, lines)
}

/// Runs the ignored test `name` with `proxy` for everything, and `target` in the environment.
async fn run(name: &str, proxy: SocketAddr, target: &str) {
    let proxy = format!("http://{proxy}");
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["--ignored", "--exact", &format!("graph::http::tests::proxy::{name}")]);
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"] {
        command.env(variable, &proxy);
    }
    for variable in ["NO_PROXY", "no_proxy", "REQUEST_METHOD"] {
        command.env_remove(variable);
    }
    command.env("TARGET", target);
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("no panic").expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
async fn graph_is_reached_through_the_proxy() {
    let (address, mut lines) = proxy().await;
    run("child_for_graph", address, "Graph").await;
    assert_eq!(lines.recv().await.as_deref(), Some("CONNECT graph.microsoft.com:443 HTTP/1.1"));
}

#[tokio::test]
#[ignore = "run by another test, in an environment of its own"]
async fn child_for_graph() {
    if std::env::var_os("TARGET").is_none() {
        return; // Without the parent's proxy it would leave this machine.
    }
    let http = Http::new(GraphHost::of(Cloud::Global), &options()).expect("a client");
    assert_eq!(fail(&http).await, (Reach::NotSent, TransportFailure::Connect), "the proxy says no");
}

#[tokio::test]
async fn this_machine_is_reached_without_it() {
    let (address, mut lines) = proxy().await;
    let target = serve(|mut stream, _| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(OK).await;
    })
    .await;
    run("child_for_loopback", address, &target.to_string()).await;
    assert!(lines.try_recv().is_err());
}

#[tokio::test]
#[ignore = "run by another test, in an environment of its own"]
async fn child_for_loopback() {
    let Ok(target) = std::env::var("TARGET") else { return };
    let http = http("http", target.parse().expect("an address"));
    assert!(http.send(post("/beta/x")).await.is_ok());
}
