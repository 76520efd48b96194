//! Two load generators. The barest kind sends the bytes of one request over and over and finds the
//! ends of the answers by their lengths: what sockets and server allow. The other is the program's own
//! HTTP client with nothing around it: what is left to win by all that is not the client.

use std::{
    env,
    time::{Duration, Instant},
};

use http::{HeaderValue, Method};
use memchr::memmem;
use registrant_import::graph::{
    host::{GraphHost, TrustedHosts},
    http::{Http, HttpOptions},
    transport::{Request, Transport as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use uuid::Uuid;

use super::program::{CLIENT, Fault, pinned, watch};

const CONNECTIONS: u64 = 64;

/// The path of a row's POST.
const TARGET: &str = "/beta/me/onlineMeetings/B/registration/registrants";

/// What sends the requests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generator {
    /// Plain sockets.
    Sockets,
    /// The program's HTTP client.
    Client,
}

impl Generator {
    pub(crate) fn named(word: &str) -> Option<Self> {
        match word {
            "sockets" => Some(Self::Sockets),
            "client" => Some(Self::Client),
            _ => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Sockets => "sockets",
            Self::Client => "client",
        }
    }

    /// Runs this bench once more as the load generator, on the client's core; requests per second.
    pub(crate) fn run(self, url: &str, seconds: u64) -> Result<f64, Fault> {
        let own = env::current_exe()?;
        let mut command = pinned(CLIENT, own.to_str().ok_or("the bench's path is no text")?);
        let ran = watch(command.args(["generate", self.word(), url, &seconds.to_string()]))?;
        ran.summary.as_f64().ok_or_else(|| "the load generator told no rate".into())
    }

    /// The load generator itself: prints requests per second.
    pub(crate) fn generate(self, url: &str, seconds: &str) -> Result<(), Fault> {
        let address = url.strip_prefix("http://").ok_or("no plain address")?.to_owned();
        let time = Duration::from_secs(seconds.parse()?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let pool = usize::try_from(CONNECTIONS)?;
        let client = Http::new(
            GraphHost::parse(url, &TrustedHosts::default())?,
            &HttpOptions { pool, http1: true, ..HttpOptions::default() },
        )?;
        let start = Instant::now();
        let end = start + time;
        let sent = runtime.block_on(async {
            let one = async |n| match self {
                Self::Sockets => send(&address, n, end).await,
                Self::Client => send_by(&client, n, end).await,
            };
            let all = futures_util::future::join_all((0..CONNECTIONS).map(one)).await;
            all.into_iter().sum::<Result<u64, _>>()
        })?;
        #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
        let rate = sent as f64 / start.elapsed().as_secs_f64();
        println!("{rate}");
        Ok(())
    }
}

fn body(connection: u64, sent: u64) -> String {
    format!(
        "{{\"@odata.type\":\"#microsoft.graph.externalMeetingRegistrant\",\"id\":\"{:016x}\"}}",
        sent * CONNECTIONS + connection
    )
}

async fn send_by(client: &Http, connection: u64, end: Instant) -> std::io::Result<u64> {
    let mut sent = 0;
    while Instant::now() < end {
        let answer = client
            .send(Request {
                method: Method::POST,
                target: TARGET.to_owned(),
                authorization: Some(HeaderValue::from_static("Bearer a-token")),
                body: Some(body(connection, sent).into()),
                client_request_id: Uuid::from_u128(u128::from(sent)),
            })
            .await
            .map_err(std::io::Error::other)?;
        if !answer.status.is_success() {
            return Err(std::io::Error::other("refused"));
        }
        sent += 1;
    }
    Ok(sent)
}

async fn send(address: &str, connection: u64, end: Instant) -> std::io::Result<u64> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sent, mut answer) = (0, Vec::with_capacity(4_096));
    while Instant::now() < end {
        let body = body(connection, sent);
        let request = format!(
            "POST {TARGET} HTTP/1.1\r\nHost: {address}\r\n\
             Accept: application/json\r\nAuthorization: Bearer a-token\r\n\
             client-request-id: 9d96988d-a66a-46ce-aad7-0b245615b297\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        answer.clear();
        loop {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if length(&answer).is_some_and(|length| answer.len() >= length) {
                break;
            }
        }
        if !answer.starts_with(b"HTTP/1.1 200") {
            return Err(std::io::Error::other("refused"));
        }
        sent += 1;
    }
    Ok(sent)
}

/// The whole length of an answer whose head is there.
fn length(answer: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length: ";
    let head = memmem::find(answer, b"\r\n\r\n")? + 4;
    let start = memmem::find(&answer[..head], NAME)? + NAME.len();
    let digits = answer[start..head].iter().take_while(|byte| byte.is_ascii_digit());
    let body = digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    Some(head + body)
}
