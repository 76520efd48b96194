//! A failing disk: each write, sync, rename and new file of a run of fifty rows fails in turn, once
//! or for good. Then the run must say so, end with the right code and leave a ledger from which the
//! next run, on a mended disk, brings everybody in exactly once.
//!
//! The failures come from a small library (`shim.c`) that is preloaded into the real binary, so the
//! program holds no line of test code. It needs Linux and a C compiler, as the build does.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use registrant_import::simulator::{Config, SecondPost};
use tempfile::TempDir;

use crate::{program::Ran, seeds, stage::Stage};

/// Linux's numbers of the errors that a disk gives.
const ERRORS: [(&str, &str); 3] = [("ENOSPC", "28"), ("EIO", "5"), ("EROFS", "30")];

/// Calls that fail in the everyday run, spread over all of them.
const EVERYDAY: u64 = 60;

const SIDE_BY_SIDE: usize = 3;

/// The library, built into a folder of its own.
struct Shim {
    _folder: TempDir,
    library: PathBuf,
}

impl Shim {
    fn build() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let library = folder.path().join("shim.so");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proof/shim.c"))
            .arg("-ldl")
            .status()
            .expect("a C compiler: install gcc or clang, which building SQLite needs as well");
        assert!(built.success(), "the C compiler does not build tests/proof/shim.c");
        Self { _folder: folder, library }
    }

    /// A run whose call number `fail` fails (0: none); and how many calls there were.
    fn run(&self, stage: &Stage, fail: u64, error: &str, stays: bool) -> (Ran, u64) {
        let count = self.library.with_extension(format!("{:p}", &raw const *stage));
        let mut command = stage.command();
        command
            .env("LD_PRELOAD", &self.library)
            .env("SHIM_FOLDER", stage.folder.path())
            .env("SHIM_FAIL", fail.to_string())
            .env("SHIM_ERRNO", error)
            .env("SHIM_STAYS", u8::from(stays).to_string())
            .env("SHIM_COUNT", &count);
        let ended = Ran::of(&mut command);
        let calls = std::fs::read_to_string(&count).unwrap_or_default();
        (ended, calls.trim().parse().unwrap_or(0))
    }
}

fn stage(seed: u64) -> Stage {
    let second_post = [SecondPost::Return, SecondPost::Conflict, SecondPost::Duplicate];
    let second_post = second_post[usize::try_from(seed % 3).expect("small")];
    Stage::new(50, Config { seed, second_post, ..Config::default() })
}

/// The call number `fail` of a run fails; the next run mends it.
fn play(shim: &Shim, fail: u64) {
    let (name, error) = ERRORS[usize::try_from(fail % 3).expect("small")];
    let stays = fail.is_multiple_of(2);
    let stage = stage(fail);
    let (ended, calls) = shim.run(&stage, fail, error, stays);
    let told = format!("call {fail} of {calls}: {name}, stays: {stays}: {ended:?}");
    let posted = stage.simulator.stats().posts;
    let right = match ended.code {
        // The call was one too many for this run, or one that nobody needs: a checkpoint at the
        // end, the size of a side file.
        Some(0 | 6) => true,
        Some(2) => posted == 0,
        _ => false,
    };
    assert!(right, "the wrong exit code after {posted} POSTs: {told}");
    if ended.code != Some(0) {
        let sentence = ended.stderr.lines().any(|line| line.starts_with("error: "));
        assert!(sentence && !ended.stderr.contains("panicked"), "no clear message: {told}");
    }
    stage.finish();
    for left in std::fs::read_dir(stage.folder.path()).expect("the folder is there") {
        let name = left.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(name.starts_with("people."), "{name} is left behind: {told}");
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "the shim speaks Linux's calls")]
fn whichever_call_of_the_disk_fails_the_next_run_brings_everybody_in() {
    let shim = Shim::build();
    if let Some(fail) = seeds::replayed() {
        return seeds::one(fail, |fail| play(&shim, fail));
    }
    let whole = stage(0);
    let (ended, calls) = shim.run(&whole, 0, "0", false);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(calls > 50, "{calls} calls counted: the library is not in the program");
    let all = seeds::number("REGISTRANT_IMPORT_STORE", 0) > 0;
    let step = if all { 1 } else { (calls / EVERYDAY).max(1) };
    let next = AtomicU64::new(1);
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(fail) =
                    Some(next.fetch_add(step, Ordering::Relaxed)).filter(|&fail| fail <= calls)
                {
                    seeds::one(fail, |fail| play(&shim, fail));
                }
            });
        }
    });
}
