//! The token endpoint: one form, one answer, and patience with both.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use http::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

use super::granted::{Effort, Granted};
use super::{AuthError, TokenRefusal, fixed};
use crate::graph::http::{HttpError, HttpOptions, client, exchange};
use crate::graph::transport::{Response, TransportError, TransportFailure};

/// How long a patient attempt may last in all. An endpoint that is down for a minute stops no run;
/// one that is down for longer is for the scheduler to come back to.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long the one attempt ahead of time may last: whoever makes it has a good token, and waits.
const QUICK: Duration = Duration::from_secs(10);

/// The first pause between two attempts; each further one is twice as long, up to [`LONGEST`].
const PAUSE: Duration = Duration::from_millis(500);

/// The longest pause that is chosen here; a server may ask for a longer one.
const LONGEST: Duration = Duration::from_secs(10);

/// A token's answer is a few KiB.
const MAX_ANSWER: usize = 256 * 1024;

/// An HTTP client for one host that gives out tokens.
#[derive(Debug)]
pub(crate) struct Asker {
    client: Client,
    host: String,
    /// Whether the host ever answered: what is wrong from the first does not pass by itself.
    heard: AtomicBool,
}

impl Asker {
    /// For `url`'s host; `direct` without a proxy and over plain `http` too.
    pub(crate) fn new(url: &Url, options: &HttpOptions, direct: bool) -> Result<Self, HttpError> {
        let client = client(options, direct)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        Ok(Self { client, host, heard: AtomicBool::new(false) })
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Sends what `build` makes until an answer comes that `passing` does not hold for passing.
    ///
    /// To ask twice for a token does no harm, so a lost answer is simply asked for again.
    pub(crate) async fn ask(
        &self,
        effort: Effort,
        build: impl Fn(&Client) -> RequestBuilder,
        passing: impl Fn(&Response) -> bool,
    ) -> Result<Response, AuthError> {
        let patience = if effort == Effort::Once { QUICK } else { PATIENCE };
        let give_up = Instant::now() + patience;
        let mut pause = PAUSE;
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            // An attempt that began just in time must not last for as long again.
            let attempt = exchange(build(&self.client), MAX_ANSWER);
            let attempt = tokio::time::timeout(left, attempt).await;
            if let Ok(Ok(_)) = &attempt {
                self.heard.store(true, Ordering::Relaxed);
            }
            let (failure, wish) = match attempt {
                Ok(Ok(answer)) if !passing(&answer) => return Ok(answer),
                Ok(Ok(answer)) => {
                    let status = answer.status.as_u16();
                    let failure = AuthError::Unavailable { host: self.host.clone(), status };
                    (failure, retry_after(&answer.headers))
                }
                Ok(Err(TransportError { kind: TransportFailure::Untrusted(distrust), .. }))
                    if !self.heard.load(Ordering::Relaxed) =>
                {
                    return Err(AuthError::Untrusted { host: self.host.clone(), distrust });
                }
                Ok(Err(error)) => (self.unreachable(error.to_string()), None),
                Err(_) => (self.unreachable("it does not answer".to_owned()), None),
            };
            // Jitter, so that many machines that lost the endpoint do not return as one.
            let wait = wish.unwrap_or_else(|| pause.mul_f64(0.75 + 0.5 * fastrand::f64()));
            let too_late = Instant::now().checked_add(wait).is_none_or(|then| then >= give_up);
            if effort == Effort::Once || too_late {
                return Err(failure);
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    fn unreachable(&self, detail: String) -> AuthError {
        AuthError::Unreachable { host: self.host.clone(), detail }
    }

    /// Reads a token out of a success, and a refusal out of anything else.
    pub(crate) fn read(&self, answer: &Response) -> Result<TokenAnswer, AuthError> {
        if answer.status == StatusCode::OK
            && let Ok(token) = serde_json::from_slice::<TokenAnswer>(&answer.body)
        {
            return Ok(token);
        }
        Err(self.refusal(answer))
    }

    /// Why `answer` holds nothing that was asked for.
    pub(crate) fn refusal(&self, answer: &Response) -> AuthError {
        match refusal(answer) {
            Some(refusal) if answer.status.is_client_error() => AuthError::Refused(refusal),
            _ => AuthError::BadAnswer { host: self.host.clone(), status: answer.status.as_u16() },
        }
    }
}

/// Whether an answer of a token endpoint says "later".
pub(crate) fn is_passing(answer: &Response) -> bool {
    let status = answer.status;
    status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
        || refusal(answer).is_some_and(|refusal| {
            matches!(refusal.error, "temporarily_unavailable" | "server_error")
        })
}

/// A Retry-After in seconds, whole or decimal, or as a date by the server's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let now = headers.get(DATE).and_then(|value| value.to_str().ok()).and_then(date);
    let now = now.unwrap_or_else(std::time::SystemTime::now);
    Some(date(text)?.duration_since(now).unwrap_or_default())
}

/// What a token endpoint grants.
#[derive(Deserialize)]
pub(crate) struct TokenAnswer {
    access_token: SecretString,
    /// Managed identity sends its numbers as strings.
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<Duration>,
    #[serde(default, deserialize_with = "seconds")]
    refresh_in: Option<Duration>,
    pub(crate) refresh_token: Option<SecretString>,
}

impl TokenAnswer {
    /// The token, checked; its life by the issuer's word, else by its own.
    pub(crate) fn granted(self, origin: &str) -> Result<Granted, AuthError> {
        match self.expires_in {
            // The issuer's word is relative, so a wrong clock here does no harm.
            Some(lifetime) => Ok(Granted {
                token: self.access_token,
                lifetime: Some(lifetime),
                refresh_in: self.refresh_in,
            }),
            None => Granted::from_text(self.access_token.expose_secret(), origin),
        }
    }
}

fn seconds<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Duration>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(u64),
        Text(String),
    }
    Ok(match Option::<Seconds>::deserialize(input)? {
        Some(Seconds::Number(number)) => Some(Duration::from_secs(number)),
        Some(Seconds::Text(text)) => text.trim().parse().ok().map(Duration::from_secs),
        None => None,
    })
}

/// Errors that may be named: RFC 6749 (5.2), RFC 8628 (3.5), and Microsoft's. Nothing else that a
/// server calls its error is repeated, since some servers repeat what they got.
const ERRORS: [&str; 18] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "access_denied",
    "authorization_pending",
    "authorization_declined",
    "slow_down",
    "expired_token",
    "bad_verification_code",
    "interaction_required",
    "consent_required",
    "invalid_resource",
    "temporarily_unavailable",
    "server_error",
    "identity_not_found",
];

fn refusal(answer: &Response) -> Option<TokenRefusal> {
    #[derive(Deserialize)]
    struct Raw {
        error: String,
        #[serde(default)]
        error_description: String,
        #[serde(default)]
        error_codes: Vec<u32>,
        trace_id: Option<String>,
    }
    let raw: Raw = serde_json::from_slice(&answer.body).ok()?;
    let named = raw
        .error_description
        .strip_prefix("AADSTS")
        .and_then(|text| text.split(|other: char| !other.is_ascii_digit()).next()?.parse().ok());
    let error = ERRORS.into_iter().find(|error| *error == raw.error);
    Some(TokenRefusal {
        error: error.unwrap_or("an error without a known name"),
        codes: if raw.error_codes.is_empty() { Vec::from_iter(named) } else { raw.error_codes },
        trace_id: raw
            .trace_id
            .and_then(|id| Uuid::try_parse(&id).ok())
            .map(|id| id.hyphenated().to_string()),
    })
}

/// Where an application asks for its tokens.
#[derive(Debug)]
pub(crate) struct Endpoint {
    asker: Asker,
    token_url: Url,
    device_url: Url,
    tenant: String,
    client_id: String,
    scope: String,
}

impl Endpoint {
    /// `authority` is a checked address without a path, `tenant` a checked name.
    pub(crate) fn new(
        authority: &Url,
        options: &HttpOptions,
        tenant: &str,
        client_id: &str,
        scope: String,
    ) -> Result<Self, AuthError> {
        let loopback = authority.host().as_ref().is_some_and(crate::graph::host::is_loopback);
        let at = |last: &str| {
            let mut url = authority.clone();
            url.set_path(&format!("/{tenant}/oauth2/v2.0/{last}"));
            url
        };
        Ok(Self {
            asker: Asker::new(authority, options, loopback)?,
            token_url: at("token"),
            device_url: at("devicecode"),
            tenant: tenant.to_owned(),
            client_id: client_id.to_owned(),
            scope,
        })
    }

    pub(crate) fn host(&self) -> &str {
        self.asker.host()
    }

    /// Scheme, host and port.
    pub(crate) fn authority(&self) -> String {
        self.token_url.origin().ascii_serialization()
    }

    /// What is to be said when a success holds too little.
    pub(crate) fn bad_answer(&self) -> AuthError {
        AuthError::BadAnswer { host: self.host().to_owned(), status: StatusCode::OK.as_u16() }
    }

    pub(crate) fn client_id(&self) -> &str {
        &self.client_id
    }

    pub(crate) fn tenant(&self) -> &str {
        &self.tenant
    }

    pub(crate) fn token_url(&self) -> &Url {
        &self.token_url
    }

    pub(crate) fn application(&self) -> String {
        format!("application {} in tenant {}", self.client_id, self.tenant)
    }

    /// A token for the application itself.
    pub(crate) async fn application_token(
        &self,
        proof: &[(&str, &str)],
        effort: Effort,
    ) -> Result<Granted, AuthError> {
        let scope = [("scope", self.scope.as_str())];
        let fields = [&scope[..], proof].concat();
        self.token(&fields, effort).await?.granted(self.host())
    }

    /// Posts `fields` to the token endpoint.
    pub(crate) async fn token(
        &self,
        fields: &[(&str, &str)],
        effort: Effort,
    ) -> Result<TokenAnswer, AuthError> {
        let answer = self.post(&self.token_url, fields, effort).await?;
        self.asker.read(&answer)
    }

    /// Posts `fields` to where device codes are made.
    pub(crate) async fn device<T: for<'de> Deserialize<'de>>(
        &self,
        fields: &[(&str, &str)],
    ) -> Result<T, AuthError> {
        let answer = self.post(&self.device_url, fields, Effort::Patient).await?;
        if answer.status == StatusCode::OK
            && let Ok(code) = serde_json::from_slice(&answer.body)
        {
            return Ok(code);
        }
        Err(self.asker.refusal(&answer))
    }

    async fn post(
        &self,
        url: &Url,
        fields: &[(&str, &str)],
        effort: Effort,
    ) -> Result<Response, AuthError> {
        let fields = [&[("client_id", self.client_id.as_str())], fields].concat();
        self.asker.ask(effort, |client| client.post(url.clone()).form(&fields), is_passing).await
    }
}

/// A federated token in a file, which its issuer replaces: read anew each time.
#[derive(Debug)]
pub(crate) struct FederatedFile(PathBuf);

impl FederatedFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn read(&self) -> Result<SecretString, AuthError> {
        let setting = "AZURE_FEDERATED_TOKEN_FILE";
        let text = fixed::read(setting, &self.0)?;
        match text.trim() {
            "" => Err(AuthError::File {
                setting,
                path: self.0.clone(),
                reason: "it is empty".to_owned(),
            }),
            token => Ok(token.into()),
        }
    }
}
