//! `run`: the import.

use super::{
    account,
    args::RunArgs,
    enrol::{self, Enrolment},
    failure::Failure,
    login,
    print::print,
    reach,
};
use crate::{graph::http::HttpOptions, output::Console};

pub(super) fn run(args: &RunArgs, console: &mut Console) -> Result<u8, Failure> {
    let source = enrol::source(&args.input)?;
    let (enrolled, rejects) = enrol::outputs(&source, &args.files)?;
    let target = reach::target(&args.target)?;
    let conduct = enrol::conduct(&args.conduct, &args.pace);
    let http = HttpOptions {
        total_timeout: args.pace.timeout,
        pool: conduct.concurrency,
        ..reach::http(&args.graph)
    };
    let (host, settings) = reach::settings(&args.graph, &args.auth, &http)?;
    let tokens = reach::tokens(&host, &settings)?;
    login::where_needed(&settings, console)?;
    let ledger = reach::ledger(args.ledger.as_ref(), &enrol::identity(&target, &host))?;
    if args.ledger.as_ref().is_some_and(|named| *named != ledger) {
        console.say(format!(
            "the ledger that is named belongs to a meeting and stays as it is; the webinar's is {}",
            ledger.display()
        ));
    }
    let enrolment = Enrolment {
        input: &args.input,
        files: &args.files,
        account: &args.account,
        pace: &args.pace,
        conduct,
        target,
        enable: args.enable,
        host,
        http,
        tokens,
        ledger,
        enrolled,
        rejects,
        rehearsal: false,
    };
    let ledger = enrolment.ledger.clone();
    let done = enrolment
        .carry_out(console)
        .inspect_err(|failure| account::failed(&args.account, &ledger, failure, console))?;
    if args.files.json {
        print(&format!("{}\n", done.summary.json()));
    } else {
        print(&done.text);
    }
    Ok(done.summary.exit_code)
}
