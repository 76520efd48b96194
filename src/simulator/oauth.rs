//! The token endpoint: OAuth 2.0 as Entra ID speaks it, and the tokens that it gives out.
//!
//! Client credentials (secret or assertion), device code (RFC 8628) and refresh, and the endpoint
//! of a managed identity. The error codes are those of the identity platform's documentation
//! ("OAuth 2.0 device authorization grant flow", "client credentials flow").
//!
//! A bearer token is a JWT whose claims a client can read (`exp`, `roles` or `scp`, `idtyp`). It is
//! sealed by a keyed hash, so that the simulator keeps no list of them, and opens nothing but the
//! simulator.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    answer::{EXPIRED, Problem, Success, written},
    chance,
    config::{Caller, Config, TENANT, TokenRule},
};

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What the endpoint remembers.
#[derive(Debug, Default)]
pub(super) struct TokenEndpoint {
    devices: HashMap<String, Device>,
    refresh: HashSet<String>,
    pub(super) issued: IssuedTokens,
}

#[derive(Debug)]
struct Device {
    made: Duration,
    polls: u32,
    last: Option<Duration>,
    offline: bool,
}

/// How long a device code lives.
const DEVICE_CODE_LIFETIME: Duration = Duration::from_secs(900);

/// A refusal: OAuth's code, Entra's number, and words.
struct Denied(&'static str, u32, &'static str);

const PENDING: Denied = Denied(
    "authorization_pending",
    70_016,
    "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
);
const SLOW_DOWN: Denied = Denied("slow_down", 90_006, "Polling too often. Slow down.");
const EXPIRED_CODE: Denied = Denied("expired_token", 70_020, "The device code has expired.");
const BAD_CODE: Denied =
    Denied("bad_verification_code", 70_018, "The device code was not recognised.");
const BAD_ASSERTION: Denied =
    Denied("invalid_client", 700_027, "Client assertion failed validation.");
const BAD_REFRESH: Denied = Denied(
    "invalid_grant",
    70_000,
    "The provided value for the input parameter 'refresh_token' is not valid.",
);
const BAD_GRANT: Denied =
    Denied("unsupported_grant_type", 70_003, "The app requested an unsupported grant type.");
const MISSING: Denied =
    Denied("invalid_request", 900_144, "The request body lacks a parameter that it must contain.");

/// The parameters of a form.
struct Parameters(HashMap<String, String>);

impl Parameters {
    fn parse(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    fn get(&self, name: &str) -> Result<&str, Denied> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty()).ok_or(MISSING)
    }
}

/// What decides about an answer beside the form.
#[derive(Clone, Copy)]
pub(super) struct TokenContext<'a> {
    pub(super) config: &'a Config,
    pub(super) base: &'a str,
    pub(super) now: Duration,
}

impl TokenContext<'_> {
    fn at(&self) -> SystemTime {
        self.config.epoch + self.now
    }

    /// The answer to a result.
    fn answer(&self, result: Result<Value, Denied>) -> Success {
        let Denied(error, number, words) = match result {
            Ok(body) => return Success::ok(&body),
            Err(denied) => denied,
        };
        let unauthorized = error == "invalid_client";
        let status = if unauthorized { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
        let body = json!({
            "error": error,
            "error_description": format!("AADSTS{number}: {words}"),
            "error_codes": [number],
            "timestamp": written(self.at(), "%Y-%m-%d %H:%M:%SZ"),
            "trace_id": chance::uuid(number.into()),
            "correlation_id": chance::uuid(!u64::from(number)),
        });
        Success::json(status, &body)
    }
}

impl TokenEndpoint {
    /// `POST /{tenant}/oauth2/v2.0/devicecode`
    pub(super) fn device_code(&mut self, context: TokenContext<'_>, body: &[u8]) -> Success {
        let form = Parameters::parse(body);
        let result = form.get("client_id").and_then(|_| form.get("scope")).map(|scope| {
            let interval = context.config.tokens.poll_interval;
            let number = self.devices.len() as u64;
            let hash = chance::pair(context.config.seed ^ 0xde71_ce00, number);
            let device_code = format!("D{hash:016x}{:016x}", chance::mix(hash));
            let user_code = format!("{:09X}", hash >> 28);
            let offline = scope.split(' ').any(|scope| scope == "offline_access");
            let entry = Device { made: context.now, polls: 0, last: None, offline };
            self.devices.insert(device_code.clone(), entry);
            let uri = format!("{}/devicelogin", context.base);
            json!({
                "user_code": user_code,
                "device_code": device_code,
                "verification_uri": uri,
                "expires_in": DEVICE_CODE_LIFETIME.as_secs(),
                "interval": u64::try_from(interval.as_millis().div_ceil(1_000)).ok(),
                "message": format!(
                    "To sign in, use a web browser to open the page {uri} and enter the code \
                     {user_code} to authenticate."
                ),
            })
        });
        context.answer(result)
    }

    /// `POST /{tenant}/oauth2/v2.0/token`
    pub(super) fn token(&mut self, context: TokenContext<'_>, body: &[u8]) -> Success {
        let form = Parameters::parse(body);
        let result = form.get("grant_type").and_then(|grant| match grant {
            "client_credentials" => self.client_credentials(context, &form),
            DEVICE_GRANT => self.device(context, &form),
            "refresh_token" => {
                if !self.refresh.contains(form.get("refresh_token")?) {
                    return Err(BAD_REFRESH);
                }
                Ok(self.give(context, Caller::Delegated, form.get("client_id")?, true))
            }
            _ => Err(BAD_GRANT),
        });
        context.answer(result)
    }

    /// `GET /metadata/identity/oauth2/token`, and App Service's `GET /msi/token`.
    pub(super) fn managed_identity(&mut self, context: TokenContext<'_>, query: &str) -> Success {
        let form = Parameters::parse(query.as_bytes());
        let result = form.get("resource").map(|resource| {
            let client = form.get("client_id").unwrap_or("managed-identity");
            let mut body = self.give(context, Caller::Application, client, false);
            let since = context.at().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let lifetime = context.config.tokens.lifetime;
            // Both are text here, unlike at the token endpoint.
            body["expires_in"] = json!(lifetime.as_secs().to_string());
            body["expires_on"] = json!((since + lifetime).as_secs().to_string());
            body["resource"] = json!(resource);
            body
        });
        context.answer(result)
    }

    fn client_credentials(
        &mut self,
        context: TokenContext<'_>,
        form: &Parameters,
    ) -> Result<Value, Denied> {
        let client = form.get("client_id")?;
        form.get("scope")?;
        if let Ok(assertion) = form.get("client_assertion") {
            if form.get("client_assertion_type")? != ASSERTION_TYPE
                || !is_assertion(assertion, client, context.at())
            {
                return Err(BAD_ASSERTION);
            }
        } else {
            form.get("client_secret")?;
        }
        Ok(self.give(context, Caller::Application, client, false))
    }

    fn device(&mut self, context: TokenContext<'_>, form: &Parameters) -> Result<Value, Denied> {
        let client = form.get("client_id")?;
        let rules = &context.config.tokens;
        let device = self.devices.get_mut(form.get("device_code")?).ok_or(BAD_CODE)?;
        if context.now >= device.made + DEVICE_CODE_LIFETIME {
            return Err(EXPIRED_CODE);
        }
        let last = device.last.replace(context.now);
        if last.is_some_and(|last| context.now < last + rules.poll_interval) {
            return Err(SLOW_DOWN);
        }
        device.polls += 1;
        if device.polls <= rules.pending_polls {
            return Err(PENDING);
        }
        let offline = device.offline;
        Ok(self.give(context, Caller::Delegated, client, offline))
    }

    fn give(
        &mut self,
        context: TokenContext<'_>,
        caller: Caller,
        client: &str,
        refresh: bool,
    ) -> Value {
        let token = self.issued.make(context.config, caller, client, context.now);
        let lifetime = context.config.tokens.lifetime.as_secs();
        let mut body = json!({
            "token_type": "Bearer",
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": token,
        });
        if refresh {
            let hash = chance::pair(context.config.seed ^ 0x7ef7_e500, self.issued.made);
            let token = format!("rehearsal.{hash:016x}");
            body["refresh_token"] = json!(token);
            self.refresh.insert(token);
        }
        body
    }
}

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
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The audience of a federated token ("Workload identity federation", Microsoft Entra).
const EXCHANGE: &str = "api://AzureADTokenExchange";

/// The claims that the simulator itself reads.
#[derive(Deserialize)]
struct OwnClaims {
    /// The end of its life in milliseconds from the simulator's start.
    rehearsal_end: u64,
    rehearsal_app: bool,
}

/// What is remembered of all tokens.
#[derive(Debug, Default)]
pub(super) struct IssuedTokens {
    /// How many were made.
    pub(super) made: u64,
}

impl IssuedTokens {
    /// Makes a token for this client.
    fn make(&mut self, config: &Config, caller: Caller, client_id: &str, now: Duration) -> String {
        let app = caller == Caller::Application;
        let end = now + config.tokens.lifetime;
        let seconds = |at: Duration| {
            (config.epoch + at).duration_since(SystemTime::UNIX_EPOCH).map_or(0, |t| t.as_secs())
        };
        let mut claims = json!({
            "aud": "https://graph.microsoft.com",
            "iss": format!("https://sts.windows.net/{TENANT}/"),
            "iat": seconds(now),
            "nbf": seconds(now),
            "exp": seconds(end),
            "appid": client_id,
            "idtyp": if app { "app" } else { "user" },
            "oid": chance::uuid(chance::text(config.seed, if app { client_id } else { "me" })),
            "tid": TENANT,
            "ver": "1.0",
            "rehearsal_number": self.made,
            // In milliseconds from the simulator's start: finer than `exp`.
            "rehearsal_end": u64::try_from(end.as_millis()).unwrap_or(u64::MAX),
            "rehearsal_app": app,
        });
        if app {
            claims["roles"] = json!(ROLES);
        } else {
            claims["scp"] = json!(SCOPES);
        }
        self.made += 1;
        let signed = format!("{HEADER}.{}", BASE64.encode(claims.to_string()));
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
            (Some(own), _) if now.as_millis() >= u128::from(own.rehearsal_end) => {
                Err(Problem::unauthorized(EXPIRED))
            }
            (Some(own), _) if own.rehearsal_app => Ok(Some(Caller::Application)),
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
fn is_assertion(assertion: &str, client_id: &str, at: SystemTime) -> bool {
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
    use super::*;
    use serde_json::json;

    fn body(success: &Success) -> Value {
        serde_json::from_slice(&success.body).expect("JSON")
    }

    fn context(config: &Config, seconds: u64) -> TokenContext<'_> {
        TokenContext { config, base: "http://127.0.0.1:1", now: Duration::from_secs(seconds) }
    }

    #[test]
    fn a_secret_is_worth_a_token() {
        let config = Config::default();
        let mut desk = TokenEndpoint::default();
        let mut ask = |form: &str| desk.token(context(&config, 0), form.as_bytes());
        let form = "grant_type=client_credentials&client_id=c&scope=s%2F.default&client_secret=";
        let given = body(&ask(&format!("{form}secret")));
        assert_eq!((&given["token_type"], &given["expires_in"]), (&json!("Bearer"), &json!(3_599)));
        assert!(given.get("refresh_token").is_none());
        let denied = ask(&format!("{form}&client_assertion=a&client_assertion_type=b"));
        assert_eq!(denied.status, 401);
        assert_eq!(body(&denied)["error"], "invalid_client");
        assert_eq!(body(&ask(form))["error"], "invalid_request");
        assert_eq!(body(&ask("grant_type=password"))["error"], "unsupported_grant_type");
    }

    #[test]
    fn a_device_code_waits_slows_down_and_gives_a_refresh_token() {
        let config = Config::default();
        let mut desk = TokenEndpoint::default();
        let form = b"client_id=c&scope=User.Read+offline_access";
        let made = body(&desk.device_code(context(&config, 0), form));
        assert_eq!((&made["interval"], &made["expires_in"]), (&json!(5), &json!(900)));
        let code = made["device_code"].as_str().expect("a code").to_owned();
        let poll = format!("grant_type={DEVICE_GRANT}&client_id=c&device_code={code}");
        let mut ask = |at, form: &str| body(&desk.token(context(&config, at), form.as_bytes()));
        assert_eq!(ask(0, &poll)["error"], "authorization_pending");
        assert_eq!(ask(3, &poll)["error"], "slow_down");
        assert_eq!(ask(8, &poll)["error"], "authorization_pending");
        let given = ask(13, &poll);
        let refresh = given["refresh_token"].as_str().expect("a refresh token");
        let form = |token| format!("grant_type=refresh_token&client_id=c&refresh_token={token}");
        assert!(ask(14, &form(refresh))["access_token"].is_string());
        assert_eq!(ask(14, &form("stranger"))["error"], "invalid_grant");
        assert_eq!(ask(900, &poll)["error"], "expired_token");
        let unknown = poll.replace(&code, "unknown");
        assert_eq!(ask(14, &unknown)["error"], "bad_verification_code");
    }

    #[test]
    fn a_managed_identity_says_when_its_token_ends() {
        let config = Config::default();
        let query = "api-version=2018-02-01&resource=https%3A%2F%2Fgraph.microsoft.com%2F";
        let given = body(&TokenEndpoint::default().managed_identity(context(&config, 1), query));
        assert_eq!(given["expires_on"], (1_767_225_600_u64 + 1 + 3_599).to_string());
    }

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
        // Another letter among the claims.
        let at = header.find('.').expect("its header ends") + 5;
        let forged = format!("{}_{}", &header[..at], &header[at + 1..]);
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
