//! What `run` and `rehearse` have in common: from an opened input to files and exit code.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
};

use jiff::Zoned;

use super::{
    announcement::{Expected, announcement},
    args::{AccountArgs, ConductArgs, FileArgs, InputArgs, PaceArgs},
    deadline::Deadline,
    failure::Failure,
    keep::Before,
    notation::grouped,
    patience, people,
    signals::Signals,
};
use crate::{
    auth::Tokens,
    graph::{
        host::GraphHost,
        http::{Http, HttpOptions},
        target::{Api, Target},
    },
    input::{self, Mapping, Snapshot, Source},
    job::{
        self, Ended, Event, Import, Planned, admission, client::GraphClient, conduct::Conduct,
        preflight::Ruling, stop::Stop,
    },
    ledger::{Identity, Ledger, RunEnd, RunTraffic},
    output::{Closing, Console, Files, Projection, Summary, TargetName, harmless, probe},
    pacing::{Buckets, Pacer, Quota, Settings},
    registrant::{Field, Mode, Rule},
};

/// Everything that `run` and `rehearse` have settled before they begin.
pub(super) struct Enrolment<'a> {
    pub(super) input: &'a InputArgs,
    pub(super) files: &'a FileArgs,
    pub(super) account: &'a AccountArgs,
    pub(super) pace: &'a PaceArgs,
    pub(super) conduct: Conduct,
    pub(super) target: Target,
    pub(super) enable: Option<Mode>,
    pub(super) host: GraphHost,
    pub(super) http: HttpOptions,
    pub(super) tokens: Tokens,
    pub(super) ledger: PathBuf,
    pub(super) enrolled: PathBuf,
    pub(super) rejects: PathBuf,
    /// Whether the ledger is there only for this run.
    pub(super) rehearsal: bool,
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

impl Enrolment<'_> {
    /// Reads, enrols, writes the files, and tells the end.
    pub(super) fn carry_out(mut self, console: &mut Console) -> Result<Done, Failure> {
        let mut signals = Signals::listen(console.teller("reading the input; no row is sent yet"));
        let source = source(self.input)?;
        let input = input::open(&source, &self.input.options())?;
        for note in input.notes() {
            console.say(note);
        }
        probe(&self.enrolled, "--output")?;
        probe(&self.rejects, "--rejects")?;
        self.probe_account()?;
        let folder = self.ledger.parent().unwrap_or(Path::new(".")).to_owned();
        let clock_start = job::wall_clock();
        let ledger = Ledger::open(&self.ledger, &self.identity(), clock_start)?;
        let before = Before::begin(&self.enrolled, &ledger, self.host.is_loopback())?;
        let snapshot = input.snapshot(&folder)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::internal("no runtime", &error))?;
        let tokens = std::mem::replace(&mut self.tokens, Tokens::none());
        let enrol = self.enrol(ledger, &snapshot, tokens, &mut signals, console);
        let (ended, client, planned) = runtime.block_on(enrol)?;
        console.end("the run is over; writing the files");
        let mut done = self.finish(ended, &client, &snapshot, &before, console)?;
        done.planned = planned;
        Ok(done)
    }

    async fn enrol(
        &self,
        ledger: Ledger,
        snapshot: &Snapshot,
        tokens: Tokens,
        signals: &mut Signals,
        console: &mut Console,
    ) -> Result<(Ended, GraphClient<Http>, Option<u64>), Failure> {
        let seed = fastrand::u64(..);
        let transport = Http::new(self.host.clone(), &self.http)?;
        let pace = Settings {
            ceiling: self.ceiling(),
            concurrency: self.conduct.concurrency,
            seed,
            ..Settings::default()
        };
        let reads = Settings { ceiling: self.read_ceiling(), ..Settings::default() };
        let buckets = Buckets::new(Pacer::new(pace.clone()), Pacer::new(reads));
        let client = GraphClient::new(
            transport,
            tokens,
            job::start_clock(),
            buckets,
            fastrand::Rng::with_seed(seed),
        );
        let deadline = self.deadline(console);
        let import = Import {
            client: &client,
            target: &self.target,
            host: &self.host,
            input: snapshot,
            conduct: &self.conduct,
            enable: self.enable,
            pace,
            deadline: deadline.as_ref().map(|deadline| (deadline.after, deadline.option)),
            in_this_thread: false,
        };
        signals.drain("finishing what is under way and writing the files");
        let teller = console.teller("looking at the target and the ledger; no row is sent yet");
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
            self.tell(&event, snapshot, deadline.as_ref(), console);
        });
        let ended = tokio::select! {
            ended = work => ended?,
            () = listen => unreachable!("signals are listened to for ever"),
            never = patience::keep(&client, &planned, deadline.as_ref(), &teller) => match never {},
        };
        Ok((ended, client, planned.get()))
    }

    /// The ceiling of writes: `--rate`, else Microsoft's published limit for webinars. For meetings
    /// none is published, and a rehearsal is bound by its own simulator alone.
    fn ceiling(&self) -> Option<Quota> {
        let published = self.target.api() == Api::Webinar && !self.rehearsal;
        self.pace.rate.or(published.then_some(Quota::WEBINAR_WRITES))
    }

    /// The ceiling of reads.
    fn read_ceiling(&self) -> Option<Quota> {
        let published = self.target.api() == Api::Webinar && !self.rehearsal;
        published.then_some(Quota::WEBINAR_READS)
    }

    /// What can be said of the pace beforehand.
    fn expected(&self, deadline: Option<&Deadline>) -> Expected {
        let now = Zoned::now();
        Expected {
            ceiling: self.ceiling(),
            unpublished: self.target.api() == Api::Meeting && !self.rehearsal,
            deadline: deadline.map(|deadline| (deadline.left(&now), deadline.words(&now))),
        }
    }

    fn tell_rule(&self, ruling: &Ruling, console: &Console) {
        match self.target.api() {
            Api::Meeting => console.say(format!("the meeting's rule: {}", ruling.mode)),
            Api::Webinar => console.say(format!("the webinar's audience: {}", ruling.mode)),
        }
        if self.target.api() == Api::Webinar && ruling.mode == Mode::Organization {
            console.warn(admission::ORGANIZATION);
        }
    }

    /// Until when something new is started, told at once: a time of day that has just passed is
    /// tomorrow's.
    fn deadline(&self, console: &Console) -> Option<Deadline> {
        let now = Zoned::now();
        let deadline = Deadline::of(self.pace.finish_by, self.pace.max_duration, &now)?;
        let (words, option) = (deadline.words(&now), deadline.option);
        console.say(format!("starts nothing new after {words} ({option})"));
        Some(deadline)
    }

    fn tell(
        &self,
        event: &Event<'_>,
        input: &Snapshot,
        deadline: Option<&Deadline>,
        console: &mut Console,
    ) {
        match event {
            Event::Ruled(ruling) => self.tell_rule(ruling, console),
            Event::Planned(planned) => {
                let Planned { plan, ruling, held, .. } = planned;
                let counts = &plan.counts;
                tracing::info!(
                    read = counts.read,
                    to_post = counts.to_post,
                    already = counts.already,
                    in_doubt = counts.in_doubt,
                    invalid = counts.invalid,
                    "planned"
                );
                // Where the list ended, and what looks like an accident in it: told by its rows.
                for note in input.row_notes() {
                    console.say(note);
                }
                console.say(announcement(planned, &self.expected(deadline)));
                if let Some(admission) = &ruling.admission {
                    for warning in admission.warnings(counts.to_post, *held) {
                        console.warn(warning);
                    }
                }
                if counts.duplicates > 0 {
                    console.warn(repeats_warning(input.mapping(), counts.duplicates));
                }
                people::warn(plan, console);
                if counts.not_sent > 0 {
                    console.warn(format!(
                        "{} rows hold a tenantId or userId; a meeting for everyone takes the id alone, so they are not sent",
                        grouped(counts.not_sent)
                    ));
                }
                let rows = counts.to_post + counts.held + counts.in_doubt + counts.awaiting;
                console.begin(rows, counts.already);
            }
            Event::Going(progress) => console.progress(progress),
        }
    }

    /// Writes the files from the ledger, closes the run's record, and sums up.
    fn finish(
        &self,
        ended: Ended,
        client: &GraphClient<Http>,
        snapshot: &Snapshot,
        before: &Before<'_>,
        console: &Console,
    ) -> Result<Done, Failure> {
        let Ended { mut ledger, ruled, plan, stop, .. } = ended;
        let mode = ruled.as_ref().map(|(_, mode)| *mode);
        let now = client.clock.stamp(client.clock.now());
        // A run that came to no plan has decided about nobody, and its files show links as well.
        let offline = || {
            let rule =
                ruled.map_or_else(|| known_rule(self.target.api(), &ledger), |(rule, _)| rule);
            people::plan(snapshot, rule, &ledger, self.conduct.trust_ids)
        };
        let plan = match plan.map_or_else(offline, Ok) {
            Ok(plan) => plan,
            Err(failure) => {
                if let Some(stop) = &stop {
                    tell_stop(stop, console);
                }
                people::end(&mut ledger, &failure, now);
                return Err(failure);
            }
        };
        let projection = Projection {
            input: snapshot,
            plan: &plan,
            ledger: &ledger,
            stopped: stop.as_ref().map(|stop| (stop.word(), stop.in_full())),
            formula_safe: self.files.formula_safe,
        };
        let kept = if self.rehearsal { None } else { before.keep(&ledger, now, console)? };
        let (counts, reasons) = projection.write(&self.enrolled, &self.rejects)?;
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
                enrolled: Some(self.enrolled.clone()),
                rejects: Some(self.rejects.clone()),
                ledger: (!self.rehearsal).then(|| self.ledger.clone()),
                kept,
            },
        );
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
            if forbidden && self.target.api() == Api::Webinar && mode == Some(Mode::Organization) {
                console.error("the webinar's audience is its organization, which is the likeliest cause: its organizer can open it to everyone in Teams, or its people register themselves");
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
        let traffic = self.account(&mut summary, &reasons, &ledger, client, console);
        let text = Closing {
            summary: &summary,
            reasons: &reasons,
            report: self.account.report.as_deref(),
            rehearsal: self.rehearsal,
        };
        Ok(Done { text: harmless(&text.to_string()).into_owned(), summary, traffic, planned: None })
    }

    fn identity(&self) -> Identity {
        identity(&self.target, &self.host)
    }
}

/// The rule as far as it is known without asking the target: a meeting's mode of the last run.
pub(super) fn known_rule(api: Api, ledger: &Ledger) -> Rule {
    let before = || ledger.listed().ok()?.registration?.1.parse().ok();
    match api {
        Api::Meeting => Rule::Meeting(before().unwrap_or(Mode::Everyone)),
        Api::Webinar => Rule::webinar(),
    }
}

fn tell_stop(stop: &Stop, console: &Console) {
    console.error(format!("stopped: {stop}"));
}

/// What a ledger calls a simulator on this machine, whatever its port.
pub(super) const THIS_MACHINE: &str = "this machine";

/// The target that a ledger belongs to. A simulator on this machine is the same one whatever its
/// port.
pub(super) fn identity(target: &Target, host: &GraphHost) -> Identity {
    let graph = if host.is_loopback() { THIS_MACHINE.to_owned() } else { host.to_string() };
    Identity {
        kind: target.api().word().to_owned(),
        name: target.id().to_owned(),
        organizer: target.organizer().map(str::to_owned),
        graph,
    }
}

/// The input that was named.
pub(super) fn source(args: &InputArgs) -> Result<Source, Failure> {
    args.csv
        .clone()
        .ok_or_else(|| Failure::usage("no CSV is named: give a file, or `-` for standard input"))
}

/// The names of the two files: as given, or made from the CSV's. That they are not anything else is
/// for [`super::paths`] to see.
pub(super) fn outputs(source: &Source, files: &FileArgs) -> Result<(PathBuf, PathBuf), Failure> {
    let beside = |given: &Option<PathBuf>, ending: &str| match (given, source) {
        (Some(path), _) => Ok(path.clone()),
        (None, Source::File(csv)) => Ok(with_ending(csv, ending)),
        (None, Source::Stdin) => Err(Failure::usage(
            "standard input has no name to make the files' names from; name them with --output FILE and --rejects FILE",
        )),
    };
    let enrolled = beside(&files.output, "enrolled.csv")?;
    let rejects = beside(&files.rejects, "rejects.csv")?;
    Ok((enrolled, rejects))
}

/// `attendees.csv` → `attendees.enrolled.csv`; `.csv.gz` loses both, for the files are not packed.
fn with_ending(csv: &Path, ending: &str) -> PathBuf {
    let name = csv.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    csv.with_file_name(format!("{stem}.{ending}"))
}

/// What conduct and pace come to.
pub(super) fn conduct(conduct: &ConductArgs, pace: &PaceArgs) -> Conduct {
    conduct.conduct(pace)
}

/// What is said where ids repeat with rows that differ: the id may be the wrong column, or the
/// system has none and a key such as the e-mail address serves two people.
pub(super) fn repeats_warning(mapping: &Mapping, rows: u64) -> String {
    let (repeat, are) = if rows == 1 { ("row repeats", "is") } else { ("rows repeat", "are") };
    format!(
        "{} {repeat} an id of an earlier row (`{}`) with other cells and {are} invalid: two people must not share a link. If these are different people, compose an id that tells them apart: --map id='COLUMN+COLUMN'",
        grouped(rows),
        mapping.shown(&Field::Id)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_stand_beside_the_input() {
        for (csv, enrolled) in [
            ("a/attendees.csv", "a/attendees.enrolled.csv"),
            ("attendees", "attendees.enrolled.csv"),
            ("list.2026.csv", "list.2026.enrolled.csv"),
            ("list.csv.gz", "list.enrolled.csv"),
        ] {
            assert_eq!(with_ending(Path::new(csv), "enrolled.csv"), Path::new(enrolled));
        }
    }
}
