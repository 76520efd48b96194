//! The token that everybody uses.
//!
//! Promises that one refresh serves all who wait for it, its failure included; that while a token is
//! good nobody waits for the next one but the one who fetches it; and that a token which Graph
//! refused is handed out to nobody again.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use secrecy::ExposeSecret as _;
use secrecy::zeroize::Zeroizing;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::granted::{Effort, Granted};
use super::source::Source;
use super::{AuthError, AuthSettings, Method, TokenClaims};

/// How long before its end a token is replaced, at most: five minutes, as Microsoft's own libraries
/// do (`expires_on` less 300 s in MSAL and in the Azure SDKs). A short token is replaced when a
/// quarter of its life is left.
const AHEAD: Duration = Duration::from_secs(300);

/// How long before its end a token is held to have ended, at most: a request takes its time to
/// arrive, and clocks differ. For a short token it is a twentieth of its life.
const MARGIN: Duration = Duration::from_secs(30);

/// After an attempt ahead of time, successful or not, the next waits so long.
const PAUSE: Duration = Duration::from_secs(30);

/// Hands out bearer tokens.
#[derive(Debug)]
pub struct Tokens {
    method: Option<Method>,
    source: Source,
    state: Mutex<State>,
    /// Held by the one who fetches.
    turn: tokio::sync::Mutex<()>,
    /// Told that a fetch has ended.
    fetched: Notify,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Current>,
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
struct Current {
    header: HeaderValue,
    claims: Option<TokenClaims>,
    ends: Option<Instant>,
    /// From here on it is replaced when there is time.
    ahead: Option<Instant>,
    /// From here on it is not handed out any more.
    last: Option<Instant>,
}

impl Current {
    fn new(granted: &Granted, origin: &str) -> Result<Self, AuthError> {
        let text = granted.token.expose_secret();
        let value = Zeroizing::new(format!("Bearer {text}"));
        let mut header = HeaderValue::from_str(&value).map_err(|_| AuthError::NotAToken {
            origin: origin.to_owned(),
            reason: "it holds characters that no token has",
        })?;
        header.set_sensitive(true);
        let claims = TokenClaims::read(text);
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

/// What the state has for one who asks.
enum Look {
    /// A token to use.
    Good(HeaderValue),
    /// A token to use, and time to replace it.
    Ageing(HeaderValue),
    /// None; so many fetches had ended by then.
    Empty(u64),
}

impl Tokens {
    /// Prepares to sign in by `settings`; fetches nothing yet.
    ///
    /// # Errors
    /// [`AuthError`] when no method is chosen, or the method lacks a setting or has a wrong one.
    pub fn new(settings: &AuthSettings) -> Result<Self, AuthError> {
        let method = settings.method()?;
        Ok(Self::from_source(Some(method), settings.source(method)?))
    }

    /// For a rehearsal: a header that is no credential, and no sign-in.
    pub fn none() -> Self {
        Self::from_source(None, Source::None)
    }

    fn from_source(method: Option<Method>, source: Source) -> Self {
        let (state, turn) = (Mutex::default(), tokio::sync::Mutex::new(()));
        Self { method, source, state, turn, fetched: Notify::new() }
    }

    /// The `Authorization` header for the next request, marked sensitive.
    ///
    /// # Errors
    /// [`AuthError`] when there is no good token and none can be had.
    pub async fn bearer(&self) -> Result<HeaderValue, AuthError> {
        match self.look(None) {
            Look::Good(header) => Ok(header),
            Look::Ageing(header) => {
                let Ok(turn) = self.turn.try_lock() else { return Ok(header) };
                if let Ok(header) = self.fetch(Effort::Once).await {
                    return Ok(header);
                }
                drop(turn);
                // A failure is no matter yet, unless the old token ended or was refused meanwhile.
                match self.look(None) {
                    Look::Good(header) | Look::Ageing(header) => Ok(header),
                    Look::Empty(seen) => self.wait_for(None, seen).await,
                }
            }
            Look::Empty(seen) => self.wait_for(None, seen).await,
        }
    }

    /// The header for a request that leaves this instant, without waiting; nothing where a token has
    /// to be fetched first ([`Tokens::bearer`]).
    pub fn current(&self) -> Option<HeaderValue> {
        match self.look(None) {
            Look::Good(header) | Look::Ageing(header) => Some(header),
            Look::Empty(_) => None,
        }
    }

    /// The header to repeat a request with that Graph answered by 401 when it carried `refused`.
    ///
    /// All who held `refused` get the same new one, by one fetch.
    ///
    /// # Errors
    /// [`AuthError::Same`] when the origin has no other token; else as [`Tokens::bearer`].
    pub async fn refreshed(&self, refused: &HeaderValue) -> Result<HeaderValue, AuthError> {
        match self.look(Some(refused)) {
            Look::Good(header) | Look::Ageing(header) => Ok(header),
            Look::Empty(seen) => self.wait_for(Some(refused), seen).await,
        }
    }

    /// The claims of the token in use, fetched where there is none yet; nothing where it is no JWT.
    ///
    /// # Errors
    /// As [`Tokens::bearer`].
    pub async fn claims(&self) -> Result<Option<TokenClaims>, AuthError> {
        self.bearer().await?;
        Ok(self.state().current.as_ref().and_then(|current| current.claims.clone()))
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
            if let Look::Ageing(_) = self.look(None) {
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

    async fn wait_for(
        &self,
        refused: Option<&HeaderValue>,
        seen: u64,
    ) -> Result<HeaderValue, AuthError> {
        let _turn = self.turn.lock().await;
        match self.look(refused) {
            Look::Good(header) | Look::Ageing(header) => return Ok(header),
            Look::Empty(now) if now != seen => {
                // Somebody tried while this one waited. Trying again for each would make a queue
                // of patient attempts out of one.
                if let Some(failure) = self.state().failure.clone() {
                    return Err(failure);
                }
            }
            Look::Empty(_) => {}
        }
        self.fetch(Effort::Patient).await
    }

    fn look(&self, refused: Option<&HeaderValue>) -> Look {
        let news = self.source.has_news();
        let now = Instant::now();
        let mut state = self.state();
        let past = |moment: Option<Instant>| moment.is_some_and(|moment| moment <= now);
        let Some(current) = &state.current else { return Look::Empty(state.fetches) };
        if Some(&current.header) == refused {
            state.refused = state.current.take().map(|current| current.header);
            return Look::Empty(state.fetches);
        }
        if past(current.last) {
            return Look::Empty(state.fetches);
        }
        let header = current.header.clone();
        let rested = state.pause.is_none_or(|pause| pause <= now);
        if news || (past(current.ahead) && rested) {
            Look::Ageing(header)
        } else {
            Look::Good(header)
        }
    }

    /// Only for the one whose turn it is.
    async fn fetch(&self, effort: Effort) -> Result<HeaderValue, AuthError> {
        let result = match self.source.fetch(effort).await {
            Ok(granted) => Current::new(&granted, &self.source.origin()),
            Err(error) => Err(error),
        };
        let result = self.note(result, effort);
        self.fetched.notify_waiters();
        result
    }

    /// Keeps how a fetch ended.
    fn note(
        &self,
        result: Result<Current, AuthError>,
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
        state.pause = Instant::now().checked_add(PAUSE);
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

    fn state(&self) -> MutexGuard<'_, State> {
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

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.identity)?;
        match self.lasts {
            Some(lasts) => write!(f, ", for {} more minutes", lasts.as_secs() / 60),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
