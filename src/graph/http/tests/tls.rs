//! Certificates, and HTTP/2, which is agreed on within TLS.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::Request as Incoming;
use axum::serve::Listener;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use super::*;

/// A listener whose connections speak TLS.
struct Secure(TcpListener, TlsAcceptor);

impl Listener for Secure {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = self.0.accept().await.expect("a connection");
            if let Ok(stream) = self.1.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

struct Server {
    address: SocketAddr,
    folder: tempfile::TempDir,
    task: JoinHandle<()>,
}

/// Serves, with a certificate for `name` by an authority of its own, which lies in `ca.pem`. `/slow`
/// is never answered; all else is answered by the version of HTTP that it came in.
async fn server(name: &str) -> Server {
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = || KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(authority, key()).expect("an authority");
    let own = key();
    let leaf = CertificateParams::new([name.to_owned()]).expect("parameters");
    let leaf = leaf.signed_by(&own, &authority).expect("a certificate");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).expect("a file");

    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(own.serialize_der());
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key.into())
        .expect("a certificate with its key");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let listener = Secure(listener, TlsAcceptor::from(Arc::new(config)));
    let app = Router::new().fallback(|request: Incoming| async move {
        if request.uri().path() == "/slow" {
            std::future::pending::<()>().await;
        }
        format!("{:?}", request.version())
    });
    let task = tokio::spawn(async move {
        let _ = axum::serve(listener, app).await;
    });
    Server { address, folder, task }
}

impl Server {
    fn http(&self, trusted: bool, http1: bool) -> Http {
        let base = GraphHost::parse(&format!("https://{}", self.address), &TrustedHosts::default());
        let ca_file = trusted.then(|| self.folder.path().join("ca.pem"));
        let options = HttpOptions { ca_file, http1, ..options() };
        Http::new(base.expect("loopback"), &options).expect("a client")
    }
}

#[tokio::test]
async fn an_unknown_authority_is_refused_and_a_given_one_is_trusted() {
    let server = server("127.0.0.1").await;
    assert_eq!(fail(&server.http(false, false)).await, (Reach::NotSent, Failure::Connect));
    assert!(server.http(true, false).send(post("/beta/x")).await.is_ok());
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let server = server("other.example").await;
    assert_eq!(fail(&server.http(true, false)).await, (Reach::NotSent, Failure::Connect));
}

#[tokio::test]
async fn http_2_is_used_unless_it_is_forbidden() {
    let server = server("127.0.0.1").await;
    for (http1, version) in [(false, "HTTP/2.0"), (true, "HTTP/1.1")] {
        let answer = server.http(true, http1).send(post("/beta/x")).await.expect("an answer");
        assert_eq!(answer.body, version);
    }
}

#[tokio::test]
async fn requests_on_an_http_2_connection_that_breaks_are_in_doubt() {
    let server = server("127.0.0.1").await;
    let http = server.http(true, false);
    assert!(http.send(post("/beta/x")).await.is_ok());
    let requests = (0..20).map(|_| {
        let http = http.clone();
        tokio::spawn(async move { http.send(post("/slow")).await })
    });
    let requests: Vec<_> = requests.collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.task.abort();
    for request in requests {
        let error = request.await.expect("no panic").expect_err("no answer");
        assert_eq!(error.reach, Reach::MaybeSent, "{error}");
    }
}
