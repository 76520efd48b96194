//! `export`: the files again, from ledger and CSV, without network.

use url::Url;

use super::{
    args::{ExportArgs, LedgerArgs},
    enrol,
    failure::Failure,
    keep::Before,
    people,
    print::print,
    reach,
};
use crate::{
    graph::{
        host::{Cloud, GraphHost, TrustedHosts},
        target::Api,
    },
    input, job,
    ledger::{Ledger, Reading},
    output::{Closing, Console, Projection, harmless},
    registrant::Mode,
};

pub(super) fn export(args: &ExportArgs, console: &Console) -> Result<u8, Failure> {
    let source = enrol::source(&args.input)?;
    let (enrolled, rejects) = enrol::outputs(&source, &args.files)?;
    let path = ledger_path(&args.ledger)?;
    let target = Reading::glance(&path)?.target().map_err(|error| error.at(&path))?;
    let ledger = Ledger::open(&path, &target, job::wall_clock())?;
    // A ledger names a Graph on this machine by these words.
    let before = Before::begin(&enrolled, &ledger, target.graph == enrol::THIS_MACHINE)?;
    let input = input::open(&source, &args.input.options())?;
    for note in input.notes() {
        console.say(note);
    }
    let listed = ledger.listed().map_err(|error| error.at(&path))?;
    let mode = listed.registration.and_then(|(_, mode)| mode.parse().ok());
    let api = if target.kind == Api::Webinar.word() { Api::Webinar } else { Api::Meeting };
    let rule = enrol::known_rule(api, &ledger);
    input.require(&rule)?;
    let folder = path.parent().unwrap_or(std::path::Path::new("."));
    let snapshot = input.snapshot(folder)?;
    let plan = people::plan(&snapshot, rule, &ledger, false)?;
    let projection = Projection {
        input: &snapshot,
        plan: &plan,
        ledger: &ledger,
        stopped: None,
        formula_safe: args.files.formula_safe,
    };
    let kept = before.keep(&ledger, job::wall_clock(), console)?;
    let (counts, reasons) = projection.write(&enrolled, &rejects)?;
    let files = crate::output::Files {
        enrolled: Some(enrolled),
        rejects: Some(rejects),
        ledger: Some(path),
        kept,
    };
    let name = crate::output::TargetName {
        kind: api.word(),
        id: target.name.clone(),
        organizer: target.organizer.clone(),
    };
    let summary = crate::output::Summary::new(
        name,
        mode.map(Mode::as_str),
        &counts,
        crate::job::client::Traffic::default(),
        std::time::Duration::ZERO,
        None,
        files,
    );
    let text = Closing { summary: &summary, reasons: &reasons, report: None, rehearsal: false }
        .to_string();
    print(&if args.files.json {
        format!("{}\n", summary.json())
    } else {
        harmless(&text).into_owned()
    });
    Ok(summary.exit_code)
}

/// The ledger that was named, by its file or by its target.
pub(super) fn ledger_path(args: &LedgerArgs) -> Result<std::path::PathBuf, Failure> {
    if args.target.meeting.is_none() && args.target.webinar.is_none() {
        return args.ledger.clone().ok_or_else(|| {
            Failure::usage(
                "no ledger is named: give --ledger FILE, --meeting ID or --webinar ID, or the job file that names one of them (--job FILE.toml)",
            )
        });
    }
    let target = reach::target(&args.target)?;
    let host = match &args.graph_url {
        // The host only tells which ledger is meant; nothing is sent to it, so `run` alone has to
        // be told that it is trusted.
        Some(url) => {
            let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
            GraphHost::parse(url, &TrustedHosts::new(host)?)?
        }
        None => GraphHost::of(Cloud::Global),
    };
    reach::ledger(args.ledger.as_ref(), &enrol::identity(&target, &host))
}
