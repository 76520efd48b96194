//! The identity that Azure gives to a machine or service of its own.
//!
//! Two ways, by what the environment says: the endpoint that App Service, Functions and Container
//! Apps put into it, else the metadata service of a virtual machine. Azure Arc, Service Fabric and
//! Cloud Shell have ways of their own and are told apart; `--token-command` serves them.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

use super::AuthError;
use super::request::{Effort, GrantedToken, TokenAnswer, TokenClient, is_passing};
use super::settings::AuthSettings;
use crate::graph::host::is_loopback;
use crate::graph::http::HttpOptions;
use crate::graph::transport::Response;

/// The metadata service (`how-to-use-vm-token.md` of entra-docs): a fixed address that is never
/// routed beyond the machine's host.
const METADATA: &str = "http://169.254.169.254/";

/// How long a connection to it may take: beyond Azure nothing answers at this address.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(super) struct ManagedIdentity {
    client: TokenClient,
    url: Url,
    /// Marked sensitive.
    header: Option<HeaderValue>,
}

impl ManagedIdentity {
    pub(super) fn new(settings: &AuthSettings) -> Result<Self, AuthError> {
        let service = settings.identity_endpoint.as_deref().zip(settings.identity_header.as_ref());
        let (setting, address, path, version) = match service {
            Some((endpoint, _)) => ("IDENTITY_ENDPOINT", endpoint, None, "2019-08-01"),
            None if settings.identity_endpoint.is_some() && settings.arc => {
                return Err(AuthError::Setting {
                    setting: "--auth managed-identity",
                    reason: "Azure Arc is not supported: use --token-command".to_owned(),
                });
            }
            None => {
                let address = settings.metadata_host.as_deref().unwrap_or(METADATA);
                let path = Some("/metadata/identity/oauth2/token");
                ("AZURE_POD_IDENTITY_AUTHORITY_HOST", address, path, "2018-02-01")
            }
        };
        let fault = |reason: &str| AuthError::Setting { setting, reason: reason.to_owned() };
        let mut url = Url::parse(address).map_err(|_| fault("it is no address"))?;
        // Plain http by design, so it must not leave this machine and its host.
        let near = url.scheme() == "http"
            && url.host().is_some_and(|host| {
                is_loopback(&host) || matches!(host, Host::Ipv4(address) if address.is_link_local())
            });
        if !near {
            return Err(fault("it is neither on this machine nor a link-local address"));
        }
        if let Some(path) = path {
            url.set_path(path);
        }
        url.query_pairs_mut()
            .append_pair("api-version", version)
            .append_pair("resource", &format!("https://{}", settings.cloud.graph_host()))
            .extend_pairs(settings.client_id.as_deref().map(|id| ("client_id", id)));
        let connect_timeout = settings.http.connect_timeout.min(CONNECT_LIMIT);
        let options = HttpOptions { connect_timeout, http1: true, ..settings.http.clone() };
        // Direct: a proxy would be asked for its own address.
        let client = TokenClient::new(&url, &options, true)?;
        let header = service.map(|(_, secret)| secret_header(secret)).transpose()?;
        Ok(Self { client, url, header })
    }

    pub(super) async fn fetch(&self, effort: Effort) -> Result<GrantedToken, AuthError> {
        let build = |client: &reqwest::Client| {
            let request = client.get(self.url.clone());
            match &self.header {
                Some(header) => request.header("X-IDENTITY-HEADER", header.clone()),
                None => request.header("Metadata", "true"),
            }
        };
        let answer: TokenAnswer = self.client.ask(effort, build, is_late).await?;
        answer.granted(self.origin())
    }

    pub(super) fn origin(&self) -> &'static str {
        if self.header.is_some() { "this Azure service" } else { "this virtual machine" }
    }
}

fn secret_header(secret: &SecretString) -> Result<HeaderValue, AuthError> {
    let mut header = HeaderValue::from_str(secret.expose_secret()).map_err(|_| {
        let reason = "it holds characters that no header has".to_owned();
        AuthError::Setting { setting: "IDENTITY_HEADER", reason }
    })?;
    header.set_sensitive(true);
    Ok(header)
}

/// The metadata service asks for repetition after 404 and 410 as well: it is then being started or
/// renewed (`how-to-use-vm-token.md`, "Retry guidance").
fn is_late(answer: &Response) -> bool {
    is_passing(answer) || matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::GONE)
}
