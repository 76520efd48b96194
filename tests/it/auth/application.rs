//! Applications, workloads and managed identities.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use rcgen::{PKCS_RSA_SHA256, RsaKeySize};
use registrant_import::auth::{AuthError, AuthSettings, Method, Speaker, Tokens};
use serde_json::json;

use super::endpoint::{Answer, CANARY, Endpoint, bearer, fail, refusal, silent, token};

#[tokio::test]
async fn a_client_secret_is_exchanged_for_a_token() {
    let endpoint = Endpoint::start(|_, _| token("canary-token"));
    let tokens = endpoint.tokens(Method::ClientSecret);
    assert_eq!(bearer(&tokens).await, "Bearer canary-token");
    assert_eq!(bearer(&tokens).await, "Bearer canary-token");
    let seen = endpoint.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].line, "POST /tenant/oauth2/v2.0/token HTTP/1.1");
    assert!(seen[0].head.contains("content-type: application/x-www-form-urlencoded"));
    let form = [
        ("client_id", "client"),
        ("client_secret", "canary-secret"),
        ("grant_type", "client_credentials"),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    assert_eq!(seen[0].form(), form.map(|(name, value)| (name.into(), value.into())).into());
    let told = tokens.describe();
    assert_eq!(told.identity, "application client in tenant tenant by its secret");
    assert_eq!(told.lasts.expect("a life").as_secs() / 60, 59);
    let shown = format!("{tokens:?} {told:?} {:?}", endpoint.settings(Method::ClientSecret));
    assert!(!shown.contains(CANARY), "{shown}");
}

#[tokio::test]
async fn a_refused_secret_is_not_passing_and_not_tried_again() {
    let endpoint = Endpoint::start(|_, _| refusal("invalid_client", 7_000_215));
    let error = fail(&endpoint.tokens(Method::ClientSecret)).await;
    assert!(!error.is_passing());
    let text = error.to_string();
    assert!(text.contains("invalid_client, AADSTS7000215, trace id 0a1b2c3d-"), "{text}");
    assert!(text.contains("takes its value, not its id"), "{text}");
    assert_eq!(endpoint.seen().len(), 1);
}

#[tokio::test]
async fn an_unknown_error_is_not_repeated() {
    let body = json!({"error": "canary-secret", "trace_id": "canary"});
    let endpoint = Endpoint::start(move |_, _| Answer(401, "", body.clone()));
    let error = fail(&endpoint.tokens(Method::ClientSecret)).await;
    assert!(matches!(error, AuthError::Refused(_)));
}

#[tokio::test]
async fn what_is_no_token_endpoint_is_told() {
    for (status, body) in [
        (200, json!({"hello": "canary"})),
        (200, json!("canary")),
        (404, json!(null)),
        (307, json!({"error": "invalid_client"})),
        (200, json!({"access_token": "canary token\r\nX: y", "expires_in": 1})),
    ] {
        let answer = move |_, _: &_| Answer(status, "Location: /canary\r\n", body.clone());
        let endpoint = Endpoint::start(answer);
        let error = fail(&endpoint.tokens(Method::ClientSecret)).await;
        assert!(!error.is_passing(), "{error}");
        assert_eq!(endpoint.seen().len(), 1, "followed or repeated");
    }
}

#[tokio::test]
async fn an_endpoint_that_throttles_or_fails_is_asked_again() {
    let endpoint = Endpoint::start(|number, _| match number {
        0 => Answer(429, "Retry-After: 0.2\r\n", json!({"error": "invalid_request"})),
        1 => Answer(503, "Retry-After: 0\r\n", json!(null)),
        2 => Answer(400, "", json!({"error": "temporarily_unavailable"})),
        _ => token("t"),
    });
    let begun = Instant::now();
    assert_eq!(bearer(&endpoint.tokens(Method::ClientSecret)).await, "Bearer t");
    assert_eq!(endpoint.seen().len(), 4);
    assert!(begun.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn an_endpoint_that_asks_for_more_time_than_there_is_ends_the_wait_at_once() {
    let endpoint = Endpoint::start(|_, _| Answer(429, "Retry-After: 3600\r\n", json!(null)));
    let begun = Instant::now();
    let error = fail(&endpoint.tokens(Method::ClientSecret)).await;
    assert!(error.is_passing() && begun.elapsed() < Duration::from_secs(10), "{error}");
}

#[tokio::test]
async fn an_endpoint_that_is_down_for_a_while_fails_nobody() {
    let (gone, socket) = Endpoint::nobody();
    let tokens = Arc::new(gone.tokens(Method::ClientSecret));
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let tokens = Arc::clone(&tokens);
            tokio::spawn(async move { tokens.bearer().await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let listener = socket.listen(16).expect("the same port").into_std().expect("a listener");
    listener.set_nonblocking(false).expect("a listener that waits");
    let back = Endpoint::on(listener, |_, _| token("t"));
    for caller in callers {
        assert!(caller.await.expect("no panic").is_ok());
    }
    assert_eq!(back.seen().len(), 1);
}

/// Under paused time: nothing is there to wait for but the pauses.
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_stays_away_is_given_up_after_a_while() {
    let (gone, _socket) = Endpoint::nobody();
    let begun = tokio::time::Instant::now();
    let error = fail(&gone.tokens(Method::ClientSecret)).await;
    assert!(error.is_passing(), "{error}");
    assert!((60..=90).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

/// Tokens of two seconds, in a run that lasts longer, with many workers.
#[tokio::test]
async fn short_tokens_in_a_longer_run_fail_no_request() {
    let body = |number| json!({"access_token": format!("t{number}"), "expires_in": 2});
    let endpoint = Endpoint::start(move |number, _| Answer(200, "", body(number)));
    let tokens = Arc::new(endpoint.tokens(Method::ClientSecret));
    let begun = Instant::now();
    let workers: Vec<_> = (0..16)
        .map(|_| {
            let tokens = Arc::clone(&tokens);
            tokio::spawn(async move {
                for _ in 0..70 {
                    tokens.bearer().await.expect("a token");
                    tokio::time::sleep(Duration::from_millis(60)).await;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.expect("no failure");
    }
    // Each is replaced when a quarter of its life is left, so one is fetched each 1.5 s at most.
    let fetched = u32::try_from(endpoint.seen().len()).expect("few");
    let most = begun.elapsed().as_millis() / 1500 + 2;
    assert!(fetched >= 3 && u128::from(fetched) <= most, "{fetched} of {most}");
}

#[tokio::test]
async fn the_claims_of_the_token_tell_who_speaks() {
    let jwt = "eyJhbGciOiJub25lIn0.eyJpZHR5cCI6ImFwcCIsInJvbGVzIjpbIkEuQWxsIl19.c2ln";
    let endpoint = Endpoint::start(move |_, _| token(jwt));
    let claims = endpoint.tokens(Method::ClientSecret).claims().await.expect("a token");
    let claims = claims.expect("a JWT");
    assert_eq!((claims.speaker, claims.roles), (Speaker::Application, vec!["A.All".to_owned()]));
}

#[tokio::test]
async fn a_federated_token_is_read_anew_each_time() {
    let endpoint = Endpoint::start(|number, _| token(["first", "second"][number]));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    let settings = AuthSettings {
        federated_token_file: Some(path.clone()),
        ..endpoint.settings(Method::WorkloadIdentity)
    };
    let tokens = Tokens::new(&settings).expect("settings");
    assert!(matches!(fail(&tokens).await, AuthError::File { .. }));
    fs::write(&path, "canary-1\n").expect("a file");
    let old = tokens.bearer().await.expect("a token");
    fs::write(&path, "canary-2\n").expect("a file");
    assert!(tokens.refreshed(&old).await.is_ok());
    assert_eq!(endpoint.fields("client_assertion"), ["canary-1", "canary-2"]);
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    assert_eq!(endpoint.fields("client_assertion_type"), [kind, kind]);
}

#[tokio::test]
async fn a_certificate_is_shown_by_a_signed_assertion_that_is_new_each_time() {
    let endpoint = Endpoint::start(|number, _| token(["first", "second"][number]));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("client.pem");
    let settings = AuthSettings {
        certificate: Some(path.clone()),
        ..endpoint.settings(Method::ClientCertificate)
    };
    let tokens = Tokens::new(&settings).expect("settings");
    assert!(matches!(fail(&tokens).await, AuthError::File { .. }));
    let key = rcgen::KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048);
    let key = key.expect("a key");
    let certificate = rcgen::CertificateParams::default().self_signed(&key).expect("signed");
    fs::write(&path, certificate.pem() + &key.serialize_pem()).expect("a file");
    let old = tokens.bearer().await.expect("a token");
    assert!(tokens.refreshed(&old).await.is_ok());
    let proofs = endpoint.fields("client_assertion");
    assert!(proofs.len() == 2 && proofs[0] != proofs[1], "used once each");
    let claims = proofs[0].split('.').nth(1).expect("three parts");
    let claims = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(claims).expect("base64");
    let claims: serde_json::Value = serde_json::from_slice(&claims).expect("JSON");
    let address = format!("http://{}/tenant/oauth2/v2.0/token", endpoint.address);
    assert_eq!((&claims["aud"], &claims["iss"]), (&json!(address), &json!("client")));
}

#[tokio::test]
async fn a_managed_identity_is_asked_in_both_ways() {
    let body = json!({"access_token": "canary-t", "expires_in": "86399", "refresh_in": "43200"});
    let endpoint = Endpoint::start(move |number, _| match number {
        // While the metadata service starts.
        0 => Answer(404, "", json!(null)),
        _ => Answer(200, "", body.clone()),
    });
    let here = format!("http://{}", endpoint.address);
    let tokens = |variables: &[(&str, &str)]| {
        let settings = AuthSettings::from_variables(|name| {
            let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
            Some(value.replace("HERE", &here))
        });
        Tokens::new(&AuthSettings { method: Some(Method::ManagedIdentity), ..settings })
    };
    let machine = tokens(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "HERE")]).expect("settings");
    assert_eq!(bearer(&machine).await, "Bearer canary-t");
    let service = tokens(&[
        ("IDENTITY_ENDPOINT", "HERE/msi/token"),
        ("IDENTITY_HEADER", "canary-header"),
        ("AZURE_CLIENT_ID", "client"),
    ])
    .expect("settings");
    assert_eq!(bearer(&service).await, "Bearer canary-t");
    assert!(!format!("{service:?}").contains(CANARY));

    let seen = endpoint.seen();
    let resource = "resource=https%3A%2F%2Fgraph.microsoft.com";
    let line = "GET /metadata/identity/oauth2/token?api-version=2018-02-01";
    assert_eq!(seen[1].line, format!("{line}&{resource} HTTP/1.1"));
    assert!(seen[1].head.contains("metadata: true"));
    let line = "GET /msi/token?api-version=2019-08-01";
    assert_eq!(seen[2].line, format!("{line}&{resource}&client_id=client HTTP/1.1"));
    assert!(seen[2].head.contains("x-identity-header: canary-header"));

    // The header is a secret: it goes to this machine or its host, and nowhere else.
    for address in ["http://evil.example/", "https://127.0.0.1/", "http://10.0.0.1/", "x"] {
        let variables = [("IDENTITY_ENDPOINT", address), ("IDENTITY_HEADER", "canary")];
        silent(tokens(&variables).expect_err("refused"));
    }
}
