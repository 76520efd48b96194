//! Client assertions: the signed JWT by which an application shows its certificate, or a workload
//! its federated identity.
//!
//! Form, audience, issuer and end are checked here; the signature by whatever the settings name,
//! for which keys are trusted is the test's own business.

use std::time::SystemTime;

use serde_json::Value;

use super::{base64url, config::Config};

/// RFC 7523, section 2.2.
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The audience of a federated token ("Workload identity federation", Microsoft Entra).
const EXCHANGE: &str = "api://AzureADTokenExchange";

/// An assertion that proves nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unproven;

/// Checks the assertion of this client.
pub(super) fn check(
    config: &Config,
    assertion: &str,
    client_id: &str,
    at: SystemTime,
) -> Result<(), Unproven> {
    let (signed, signature) = assertion.rsplit_once('.').ok_or(Unproven)?;
    let (header, claims) = signed.split_once('.').ok_or(Unproven)?;
    let (header, claims) = (json(header)?, json(claims)?);
    let signature = base64url::decode(signature).filter(|bytes| !bytes.is_empty());
    let signature = signature.ok_or(Unproven)?;
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let audience = claims["aud"].as_str().unwrap_or_default();
    // A federated token is its own issuer's; an application's assertion is its own.
    let whose = audience == EXCHANGE
        || (claims["iss"] == client_id
            && claims["sub"] == client_id
            && claims["jti"].is_string()
            && audience.ends_with("/oauth2/v2.0/token"));
    let sound = matches!(header["alg"].as_str(), Some("RS256" | "PS256"))
        && whose
        && claims["exp"].as_u64().is_some_and(|exp| exp > seconds)
        && config
            .tokens
            .assertion_signature
            .is_none_or(|proves| proves(signed.as_bytes(), &signature));
    if sound { Ok(()) } else { Err(Unproven) }
}

fn json(part: &str) -> Result<Value, Unproven> {
    let bytes = base64url::decode(part).ok_or(Unproven)?;
    serde_json::from_slice(&bytes).map_err(|_| Unproven)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn assertion(member: &str, value: &Value) -> String {
        let mut claims = json!({
            "aud": "https://login.microsoftonline.com/t/oauth2/v2.0/token",
            "iss": "client", "sub": "client", "jti": "1", "exp": 2_000,
        });
        claims[member] = value.clone();
        let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
        let header = json!({"alg": "PS256", "x5t#S256": "abc"});
        format!("{}.{}.{}", part(&header), part(&claims), base64url::encode(b"signature"))
    }

    #[test]
    fn an_assertion_is_the_clients_own_for_this_endpoint_and_not_expired() {
        let check = |config: &Config, assertion: &str| {
            check(config, assertion, "client", SystemTime::UNIX_EPOCH + Duration::from_secs(1_000))
        };
        let config = Config::default();
        assert_eq!(check(&config, &assertion("nbf", &json!(900))), Ok(()));
        assert_eq!(check(&config, &assertion("aud", &json!(EXCHANGE))), Ok(()));
        for (member, value) in
            [("aud", json!("x")), ("iss", json!("x")), ("exp", json!(1_000)), ("jti", json!(null))]
        {
            assert_eq!(check(&config, &assertion(member, &value)), Err(Unproven), "{member}");
        }
        assert_eq!(check(&config, "no.assertion"), Err(Unproven));
        let mut config = Config::default();
        config.tokens.assertion_signature =
            Some(|signed, signature| signed.contains(&b'.') && signature == b"signature");
        assert_eq!(check(&config, &assertion("nbf", &json!(900))), Ok(()));
        config.tokens.assertion_signature = Some(|_, _| false);
        assert_eq!(check(&config, &assertion("nbf", &json!(900))), Err(Unproven));
    }
}
