//! One run: an export, the job on it, perhaps its death; then the books.

use std::{
    cell::Cell,
    collections::BTreeMap,
    future::Future,
    path::{Path, PathBuf},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use registrant_import::{
    auth::{AuthSettings, Method, Tokens},
    input::{self, Snapshot, Source},
    job::{
        self, Ended, Import,
        client::GraphClient,
        clock::Clock,
        conduct::{Conduct, OnUnknown},
        engine::Tally,
        plan::Plan,
        remote::RemoteIndex,
        roll_call::CancelOrder,
        stop::Stop,
    },
    ledger::{Ledger, LedgerError, RunEnd, State},
    output::{Files, Projection, Summary, TargetName},
    pacing::{Buckets, PaceOptions, Pacer},
    registrant::{Mode, RegistrantId, Rule},
};

use super::{
    fragile::{Death, Fragile},
    world::World,
};
use crate::{
    crowd::{self, Export, Kind, Must, Person},
    seeds,
    verify::{self, Written},
};

/// No run of these takes longer than a day.
const LONG: Duration = Duration::from_secs(24 * 3_600);

/// Stops that a later run may mend: in chance's hands are an expired token that comes twice, and a
/// first answer without a link.
const PASSING: [&str; 7] =
    ["interrupted", "deadline", "unreachable", "failing", "no-list", "sign-in", "api-retired"];

impl World {
    /// One run. In chaos it may die, be interrupted, or leave rows in doubt alone; returns whether
    /// everything is done.
    pub(super) async fn run(&mut self, chaos: bool) -> bool {
        self.runs += 1;
        let export = self.export(chaos);
        let path = self.folder.path().join("people.csv");
        std::fs::write(&path, &export.text).expect("the export is written");
        let input = input::open(&Source::File(path), &self.others.options()).expect("an export");
        let snapshot = input.snapshot(self.folder.path()).expect("a copy");
        let death = if chaos { self.death() } else { Death::Never };
        let dead = Rc::new(Cell::new(false));
        let seed = self.random.u64(..);
        let client = GraphClient::new(
            Fragile {
                direct: self.direct.clone(),
                death,
                dead: Rc::clone(&dead),
                sent: Cell::new(0),
                transcript: Rc::clone(&self.transcript),
                token: self.token.clone(),
            },
            self.host.clone(),
            tokens(&self.token),
            Clock::starting(self.now()),
            Buckets::new(Pacer::new(PaceOptions::default()), Pacer::new(PaceOptions::default())),
            fastrand::Rng::with_seed(seed),
        );
        let conduct = self.conduct(chaos);
        let import = Import {
            client: &client,
            target: &self.target,
            input: &snapshot,
            conduct: &conduct,
            enable: None,
            pace: PaceOptions { concurrency: conduct.concurrency, seed, ..PaceOptions::default() },
            deadline: None,
            approved: None,
            plan_only: false,
            in_this_thread: true,
        };
        let interrupted = (chaos && self.random.u8(..3) == 0).then(|| self.random.u64(..60_000));
        seeds::story(|| {
            format!("run {}: {death:?}, interrupted {interrupted:?}, {conduct:?}", self.runs)
        });
        let interrupt = async {
            let Some(time) = interrupted else { return std::future::pending().await };
            tokio::time::sleep(Duration::from_millis(time)).await;
            client.stop.raise(Stop::Interrupted);
            std::future::pending::<()>().await;
        };
        let ledger = self.open_ledger();
        let work = async {
            tokio::select! {
                biased;
                ended = job::import(&import, ledger, |_| {}) => ended,
                () = interrupt => unreachable!("it only raises the flag"),
            }
        };
        let next = self.folder.path().join(format!("{}.ledger", self.runs));
        let ended = tokio::time::timeout(
            LONG,
            Mortal::new(work, death, dead, || {
                copy_ledger(&self.ledger, &next);
            }),
        );
        let ended = ended.await.expect("a run ends within a day");
        if let Some(ended) = ended {
            let ended = ended.expect("neither input nor ledger is at fault");
            return self.ended(ended, &client, &snapshot, &export);
        }
        self.ledger = next;
        self.check_ledger(&export);
        false
    }

    /// In chaos a part of the rows, sorted anew; in peace all of them, as they are: of two rows that
    /// claim one id, the order says which is a duplicate.
    fn export(&mut self, chaos: bool) -> Export {
        if chaos {
            self.let_people_change();
        }
        let mut rows = self.people.clone();
        if chaos {
            self.random.shuffle(&mut rows);
            let some = self.random.usize(1..=rows.len());
            rows.truncate(some);
        }
        crowd::export(&mut self.random, &rows, self.kind)
    }

    fn death(&mut self) -> Death {
        let request = self.random.u32(..60);
        match self.random.u8(..7) {
            0 => Death::Never,
            1 | 2 => Death::Poll(self.random.u32(..400)),
            3 => Death::Time(self.random.u64(..60_000)),
            4 => Death::Before(request),
            5 => Death::During(request),
            _ => Death::After(request),
        }
    }

    fn conduct(&mut self, chaos: bool) -> Conduct {
        let hold = chaos && self.random.u8(..8) == 0;
        Conduct {
            on_unknown: if hold { OnUnknown::Hold } else { OnUnknown::Reconcile },
            settle: self.settle,
            max_attempts: self.random.u32(1..=6),
            concurrency: self.random.usize(1..=16),
            ..Conduct::default()
        }
    }

    /// A run's end as the command makes it, and what must be true of it.
    fn ended(
        &mut self,
        ended: Ended,
        client: &GraphClient<Fragile>,
        snapshot: &Snapshot,
        export: &Export,
    ) -> bool {
        let Ended { mut ledger, ruled, plan, tally, stop, .. } = ended;
        if plan.as_ref().is_some_and(Plan::is_idle) {
            assert_eq!(tally, Tally::default(), "a run with nothing to do did something");
            self.idle += 1;
        }
        // Without a list of this run the files are the ledger's.
        let listed = plan.is_some();
        let mode = ruled.map(|(_, mode)| mode);
        let known = mode.or_else(|| ledger.listed().ok()?.registration?.1.parse().ok());
        let known = match self.kind {
            Kind::Meeting(_) => Kind::Meeting(known.unwrap_or(Mode::Everyone)),
            Kind::Event => Kind::Event,
        };
        let (enrolled, rejects) =
            (self.folder.path().join("enrolled.csv"), self.folder.path().join("rejects.csv"));
        let rule = match known {
            Kind::Meeting(mode) => Rule::Meeting(mode),
            Kind::Event => Rule::event(),
        };
        let plan = plan.unwrap_or_else(|| {
            let nothing = RemoteIndex::default();
            Plan::of(snapshot, rule, &ledger, nothing, false, &CancelOrder::default())
                .expect("no ids moved")
        });
        let projection = Projection {
            input: snapshot,
            plan: &plan,
            ledger: &ledger,
            stopped: stop.as_ref().map(|stop| (stop.word(), stop.to_string())),
            formula_safe: false,
        };
        let (counts, _) = projection.write(&enrolled, &rejects).expect("the files are written");
        assert!(counts.add_up(), "{counts:?}");
        let summary = Summary::new(
            TargetName { kind: self.target.api().word(), id: "M".to_owned(), organizer: None },
            mode.map(Mode::as_str),
            &counts,
            client.traffic(),
            client.clock.now(),
            stop.as_ref(),
            Files { enrolled: None, rejects: None, ledger: None, kept: None },
        );
        let end = RunEnd {
            at: self.now(),
            exit_code: summary.exit_code,
            stop_reason: summary.stop_reason,
            summary: &summary.json(),
        };
        ledger.end_run(&end).expect("the run's end is kept");
        drop(ledger);
        if let Some(stop) = &stop {
            assert!(PASSING.contains(&stop.word()), "{stop}");
        }
        let written = Written::read(&enrolled, &rejects);
        assert_eq!(counts.enrolled, written.enrolled.len() as u64);
        assert_eq!(counts.read, export.rows.len() as u64);
        if listed {
            // Of a row that is invalid by itself nobody asks.
            let looked_at = |line: &u64| {
                written.rejects.get(line).is_none_or(|reject| reject.outcome != "invalid")
            };
            let seen = |id: &String| {
                export.rows.iter().any(|(line, row)| row.id == *id && looked_at(line))
            };
            self.others.unseen.retain(|id| !seen(id));
        }
        let open = self.check_files(&written, export, known);
        self.check_ledger(export);
        let settled = matches!(summary.exit_code, 0 | 3);
        assert!(
            !settled || open.iter().all(|code| code == "BadRequest" || code == "exists-on-server"),
            "exit code {}: {open:?}",
            summary.exit_code
        );
        open.is_empty()
    }

    /// Every row has its end, every link is the one on the books; gives the codes of the rows that
    /// are still to be enrolled.
    fn check_files(&self, written: &Written, export: &Export, kind: Kind) -> Vec<String> {
        verify::books(&self.simulator);
        let rows = export.rows.iter().map(|(line, person)| (*line, person.id.as_str()));
        let everybody = [self.people.as_slice(), &self.former].concat();
        let musts = crowd::model(&export.rows, kind, &everybody, &self.strangers);
        let mut open = Vec::new();
        let mut winners: BTreeMap<&str, &Person> = BTreeMap::new();
        for (((line, person), must), end) in export.rows.iter().zip(musts).zip(written.ends(rows)) {
            if let Ok((link, _)) = &end {
                let who = person.identity(self.kind);
                let mut given = self.given.borrow_mut();
                let first = given.entry(link.clone()).or_insert_with(|| who.clone());
                assert_eq!(*first, who, "line {line}: the link of somebody else");
                let winner = *winners.entry(&person.id).or_insert(person);
                assert_eq!(winner, person, "line {line}: two rows that differ share a link");
            }
            match (must, end) {
                (Must::Enrolled | Must::EnrolledOrChanged | Must::Contested(_), Ok((link, _))) => {
                    if self.others.unseen.contains(&person.id) {
                        open.push("unseen".to_owned());
                        continue;
                    }
                    assert_eq!(
                        Some(link),
                        self.held(person),
                        "line {line}: not the link that is held"
                    );
                }
                (Must::Enrolled | Must::EnrolledOrChanged | Must::Contested(_), Err(reject))
                    if reject.outcome == "refused"
                        && self.others.ended.get(&person.id) == Some(&reject.code.as_str()) => {}
                (Must::Contested(codes), Err(reject)) if reject.outcome == "invalid" => {
                    let code = reject.code.as_str();
                    let fits = code == "duplicate-id" || codes.contains(code);
                    assert!(fits, "line {line}: {reject:?}");
                }
                (Must::Contested(_), Err(reject))
                    if (reject.outcome.as_str(), reject.code.as_str())
                        == ("refused", "exists-on-server") =>
                {
                    assert!(self.strangers.contains_key(&person.id), "line {line}");
                }
                (Must::Invalid(codes), Err(reject)) => {
                    assert_eq!(reject.outcome, "invalid", "line {line}");
                    assert!(codes.contains(reject.code.as_str()), "line {line}: {reject:?}");
                }
                (Must::ExistsOnServer, Err(reject)) => match reject.outcome.as_str() {
                    "refused" => assert_eq!(reject.code, "exists-on-server", "line {line}"),
                    "not-attempted" => open.push(reject.code),
                    _ => panic!("line {line}: {reject:?}"),
                },
                (Must::EnrolledOrChanged | Must::Contested(_), Err(reject))
                    if reject.code == "changed-since-enrolled" =>
                {
                    assert!(self.held(person).is_some(), "line {line}");
                }
                (Must::Enrolled | Must::EnrolledOrChanged | Must::Contested(_), Err(reject)) => {
                    let fits = match reject.outcome.as_str() {
                        "unknown" | "not-attempted" => true,
                        "awaiting" => kind == Kind::Event,
                        // In doubt, and registered anew by themselves meanwhile: the next run knows better.
                        "refused" if reject.code == "exists-on-server" => self.others.act,
                        // Without a list of this run the ledger knows no better.
                        "refused" if self.others.unseen.contains(&person.id) => true,
                        "refused" => reject.code == "BadRequest" && self.held(person).is_none(),
                        _ => false,
                    };
                    assert!(fits, "line {line}: {reject:?}");
                    open.push(reject.code);
                }
                (must, end) => panic!("line {line}: {must:?} ended as {end:?}"),
            }
        }
        open
    }

    fn open_ledger(&self) -> Ledger {
        loop {
            match Ledger::open(&self.ledger, &self.identity(), self.now()) {
                // Another proof's child process, between its fork and its exec, has a hand on all
                // files of this process for an instant.
                Err(error) if matches!(error.kind(), LedgerError::Held) => std::thread::yield_now(),
                opened => return opened.expect("a ledger"),
            }
        }
    }

    /// What the ledger calls enrolled is on the server with that link, now; nobody is there twice,
    /// and the strangers are untouched.
    fn check_ledger(&self, export: &Export) {
        let books = verify::books(&self.simulator);
        for (id, link) in &self.strangers {
            let now = books.get(id);
            // One that was pending then may have a link by now.
            let same = now.is_some_and(|now| now == link || link.is_empty());
            assert!(same, "somebody else's registrant was touched");
        }
        let posted_twice = self.simulator.stats().duplicates;
        assert!(self.late || self.doubles || posted_twice == 0, "somebody was posted twice");
        let ledger = self.open_ledger();
        for (_, person) in &export.rows {
            let id = RegistrantId::trusted(&person.id);
            let Some(entry) = ledger.find(&id).expect("a sound ledger") else {
                continue;
            };
            if entry.state == State::Enrolled && !self.others.unseen.contains(&person.id) {
                let link = entry.link.expect("an enrolled one has a link");
                assert_eq!(self.held(person).as_deref(), Some(link.expose()), "a dead link");
            }
        }
    }
}

fn tokens(token: &Path) -> Tokens {
    let settings = AuthSettings {
        method: Some(Method::Token),
        token_file: Some(token.to_owned()),
        ..AuthSettings::default()
    };
    Tokens::new(&settings).expect("a token file is all it takes")
}

/// The files as they are, the write-ahead log included: what a dead process leaves.
fn copy_ledger(from: &Path, to: &Path) {
    for ending in ["", "-wal"] {
        let beside = |path: &Path| PathBuf::from(format!("{}{ending}", path.display()));
        if beside(from).exists() {
            std::fs::copy(beside(from), beside(to)).expect("the ledger is copied");
        }
    }
}

/// A future that may die: dropped as it is, after `last` has looked at what it leaves behind.
struct Mortal<F, L> {
    inner: Pin<Box<F>>,
    death: Death,
    dead: Rc<Cell<bool>>,
    polls: u32,
    at: Pin<Box<tokio::time::Sleep>>,
    last: L,
}

impl<F: Future, L: FnMut() + Unpin> Mortal<F, L> {
    fn new(inner: F, death: Death, dead: Rc<Cell<bool>>, last: L) -> Self {
        let after = if let Death::Time(time) = death { Duration::from_millis(time) } else { LONG };
        let at = Box::pin(tokio::time::sleep(after));
        Self { inner: Box::pin(inner), death, dead, polls: 0, at, last }
    }
}

impl<F: Future, L: FnMut() + Unpin> Future for Mortal<F, L> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let over = pin!(&mut this.at).poll(context).is_ready();
        if over || this.death == Death::Poll(this.polls) {
            (this.last)();
            return Poll::Ready(None);
        }
        this.polls += 1;
        if let Poll::Ready(output) = this.inner.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        if this.dead.get() {
            (this.last)();
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}
