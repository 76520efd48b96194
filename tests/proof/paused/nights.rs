//! Thirty nights of a living list in virtual time: people come, leave and return, are spelt otherwise
//! and move; the organizer approves, cancels, rejects and removes, and adds a question; people who were
//! cancelled register again; two nights fail. The files of each morning are the model's.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use fastrand::Rng;
use http::Method;
use registrant_import::{
    auth::Tokens,
    graph::{
        event::VirtualEvent,
        host::{GraphHost, TrustedHosts},
        target::Target,
    },
    input::{self, MapOption, Options, Source},
    job::{self, Ended, Import, client::GraphClient, clock::Clock, conduct::Conduct, stop::Stop},
    ledger::{Identity, Ledger},
    output::Projection,
    pacing::{Buckets, PaceOptions, Pacer},
    registrant::{EventKind, Field},
    simulator::{
        Config, Direct, EventConfig, EventQuestion, HttpCall, RegistrationStatus, Simulator,
        TokenRule,
    },
};
use tempfile::TempDir;

use crate::{seeds, stage::folder, verify::Written};

const NIGHTS: u32 = 30;
const NIGHT: Duration = Duration::from_secs(24 * 3_600);
const QUESTION_FROM: u32 = 12;
const FAILED: [u32; 2] = [9, 20];

/// Where a person stands with the webinar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    New,
    Pending,
    Registered,
    Over(&'static str),
}

/// A person, and what the list says of them tonight.
#[derive(Clone, Debug)]
struct Guest {
    id: String,
    name: String,
    email: String,
    /// The address that they are registered with.
    registered: String,
    answer: &'static str,
    listed: bool,
    fate: Fate,
    /// Whether a morning's file has had them.
    told: bool,
    /// Whether they registered again since the last run that saw them.
    again: bool,
}

impl Guest {
    fn new(n: usize, random: &mut Rng) -> Self {
        let (name, email) = (format!("Zoe\u{308}{n}"), format!("guest{n}@example.org"));
        let answer = if random.u8(..4) == 0 { "" } else { "yes" };
        let (registered, fate) = (email.clone(), Fate::New);
        let id = format!("T/{n}-é");
        Self { id, name, email, registered, answer, listed: true, fate, told: false, again: false }
    }

    /// The model: where tonight's run leaves this person's row; a link's status, or a code.
    fn morning(&mut self, asked: bool, approval: bool) -> Result<&'static str, &'static str> {
        self.again = false;
        match self.fate {
            Fate::New if asked && self.answer.is_empty() => return Err("missing-answer"),
            Fate::New => {
                self.fate = if approval { Fate::Pending } else { Fate::Registered };
                self.registered.clone_from(&self.email);
            }
            _ => {}
        }
        let moved = self.registered.to_lowercase() != self.email.to_lowercase();
        match self.fate {
            Fate::New => unreachable!("whoever is new is registered"),
            Fate::Pending => Err("pending-approval"),
            Fate::Over(code) => Err(code),
            Fate::Registered if moved => Err("changed-since-enrolled"),
            Fate::Registered if std::mem::replace(&mut self.told, true) => Ok("already"),
            Fate::Registered => Ok("enrolled"),
        }
    }
}

/// The stage of one seed's nights.
struct Nights {
    random: Rng,
    simulator: Simulator,
    direct: Direct,
    folder: TempDir,
    guests: Vec<Guest>,
    approval: bool,
    question: Option<String>,
    night: u32,
    removed: u32,
}

impl Nights {
    fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let approval = random.bool();
        let event = EventConfig { approval, ..EventConfig::default() };
        let mut config = Config { seed, event, page_size: 7, ..Config::default() };
        config.tokens.rule = TokenRule::None;
        let simulator = Simulator::new(config);
        let guests = (0..30).map(|n| Guest::new(n, &mut random)).collect();
        let direct = Direct::new(&simulator);
        let (folder, question) = (folder(), None);
        Self { random, simulator, direct, folder, guests, approval, question, night: 0, removed: 0 }
    }

    /// What happens on one day.
    async fn day(&mut self) {
        if self.night == QUESTION_FROM {
            let question = EventQuestion { required: true, ..EventQuestion::text("Why?") };
            self.question = Some(question.id.to_string());
            self.simulator.ask(question);
        }
        for _ in 0..self.random.usize(..5) {
            let (at, event) = (self.random.usize(..self.guests.len()), self.random.u8(..12));
            if event == 0 {
                let n = self.guests.len();
                self.guests.push(Guest::new(n, &mut self.random));
                continue;
            }
            let decide = |guest: &mut Guest, simulator: &Simulator, status, fate| {
                assert!(simulator.decide("M", &guest.registered, status), "there");
                guest.fate = fate;
            };
            let (guest, simulator) = (&mut self.guests[at], &self.simulator);
            // Of two ends that no run has seen either may be told.
            let there = matches!(guest.fate, Fate::Pending | Fate::Registered) && !guest.again;
            match event {
                1 => guest.listed = !guest.listed,
                2 => guest.email = guest.email.to_uppercase(),
                3 => guest.name = format!("Zo\u{eb}{at}"),
                4 => guest.answer = "no",
                5 if self.random.u8(..4) == 0 => guest.email = format!("new-{}", guest.registered),
                6 if there => {
                    let status = RegistrationStatus::Canceled;
                    decide(guest, simulator, status, Fate::Over("canceled"));
                }
                7 if there => {
                    let status = RegistrationStatus::RejectedByOrganizer;
                    decide(guest, simulator, status, Fate::Over("rejected-by-organizer"));
                }
                // Half of the ledger's people are never removed in one night.
                8 if there && self.removed < self.night / 2 => {
                    assert!(simulator.remove("M", &guest.registered), "there");
                    (guest.fate, self.removed) =
                        (Fate::Over("removed-on-server"), self.removed + 1);
                }
                9 | 10 if guest.fate == Fate::Pending => {
                    let status = RegistrationStatus::Registered;
                    decide(guest, simulator, status, Fate::Registered);
                }
                11 if matches!(guest.fate, Fate::Over("canceled" | "removed-on-server")) => {
                    let again = guest.email.clone();
                    guest.registered.clone_from(&again);
                    guest.fate = if self.approval { Fate::Pending } else { Fate::Registered };
                    // It was theirs before this ledger took it over.
                    (guest.told, guest.again) = (true, true);
                    self.register(&again).await;
                }
                _ => {}
            }
        }
    }

    async fn register(&self, email: &str) {
        let answers = self.question.iter().map(|id| {
            serde_json::json!({"questionId": id, "value": "x", "booleanValue": null,
                               "multiChoiceValues": []})
        });
        let body = serde_json::json!({
            "firstName": "Zoe", "lastName": "Again", "email": email,
            "preferredTimezone": "UTC", "preferredLanguage": "en-us",
            "registrationQuestionAnswers": answers.collect::<Vec<_>>(),
        });
        let body = body.to_string();
        let call = HttpCall {
            method: &Method::POST,
            target: &VirtualEvent::new(EventKind::Webinar, "M").list().target,
            base: "",
            authorization: None,
            client_request_id: None,
            content_type: Some("application/json"),
            body: body.as_bytes(),
        };
        let answer = self.direct.exchange(call).await.expect("an answer");
        assert!(answer.status.is_success(), "{}", answer.status);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Tonight's list; its order is another one each night.
    fn list(&mut self) -> (String, Vec<String>) {
        self.random.shuffle(&mut self.guests);
        let listed: Vec<&Guest> = self.guests.iter().filter(|guest| guest.listed).collect();
        let mut text = "id,firstName,lastName,email,why\n".to_owned();
        for Guest { id, name, email, answer, .. } in &listed {
            text.push_str(&format!("{id},{name},Byron,{email},{answer}\n"));
        }
        (text, listed.iter().map(|guest| guest.id.clone()).collect())
    }

    /// Tonight's run, and the files that it leaves.
    async fn run(&mut self, text: &str, fails: bool) -> Option<Written> {
        std::fs::write(self.path("people.csv"), text).expect("the list is written");
        let field = Field::Answer("Why?".to_owned());
        let answer = MapOption { field, column: "why".to_owned() };
        let map = self.question.iter().map(|_| answer.clone()).collect();
        let options = Options { map, ..Options::default() };
        let input = input::open(&Source::File(self.path("people.csv")), &options).expect("a list");
        let snapshot = input.snapshot(self.folder.path()).expect("a copy");
        let pacer = || Pacer::new(PaceOptions::default());
        let now = 1_767_225_600_000 + i64::from(self.night) * 24 * 3_600_000;
        let client = GraphClient::new(
            self.direct.clone(),
            GraphHost::parse("https://graph.microsoft.com", &TrustedHosts::default())
                .expect("Graph's host"),
            Tokens::none(),
            Clock::starting(now),
            Buckets::new(pacer(), pacer()),
            self.random.fork(),
        );
        if fails {
            client.stop.raise(Stop::Interrupted);
        }
        let identity = Identity {
            kind: "webinar".to_owned(),
            name: "M".to_owned(),
            organizer: None,
            graph: "https://graph.microsoft.com".to_owned(),
        };
        let ledger = Ledger::open(&self.path("the.ledger"), &identity, now).expect("a ledger");
        let import = Import {
            client: &client,
            target: &Target::Event(VirtualEvent::new(EventKind::Webinar, "M")),
            input: &snapshot,
            conduct: &Conduct::default(),
            enable: None,
            pace: PaceOptions::default(),
            deadline: None,
            approved: None,
            plan_only: false,
            in_this_thread: true,
        };
        let ended = job::import(&import, ledger, |_| {}).await;
        let Ended { ledger, plan, stop, .. } = ended.expect("neither input nor ledger is at fault");
        assert_eq!(stop.is_some(), fails, "{stop:?}");
        // A run that comes to no plan leaves the files as they were.
        let plan = plan?;
        let files = ["enrolled.csv", "rejects.csv"].map(|name| self.path(name));
        let (ledger, plan) = (&ledger, &plan);
        let projection =
            Projection { input: &snapshot, plan, ledger, stopped: None, formula_safe: false };
        projection.write(&files[0], &files[1]).expect("the files are written");
        Some(Written::read(&files[0], &files[1]))
    }

    async fn live(&mut self) {
        for night in 1..=NIGHTS {
            self.night = night;
            self.day().await;
            tokio::time::sleep(NIGHT).await;
            let (text, ids) = self.list();
            let run = Box::pin(self.run(&text, FAILED.contains(&night)));
            let Some(written) = run.await else { continue };
            let books = self.simulator.books().registrants;
            let live = books
                .into_iter()
                .filter_map(|it| Some((it.email?.to_lowercase(), it.join_web_url?)));
            let live: BTreeMap<String, String> = live.collect();
            let ends = written.ends((2..).zip(ids.iter().map(String::as_str)));
            for (id, end) in ids.iter().zip(ends) {
                let approval = self.approval;
                let asked = self.question.is_some();
                let guest = self.guests.iter_mut().find(|guest| guest.id == *id).expect("listed");
                let before = guest.clone();
                let wanted = guest.morning(asked, approval);
                let found = end.as_ref().map(|(_, status)| status.as_str());
                let found = found.map_err(|reject| reject.code.as_str());
                assert_eq!(found, wanted, "night {night}: {before:?}");
                if let Ok((link, _)) = &end {
                    let lives = live.get(&guest.registered.to_lowercase());
                    assert_eq!(Some(link), lives, "night {night}: {before:?}");
                }
            }
        }
        assert_eq!(self.simulator.stats().duplicates, 0, "somebody was posted twice");
    }
}

#[test]
fn the_files_of_thirty_mornings_are_the_models() {
    seeds::each("REGISTRANT_IMPORT_NIGHTS", 5, |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(Box::pin(async { Nights::new(seed).live().await }));
    });
}
