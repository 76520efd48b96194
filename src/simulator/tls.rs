//! TLS for the simulator: an authority and a certificate for this machine, made anew each time, and a
//! listener that agrees on HTTP/2 or HTTP/1.1 within the handshake (ALPN), as Graph does.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::{net::TcpListener, net::TcpStream, sync::mpsc, time};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};

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
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Accepts connections and leads each through its handshake; a slow one holds up nobody.
    pub(super) fn listen(&self, listener: TcpListener) -> mpsc::Receiver<Secure> {
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

/// A connection after its handshake.
pub(super) type Secure = (TlsStream<TcpStream>, SocketAddr);
