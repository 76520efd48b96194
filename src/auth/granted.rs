//! A token as it came, whatever its source.

use std::time::Duration;

use secrecy::SecretString;

use super::{AuthError, TokenClaims, clock};

/// How hard to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Once: the old token is still good, so a failure costs nothing.
    Once,
    /// As long as is bearable: nothing can be sent without it.
    Patient,
}

/// A token as it came.
pub(crate) struct Granted {
    pub(crate) token: SecretString,
    /// How long it lasts from now on, where that is known.
    pub(crate) lifetime: Option<Duration>,
    /// When the issuer would like to see its holder again.
    pub(crate) refresh_in: Option<Duration>,
}

impl Granted {
    /// Takes a token that a person or a program handed over as text.
    pub(crate) fn from_text(text: &str, origin: &str) -> Result<Self, AuthError> {
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
        let lifetime = match TokenClaims::read(text).and_then(|claims| claims.expires) {
            None => None,
            Some(end) => {
                let left = clock::until(end);
                if left.is_zero() {
                    let since = Duration::from_secs(clock::now().saturating_sub(end));
                    return Err(AuthError::Expired { origin: origin.to_owned(), since });
                }
                Some(left)
            }
        };
        Ok(Self { token: text.into(), lifetime, refresh_in: None })
    }
}
