//! Tokens that somebody else fetches.

use std::fs;

use registrant_import::auth::{AuthError, AuthSettings, Tokens};

use super::endpoint::{bearer, fail, silent};

#[tokio::test]
async fn a_token_from_the_environment_has_no_successor() {
    let settings = AuthSettings { token: Some("canary-1".into()), ..AuthSettings::default() };
    let tokens = Tokens::new(&settings).expect("settings");
    let only = tokens.bearer().await.expect("a token");
    let error = silent(tokens.refreshed(&only).await.expect_err("no other"));
    assert!(!error.is_passing());
    assert!(error.to_string().contains("GRAPH_TOKEN gives the same one again"), "{error}");
}

#[tokio::test]
async fn a_token_file_is_followed_and_a_stale_one_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    fs::write(&path, "canary-1").expect("a file");
    let settings = AuthSettings { token_file: Some(path.clone()), ..AuthSettings::default() };
    let tokens = Tokens::new(&settings).expect("settings");
    let old = tokens.bearer().await.expect("a token");
    fs::write(&path, "canary-22").expect("a file");
    assert_eq!(bearer(&tokens).await, "Bearer canary-22", "before any 401");
    let new = tokens.refreshed(&old).await.expect("the newer one");
    let error = silent(tokens.refreshed(&new).await.expect_err("no other"));
    assert!(matches!(error, AuthError::Same { .. }) && !error.is_passing());
    // A file that is half written does not take a good token away.
    fs::write(&path, "canary-333").expect("a file");
    let good = bearer(&tokens).await;
    fs::write(&path, "").expect("a file");
    assert_eq!(bearer(&tokens).await, good);
    fs::remove_file(&path).expect("a file");
    assert_eq!(bearer(&tokens).await, good);
}

#[cfg(unix)]
#[tokio::test]
async fn a_token_command_is_run_again_after_a_401() {
    let folder = tempfile::tempdir().expect("a folder");
    let count = folder.path().join("count");
    let script = r#"echo x >> "$0"; echo canary-$(grep -c x "$0")"#;
    let line = format!("sh -c '{script}' {}", count.display());
    let settings = AuthSettings { token_command: Some(line), ..AuthSettings::default() };
    let tokens = Tokens::new(&settings).expect("settings");
    let old = tokens.bearer().await.expect("a token");
    assert_eq!(bearer(&tokens).await, "Bearer canary-1");
    tokens.refreshed(&old).await.expect("another");
    assert_eq!(bearer(&tokens).await, "Bearer canary-2");
    let settings = AuthSettings { token_command: Some("false".to_owned()), ..settings };
    assert!(!fail(&Tokens::new(&settings).expect("settings")).await.is_passing());
}
