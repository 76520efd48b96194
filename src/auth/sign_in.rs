//! The sign-in that `login` keeps: one file, for its owner's eyes only.
//!
//! It holds a refresh token, which is as good as the person's permissions, so it lies apart from the
//! ledger, with mode 0600 in a folder of mode 0700; it is replaced as a whole and never written
//! through a symbolic link, nor read through one. Deleting it signs out.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use super::AuthError;

const FILE_NAME: &str = "sign-in.json";

/// A larger file is none of ours.
const MAX_FILE: u64 = 64 * 1024;

/// Where a sign-in is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSignIn(PathBuf);

/// What is kept. To be written as JSON is a refresh token's only way out, and this file its only
/// place.
#[derive(Deserialize, Serialize)]
pub(super) struct SignInRecord {
    pub(super) authority: String,
    pub(super) tenant: String,
    pub(super) client_id: String,
    #[serde(serialize_with = "exposed")]
    pub(super) refresh_token: SecretString,
}

fn exposed<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.expose_secret())
}

impl KeptSignIn {
    /// In `folder`, which is made when it is needed.
    pub fn in_folder(folder: &Path) -> Self {
        Self(folder.join(FILE_NAME))
    }

    /// In the program's folder under `$XDG_STATE_HOME`, by default `~/.local/state`.
    pub(super) fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let state = variable("XDG_STATE_HOME")
            .map(PathBuf::from)
            // The XDG base directory specification: a relative path is to be ignored.
            .filter(|path| path.is_absolute())
            .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".local/state")))?;
        Some(Self::in_folder(&state.join("registrant-import")))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether anything is kept.
    pub fn exists(&self) -> bool {
        fs::symlink_metadata(&self.0).is_ok()
    }

    pub(super) fn read(&self) -> Result<Option<SignInRecord>, AuthError> {
        let text = match self.read_private() {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.fault(error.to_string())),
        };
        serde_json::from_slice(&text).map(Some).map_err(|_| {
            self.fault("it is damaged: delete it and run `registrant-import login`".to_owned())
        })
    }

    /// Reads the file, where it is a plain one and closed to others.
    fn read_private(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        let place = fs::symlink_metadata(&self.0)?;
        // Before it is opened: to open a pipe is to wait for whoever writes into it.
        if !place.is_file() {
            return Err(io::Error::other("it is no plain file, so it is not read"));
        }
        let file = File::open(&self.0)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            let opened = file.metadata()?;
            if (place.dev(), place.ino()) != (opened.dev(), opened.ino()) {
                return Err(io::Error::other("it was replaced while it was opened"));
            }
            if opened.mode() & 0o077 != 0 {
                return Err(io::Error::other(
                    "others may read it: run `registrant-import login` again, and end the old \
                     sign-in (revoke its sessions)",
                ));
            }
        }
        let mut text = Zeroizing::new(Vec::new());
        file.take(MAX_FILE).read_to_end(&mut text)?;
        Ok(text)
    }

    pub(super) fn write(&self, record: &SignInRecord) -> Result<(), AuthError> {
        let text = serde_json::to_vec(record).map(Zeroizing::new);
        let text = text.map_err(|error| self.fault(error.to_string()))?;
        self.replace(&text).map_err(|error| self.fault(error.to_string()))
    }

    /// Beside it, then renamed into its place: a rename replaces a link and does not follow it.
    fn replace(&self, text: &[u8]) -> io::Result<()> {
        let folder = self.0.parent().unwrap_or(Path::new("."));
        private_folder(folder)?;
        // `tempfile` makes its files with mode 0600 and refuses any that exists.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text)?;
        file.as_file().sync_all()?;
        file.persist(&self.0).map_err(|error| error.error)?;
        Ok(())
    }

    fn fault(&self, reason: String) -> AuthError {
        AuthError::File { setting: "the kept sign-in", path: self.0.clone(), reason }
    }
}

fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn kept(token: &str) -> SignInRecord {
        SignInRecord {
            authority: "login.example".to_owned(),
            tenant: "tenant".to_owned(),
            client_id: "client".to_owned(),
            refresh_token: token.into(),
        }
    }

    #[test]
    fn it_is_kept_for_its_owner_alone() {
        let home = tempfile::tempdir().expect("a folder");
        let state = home.path().to_str().map(str::to_owned);
        let place =
            KeptSignIn::from_variables(
                |name| {
                    if name == "XDG_STATE_HOME" { state.clone() } else { None }
                },
            )
            .expect("a place");
        assert!(!place.exists() && place.read().expect("nothing").is_none());
        place.write(&kept("first")).expect("kept");
        place.write(&kept("canary")).expect("replaced");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(place.path()), 0o600);
        assert_eq!(mode(place.path().parent().expect("a folder")), 0o700);
        let read = place.read().expect("readable").expect("kept");
        assert_eq!(read.refresh_token.expose_secret(), "canary");
        assert_eq!(
            fs::read_dir(place.path().parent().expect("a folder")).expect("there").count(),
            1
        );
    }

    #[test]
    fn it_is_neither_read_nor_written_through_a_link() {
        let home = tempfile::tempdir().expect("a folder");
        let elsewhere = home.path().join("elsewhere");
        let place = KeptSignIn::in_folder(&home.path().join("state"));
        place.write(&kept("canary")).expect("kept");
        fs::rename(place.path(), &elsewhere).expect("moved");
        symlink(&elsewhere, place.path()).expect("a link");
        assert!(place.read().is_err());
        place.write(&kept("other")).expect("kept");
        assert!(fs::read_to_string(&elsewhere).expect("there").contains("canary"));
        assert!(fs::symlink_metadata(place.path()).expect("there").is_file());
    }

    #[test]
    fn one_that_others_may_read_or_that_is_damaged_is_not_used() {
        let home = tempfile::tempdir().expect("a folder");
        let place = KeptSignIn::in_folder(home.path());
        place.write(&kept("canary")).expect("kept");
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o644)).expect("set");
        let error = place.read().err().expect("refused");
        assert!(error.to_string().contains("others may read it"), "{error}");
        place.write(&kept("canary")).expect("written");
        assert!(place.read().is_ok());
        fs::write(place.path(), "{\"refresh_token\": \"canary\"").expect("damaged");
        let error = place.read().err().expect("refused");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
