//! One seed's server, people, strangers and troubles.

use std::{cell::Cell, collections::BTreeMap, path::PathBuf, rc::Rc, time::Duration};

use fastrand::Rng;
use http::Method;
use registrant_import::{
    graph::{
        host::{GraphHost, TrustedHosts},
        meeting::Meeting,
    },
    ledger::Identity,
    registrant::Mode,
    simulator::{
        Call, Config, Direct, Fault, FaultRate, Faults, Latency, Limit, Quota, RegistrationState,
        RetryAfterForm, Scope, SecondPost, Shape, Simulator,
    },
};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{
    crowd::{self, Person},
    verify,
};

/// A time that no clock shows.
const EPOCH: i64 = 1_767_225_600_000;

/// Runs that may die or be interrupted before the peace that must bring the end.
const CHAOS: u32 = 8;

/// Runs in peace after which everybody must be enrolled. Answers go on being lost.
const PEACE: u32 = 40;

/// One seed's world.
pub(super) struct World {
    pub(super) random: Rng,
    pub(super) simulator: Simulator,
    /// One for all runs: between them the server's time goes on.
    pub(super) direct: Direct,
    pub(super) mode: Mode,
    pub(super) settle: Duration,
    pub(super) people: Vec<Person>,
    /// Whom the target held before, with the links.
    pub(super) strangers: BTreeMap<String, String>,
    pub(super) folder: TempDir,
    pub(super) ledger: PathBuf,
    pub(super) token: PathBuf,
    pub(super) meeting: Meeting,
    pub(super) host: GraphHost,
    pub(super) began: Instant,
    pub(super) transcript: Rc<Cell<u64>>,
    pub(super) runs: u32,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let folder = folder();
        let mode = if random.bool() { Mode::Everyone } else { Mode::Organization };
        let settle = Duration::from_secs(10);
        let config = config(seed, mode, settle, &mut random);
        let simulator = Simulator::new(config);
        let count = random.usize(1..=40);
        let none = TrustedHosts::new(std::iter::empty::<String>()).expect("no host is a fine list");
        Self {
            people: crowd::crowd(&mut random, count),
            direct: Direct::new(&simulator).with_patience(Duration::from_secs(random.u64(3..30))),
            random,
            simulator,
            mode,
            settle,
            strangers: BTreeMap::new(),
            ledger: folder.path().join("0.ledger"),
            token: folder.path().join("token"),
            folder,
            meeting: Meeting::new("M", None),
            host: GraphHost::parse("https://graph.microsoft.com", &none).expect("Graph's host"),
            began: Instant::now(),
            transcript: Rc::default(),
            runs: 0,
        }
    }

    /// Somebody else's registrants: some have ids of the export, some have not.
    pub(super) async fn settle_strangers(&mut self) {
        std::fs::write(&self.token, "t").expect("the token is written");
        let mut ids = vec!["stranger".to_owned()];
        if self.random.bool() {
            let known = self.people.iter().filter(|p| !p.id.trim().is_empty());
            ids.extend(known.take(2).map(|person| person.id.clone()));
        }
        for id in ids {
            // Faults strike others' requests, too.
            while !verify::books(&self.simulator).contains_key(&id) {
                self.post(&id).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        self.strangers = verify::books(&self.simulator);
    }

    async fn post(&self, id: &str) {
        let mut body = serde_json::json!({
            "@odata.type": "#microsoft.graph.externalMeetingRegistrant", "id": id,
        });
        if self.mode == Mode::Organization {
            for member in ["tenantId", "userId"] {
                body[member] = "909c6581-5130-43e9-88f3-fcb3582cde37".into();
            }
        }
        let target = format!("{}/registrants", self.meeting.show().target);
        let body = body.to_string();
        let call = Call {
            method: &Method::POST,
            target: &target,
            base: "",
            authorization: Some("Bearer stranger"),
            client_request_id: None,
            content_type: Some("application/json"),
            body: body.as_bytes(),
        };
        // Whatever becomes of it: the caller looks at the books.
        let _ = self.direct.exchange(call).await;
    }

    /// Milliseconds since 1970 by the clock of this world.
    pub(super) fn now(&self) -> i64 {
        EPOCH + i64::try_from(self.began.elapsed().as_millis()).expect("a short story")
    }

    pub(super) fn identity() -> Identity {
        Identity {
            kind: "meeting".to_owned(),
            name: "M".to_owned(),
            organizer: None,
            graph: "https://graph.microsoft.com".to_owned(),
        }
    }

    /// Runs after runs, until all is done.
    pub(super) async fn live(&mut self) {
        // What others did is on the lists by now.
        tokio::time::sleep(self.settle).await;
        for _ in 0..self.random.u32(..=CHAOS) {
            self.run(true).await;
            let pause = *self.random.choice(&[0, 100, 1_000, 60_000]).expect("some");
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        for _ in 0..PEACE {
            if self.run(false).await {
                self.rest().await;
                return;
            }
        }
        panic!("{PEACE} runs in peace have not brought everybody in");
    }

    /// One more run finds nothing to do.
    async fn rest(&mut self) {
        let before = self.simulator.stats();
        while !self.run(false).await {}
        let after = self.simulator.stats();
        let writes = |s: &registrant_import::simulator::Stats| (s.posts, s.deletes, s.created);
        assert_eq!(writes(&before), writes(&after), "a run after the last one changed something");
    }
}

/// A folder in memory where there is one: thousands of syncs a second.
fn folder() -> TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
        .expect("a folder")
}

fn config(seed: u64, mode: Mode, settle: Duration, random: &mut Rng) -> Config {
    let write_limit = (random.u8(..3) == 0).then(|| Limit {
        shape: *random
            .choice(&[Shape::Bucket, Shape::FixedWindow, Shape::SlidingWindow])
            .expect("some"),
        ..Limit::bucket(Quota {
            count: f64::from(random.u32(5..40)),
            per: Duration::from_secs(random.u64(1..20)),
        })
    });
    Config {
        seed,
        registration: RegistrationState::External(mode),
        latency: Latency { median: Duration::from_millis(random.u64(..400)), sigma: 0.7 },
        write_limit,
        retry_after: *random
            .choice(&[RetryAfterForm::Whole, RetryAfterForm::Decimal, RetryAfterForm::Absent])
            .expect("some"),
        second_post: *random
            .choice(&[SecondPost::Return, SecondPost::Conflict, SecondPost::Duplicate])
            .expect("some"),
        // What is on the books is on the lists before the settling time is over.
        list_lag: settle.mul_f64(*random.choice(&[0.0, 0.5, 0.9]).expect("some")),
        page_size: random.usize(1..20),
        faults: faults(random),
        ..Config::default()
    }
}

/// A third of all POSTs goes wrong at most, and a fifth of everything else.
fn faults(random: &mut Rng) -> Faults {
    let mut rates = Vec::new();
    for (scope, most, never) in [
        (Scope::Post, 35.0, &[][..]),
        (Scope::List, 20.0, &[Fault::Refused][..]),
        (Scope::Delete, 20.0, &[][..]),
        (Scope::Read, 10.0, &[Fault::Refused][..]),
    ] {
        let mut all: Vec<Fault> =
            Fault::ALL.iter().copied().filter(|fault| !never.contains(fault)).collect();
        random.shuffle(&mut all);
        all.truncate(random.usize(..8));
        for fault in &all {
            #[expect(clippy::cast_precision_loss, reason = "at most 8")]
            let percent = random.f64() * most / all.len() as f64;
            rates.push(FaultRate { scope, fault: *fault, percent });
        }
    }
    Faults::new(rates).expect("less than 100 %")
}
