//! `rehearse`: the same pipeline, end to end, against the simulator inside this process.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use memchr::memmem;

use super::{
    announcement::forecast,
    args::{FileArgs, RehearseArgs},
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
    input::Source,
    ledger::RunTraffic,
    output::{Console, Counts, Summary, held_links, length},
    pacing::Quota,
    simulator::{RateLimit, Served, Simulator, is_simulated_link},
};

/// The meeting of a rehearsal, and its organizer: an application has no `/me`.
const MEETING: (&str, &str) = ("rehearsal", "organizer");

pub(super) fn rehearse(args: &RehearseArgs, console: &mut Console) -> Result<u8, Failure> {
    let source = enrol::source(&args.input)?;
    let (enrolled, rejects) = enrol::outputs(&source, &args.files)?;
    spare_real_files(&source, &enrolled, &rejects)?;
    let config = args.simulator.config().map_err(Failure::usage)?;
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
fn outlook(done: &Done, args: &RehearseArgs, limit: Option<&RateLimit>) -> String {
    let Summary { throttled, requests, counts, .. } = done.summary;
    let Counts { read, invalid, excluded, .. } = counts;
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
            length(forecast(rows, rate))
        )),
        None if args.webinar => text.push_str(&format!(
            " at least {}\n(Microsoft's published limit, {published}).\n",
            length(forecast(rows, published))
        )),
        None => text.push_str(&format!(
            "\nas long as Graph's throttling makes it: Microsoft publishes no limit for meeting\nregistration. At its limit for webinars, {published}, it would be {}.\n",
            length(forecast(rows, published))
        )),
    }
    text
}

/// The shortest time in which the limit, and `--rate`, would have let so many through, as a share
/// of the time that it took, in percent; `None` where the limit did not matter.
fn efficiency(limit: &RateLimit, rate: Option<Quota>, traffic: &RunTraffic) -> Option<f64> {
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

/// A rehearsal never takes the place of a file with real links, nor of the rejects file that a real
/// run wrote beside one: its rows are people who still have to be enrolled. A rejects file tells
/// nobody whose it is, so the enrolled file beside it does, by its name or by the CSV's.
fn spare_real_files(source: &Source, enrolled: &Path, rejects: &Path) -> Result<(), Failure> {
    let is_real = |path: &Path| held_links(path).any(|(_, link)| !is_simulated_link(&link));
    for (path, option) in [(enrolled, "--output"), (rejects, "--rejects")] {
        if is_real(path) {
            return Err(Failure::usage(format!(
                "{} holds real join links, and a rehearsal would replace them; name another file with {option}",
                path.display()
            )));
        }
    }
    let name = rejects.file_name().unwrap_or_default().to_string_lossy();
    let by_its_name =
        name.contains(".rejects.").then(|| name.replacen(".rejects.", ".enrolled.", 1));
    let by_its_name = by_its_name.map(|name| rejects.with_file_name(name));
    let by_the_input = enrol::outputs(source, &FileArgs::default()).ok().and_then(|defaults| {
        // Only where it is the place that a real run takes by itself.
        (defaults.1 == rejects).then_some(defaults.0)
    });
    let beside = by_its_name.into_iter().chain(by_the_input).find(|beside| is_real(beside));
    match beside {
        Some(beside) if is_rejects_with_rows(rejects) => Err(Failure::usage(format!(
            "{} holds the rejected rows of the run that wrote {}, and a rehearsal would replace them; name another file with --rejects",
            rejects.display(),
            beside.display()
        ))),
        _ => Ok(()),
    }
}

/// Whether the file holds more than the header of a rejects file.
fn is_rejects_with_rows(path: &Path) -> bool {
    let file = File::open(path).ok().filter(|_| path.is_file());
    let mut lines = file.map(BufReader::new).into_iter().flat_map(|file| file.split(b'\n'));
    lines.any(|line| line.is_ok_and(|line| memmem::find(&line, b"_outcome").is_some()))
        && lines.any(|line| line.is_ok_and(|line| !line.trim_ascii().is_empty()))
}
