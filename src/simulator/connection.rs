//! Connections that can be broken on purpose: what HTTP cannot say is done to the socket. With TLS,
//! an authority and a certificate for this machine are made anew each time, and HTTP/2 or HTTP/1.1
//! is agreed on within the handshake (ALPN), as Graph does.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};

use super::core::Simulator;

/// Gives out connections that a [`ResetSwitch`] can break, and counts them.
pub(super) struct ConnectionListener {
    inbox: mpsc::Receiver<(Box<dyn ByteStream>, SocketAddr)>,
    address: SocketAddr,
    simulator: Simulator,
}

impl ConnectionListener {
    /// Accepts connections, and leads each through its handshake where there is one; a slow one
    /// holds up nobody.
    pub(super) fn new(
        listener: TcpListener,
        tls: Option<Tls>,
        simulator: Simulator,
    ) -> io::Result<Self> {
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
pub(super) struct Connection {
    stream: Box<dyn ByteStream>,
    switch: ResetSwitch,
}

/// The handle by which an answer breaks its own connection.
#[derive(Clone, Debug, Default)]
pub(super) struct ResetSwitch(Arc<AtomicBool>);

impl ResetSwitch {
    /// Resets the connection as soon as it is written to, read from or closed.
    pub(super) fn reset(&self) {
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
