//! The [`Transport`] over sockets.
//!
//! Promises that a request is sent at most once, whatever happens; that every wait ends; that an
//! answer is bounded in size; and that [`Reach::NotSent`] is said only where no byte of the request
//! can have left this machine. That word decides whether a row may be posted again without asking,
//! so each doubt is `MaybeSent`. Retries, redirects and the meaning of a status are for others.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::BytesMut;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method};
use reqwest::{Certificate, Client, ClientBuilder, redirect, retry};
use tokio_rustls::rustls::{CertificateError, Error as TlsError};
use url::Url;

use super::host::GraphHost;
use super::transport::{
    Distrust, Reach, Request, Response, Transport, TransportError, TransportFailure,
};

/// How the program names itself to servers.
pub const USER_AGENT: &str = concat!("registrant-import/", env!("CARGO_PKG_VERSION"));

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A connection that lay idle for longer is not used again. Servers close idle connections without
/// notice, and a POST that meets such an end is lost in doubt; so give them up first. Well below
/// the 60 s that are the shortest usual keep-alive of load balancers.
const IDLE: Duration = Duration::from_secs(20);

/// How often an HTTP/2 connection is probed, idle ones too: a dead one is found by a ping and not
/// by a POST.
const PING: Duration = Duration::from_secs(20);

/// How long the answer to such a probe may take.
const PING_ANSWER: Duration = Duration::from_secs(10);

/// What a connection may take and give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpOptions {
    /// For name, route and TLS together.
    pub connect_timeout: Duration,
    /// For silence within an answer, and before it.
    pub read_timeout: Duration,
    /// For one request from its start to the last byte of its answer (`--timeout`).
    pub total_timeout: Duration,
    /// Idle connections that are kept: as many as there are workers.
    pub pool: usize,
    /// Certificates in PEM that are trusted besides the system's (`--ca-file`).
    pub ca_file: Option<PathBuf>,
    /// Never HTTP/2.
    pub http1: bool,
    /// The largest answer that is accepted, in bytes after decompression.
    pub max_answer: usize,
}

impl HttpOptions {
    /// The largest answer by default, 16 MiB. A page of Graph is at most 999 items of about 1 KiB;
    /// anything larger is not what was asked for.
    pub const MAX_ANSWER: usize = 16 * 1024 * 1024;
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(60),
            pool: 16,
            ca_file: None,
            http1: false,
            max_answer: Self::MAX_ANSWER,
        }
    }
}

/// A client that cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The file of `--ca-file`.
    #[error("the certificates in {} cannot be used: {reason}", path.display())]
    CaFile {
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS library or a proxy setting.
    #[error("the HTTP client cannot be set up: {reason}")]
    Setup { reason: String },
}

/// Sends requests to one Graph host.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    base: GraphHost,
    max_answer: usize,
}

impl Http {
    /// Prepares to talk to `base`; opens no connection yet.
    ///
    /// # Errors
    /// [`HttpError`] when the certificates cannot be read or the TLS library refuses.
    pub fn new(base: GraphHost, options: &HttpOptions) -> Result<Self, HttpError> {
        let client = client(options, base.is_loopback())?;
        Ok(Self { client, base, max_answer: options.max_answer })
    }

    /// The whole address of `target`, or a refusal where it would become another one.
    ///
    /// An address is normalised before it is sent: `/registrants/..` would become its own parent,
    /// and a DELETE of one person one of the whole registration. `%2E%2E` counts as `..`, so no
    /// encoding helps, and such a request must not leave.
    fn address(&self, target: &str) -> Result<Url, TransportError> {
        let path = target.split('?').next().unwrap_or_default();
        let mut url = self.base.origin().clone();
        url.set_path(path);
        url.set_query(target.split_once('?').map(|(_, query)| query));
        if path.starts_with('/') && url.path() == path {
            Ok(url)
        } else {
            Err(TransportError {
                reach: Reach::NotSent,
                kind: TransportFailure::Connect,
                detail: "the path cannot be sent as it is: a part of it is `.`, `..` or unencoded"
                    .to_owned(),
            })
        }
    }
}

impl Transport for Http {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let url = self.address(&request.target)?;
        let post = request.method == Method::POST;
        let mut builder = self
            .client
            .request(request.method, url)
            .header(ACCEPT, JSON)
            .header(CLIENT_REQUEST_ID, request.client_request_id.to_string());
        if let Some(authorization) = request.authorization {
            builder = builder.header(AUTHORIZATION, authorization);
        }
        if let Some(body) = request.body {
            builder = builder.header(CONTENT_TYPE, JSON).body(body);
        } else if post {
            // Without it, HTTP/1.1 servers may answer 411 (RFC 9110, section 8.6).
            builder = builder.header(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        exchange(builder, self.max_answer).await
    }
}

/// A client by `options`. On loopback plain `http` is allowed and no proxy is asked.
pub(crate) fn client(options: &HttpOptions, loopback: bool) -> Result<Client, HttpError> {
    // The other two limits run from the start of a request, connecting included. Were they the
    // first to end, a request that never left would be reported as one that may have been sent; so
    // connecting gets half of them at most.
    let connect_timeout =
        options.connect_timeout.min(options.read_timeout / 2).min(options.total_timeout / 2);
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        .retry(retry::never())
        .redirect(redirect::Policy::none())
        .referer(false)
        .https_only(!loopback)
        .connect_timeout(connect_timeout)
        .read_timeout(options.read_timeout)
        .timeout(options.total_timeout)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(options.pool)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PING_ANSWER)
        .http2_keep_alive_while_idle(true);
    if loopback {
        builder = builder.no_proxy();
    }
    if options.http1 {
        builder = builder.http1_only();
    }
    if let Some(path) = &options.ca_file {
        builder = trust(builder, path)?;
    }
    builder.build().map_err(|error| HttpError::Setup { reason: detail(&error) })
}

fn trust(builder: ClientBuilder, path: &Path) -> Result<ClientBuilder, HttpError> {
    let fault = |reason: String| HttpError::CaFile { path: path.to_owned(), reason };
    let pem = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| fault(detail(&error)))?;
    if certificates.is_empty() {
        return Err(fault("there is no certificate in PEM form in it".to_owned()));
    }
    Ok(builder.tls_certs_merge(certificates))
}

/// Sends once and reads the whole answer.
pub(crate) async fn exchange(
    request: reqwest::RequestBuilder,
    max_answer: usize,
) -> Result<Response, TransportError> {
    let mut answer = request.send().await.map_err(|error| unsent_or_lost(&error))?;
    let too_large = || TransportError {
        reach: Reach::MaybeSent,
        kind: TransportFailure::TooLarge,
        detail: format!("more than {max_answer} bytes"),
    };
    let announced = answer.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, |announced| announced > max_answer) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| lost(&error))? {
        if chunk.len() > max_answer - body.len() {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    let headers = std::mem::take(answer.headers_mut());
    Ok(Response { status: answer.status(), headers, body: body.freeze() })
}

/// What a failure to get the head of an answer means.
///
/// `is_connect` is true only for errors of hyper-util's connector – name, route, proxy tunnel, TLS
/// and the time limit around them –, which all come before a request is given to a connection.
/// A request that waited for a connection which died before taking it is sent on another one by
/// hyper-util itself; that is no second sending, since hyper hands back only what it never wrote.
fn unsent_or_lost(error: &reqwest::Error) -> TransportError {
    // A builder's error is an address or header that reqwest refuses before it does anything.
    if error.is_connect() || error.is_builder() {
        let kind = unconnected(error);
        TransportError { reach: Reach::NotSent, kind, detail: detail(error) }
    } else {
        lost(error)
    }
}

fn lost(error: &reqwest::Error) -> TransportError {
    let kind =
        if error.is_timeout() { TransportFailure::TimedOut } else { TransportFailure::Broken };
    TransportError { reach: Reach::MaybeSent, kind, detail: detail(error) }
}

/// What hyper-util's connector calls a name that it could not resolve. Its type is private.
const UNRESOLVED: &str = "dns error";

/// What kept a request from being sent, by the types of what went wrong: what a run does never follows
/// from words.
fn unconnected(error: &reqwest::Error) -> TransportFailure {
    if let Some(distrust) = causes(error).find_map(distrust) {
        TransportFailure::Untrusted(distrust)
    } else if error.is_timeout() {
        TransportFailure::TimedOut
    } else if causes(error).any(|cause| cause.to_string() == UNRESOLVED) {
        TransportFailure::NoName
    } else if causes(error).any(is_refused) {
        TransportFailure::Refused
    } else {
        TransportFailure::Connect
    }
}

/// The errors behind an error, each once. An [`io::Error`] gives what it wraps as its own words and
/// never as its source, so it is opened.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| {
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match wrapped {
            Some(wrapped) => Some(wrapped),
            None => cause.source(),
        }
    })
}

fn is_refused(cause: &(dyn Error + 'static)) -> bool {
    cause
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// What is wrong with the server's certificate, where that is what is wrong.
fn distrust(cause: &(dyn Error + 'static)) -> Option<Distrust> {
    let Some(TlsError::InvalidCertificate(fault)) = cause.downcast_ref() else { return None };
    Some(match fault {
        CertificateError::UnknownIssuer => Distrust::UnknownAuthority,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Distrust::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Distrust::NotYet
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Distrust::AnotherHost
        }
        _ => Distrust::Other,
    })
}

/// The causes in words. reqwest's own words are left out: they end in the URL, which holds ids.
fn detail(error: &reqwest::Error) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        let wrapper = cause.is::<reqwest::Error>() || text.starts_with("client error (");
        let repeated = words.last().is_some_and(|last| last.contains(&text));
        if !wrapper && !repeated {
            words.push(text);
        }
        source = cause.source();
    }
    if words.is_empty() { "no cause is known".to_owned() } else { words.join(": ") }
}

#[cfg(test)]
mod tests;
