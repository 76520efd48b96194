//! The token that everybody uses.
//!
//! Promises that one refresh serves all who wait for it, its failure included; that while a token is
//! good nobody waits for the next one but the one who fetches it; and that a token which Graph
//! refused is handed out to nobody again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::application::Application;
use super::claims::Claims;
use super::device::DeviceSignIn;
use super::external::{AzureCli, TokenCommand, TokenFile};
use super::managed::ManagedIdentity;
use super::request::{Effort, GrantedToken};
use super::settings::AuthSettings;
use super::{AuthError, Method};

/// How long before its end a token is replaced, at most: five minutes, as Microsoft's own libraries
/// do (`expires_on` less 300 s in MSAL and in the Azure SDKs). A short token is replaced when a
/// quarter of its life is left.
const AHEAD: Duration = Duration::from_secs(300);

/// How long before its end a token is held to have ended, at most: a request takes its time to
/// arrive, and clocks differ. For a short token it is a twentieth of its life.
const MARGIN: Duration = Duration::from_secs(30);

/// After an attempt ahead of time, successful or not, the next waits so long.
const PAUSE_AHEAD: Duration = Duration::from_secs(30);

/// The pauses after tokens that were empty or had ended when they came: it may be a passing fault of
/// the endpoint's, and a flood of sign-ins would have the application blocked.
const USELESS_PAUSES: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// Where a token comes from, ready to be asked.
#[derive(Debug)]
enum TokenSource {
    /// No sign-in at all: a rehearsal.
    None,
    /// `GRAPH_TOKEN`: it is what it is.
    Variable(SecretString),
    File(TokenFile),
    Command(TokenCommand),
    Application(Application),
    Managed(ManagedIdentity),
    AzureCli(AzureCli),
    DeviceSignIn(DeviceSignIn),
    #[cfg(test)]
    Script(tests::Script),
}

impl TokenSource {
    fn new(method: Method, settings: &AuthSettings) -> Result<Self, AuthError> {
        Ok(match method {
            Method::Token => {
                match (&settings.token_file, &settings.token_command, &settings.token) {
                    (Some(_), Some(_), _) => {
                        return Err(AuthError::Setting {
                            setting: "--token-command",
                            reason: "there is a --token-file too: give one of them".to_owned(),
                        });
                    }
                    (Some(path), None, _) => Self::File(TokenFile::new(path.clone())),
                    (None, Some(line), _) => Self::Command(TokenCommand::parse(line)?),
                    (None, None, Some(token)) => Self::Variable(token.clone()),
                    (None, None, None) => {
                        let setting = "GRAPH_TOKEN, --token-file or --token-command";
                        return Err(AuthError::Missing { method, setting });
                    }
                }
            }
            Method::ClientSecret | Method::ClientCertificate | Method::WorkloadIdentity => {
                Self::Application(Application::new(settings, method)?)
            }
            Method::ManagedIdentity => Self::Managed(ManagedIdentity::new(settings)?),
            Method::AzureCli => Self::AzureCli(AzureCli::new(settings)?),
            Method::DeviceCode => Self::DeviceSignIn(DeviceSignIn::new(settings)?),
        })
    }

    /// Gets a token. Nothing is kept here: each call asks anew.
    async fn fetch(&self, effort: Effort) -> Result<GrantedToken, AuthError> {
        match self {
            Self::None => GrantedToken::from_text("none", &self.origin()),
            Self::Variable(token) => GrantedToken::from_text(token.expose_secret(), &self.origin()),
            Self::File(file) => file.fetch(),
            Self::Command(command) => command.fetch().await,
            Self::Application(application) => application.fetch(effort).await,
            Self::Managed(managed) => managed.fetch(effort).await,
            Self::AzureCli(cli) => cli.fetch().await,
            Self::DeviceSignIn(sign_in) => sign_in.fetch(effort).await,
            #[cfg(test)]
            Self::Script(script) => script.fetch(effort).await,
        }
    }

    /// Whether a better token is to be had at once: a file that changed.
    fn has_news(&self) -> bool {
        matches!(self, Self::File(file) if file.has_changed())
    }

    /// Where a token comes from, in words for a message.
    fn origin(&self) -> String {
        match self {
            Self::None => "a run without a credential".to_owned(),
            Self::Variable(_) => "GRAPH_TOKEN".to_owned(),
            Self::File(file) => file.origin(),
            Self::Command(_) => "--token-command".to_owned(),
            Self::Application(application) => application.host().to_owned(),
            Self::Managed(managed) => managed.origin().to_owned(),
            Self::AzureCli(_) => "the Azure CLI".to_owned(),
            Self::DeviceSignIn(_) => "the kept sign-in".to_owned(),
            #[cfg(test)]
            Self::Script(_) => "the script".to_owned(),
        }
    }

    /// Who signs in, in words for a person: names no one.
    fn identity(&self) -> String {
        match self {
            Self::None => "nobody: a rehearsal".to_owned(),
            Self::Application(application) => application.identity(),
            Self::Managed(managed) => format!("the managed identity of {}", managed.origin()),
            Self::AzureCli(_) => "whoever is signed in to the Azure CLI".to_owned(),
            Self::DeviceSignIn(_) => "whoever signed in by `login`".to_owned(),
            _ => format!("the token from {}", self.origin()),
        }
    }
}

/// Hands out bearer tokens.
#[derive(Debug)]
pub struct Tokens {
    method: Option<Method>,
    source: TokenSource,
    state: Mutex<TokenState>,
    /// Held by the one who fetches.
    turn: tokio::sync::Mutex<()>,
    /// Told that a fetch has ended.
    fetched: Notify,
}

#[derive(Debug, Default)]
struct TokenState {
    current: Option<CurrentToken>,
    /// How many fetches have ended.
    fetches: u64,
    /// How the last one ended, where it failed.
    failure: Option<AuthError>,
    /// No fetch ahead of time before this.
    pause: Option<Instant>,
    /// What Graph refused last. An origin that gives it again gives nothing.
    refused: Option<HeaderValue>,
}

#[derive(Clone, Debug)]
struct CurrentToken {
    header: HeaderValue,
    claims: Option<Claims>,
    ends: Option<Instant>,
    /// From here on it is replaced when there is time.
    ahead: Option<Instant>,
    /// From here on it is not handed out any more.
    last: Option<Instant>,
}

impl CurrentToken {
    fn new(granted: &GrantedToken, origin: &str) -> Result<Self, AuthError> {
        let text = granted.token.expose_secret();
        let useless = |reason| Err(AuthError::Useless { origin: origin.to_owned(), reason });
        if text.trim().is_empty() {
            return useless("they are empty");
        }
        if granted.lifetime.is_some_and(|life| life.is_zero()) {
            return useless("they have ended when they come (expires_in is 0)");
        }
        let value = Zeroizing::new(format!("Bearer {text}"));
        let mut header = HeaderValue::from_str(&value).map_err(|_| AuthError::NotAToken {
            origin: origin.to_owned(),
            reason: "it holds characters that no token has",
        })?;
        header.set_sensitive(true);
        let claims = Claims::read(text);
        let now = Instant::now();
        // An absurdly long life is as good as none.
        let after = |time: Duration| now.checked_add(time);
        let life = granted.lifetime;
        let ahead = life.map(|life| {
            let late = life.saturating_sub(AHEAD.min(life / 4));
            granted.refresh_in.map_or(late, |wish| late.min(wish))
        });
        Ok(Self {
            header,
            claims,
            ends: life.and_then(after),
            ahead: ahead.and_then(after),
            last: life.map(|life| life.saturating_sub(MARGIN.min(life / 20))).and_then(after),
        })
    }
}

/// A token that may be used.
struct CachedToken {
    header: HeaderValue,
    /// Whether it is time to replace it.
    ageing: bool,
}

impl Tokens {
    /// Prepares to sign in by `settings`; fetches nothing yet.
    ///
    /// # Errors
    /// [`AuthError`] when no method is chosen, or the method lacks a setting or has a wrong one.
    pub fn new(settings: &AuthSettings) -> Result<Self, AuthError> {
        let method = settings.method()?;
        Ok(Self::from_source(Some(method), TokenSource::new(method, settings)?))
    }

    /// For a rehearsal: a header that is no credential, and no sign-in.
    pub fn none() -> Self {
        Self::from_source(None, TokenSource::None)
    }

    fn from_source(method: Option<Method>, source: TokenSource) -> Self {
        let (state, turn) = (Mutex::default(), tokio::sync::Mutex::new(()));
        Self { method, source, state, turn, fetched: Notify::new() }
    }

    /// The `Authorization` header for the next request, marked sensitive.
    ///
    /// # Errors
    /// [`AuthError`] when there is no good token and none can be had.
    pub async fn bearer(&self) -> Result<HeaderValue, AuthError> {
        let mut cached = self.cached(None);
        if let Ok(CachedToken { header, ageing: true }) = cached {
            let Ok(turn) = self.turn.try_lock() else { return Ok(header) };
            if let Ok(header) = self.fetch(Effort::Once).await {
                return Ok(header);
            }
            drop(turn);
            // A failure is no matter yet, unless the old token ended or was refused meanwhile.
            cached = self.cached(None);
        }
        self.or_fetched(cached, None).await
    }

    /// The header for a request that leaves this instant, without waiting; nothing where a token has
    /// to be fetched first ([`Tokens::bearer`]).
    pub fn current(&self) -> Option<HeaderValue> {
        self.cached(None).ok().map(|cached| cached.header)
    }

    /// The header to repeat a request with that Graph answered by 401 when it carried `refused`.
    ///
    /// All who held `refused` get the same new one, by one fetch.
    ///
    /// # Errors
    /// [`AuthError::Same`] when the origin has no other token; else as [`Tokens::bearer`].
    pub async fn refreshed(&self, refused: &HeaderValue) -> Result<HeaderValue, AuthError> {
        self.or_fetched(self.cached(Some(refused)), Some(refused)).await
    }

    /// The claims of the token in use, fetched where there is none yet; nothing where it is no JWT.
    ///
    /// # Errors
    /// As [`Tokens::bearer`].
    pub async fn claims(&self) -> Result<Option<Claims>, AuthError> {
        self.bearer().await?;
        Ok(self.state().current.as_ref().and_then(|current| current.claims.clone()))
    }

    /// The client id of the application that the token in use speaks for; nothing where there is no
    /// token yet, or it does not tell.
    pub fn application(&self) -> Option<String> {
        self.state().current.as_ref()?.claims.as_ref()?.application.clone()
    }

    /// What can be told to a person.
    pub fn describe(&self) -> Description {
        let ends = self.state().current.as_ref().and_then(|current| current.ends);
        Description {
            method: self.method,
            identity: self.source.identity(),
            lasts: ends.map(|end| end.saturating_duration_since(Instant::now())),
        }
    }

    /// Replaces each token ahead of its end, for as long as it is awaited; it never ends.
    ///
    /// Beside a run, so that a token does not end unnoticed while requests wait for their turn.
    pub async fn keep(&self) {
        loop {
            let news = self.fetched.notified();
            let Some(due) = self.due() else {
                news.await;
                continue;
            };
            tokio::select! {
                () = news => continue,
                () = tokio::time::sleep_until(due) => {}
            }
            // Whoever is fetching may bring what is wanted.
            let _turn = self.turn.lock().await;
            if self.cached(None).is_ok_and(|cached| cached.ageing) {
                // A failure is no matter yet: it pauses, and the token has a while to live.
                let _ = self.fetch(Effort::Once).await;
            }
        }
    }

    /// When the token in use is to be replaced; nothing where it need not be, or cannot be any more
    /// ahead of its end.
    fn due(&self) -> Option<Instant> {
        let state = self.state();
        let current = state.current.as_ref()?;
        let now = Instant::now();
        let due = current.ahead?.max(state.pause.unwrap_or(now)).max(now);
        current.last.is_none_or(|last| due < last).then_some(due)
    }

    /// The token that was there, else one that is fetched when it is this one's turn.
    async fn or_fetched(
        &self,
        cached: Result<CachedToken, u64>,
        refused: Option<&HeaderValue>,
    ) -> Result<HeaderValue, AuthError> {
        let fetches = match cached {
            Ok(cached) => return Ok(cached.header),
            Err(fetches) => fetches,
        };
        let _turn = self.turn.lock().await;
        match self.cached(refused) {
            Ok(cached) => return Ok(cached.header),
            // Somebody tried while this one waited. Trying again for each would make a queue of
            // patient attempts out of one.
            Err(now) if now != fetches => {
                if let Some(failure) = self.state().failure.clone() {
                    return Err(failure);
                }
            }
            Err(_) => {}
        }
        self.fetch(Effort::Patient).await
    }

    /// The token in use, where it is good and is not `refused`.
    ///
    /// # Errors
    /// How many fetches have ended by now.
    fn cached(&self, refused: Option<&HeaderValue>) -> Result<CachedToken, u64> {
        let news = self.source.has_news();
        let now = Instant::now();
        let mut state = self.state();
        let past = |moment: Option<Instant>| moment.is_some_and(|moment| moment <= now);
        let Some(current) = &state.current else { return Err(state.fetches) };
        if Some(&current.header) == refused {
            state.refused = state.current.take().map(|current| current.header);
            return Err(state.fetches);
        }
        if past(current.last) {
            return Err(state.fetches);
        }
        let rested = state.pause.is_none_or(|pause| pause <= now);
        let ageing = news || (past(current.ahead) && rested);
        Ok(CachedToken { header: current.header.clone(), ageing })
    }

    /// Only for the one whose turn it is.
    async fn fetch(&self, effort: Effort) -> Result<HeaderValue, AuthError> {
        let mut pauses = USELESS_PAUSES.iter();
        let result = loop {
            let granted = self.source.fetch(effort).await;
            let origin = self.source.origin();
            let result = granted.and_then(|granted| CurrentToken::new(&granted, &origin));
            let pause = pauses.next().filter(|_| effort == Effort::Patient);
            match (&result, pause) {
                (Err(AuthError::Useless { .. }), Some(pause)) => tokio::time::sleep(*pause).await,
                _ => break result,
            }
        };
        let result = self.store(result, effort);
        self.fetched.notify_waiters();
        result
    }

    /// Stores how a fetch ended.
    fn store(
        &self,
        result: Result<CurrentToken, AuthError>,
        effort: Effort,
    ) -> Result<HeaderValue, AuthError> {
        let mut state = self.state();
        let result = result.and_then(|current| match &state.refused {
            Some(refused) if *refused == current.header => {
                Err(AuthError::Same { origin: self.source.origin() })
            }
            _ => Ok(current),
        });
        state.fetches += 1;
        state.pause = Instant::now().checked_add(PAUSE_AHEAD);
        match result {
            Ok(current) => {
                let lasts = current.ends.map(|end| end.saturating_duration_since(Instant::now()));
                tracing::debug!(
                    method = self.method.map(Method::name),
                    lasts_s = lasts.map(|lasts| lasts.as_secs()),
                    "a token was obtained"
                );
                let header = current.header.clone();
                let ahead = current.ahead;
                // A token that was due for replacement as it came would be fetched for every
                // request; one that came fresh may be replaced as soon as it is time.
                if ahead.is_some_and(|ahead| ahead > Instant::now()) {
                    state.pause = None;
                }
                state.current = Some(current);
                state.failure = None;
                Ok(header)
            }
            Err(error) => {
                tracing::debug!(%error, ?effort, "no token was obtained");
                // Only a patient failure is worth sharing: one ahead of time says little.
                state.failure = (effort == Effort::Patient).then(|| error.clone());
                Err(error)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, TokenState> {
        // No code that holds it can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the program signs in, for a person to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The method; none in a rehearsal.
    pub method: Option<Method>,
    /// Who signs in: ids, a file, a host; no secret and no person's name.
    pub identity: String,
    /// How long the token in use is still good, where there is one that tells.
    pub lasts: Option<Duration>,
}

#[cfg(test)]
mod tests;
