//! `rehearse`: the same pipeline, end to end, against the simulator inside this process.

use std::path::Path;

use super::{
    args::RehearseArgs,
    enrol::{self, Enrolment},
    failure::{Failure, USAGE},
    notation::grouped,
};
use crate::{
    auth::{AuthSettings, Method, Tokens},
    graph::{
        host::{GraphHost, TrustedHosts},
        http::HttpOptions,
        meeting::Meeting,
    },
    output::Console,
    pacing::Quota,
    simulator::{Served, Simulator, is_simulated_link},
};

/// The meeting of a rehearsal, and its organizer: an application has no `/me`.
const MEETING: (&str, &str) = ("rehearsal", "organizer");

pub(super) fn rehearse(args: &RehearseArgs, console: &mut Console) -> Result<u8, Failure> {
    let source = enrol::source(&args.input)?;
    let (enrolled, rejects) = enrol::outputs(&source, &args.files)?;
    spare_real_links(&enrolled)?;
    let config = args.simulator.config().map_err(|error| Failure::usage(error.to_string()))?;
    let simulator = Simulator::new(config);
    let served = Served::start(&simulator)
        .map_err(|error| Failure::internal("the simulator cannot be started", &error))?;
    let folder = tempfile::tempdir().map_err(|error| Failure {
        code: USAGE,
        sentence: format!("no temporary folder can be made: {error}"),
    })?;
    let conduct = enrol::conduct(&args.conduct, &args.pace);
    let http = HttpOptions {
        total_timeout: args.pace.timeout,
        pool: conduct.concurrency,
        ..HttpOptions::default()
    };
    let none = TrustedHosts::default();
    let enrolment = Enrolment {
        input: &args.input,
        files: &args.files,
        pace: &args.pace,
        conduct,
        meeting: Meeting::new(MEETING.0, Some(MEETING.1)),
        enable: None,
        host: GraphHost::parse(&served.url(), &none)?,
        tokens: tokens(&served.url(), &http)?,
        http,
        ledger: folder.path().join("rehearsal.ledger"),
        enrolled,
        rejects,
        rehearsal: true,
    };
    let done = enrolment.carry_out(console)?;
    if args.files.json {
        enrol::print(&format!("{}\n", done.summary.json()));
    } else {
        enrol::print(&format!("{}{}", done.text, outlook(done.summary.enrolled, args)));
    }
    Ok(done.summary.exit_code)
}

/// Tokens of the simulator's own endpoint: signing in is rehearsed as well.
fn tokens(login: &str, http: &HttpOptions) -> Result<Tokens, Failure> {
    let settings = AuthSettings {
        method: Some(Method::ClientSecret),
        authority: Some(login.to_owned()),
        tenant: Some("rehearsal".to_owned()),
        client_id: Some("rehearsal".to_owned()),
        client_secret: Some("rehearsal".into()),
        http: http.clone(),
        ..AuthSettings::default()
    };
    Ok(Tokens::new(&settings)?)
}

/// The time that the real import would take.
fn outlook(rows: u64, args: &RehearseArgs) -> String {
    let noun = if rows == 1 { "row" } else { "rows" };
    let rows_in_words = format!("{} {noun}", grouped(rows));
    let time = match args.pace.rate {
        Some(rate) => format!(
            "At --rate {rate} the real import of {rows_in_words} takes at least {}.\n",
            enrol::forecast(rows, rate.per_second())
        ),
        None => format!(
            "For meetings Microsoft publishes no limit: the real import of {rows_in_words} takes as long as\n\
             Graph's throttling makes it. At the limit for webinars, {}, it would be {}.\n",
            Quota::WEBINAR_WRITES,
            enrol::forecast(rows, Quota::WEBINAR_WRITES.per_second())
        ),
    };
    format!("\nThis was a rehearsal: nobody was enrolled, and the links lead nowhere.\n{time}")
}

/// A rehearsal never takes the place of a file with real links.
fn spare_real_links(enrolled: &Path) -> Result<(), Failure> {
    let Ok(mut reader) = csv::Reader::from_path(enrolled) else { return Ok(()) };
    let Some(column) = reader
        .headers()
        .ok()
        .and_then(|header| header.iter().position(|name| name == "joinWebUrl"))
    else {
        return Ok(());
    };
    let real = reader
        .records()
        .filter_map(Result::ok)
        .any(|row| row.get(column).is_some_and(|link| !is_simulated_link(link)));
    if real {
        return Err(Failure::usage(format!(
            "{} holds real join links, and a rehearsal would replace them; name another file with --output",
            enrolled.display()
        )));
    }
    Ok(())
}
