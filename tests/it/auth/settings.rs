//! What follows from flags and variables.

use registrant_import::auth::{AuthError, AuthSettings, Method, Tokens};

use super::endpoint::silent;

#[test]
fn the_method_follows_from_what_is_there() {
    let method = |more: &[(&str, &str)]| {
        let all = [&[("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c")], more].concat();
        let settings = AuthSettings::from_variables(|name| {
            all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        settings.method()
    };
    assert_eq!(method(&[]), Err(AuthError::NoCredential));
    assert_eq!(method(&[("GRAPH_TOKEN", "  ")]), Err(AuthError::NoCredential));
    // Each further one goes before those that are there already.
    let mut variables = vec![("IDENTITY_ENDPOINT", "e"), ("IDENTITY_HEADER", "h")];
    assert_eq!(method(&variables), Ok(Method::ManagedIdentity));
    for (variable, expected) in [
        ("AZURE_FEDERATED_TOKEN_FILE", Method::WorkloadIdentity),
        ("AZURE_CLIENT_CERTIFICATE_PATH", Method::ClientCertificate),
        ("AZURE_CLIENT_SECRET", Method::ClientSecret),
        ("GRAPH_TOKEN", Method::Token),
    ] {
        variables.push((variable, "x"));
        assert_eq!(method(&variables), Ok(expected));
    }
}

#[test]
fn a_method_is_read_by_its_name() {
    for method in [Method::Token, Method::ClientCertificate, Method::AzureCli, Method::DeviceCode] {
        assert_eq!(method.name().parse(), Ok(method));
    }
    assert!("password".parse::<Method>().is_err());
}

#[test]
fn a_method_without_its_settings_names_the_missing_one() {
    for (method, setting) in [
        (Method::Token, "GRAPH_TOKEN"),
        (Method::ClientSecret, "AZURE_CLIENT_SECRET"),
        (Method::ClientCertificate, "AZURE_CLIENT_CERTIFICATE_PATH"),
        (Method::WorkloadIdentity, "AZURE_FEDERATED_TOKEN_FILE"),
        (Method::DeviceCode, "XDG_STATE_HOME or HOME"),
    ] {
        let settings = AuthSettings { method: Some(method), ..AuthSettings::default() };
        let error = Tokens::new(&settings).expect_err("a setting is missing").to_string();
        assert!(error.contains(setting), "{error}");
    }
}

#[test]
fn a_secret_goes_to_a_known_host_and_only_there() {
    let with = |authority: &str, tenant: &str| {
        let settings = AuthSettings {
            method: Some(Method::ClientSecret),
            tenant: Some(tenant.to_owned()),
            client_id: Some("c".to_owned()),
            client_secret: Some("canary".into()),
            authority: Some(authority.to_owned()),
            ..AuthSettings::default()
        };
        Tokens::new(&settings).map(|_| ()).map_err(silent)
    };
    assert_eq!(with("https://login.microsoftonline.com/", "contoso.example"), Ok(()));
    assert_eq!(with("login.microsoftonline.com", "contoso.example"), Ok(()));
    for authority in [
        "https://login.evil.example",
        "http://login.microsoftonline.com",
        "https://login.microsoftonline.com@evil.example",
        "https://canary:canary@login.microsoftonline.com",
        "https://login.microsoftonline.com/path",
        "https://login.microsoftonline.us",
    ] {
        assert!(with(authority, "t").is_err(), "{authority}");
    }
    for tenant in ["", "..", "a/b", "a?b", "a#b", "a b", "%2e"] {
        assert!(with("https://login.microsoftonline.com", tenant).is_err(), "{tenant}");
    }
}
