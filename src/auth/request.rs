//! Asking for a token: one request, repeated while its failure is passing, and one way to read what
//! comes back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

use super::claims::{Claims, now};
use super::error::{AuthError, TokenRefusal};
use super::settings::{AuthSettings, plain_tenant};
use crate::graph::host::is_loopback;
use crate::graph::http::{HttpError, HttpOptions, client, exchange};
use crate::graph::transport::{Response, TransportError, TransportFailure};
use crate::pacing::RetryAfter;

/// How hard to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// Once: the old token is still good, so a failure costs nothing.
    Once,
    /// As long as is bearable: nothing can be sent without it.
    Patient,
}

/// How long a patient attempt may last in all. An endpoint that is down for a minute stops no run;
/// one that is down for longer is for the scheduler to come back to.
const PATIENT_LIMIT: Duration = Duration::from_secs(90);

/// How long the one attempt ahead of time may last: whoever makes it has a good token, and waits.
const ONCE_LIMIT: Duration = Duration::from_secs(10);

/// The first pause between two attempts; each further one is twice as long, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause that is chosen here; a server may ask for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A token's answer is a few KiB.
const MAX_ANSWER: usize = 256 * 1024;

/// A token as it came, whatever its source.
pub(super) struct GrantedToken {
    pub(super) token: SecretString,
    /// How long it lasts from now on, where that is known.
    pub(super) lifetime: Option<Duration>,
    /// When the issuer would like to see its holder again.
    pub(super) refresh_in: Option<Duration>,
}

impl GrantedToken {
    /// Takes a token that a person or a program handed over as text.
    pub(super) fn from_text(text: &str, origin: &str) -> Result<Self, AuthError> {
        let not = |reason| AuthError::NotAToken { origin: origin.to_owned(), reason };
        let text = text.trim();
        // People copy the whole header.
        let text = match text.split_at_checked("bearer".len()) {
            Some((scheme, rest))
                if scheme.eq_ignore_ascii_case("bearer")
                    && (rest.is_empty() || rest.starts_with(char::is_whitespace)) =>
            {
                rest.trim_start()
            }
            _ => text,
        };
        if text.is_empty() {
            return Err(not("it is empty"));
        }
        // RFC 6750, section 2.1, has fewer characters still; these are the ones that do harm.
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(not("it holds blanks, line ends or characters that no token has"));
        }
        let (now, end) = (now(), Claims::read(text).and_then(|claims| claims.expires));
        if let Some(end) = end.filter(|end| *end <= now) {
            let since = Duration::from_secs(now - end);
            return Err(AuthError::Expired { origin: origin.to_owned(), since });
        }
        let lifetime = end.map(|end| Duration::from_secs(end - now));
        Ok(Self { token: text.into(), lifetime, refresh_in: None })
    }
}

/// An HTTP client for one host that gives out tokens.
#[derive(Debug)]
pub(super) struct TokenClient {
    client: Client,
    host: String,
    /// Whether the host ever answered: what is wrong from the first does not pass by itself.
    heard: AtomicBool,
}

impl TokenClient {
    /// For `url`'s host; `direct` without a proxy and over plain `http` too.
    pub(super) fn new(url: &Url, options: &HttpOptions, direct: bool) -> Result<Self, HttpError> {
        let client = client(options, direct)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        Ok(Self { client, host, heard: AtomicBool::new(false) })
    }

    /// Sends what `build` makes until an answer comes that `passing` does not hold for passing, and
    /// reads it: a success as `T`, anything else as a refusal.
    ///
    /// To ask twice for a token does no harm, so a lost answer is simply asked for again.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        effort: Effort,
        build: impl Fn(&Client) -> RequestBuilder,
        passing: impl Fn(&Response) -> bool,
    ) -> Result<T, AuthError> {
        let answer = self.send(effort, build, passing).await?;
        if answer.status == StatusCode::OK
            && let Ok(read) = serde_json::from_slice(&answer.body)
        {
            return Ok(read);
        }
        Err(match refusal(&answer) {
            Some(refusal) if answer.status.is_client_error() => AuthError::Refused(refusal),
            _ => AuthError::BadAnswer { host: self.host.clone(), status: answer.status.as_u16() },
        })
    }

    async fn send(
        &self,
        effort: Effort,
        build: impl Fn(&Client) -> RequestBuilder,
        passing: impl Fn(&Response) -> bool,
    ) -> Result<Response, AuthError> {
        let limit = if effort == Effort::Once { ONCE_LIMIT } else { PATIENT_LIMIT };
        let give_up = Instant::now() + limit;
        let mut pause = FIRST_PAUSE;
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
                    (failure, RetryAfter::from_headers(&answer.headers).0.duration())
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
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn unreachable(&self, detail: String) -> AuthError {
        AuthError::Unreachable { host: self.host.clone(), detail }
    }
}

/// Whether an answer of a token endpoint says "later".
pub(super) fn is_passing(answer: &Response) -> bool {
    let status = answer.status;
    status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
        || refusal(answer).is_some_and(|refusal| {
            matches!(refusal.error, "temporarily_unavailable" | "server_error")
        })
}

/// What a token endpoint grants.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    access_token: SecretString,
    /// Managed identity sends its numbers as strings.
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<Duration>,
    #[serde(default, deserialize_with = "seconds")]
    refresh_in: Option<Duration>,
    pub(super) refresh_token: Option<SecretString>,
}

impl TokenAnswer {
    /// The token, checked; its life by the issuer's word, else by its own.
    pub(super) fn granted(self, origin: &str) -> Result<GrantedToken, AuthError> {
        match self.expires_in {
            // The issuer's word is relative, so a wrong clock here does no harm.
            Some(lifetime) => Ok(GrantedToken {
                token: self.access_token,
                lifetime: Some(lifetime),
                refresh_in: self.refresh_in,
            }),
            None => GrantedToken::from_text(self.access_token.expose_secret(), origin),
        }
    }
}

fn seconds<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Duration>, D::Error> {
    let seconds = match Value::deserialize(input)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    Ok(seconds.map(Duration::from_secs))
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
    struct RefusalBody {
        error: String,
        #[serde(default)]
        error_description: String,
        #[serde(default)]
        error_codes: Vec<u32>,
        trace_id: Option<String>,
    }
    let raw: RefusalBody = serde_json::from_slice(&answer.body).ok()?;
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

/// Where an application asks for its tokens. Its addresses hold no secret.
#[derive(Debug)]
pub(super) struct AuthEndpoint {
    client: TokenClient,
    pub(super) token_url: Url,
    pub(super) tenant: String,
    pub(super) client_id: String,
    pub(super) scope: String,
}

impl AuthEndpoint {
    pub(super) fn new(
        settings: &AuthSettings,
        tenant: &str,
        client_id: &str,
        scope: String,
    ) -> Result<Self, AuthError> {
        let tenant = plain_tenant(tenant)?;
        let mut token_url = settings.authority()?;
        let loopback = token_url.host().as_ref().is_some_and(is_loopback);
        token_url.set_path(&format!("/{tenant}/oauth2/v2.0/token"));
        Ok(Self {
            client: TokenClient::new(&token_url, &settings.http, loopback)?,
            token_url,
            tenant: tenant.to_owned(),
            client_id: client_id.trim().to_owned(),
            scope,
        })
    }

    pub(super) fn host(&self) -> &str {
        &self.client.host
    }

    /// Scheme, host and port.
    pub(super) fn authority(&self) -> String {
        self.token_url.origin().ascii_serialization()
    }

    /// What is to be said when a success holds too little.
    pub(super) fn bad_answer(&self) -> AuthError {
        AuthError::BadAnswer { host: self.client.host.clone(), status: StatusCode::OK.as_u16() }
    }

    /// Posts `fields` to the token endpoint.
    pub(super) async fn token(
        &self,
        fields: &[(&str, &str)],
        effort: Effort,
    ) -> Result<TokenAnswer, AuthError> {
        self.post(self.token_url.clone(), fields, effort).await
    }

    /// Posts the scope to where device codes are made.
    pub(super) async fn device_code<T: DeserializeOwned>(&self) -> Result<T, AuthError> {
        let mut url = self.token_url.clone();
        url.set_path(&format!("/{}/oauth2/v2.0/devicecode", self.tenant));
        self.post(url, &[("scope", &self.scope)], Effort::Patient).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        url: Url,
        fields: &[(&str, &str)],
        effort: Effort,
    ) -> Result<T, AuthError> {
        let fields = [&[("client_id", self.client_id.as_str())], fields].concat();
        let build = |client: &Client| client.post(url.clone()).form(&fields);
        self.client.ask(effort, build, is_passing).await
    }
}
