//! A token endpoint on loopback that answers as it is told and remembers what it was asked.

use std::{
    error::Error as _,
    net::{SocketAddr, TcpListener},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use registrant_import::auth::{AuthError, AuthSettings, Method, Tokens};
use registrant_import::graph::http::HttpOptions;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::servers::{Came, Server};

/// In every secret that these tests plant.
pub(crate) const CANARY: &str = "canary";

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

pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    server: Option<Server>,
}

impl Endpoint {
    /// Answers request after request by `answer`, which gets its number.
    pub(crate) fn start<A>(answer: A) -> Self
    where
        A: Fn(usize, &Came) -> Answer + Send + Sync + 'static,
    {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("a port"), answer)
    }

    /// The same on a given port.
    pub(crate) fn on<A>(listener: TcpListener, answer: A) -> Self
    where
        A: Fn(usize, &Came) -> Answer + Send + Sync + 'static,
    {
        let address = listener.local_addr().expect("an address");
        let number = AtomicUsize::new(0);
        let server = Server::on(listener, move |came| {
            let Answer(status, head, body) = answer(number.fetch_add(1, Ordering::SeqCst), came);
            (status, head.to_owned(), body.to_string())
        });
        Self { address, server: Some(server) }
    }

    /// A port that is taken, where nobody listens until the socket does.
    pub(crate) fn nobody() -> (Self, TcpSocket) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let address = socket.local_addr().expect("an address");
        (Self { address, server: None }, socket)
    }

    pub(crate) fn seen(&self) -> Vec<Came> {
        self.server.as_ref().expect("somebody listens").came()
    }

    /// The values of one field, request by request.
    pub(crate) fn fields(&self, name: &str) -> Vec<String> {
        self.seen().iter().filter_map(|seen| seen.form().get(name).cloned()).collect()
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
