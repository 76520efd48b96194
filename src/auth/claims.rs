//! What a token says of itself.
//!
//! Read to explain and never verified: Graph verifies. Graph's tokens are opaque by contract
//! (Microsoft's "Access tokens", `access-tokens.md` of entra-docs), so nothing depends on the
//! claims being there, and a token that is no JWT has none. Names and addresses in it are not kept.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// Microsoft Graph's own application id, the same in every tenant and cloud; as an audience it
/// stands for Graph's address.
const GRAPH_APP_ID: &str = "00000003-0000-0000-c000-000000000000";

/// For whom a token speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// An application of its own: `/me` is nobody.
    Application,
    /// A signed-in person.
    Person,
    /// The token does not say.
    Unknown,
}

/// A token's own claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// For whom it speaks.
    pub speaker: Speaker,
    /// Application permissions (`roles`).
    pub roles: Vec<String>,
    /// Delegated permissions (`scp`).
    pub scopes: Vec<String>,
    /// The tenant (`tid`).
    pub tenant: Option<String>,
    /// The application (`appid`, or `azp`).
    pub application: Option<String>,
    /// The object id of who signed in (`oid`).
    pub object: Option<String>,
    /// What it is for (`aud`).
    pub audience: Option<String>,
    /// Its end, in seconds since 1970 (`exp`).
    pub expires: Option<u64>,
}

impl Claims {
    /// Reads `token`; nothing where it is no JWT.
    pub fn read(token: &str) -> Option<Self> {
        let parts: Vec<&str> = token.split('.').collect();
        let [_, payload, _] = parts[..] else { return None };
        let json = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        let raw: RawClaims = serde_json::from_slice(&json).ok()?;
        let scopes: Vec<String> =
            raw.scp.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        let speaker = match raw.idtyp.as_deref() {
            Some("app") => Speaker::Application,
            Some("user") => Speaker::Person,
            _ if !scopes.is_empty() => Speaker::Person,
            // An application's token has `roles` or, with nothing granted, neither; `oid` and `sub`
            // are then the same, its service principal.
            _ if !raw.roles.is_empty() || (raw.oid.is_some() && raw.oid == raw.sub) => {
                Speaker::Application
            }
            _ => Speaker::Unknown,
        };
        Some(Self {
            speaker,
            roles: raw.roles,
            scopes,
            tenant: raw.tid,
            application: raw.appid.or(raw.azp),
            object: raw.oid,
            audience: raw.aud,
            expires: raw.exp,
        })
    }

    /// Whether the audience, where there is one, is Graph at `graph_host`.
    pub fn is_for(&self, graph_host: &str) -> bool {
        self.audience.as_deref().is_none_or(|audience| {
            audience == GRAPH_APP_ID
                || audience.trim_end_matches('/').strip_prefix("https://") == Some(graph_host)
        })
    }
}

/// The wall clock as claims count it: seconds since 1970, UTC. Everything else in this module is timed
/// by tokio's clock, which tests can move.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[derive(Deserialize)]
struct RawClaims {
    idtyp: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    scp: Option<String>,
    tid: Option<String>,
    appid: Option<String>,
    azp: Option<String>,
    oid: Option<String>,
    sub: Option<String>,
    aud: Option<String>,
    exp: Option<u64>,
}

/// An unsigned token with these claims, for tests.
#[cfg(test)]
pub(crate) fn token(claims: &serde_json::Value) -> String {
    let part = |value: &[u8]| URL_SAFE_NO_PAD.encode(value);
    let body = serde_json::to_vec(claims).expect("JSON");
    format!("{}.{}.{}", part(b"{\"alg\":\"none\"}"), part(&body), part(b"signature"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(claims: &serde_json::Value) -> Claims {
        Claims::read(&token(claims)).expect("a JWT")
    }

    #[test]
    fn application_and_person_are_told_apart() {
        for (claims, speaker) in [
            (json!({"idtyp": "app"}), Speaker::Application),
            (json!({"idtyp": "app", "scp": ""}), Speaker::Application),
            (json!({"roles": ["OnlineMeetings.ReadWrite.All"]}), Speaker::Application),
            (json!({"oid": "1", "sub": "1"}), Speaker::Application),
            (json!({"scp": "OnlineMeetings.ReadWrite User.Read"}), Speaker::Person),
            // A person with a role in the application has both.
            (json!({"scp": "User.Read", "roles": ["Admin"]}), Speaker::Person),
            (json!({"idtyp": "user"}), Speaker::Person),
            (json!({"oid": "1", "sub": "2"}), Speaker::Unknown),
            (json!({}), Speaker::Unknown),
        ] {
            assert_eq!(read(&claims).speaker, speaker, "{claims}");
        }
    }

    #[test]
    fn permissions_and_audience_are_read() {
        let claims = read(&json!({
            "scp": "A.Read B.ReadWrite", "tid": "t", "azp": "a", "exp": 17,
            "aud": "https://graph.microsoft.com/"
        }));
        assert_eq!(claims.scopes, ["A.Read", "B.ReadWrite"]);
        assert_eq!((claims.application.as_deref(), claims.expires), (Some("a"), Some(17)));
        assert!(claims.is_for("graph.microsoft.com") && !claims.is_for("graph.microsoft.us"));
        assert!(read(&json!({"aud": GRAPH_APP_ID})).is_for("graph.microsoft.us"));
        assert!(
            !read(&json!({"aud": "https://management.azure.com"})).is_for("graph.microsoft.us")
        );
    }

    #[test]
    fn what_is_no_jwt_has_no_claims() {
        for text in ["", "opaque", "a.b", "a.b.c", "a.b.c.d", "EwB4A8l6BAAU.//8=.x", "..", "é.é.é"]
        {
            assert_eq!(Claims::read(text), None, "{text}");
        }
    }
}
