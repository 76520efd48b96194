//! The file through which all runs on this machine that sign in as the same application take turns.
//!
//! Microsoft's limit of virtual events holds for the application across all tenants, not for a run,
//! a target or a ledger. So before a request is sent it takes its place in `app-<client id>.pace`:
//! the first moment at which no window of the limit would hold too many, counting the places of every
//! run. A process holds one place ahead for each kind of request, so places go round and nobody
//! starves. What is not used lapses with its window, so a killed run leaves nothing to be cleaned up.
//! A wait that the server asks for holds for all of them.
//!
//! SQLite keeps the file: its locks make each step one for all processes, and a process that dies in
//! the middle of one leaves the file whole. A file that cannot be used stops nobody: the run is told
//! why, and sends at the limit divided by the runs that it last saw.

use std::{
    cell::{Cell, RefCell},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::clock::millis;
use crate::{
    pacing::{Bucket, Quota},
    private,
};

/// The tables. Times are milliseconds since 1970; `bucket` is 0 for writes and 1 for reads.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS place (
    n      INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: a run knows its place by it
    bucket INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    run    INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS place_by_time ON place (bucket, at);
CREATE TABLE IF NOT EXISTS gate (
    bucket   INTEGER PRIMARY KEY,
    noted_at INTEGER NOT NULL,
    opens_at INTEGER NOT NULL
) STRICT;
";

/// How long a place may be used after its moment. What comes later takes a new one; the window is
/// counted longer by [`Quota::transit`], which is more than this for the published limits.
const LATE: i64 = 50;

/// While another process holds the file's lock it is tried again after this long, so often. A step
/// takes less than a millisecond, so ten seconds of it are a process that hangs or a file system
/// whose locks do not work.
const BUSY: Duration = Duration::from_millis(50);
const TRIES: u32 = 200;

/// One application's turns.
pub struct SharedPace {
    path: PathBuf,
    quotas: [Quota; 2],
    /// Tells this run's places from another's.
    run: i64,
    /// The wall clock in milliseconds since 1970: the one clock that all processes share.
    wall: Box<dyn Fn() -> i64>,
    file: RefCell<Option<Connection>>,
    /// The place ahead of each kind, where one is held.
    reserved: [Cell<Option<Place>>; 2],
    /// How often the file was found locked in a row.
    busy: Cell<u32>,
    /// The most runs that were seen at once.
    runs: Cell<u32>,
    /// When a request may start next by this run's own count, where the file is of no use.
    alone: [Cell<i64>; 2],
    /// Why the file is of no use, to be told once.
    trouble: RefCell<Option<String>>,
}

/// A place that is held.
#[derive(Clone, Copy)]
struct Place {
    n: i64,
    at: i64,
}

impl SharedPace {
    /// The turns of `application` in `folder`, at these limits of writes and reads; `run` tells this
    /// run from others.
    pub fn new(
        folder: &Path,
        application: &str,
        writes: Quota,
        reads: Quota,
        run: i64,
        wall: impl Fn() -> i64 + 'static,
    ) -> Self {
        // A client id is a GUID; whatever else a token says stays within the folder.
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let name: String = application.trim().chars().map(plain).take(64).collect();
        let path = folder.join(format!("app-{name}.pace"));
        let opened = open(&path);
        let trouble = opened.as_ref().err().map(ToString::to_string);
        Self {
            path,
            quotas: [writes, reads],
            run,
            wall: Box::new(wall),
            file: RefCell::new(opened.ok()),
            reserved: Default::default(),
            busy: Cell::default(),
            runs: Cell::new(1),
            alone: Default::default(),
            trouble: RefCell::new(trouble),
        }
    }

    /// How long to wait before the next request of this kind; zero: its place is taken, send it now.
    /// Asked again after that time, or whenever something else has changed.
    pub fn wait(&self, bucket: Bucket) -> Duration {
        let now = (self.wall)();
        match self.take(bucket, now) {
            Ok(at) => {
                self.busy.set(0);
                Duration::from_millis(at.saturating_sub(now).try_into().unwrap_or(0))
            }
            Err(error) if is_busy(&error) && self.busy.get() < TRIES => {
                self.busy.set(self.busy.get() + 1);
                BUSY
            }
            Err(error) => {
                self.give_up(&error);
                self.wait_alone(bucket, now)
            }
        }
    }

    /// Nothing of this kind starts for this long, in any run: the server asked for it.
    pub fn close(&self, bucket: Bucket, wait: Duration) {
        let now = (self.wall)();
        let noted = self.with(|file| {
            let step = file.transaction_with_behavior(TransactionBehavior::Immediate)?;
            step.execute(
                "INSERT INTO gate VALUES (?1, ?2, ?3) ON CONFLICT (bucket) DO UPDATE
                 SET noted_at = ?2, opens_at = max(opens_at, ?3)",
                params![bucket as i64, now, now.saturating_add(millis(wait))],
            )?;
            // Whoever holds a place ahead takes another.
            step.execute("DELETE FROM place WHERE bucket = ?1 AND at > ?2", [bucket as i64, now])?;
            step.commit()
        });
        // The run that was refused waits by itself in any case.
        if let Err(error) = noted
            && !is_busy(&error)
        {
            self.give_up(&error);
        }
    }

    /// Why the file is of no use: once, and nothing before that and afterwards.
    pub fn trouble(&self) -> Option<String> {
        let why = self.trouble.borrow_mut().take()?;
        let runs = self.runs.get();
        let share = if runs > 1 {
            format!("{runs} runs were seen, so this one sends at the limit divided by {runs}")
        } else {
            "this run keeps the limit by itself".to_owned()
        };
        Some(format!(
            "{}, in which the runs of one application take turns, cannot be used ({why}); {share}, and others may use it at the same time: correct that, or divide the limit with --rate",
            self.path.display()
        ))
    }

    /// The moment of the place that this run holds, taken where it holds none; used up where that
    /// moment is not later than `now`.
    fn take(&self, bucket: Bucket, now: i64) -> rusqlite::Result<i64> {
        let held = &self.reserved[bucket as usize];
        if let Some(place) = held.get()
            && now < place.at
        {
            return Ok(place.at);
        }
        let place = self.with(|file| self.reserve(file, bucket, held.get(), now))?;
        held.set(Some(place).filter(|place| place.at > now));
        Ok(place.at)
    }

    /// Takes the place that is held, where its moment has come; else the first that is free, and gives
    /// back one whose moment has passed.
    fn reserve(
        &self,
        file: &mut Connection,
        bucket: Bucket,
        held: Option<Place>,
        now: i64,
    ) -> rusqlite::Result<Place> {
        let quota = self.quotas[bucket as usize];
        let window = millis(quota.per + quota.transit()) + 1;
        let count = i64::try_from(quota.count).unwrap_or(i64::MAX);
        let step = file.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(held) = held {
            // Nothing is deleted where another run was told to wait meanwhile.
            let stands = step.execute("DELETE FROM place WHERE n = ?1", [held.n])? > 0;
            if stands && now <= held.at + LATE {
                // Left as it is: the step is taken back.
                return Ok(Place { at: now.min(held.at), ..held });
            }
        }
        let bucket = bucket as i64;
        step.execute("DELETE FROM place WHERE bucket = ?1 AND at <= ?2", [bucket, now - window])?;
        let (ahead, last, runs): (i64, Option<i64>, u32) = step.query_row(
            "SELECT count(*) FILTER (WHERE at > ?2), max(at), count(DISTINCT run)
             FROM place WHERE bucket = ?1",
            [bucket, now],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        self.runs.set(self.runs.get().max(runs));
        let mut free = now;
        if last.is_some_and(|last| last > now + (ahead / count + 2).saturating_mul(window)) {
            // No queue is that long, so the clock was set back and nobody knows when these were sent.
            step.execute("DELETE FROM place WHERE bucket = ?1", [bucket])?;
            free = now + window;
        } else {
            let nth = step.query_row(
                "SELECT at FROM place WHERE bucket = ?1 ORDER BY at DESC LIMIT 1 OFFSET ?2",
                [bucket, count - 1],
                |row| row.get::<_, i64>(0),
            );
            free = free.max(nth.optional()?.map_or(now, |at| at + window));
        }
        let gate = step.query_row(
            "SELECT noted_at, opens_at FROM gate WHERE bucket = ?1",
            [bucket],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
        );
        if let Some((noted_at, opens_at)) = gate.optional()? {
            // No longer than it was at first, where the clock was set back since.
            free = free.max(opens_at.min(now + (opens_at - noted_at)));
        }
        step.execute(
            "INSERT INTO place (bucket, at, run) VALUES (?1, ?2, ?3)",
            [bucket, free, self.run],
        )?;
        let n = step.last_insert_rowid();
        step.commit()?;
        Ok(Place { n, at: free })
    }

    fn with<R>(
        &self,
        step: impl FnOnce(&mut Connection) -> rusqlite::Result<R>,
    ) -> rusqlite::Result<R> {
        self.file.borrow_mut().as_mut().map_or(Err(rusqlite::Error::InvalidQuery), step)
    }

    fn give_up(&self, error: &rusqlite::Error) {
        if self.file.take().is_some() {
            self.trouble.replace(Some(error.to_string()));
        }
    }

    /// Without the file: evenly, at the limit divided by the runs that were seen.
    fn wait_alone(&self, bucket: Bucket, now: i64) -> Duration {
        let (quota, next) = (self.quotas[bucket as usize], &self.alone[bucket as usize]);
        let gap = millis(quota.per) * i64::from(self.runs.get())
            / i64::try_from(quota.count).unwrap_or(i64::MAX);
        // No later than one gap from now, where the clock was set back.
        let at = next.get().min(now + gap);
        if at <= now {
            next.set(now + gap);
        }
        Duration::from_millis(at.saturating_sub(now).try_into().unwrap_or(0))
    }
}

impl Drop for SharedPace {
    fn drop(&mut self) {
        for place in self.reserved.iter().filter_map(Cell::take) {
            // It lapses with its window in any case.
            let _ = self.with(|file| file.execute("DELETE FROM place WHERE n = ?1", [place.n]));
        }
    }
}

/// Opens the file, and makes it where there is none.
fn open(path: &Path) -> Result<Connection, Box<dyn std::error::Error>> {
    path.parent().map(std::fs::create_dir_all).transpose()?;
    let mut options = std::fs::OpenOptions::new();
    private::open(path, options.read(true).write(true).create(true).truncate(false))?;
    let file = Connection::open(path)?;
    // Another run's step is over before this; one that hangs is looked at again, not waited for.
    file.busy_timeout(Duration::from_millis(20))?;
    // What a power cut takes was sent a reboot ago.
    file.pragma_update(None, "synchronous", "OFF")?;
    file.pragma_update(None, "journal_mode", "TRUNCATE")?;
    file.execute_batch(TABLES)?;
    Ok(file)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    const WRITES: Quota = Quota::EVENT_WRITES;

    /// A wall clock that a test moves.
    #[derive(Clone, Default)]
    struct Wall(Rc<Cell<i64>>);

    impl Wall {
        fn at(start: i64) -> Self {
            Self(Rc::new(Cell::new(start)))
        }

        fn pace(&self, folder: &Path, run: i64) -> SharedPace {
            let wall = self.clone();
            let reads = Quota::EVENT_READS;
            SharedPace::new(folder, "App", WRITES, reads, run, move || wall.0.get())
        }
    }

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    /// One process of many that send as fast as they may.
    struct Process {
        pace: SharedPace,
        wakes_at: i64,
        sent: u32,
    }

    /// How many of `arrivals` are in the fullest window that slides over them.
    fn fullest(arrivals: &mut [i64]) -> usize {
        arrivals.sort_unstable();
        let window = millis(WRITES.per);
        let from =
            |start: i64| arrivals.iter().filter(move |at| (start..=start + window).contains(*at));
        arrivals.iter().map(|start| from(*start).count()).max().unwrap_or(0)
    }

    #[test]
    fn twenty_processes_keep_one_limit_and_all_get_their_turns() {
        for seed in 0..3 {
            let (folder, wall) = (folder(), Wall::at(1_767_225_600_000));
            let (mut random, begun) = (fastrand::Rng::with_seed(seed), wall.0.get());
            let mut processes: Vec<Process> = (0..20)
                .map(|n| Process { pace: wall.pace(folder.path(), n), wakes_at: begun, sent: 0 })
                .collect();
            let (mut arrivals, mut lapsed, mut last) = (Vec::new(), 0_i64, begun);
            while arrivals.len() < 600 {
                let process =
                    processes.iter_mut().min_by_key(|process| process.wakes_at).expect("twenty");
                wall.0.set(wall.0.get().max(process.wakes_at));
                if seed > 0 && random.u32(0..40) == 0 {
                    // Killed, and started again: what it held is not given back.
                    let run = random.i64(100..i64::MAX);
                    let killed =
                        std::mem::replace(&mut process.pace, wall.pace(folder.path(), run));
                    lapsed += i64::from(killed.reserved[0].get().is_some());
                    killed.file.take();
                    continue;
                }
                let wait = process.pace.wait(Bucket::Writes);
                if wait.is_zero() {
                    // On its way for up to a tenth of a second, counted when it comes.
                    last = wall.0.get();
                    arrivals.push(last + random.i64(0..100));
                    process.sent += 1;
                }
                process.wakes_at = wall.0.get() + millis(wait) + random.i64(0..3);
            }
            assert!(fullest(&mut arrivals) <= 15, "seed {seed}");
            // The ideal: 15 at once, and so again after each window. A killed run's place is lost.
            let windows = (600 + lapsed + 14) / 15;
            let ideal = (windows - 1) * millis(WRITES.per);
            let took = last - begun;
            assert!(took * 100 <= ideal * 102, "seed {seed}: {took} of {ideal}");
            if seed == 0 {
                // The first window is whoever's comes first; from then on they go round.
                let sent = || processes.iter().map(|process| process.sent);
                let (fewest, most) = (sent().min(), sent().max());
                assert!(fewest >= Some(25) && most <= Some(26 + 15), "{fewest:?} to {most:?}");
            }
        }
    }

    #[test]
    fn a_wait_that_the_server_asks_of_one_run_holds_for_all_and_for_its_kind_alone() {
        let (folder, wall) = (folder(), Wall::at(5_000));
        let (a, b) = (wall.pace(folder.path(), 1), wall.pace(folder.path(), 2));
        for _ in 0..15 {
            assert_eq!(a.wait(Bucket::Writes), Duration::ZERO);
        }
        assert_eq!(b.wait(Bucket::Writes), Duration::from_millis(30_151), "a place ahead is held");
        a.close(Bucket::Writes, Duration::from_secs(60));
        assert_eq!(b.wait(Bucket::Reads), Duration::ZERO);
        wall.0.set(5_000 + 30_151);
        assert_eq!(b.wait(Bucket::Writes), Duration::from_millis(60_000 - 30_151));
        wall.0.set(65_000);
        assert_eq!(b.wait(Bucket::Writes), Duration::ZERO);
    }

    #[test]
    fn a_clock_that_was_set_back_costs_one_window() {
        let (folder, wall) = (folder(), Wall::at(10_000_000));
        let pace = wall.pace(folder.path(), 1);
        assert_eq!(pace.wait(Bucket::Writes), Duration::ZERO);
        pace.close(Bucket::Writes, Duration::from_secs(40));
        wall.0.set(1_000);
        let wait = pace.wait(Bucket::Writes);
        assert!(wait <= Duration::from_secs(40), "{wait:?}");
        wall.0.set(1_000 + millis(wait));
        assert_eq!(pace.wait(Bucket::Writes), Duration::ZERO);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_told_once_and_the_limit_is_kept_alone() {
        let (folder, wall) = (folder(), Wall::at(1_000));
        std::fs::write(folder.path().join("app-app.pace"), "no database".repeat(100))
            .expect("written");
        let pace = wall.pace(folder.path(), 1);
        let told = pace.trouble().expect("why");
        assert!(told.contains("not a database") && told.contains("--rate"), "{told}");
        assert_eq!(pace.trouble(), None);
        assert_eq!(pace.wait(Bucket::Writes), Duration::ZERO);
        assert_eq!(pace.wait(Bucket::Writes), Duration::from_secs(2));
        pace.close(Bucket::Writes, Duration::from_secs(1));
    }

    #[test]
    fn a_file_that_stays_locked_is_given_up_and_the_limit_is_divided_by_the_runs_seen() {
        let (folder, wall) = (folder(), Wall::at(1_000));
        let (a, b) = (wall.pace(folder.path(), 1), wall.pace(folder.path(), 2));
        for pace in [&a, &b, &a] {
            assert_eq!(pace.wait(Bucket::Writes), Duration::ZERO);
        }
        b.file.borrow().as_ref().expect("open").execute_batch("BEGIN EXCLUSIVE").expect("locked");
        let busy = std::iter::from_fn(|| Some(a.wait(Bucket::Writes)));
        assert_eq!(busy.take_while(|wait| *wait == BUSY).count(), TRIES as usize);
        assert!(a.trouble().is_some_and(|told| told.contains("divided by 2")));
        assert_eq!(a.wait(Bucket::Writes), Duration::from_secs(4));
    }
}
