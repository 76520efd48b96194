//! What a run knows of join links: whose each one is, since two ids never share one, and whether links
//! can be read at all before further people are registered, each of whom Teams mails.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use crate::{
    graph::event::LinkRequest,
    ledger::LinkOwner,
    registrant::{JoinLink, RegistrantId},
};

/// Whose each link is, and how links are read. Links that name their person need no keeping.
#[derive(Default)]
pub struct LinkGuard {
    hasher: RandomState,
    /// A link's hash → who has it first.
    owners: RefCell<HashMap<u64, (u64, LinkOwner)>>,
    /// Which of the two ways of reading a link this application may use.
    pub(super) request: Cell<LinkRequest>,
    /// Whether an unknown host was told already.
    told: Cell<bool>,
}

impl LinkGuard {
    /// Somebody of an earlier run.
    pub(super) fn note(&self, id: &str, link: &str, owner: LinkOwner) {
        let (link, id) = (self.hasher.hash_one(link), self.hasher.hash_one(id));
        self.owners.borrow_mut().entry(link).or_insert((id, owner));
    }

    /// Takes `link` for `id`, or says who else has it. Tells once of a host that is not known.
    pub(super) fn take(
        &self,
        id: &RegistrantId,
        link: &JoinLink,
        owner: LinkOwner,
    ) -> Option<LinkOwner> {
        if let Some(host) = link.unknown_host()
            && !self.told.replace(true)
        {
            tracing::warn!(
                host,
                "join links lead to a host that is not known as Teams'; they are taken as they are"
            );
        }
        if link.names_its_person() {
            return None;
        }
        let (link, id) = (self.hasher.hash_one(link.expose()), self.hasher.hash_one(id.as_str()));
        let mut owners = self.owners.borrow_mut();
        let (first, held) = owners.entry(link).or_insert((id, owner));
        (*first != id).then(|| held.clone())
    }
}

/// How many people a run may register before it has read a link: one, and a second one before two
/// links were compared.
#[derive(Default)]
pub(super) struct LinkProof {
    /// Rows that the event took in this run.
    accepted: u32,
    /// Rows that were led to their link, or to the word that none is there yet.
    led: u32,
    last: Duration,
}

impl LinkProof {
    /// Links that are compared before the others are registered.
    const ENOUGH: u32 = 2;

    pub(super) fn accepted(&mut self, now: Duration) {
        self.accepted += 1;
        self.last = now;
    }

    pub(super) fn led(&mut self) {
        self.led += 1;
    }

    /// A row showed no link yet: after the settling time the run goes on without.
    pub(super) fn missed(&mut self, now: Duration, settle: Duration) {
        if now >= self.last + settle {
            self.led = self.led.max(self.accepted);
        }
    }

    /// Whether nobody may be registered now: `looked_for` rows have still to show their links.
    pub(super) fn waits(&self, looked_for: usize) -> bool {
        let enough = self.led >= Self::ENOUGH || (self.led > 0 && self.led >= self.accepted);
        looked_for > 0 && !enough
    }

    /// Whether rows still go one by one.
    pub(super) fn is_slow(&self) -> bool {
        self.led < Self::ENOUGH
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Seq;

    #[test]
    fn a_link_is_the_first_ones_and_one_that_names_its_person_needs_no_keeping() {
        let guard = LinkGuard::default();
        let id = |text| RegistrantId::parse(text).expect("an id");
        let (one, two) = (Seq::at(1), Seq::at(2));
        let owner = |seq| LinkOwner { seq, server_id: None, adopted: false };
        let bare = JoinLink::trusted("https://teams.microsoft.com/l/meetup-join/t/0");
        assert!(guard.take(&id("a"), &bare, owner(one)).is_none());
        assert!(guard.take(&id("a"), &bare, owner(one)).is_none(), "their own");
        assert_eq!(guard.take(&id("b"), &bare, owner(two)).map(|owner| owner.seq), Some(one));
        let named =
            "https://teams.microsoft.com/l/meetup-join/t/0?context=%7b%22prid%22%3a%22a%22%7d";
        let named = JoinLink::trusted(named);
        assert!(guard.take(&id("a"), &named, owner(one)).is_none());
        assert_eq!(guard.owners.borrow().len(), 1);
    }

    #[test]
    fn one_person_is_registered_before_the_first_link_and_two_before_the_second() {
        let mut proof = LinkProof::default();
        assert!(!proof.waits(0), "nobody to look for");
        assert!(proof.waits(1), "somebody whom it held before");
        proof.accepted(Duration::ZERO);
        assert!(proof.waits(1) && proof.is_slow());
        proof.led();
        assert!(!proof.waits(0));
        proof.accepted(Duration::from_secs(1));
        assert!(proof.waits(1));
        proof.missed(Duration::from_secs(5), Duration::from_secs(10));
        assert!(proof.waits(1));
        proof.missed(Duration::from_secs(11), Duration::from_secs(10));
        assert!(!proof.waits(1) && !proof.is_slow());
    }
}
