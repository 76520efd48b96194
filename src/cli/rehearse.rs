//! What the simulated Graph is there for: `rehearse`, the same pipeline, end to end, against the
//! simulator inside this process, and `simulate`, which serves it to others on this machine.

use std::net::Ipv4Addr;

use super::{
    existing_file::spare_real_files,
    failure::{Failure, USAGE, runtime},
    logging::print,
    paths::LedgerSettings,
    run::{Done, ImportRun},
    settings::{GraphSettings, RehearseSettings, SimulateSettings, identity},
    signals::Signals,
};
use crate::{
    auth::{AuthSettings, Method, Tokens},
    graph::{
        host::{GraphHost, TrustedHosts},
        http::HttpOptions,
    },
    ledger::RunTraffic,
    output::{AtomicFile, Console, Counts, Summary, grouped, length},
    pacing::Quota,
    simulator::{RateLimit, Served, Simulator, Tls},
};

pub(super) fn rehearse(settings: &RehearseSettings, console: &mut Console) -> Result<u8, Failure> {
    let RehearseSettings { import, target, simulator } = settings;
    spare_real_files(&import.input.source, &import.files.enrolled, &import.files.rejects)?;
    let served = Served::start(&Simulator::new(simulator.clone()))
        .map_err(|error| Failure::of_machine("the simulator cannot be started", &error))?;
    let folder = tempfile::tempdir().map_err(|error| Failure {
        code: USAGE,
        sentence: format!("no temporary folder can be made: {error}"),
    })?;
    let graph = simulated(&served.url(), settings)?;
    let ledger = LedgerSettings {
        path: folder.path().join("rehearsal.ledger"),
        identity: identity(target, &graph.host),
        is_beside_the_named: false,
    };
    let run = ImportRun {
        settings: import,
        target,
        enable: None,
        graph: &graph,
        ledger: &ledger,
        rehearsal: true,
        plan_only: false,
    };
    let done = run.carry_out(Tokens::new(&graph.sign_in)?, console)?;
    if import.files.json {
        print(&format!("{}\n", done.summary.json()));
    } else {
        let outlook = outlook(&done, settings, simulator.write_limit.as_ref());
        print(&format!("{}{outlook}", done.text));
    }
    Ok(done.summary.exit_code)
}

/// The simulator, and its own endpoint for tokens: signing in is rehearsed as well.
fn simulated(url: &str, settings: &RehearseSettings) -> Result<GraphSettings, Failure> {
    let http = HttpOptions {
        total_timeout: settings.import.pace.timeout,
        pool: settings.import.conduct.concurrency,
        ..HttpOptions::default()
    };
    let sign_in = AuthSettings {
        method: Some(Method::ClientSecret),
        authority: Some(url.to_owned()),
        tenant: Some("rehearsal".to_owned()),
        client_id: Some("rehearsal".to_owned()),
        client_secret: Some("rehearsal".into()),
        http: http.clone(),
        ..AuthSettings::default()
    };
    Ok(GraphSettings { host: GraphHost::parse(url, &TrustedHosts::default())?, http, sign_in })
}

/// What the pace was worth, and the time that the real import would take.
fn outlook(done: &Done, settings: &RehearseSettings, limit: Option<&RateLimit>) -> String {
    let Summary { throttled, requests, counts, .. } = done.summary;
    let Counts { read, invalid, excluded, .. } = counts;
    let rows = done.planned.unwrap_or_else(|| read.saturating_sub(invalid + excluded));
    let mut text =
        String::from("\nThis was a rehearsal: nobody was enrolled, the links lead nowhere.\n");
    let rate = settings.import.pace.ceiling;
    if let (Some(limit), Some(traffic)) = (limit, &done.traffic) {
        let share = efficiency(limit, rate, traffic);
        let share = share.map(|share| format!("; pace: {share:.1} % of what it allows"));
        text.push_str(&format!(
            "Simulated limit {}{}; throttled: {:.1} % of calls.\n",
            limit.quota,
            share.unwrap_or_default(),
            percent(throttled, requests)
        ));
    }
    let published = Quota::EVENT_WRITES;
    let noun = if rows == 1 { "row" } else { "rows" };
    text.push_str(&format!("The real import of {} {noun} would take", grouped(rows)));
    match rate {
        Some(rate) => text.push_str(&format!(
            " at least {} (--rate {rate}).\n",
            length(rate.shortest(rows))
        )),
        None if settings.target.api().is_event() => text.push_str(&format!(
            " at least {}\n(Microsoft's published limit, {published}).\n",
            length(published.shortest(rows))
        )),
        None => text.push_str(&format!(
            "\nas long as Graph's throttling makes it: Microsoft publishes no limit for meeting\nregistration. At its limit for virtual events, {published}, it would be {}.\n",
            length(published.shortest(rows))
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

/// Serves the simulated Graph until it is interrupted.
pub(super) fn simulate(settings: &SimulateSettings, console: &Console) -> Result<u8, Failure> {
    let simulator = Simulator::new(settings.simulator.clone());
    let address = (Ipv4Addr::LOCALHOST, settings.port).into();
    let tls = match &settings.tls {
        None => None,
        Some(path) => {
            let tls =
                Tls::generate().map_err(|error| Failure::internal("no certificate", &error))?;
            let mut file = AtomicFile::create_public(path, "--tls")?;
            file.write(tls.authority().as_bytes())?;
            file.commit()?;
            Some(tls)
        }
    };
    let served = Served::start_on(&simulator, address, tls)
        .map_err(|error| Failure::usage(format!("--port {}: {error}", settings.port)))?;
    print(&format!("{}\n", served.url()));
    let runtime = runtime()?;
    let mut signals = Signals::listen(console.status_line("serving the simulated Graph"), None);
    signals.drain("");
    let stop = runtime.block_on(signals.stop());
    drop(served);
    Ok(stop.exit_code())
}
