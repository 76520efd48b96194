//! `rehearse`: the same pipeline, end to end, against the simulator inside this process.

use std::path::Path;

use super::{
    args::RehearseArgs,
    enrol::{self, Done, Enrolment},
    failure::{Failure, USAGE},
    notation::grouped,
    print::print,
};
use crate::{
    auth::{AuthSettings, Method, Tokens},
    graph::{
        host::{GraphHost, TrustedHosts},
        http::HttpOptions,
        meeting::Meeting,
        target::Target,
        webinar::Webinar,
    },
    ledger::RunTraffic,
    output::{Console, Summary},
    pacing::Quota,
    simulator::{Limit, Served, Simulator, is_simulated_link},
};

/// The meeting of a rehearsal, and its organizer: an application has no `/me`.
const MEETING: (&str, &str) = ("rehearsal", "organizer");

pub(super) fn rehearse(args: &RehearseArgs, console: &mut Console) -> Result<u8, Failure> {
    let source = enrol::source(&args.input)?;
    let (enrolled, rejects) = enrol::outputs(&source, &args.files)?;
    spare_real_links(&enrolled)?;
    let config = args.simulator.config().map_err(|error| Failure::usage(error.to_string()))?;
    let limit = config.write_limit;
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
        account: &args.account,
        pace: &args.pace,
        conduct,
        target: target(args.webinar),
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
        print(&format!("{}\n", done.summary.json()));
    } else {
        print(&format!("{}{}", done.text, outlook(&done, args, limit.as_ref())));
    }
    Ok(done.summary.exit_code)
}

/// What is rehearsed. A webinar's id names its tenant.
fn target(webinar: bool) -> Target {
    if webinar {
        Target::Webinar(Webinar::new("rehearsal@rehearsal"))
    } else {
        Target::Meeting(Meeting::new(MEETING.0, Some(MEETING.1)))
    }
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

/// What the pace was worth, and the time that the real import would take.
fn outlook(done: &Done, args: &RehearseArgs, limit: Option<&Limit>) -> String {
    let Summary { read, invalid, excluded, throttled, requests, .. } = done.summary;
    let rows = done.planned.unwrap_or_else(|| read.saturating_sub(invalid + excluded));
    let mut text =
        String::from("\nThis was a rehearsal: nobody was enrolled, the links lead nowhere.\n");
    if let (Some(limit), Some(traffic)) = (limit, &done.traffic) {
        let share = efficiency(limit, args.pace.rate, traffic);
        let share = share.map(|share| format!("; pace: {share:.1} % of what it allows"));
        text.push_str(&format!(
            "Simulated limit {}{}; throttled: {:.1} % of calls.\n",
            limit.quota,
            share.unwrap_or_default(),
            percent(throttled, requests)
        ));
    }
    let rate = args.pace.rate;
    let published = Quota::WEBINAR_WRITES;
    let noun = if rows == 1 { "row" } else { "rows" };
    text.push_str(&format!("The real import of {} {noun} would take", grouped(rows)));
    match rate {
        Some(rate) => text.push_str(&format!(
            " at least {} (--rate {rate}).\n",
            enrol::forecast(rows, rate)
        )),
        None if args.webinar => text.push_str(&format!(
            " at least {}\n(Microsoft's published limit, {published}).\n",
            enrol::forecast(rows, published)
        )),
        None => text.push_str(&format!(
            "\nas long as Graph's throttling makes it: Microsoft publishes no limit for meeting\nregistration. At its limit for webinars, {published}, it would be {}.\n",
            enrol::forecast(rows, published)
        )),
    }
    text
}

/// The shortest time in which the limit, and `--rate`, would have let so many through, as a share
/// of the time that it took, in percent; `None` where the limit did not matter.
fn efficiency(limit: &Limit, rate: Option<Quota>, traffic: &RunTraffic) -> Option<f64> {
    // Whatever was not throttled has used up quota, faults included.
    let taken = traffic.slots.iter().map(|slot| slot.sum() - slot.throttled).sum();
    let shortest = limit.shortest(taken);
    let ceiling = rate.map_or(0.0, |rate| fraction(taken) / rate.per_second());
    let took = u64::try_from(traffic.last - traffic.first).ok().filter(|took| *took > 0)?;
    (!shortest.is_zero())
        .then(|| (100_000.0 * shortest.as_secs_f64().max(ceiling) / fraction(took)).min(100.0))
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * fraction(part) / fraction(whole) }
}

#[expect(clippy::cast_precision_loss, reason = "counts and milliseconds of a run")]
fn fraction(number: u64) -> f64 {
    number as f64
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
