//! What others do between two runs: the organizer and the people at the target, and the spelling of
//! the list.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use http::Method;
use registrant_import::{
    input::{MapOption, Options},
    registrant::Field,
    simulator::{EventQuestion, HttpCall, RegistrationStatus},
};

use super::world::World;
use crate::{
    crowd::{Kind, Person},
    verify,
};

/// Longer than a list may be late: what others did shows on each from then on.
const SHOWN: Duration = Duration::from_secs(700);

/// More people who vanish are no longer removed one by one, in a ledger of few.
const MOST_REMOVED: usize = 2;

/// What others have done so far.
#[derive(Default)]
pub(super) struct Others {
    /// Whether they do anything.
    pub(super) act: bool,
    /// Ids whose registration others have ended, and how it is told.
    pub(super) ended: BTreeMap<String, &'static str>,
    /// Ids about which something was done that no run has seen yet.
    pub(super) unseen: BTreeSet<String>,
    removed: usize,
    asked: bool,
}

impl Others {
    /// How the list is read: the question that was added is answered by a column.
    pub(super) fn options(&self) -> Options {
        let answer = || MapOption { field: Field::Answer("Why?".into()), column: "note".into() };
        Options { map: self.asked.then(answer).into_iter().collect(), ..Options::default() }
    }
}

impl World {
    /// Something happens, or nothing.
    pub(super) async fn others_act(&mut self) {
        if !self.others.act {
            return;
        }
        self.respell();
        let picked = self.pick();
        match (self.kind, self.random.u8(..7), picked) {
            (Kind::Event, 0, Some(person)) => {
                self.decide(&person, RegistrationStatus::Canceled, "canceled");
            }
            (Kind::Event, 1, Some(person)) => {
                self.decide(
                    &person,
                    RegistrationStatus::RejectedByOrganizer,
                    "rejected-by-organizer",
                );
            }
            (Kind::Event, 2, Some(person)) if self.others.removed < MOST_REMOVED => {
                assert!(self.simulator.remove("M", &person.email()), "it is there");
                self.end(&person, "removed-on-server");
            }
            (Kind::Event, 3 | 4, _) => self.register_again().await,
            (Kind::Event, 5, _) if !self.others.asked => {
                let question = EventQuestion { required: true, ..EventQuestion::text("Why?") };
                self.question = Some(question.id.to_string());
                self.simulator.ask(question);
                self.others.asked = true;
            }
            (Kind::Meeting(_), 0 | 1, Some(person)) if self.others.removed < MOST_REMOVED => {
                while verify::books(&self.simulator).contains_key(&person.id) {
                    self.remove(&person.id).await;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                self.end(&person, "removed-on-server");
            }
            _ => return,
        }
        tokio::time::sleep(SHOWN).await;
    }

    /// Somebody whom the target holds by this ledger's doing, and who has one address.
    fn pick(&mut self) -> Option<Person> {
        let books = verify::books(&self.simulator);
        let person = self.random.choice(&self.people)?.clone();
        let emails = self.people.iter().filter(|row| row.id == person.id).map(Person::email);
        let one = emails.collect::<BTreeSet<_>>().len() == 1;
        let strange = [person.id.clone(), format!("other-{}", person.id)];
        let is_strangers = strange.iter().any(|id| self.strangers.contains_key(id));
        let over = self.others.ended.contains_key(&person.id);
        let theirs = books.contains_key(&person.id) && one && !is_strangers && !over;
        Some(person).filter(|_| theirs)
    }

    fn decide(&mut self, person: &Person, status: RegistrationStatus, code: &'static str) {
        assert!(self.simulator.decide("M", &person.email(), status), "it is there");
        self.end(person, code);
    }

    fn end(&mut self, person: &Person, code: &'static str) {
        self.others.removed += usize::from(code == "removed-on-server");
        self.others.ended.insert(person.id.clone(), code);
        self.others.unseen.insert(person.id.clone());
    }

    /// Somebody whose registration is over registers anew in Teams.
    async fn register_again(&mut self) {
        // Whom the organizer has rejected they would reject again.
        let over = |code: &str| code != "rejected-by-organizer";
        let ids = self.others.ended.iter().filter(|(_, code)| over(code)).map(|(id, _)| id);
        let Some(id) = self.random.choice(ids.cloned().collect::<Vec<_>>()) else { return };
        let person = self.people.iter().find(|row| row.id == id).expect("of the list");
        let books = self.simulator.books().registrants;
        let theirs = Some(person.email());
        if books.iter().any(|it| it.email.as_ref().map(|email| email.to_lowercase()) == theirs) {
            // A run that had their row in doubt has registered them already.
            self.others.ended.remove(&id);
            return;
        }
        let (own, email) = (format!("self-{id}"), person.email());
        while !verify::books(&self.simulator).contains_key(&own) {
            self.post(&own, &email).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        self.others.ended.remove(&id);
        self.others.unseen.insert(id);
    }

    async fn remove(&self, id: &str) {
        let registrants = self.target.list().target;
        let id = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
        let call = HttpCall {
            method: &Method::DELETE,
            target: &format!("{registrants}/{id}"),
            base: "",
            authorization: Some("Bearer stranger"),
            client_request_id: None,
            content_type: None,
            body: b"",
        };
        let _ = self.direct.exchange(call).await;
    }

    /// A person's rows are spelt otherwise, all in the same way: an address in other letters, a name
    /// corrected. A meeting's are left to [`World::let_people_change`].
    fn respell(&mut self) {
        let (at, how) = (self.random.usize(..self.people.len()), self.random.u8(..3));
        if self.kind != Kind::Event || how == 0 {
            return;
        }
        let before = self.people[at].clone();
        let theirs = |row: &&mut Person| row.id == before.id && row.who == before.who;
        for row in self.people.iter_mut().filter(theirs) {
            if how == 1 {
                row.user = row.user.to_uppercase();
            } else if !row.tenant.trim().is_empty() {
                row.tenant.push('x');
            }
        }
    }
}
