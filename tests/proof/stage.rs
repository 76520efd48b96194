//! The real binary before a simulator on a loopback port.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use registrant_import::simulator::{Config, Served, Simulator};
use tempfile::TempDir;

use crate::{
    program::{Ran, program, serve},
    verify::{self, Written},
};

/// A simulator, a folder, and an export in it.
pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    pub(crate) served: Served,
    pub(crate) folder: TempDir,
    pub(crate) ids: Vec<String>,
    /// The option that names the event; none for a meeting.
    event: Option<&'static str>,
}

impl Stage {
    /// An export of so many people, before a server with these settings.
    pub(crate) fn new(people: usize, config: Config) -> Self {
        let (simulator, served) = serve(config);
        let folder = folder();
        let ids: Vec<String> = (0..people).map(|n| format!("guest-{n:03}")).collect();
        let stage = Self { simulator, served, folder, ids, event: None };
        stage.write_export();
        stage
    }

    /// Serves on another port: whatever was on its way to the former one has arrived, or never will.
    pub(crate) fn serve_anew(&mut self) {
        self.served = Served::start(&self.simulator).expect("a free port");
    }

    /// The same people for a webinar or town hall.
    pub(crate) fn event(people: usize, config: Config) -> Self {
        let town_hall = !config.seed.is_multiple_of(2);
        let event = Some(if town_hall { "--townhall" } else { "--webinar" });
        let stage = Self { event, ..Self::new(people, config) };
        stage.write_export();
        stage
    }

    /// Writes the export in the order of the ids.
    pub(crate) fn write_export(&self) {
        let mut text = String::from("id,note,firstName,lastName,email\n");
        for id in &self.ids {
            text.push_str(&format!("{id},x,Ada,Byron,{id}@example.org\n"));
        }
        std::fs::write(self.path("people.csv"), text).expect("the export is written");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `run`, with short waits; faster than Microsoft's limit for webinars.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.command_for("M", "people.ledger");
        if self.event.is_some() {
            command.args(["--rate", "1000/s"]);
        }
        command
    }

    /// `run` on this meeting, with this ledger.
    pub(crate) fn command_for(&self, meeting: &str, ledger: &str) -> Command {
        let mut command = program(self.folder.path());
        command
            .arg("run")
            .arg(self.path("people.csv"))
            .args(["--graph-url", &self.served.url(), "--settle", "150ms"])
            .args([self.event.unwrap_or("--meeting"), meeting])
            .arg("--ledger")
            .arg(self.path(ledger))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts a run that nobody listens to.
    pub(crate) fn start(&self) -> Child {
        self.command()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts")
    }

    /// One run to its end.
    pub(crate) fn run(&self) -> Ran {
        Ran::of(&mut self.command())
    }

    /// Runs until everybody is enrolled; each end must be one that a later run mends.
    pub(crate) fn finish(&self) {
        self.finish_with(&[]);
    }

    /// As [`Stage::finish`], with more options.
    pub(crate) fn finish_with(&self, options: &[&str]) {
        for _ in 0..40 {
            let ended = Ran::of(self.command().args(options));
            match ended.code {
                Some(0) => return self.verify(),
                Some(4) if self.event.is_some() => ten_minutes_pass(&self.path("people.ledger")),
                Some(4 | 5) => {}
                // The first answer of a run was one without a link.
                Some(6) if ended.stderr.contains("without a join link") => {}
                _ => panic!("{ended:?}"),
            }
            self.verify_links();
        }
        panic!("forty runs have not brought everybody in");
    }

    /// Both files, read back.
    pub(crate) fn written(&self) -> Written {
        Written::read(&self.path("people.enrolled.csv"), &self.path("people.rejects.csv"))
    }

    /// Everybody is enrolled once, in the input's order, each with the link that the server holds.
    pub(crate) fn verify(&self) {
        let written = self.verify_links();
        assert!(written.rejects.is_empty(), "{:?}", written.rejects);
        assert_eq!(verify::books(&self.simulator).len(), self.ids.len());
        assert_eq!(self.simulator.stats().duplicates, 0, "somebody was posted twice");
    }

    /// Every row has its end, and each link is the one that the server holds.
    pub(crate) fn verify_links(&self) -> Written {
        let written = self.written();
        let books = verify::books(&self.simulator);
        let rows = (2..).zip(self.ids.iter().map(String::as_str));
        for (id, end) in self.ids.iter().zip(written.ends(rows)) {
            if let Ok((link, _)) = end {
                assert_eq!(books.get(id), Some(&link), "{id}: not the link that is held");
            }
        }
        written
    }
}

/// A folder in memory where there is one: its syncs take no time.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
        .expect("a folder")
}

/// What is in doubt becomes older: of a webinar's row that no list proves absent only its age tells that
/// it is.
pub(crate) fn ten_minutes_pass(ledger: &Path) {
    let ledger = rusqlite::Connection::open(ledger).expect("opens");
    let older = "UPDATE registrant SET sent_at = sent_at - 660000, settled_at = settled_at - 660000
                 WHERE state IN (1, 2, 6)";
    ledger.execute(older, []).expect("its times are under no seal");
}
