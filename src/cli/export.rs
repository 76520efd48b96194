//! `export`: the files again, from ledger and CSV, without network.

use super::{
    existing_file::ExistingFile,
    failure::Failure,
    logging::print,
    run::{known_rule, plan_offline},
    settings::{ExportSettings, THIS_MACHINE},
    signals::Signals,
};
use crate::{
    graph::target::Api,
    input, job,
    ledger::{Ledger, Reading},
    output::{Closing, Console, Projection, harmless},
    registrant::Mode,
};

pub(super) fn export(settings: &ExportSettings, console: &Console) -> Result<u8, Failure> {
    let ExportSettings { input, files: paths, ledger: path } = settings;
    let target = Reading::glance(path)?.target().map_err(|error| error.at(path))?;
    let ledger = Ledger::open(path, &target, job::wall_clock())?;
    // A ledger names a Graph on this machine by these words.
    let existing = ExistingFile::find(&paths.enrolled, &ledger, target.graph == THIS_MACHINE)?;
    let source = &input.source;
    let _signals = Signals::listen_for(source, console);
    let input = input::open(source, &input.options)?;
    for note in input.notes() {
        console.say(note);
    }
    let listed = ledger.listed().map_err(|error| error.at(path))?;
    let mode = listed.registration.and_then(|(_, mode)| mode.parse().ok());
    let api = Api::of_word(&target.kind).unwrap_or(Api::Meeting);
    let rule = known_rule(api, &ledger);
    input.require(&rule)?;
    let folder = path.parent().unwrap_or(std::path::Path::new("."));
    let snapshot = input.snapshot(folder)?;
    let plan = plan_offline(&snapshot, rule, &ledger, false)?;
    let projection = Projection {
        input: &snapshot,
        plan: &plan,
        ledger: &ledger,
        stopped: None,
        formula_safe: paths.formula_safe,
    };
    let kept = existing.keep(&ledger, job::wall_clock(), console)?;
    let (counts, reasons) = projection.write(&paths.enrolled, &paths.rejects)?;
    let files = crate::output::Files {
        enrolled: Some(paths.enrolled.clone()),
        rejects: Some(paths.rejects.clone()),
        ledger: Some(path.clone()),
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
    print(&if paths.json { format!("{}\n", summary.json()) } else { harmless(&text).into_owned() });
    Ok(summary.exit_code)
}
