//! A token endpoint on loopback that answers as it is told and remembers what it was asked.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use registrant_import::auth::{AuthError, AuthSettings, Method, Tokens};
use registrant_import::graph::http::HttpOptions;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// In every secret that these tests plant.
pub(crate) const CANARY: &str = "canary";

/// What the endpoint got.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) form: BTreeMap<String, String>,
}

/// What it answers: status, header lines, body.
pub(crate) struct Answer(pub(crate) u16, pub(crate) &'static str, pub(crate) Value);

pub(crate) fn token(text: &str) -> Answer {
    Answer(200, "", json!({"token_type": "Bearer", "expires_in": 3600, "access_token": text}))
}

/// A refusal as of a server that repeats what it got.
pub(crate) fn refusal(error: &str, code: u32) -> Answer {
    let description = format!("AADSTS{code}: you sent canary-secret for someone@canary.example.");
    let trace = "0a1b2c3d-0000-0000-0000-000000000000";
    let body = json!({"error": error, "error_description": description, "error_codes": [code],
                      "trace_id": trace});
    Answer(400, "", body)
}

#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Endpoint {
    /// Answers request after request by `answer`, which gets its number.
    pub(crate) async fn start<A>(answer: A) -> Self
    where
        A: Fn(usize, &Seen) -> Answer + Send + Sync + 'static,
    {
        Self::on(TcpListener::bind("127.0.0.1:0").await.expect("a port"), answer)
    }

    /// The same on a given port.
    pub(crate) fn on<A>(listener: TcpListener, answer: A) -> Self
    where
        A: Fn(usize, &Seen) -> Answer + Send + Sync + 'static,
    {
        let address = listener.local_addr().expect("an address");
        let endpoint = Self { address, seen: Arc::default() };
        let (seen, answer) = (Arc::clone(&endpoint.seen), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                tokio::spawn(async move {
                    serve(stream, |request| {
                        let mut seen = seen.lock().expect("no panic");
                        seen.push(request.clone());
                        answer(seen.len() - 1, &request)
                    })
                    .await;
                });
            }
        });
        endpoint
    }

    /// A port that is taken, where nobody listens until the socket does.
    pub(crate) fn nobody() -> (Self, TcpSocket) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let address = socket.local_addr().expect("an address");
        (Self { address, seen: Arc::default() }, socket)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }

    /// The values of one field, request by request.
    pub(crate) fn fields(&self, name: &str) -> Vec<String> {
        self.seen().iter().filter_map(|seen| seen.form.get(name).cloned()).collect()
    }

    pub(crate) fn settings(&self, method: Method) -> AuthSettings {
        AuthSettings {
            method: Some(method),
            tenant: Some("tenant".to_owned()),
            client_id: Some("client".to_owned()),
            client_secret: Some(SecretString::from("canary-secret")),
            authority: Some(format!("http://{}", self.address)),
            http: HttpOptions {
                read_timeout: Duration::from_secs(2),
                total_timeout: Duration::from_secs(2),
                ..HttpOptions::default()
            },
            ..AuthSettings::default()
        }
    }

    pub(crate) fn tokens(&self, method: Method) -> Tokens {
        Tokens::new(&self.settings(method)).expect("settings")
    }
}

async fn serve(mut stream: TcpStream, answer: impl FnOnce(Seen) -> Answer) {
    let Some(request) = read(&mut stream).await else { return };
    let Answer(status, head, body) = answer(request);
    let body = body.to_string();
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n{head}");
    let text = format!("{head}Content-Length: {length}\r\n\r\n{body}");
    let _ = stream.write_all(text.as_bytes()).await;
}

async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        text.extend_from_slice(&buffer[..count]);
        let shown = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = shown.split_once("\r\n\r\n") else { continue };
        let head = head.to_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        if body.len() >= length.map_or(0, |length| length.parse().expect("a number")) {
            let line = shown.lines().next().unwrap_or_default().to_owned();
            let form = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
            return Some(Seen { line, head, form });
        }
    }
}

/// Passes an error on that shows no secret, however it is shown.
pub(crate) fn silent(error: AuthError) -> AuthError {
    let chain = std::iter::successors(error.source(), |cause| (*cause).source());
    let causes: Vec<_> = chain.map(|cause| format!("{cause} {cause:?}")).collect();
    let shown = format!("{error} {error:?} {error:#?} {causes:?}");
    assert!(!shown.contains(CANARY), "{shown}");
    error
}

/// The error of a sign-in that must fail.
pub(crate) async fn fail(tokens: &Tokens) -> AuthError {
    silent(tokens.bearer().await.expect_err("no token"))
}

/// The header of a sign-in that must not.
pub(crate) async fn bearer(tokens: &Tokens) -> String {
    let header = tokens.bearer().await.expect("a token");
    assert!(header.is_sensitive() && !format!("{header:?}").contains(CANARY));
    header.to_str().expect("ASCII").to_owned()
}
