//! Bearer tokens: made, and checked on each call.
//!
//! They are JWTs whose claims a client can read (`exp`, `roles` or `scp`, `idtyp`), sealed by a
//! keyed hash, so that the simulator keeps no list of them. They open nothing but itself.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    answer::Problem,
    base64url, chance,
    config::{Caller, Config, TokenRule},
};

/// `{"typ":"JWT","alg":"HS256","kid":"rehearsal"}`
const HEADER: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiIsImtpZCI6InJlaGVhcnNhbCJ9";

/// The application permissions and the scopes that the two APIs want.
const ROLES: [&str; 3] = [
    "OnlineMeetings.ReadWrite.All",
    "VirtualEvent.Read.All",
    "VirtualEventRegistration-Anon.ReadWrite.All",
];
const SCOPES: &str = "OnlineMeetings.ReadWrite VirtualEvent.ReadWrite";

#[derive(Serialize)]
struct TokenClaims<'a> {
    aud: &'static str,
    iss: String,
    iat: u64,
    nbf: u64,
    exp: u64,
    appid: &'a str,
    idtyp: &'static str,
    oid: Uuid,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    roles: &'a [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    scp: Option<&'static str>,
    tid: Uuid,
    ver: &'static str,
    #[serde(flatten)]
    own: Own,
}

/// The claims that the simulator itself reads.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Own {
    /// The number of the token.
    #[serde(rename = "rehearsal_number")]
    number: u64,
    /// The end of its life in milliseconds from the simulator's start: finer than `exp`.
    #[serde(rename = "rehearsal_end")]
    end: u64,
    #[serde(rename = "rehearsal_app")]
    app: bool,
}

/// What is remembered of all tokens.
#[derive(Debug, Default)]
pub(super) struct IssuedTokens {
    /// How many were made.
    pub(super) made: u64,
    /// Those with a smaller number are void.
    revoked: u64,
}

impl IssuedTokens {
    /// Makes a token for this client.
    pub(super) fn make(
        &mut self,
        config: &Config,
        caller: Caller,
        client_id: &str,
        now: Duration,
    ) -> String {
        let app = caller == Caller::Application;
        let end = now + config.tokens.lifetime;
        let seconds = |at: Duration| {
            (config.epoch + at).duration_since(SystemTime::UNIX_EPOCH).map_or(0, |t| t.as_secs())
        };
        let claims = TokenClaims {
            aud: "https://graph.microsoft.com",
            iss: format!("https://sts.windows.net/{}/", config.tenant),
            iat: seconds(now),
            nbf: seconds(now),
            exp: seconds(end),
            appid: client_id,
            idtyp: if app { "app" } else { "user" },
            oid: chance::uuid(chance::text(config.seed, if app { client_id } else { "me" })),
            roles: if app { &ROLES } else { &[] },
            scp: (!app).then_some(SCOPES),
            tid: config.tenant,
            ver: "1.0",
            own: Own {
                number: self.made,
                end: u64::try_from(end.as_millis()).unwrap_or(u64::MAX),
                app,
            },
        };
        self.made += 1;
        let claims = serde_json::to_vec(&claims).expect("our own claims are always JSON");
        let signed = format!("{HEADER}.{}", base64url::encode(&claims));
        let seal = seal(config.seed, &signed);
        signed + "." + &seal
    }

    /// Voids every token made so far.
    pub(super) fn revoke(&mut self) {
        self.revoked = self.made;
    }

    /// Who calls with this header; `None` where the token does not tell.
    pub(super) fn check(
        &self,
        config: &Config,
        authorization: Option<&str>,
        now: Duration,
    ) -> Result<Option<Caller>, Problem> {
        let bearer = authorization
            .and_then(|header| header.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        match (config.tokens.rule, bearer) {
            (TokenRule::None, None) => return Ok(None),
            (_, None | Some("")) => return Err(Problem::unauthorized("Access token is empty.")),
            _ => {}
        }
        match (bearer.and_then(|token| open(config.seed, token)), config.tokens.rule) {
            (Some(own), _) if now.as_millis() >= u128::from(own.end) => {
                Err(Problem::unauthorized("Lifetime validation failed, the token is expired."))
            }
            (Some(own), _) if own.number < self.revoked => {
                Err(Problem::unauthorized("The token has been revoked."))
            }
            (Some(Own { app: true, .. }), _) => Ok(Some(Caller::Application)),
            (Some(_), _) => Ok(Some(Caller::Delegated)),
            (None, TokenRule::Issued) => {
                Err(Problem::unauthorized("CompactToken validation failed."))
            }
            (None, _) => Ok(None),
        }
    }
}

fn seal(seed: u64, signed: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(signed.as_bytes());
    base64url::encode(&hash.finalize())
}

/// The claims of one of our own tokens.
fn open(seed: u64, token: &str) -> Option<Own> {
    let (signed, found) = token.rsplit_once('.')?;
    let claims = signed.strip_prefix(HEADER)?.strip_prefix('.')?;
    if seal(seed, signed) != found {
        return None;
    }
    serde_json::from_slice(&base64url::decode(claims)?).ok()
}

#[cfg(test)]
mod tests {

    use super::*;

    fn config(rule: TokenRule) -> Config {
        let mut config = Config::default();
        config.tokens.rule = rule;
        config.tokens.lifetime = Duration::from_millis(2_500);
        config
    }

    #[test]
    fn a_token_lives_as_long_as_it_was_made_for_and_says_whose_it_is() {
        let config = config(TokenRule::Issued);
        let mut tokens = IssuedTokens::default();
        let start = Duration::from_secs(10);
        for caller in [Caller::Application, Caller::Delegated] {
            let header = format!("Bearer {}", tokens.make(&config, caller, "client", start));
            let check =
                |ms| tokens.check(&config, Some(&header), start + Duration::from_millis(ms));
            assert_eq!(check(2_499), Ok(Some(caller)));
            assert_eq!(check(2_500).expect_err("expired").status, 401);
        }
    }

    #[test]
    fn the_header_is_what_it_says() {
        let header = base64url::decode(HEADER).expect("base64");
        assert_eq!(header, br#"{"typ":"JWT","alg":"HS256","kid":"rehearsal"}"#);
    }

    #[test]
    fn the_rule_decides_about_strangers() {
        let tokens = IssuedTokens::default();
        let check = |rule, header| tokens.check(&config(rule), header, Duration::ZERO);
        assert_eq!(check(TokenRule::None, None), Ok(None));
        assert_eq!(check(TokenRule::Any, Some("Bearer stranger")), Ok(None));
        for (rule, header) in [
            (TokenRule::Any, None),
            (TokenRule::Any, Some("Bearer ")),
            (TokenRule::Any, Some("Basic abc")),
            (TokenRule::Issued, Some("Bearer stranger")),
        ] {
            assert_eq!(check(rule, header).expect_err("refused").status, 401, "{header:?}");
        }
    }

    #[test]
    fn a_forged_or_revoked_token_is_refused() {
        let config = config(TokenRule::Issued);
        let mut tokens = IssuedTokens::default();
        let token = tokens.make(&config, Caller::Application, "client", Duration::ZERO);
        let other = Config { seed: 1, ..config.clone() };
        let header = format!("Bearer {token}");
        assert!(tokens.check(&config, Some(&header), Duration::ZERO).is_ok());
        assert!(tokens.check(&other, Some(&header), Duration::ZERO).is_err());
        let forged = header.replace("eyJhdWQi", "eyJhdWQj");
        assert!(tokens.check(&config, Some(&forged), Duration::ZERO).is_err());
        tokens.revoke();
        assert!(tokens.check(&config, Some(&header), Duration::ZERO).is_err());
    }
}
