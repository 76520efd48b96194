//! `run`: the import, from the opened input to files and exit code; `rehearse` goes the same way.

use std::{cell::Cell, path::Path};

use jiff::Zoned;

use super::{
    approvals::{approved, write_held},
    existing_file::ExistingFile,
    failure::{Failure, runtime},
    logging::print,
    login,
    paths::{LedgerSettings, shared_folder},
    progress::{Announcer, announce_waits},
    settings::{Deadline, GraphSettings, ImportSettings, RunSettings},
    signals::Signals,
};
use crate::{
    auth::{Method, Tokens},
    graph::{
        http::Http,
        target::{Api, Target},
    },
    input::{self, Snapshot, Source},
    job::{
        self, Ended, Event, Import, JobError, Planned, SharedPace, client::GraphClient, plan::Plan,
        remote::RemoteIndex, roll_call::CancelOrder, stop::Stop,
    },
    ledger::{Ledger, Reading, RunEnd, RunTraffic},
    output::{
        Cancellations, Closing, Console, Files, Metrics, Projection, Reasons, Report, Summary,
        TargetName, harmless, length, probe,
    },
    pacing::{Bucket, Buckets, PaceOptions, Pacer, Quota},
    registrant::{Mode, Rule},
};

/// So many slots of time at most are told apart in a report: more than a phone shows side by side.
const SLOTS: u16 = 80;

/// The exit code of a run that found the ledger held by another.
const HELD: u8 = 7;

pub(super) fn run(settings: &RunSettings, console: &mut Console) -> Result<u8, Failure> {
    let RunSettings { import, target, enable, graph, ledger } = settings;
    let tokens = graph.tokens()?;
    login::where_needed(&graph.sign_in, console)?;
    if ledger.is_beside_the_named {
        console.say(format!(
            "the ledger that is named belongs to another kind of target and stays as it is; the {}'s is {}",
            target.api().noun(),
            ledger.path.display()
        ));
    }
    let run = ImportRun {
        settings: import,
        target,
        enable: *enable,
        graph,
        ledger,
        rehearsal: false,
        plan_only: false,
    };
    let done = run
        .carry_out(tokens, console)
        .inspect_err(|failure| write_metrics_of_failure(settings, failure, console))?;
    if import.files.json {
        print(&format!("{}\n", done.summary.json()));
    } else {
        print(&done.text);
    }
    Ok(done.summary.exit_code)
}

/// One import: a run or a rehearsal.
pub(super) struct ImportRun<'a> {
    pub(super) settings: &'a ImportSettings,
    pub(super) target: &'a Target,
    /// Create a meeting's missing registration with this mode.
    pub(super) enable: Option<Mode>,
    pub(super) graph: &'a GraphSettings,
    pub(super) ledger: &'a LedgerSettings,
    /// Whether the ledger is there only for this run.
    pub(super) rehearsal: bool,
    /// Whether it ends with the plan.
    pub(super) plan_only: bool,
}

/// How a run ended, for the command to add to.
pub(super) struct Done {
    pub(super) summary: Summary,
    pub(super) text: String,
    /// What was sent; `None` where nothing was.
    pub(super) traffic: Option<RunTraffic>,
    /// How many people were to be posted; `None` where the run ended before it had a plan.
    pub(super) planned: Option<u64>,
}

impl ImportRun<'_> {
    /// Reads, enrols, writes the files, and tells the end.
    pub(super) fn carry_out(&self, tokens: Tokens, console: &mut Console) -> Result<Done, Failure> {
        let ImportSettings { input, files, .. } = self.settings;
        let deadline = self.settings.pace.deadline(&Zoned::now());
        let mut signals = Signals::listen(
            console.status_line("reading the input; no row is sent yet"),
            deadline.as_ref().map(|deadline| (deadline.after, deadline.option)),
        );
        let input = input::open(&input.source, &input.options)?;
        for note in input.notes() {
            console.say(note);
        }
        probe(&files.enrolled, "--output")?;
        probe(&files.rejects, "--rejects")?;
        for (path, option) in [(&files.report, "--report"), (&files.metrics, "--metrics")] {
            path.as_ref().map(|path| probe(path, option)).transpose()?;
        }
        let folder = self.ledger.path.parent().unwrap_or(Path::new("."));
        let ledger = Ledger::open(&self.ledger.path, &self.ledger.identity, job::wall_clock())?;
        let existing = ExistingFile::find(&files.enrolled, &ledger, self.graph.host.is_loopback())?;
        let snapshot = input.snapshot(folder)?;
        let enrol = self.enrol(ledger, &snapshot, tokens, deadline, &mut signals, console);
        let (ended, client, planned) = runtime()?.block_on(enrol)?;
        console.end("the run is over; writing the files");
        let mut done = self.finish(ended, &client, &snapshot, &existing, console)?;
        done.planned = planned;
        Ok(done)
    }

    pub(super) async fn enrol(
        &self,
        ledger: Ledger,
        snapshot: &Snapshot,
        tokens: Tokens,
        deadline: Option<Deadline>,
        signals: &mut Signals,
        console: &mut Console,
    ) -> Result<(Ended, GraphClient<Http>, Option<u64>), Failure> {
        let conduct = &self.settings.conduct;
        let seed = fastrand::u64(..);
        let transport = Http::new(self.graph.host.clone(), &self.graph.http)?;
        let pace = PaceOptions {
            ceiling: self.ceiling(),
            concurrency: conduct.concurrency,
            seed,
            ..PaceOptions::default()
        };
        let read_ceiling = self.is_limited().then_some(Quota::EVENT_READS);
        let reads = PaceOptions { ceiling: read_ceiling, ..PaceOptions::default() };
        let buckets = Buckets::new(Pacer::new(pace.clone()), Pacer::new(reads));
        let client = GraphClient::new(
            transport,
            self.graph.host.clone(),
            tokens,
            job::start_clock(),
            buckets,
            fastrand::Rng::with_seed(seed),
        );
        let client =
            if self.is_limited() && !self.plan_only { self.sharing(client, seed) } else { client };
        let announcer = Announcer {
            api: self.target.api(),
            rehearsal: self.rehearsal,
            ceiling: self.ceiling(),
            deadline,
        };
        let deadline = announcer.deadline.as_ref();
        if let Some(deadline) = deadline {
            // At once: a time of day that has just passed is tomorrow's.
            let words = deadline.words(&Zoned::now());
            console.say(format!("starts nothing new after {words} ({})", deadline.option));
        }
        let import = Import {
            client: &client,
            target: self.target,
            input: snapshot,
            conduct,
            enable: self.enable,
            pace,
            deadline: deadline.map(|deadline| (deadline.left(&Zoned::now()), deadline.option)),
            approved: self.settings.approve.as_deref().map(approved).transpose()?,
            plan_only: self.plan_only,
            in_this_thread: false,
        };
        signals.drain("finishing what is under way and writing the files");
        let status =
            console.status_line("looking at the target and the ledger; no row is sent yet");
        let planned = Cell::new(None);
        let listen = async {
            loop {
                client.stop.raise(signals.stop().await);
            }
        };
        let work = job::import(&import, ledger, |event| {
            if let Event::Planned(Planned { plan, .. }) = &event {
                planned.set(Some(plan.counts.to_post));
            }
            announcer.tell(&event, snapshot, console);
        });
        let ended = tokio::select! {
            ended = work => ended?,
            () = listen => unreachable!("signals are listened to for ever"),
            never = announce_waits(&client, &planned, deadline, &status) => match never {},
        };
        Ok((ended, client, planned.get()))
    }

    /// Microsoft's limit holds for the application, so all its runs on this machine share it.
    fn sharing(&self, client: GraphClient<Http>, seed: u64) -> GraphClient<Http> {
        let folder = shared_folder(&self.ledger.path);
        let published = Quota::EVENT_WRITES;
        let rate = self.settings.pace.ceiling;
        // A lower one is this run's own; a higher one says that the limit is another.
        let writes = rate.filter(|rate| rate.per_second() > published.per_second());
        let writes = writes.unwrap_or(published);
        let run = i64::from_ne_bytes(seed.to_ne_bytes());
        client.sharing(move |application| {
            let reads = Quota::EVENT_READS;
            SharedPace::new(&folder, application, writes, reads, run, job::wall_clock)
        })
    }

    /// The ceiling of writes: `--rate`, else Microsoft's published limit for virtual events. For meetings
    /// none is published, and a rehearsal is bound by its own simulator alone.
    fn ceiling(&self) -> Option<Quota> {
        self.settings.pace.ceiling.or(self.is_limited().then_some(Quota::EVENT_WRITES))
    }

    /// Whether the limits that Microsoft publishes for virtual events hold.
    fn is_limited(&self) -> bool {
        self.target.api().is_event() && !self.rehearsal
    }

    /// Writes the files from the ledger, closes the run's record, and sums up.
    fn finish(
        &self,
        ended: Ended,
        client: &GraphClient<Http>,
        snapshot: &Snapshot,
        existing: &ExistingFile<'_>,
        console: &Console,
    ) -> Result<Done, Failure> {
        let paths = &self.settings.files;
        let Ended { mut ledger, ruled, plan, cancelled, stop, .. } = ended;
        let mode = ruled.as_ref().map(|(_, mode)| *mode);
        let now = client.clock.stamp(client.clock.now());
        // A run that came to no plan has decided about nobody, and its files show links as well.
        let offline = || {
            let known = || known_rule(self.target.api(), &ledger);
            let rule = ruled.map_or_else(known, |(rule, _)| rule);
            plan_offline(snapshot, rule, &ledger, self.settings.conduct.trust_ids)
        };
        let plan = match plan.map_or_else(offline, Ok) {
            Ok(plan) => plan,
            Err(failure) => {
                if let Some(stop) = &stop {
                    tell_stop(stop, console);
                }
                let exit_code = failure.code;
                let end = RunEnd { at: now, exit_code, stop_reason: Some("usage"), summary: "{}" };
                // The first fault is told; a ledger that cannot be written now will say so next time.
                let _ = ledger.end_run(&end);
                return Err(failure);
            }
        };
        let projection = Projection {
            input: snapshot,
            plan: &plan,
            ledger: &ledger,
            stopped: stop.as_ref().map(|stop| (stop.word(), stop.in_full())),
            formula_safe: paths.formula_safe,
        };
        let kept = if self.rehearsal { None } else { existing.keep(&ledger, now, console)? };
        let (counts, reasons) = projection.write(&paths.enrolled, &paths.rejects)?;
        let most = self.settings.conduct.cancel.most;
        let cancel = plan.cancel.as_ref();
        let cancellations = Cancellations::of(cancel, cancelled, most, &paths.held);
        if let Some(cancel) = cancel {
            let approved = self.settings.approve.as_deref();
            write_held(cancel, &paths.held, approved, &mut ledger, console)?;
        }
        let mut summary = Summary::new(
            TargetName {
                kind: self.target.api().word(),
                id: self.target.id().to_owned(),
                organizer: self.target.organizer().map(str::to_owned),
            },
            mode.map(Mode::as_str),
            &counts,
            client.traffic(),
            client.clock.now(),
            stop.as_ref(),
            Files {
                enrolled: Some(paths.enrolled.clone()),
                rejects: Some(paths.rejects.clone()),
                ledger: (!self.rehearsal).then(|| self.ledger.path.clone()),
                kept,
            },
        )
        .with(cancellations, stop.as_ref());
        let json = summary.json();
        let kept = ledger.end_run(&RunEnd {
            at: client.clock.stamp(client.clock.now()),
            exit_code: summary.exit_code,
            stop_reason: summary.stop_reason,
            summary: &json,
        });
        if let Err(error) = kept {
            // The rows are safe; only the run's own record is not.
            console.error(error.at(ledger.path()).to_string());
            summary.exit_code = summary.exit_code.max(6);
        }
        if !counts.add_up() {
            console.error(
                "internal fault: the rows do not add up; please report this, with the log at -vvv",
            );
        }
        if let Some(stop) = &stop {
            tell_stop(stop, console);
            let forbidden = matches!(stop, Stop::Forbidden { .. });
            if forbidden && self.target.api().is_event() && mode == Some(Mode::Organization) {
                console.error("the event's audience is its organization, which is the likeliest cause: its organizer can open it to everyone in Teams, or its people register themselves");
            }
        }
        tracing::info!(
            read = summary.counts.read,
            enrolled = summary.counts.enrolled,
            requests = summary.requests,
            exit_code = summary.exit_code,
            stop_reason = summary.stop_reason,
            "ended"
        );
        let traffic =
            self.write_report_and_metrics(&mut summary, &reasons, &ledger, client, console);
        let text = Closing {
            summary: &summary,
            reasons: &reasons,
            report: paths.report.as_deref(),
            rehearsal: self.rehearsal,
        };
        Ok(Done { text: harmless(&text.to_string()).into_owned(), summary, traffic, planned: None })
    }

    /// Writes what is left beside the two files where it is asked for. One that cannot be written
    /// changes the exit code and nothing else: the rows are safe, and their files are written.
    fn write_report_and_metrics(
        &self,
        summary: &mut Summary,
        reasons: &Reasons,
        ledger: &Ledger,
        client: &GraphClient<Http>,
        console: &Console,
    ) -> Option<RunTraffic> {
        let files = &self.settings.files;
        let mut faults = Vec::new();
        // Counting a million attempts takes a second, so only where somebody reads it.
        let is_read = files.report.is_some() || files.metrics.is_some() || self.rehearsal;
        let counted = if is_read { ledger.traffic(SLOTS) } else { Ok(None) };
        let traffic = counted.unwrap_or_else(|error| {
            faults.push(error.to_string());
            summary.exit_code = summary.exit_code.max(6);
            None
        });
        let ended = client.clock.stamp(client.clock.now());
        if let Some(path) = &files.report {
            let learnt = client.pacing(|buckets| buckets.of(Bucket::Writes).learnt());
            let report = Report {
                summary,
                reasons,
                traffic: traffic.as_ref(),
                learnt: learnt.and_then(|learnt| learnt.limit),
                ceiling: self.settings.pace.ceiling,
                settings: self.shown_settings(client.sign_in()),
                began: client.clock.epoch(),
                ended,
                rehearsal: self.rehearsal,
            };
            faults.extend(report.write(path).err().map(|error| error.to_string()));
        }
        if let Some(path) = files.metrics.as_ref().filter(|_| !self.rehearsal) {
            let metrics = Metrics {
                ledger: &name(&self.ledger.path),
                ended,
                last_success: ledger.last_success().ok().flatten(),
                exit_code: summary.exit_code,
                summary: Some(summary),
                traffic: traffic.as_ref(),
            };
            faults.extend(metrics.write(path).err().map(|error| error.to_string()));
        }
        for fault in faults {
            console.error(fault);
            summary.exit_code = summary.exit_code.max(6);
        }
        traffic
    }

    /// What was set, for the report: nothing secret, nothing that names a person. The organizer and
    /// values of `--set` and `--where` may, so they are left out.
    fn shown_settings(&self, sign_in: Option<Method>) -> Vec<(&'static str, String)> {
        let ImportSettings { input, pace, conduct, .. } = self.settings;
        let input = match &input.source {
            Source::File(path) => name(path),
            other => other.to_string(),
        };
        let or = |value: Option<String>, default: &str| value.unwrap_or(default.to_owned());
        let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
        let mut settings = vec![
            ("input", input),
            (
                "Graph",
                if self.rehearsal { "simulated".to_owned() } else { self.graph.host.to_string() },
            ),
            (
                "sign-in",
                if self.rehearsal { "simulated" } else { sign_in.map_or("none", Method::name) }
                    .to_owned(),
            ),
            ("--rate", or(pace.ceiling.map(|rate| rate.to_string()), "adaptive")),
            ("--concurrency", conduct.concurrency.to_string()),
            ("--timeout", format!("{} s", pace.timeout.as_secs_f64())),
            ("--max-attempts", conduct.max_attempts.to_string()),
            ("--settle", format!("{} s", conduct.settle.as_secs_f64())),
            ("--max-rejects", or(conduct.max_rejects.map(|limit| limit.to_string()), "no limit")),
            ("--strict", yes(conduct.strict)),
            ("--trust-ledger", yes(conduct.trust_ledger)),
            ("--over-capacity", yes(conduct.over_capacity)),
            ("--shared-link", yes(conduct.shared_link)),
            ("--trust-ids", yes(conduct.trust_ids)),
        ];
        if let Some(time) = pace.finish_by {
            settings.push(("--finish-by", time.strftime("%H:%M").to_string()));
        }
        if let Some(span) = pace.max_duration {
            settings.push(("--max-duration", length(span)));
        }
        settings
    }
}

/// The metrics of a run that ended before it had any numbers: a scheduler's monitor hears of it all
/// the same. Where another run holds the ledger, the figures are that run's to write.
fn write_metrics_of_failure(settings: &RunSettings, failure: &Failure, console: &Console) {
    let ledger = &settings.ledger.path;
    let Some(path) = settings.import.files.metrics.as_ref().filter(|_| failure.code != HELD) else {
        return;
    };
    let metrics = Metrics {
        ledger: &name(ledger),
        ended: job::wall_clock(),
        last_success: Reading::glance(ledger)
            .and_then(|reading| reading.last_success())
            .ok()
            .flatten(),
        exit_code: failure.code,
        summary: None,
        traffic: None,
    };
    if let Err(error) = metrics.write(path) {
        console.error(error.to_string());
    }
}

/// A file's name without its folders, which may name a person.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What is decided about the rows by the ledger alone, for files with links where no run has decided
/// it.
pub(super) fn plan_offline(
    input: &Snapshot,
    rule: Rule,
    ledger: &Ledger,
    trust_ids: bool,
) -> Result<Plan, Failure> {
    let (remote, nobody) = (RemoteIndex::default(), CancelOrder::default());
    let plan = Plan::of(input, rule, ledger, remote, trust_ids, &nobody);
    plan.map_err(|error| match error {
        JobError::Ledger(error) => error.at(ledger.path()).into(),
        error => error.into(),
    })
}

/// The rule as far as it is known without asking the target: a meeting's mode of the last run.
pub(super) fn known_rule(api: Api, ledger: &Ledger) -> Rule {
    let before = || ledger.listed().ok()?.registration?.1.parse().ok();
    match api {
        Api::Meeting => Rule::Meeting(before().unwrap_or(Mode::Everyone)),
        Api::Event(_) => Rule::event(),
    }
}

fn tell_stop(stop: &Stop, console: &Console) {
    console.error(format!("stopped: {stop}"));
}
