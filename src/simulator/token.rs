//! The two kinds of JWT: bearer tokens, made here and checked on each call, and client assertions, by
//! which an application shows its certificate, or a workload its federated identity.
//!
//! A bearer's claims can be read by a client (`exp`, `roles` or `scp`, `idtyp`). It is sealed by a
//! keyed hash, so that the simulator keeps no list of them, and opens nothing but the simulator.

use std::time::{Duration, SystemTime};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    answer::{EXPIRED, Problem},
    chance,
    config::{Caller, Config, TENANT, TokenRule},
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

/// RFC 7523, section 2.2.
pub(super) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The audience of a federated token ("Workload identity federation", Microsoft Entra).
const EXCHANGE: &str = "api://AzureADTokenExchange";

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
    own: OwnClaims,
}

/// The claims that the simulator itself reads.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct OwnClaims {
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
            iss: format!("https://sts.windows.net/{TENANT}/"),
            iat: seconds(now),
            nbf: seconds(now),
            exp: seconds(end),
            appid: client_id,
            idtyp: if app { "app" } else { "user" },
            oid: chance::uuid(chance::text(config.seed, if app { client_id } else { "me" })),
            roles: if app { &ROLES } else { &[] },
            scp: (!app).then_some(SCOPES),
            tid: TENANT,
            ver: "1.0",
            own: OwnClaims {
                number: self.made,
                end: u64::try_from(end.as_millis()).unwrap_or(u64::MAX),
                app,
            },
        };
        self.made += 1;
        let claims = serde_json::to_vec(&claims).expect("our own claims are always JSON");
        let signed = format!("{HEADER}.{}", BASE64.encode(claims));
        let seal = seal(config.seed, &signed);
        signed + "." + &seal
    }

    /// Who calls with this header; `None` where the token does not tell.
    pub(super) fn check(
        config: &Config,
        authorization: Option<&str>,
        now: Duration,
    ) -> Result<Option<Caller>, Problem> {
        let bearer = authorization
            .and_then(|header| header.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        let token = match (config.tokens.rule, bearer) {
            (TokenRule::None, None) => return Ok(None),
            (_, None | Some("")) => return Err(Problem::unauthorized("Access token is empty.")),
            (_, Some(token)) => token,
        };
        match (open(config.seed, token), config.tokens.rule) {
            (Some(own), _) if now.as_millis() >= u128::from(own.end) => {
                Err(Problem::unauthorized(EXPIRED))
            }
            (Some(own), _) if own.app => Ok(Some(Caller::Application)),
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
    BASE64.encode(hash.finalize())
}

/// The claims of one of our own tokens.
fn open(seed: u64, token: &str) -> Option<OwnClaims> {
    let (signed, found) = token.rsplit_once('.')?;
    let claims = signed.strip_prefix(HEADER)?.strip_prefix('.')?;
    if seal(seed, signed) != found {
        return None;
    }
    serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()
}

/// Whether an assertion is this client's, for this endpoint, and not expired. Its signature is not
/// checked: which keys are trusted nobody has said.
pub(super) fn is_assertion(assertion: &str, client_id: &str, at: SystemTime) -> bool {
    let mut parts = assertion.split('.').map(|part| BASE64.decode(part).unwrap_or_default());
    let mut part = || parts.next().unwrap_or_default();
    let json = |part: Vec<u8>| serde_json::from_slice::<Value>(&part).unwrap_or_default();
    let (header, claims, signature) = (json(part()), json(part()), part());
    let audience = claims["aud"].as_str().unwrap_or_default();
    // A federated token is its own issuer's; an application's assertion is its own.
    let is_own = audience == EXCHANGE
        || (claims["iss"] == client_id
            && claims["sub"] == client_id
            && claims["jti"].is_string()
            && audience.ends_with("/oauth2/v2.0/token"));
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    matches!(header["alg"].as_str(), Some("RS256" | "PS256"))
        && is_own
        && claims["exp"].as_u64().is_some_and(|exp| exp > seconds)
        && !signature.is_empty()
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {

    use serde_json::json;

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
                |ms| IssuedTokens::check(&config, Some(&header), start + Duration::from_millis(ms));
            assert_eq!(check(2_499), Ok(Some(caller)));
            assert_eq!(check(2_500).expect_err("expired").status, 401);
        }
    }

    #[test]
    fn the_header_is_what_it_says() {
        let header = BASE64.decode(HEADER).expect("base64");
        assert_eq!(header, br#"{"typ":"JWT","alg":"HS256","kid":"rehearsal"}"#);
    }

    #[test]
    fn the_rule_decides_about_strangers() {
        let check = |rule, header| IssuedTokens::check(&config(rule), header, Duration::ZERO);
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
    fn a_forged_token_is_refused() {
        let config = config(TokenRule::Issued);
        let mut tokens = IssuedTokens::default();
        let token = tokens.make(&config, Caller::Application, "client", Duration::ZERO);
        let other = Config { seed: 1, ..config.clone() };
        let header = format!("Bearer {token}");
        assert!(IssuedTokens::check(&config, Some(&header), Duration::ZERO).is_ok());
        assert!(IssuedTokens::check(&other, Some(&header), Duration::ZERO).is_err());
        let forged = header.replace("eyJhdWQi", "eyJhdWQj");
        assert!(IssuedTokens::check(&config, Some(&forged), Duration::ZERO).is_err());
    }

    fn assertion(member: &str, value: &Value) -> String {
        let mut claims = json!({
            "aud": "https://login.microsoftonline.com/t/oauth2/v2.0/token",
            "iss": "client", "sub": "client", "jti": "1", "exp": 2_000,
        });
        claims[member] = value.clone();
        let part = |value: &Value| BASE64.encode(value.to_string());
        let header = json!({"alg": "PS256", "x5t#S256": "abc"});
        format!("{}.{}.{}", part(&header), part(&claims), BASE64.encode(b"signature"))
    }

    #[test]
    fn an_assertion_is_the_clients_own_for_this_endpoint_and_not_expired() {
        let check = |assertion: &str| {
            is_assertion(assertion, "client", SystemTime::UNIX_EPOCH + Duration::from_secs(1_000))
        };
        assert!(check(&assertion("nbf", &json!(900))));
        assert!(check(&assertion("aud", &json!(EXCHANGE))));
        for (member, value) in
            [("aud", json!("x")), ("iss", json!("x")), ("exp", json!(1_000)), ("jti", json!(null))]
        {
            assert!(!check(&assertion(member, &value)), "{member}");
        }
        assert!(!check("no.assertion"));
    }
}
