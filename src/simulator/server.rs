//! The simulator on a loopback port, for the commands `simulate` and `rehearse` and for tests
//! with real sockets.
//!
//! Its connections can be broken on purpose: what HTTP cannot say is done to the socket. With TLS,
//! an authority and a certificate for this machine are made anew each time, and HTTP/2 or HTTP/1.1
//! is agreed on within the handshake (ALPN), as Graph does.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    thread::{self, JoinHandle},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State, connect_info::Connected},
    response::{IntoResponse as _, Response},
    serve::{IncomingStream, Listener},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{StatusCode, Version, header, uri::Authority};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot, watch},
    time,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};

use super::{
    answer::{Delivery, HttpAnswer},
    core::{Simulator, SimulatorClock},
    request::HttpCall,
};

/// The largest body that is read; Graph's own requests are far smaller.
const MAX_BODY: usize = 1 << 20;

/// How long answers under way are waited for at the end.
const GRACE: Duration = Duration::from_millis(500);

/// The length of a body that is larger than any bound a client should put on an answer.
const GIANT: usize = 1 << 30;

/// Serves a simulator until `shutdown` is ready.
async fn serve(
    simulator: Simulator,
    listener: std::net::TcpListener,
    tls: Option<Tls>,
    shutdown: oneshot::Receiver<()>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    let (end, ended) = watch::channel(false);
    let shell = Shell {
        clock: SimulatorClock::new(&simulator),
        simulator: simulator.clone(),
        own_base: format!("{}://{address}", scheme(tls.as_ref())),
        scheme: scheme(tls.as_ref()),
        ended: ended.clone(),
    };
    let service = Router::new()
        .fallback(answer)
        .with_state(shell)
        .into_make_service_with_connect_info::<ResetSwitch>();
    let listener = ConnectionListener::new(listener, tls, simulator)?;
    let serving = axum::serve(listener, service).with_graceful_shutdown(until(ended));
    let mut serving = std::pin::pin!(serving.into_future());
    tokio::select! {
        result = &mut serving => return result,
        // The sender may also just be dropped.
        _ = shutdown => {}
    }
    // Answers that never end listen for this; whatever else is under way has the grace.
    end.send_replace(true);
    time::timeout(GRACE, serving).await.unwrap_or(Ok(()))
}

fn scheme(tls: Option<&Tls>) -> &'static str {
    if tls.is_some() { "https" } else { "http" }
}

async fn until(mut ended: watch::Receiver<bool>) {
    // An error means that the sender is gone: the end as well.
    let _ = ended.wait_for(|ended| *ended).await;
}

/// A simulator that serves on a thread of its own, until this is dropped.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    url: String,
    shutdown: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    /// Serves on a free port of 127.0.0.1.
    pub fn start(simulator: &Simulator) -> io::Result<Self> {
        Self::start_on(simulator, (Ipv4Addr::LOCALHOST, 0).into(), None)
    }

    /// Serves on this address; over TLS for clients that trust [`Tls::authority`].
    ///
    /// # Errors
    /// When the port is taken, the address is no loopback one, or no thread or runtime can be had.
    pub fn start_on(
        simulator: &Simulator,
        address: SocketAddr,
        tls: Option<Tls>,
    ) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            let message =
                format!("{address} is no loopback address; the simulator serves no other");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let simulator = simulator.clone();
        let (shutdown, asked) = oneshot::channel::<()>();
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let url = format!("{}://{address}", scheme(tls.as_ref()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name("simulator".to_owned()).spawn(move || {
            if let Err(error) = runtime.block_on(serve(simulator, listener, tls, asked)) {
                tracing::error!(%error, "the simulator stopped");
            }
        })?;
        Ok(Self { address, url, shutdown: Some(shutdown), thread: Some(thread) })
    }

    /// The address that it serves on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Scheme, host and port, without a final slash.
    pub fn url(&self) -> String {
        self.url.clone()
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

/// What every call of a server needs.
#[derive(Clone)]
struct Shell {
    simulator: Simulator,
    clock: SimulatorClock,
    scheme: &'static str,
    /// Where the server is, for a call that does not say.
    own_base: String,
    ended: watch::Receiver<bool>,
}

async fn answer(
    State(shell): State<Shell>,
    ConnectInfo(connection): ConnectInfo<ResetSwitch>,
    request: Request,
) -> Response {
    let (progress, arrived) = (shell.simulator.begin(), time::Instant::now());
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        // The client went away, or sent what no client of Graph sends.
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    wait_until(arrived, progress.travel()).await;
    if parts.version == Version::HTTP_2 {
        shell.simulator.count_http2();
    }
    let text = |name: &str| parts.headers.get(name)?.to_str().ok();
    // HTTP/2 has no `Host`.
    let host = parts.uri.authority().map(Authority::as_str).or_else(|| text("host"));
    let base = host.map_or(shell.own_base, |host| format!("{}://{host}", shell.scheme));
    let call = HttpCall {
        method: &parts.method,
        target: parts.uri.path_and_query().map_or("/", |target| target.as_str()),
        base: &base,
        authorization: text("authorization"),
        client_request_id: text("client-request-id"),
        content_type: text("content-type"),
        body: &body,
    };
    let reply = progress.handle(shell.clock.now(), &call);
    // From the arrival on, because each sleep of its own would end up to a millisecond late.
    wait_until(arrived, progress.travel() + reply.delay).await;
    let ended = until(shell.ended);
    match reply.delivery {
        Delivery::Answer(answer) => whole(answer),
        Delivery::NoConnection | Delivery::Reset => {
            connection.reset();
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Delivery::CutBody(answer) => {
            let half = answer.body.slice(..answer.body.len() / 2);
            let rest = stream::once(async move {
                // The first half must be out before the connection breaks.
                time::sleep(Duration::from_millis(10)).await;
                connection.reset();
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            });
            drip(answer, stream::once(async { Ok(half) }).chain(rest))
        }
        Delivery::SlowBody(answer) => {
            let body = answer.body.clone();
            let bytes = stream::iter(0..body.len()).then(move |at| {
                let byte = body.slice(at..=at);
                async move {
                    time::sleep(Duration::from_secs(1)).await;
                    Ok(byte)
                }
            });
            drip(answer, bytes.take_until(ended))
        }
        Delivery::Silence(answer) => drip(answer, stream::pending().take_until(ended)),
        Delivery::Stall => {
            ended.await;
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
        Delivery::Flood(mut answer) => {
            static BLANKS: [u8; 1 << 16] = [b' '; 1 << 16];
            answer.body.clear();
            let flood = stream::iter(0..GIANT / BLANKS.len())
                .map(|_| Ok::<_, Infallible>(Bytes::from_static(&BLANKS)));
            let mut response = whole(answer);
            *response.body_mut() = Body::from_stream(flood);
            response
        }
    }
}

async fn wait_until(start: time::Instant, time: Duration) {
    if !time.is_zero() {
        time::sleep_until(start + time).await;
    }
}

fn whole(answer: HttpAnswer) -> Response {
    (answer.status, answer.headers, Body::from(answer.body)).into_response()
}

/// An answer that promises its whole body, which then comes as this stream gives it.
fn drip(
    answer: HttpAnswer,
    body: impl Stream<Item = Result<Bytes, io::Error>> + Send + 'static,
) -> Response {
    let length = answer.body.len();
    let mut response = whole(answer);
    *response.body_mut() = Body::from_stream(body);
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    response
}

/// Gives out connections that a [`ResetSwitch`] can break, and counts them.
struct ConnectionListener {
    inbox: mpsc::Receiver<(Box<dyn ByteStream>, SocketAddr)>,
    address: SocketAddr,
    simulator: Simulator,
}

impl ConnectionListener {
    /// Accepts connections, and leads each through its handshake where there is one; a slow one
    /// holds up nobody.
    fn new(listener: TcpListener, tls: Option<Tls>, simulator: Simulator) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (sender, inbox) = mpsc::channel(64);
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = sender.closed() => return,
                    accepted = listener.accept() => accepted,
                };
                let Ok((stream, peer)) = accepted else {
                    // Out of file descriptors, most likely: some come back.
                    time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                // Small answers must not wait for the client's acknowledgements. Where it cannot be
                // set, they do.
                let _ = stream.set_nodelay(true);
                let (sender, tls) = (sender.clone(), tls.clone());
                tokio::spawn(async move {
                    // A client that trusts another authority goes away; nobody needs to know.
                    if let Some(stream) = handshake(stream, tls).await {
                        let _ = sender.send((stream, peer)).await;
                    }
                });
            }
        });
        Ok(Self { inbox, address, simulator })
    }
}

async fn handshake(stream: TcpStream, tls: Option<Tls>) -> Option<Box<dyn ByteStream>> {
    let Some(tls) = tls else { return Some(Box::new(stream)) };
    let handshake = time::timeout(HANDSHAKE, tls.acceptor.accept(stream));
    Some(Box::new(handshake.await.ok()?.ok()?))
}

/// The bytes of a connection, plain or within TLS.
trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {
    fn tcp(&self) -> &TcpStream;
}

impl ByteStream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl ByteStream for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// One connection.
struct Connection {
    stream: Box<dyn ByteStream>,
    switch: ResetSwitch,
}

/// The handle by which an answer breaks its own connection.
#[derive(Clone, Debug, Default)]
struct ResetSwitch(Arc<AtomicBool>);

impl ResetSwitch {
    /// Resets the connection as soon as it is written to, read from or closed.
    fn reset(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Connection {
    /// The stream, unless the connection is to be reset.
    fn stream(&mut self) -> io::Result<Pin<&mut dyn ByteStream>> {
        if self.switch.0.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(Pin::new(&mut *self.stream))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.stream().is_err() {
            // A linger time of 0 makes the close a reset (RST). Where it cannot be set, the client
            // sees an early end instead.
            let _ = self.stream.tcp().set_zero_linger();
        }
    }
}

impl Listener for ConnectionListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let Some((stream, peer)) = self.inbox.recv().await else {
            return std::future::pending().await;
        };
        self.simulator.count_connection();
        (Connection { stream, switch: ResetSwitch::default() }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Connected<IncomingStream<'_, ConnectionListener>> for ResetSwitch {
    fn connect_info(stream: IncomingStream<'_, ConnectionListener>) -> Self {
        stream.io().switch.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
    }
}

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A server's certificate, and the authority that a client has to trust.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    authority: String,
}

impl Tls {
    /// Makes an authority that nobody else has, and by it a certificate for `localhost`, `127.0.0.1`
    /// and `::1`. Both keys stay in memory.
    ///
    /// # Errors
    /// When the system has no random numbers, or the TLS library refuses what was made.
    pub fn generate() -> io::Result<Self> {
        let certificate = || -> Result<_, rcgen::Error> {
            let mut authority = CertificateParams::new(Vec::new())?;
            authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            authority.distinguished_name.push(DnType::CommonName, "registrant-import simulate");
            let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
            let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
            let key = KeyPair::generate()?;
            let leaf = CertificateParams::new(names)?.signed_by(&key, &authority)?;
            Ok((authority.pem(), leaf, key))
        };
        let (authority, leaf, key) = certificate().map_err(io::Error::other)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key.into())
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), authority })
    }

    /// The authority's certificate in PEM, for `--ca-file`.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}
