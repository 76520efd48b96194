//! One seed's server, people, strangers and troubles.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    path::PathBuf,
    rc::Rc,
    time::Duration,
};

use fastrand::Rng;
use http::Method;
use registrant_import::{
    graph::{
        event::VirtualEvent,
        host::{GraphHost, TrustedHosts},
        meeting::Meeting,
        target::Target,
    },
    ledger::Identity,
    pacing::Quota,
    registrant::{EventKind, Mode},
    simulator::{
        CallKind, CallLatency, Config, DateForm, Direct, EnrolledPerson, EventConfig, EventPrid,
        FaultRate, Faults, HttpCall, LimitShape, RateLimit, RegistrationState, RetryAfterForm,
        SecondPost, SimulatedFault as Fault, Simulator,
    },
};
use tempfile::TempDir;
use tokio::time::Instant;

use super::others::Others;
use crate::{
    crowd::{self, Kind, Person},
    stage::folder,
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
    pub(super) kind: Kind,
    /// Whether the lists come later than the settling time.
    pub(super) late: bool,
    /// Whether the server calls POSTs throttled that it has processed.
    pub(super) doubles: bool,
    pub(super) settle: Duration,
    pub(super) people: Vec<Person>,
    /// Whom ids were given to in earlier exports.
    pub(super) former: Vec<Person>,
    /// Who had each link first.
    pub(super) given: RefCell<BTreeMap<String, String>>,
    /// Whom the target held before, with the links.
    pub(super) strangers: BTreeMap<String, String>,
    pub(super) folder: TempDir,
    pub(super) ledger: PathBuf,
    pub(super) token: PathBuf,
    pub(super) target: Target,
    pub(super) host: GraphHost,
    pub(super) began: Instant,
    /// By how much the clock is set back before the peace.
    pub(super) set_back: Duration,
    pub(super) clock_error: Duration,
    pub(super) transcript: Rc<Cell<u64>>,
    pub(super) runs: u32,
    /// Runs that had nothing to do.
    pub(super) idle: u32,
    pub(super) others: Others,
    /// The id of the question that was added.
    pub(super) question: Option<String>,
}

impl World {
    pub(super) fn new(seed: u64, late: bool) -> Self {
        let mode = if Rng::with_seed(!seed).bool() { Mode::Everyone } else { Mode::Organization };
        Self::of(Kind::Meeting(mode), seed, late)
    }

    /// A webinar's.
    pub(super) fn webinar(seed: u64, late: bool) -> Self {
        Self::of(Kind::Event, seed, late)
    }

    fn of(kind: Kind, seed: u64, late: bool) -> Self {
        let mut random = Rng::with_seed(seed);
        let folder = folder();
        let settle = Duration::from_secs(10);
        let (config, doubles) = config(seed, kind, settle, late, &mut random);
        let simulator = Simulator::new(config);
        let count = random.usize(1..=40);
        let mut people = crowd::crowd(&mut random, count, kind);
        if late && kind == Kind::Event {
            // A late list calls a row absent that is there; posted again with another address it
            // is a second registration, which no server can tell from the first.
            let mut first = BTreeMap::new();
            people.retain(|row| *first.entry(row.id.clone()).or_insert(row.email()) == row.email());
        }
        let none = TrustedHosts::new(std::iter::empty::<String>()).expect("no host is a fine list");
        Self {
            people,
            former: Vec::new(),
            given: RefCell::default(),
            direct: Direct::new(&simulator).with_time_limit(Duration::from_secs(random.u64(3..30))),
            random,
            simulator,
            kind,
            late,
            doubles,
            settle,
            strangers: BTreeMap::new(),
            ledger: folder.path().join("0.ledger"),
            token: folder.path().join("token"),
            folder,
            target: match kind {
                Kind::Meeting(_) => Target::Meeting(Meeting::new("M", None)),
                Kind::Event => Target::Event(VirtualEvent::new(event_kind(seed), "M")),
            },
            host: GraphHost::parse("https://graph.microsoft.com", &none).expect("Graph's host"),
            began: Instant::now(),
            set_back: Duration::ZERO,
            clock_error: Duration::ZERO,
            transcript: Rc::default(),
            runs: 0,
            idle: 0,
            others: Others::default(),
            question: None,
        }
    }

    /// The same, where others act between the runs.
    pub(super) fn among_others(mut self) -> Self {
        self.others.act = true;
        self
    }

    /// Somebody else's registrants: some are of the export, some are not. A webinar's are told by
    /// the id, or by the address under another id; by their first name they are the same people.
    pub(super) async fn settle_strangers(&mut self) {
        std::fs::write(&self.token, "t").expect("the token is written");
        let mut ids = vec![("stranger".to_owned(), "stranger@example.org".to_owned())];
        if self.random.bool() {
            let known = self.people.iter().filter(|p| !p.id.trim().is_empty());
            let known: Vec<_> = known.take(2).map(|p| (p.id.clone(), p.email())).collect();
            for (id, email) in known {
                ids.push(if self.kind == Kind::Event && self.random.bool() {
                    (format!("other-{id}"), email)
                } else {
                    (id, email)
                });
            }
        }
        for (id, email) in ids {
            let is_address = self.kind != Kind::Event || email.contains('@');
            // Faults strike others' requests, too.
            while is_address && !verify::books(&self.simulator).contains_key(&id) {
                self.post(&id, &email).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        self.strangers = verify::books(&self.simulator);
    }

    pub(super) async fn post(&self, id: &str, email: &str) {
        let mut body = serde_json::json!({
            "@odata.type": "#microsoft.graph.externalMeetingRegistrant", "id": id,
        });
        if self.kind == Kind::Meeting(Mode::Organization) {
            for member in ["tenantId", "userId"] {
                body[member] = "909c6581-5130-43e9-88f3-fcb3582cde37".into();
            }
        }
        let target = match &self.target {
            Target::Meeting(meeting) => format!("{}/registrants", meeting.show().target),
            Target::Event(webinar) => {
                body = serde_json::json!({
                    "firstName": "Ada", "lastName": "T", "email": email,
                    "preferredTimezone": "UTC", "preferredLanguage": "en-us",
                    "externalRegistrationInformation": {"registrationId": id},
                });
                if let Some(question) = &self.question {
                    body["registrationQuestionAnswers"] = serde_json::json!([{
                        "questionId": question, "value": "x", "booleanValue": null,
                        "multiChoiceValues": [],
                    }]);
                }
                webinar.list().target
            }
        };
        let body = body.to_string();
        let call = HttpCall {
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

    /// The link that the server holds of this person: under the id, or a webinar's under an address
    /// that a row of this id has had.
    pub(super) fn held(&self, person: &Person) -> Option<String> {
        let books = self.simulator.books().registrants;
        let of = |fits: &dyn Fn(&EnrolledPerson) -> bool| {
            books.iter().find(|enrolment| fits(enrolment)).map(|it| it.join_web_url.clone())
        };
        let rows = self.people.iter().filter(|row| row.id == person.id);
        let emails: Vec<String> = rows.map(Person::email).collect();
        let by_email = |it: &EnrolledPerson| {
            it.email.as_ref().is_some_and(|email| emails.contains(&email.to_lowercase()))
        };
        of(&|it| it.id == person.id).or_else(|| of(&by_email)).flatten()
    }

    /// What happens to a list between two exports: a name is corrected, and a meeting's ids, which
    /// are all that it is sent, come to other people. Seldom enough that the list is still one.
    pub(super) fn let_people_change(&mut self) {
        let at = self.random.usize(..self.people.len());
        let other = self.random.usize(..self.people.len());
        let event = self.random.u8(..6);
        let Kind::Meeting(mode) = self.kind else { return };
        let Person { who, spelling, .. } = self.people[at];
        match event {
            0 | 1 => {
                crowd::retell(&mut self.people, at, who, spelling + 1);
            }
            2 if mode == Mode::Everyone && self.former.len() < 2 => {
                let new = 10_000 + self.former.len();
                self.former.push(crowd::retell(&mut self.people, at, new, 0));
            }
            3 if mode == Mode::Everyone
                && self.former.is_empty()
                && self.people[at].id != self.people[other].id =>
            {
                let Person { who: others, spelling: spelt, .. } = self.people[other];
                self.former.push(crowd::retell(&mut self.people, at, others, spelt));
                self.former.push(crowd::retell(&mut self.people, other, who, spelling));
            }
            _ => {}
        }
    }

    /// Milliseconds since 1970 by the clock of this world.
    pub(super) fn now(&self) -> i64 {
        let millis = |time: Duration| i64::try_from(time.as_millis()).expect("a short story");
        EPOCH + millis(self.began.elapsed()) - millis(self.clock_error)
    }

    pub(super) fn identity(&self) -> Identity {
        Identity {
            kind: self.target.api().word().to_owned(),
            name: "M".to_owned(),
            organizer: None,
            graph: "https://graph.microsoft.com".to_owned(),
        }
    }

    /// Runs after runs, until all is done.
    pub(super) async fn live(&mut self) {
        // What others did is on the lists by now.
        tokio::time::sleep(self.settle * 2).await;
        for _ in 0..self.random.u32(..=CHAOS) {
            self.others_act().await;
            self.run(true).await;
            let pause = *self.random.choice(&[0, 100, 1_000, 60_000]).expect("some");
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        self.clock_error = self.set_back;
        self.others_act().await;
        for nth in 1..=PEACE {
            if self.run(false).await {
                self.rest().await;
                return;
            }
            // A scheduler's: an organizer may have approved somebody meanwhile. Of a webinar's row that no
            // list proves absent only its age tells that it is.
            let pause = if nth % 4 == 0 { Duration::from_secs(660) } else { self.settle };
            tokio::time::sleep(pause).await;
        }
        panic!("{PEACE} runs in peace have not brought everybody in");
    }

    /// One more run finds nothing to do.
    async fn rest(&mut self) {
        let (before, idle) = (self.simulator.stats(), self.idle);
        // One that Graph stopped early may leave whole files, and has no plan.
        for _ in 0..PEACE {
            if self.run(false).await && self.idle > idle {
                break;
            }
        }
        let after = self.simulator.stats();
        let writes = |s: &registrant_import::simulator::Stats| (s.posts, s.deletes, s.created);
        assert_eq!(writes(&before), writes(&after), "a run after the last one changed something");
        assert!(self.idle > idle, "it found something to do");
    }
}

/// The server's settings, and whether it calls POSTs throttled that it has processed: then they are sent
/// once more.
fn config(seed: u64, kind: Kind, settle: Duration, late: bool, random: &mut Rng) -> (Config, bool) {
    let write_limit = (random.u8(..3) == 0).then(|| RateLimit {
        shape: *random
            .choice(&[LimitShape::Bucket, LimitShape::FixedWindow, LimitShape::SlidingWindow])
            .expect("some"),
        ..RateLimit::bucket(Quota {
            count: random.u32(5..40).into(),
            per: Duration::from_secs(random.u64(1..20)),
        })
    });
    // Where a second POST makes a second registrant and the lists are late, nobody can know.
    let any = [SecondPost::Return, SecondPost::Conflict, SecondPost::Duplicate];
    let known = [SecondPost::Return, SecondPost::Conflict, SecondPost::Conflict];
    let lag = if late { 1.5 } else { *random.choice(&[0.0, 0.5, 0.9]).expect("some") };
    let mode = match kind {
        Kind::Meeting(mode) => mode,
        Kind::Event => Mode::Everyone,
    };
    let mut webinar_random = random.fork();
    let config = Config {
        seed,
        event: webinar(settle, &mut webinar_random),
        registration: RegistrationState::External(mode),
        latency: CallLatency { median: Duration::from_millis(random.u64(..400)), sigma: 0.7 },
        write_limit,
        retry_after: *random
            .choice(&[RetryAfterForm::Whole, RetryAfterForm::Decimal, RetryAfterForm::Absent])
            .expect("some"),
        second_post: *random.choice(if late { &known } else { &any }).expect("some"),
        list_lag: settle.mul_f64(lag),
        page_size: random.usize(1..20),
        ..Config::default()
    };
    let rates = fault_rates(late, random);
    let lies = |rate: &FaultRate| {
        rate.scope == CallKind::Post && rate.fault == Fault::ThrottledAfterCommit
    };
    let doubles = rates.iter().any(lies);
    // Of two registrants that a run leaves the next one's list tells; that is shown elsewhere.
    let one = doubles && config.second_post == SecondPost::Duplicate;
    let second_post = if one { SecondPost::Return } else { config.second_post };
    let faults = Faults::new(rates).expect("less than 100 %");
    (Config { faults, second_post, ..config }, doubles)
}

/// Every other one is a town hall.
fn event_kind(seed: u64) -> EventKind {
    if seed.is_multiple_of(2) { EventKind::Webinar } else { EventKind::TownHall }
}

/// An event like any other; an organizer who approves does it soon.
fn webinar(settle: Duration, random: &mut Rng) -> EventConfig {
    let prids = [EventPrid::Absent, EventPrid::Posted, EventPrid::Registration];
    let approval = random.u8(..4) == 0;
    EventConfig {
        approval,
        approved_after: approval.then_some(settle * random.u32(..4)),
        dates: if random.bool() { DateForm::Text } else { DateForm::Object },
        prid: *random.choice(&prids).expect("some"),
        wrapped: random.bool(),
        ..EventConfig::default()
    }
}

/// A third of all POSTs goes wrong at most, and a fifth of everything else.
///
/// Where the lists are late, no POST is refused: a 400 to somebody whom the late list has called
/// absent would be believed, as it should.
fn fault_rates(late: bool, random: &mut Rng) -> Vec<FaultRate> {
    let mut rates = Vec::new();
    let refused = [Fault::Refused];
    for (scope, most, never) in [
        (CallKind::Post, 35.0, if late { &refused[..] } else { &[] }),
        (CallKind::List, 20.0, &refused[..]),
        (CallKind::Delete, 20.0, &[][..]),
        (CallKind::Read, 10.0, &refused[..]),
    ] {
        let mut all: Vec<Fault> =
            Fault::ALL.iter().copied().filter(|fault| !never.contains(fault)).collect();
        // One link for all is a server of another kind: `one_link_for_everybody_stops_the_run…` tells of it.
        all.retain(|fault| *fault != Fault::SharedLink);
        random.shuffle(&mut all);
        all.truncate(random.usize(..8));
        for fault in &all {
            #[expect(clippy::cast_precision_loss, reason = "at most 8")]
            let mut percent = random.f64() * most / all.len() as f64;
            // Two refused tokens in a row end a run, as they should; a list of forty pages would
            // never be had.
            if *fault == Fault::ExpiredToken && scope != CallKind::Post {
                percent = percent.min(3.0);
            }
            rates.push(FaultRate { scope, fault: *fault, percent });
        }
    }
    rates
}
