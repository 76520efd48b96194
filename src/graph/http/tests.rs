//! The transport against sockets that misbehave.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use ::http::{Method, StatusCode};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use uuid::Uuid;

use super::super::host::TrustedHosts;
use super::*;

mod proxy;
mod tls;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

fn options() -> HttpOptions {
    HttpOptions {
        connect_timeout: Duration::from_millis(400),
        read_timeout: Duration::from_millis(400),
        total_timeout: Duration::from_millis(1500),
        max_answer: 1024 * 1024,
        ..HttpOptions::default()
    }
}

fn http(scheme: &str, address: SocketAddr) -> Http {
    let base = GraphHost::parse(&format!("{scheme}://{address}"), &TrustedHosts::default());
    Http::new(base.expect("loopback"), &options()).expect("a client")
}

fn post(target: &str) -> Request {
    let mut authorization = HeaderValue::from_static("Bearer canary-token");
    authorization.set_sensitive(true);
    Request {
        method: Method::POST,
        target: target.to_owned(),
        authorization: Some(authorization),
        body: Some(Bytes::from_static(b"{\"id\":\"canary-id\"}")),
        client_request_id: Uuid::from_u128(7),
    }
}

/// Serves each connection by `handle`, which also gets its number.
async fn serve<H, F>(handle: H) -> SocketAddr
where
    H: Fn(TcpStream, usize) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(handle(stream, number));
        }
    });
    address
}

/// Reads one request to its end; empty when the client went away.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        text.extend_from_slice(&buffer[..count]);
        if count == 0 || text.ends_with(b"}") || text.ends_with(b"\r\n\r\n") {
            return String::from_utf8(text).expect("ASCII");
        }
    }
}

async fn fail(http: &Http) -> (Reach, TransportFailure) {
    let error = http.send(post("/beta/x/canary-path")).await.expect_err("no answer");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("canary"), "{shown}");
    (error.reach, error.kind)
}

#[tokio::test]
async fn the_request_is_sent_as_promised() {
    let address = serve(|mut stream, _| async move {
        let request = read_request(&mut stream).await;
        let head = format!("HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n", request.len());
        let _ = stream.write_all((head + &request).as_bytes()).await;
    })
    .await;
    let http = http("http", address);
    let answer = http.send(post("/beta/a%2Fb?$top=1")).await.expect("an answer");
    assert_eq!(answer.status, StatusCode::CREATED);
    let seen = String::from_utf8(answer.body.to_vec()).expect("ASCII").to_lowercase();
    for part in [
        "post /beta/a%2fb?$top=1 http/1.1\r\n",
        "accept: application/json\r\n",
        "accept-encoding: gzip\r\n",
        "authorization: bearer canary-token\r\n",
        "client-request-id: 00000000-0000-0000-0000-000000000007\r\n",
        "content-length: 18\r\n",
        "content-type: application/json\r\n",
        "user-agent: registrant-import/",
        "\r\n\r\n{\"id\":\"canary-id\"}",
    ] {
        assert!(seen.contains(part), "{part:?} in {seen}");
    }
    let bare = Request { body: None, authorization: None, ..post("/beta/x") };
    let answer = http.send(bare).await.expect("an answer");
    let seen = String::from_utf8(answer.body.to_vec()).expect("ASCII").to_lowercase();
    assert!(seen.contains("content-length: 0\r\n"), "else some servers answer 411: {seen}");
    assert!(!seen.contains("content-type") && !seen.contains("authorization"), "{seen}");
}

#[tokio::test]
async fn a_path_that_would_change_is_not_sent() {
    let address = serve(|_, _| async { panic!("a request left") }).await;
    let http = http("http", address);
    for target in ["/beta/registrants/..", "/beta/x/%2e%2E", "/beta/./x", "beta", "/a b", "/a\\b"] {
        let error = http.send(post(target)).await.expect_err("refused");
        assert_eq!(error.reach, Reach::NotSent, "{target}");
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    // A port that is taken, where nobody listens.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let address = socket.local_addr().expect("an address");
    assert_eq!(fail(&http("http", address)).await, (Reach::NotSent, TransportFailure::Refused));

    // TLS that is no TLS, and TLS that never comes.
    let garbage = serve(|mut stream, _| async move {
        let _ = stream.write_all(b"this is not TLS at all, sorry\r\n").await;
    })
    .await;
    assert_eq!(fail(&http("https", garbage)).await, (Reach::NotSent, TransportFailure::Connect));
    let silent = serve(|stream, _| async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(stream);
    })
    .await;
    assert_eq!(fail(&http("https", silent)).await, (Reach::NotSent, TransportFailure::TimedOut));
}

#[tokio::test]
async fn a_connection_that_takes_too_long_was_not_used() {
    // A full accept queue: the system drops what else knocks.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let listener = socket.listen(1).expect("a queue");
    let address = listener.local_addr().expect("an address");
    let mut queue = Vec::new();
    for _ in 0..4 {
        let knock = TcpStream::connect(address);
        queue.push(tokio::time::timeout(Duration::from_millis(50), knock).await);
    }
    assert_eq!(fail(&http("http", address)).await, (Reach::NotSent, TransportFailure::TimedOut));
}

#[tokio::test]
async fn a_reset_after_the_request_leaves_doubt() {
    let address = serve(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.set_zero_linger().expect("an option");
    })
    .await;
    assert_eq!(fail(&http("http", address)).await, (Reach::MaybeSent, TransportFailure::Broken));
}

#[tokio::test]
async fn silence_ends_by_the_time_limits() {
    let address = serve(|mut stream, number| async move {
        read_request(&mut stream).await;
        if number > 0 {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{").await;
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
    })
    .await;
    let http = http("http", address);
    assert_eq!(fail(&http).await, (Reach::MaybeSent, TransportFailure::TimedOut), "no answer");
    assert_eq!(fail(&http).await, (Reach::MaybeSent, TransportFailure::TimedOut), "half an answer");
}

#[tokio::test]
async fn a_trickle_ends_by_the_total_time_limit() {
    let address = serve(|mut stream, _| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n").await;
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    let begun = Instant::now();
    assert_eq!(fail(&http("http", address)).await, (Reach::MaybeSent, TransportFailure::TimedOut));
    assert!(begun.elapsed() >= options().total_timeout, "the read limit did not fire");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_cut_answer_is_no_answer() {
    for cut in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"joinWebUrl\":"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00",
        b"HTTP/1.1 20",
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    ] {
        let address = serve(move |mut stream, _| async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(cut).await;
        })
        .await;
        let outcome = fail(&http("http", address)).await;
        assert_eq!(outcome, (Reach::MaybeSent, TransportFailure::Broken), "{}", cut.escape_ascii());
    }
}

#[tokio::test]
async fn a_huge_answer_does_not_fill_the_memory() {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    const GIB: u64 = 1 << 30;
    let address = serve(|mut stream, number| async move {
        read_request(&mut stream).await;
        let length = if number == 0 { format!("Content-Length: {GIB}\r\n") } else { String::new() };
        let head = format!("HTTP/1.1 200 OK\r\n{length}\r\n");
        let _ = stream.write_all(head.as_bytes()).await;
        let block = vec![b' '; 64 * 1024];
        while WRITTEN.load(Ordering::Relaxed) < GIB && stream.write_all(&block).await.is_ok() {
            WRITTEN.fetch_add(64 * 1024, Ordering::Relaxed);
        }
    })
    .await;
    let http = http("http", address);
    assert_eq!(fail(&http).await, (Reach::MaybeSent, TransportFailure::TooLarge), "announced");
    assert_eq!(fail(&http).await, (Reach::MaybeSent, TransportFailure::TooLarge), "not announced");
    let written = WRITTEN.load(Ordering::Relaxed);
    assert!(written < 64 * 1024 * 1024, "{written} bytes were taken");
}

#[tokio::test]
async fn a_compressed_answer_is_bounded_by_what_it_becomes() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &vec![0; 8 * 1024 * 1024]).expect("memory");
    let bomb = Arc::new(encoder.finish().expect("memory"));
    assert!(bomb.len() < options().max_answer);
    let address = serve(move |mut stream, _| {
        let bomb = Arc::clone(&bomb);
        async move {
            read_request(&mut stream).await;
            let length = bomb.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n"
            );
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&bomb).await;
        }
    })
    .await;
    assert_eq!(fail(&http("http", address)).await, (Reach::MaybeSent, TransportFailure::TooLarge));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let address = serve(|mut stream, number| async move {
        assert_eq!(number, 0, "followed");
        read_request(&mut stream).await;
        let head = "HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\n";
        let _ = stream.write_all(format!("{head}Content-Length: 0\r\n\r\n").as_bytes()).await;
    })
    .await;
    let answer = http("http", address).send(post("/beta/x")).await.expect("an answer");
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
}

/// The server ends an idle connection: the next request goes out on a new one.
#[tokio::test]
async fn a_connection_closed_while_idle_costs_nothing() {
    let address = serve(|mut stream, _| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(OK).await;
    })
    .await;
    let http = http("http", address);
    for _ in 0..3 {
        assert!(http.send(post("/beta/x")).await.is_ok());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The server takes a second request on a kept connection and dies: it is never sent again.
#[tokio::test]
async fn a_post_on_a_reused_connection_is_never_sent_twice() {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    let address = serve(|mut stream, _| async move {
        for request in 0..2 {
            if !read_request(&mut stream).await.is_empty() {
                SEEN.fetch_add(1, Ordering::SeqCst);
            }
            if request == 0 {
                let _ = stream.write_all(OK).await;
            }
        }
    })
    .await;
    let http = http("http", address);
    assert!(http.send(post("/beta/x")).await.is_ok());
    assert_eq!(fail(&http).await, (Reach::MaybeSent, TransportFailure::Broken));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(SEEN.load(Ordering::SeqCst), 2);
}

/// The race itself: connections end at the very moment when they are used again. Whatever comes of
/// a request, the server never sees more of them than were sent, and `NotSent` is never said of one
/// that it saw.
#[tokio::test]
async fn the_race_for_a_closing_connection_is_never_told_wrongly() {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    let address = serve(|mut stream, number| async move {
        if !read_request(&mut stream).await.is_empty() {
            SEEN.fetch_add(1, Ordering::SeqCst);
        }
        let _ = stream.write_all(OK).await;
        if number % 2 == 0 {
            tokio::task::yield_now().await;
            let _ = stream.set_zero_linger();
        }
    })
    .await;
    let http = http("http", address);
    let (mut sent, mut not_sent) = (0, 0);
    for _ in 0..300 {
        sent += 1;
        if let Err(error) = http.send(post("/beta/x")).await {
            not_sent += usize::from(error.reach == Reach::NotSent);
        }
    }
    let seen = SEEN.load(Ordering::SeqCst);
    assert!(seen + not_sent <= sent, "{seen} seen, {not_sent} not sent, of {sent}");
    assert!(seen > 100);
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ca.pem");
    let with = |path: &Path| {
        let options = HttpOptions { ca_file: Some(path.to_owned()), ..options() };
        Http::new(GraphHost::of(super::super::host::Cloud::Global), &options)
    };
    assert!(matches!(with(&path), Err(HttpError::CaFile { .. })), "no file");
    std::fs::write(&path, "no certificate").expect("a file");
    assert!(matches!(with(&path), Err(HttpError::CaFile { .. })), "no PEM");
}
