//! Files for their owner's eyes: made with mode 0600, and never opened through a symbolic link, so
//! that nobody who can write into the folder turns the program's pen on another file.

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
};

/// Opens the file at `path` by `options`. Only its last part must be no link: which folder is meant
/// is the user's own affair.
///
/// # Errors
/// The system's, with words of its own for a link.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
    }
    options.open(path).map_err(|error| {
        let link = std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
        let words = "it is a symbolic link, which is never followed: name the file itself";
        if link { io::Error::other(words) } else { error }
    })
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn append(path: &Path) -> io::Result<File> {
        open(path, OpenOptions::new().create(true).append(true))
    }

    #[test]
    fn a_new_file_is_its_owners_and_a_link_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, other) = (folder.path().join("log"), folder.path().join("other"));
        let mode = append(&file).expect("made").metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let link = folder.path().join("link");
        for target in [&file, &other] {
            symlink(target, &link).expect("a link");
            let error = append(&link).expect_err("a link");
            assert!(error.to_string().contains("symbolic link"), "{error}");
            assert!(!other.exists());
            std::fs::remove_file(&link).expect("removed");
        }
    }
}
