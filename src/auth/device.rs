//! A person's sign-in: a code to enter in a browser elsewhere, then a refresh token for later runs.
//!
//! The flow is RFC 8628 as Microsoft has it (`v2-oauth2-device-code.md` of entra-docs).

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::time::Instant;

use super::request::{AuthEndpoint, Effort, GrantedToken, TokenAnswer};
use super::settings::AuthSettings;
use super::sign_in::{KeptSignIn, SignInRecord};
use super::{AuthError, Method};

/// The `grant_type` of RFC 8628, section 3.4.
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Pause between two questions where the server names none, and by how much `slow_down` lengthens
/// it: RFC 8628, sections 3.2 and 3.5.
const INTERVAL: Duration = Duration::from_secs(5);

/// What the person has to be told. The code is worth nothing to others but to sign in for this
/// program, and it is meant to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePrompt {
    /// The page to open.
    pub page: String,
    /// The code to enter there.
    pub code: String,
    /// How long it is good.
    pub lasts: Duration,
}

/// Signs a person in and keeps the sign-in; `show` tells the person what to do.
///
/// Returns when the person is done, which takes as long as the code lasts, about 15 minutes.
///
/// # Errors
/// [`AuthError`] when the application or tenant is missing, the code is refused or not entered in
/// time, or the sign-in cannot be kept.
pub async fn sign_in(
    settings: &AuthSettings,
    show: impl FnOnce(&DevicePrompt),
) -> Result<(), AuthError> {
    DeviceSignIn::new(settings)?.begin(show).await
}

/// A sign-in that is kept, or is to be.
#[derive(Debug)]
pub(super) struct DeviceSignIn {
    endpoint: AuthEndpoint,
    kept: KeptSignIn,
}

#[derive(Deserialize)]
struct DeviceCodeAnswer {
    device_code: SecretString,
    user_code: String,
    verification_uri: String,
    expires_in: u64,
    interval: Option<u64>,
}

impl DeviceSignIn {
    pub(super) fn new(settings: &AuthSettings) -> Result<Self, AuthError> {
        let missing = |setting| AuthError::Missing { method: Method::DeviceCode, setting };
        let kept = settings.kept.clone().ok_or_else(|| missing("XDG_STATE_HOME or HOME"))?;
        // The application and tenant that signed in are kept with the sign-in, so that what runs
        // later needs no variable.
        let (client_id, tenant) = kept.read()?.map(|it| (it.client_id, it.tenant)).unzip();
        let client_id = settings.client_id.clone().or(client_id);
        let client_id = client_id.ok_or_else(|| missing("AZURE_CLIENT_ID"))?;
        // `organizations`: whatever tenant the person belongs to.
        let tenant = settings.tenant.clone().or(tenant);
        let tenant = tenant.unwrap_or_else(|| "organizations".to_owned());
        let scope = format!("{} offline_access", settings.cloud.scope());
        Ok(Self { endpoint: AuthEndpoint::new(settings, &tenant, &client_id, scope)?, kept })
    }

    async fn begin(&self, show: impl FnOnce(&DevicePrompt)) -> Result<(), AuthError> {
        let code: DeviceCodeAnswer = self.endpoint.device_code().await?;
        // Both are shown on a terminal, which must get no commands from afar.
        if [&code.user_code, &code.verification_uri].iter().any(|it| it.contains(char::is_control))
        {
            return Err(self.endpoint.bad_answer());
        }
        let lasts = Duration::from_secs(code.expires_in);
        let end = Instant::now().checked_add(lasts);
        show(&DevicePrompt { page: code.verification_uri, code: code.user_code, lasts });
        let mut interval = code.interval.map_or(INTERVAL, Duration::from_secs);
        loop {
            tokio::time::sleep(interval).await;
            if end.is_some_and(|end| Instant::now() >= end) {
                return Err(AuthError::CodeExpired);
            }
            let fields =
                [("grant_type", GRANT_TYPE), ("device_code", code.device_code.expose_secret())];
            match self.endpoint.token(&fields, Effort::Patient).await {
                Ok(answer) => return self.keep(&answer, None),
                Err(AuthError::Refused(refusal)) => match refusal.error {
                    "authorization_pending" => {}
                    "slow_down" => interval += INTERVAL,
                    "expired_token" => return Err(AuthError::CodeExpired),
                    "authorization_declined" | "access_denied" => return Err(AuthError::Declined),
                    _ => return Err(AuthError::Refused(refusal)),
                },
                Err(other) => return Err(other),
            }
        }
    }

    /// A token by the kept refresh token, which is replaced by the newer one that comes with it.
    pub(super) async fn fetch(&self, effort: Effort) -> Result<GrantedToken, AuthError> {
        let kept = self.kept.read()?.filter(|kept| self.is_ours(kept));
        let kept = kept.ok_or(AuthError::NotSignedIn)?;
        let fields = [
            ("grant_type", "refresh_token"),
            ("scope", &self.endpoint.scope),
            ("refresh_token", kept.refresh_token.expose_secret()),
        ];
        let answer = self.endpoint.token(&fields, effort).await.map_err(|error| match error {
            AuthError::Refused(refusal) if refusal.ends_sign_in() => {
                AuthError::SignInEnded(refusal)
            }
            other => other,
        })?;
        self.keep(&answer, Some(&kept))?;
        answer.granted(self.endpoint.host())
    }

    /// A refresh token goes to the host, tenant and application that it came from, or nowhere.
    fn is_ours(&self, kept: &SignInRecord) -> bool {
        kept.authority == self.endpoint.authority()
            && kept.tenant == self.endpoint.tenant
            && kept.client_id == self.endpoint.client_id
    }

    fn keep(&self, answer: &TokenAnswer, old: Option<&SignInRecord>) -> Result<(), AuthError> {
        let Some(refresh_token) = &answer.refresh_token else {
            // Optional on refresh (RFC 6749, section 6): the old one then stays good.
            return old.map(|_| ()).ok_or_else(|| self.endpoint.bad_answer());
        };
        let old = old.map(|old| old.refresh_token.expose_secret());
        if old == Some(refresh_token.expose_secret()) {
            return Ok(());
        }
        self.kept.write(&SignInRecord {
            authority: self.endpoint.authority(),
            tenant: self.endpoint.tenant.clone(),
            client_id: self.endpoint.client_id.clone(),
            refresh_token: refresh_token.clone(),
        })
    }
}
