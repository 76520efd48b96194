//! Certificates, and HTTP/2, which is agreed on within TLS.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::Request as Incoming;
use axum::serve::Listener;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use super::*;
use crate::graph::transport::Distrust;

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

async fn server(name: &str) -> Server {
    serve_tls(name, versions).await
}

/// Serves by `run`, with a certificate for `name` by an authority of its own, which lies in `ca.pem`.
async fn serve_tls<F>(name: &str, run: impl FnOnce(Secure) -> F) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    serve_as(name, |_| {}, run).await
}

/// The same, with a certificate that is changed before it is signed.
async fn serve_as<F>(
    name: &str,
    change: impl FnOnce(&mut CertificateParams),
    run: impl FnOnce(Secure) -> F,
) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = || KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(authority, key()).expect("an authority");
    let own = key();
    let mut leaf = CertificateParams::new([name.to_owned()]).expect("parameters");
    change(&mut leaf);
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
    let task = tokio::spawn(run(Secure(listener, TlsAcceptor::from(Arc::new(config)))));
    Server { address, folder, task }
}

/// Never answers `/slow`, and all else by the version of HTTP that it came in.
async fn versions(listener: Secure) {
    let app = Router::new().fallback(|request: Incoming| async move {
        if request.uri().path() == "/slow" {
            std::future::pending::<()>().await;
        }
        format!("{:?}", request.version())
    });
    let _ = axum::serve(listener, app).await;
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
    let fault = TransportFailure::Untrusted(Distrust::UnknownAuthority);
    assert_eq!(fail(&server.http(false, false)).await, (Reach::NotSent, fault));
    assert!(server.http(true, false).send(post("/beta/x")).await.is_ok());
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let server = server("other.example").await;
    let fault = TransportFailure::Untrusted(Distrust::AnotherHost);
    assert_eq!(fail(&server.http(true, false)).await, (Reach::NotSent, fault));
}

#[tokio::test]
async fn a_certificate_out_of_its_time_is_told_as_that() {
    let years = |from, to| {
        move |leaf: &mut CertificateParams| {
            leaf.not_before = date_time_ymd(from, 1, 1);
            leaf.not_after = date_time_ymd(to, 1, 1);
        }
    };
    for (from, to, distrust) in [(2000, 2001, Distrust::Expired), (3000, 3001, Distrust::NotYet)] {
        let server = serve_as("127.0.0.1", years(from, to), versions).await;
        let outcome = fail(&server.http(true, false)).await;
        assert_eq!(outcome, (Reach::NotSent, TransportFailure::Untrusted(distrust)));
    }
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

/// Reads frames of HTTP/2 and answers each request by `answer`, a frame's type and payload, on its
/// own stream or on the connection's.
async fn refuse(mut listener: Secure, kind: u8, own: bool, payload: &'static [u8]) {
    const HEADERS: u8 = 1;
    let (mut stream, _) = listener.accept().await;
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.expect("a preface");
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.expect("settings");
    let mut head = [0; 9];
    while stream.read_exact(&mut head).await.is_ok() {
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut rest = vec![0; length];
        stream.read_exact(&mut rest).await.expect("a frame");
        if head[3] == HEADERS {
            REQUESTS.fetch_add(1, Ordering::SeqCst);
            let length = u8::try_from(payload.len()).expect("short");
            let id = if own { &head[5..9] } else { &[0; 4] };
            let frame = [&[0, 0, length, kind, 0], id, payload].concat();
            stream.write_all(&frame).await.expect("an answer");
        }
    }
}

static REQUESTS: AtomicUsize = AtomicUsize::new(0);

/// What HTTP/2 calls safe to repeat is repeated by whoever keeps the books, not behind his back.
#[tokio::test]
async fn a_request_that_http_2_hands_back_is_not_sent_again() {
    // RFC 9113: RST_STREAM with REFUSED_STREAM (6.4, 8.7), then GOAWAY without error that names no
    // stream as handled (6.8).
    let frames: [(u8, bool, &[u8]); 2] = [(3, true, &[0, 0, 0, 7]), (7, false, &[0; 8])];
    for (kind, own, payload) in frames {
        REQUESTS.store(0, Ordering::SeqCst);
        let server = serve_tls("127.0.0.1", |it| refuse(it, kind, own, payload)).await;
        let outcome = fail(&server.http(true, false)).await;
        assert_eq!(outcome, (Reach::MaybeSent, TransportFailure::Broken));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(REQUESTS.load(Ordering::SeqCst), 1);
    }
}

/// The libraries below log at their loudest, and show no token.
#[tokio::test]
async fn the_loudest_log_shows_no_token() {
    #[derive(Clone, Default)]
    struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let server = server("127.0.0.1").await;
    let http = server.http(true, false);
    let guard = tracing::subscriber::set_default(subscriber);
    // Whether anybody listens is remembered for the whole process, and the other tests' threads
    // may have asked while nobody did, also in the middle of a request.
    let mut text = String::new();
    for _ in 0..100 {
        tracing::callsite::rebuild_interest_cache();
        assert!(http.send(post("/beta/x")).await.is_ok());
        text = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
        if text.contains("h2::") {
            break;
        }
    }
    drop(guard);
    assert!(text.contains("h2::"), "nothing is logged: {text}");
    assert!(!text.contains("canary-token"), "{text}");
}
