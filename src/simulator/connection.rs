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

/// Accepts connections that a [`ResetSwitch`] can break, and counts them.
pub(super) struct ConnectionListener {
    pub(super) source: ConnectionSource,
    pub(super) address: SocketAddr,
    pub(super) simulator: Simulator,
}

/// Where connections come from.
pub(super) enum ConnectionSource {
    Plain(TcpListener),
    /// Those whose handshake is over.
    Tls(mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>),
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
        let (stream, peer): (Box<dyn ByteStream>, _) = match &mut self.source {
            ConnectionSource::Plain(listener) => {
                let (stream, peer) = Listener::accept(listener).await;
                // Small answers must not wait for the client's acknowledgements. Where it cannot be
                // set, they do.
                let _ = stream.set_nodelay(true);
                (Box::new(stream), peer)
            }
            ConnectionSource::Tls(inbox) => match inbox.recv().await {
                Some((stream, peer)) => (Box::new(stream), peer),
                None => std::future::pending().await,
            },
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

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
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

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
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

    /// Accepts connections and leads each through its handshake; a slow one holds up nobody.
    pub(super) fn listen(
        &self,
        listener: TcpListener,
    ) -> mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)> {
        let (sender, receiver) = mpsc::channel(64);
        let acceptor = self.acceptor.clone();
        tokio::spawn(async move {
            while !sender.is_closed() {
                let Ok((stream, peer)) = listener.accept().await else {
                    // Out of file descriptors, most likely: some come back.
                    time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let _ = stream.set_nodelay(true);
                let (sender, handshake) = (sender.clone(), acceptor.accept(stream));
                tokio::spawn(async move {
                    // A client that trusts another authority goes away; nobody needs to know.
                    if let Ok(Ok(stream)) = time::timeout(HANDSHAKE, handshake).await {
                        let _ = sender.send((stream, peer)).await;
                    }
                });
            }
        });
        receiver
    }
}
