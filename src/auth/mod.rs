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

use strum::{Display, EnumString, IntoStaticStr};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "kebab-case", parse_err_ty = AuthError, parse_err_fn = unknown_method)]
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
    /// The word that `--auth` takes.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

fn unknown_method(given: &str) -> AuthError {
    AuthError::UnknownMethod { given: given.to_owned() }
}
