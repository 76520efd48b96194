//! Credentials in, a bearer token out.
//!
//! Promises a token that is good for the next request: fetched once for all who ask, renewed ahead
//! of its end, and once more after a 401. What Graph lets the holder do is Graph's to say; a token's
//! own claims are read here, to explain, and never verified. No type of this module shows a secret, and
//! none is sent but to a host that [`crate::graph::host`] permits.
//!
//! Everything is written here, without `azure_identity` 1.0.0. That crate covers the same two kinds of
//! managed identity and no more (App Service and virtual machines), has no device code, adds 32
//! crates to 254, keeps a token in a cache of its own from which one that Graph refused comes again,
//! and quotes whatever the Azure CLI writes to standard error. Managed identity is two GETs, a
//! federated token a file, the Azure CLI one command.

use std::fmt;
use std::str::FromStr;

mod application;
mod claims;
mod device;
mod error;
mod external;
mod managed;
mod request;
mod settings;
mod sign_in;
mod tokens;

pub use claims::{Claims, Speaker};
pub use device::{DevicePrompt, sign_in};
pub use error::{AuthError, TokenRefusal};
pub use settings::AuthSettings;
pub use sign_in::KeptSignIn;
pub use tokens::{Description, Tokens};

/// How the program signs in (`--auth`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// A ready token: from the environment, a file or a command.
    Token,
    /// An application with a secret.
    ClientSecret,
    /// An application with a certificate.
    ClientCertificate,
    /// The identity of an Azure machine or service.
    ManagedIdentity,
    /// The identity of a workload, told by a federated token.
    WorkloadIdentity,
    /// Whoever is signed in to the Azure CLI.
    AzureCli,
    /// A person, signed in beforehand by `login`.
    DeviceCode,
}

impl Method {
    pub const ALL: [Self; 7] = [
        Self::Token,
        Self::ClientSecret,
        Self::ClientCertificate,
        Self::ManagedIdentity,
        Self::WorkloadIdentity,
        Self::AzureCli,
        Self::DeviceCode,
    ];

    /// The word that `--auth` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::ClientSecret => "client-secret",
            Self::ClientCertificate => "client-certificate",
            Self::ManagedIdentity => "managed-identity",
            Self::WorkloadIdentity => "workload-identity",
            Self::AzureCli => "azure-cli",
            Self::DeviceCode => "device-code",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Method {
    type Err = AuthError;

    fn from_str(text: &str) -> Result<Self, AuthError> {
        Self::ALL
            .into_iter()
            .find(|method| method.name() == text)
            .ok_or_else(|| AuthError::UnknownMethod { given: text.to_owned() })
    }
}
