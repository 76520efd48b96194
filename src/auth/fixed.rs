//! Tokens that somebody else fetched: from the environment or a file.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use super::AuthError;
use super::granted::Granted;

/// A file larger than this is no token: Microsoft's are a few KiB, and headers end at 64 KiB or
/// sooner with every server.
pub(crate) const MAX_TOKEN: u64 = 64 * 1024;

/// A token from the environment: it is what it is.
#[derive(Debug)]
pub(crate) struct TokenText {
    variable: &'static str,
    token: SecretString,
}

impl TokenText {
    pub(crate) fn new(variable: &'static str, token: SecretString) -> Self {
        Self { variable, token }
    }

    pub(crate) fn fetch(&self) -> Result<Granted, AuthError> {
        Granted::from_text(self.token.expose_secret(), self.variable)
    }

    pub(crate) fn origin(&self) -> &str {
        self.variable
    }
}

/// A token in a file that something else keeps fresh.
#[derive(Debug)]
pub(crate) struct TokenFile {
    path: PathBuf,
    seen: Mutex<Option<Stamp>>,
}

/// What tells one state of a file from another. The number is the inode: a file that was renamed
/// into place may carry an old time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    changed: Option<SystemTime>,
    length: u64,
    number: u64,
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        #[cfg(unix)]
        let number = std::os::unix::fs::MetadataExt::ino(file);
        #[cfg(not(unix))]
        let number = 0;
        Self { changed: file.modified().ok(), length: file.len(), number }
    }
}

impl TokenFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, seen: Mutex::new(None) }
    }

    pub(crate) fn fetch(&self) -> Result<Granted, AuthError> {
        // The stamp is taken before the text: a change between the two is then seen next time.
        let stamp = fs::metadata(&self.path).ok().as_ref().map(Stamp::of);
        let text = read("--token-file", &self.path)?;
        let granted = Granted::from_text(&text, &self.origin())?;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = stamp;
        Ok(granted)
    }

    /// Whether the file is another one than was read last. One that is gone is no news.
    pub(crate) fn has_changed(&self) -> bool {
        let stamp = fs::metadata(&self.path).ok().as_ref().map(Stamp::of);
        stamp.is_some() && stamp != *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn origin(&self) -> String {
        format!("--token-file {}", self.path.display())
    }
}

/// Reads a small text that is secret.
pub(crate) fn read(setting: &'static str, path: &Path) -> Result<Zeroizing<String>, AuthError> {
    use std::io::Read as _;
    let fault = |reason: String| AuthError::File { setting, path: path.to_owned(), reason };
    // A pipe gives its text once, and the second reader waits for ever.
    if !fs::metadata(path).map_err(|error| fault(error.to_string()))?.is_file() {
        return Err(fault("it is no plain file (is --token-command meant?)".to_owned()));
    }
    let file = fs::File::open(path).map_err(|error| fault(error.to_string()))?;
    let mut text = Zeroizing::new(Vec::new());
    file.take(MAX_TOKEN + 1).read_to_end(&mut text).map_err(|error| fault(error.to_string()))?;
    if text.len() as u64 > MAX_TOKEN {
        return Err(fault(format!("it is larger than {} KiB", MAX_TOKEN / 1024)));
    }
    match std::str::from_utf8(&text) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(fault("it is not text".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::claims::token;
    use super::super::clock;
    use super::*;
    use serde_json::json;

    fn fetch(text: &str) -> Result<String, AuthError> {
        let text = TokenText::new("GRAPH_TOKEN", text.into());
        text.fetch().map(|granted| granted.token.expose_secret().to_owned())
    }

    #[test]
    fn a_pasted_token_is_tidied() {
        for text in ["opaque-1", " opaque-1\r\n", "Bearer opaque-1", "bearer  opaque-1\n"] {
            assert_eq!(fetch(text).as_deref(), Ok("opaque-1"), "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_token_is_said_without_it() {
        for text in ["", "  \n", "Bearer ", "canary two", "canary\nX-Header: 1", "canäry"] {
            let error = fetch(text).expect_err("no token");
            assert!(matches!(error, AuthError::NotAToken { .. }), "{text:?}");
            assert!(!format!("{error} {error:?}").contains("can"), "{error:?}");
        }
    }

    #[test]
    fn a_token_that_has_ended_is_told_before_it_is_sent() {
        let error = fetch(&token(&json!({"exp": clock::now() - 600}))).expect_err("ended");
        assert!(error.to_string().contains("10 min ago"), "{error}");
        let text = TokenText::new("x", token(&json!({"exp": clock::now() + 600})).into());
        let left = text.fetch().expect("a token").lifetime.expect("a claim").as_secs();
        assert!((598..=600).contains(&left), "{left}");
    }

    #[test]
    fn a_file_is_read_again_when_it_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let file = TokenFile::new(path.clone());
        assert!(matches!(file.fetch(), Err(AuthError::File { .. })));
        fs::write(&path, "first\n").expect("a file");
        assert!(file.has_changed());
        assert_eq!(file.fetch().expect("a token").token.expose_secret(), "first");
        assert!(!file.has_changed());
        // As careful programs write: beside it, then renamed into place.
        fs::write(folder.path().join("new"), "other\n").expect("a file");
        fs::rename(folder.path().join("new"), &path).expect("a rename");
        assert!(file.has_changed());
        assert_eq!(file.fetch().expect("a token").token.expose_secret(), "other");
        fs::write(&path, vec![b'x'; 100_000]).expect("a file");
        assert!(matches!(file.fetch(), Err(AuthError::File { .. })));
        fs::remove_file(&path).expect("a file");
        assert!(!file.has_changed());
        fs::create_dir(&path).expect("a folder");
        assert!(matches!(file.fetch(), Err(AuthError::File { .. })));
    }
}
