//! An application's sign-in: by a secret, by a certificate, or by a workload's federated token.
//!
//! A certificate proves itself by a short-lived JWT that its private key signs. Its form: "Microsoft
//! identity platform application authentication certificate credentials",
//! `certificate-credentials.md` of entra-docs: PS256, and the certificate named by `x5t#S256`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PSS_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::process::Command;
use url::Url;
use uuid::Uuid;

use super::claims::now;
use super::external::{read_text, run_command};
use super::request::{AuthEndpoint, Effort, GrantedToken};
use super::settings::AuthSettings;
use super::{AuthError, Method};

/// The `client_assertion_type` of RFC 7523, section 2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

const CERTIFICATE: &str = "AZURE_CLIENT_CERTIFICATE_PATH";

const FEDERATED_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

/// How long an assertion is good, in seconds: the ten minutes of Microsoft's own libraries (MSAL,
/// `ClientCredential`).
const ASSERTION_LIFE: u64 = 600;

/// How long ago it says to have begun, in seconds, for clocks that differ.
const CLOCK_SLACK: u64 = 60;

/// How to make a PEM file of a PKCS #12 one.
const CONVERT: &str = "convert it once: openssl pkcs12 -in FILE.pfx -nodes -out FILE.pem";

/// The standard variable of Azure's libraries for a PKCS #12 file's password.
const PASSWORD: &str = "AZURE_CLIENT_CERTIFICATE_PASSWORD";

/// How long `openssl` may take to open a file: it takes some hundredths of a second.
const OPENSSL_LIMIT: Duration = Duration::from_secs(20);

/// A larger file is no certificate with its key.
const MAX_FILE: u64 = 256 * 1024;

/// An application that signs in as itself.
#[derive(Debug)]
pub(super) struct Application {
    endpoint: AuthEndpoint,
    proof: Proof,
}

#[derive(Debug)]
enum Proof {
    Secret(SecretString),
    Certificate(Certificate),
    /// A file whose token its issuer replaces: read anew each time.
    Federated(PathBuf),
}

impl Application {
    pub(super) fn new(settings: &AuthSettings, method: Method) -> Result<Self, AuthError> {
        let missing = |setting| AuthError::Missing { method, setting };
        let proof = match method {
            Method::ClientCertificate => Proof::Certificate(Certificate {
                path: settings.certificate.clone().ok_or_else(|| missing(CERTIFICATE))?,
                password: settings.certificate_password.clone(),
            }),
            Method::WorkloadIdentity => {
                let path = settings.federated_token_file.clone();
                Proof::Federated(path.ok_or_else(|| missing(FEDERATED_FILE))?)
            }
            _ => {
                let secret = settings.client_secret.clone();
                Proof::Secret(secret.ok_or_else(|| missing("AZURE_CLIENT_SECRET"))?)
            }
        };
        let tenant = settings.tenant.as_deref().ok_or_else(|| missing("AZURE_TENANT_ID"))?;
        let client_id = settings.client_id.as_deref().ok_or_else(|| missing("AZURE_CLIENT_ID"))?;
        let scope = settings.cloud.scope();
        Ok(Self { endpoint: AuthEndpoint::new(settings, tenant, client_id, scope)?, proof })
    }

    pub(super) async fn fetch(&self, effort: Effort) -> Result<GrantedToken, AuthError> {
        let endpoint = &self.endpoint;
        // The `grant_type` of RFC 6749, section 4.4.
        let grant = [("scope", endpoint.scope.as_str()), ("grant_type", "client_credentials")];
        let assertion = match &self.proof {
            Proof::Secret(secret) => {
                let fields = [&grant[..], &[("client_secret", secret.expose_secret())]].concat();
                return endpoint.token(&fields, effort).await?.granted(endpoint.host());
            }
            Proof::Certificate(certificate) => {
                certificate.assertion(&endpoint.client_id, &endpoint.token_url).await?
            }
            Proof::Federated(path) => federated(path)?,
        };
        let proof = [
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", assertion.expose_secret()),
        ];
        endpoint.token(&[grant, proof].concat(), effort).await?.granted(endpoint.host())
    }

    pub(super) fn host(&self) -> &str {
        self.endpoint.host()
    }

    /// Who signs in, in words for a person.
    pub(super) fn identity(&self) -> String {
        let AuthEndpoint { client_id, tenant, .. } = &self.endpoint;
        let proof = match self.proof {
            Proof::Secret(_) => "its secret",
            Proof::Certificate(_) => "its certificate",
            Proof::Federated(_) => "a federated token",
        };
        format!("application {client_id} in tenant {tenant} by {proof}")
    }
}

fn federated(path: &Path) -> Result<SecretString, AuthError> {
    let text = read_text(FEDERATED_FILE, path)?;
    match text.trim() {
        "" => Err(AuthError::File {
            setting: FEDERATED_FILE,
            path: path.to_owned(),
            reason: "it is empty".to_owned(),
        }),
        token => Ok(token.into()),
    }
}

/// A certificate with its private key in a PEM or PKCS #12 (PFX) file, read anew each time, so that
/// a renewed one is taken up by a run that goes on.
#[derive(Debug)]
struct Certificate {
    path: PathBuf,
    /// A PKCS #12 file's.
    password: Option<SecretString>,
}

impl Certificate {
    /// A proof that `client_id` is who it says, for `audience`.
    async fn assertion(&self, client_id: &str, audience: &Url) -> Result<SecretString, AuthError> {
        let (key, certificate) = self.read().await?;
        let now = now();
        let header = json!({
            "alg": "PS256",
            "typ": "JWT",
            "x5t#S256": URL_SAFE_NO_PAD.encode(Sha256::digest(&certificate)),
        });
        let claims = json!({
            "aud": audience.as_str(),
            "iss": client_id,
            "sub": client_id,
            "jti": Uuid::new_v4().to_string(),
            "iat": now,
            "nbf": now - CLOCK_SLACK,
            "exp": now + ASSERTION_LIFE,
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
            .map_err(|_| self.fault("its key does not sign".to_owned()))?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
    }

    async fn read(&self) -> Result<(KeyPair, CertificateDer<'static>), AuthError> {
        let mut pem = bytes(&self.path).map_err(|reason| self.fault(reason))?;
        // A DER sequence: a PKCS #12 file, or a certificate alone.
        if pem.first() == Some(&0x30) {
            pem = self.unpack().await?;
        }
        let holds = |text: &str| pem.windows(text.len()).any(|part| part == text.as_bytes());
        if holds("ENCRYPTED PRIVATE KEY") || holds("Proc-Type: 4,ENCRYPTED") {
            let reason = "its key is encrypted: decrypt it (openssl pkey -in FILE -out FILE), and \
                          guard the file by its permissions";
            return Err(self.fault(reason.to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(&pem)
            .map_err(|_| self.fault("it holds no private key".to_owned()))?;
        let key = match &key {
            PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(self.fault("its key is no RSA key".to_owned())),
        };
        let key = key.map_err(|_| self.fault("its key is no usable RSA key".to_owned()))?;
        // The certificate of this very key, wherever it stands among others: an RSA public key is
        // part of its certificate byte by byte (RFC 3279, section 2.3.1).
        let public = key.public_key().as_ref();
        let certificate = CertificateDer::pem_slice_iter(&pem)
            .filter_map(Result::ok)
            .find(|der| der.windows(public.len()).any(|part| part == public))
            .ok_or_else(|| self.fault("it holds no certificate of its key".to_owned()))?;
        Ok((key, certificate))
    }

    /// Opens a PKCS #12 file with the system's `openssl`; its content passes through a pipe, never
    /// through a file. A library that knows today's and yesterday's ciphers would take 57 crates
    /// more, some of them not yet released (`p12-keystore` 0.4), or be one that nobody maintains and
    /// that knows no AES (`p12`).
    async fn unpack(&self) -> Result<Zeroizing<Vec<u8>>, AuthError> {
        let mut why = None;
        // Files of old systems are enciphered in ways that OpenSSL 3 knows on request only.
        for more in [&[][..], &["-legacy"]] {
            let mut command = Command::new("openssl");
            command
                .args(["pkcs12", "-nodes", "-passin", "env:PASSWORD", "-in"])
                .arg(&self.path)
                .args(more)
                .env_clear()
                .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
                .env("PASSWORD", self.password.as_ref().map_or("", |text| text.expose_secret()));
            match run_command("openssl", command, OPENSSL_LIMIT).await {
                Ok(text) => return Ok(Zeroizing::new(text.as_bytes().to_vec())),
                // The first try tells the cause: files of today are the rule.
                Err(AuthError::Command { reason, .. }) => {
                    why.get_or_insert(reason);
                }
                Err(error) => return Err(error),
            }
        }
        let why = why.unwrap_or_default();
        let password = match self.password {
            Some(_) => format!("check the password in {PASSWORD}"),
            None => format!("set {PASSWORD} if it has a password"),
        };
        Err(self.fault(format!(
            "it is no PEM file, and as a PKCS #12 one `openssl` does not open it ({why}); {password}, or {CONVERT}"
        )))
    }

    fn fault(&self, reason: String) -> AuthError {
        AuthError::File { setting: CERTIFICATE, path: self.path.clone(), reason }
    }
}

fn bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
    use base64::engine::general_purpose::STANDARD;
    use rcgen::{CertificateParams, PKCS_RSA_SHA256, RsaKeySize};
    use std::fs;

    fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    }

    /// A key and a certificate of it.
    fn pair() -> (rcgen::KeyPair, rcgen::Certificate) {
        let key = rcgen::KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048);
        let key = key.expect("a key");
        let parameters = CertificateParams::new(Vec::new()).expect("parameters");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        (key, certificate)
    }

    #[tokio::test]
    async fn an_assertion_is_verified_by_the_public_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("client.pem");
        let (key, certificate) = pair();
        let (_, other) = pair();
        // Its own certificate stands last, as no rule forbids.
        let text = other.pem() + &key.serialize_pem() + &certificate.pem();
        fs::write(&path, text).expect("a file");

        let audience = Url::parse("https://login.microsoftonline.com/t/oauth2/v2.0/token");
        let audience = audience.expect("an address");
        let assertion = Certificate { path, password: None }.assertion("client", &audience).await;
        let assertion = assertion.expect("signed");
        let (message, signature) = assertion.expose_secret().rsplit_once('.').expect("a signature");
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64");
        let key = KeyPair::from_pkcs8(key.serialized_der()).expect("the same key");
        UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key.public_key().as_ref())
            .verify(message.as_bytes(), &signature)
            .expect("the signature holds");

        let (header, claims) = message.split_once('.').expect("two parts");
        let json = |part: &str| -> serde_json::Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
        };
        let (header, claims) = (json(header), json(claims));
        let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(certificate.der()));
        assert_eq!((&header["alg"], &header["x5t#S256"]), (&json!("PS256"), &json!(thumbprint)));
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!("client"), &json!("client")));
        assert_eq!(claims["aud"], json!(audience.as_str()));
        let life = claims["exp"].as_u64().expect("a time") - now();
        assert!((ASSERTION_LIFE - 5..=ASSERTION_LIFE).contains(&life), "{life}");
    }

    #[tokio::test]
    async fn a_file_that_is_no_pair_says_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("client.pem");
        let (key, certificate) = pair();
        let (_, other) = pair();
        for (content, word) in [
            (b"\x30\x82\x0a\x00pfx".to_vec(), "openssl pkcs12"),
            (pem("ENCRYPTED PRIVATE KEY", b"x").into_bytes(), "openssl pkey"),
            (certificate.pem().into_bytes(), "no private key"),
            (pem("EC PRIVATE KEY", b"x").into_bytes(), "no RSA key"),
            (pem("PRIVATE KEY", b"x").into_bytes(), "no usable RSA key"),
            (key.serialize_pem().into_bytes(), "no certificate of its key"),
            ((key.serialize_pem() + &other.pem()).into_bytes(), "no certificate of its"),
            (Vec::new(), "no private key"),
        ] {
            fs::write(&path, content).expect("a file");
            let read = Certificate { path: path.clone(), password: None }.read().await;
            let error = read.expect_err("no pair").to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    /// Makes a PKCS #12 file of a pair; `None`, and said, where there is no `openssl`.
    fn packed(folder: &Path, pem: &str, options: &[&str]) -> Option<PathBuf> {
        let (from, to) = (folder.join("pair.pem"), folder.join("pair.pfx"));
        fs::write(&from, pem).expect("a file");
        let made = std::process::Command::new("openssl")
            .args(["pkcs12", "-export", "-passout", "pass:s3cret", "-in"])
            .arg(&from)
            .arg("-out")
            .arg(&to)
            .args(options)
            .output();
        #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
        if made.as_ref().map_or(true, |made| !made.status.success()) {
            eprintln!("skipped: `openssl pkcs12` makes no file with {options:?}");
            return None;
        }
        Some(to)
    }

    #[tokio::test]
    async fn a_pfx_file_is_opened_with_its_password_in_new_and_old_ciphers() {
        let folder = tempfile::tempdir().expect("a folder");
        let (key, certificate) = pair();
        let pem = key.serialize_pem() + &certificate.pem();
        for options in [&[][..], &["-legacy"]] {
            let Some(path) = packed(folder.path(), &pem, options) else { continue };
            let with = |password: Option<&str>| Certificate {
                path: path.clone(),
                password: password.map(SecretString::from),
            };
            let (_, found) = with(Some("s3cret")).read().await.expect("a pair");
            assert_eq!(&found, certificate.der());
            for (password, word) in [(Some("wr0ng"), "check the password"), (None, "set AZURE_")] {
                let error = with(password).read().await.expect_err("locked").to_string();
                assert!(error.contains(word) && !error.contains("wr0ng"), "{error}");
                assert!(!error.contains("token"), "no token was asked for: {error}");
            }
        }
    }
}
