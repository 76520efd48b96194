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
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{Request, Response, StatusCode, Version, header, uri::Authority};
use http_body_util::{
    BodyExt as _, Full, Limited, StreamBody, combinators::UnsyncBoxBody as BoxBody,
};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot, watch},
    task::JoinSet,
    time,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

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

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Serves a simulator until `shutdown` is ready.
async fn serve(
    simulator: Simulator,
    listener: std::net::TcpListener,
    tls: Option<Tls>,
    mut shutdown: oneshot::Receiver<()>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    let (end, ended) = watch::channel(false);
    let shell = Shell {
        clock: SimulatorClock::new(&simulator),
        simulator,
        own_base: format!("{}://{address}", scheme(tls.as_ref())),
        scheme: scheme(tls.as_ref()),
        ended,
    };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // The sender may also just be dropped.
            _ = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                // A slow handshake holds up nobody.
                Ok((stream, _)) => drop(connections.spawn(shell.clone().connection(stream, tls.clone()))),
                // Out of file descriptors, most likely: some come back.
                Err(_) => time::sleep(Duration::from_millis(100)).await,
            },
        }
    }
    // Answers that never end listen for this; whatever else is under way has the grace.
    end.send_replace(true);
    let under_way = async { while connections.join_next().await.is_some() {} };
    let _ = time::timeout(GRACE, under_way).await;
    Ok(())
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

type Body = BoxBody<Bytes, io::Error>;

impl Shell {
    /// Leads a connection through its handshake, where there is one, and answers its calls.
    async fn connection(self, stream: TcpStream, tls: Option<Tls>) {
        // Small answers must not wait for the client's acknowledgements. Where it cannot be set, they do.
        let _ = stream.set_nodelay(true);
        let Ok((stream, twin)) = twins(stream) else { return };
        match tls {
            None => self.converse(stream, twin).await,
            Some(tls) => {
                let handshake = time::timeout(HANDSHAKE, tls.acceptor.accept(stream));
                // A client that trusts another authority goes away; nobody needs to know.
                let Ok(Ok(stream)) = handshake.await else { return };
                self.converse(stream, twin).await;
            }
        }
    }

    /// Answers the calls of a connection until it ends, is to be reset, or the server ends. `twin` is
    /// another handle of its socket.
    async fn converse(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        twin: TcpStream,
    ) {
        self.simulator.count_connection();
        let (reset, ended) = (Arc::new(Notify::new()), until(self.ended.clone()));
        let calls = service_fn(|request| {
            let answer = self.clone().answer(reset.clone(), request);
            async { Ok::<_, Infallible>(answer.await) }
        });
        let server = auto::Builder::new(TokioExecutor::new());
        let mut serving = std::pin::pin!(server.serve_connection(TokioIo::new(stream), calls));
        tokio::select! {
            _ = serving.as_mut() => return,
            () = ended => {}
            () = reset.notified() => {
                // A linger time of 0 makes the close a reset (RST). Where it cannot be set, the client
                // sees an early end instead.
                let _ = twin.set_zero_linger();
                return;
            }
        }
        serving.as_mut().graceful_shutdown();
        let _ = serving.await;
    }

    async fn answer(self, connection: Arc<Notify>, request: Request<Incoming>) -> Response<Body> {
        let (progress, arrived) = (self.simulator.begin(), time::Instant::now());
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            // The client went away, or sent what no client of Graph sends.
            return empty(StatusCode::PAYLOAD_TOO_LARGE);
        };
        wait_until(arrived, progress.travel()).await;
        if parts.version == Version::HTTP_2 {
            self.simulator.count_http2();
        }
        let text = |name: &str| parts.headers.get(name)?.to_str().ok();
        // HTTP/2 has no `Host`.
        let host = parts.uri.authority().map(Authority::as_str).or_else(|| text("host"));
        let base = host.map_or(self.own_base, |host| format!("{}://{host}", self.scheme));
        let call = HttpCall {
            method: &parts.method,
            target: parts.uri.path_and_query().map_or("/", |target| target.as_str()),
            base: &base,
            authorization: text("authorization"),
            client_request_id: text("client-request-id"),
            content_type: text("content-type"),
            body: &body.to_bytes(),
        };
        let reply = progress.handle(self.clock.now(), &call);
        // From the arrival on, because each sleep of its own would end up to a millisecond late.
        wait_until(arrived, progress.travel() + reply.delay).await;
        let ended = until(self.ended);
        match reply.delivery {
            Delivery::Answer(answer) => whole(answer),
            Delivery::NoConnection | Delivery::Reset => {
                connection.notify_one();
                std::future::pending().await
            }
            Delivery::CutBody(answer) => {
                let half = answer.body.slice(..answer.body.len() / 2);
                let rest = stream::once(async move {
                    // The first half must be out before the connection breaks.
                    time::sleep(Duration::from_millis(10)).await;
                    connection.notify_one();
                    std::future::pending().await
                });
                drip(answer, stream::once(async { half }).chain(rest))
            }
            Delivery::SlowBody(answer) => {
                let body = answer.body.clone();
                let bytes = stream::iter(0..body.len()).then(move |at| {
                    let byte = body.slice(at..=at);
                    async move {
                        time::sleep(Duration::from_secs(1)).await;
                        byte
                    }
                });
                drip(answer, bytes.take_until(ended))
            }
            Delivery::Silence(answer) => drip(answer, stream::pending().take_until(ended)),
            Delivery::Stall => {
                ended.await;
                empty(StatusCode::SERVICE_UNAVAILABLE)
            }
            Delivery::Flood(mut answer) => {
                static BLANKS: [u8; 1 << 16] = [b' '; 1 << 16];
                answer.body.clear();
                let flood =
                    stream::iter(0..GIANT / BLANKS.len()).map(|_| Bytes::from_static(&BLANKS));
                whole(answer).map(|_| streamed(flood))
            }
        }
    }
}

/// A connection twice: once to be read and written, once to set what only the socket knows.
fn twins(stream: TcpStream) -> io::Result<(TcpStream, TcpStream)> {
    let stream = stream.into_std()?;
    let twin = TcpStream::from_std(stream.try_clone()?)?;
    Ok((TcpStream::from_std(stream)?, twin))
}

async fn wait_until(start: time::Instant, time: Duration) {
    if !time.is_zero() {
        time::sleep_until(start + time).await;
    }
}

fn whole(answer: HttpAnswer) -> Response<Body> {
    let body = Full::new(answer.body).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    (*response.status_mut(), *response.headers_mut()) = (answer.status, answer.headers);
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    whole(HttpAnswer { status, headers: http::HeaderMap::new(), body: Bytes::new() })
}

fn streamed(body: impl Stream<Item = Bytes> + Send + 'static) -> Body {
    StreamBody::new(body.map(|bytes| Ok(Frame::data(bytes)))).boxed_unsync()
}

/// An answer that promises its whole body, which then comes as this stream gives it.
fn drip(answer: HttpAnswer, body: impl Stream<Item = Bytes> + Send + 'static) -> Response<Body> {
    let length = answer.body.len();
    let mut response = whole(answer).map(|_| streamed(body));
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    response
}

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
