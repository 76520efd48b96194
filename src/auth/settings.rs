//! What the user and the environment say about signing in, and the method that follows from it.
//!
//! The variables are those of Microsoft's own SDKs, so that what works for other tools works here.
//! A secret comes from the environment or a file, never from a flag: flags are seen by every
//! process of the machine.

use std::path::PathBuf;

use secrecy::SecretString;
use strum::VariantArray as _;
use url::Url;

use super::sign_in::KeptSignIn;
use super::{AuthError, Method};
use crate::graph::host::{Cloud, HostError, TrustedHosts};
use crate::graph::http::HttpOptions;

/// Everything that sign-in can be told.
#[derive(Clone, Debug, Default)]
pub struct AuthSettings {
    /// `--auth`.
    pub method: Option<Method>,
    /// `--cloud`: whose Graph the token is for, and who issues it.
    pub cloud: Cloud,
    /// `--trust-host`.
    pub trusted: TrustedHosts,
    /// Time limits, `--ca-file`.
    pub http: HttpOptions,
    /// `GRAPH_TOKEN`.
    pub token: Option<SecretString>,
    /// `--token-file`.
    pub token_file: Option<PathBuf>,
    /// `--token-command`.
    pub token_command: Option<String>,
    /// `AZURE_TENANT_ID`.
    pub tenant: Option<String>,
    /// `AZURE_CLIENT_ID`.
    pub client_id: Option<String>,
    /// `AZURE_CLIENT_SECRET`.
    pub client_secret: Option<SecretString>,
    /// `AZURE_CLIENT_CERTIFICATE_PATH`.
    pub certificate: Option<PathBuf>,
    /// `AZURE_CLIENT_CERTIFICATE_PASSWORD`.
    pub certificate_password: Option<SecretString>,
    /// `AZURE_FEDERATED_TOKEN_FILE`.
    pub federated_token_file: Option<PathBuf>,
    /// `AZURE_AUTHORITY_HOST`, instead of the cloud's.
    pub authority: Option<String>,
    /// `IDENTITY_ENDPOINT`, which Azure puts into the environment of its services.
    pub identity_endpoint: Option<String>,
    /// `IDENTITY_HEADER`, likewise.
    pub identity_header: Option<SecretString>,
    /// Whether there is an `IMDS_ENDPOINT`: with `IDENTITY_ENDPOINT`, Azure Arc.
    pub arc: bool,
    /// `AZURE_POD_IDENTITY_AUTHORITY_HOST`, instead of the metadata service's address.
    pub metadata_host: Option<String>,
    /// Where `login` keeps its sign-in; none where there is no home.
    pub kept: Option<KeptSignIn>,
}

impl AuthSettings {
    /// Reads the standard variables through `variable`; an empty one counts as not set.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name: &str| variable(name).filter(|text| !text.trim().is_empty());
        let secret = |name: &str| text(name).map(SecretString::from);
        let path = |name: &str| text(name).map(PathBuf::from);
        Self {
            token: secret("GRAPH_TOKEN"),
            tenant: text("AZURE_TENANT_ID"),
            client_id: text("AZURE_CLIENT_ID"),
            client_secret: secret("AZURE_CLIENT_SECRET"),
            certificate: path("AZURE_CLIENT_CERTIFICATE_PATH"),
            certificate_password: secret("AZURE_CLIENT_CERTIFICATE_PASSWORD"),
            federated_token_file: path("AZURE_FEDERATED_TOKEN_FILE"),
            authority: text("AZURE_AUTHORITY_HOST"),
            identity_endpoint: text("IDENTITY_ENDPOINT"),
            identity_header: secret("IDENTITY_HEADER"),
            arc: text("IMDS_ENDPOINT").is_some(),
            metadata_host: text("AZURE_POD_IDENTITY_AUTHORITY_HOST"),
            kept: KeptSignIn::from_variables(text),
            ..Self::default()
        }
    }

    /// The method: the chosen one, or by what is there, the first of
    ///
    /// 1. `--token-file` or `--token-command`;
    /// 2. `GRAPH_TOKEN`;
    /// 3. tenant, application and a secret, a certificate or a federated token, in this order;
    /// 4. `IDENTITY_ENDPOINT` with `IDENTITY_HEADER`, that is an Azure service's managed identity;
    /// 5. a sign-in that `login` keeps.
    ///
    /// A virtual machine's managed identity and the Azure CLI are never tried unasked: to find
    /// out whether they are there takes time, and the people and machines behind them are often not
    /// those who are meant to enrol anybody.
    ///
    /// # Errors
    /// [`AuthError::NoCredential`] where nothing is there.
    pub fn method(&self) -> Result<Method, AuthError> {
        if let Some(method) = self.method {
            return Ok(method);
        }
        let application = self.tenant.is_some() && self.client_id.is_some();
        let service = self.identity_endpoint.is_some() && self.identity_header.is_some();
        let given = [
            (self.token_file.is_some() || self.token_command.is_some(), Method::Token),
            (self.token.is_some(), Method::Token),
            (application && self.client_secret.is_some(), Method::ClientSecret),
            (application && self.certificate.is_some(), Method::ClientCertificate),
            (application && self.federated_token_file.is_some(), Method::WorkloadIdentity),
            (service, Method::ManagedIdentity),
            (self.kept.as_ref().is_some_and(KeptSignIn::exists), Method::DeviceCode),
        ];
        let method = given.into_iter().find_map(|(given, method)| given.then_some(method));
        method.ok_or(AuthError::NoCredential)
    }

    /// Who issues tokens: checked, without a path.
    pub(super) fn authority(&self) -> Result<Url, AuthError> {
        let given = match self.authority.as_deref().map(str::trim) {
            None => format!("https://{}", self.cloud.login_host()),
            Some(text) if text.contains("://") => text.to_owned(),
            Some(host) => format!("https://{host}"),
        };
        let not = |reason| HostError::NotAnAddress { reason };
        let url = Url::parse(&given).map_err(|_| not("write https://HOST"))?;
        let plain = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !plain {
            return Err(not("write https://HOST, and no more").into());
        }
        self.trusted.permit(&url)?;
        let host = url.host_str().unwrap_or_default();
        let another = Cloud::VARIANTS.iter().any(|cloud| host == cloud.login_host())
            && host != self.cloud.login_host();
        if another {
            return Err(AuthError::Setting {
                setting: "AZURE_AUTHORITY_HOST",
                reason: format!("{host} issues no tokens for --cloud {}", self.cloud),
            });
        }
        Ok(url)
    }
}

/// A tenant is a GUID, a domain or a word: anything else would change the address it is put into.
pub(super) fn plain_tenant(tenant: &str) -> Result<&str, AuthError> {
    let tenant = tenant.trim();
    let plain = tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    if plain && tenant.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
        Ok(tenant)
    } else {
        Err(AuthError::Setting {
            setting: "AZURE_TENANT_ID",
            reason: "it is neither a GUID nor a domain".to_owned(),
        })
    }
}
