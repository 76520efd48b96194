//! The simulator on a loopback port, for the commands `simulate` and `rehearse` and for tests
//! with real sockets.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    thread::{self, JoinHandle},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    response::Response,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderMap, HeaderName, StatusCode, Version, header, uri::Authority};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    time,
};

use super::{
    Simulator,
    answer::{Delivery, HttpAnswer},
    connection::{Door, Loopback, Tls, Wire},
    core::SimulatorClock,
    request::HttpCall,
};

/// The largest body that is read; Graph's own requests are far smaller.
const MAX_BODY: usize = 1 << 20;

/// How long answers under way are waited for at the end.
const GRACE: Duration = Duration::from_millis(500);

/// Serves a simulator until `shutdown` is ready.
///
/// # Errors
/// When the listener is not on a loopback address, or cannot be asked for it.
pub async fn serve(
    simulator: Simulator,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    serve_by(simulator, listener, None, shutdown).await
}

async fn serve_by(
    simulator: Simulator,
    listener: TcpListener,
    tls: Option<Tls>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    loopback_only(address)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let (end, ended) = watch::channel(false);
    let clock = SimulatorClock::new(&simulator);
    let door = match &tls {
        Some(tls) => Door::Tls(tls.listen(listener)),
        None => Door::Plain(listener),
    };
    let loopback = Loopback { door, address, simulator: simulator.clone() };
    let shell = Shell { simulator, clock, address, scheme, ended: ended.clone() };
    let service = Router::new()
        .fallback(answer)
        .with_state(shell)
        .into_make_service_with_connect_info::<Wire>();
    let serving = axum::serve(loopback, service).with_graceful_shutdown(until(ended));
    let serving = std::future::IntoFuture::into_future(serving);
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        result = &mut serving => return result,
        () = shutdown => {}
    }
    // Answers that never end listen for this; whatever else is under way has the grace.
    end.send_replace(true);
    time::timeout(GRACE, serving).await.unwrap_or(Ok(()))
}

fn loopback_only(address: SocketAddr) -> io::Result<()> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let message = format!("{address} is no loopback address; the simulator serves no other");
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

async fn until(mut ended: watch::Receiver<bool>) {
    // An error means that the sender is gone: the end as well.
    let _ = ended.wait_for(|ended| *ended).await;
}

/// A simulator that serves on a thread of its own, until this is dropped.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    scheme: &'static str,
    shutdown: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    /// Serves on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port, thread or runtime can be had.
    pub fn start(simulator: &Simulator) -> io::Result<Self> {
        Self::start_on(simulator, (Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Serves on this address, which must be a loopback one.
    ///
    /// # Errors
    /// When the port is taken, the address is no loopback one, or no thread or runtime can be had.
    pub fn start_on(simulator: &Simulator, address: SocketAddr) -> io::Result<Self> {
        Self::start_by(simulator, address, None)
    }

    /// The same over TLS, for clients that trust [`Tls::authority`].
    ///
    /// # Errors
    /// As [`Served::start_on`].
    pub fn start_tls(simulator: &Simulator, address: SocketAddr, tls: &Tls) -> io::Result<Self> {
        Self::start_by(simulator, address, Some(tls.clone()))
    }

    fn start_by(simulator: &Simulator, address: SocketAddr, tls: Option<Tls>) -> io::Result<Self> {
        loopback_only(address)?;
        let simulator = simulator.clone();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (shutdown, asked) = oneshot::channel::<()>();
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let thread = thread::Builder::new().name("simulator".to_owned()).spawn(move || {
            let asked = async {
                // The sender may also just be dropped.
                let _ = asked.await;
            };
            if let Err(error) = runtime.block_on(serve_by(simulator, listener, tls, asked)) {
                tracing::error!(%error, "the simulator stopped");
            }
        })?;
        Ok(Self { address, scheme, shutdown: Some(shutdown), thread: Some(thread) })
    }

    /// The address that it serves on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Scheme, host and port, without a final slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.shutdown.take());
        if let Some(thread) = self.thread.take() {
            // A panic over there was reported over there.
            let _ = thread.join();
        }
    }
}

#[derive(Clone)]
struct Shell {
    simulator: Simulator,
    clock: SimulatorClock,
    address: SocketAddr,
    scheme: &'static str,
    ended: watch::Receiver<bool>,
}

async fn answer(
    State(shell): State<Shell>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response {
    let (visit, arrived) = (shell.simulator.visit(), time::Instant::now());
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        // The client went away, or sent what no client of Graph sends.
        return plain(StatusCode::PAYLOAD_TOO_LARGE);
    };
    rest(visit.travel()).await;
    if parts.version == Version::HTTP_2 {
        shell.simulator.count_http2();
    }
    // HTTP/2 has no `Host`.
    let host = parts.uri.authority().map(Authority::as_str);
    let host = host.or_else(|| text(&parts.headers, &header::HOST));
    let base = match host {
        Some(host) => format!("{}://{host}", shell.scheme),
        None => format!("{}://{}", shell.scheme, shell.address),
    };
    let call = HttpCall {
        method: &parts.method,
        target: parts.uri.path_and_query().map_or("/", |target| target.as_str()),
        base: &base,
        authorization: text(&parts.headers, &header::AUTHORIZATION),
        client_request_id: text(&parts.headers, &HeaderName::from_static("client-request-id")),
        content_type: text(&parts.headers, &header::CONTENT_TYPE),
        body: &body,
    };
    let reply = visit.handle(shell.clock.now(), &call);
    // From the arrival on, because each sleep of its own would end up to a millisecond late.
    rest_until(arrived, visit.travel() + reply.delay).await;
    match reply.fate {
        Delivery::Answer(answer) => whole(answer),
        Delivery::NoConnection | Delivery::Reset { .. } => {
            wire.reset();
            plain(StatusCode::INTERNAL_SERVER_ERROR)
        }
        Delivery::CutBody { answer, sent } => {
            let sent = answer.body.slice(..sent);
            let rest = stream::once(async move {
                // The first half must be out before the connection breaks.
                time::sleep(Duration::from_millis(10)).await;
                wire.reset();
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            });
            drip(answer, stream::once(async { Ok(sent) }).chain(rest))
        }
        Delivery::SlowBody(answer) => {
            let body = answer.body.clone();
            let bytes = stream::iter(0..body.len()).then(move |at| {
                let byte = body.slice(at..=at);
                async move {
                    time::sleep(Duration::from_secs(1)).await;
                    Ok::<_, io::Error>(byte)
                }
            });
            drip(answer, bytes.take_until(Box::pin(until(shell.ended))))
        }
        Delivery::Silence(answer) => {
            let never = stream::pending::<Result<Bytes, io::Error>>();
            drip(answer, never.take_until(Box::pin(until(shell.ended))))
        }
        Delivery::Stall => {
            until(shell.ended).await;
            plain(StatusCode::SERVICE_UNAVAILABLE)
        }
        Delivery::Flood { mut answer, bytes } => {
            static BLANKS: [u8; 1 << 16] = [b' '; 1 << 16];
            let blocks = bytes.div_ceil(BLANKS.len() as u64);
            answer.body = Bytes::new();
            let flood =
                stream::iter(0..blocks).map(|_| Ok::<_, Infallible>(Bytes::from_static(&BLANKS)));
            let mut response = whole(answer);
            *response.body_mut() = Body::from_stream(flood);
            response
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

async fn rest(time: Duration) {
    if !time.is_zero() {
        time::sleep(time).await;
    }
}

async fn rest_until(start: time::Instant, time: Duration) {
    if !time.is_zero() {
        time::sleep_until(start + time).await;
    }
}

fn plain(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn whole(answer: HttpAnswer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

/// An answer that promises its whole body, which then comes as this stream gives it.
fn drip(
    answer: HttpAnswer,
    body: impl Stream<Item = Result<Bytes, io::Error>> + Send + 'static,
) -> Response {
    let length = answer.body.len();
    let body: Pin<Box<dyn Stream<Item = _> + Send>> = Box::pin(body);
    let mut response = whole(answer);
    *response.body_mut() = Body::from_stream(body);
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    response
}
