//! People who sign in by a code.

use std::path::Path;
use std::time::{Duration, Instant};

use registrant_import::auth::{AuthError, AuthSettings, KeptSignIn, Method, Tokens, sign_in};
use serde_json::json;

use super::endpoint::{Answer, Endpoint, fail, refusal, silent, token};

fn settings(endpoint: &Endpoint, folder: &Path) -> AuthSettings {
    let kept = Some(KeptSignIn::in_folder(folder));
    AuthSettings { kept, ..endpoint.settings(Method::DeviceCode) }
}

fn code(lasts: u64) -> Answer {
    let page = "https://microsoft.com/devicelogin";
    let body = json!({"device_code": "canary-device", "user_code": "ABC-123", "interval": 1,
                      "verification_uri": page, "expires_in": lasts});
    Answer(200, "", body)
}

fn granted(access: &str, refresh: &str) -> Answer {
    let body = json!({"access_token": access, "refresh_token": refresh, "expires_in": 3600});
    Answer(200, "", body)
}

#[tokio::test]
async fn a_person_signs_in_once_and_runs_go_on_from_it() {
    let endpoint = Endpoint::start(|number, _| match number {
        0 => code(900),
        1 => refusal("authorization_pending", 70_016),
        2 => refusal("slow_down", 70_016),
        3 => granted("canary-login", "canary-refresh-1"),
        4 => granted("canary-run", "canary-refresh-2"),
        5 => token("canary-next"),
        _ => refusal("invalid_grant", 700_082),
    });
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(&endpoint, folder.path());
    let tokens = Tokens::new(&settings).expect("settings");
    assert_eq!(fail(&tokens).await, AuthError::NotSignedIn);

    let mut shown = None;
    let begun = Instant::now();
    sign_in(&settings, |prompt| shown = Some(prompt.clone())).await.expect("signed in");
    let shown = shown.expect("a prompt");
    assert_eq!((shown.code.as_str(), shown.lasts), ("ABC-123", Duration::from_secs(900)));
    assert!(begun.elapsed() >= Duration::from_secs(8), "1 s, 1 s, and after `slow_down` 6 s");

    // The token that came with the sign-in is not kept: a run begins with its own.
    let first = tokens.bearer().await.expect("a token");
    let second = tokens.refreshed(&first).await.expect("a token");
    let error = silent(tokens.refreshed(&second).await.expect_err("ended"));
    assert!(error.to_string().contains("login` again") && !error.is_passing(), "{error}");
    let seen = endpoint.seen();
    assert_eq!(seen[0].line, "POST /tenant/oauth2/v2.0/devicecode HTTP/1.1");
    assert_eq!(seen[0].form()["scope"], "https://graph.microsoft.com/.default offline_access");
    assert_eq!(endpoint.fields("device_code"), ["canary-device"; 3]);
    let used = ["canary-refresh-1", "canary-refresh-2", "canary-refresh-2"];
    assert_eq!(endpoint.fields("refresh_token"), used);

    // Another application gets nothing of it.
    let other = AuthSettings { client_id: Some("other".to_owned()), ..settings.clone() };
    assert_eq!(fail(&Tokens::new(&other).expect("settings")).await, AuthError::NotSignedIn);
    // With nothing said, the kept sign-in is found and knows its application and tenant.
    let bare = AuthSettings { method: None, client_id: None, tenant: None, ..settings };
    let tokens = Tokens::new(&bare).expect("settings");
    assert_eq!(tokens.describe().method, Some(Method::DeviceCode));
    assert!(matches!(fail(&tokens).await, AuthError::SignInEnded(_)));
}

#[tokio::test]
async fn a_sign_in_that_does_not_come_about_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    for (lasts, error, expected) in [
        (900, "authorization_declined", AuthError::Declined),
        (900, "expired_token", AuthError::CodeExpired),
        (1, "authorization_pending", AuthError::CodeExpired),
    ] {
        let answer = move |number, _: &_| if number == 0 { code(lasts) } else { refusal(error, 1) };
        let endpoint = Endpoint::start(answer);
        let settings = settings(&endpoint, folder.path());
        let outcome = sign_in(&settings, |_| ()).await.expect_err("no sign-in");
        assert_eq!(silent(outcome), expected);
        assert!(!settings.kept.expect("a place").exists());
    }
    let endpoint = Endpoint::start(|_, _| refusal("invalid_client", 7_000_218));
    let outcome = sign_in(&settings(&endpoint, folder.path()), |_| ()).await;
    let outcome = silent(outcome.expect_err("no code"));
    assert!(outcome.to_string().contains("allow public client flows"), "{outcome}");
}
