//! Why there is no token, and what to do about it.

use std::path::PathBuf;
use std::time::Duration;

use super::Method;
use crate::graph::{host::HostError, http::HttpError, transport::Distrust};

/// No token, for a reason. No variant holds a secret, and none holds a server's free text: that
/// names people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// `--auth` has seven values.
    #[error(
        "there is no sign-in method {given:?}: choose token, client-secret, client-certificate, \
         managed-identity, workload-identity, azure-cli or device-code"
    )]
    UnknownMethod { given: String },
    /// Nothing says how to sign in.
    #[error(
        "no credential was found: set GRAPH_TOKEN, or AZURE_TENANT_ID and AZURE_CLIENT_ID with \
         AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH or AZURE_FEDERATED_TOKEN_FILE; or run \
         `registrant-import login`; or choose --auth managed-identity or --auth azure-cli"
    )]
    NoCredential,
    /// A method lacks one of its settings.
    #[error("--auth {method} needs {setting}")]
    Missing { method: Method, setting: &'static str },
    /// A setting that cannot be right. Its value is not repeated.
    #[error("{setting} cannot be used: {reason}")]
    Setting { setting: &'static str, reason: String },
    /// The authority's host.
    #[error("the sign-in host (AZURE_AUTHORITY_HOST): {0}")]
    Host(#[from] HostError),
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A file that cannot be read.
    #[error("{setting} {}: {reason}", path.display())]
    File { setting: &'static str, path: PathBuf, reason: String },
    /// What came is not a token.
    #[error("{origin} gave no token: {reason}")]
    NotAToken { origin: String, reason: &'static str },
    /// A token endpoint grants, again and again, what cannot be used.
    #[error("{origin} grants tokens that cannot be used: {reason}; check the sign-in there")]
    Useless { origin: String, reason: &'static str },
    /// The token has ended, by its own word.
    #[error("by this machine's clock the token from {origin} has expired{}: get a new one", ago(*since))]
    Expired { origin: String, since: Duration },
    /// Graph refused a token, and its origin has no other.
    #[error(
        "Graph refused the token (401) and {origin} gives the same one again: get a new one, made \
         for Microsoft Graph"
    )]
    Same { origin: String },
    /// A command failed. What it wrote is never part of the reason.
    #[error("{command} gave no token: {reason}")]
    Command { command: &'static str, reason: String },
    /// A command did not end in time.
    #[error("{command} gave no token within {} s: run again later", limit.as_secs())]
    CommandTimedOut { command: &'static str, limit: Duration },
    /// The credential was refused.
    #[error("{0}")]
    Refused(TokenRefusal),
    /// The token endpoint cannot be reached. The detail holds neither address nor secret.
    #[error("{host} could not be reached for a token: {detail}; run again later")]
    Unreachable { host: String, detail: String },
    /// The token endpoint's certificate is not trusted.
    #[error("the certificate that {host} shows for a token {distrust}")]
    Untrusted { host: String, distrust: Distrust },
    /// The token endpoint answers, but not now.
    #[error("{host} has no token to give now (HTTP {status}); run again later")]
    Unavailable { host: String, status: u16 },
    /// The token endpoint answers what no token endpoint answers.
    #[error("{host} answered HTTP {status} without a token: is it a token endpoint?")]
    BadAnswer { host: String, status: u16 },
    /// Nobody has signed in, or not for this application.
    #[error("nobody is signed in: run `registrant-import login` first")]
    NotSignedIn,
    /// The kept sign-in is no longer good.
    #[error("the kept sign-in has ended ({}): run `registrant-import login` again", .0.names())]
    SignInEnded(TokenRefusal),
    /// The code was not entered in time.
    #[error("nobody entered the code in time: run `registrant-import login` again")]
    CodeExpired,
    /// The person said no.
    #[error("the sign-in was declined")]
    Declined,
}

impl AuthError {
    /// Whether running again later may help (exit 5), without anything being corrected (else exit 6).
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Unavailable { .. } | Self::CommandTimedOut { .. }
        )
    }
}

fn ago(since: Duration) -> String {
    match since.as_secs() {
        0 => String::new(),
        seconds @ 1..120 => format!(" {seconds} s ago"),
        seconds => format!(" {} min ago", seconds / 60),
    }
}

/// A token endpoint's no.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRefusal {
    /// The `error` of RFC 6749, section 5.2, where it is a known one.
    pub error: &'static str,
    /// Microsoft's own numbers (`AADSTS…`), the most telling first.
    pub codes: Vec<u32>,
    /// Microsoft's name for this one refusal, for its support.
    pub trace_id: Option<String>,
}

impl TokenRefusal {
    /// The next step, where the number tells it.
    ///
    /// Numbers: "Microsoft Entra authentication & authorization error codes",
    /// `reference-error-codes.md` of entra-docs.
    pub fn advice(&self) -> &'static str {
        for code in &self.codes {
            return match code {
                7_000_215 => {
                    "the client secret is wrong: AZURE_CLIENT_SECRET takes its value, not its id"
                }
                7_000_222 => "the client secret has expired: make a new one",
                700_016 => "the tenant does not know this application: check AZURE_CLIENT_ID",
                90_002 | 900_023 => "there is no such tenant: check AZURE_TENANT_ID",
                700_027 => "the certificate is not one of the application's: upload it there",
                700_024 => "the assertion is out of its time: set this machine's clock",
                70_021 | 700_211 | 700_212 | 700_213 => {
                    "no federated credential of the application fits this workload"
                }
                7_000_218 => {
                    "the application is no public client: allow public client flows for it"
                }
                65_001 => "nobody has consented to the application's permissions",
                53_003 => "a conditional access policy forbids it",
                70_011 => "the scope is not known: check --cloud",
                7_000_112 => "the application is disabled in this tenant",
                _ => continue,
            };
        }
        "check the credential and the application's registration"
    }

    /// What it is called, by RFC and by Microsoft.
    fn names(&self) -> String {
        let codes = self.codes.iter().map(|code| format!(", AADSTS{code}"));
        let trace = self.trace_id.iter().map(|trace| format!(", trace id {trace}"));
        std::iter::once(self.error.to_owned()).chain(codes).chain(trace).collect()
    }

    /// Whether it is the person's sign-in that ended, and a new one helps.
    pub(crate) fn ends_sign_in(&self) -> bool {
        // RFC 6749 for a refresh token that is no longer good; the second is Microsoft's.
        matches!(self.error, "invalid_grant" | "interaction_required")
    }
}

impl std::fmt::Display for TokenRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the sign-in was refused ({}): {}", self.names(), self.advice())
    }
}
