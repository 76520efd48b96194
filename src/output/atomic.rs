//! A file that is there whole or not at all: written beside its place, synced, renamed.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The folder does not take a new file.
    #[error("{} cannot be written: {source}; check the folder's rights or name another file with {option}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// The option that names it.
        option: &'static str,
        /// The system's word.
        source: io::Error,
    },
    /// There is no folder to put it in.
    #[error("{}: there is no folder {}; create it or name another file with {option}", path.display(), folder(path).display())]
    NoFolder {
        /// The file.
        path: PathBuf,
        /// The option that names it.
        option: &'static str,
    },
    /// There is a folder of that name.
    #[error("{} is a folder; name a file with {option}", path.display())]
    Folder {
        path: PathBuf,
        /// The option that names it.
        option: &'static str,
    },
    /// What stands there is a device, a pipe or a socket, or a link to one: a file put in its place
    /// would take it away from everybody else.
    #[error("{} is no regular file (a device, a pipe or a socket), and would be replaced by one; name a file with {option}", path.display())]
    NoFile {
        path: PathBuf,
        /// The option that names it.
        option: &'static str,
    },
    /// A file with links that stand nowhere else could not be kept.
    #[error("{} holds links that this ledger does not know, and could not be kept beside the new file: {source}; move it away", path.display())]
    Keep {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// A write, the sync or the rename failed.
    #[error("{} could not be written to its end: {source}; what was there before is untouched", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

/// A file in the making. Dropped before [`AtomicFile::commit`], it leaves no trace.
pub struct AtomicFile {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
}

/// Finds out, before anything is posted, whether `path` can be written later.
///
/// # Errors
/// [`FileError`] when it cannot.
pub fn probe(path: &Path, option: &'static str) -> Result<(), FileError> {
    AtomicFile::create(path, option).map(drop)
}

/// Finds out, by a look alone, whether a file could take the place of what stands at `path`. A
/// symbolic link is replaced itself and not followed, unless it leads to a device or a folder, or
/// is one of the system's own such as `/dev/stdout`.
///
/// # Errors
/// [`FileError::Folder`] or [`FileError::NoFile`].
pub fn replaceable(path: &Path, option: &'static str) -> Result<(), FileError> {
    let systems = |target: &Path| {
        target.starts_with("/proc") || target.starts_with("/dev") && !target.starts_with("/dev/shm")
    };
    let found = std::fs::metadata(path);
    if found.as_ref().is_ok_and(std::fs::Metadata::is_dir) {
        return Err(FileError::Folder { path: path.to_owned(), option });
    }
    if found.is_ok_and(|found| !found.is_file())
        || std::fs::read_link(path).is_ok_and(|target| systems(&target))
    {
        return Err(FileError::NoFile { path: path.to_owned(), option });
    }
    Ok(())
}

impl AtomicFile {
    /// Begins the file at `path`, named by `option`. Its mode is 0600: a join link lets its holder
    /// in. A symbolic link at `path` is replaced in the end, never followed.
    ///
    /// # Errors
    /// [`FileError`] when the folder takes no file.
    pub fn create(path: &Path, option: &'static str) -> Result<Self, FileError> {
        Self::begin(path, option, 0o600)
    }

    /// The same with mode 0644, for a file without anything secret that another user reads.
    ///
    /// # Errors
    /// [`FileError`] when the folder takes no file.
    pub fn create_public(path: &Path, option: &'static str) -> Result<Self, FileError> {
        Self::begin(path, option, 0o644)
    }

    fn begin(path: &Path, option: &'static str, mode: u32) -> Result<Self, FileError> {
        replaceable(path, option)?;
        if !folder(path).is_dir() {
            return Err(FileError::NoFolder { path: path.to_owned(), option });
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let prefix = format!(".{name}.");
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
        #[cfg(not(unix))]
        let _ = mode;
        let file = builder
            .prefix(&prefix)
            .suffix(".part")
            .tempfile_in(folder(path))
            .map_err(|source| FileError::Create { path: path.to_owned(), option, source })?;
        Ok(Self { path: path.to_owned(), file: BufWriter::with_capacity(1 << 16, file) })
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// [`FileError::Write`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write_all(bytes).map_err(|source| self.failed(source))
    }

    /// Puts the file in its place: synced, renamed, and the rename synced as well.
    ///
    /// # Errors
    /// [`FileError::Write`]; what was at the path before is untouched then.
    pub fn commit(self) -> Result<PathBuf, FileError> {
        let Self { path, file } = self;
        let failed = |source| FileError::Write { path: path.clone(), source };
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        sync_folder(folder(&path)).map_err(failed)?;
        Ok(path)
    }

    /// What a failed write is called.
    fn failed(&self, source: io::Error) -> FileError {
        FileError::Write { path: self.path.clone(), source }
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_there_whole_or_not_at_all_and_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "before").expect("writes");
        let mut dropped = AtomicFile::create(&path, "--output").expect("creates");
        dropped.write(b"half").expect("writes");
        drop(dropped);
        assert_eq!(std::fs::read(&path).expect("reads"), b"before");
        let mut whole = AtomicFile::create(&path, "--output").expect("creates");
        whole.write(b"after").expect("writes");
        whole.commit().expect("commits");
        assert_eq!(std::fs::read(&path).expect("reads"), b"after");
        let mode = std::fs::metadata(&path).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).expect("lists").count(), 1, "no trace");
    }

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (target, path) = (folder.path().join("precious"), folder.path().join("a.csv"));
        std::fs::write(&target, "precious").expect("writes");
        std::os::unix::fs::symlink(&target, &path).expect("links");
        AtomicFile::create(&path, "--output").expect("creates").commit().expect("commits");
        assert_eq!(std::fs::read(&target).expect("reads"), b"precious");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named_with_its_option() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = probe(folder.path(), "--rejects").expect_err("a folder");
        assert!(error.to_string().contains("--rejects"), "{error}");
        let error = probe(&folder.path().join("no/such/a.csv"), "--output").expect_err("none");
        assert!(error.to_string().contains("--output"), "{error}");
    }
}
