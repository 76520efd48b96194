//! A long list for a webinar at Microsoft's published limits, in virtual time: the bucket of writes
//! is never idle, and the links are had on the way.

use std::{fmt::Write as _, time::Duration};

use registrant_import::{
    auth::Tokens,
    graph::{
        event::VirtualEvent,
        host::{GraphHost, TrustedHosts},
        target::Target,
    },
    input::{self, Options, Source},
    job::{self, Event, Import, client::GraphClient, clock::Clock, conduct::Conduct},
    ledger::{Identity, Ledger},
    output::Projection,
    pacing::{Buckets, PaceOptions, Pacer, Quota},
    registrant::EventKind,
    simulator::{CallLatency, Config, Direct, LimitShape, RateLimit, Simulator, TokenRule},
};

use crate::seeds;

/// What `run` gives both buckets of a webinar.
fn paced(ceiling: Quota) -> PaceOptions {
    PaceOptions { ceiling: Some(ceiling), ..PaceOptions::default() }
}

/// A limit as Microsoft publishes it; the strictest reading is a window that slides.
fn limit(quota: Quota) -> RateLimit {
    RateLimit { shape: LimitShape::SlidingWindow, ..RateLimit::bucket(quota) }
}

#[test]
fn a_webinars_links_are_had_while_its_rows_are_sent_at_the_published_limit() {
    let rows: u32 = seeds::number("REGISTRANT_IMPORT_WEBINAR_ROWS", 600);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(play(rows));
}

async fn play(rows: u32) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut text = String::from("id,firstName,lastName,email\n");
    for n in 0..rows {
        writeln!(text, "T{n},Ada,Byron,guest{n}@example.org").expect("a String takes it");
    }
    let path = folder.path().join("people.csv");
    std::fs::write(&path, text).expect("the export is written");
    let input = input::open(&Source::File(path), &Options::default()).expect("an export");
    let snapshot = input.snapshot(folder.path()).expect("a copy");
    let mut config = Config {
        write_limit: Some(limit(Quota::EVENT_WRITES)),
        read_limit: Some(limit(Quota::EVENT_READS)),
        latency: CallLatency { median: Duration::from_millis(120), sigma: 0.5 },
        list_lag: Duration::from_secs(2),
        ..Config::default()
    };
    config.tokens.rule = TokenRule::None;
    let simulator = Simulator::new(config);
    let (writes, reads) = (paced(Quota::EVENT_WRITES), paced(Quota::EVENT_READS));
    let client = GraphClient::new(
        Direct::new(&simulator),
        GraphHost::parse("https://graph.microsoft.com", &TrustedHosts::default())
            .expect("Graph's host"),
        Tokens::none(),
        Clock::starting(1_767_225_600_000),
        Buckets::new(Pacer::new(writes.clone()), Pacer::new(reads)),
        fastrand::Rng::with_seed(7),
    );
    let identity = Identity {
        kind: "webinar".to_owned(),
        name: "W".to_owned(),
        organizer: None,
        graph: "https://graph.microsoft.com".to_owned(),
    };
    let ledger = folder.path().join("people.ledger");
    let ledger = Ledger::open(&ledger, &identity, 0).expect("a ledger");
    let import = Import {
        client: &client,
        target: &Target::Event(VirtualEvent::new(EventKind::Webinar, "W")),
        input: &snapshot,
        conduct: &Conduct::default(),
        enable: None,
        pace: writes,
        deadline: None,
        approved: None,
        plan_only: false,
        in_this_thread: true,
    };
    let mut half_way = None;
    let ended = job::import(&import, ledger, |event| {
        if let Event::Going(progress) = event
            && progress.traffic.posts * 2 >= u64::from(rows)
        {
            half_way.get_or_insert(progress.tally.enrolled);
        }
    });
    let ended = ended.await.expect("neither input nor ledger is at fault");
    let took = client.clock.now();
    assert_eq!(ended.stop, None);
    let files = ["enrolled.csv", "rejects.csv"].map(|name| folder.path().join(name));
    let projection = Projection {
        input: &snapshot,
        plan: &ended.plan.expect("a plan was made"),
        ledger: &ended.ledger,
        stopped: None,
        formula_safe: false,
    };
    let (counts, _) = projection.write(&files[0], &files[1]).expect("the files are written");
    assert_eq!(counts.enrolled, u64::from(rows), "{counts:?}");
    let stats = simulator.stats();
    assert_eq!((stats.created, stats.duplicates), (u64::from(rows), 0));
    assert_eq!(client.traffic().throttled, 0, "never faster than the published limits");
    // Fifteen at once in each window, and the last window need not be waited for.
    let windows = (u64::from(rows) - 1) / Quota::EVENT_WRITES.count;
    let ideal = Quota::EVENT_WRITES.per * u32::try_from(windows).expect("a day");
    let ratio = took.as_secs_f64() / ideal.as_secs_f64();
    seeds::tell(&format!(
        "{rows} rows in {took:?}, {ratio:.4} of the ideal {ideal:?}; {} requests, {} lists, {} links half-way",
        client.traffic().requests,
        ended.tally.lists,
        half_way.unwrap_or(0),
    ));
    // A start and an end of some seconds are more of a short list.
    let most = if rows >= 5_000 { 1.01 } else { 1.03 };
    assert!(ratio <= most, "{ratio:.4} of the ideal time");
    let links = half_way.expect("half of the rows were sent");
    assert!(links * 10 >= u64::from(rows) * 4, "{links} links half-way: they wait for the end");
}
