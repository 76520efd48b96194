//! Where a token comes from, one place for each method.

use secrecy::{ExposeSecret as _, SecretString};

use super::AuthError;
use super::assertion::Certificate;
use super::azure_cli::AzureCli;
use super::command::TokenCommand;
use super::device::SignIn;
use super::endpoint::{Endpoint, FederatedFile};
use super::fixed::{TokenFile, TokenText};
use super::granted::{Effort, Granted};
use super::managed::Managed;

/// One method, ready to be asked.
#[derive(Debug)]
pub(crate) enum Source {
    /// No sign-in at all: a rehearsal.
    None,
    Text(TokenText),
    File(TokenFile),
    Command(TokenCommand),
    ClientSecret(Endpoint, SecretString),
    ClientCertificate(Endpoint, Certificate),
    Workload(Endpoint, FederatedFile),
    Managed(Managed),
    AzureCli(AzureCli),
    SignIn(SignIn),
    #[cfg(test)]
    Script(super::tokens::tests::Script),
}

/// The `grant_type` of RFC 6749, section 4.4.
const CLIENT_CREDENTIALS: (&str, &str) = ("grant_type", "client_credentials");

/// The `client_assertion_type` of RFC 7523, section 2.2.
const JWT_BEARER: (&str, &str) =
    ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");

impl Source {
    /// Gets a token. Nothing is kept here: each call asks anew.
    pub(crate) async fn fetch(&self, effort: Effort) -> Result<Granted, AuthError> {
        match self {
            Self::None => Granted::from_text("none", "a run without a credential"),
            Self::Text(text) => text.fetch(),
            Self::File(file) => file.fetch(),
            Self::Command(command) => command.fetch().await,
            Self::ClientSecret(endpoint, secret) => {
                let proof = [CLIENT_CREDENTIALS, ("client_secret", secret.expose_secret())];
                endpoint.application_token(&proof, effort).await
            }
            Self::ClientCertificate(endpoint, certificate) => {
                let assertion =
                    certificate.assertion(endpoint.client_id(), endpoint.token_url()).await?;
                Self::by_assertion(endpoint, &assertion, effort).await
            }
            Self::Workload(endpoint, file) => {
                Self::by_assertion(endpoint, &file.read()?, effort).await
            }
            Self::Managed(managed) => managed.fetch(effort).await,
            Self::AzureCli(cli) => cli.fetch().await,
            Self::SignIn(sign_in) => sign_in.fetch(effort).await,
            #[cfg(test)]
            Self::Script(script) => script.fetch(effort).await,
        }
    }

    async fn by_assertion(
        endpoint: &Endpoint,
        assertion: &SecretString,
        effort: Effort,
    ) -> Result<Granted, AuthError> {
        let proof =
            [CLIENT_CREDENTIALS, JWT_BEARER, ("client_assertion", assertion.expose_secret())];
        endpoint.application_token(&proof, effort).await
    }

    /// Whether a better token lies ready, at the price of a look: a file that changed.
    pub(crate) fn has_news(&self) -> bool {
        match self {
            Self::File(file) => file.has_changed(),
            _ => false,
        }
    }

    /// Where a token comes from, in words for a message.
    pub(crate) fn origin(&self) -> String {
        match self {
            Self::None => "a run without a credential".to_owned(),
            Self::Text(text) => text.origin().to_owned(),
            Self::File(file) => file.origin(),
            Self::Command(_) => "--token-command".to_owned(),
            Self::ClientSecret(endpoint, _)
            | Self::ClientCertificate(endpoint, _)
            | Self::Workload(endpoint, _) => endpoint.host().to_owned(),
            Self::Managed(managed) => managed.origin().to_owned(),
            Self::AzureCli(_) => "the Azure CLI".to_owned(),
            Self::SignIn(_) => "the kept sign-in".to_owned(),
            #[cfg(test)]
            Self::Script(_) => "the script".to_owned(),
        }
    }

    /// Who signs in, in words for a person: names no one.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::None => "nobody: a rehearsal".to_owned(),
            Self::ClientSecret(endpoint, _) => format!("{} by its secret", endpoint.application()),
            Self::ClientCertificate(endpoint, _) => {
                format!("{} by its certificate", endpoint.application())
            }
            Self::Workload(endpoint, _) => {
                format!("{} by a federated token", endpoint.application())
            }
            Self::Managed(managed) => format!("the managed identity of {}", managed.origin()),
            Self::AzureCli(_) => "whoever is signed in to the Azure CLI".to_owned(),
            Self::SignIn(_) => "whoever signed in by `login`".to_owned(),
            _ => format!("the token from {}", self.origin()),
        }
    }
}
