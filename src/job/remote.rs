//! What lists of the target showed of the registrants that somebody looks for. Pure.
//!
//! A meeting's members are told by the posted id. A webinar's are told by it as well
//! (`registrationId`), else by their e-mail address: Teams keeps one registration of an address
//! (`email` is an alternate key of virtualEventRegistration in Microsoft's metadata), whoever made
//! it.

use std::{
    collections::{HashMap, HashSet},
    hash::BuildHasher,
    sync::LazyLock,
};

use crate::{
    graph::list::Member,
    registrant::{Details, Registrant, RegistrantId},
};

/// Drawn anew for each process, so that nobody can make ids that collide.
static KEYS: LazyLock<foldhash::quality::RandomState> =
    LazyLock::new(foldhash::quality::RandomState::default);

/// Whom to look for, so that a list of many leaves little behind.
#[derive(Default)]
pub struct Wanted {
    ids: HashSet<String>,
    emails: HashSet<String>,
}

impl Wanted {
    /// Look for this one, too.
    pub fn add(&mut self, registrant: &Registrant) {
        self.ids.insert(registrant.id.as_str().to_owned());
        self.emails.extend(email(registrant));
    }

    /// Whether this member may be one of them.
    #[must_use]
    pub fn has(&self, member: &Member) -> bool {
        member.posted.as_ref().is_some_and(|id| self.ids.contains(id))
            || member.email.as_ref().is_some_and(|email| self.emails.contains(email))
    }

    /// How many are looked for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether nobody is looked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// The members seen.
#[derive(Default)]
pub struct RemoteIndex {
    by_id: HashMap<String, Vec<Member>>,
    /// By address, under whatever id, or none.
    by_email: HashMap<String, Vec<Member>>,
    /// Addresses that belong to an id of the ledger or of the list.
    taken: HashSet<String>,
    /// Whose the ids are is not known: an address that was registered with another id is somebody
    /// else's.
    cautious: bool,
    holding: u64,
    /// Of a meeting's list, which may be long: hashes of its ids, in order.
    ids: Vec<u64>,
}

/// What was seen of one registrant.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteMatch {
    /// The registration that counts: of several the one that stands best.
    pub member: Member,
    /// Further registrations with the same posted id that hold a place.
    pub extra: Vec<Member>,
    /// It is somebody else's: it was found by its address, and the ledger or the list knows the id
    /// that it is registered with; or it was found by its id, and neither name nor address is the
    /// row's.
    pub taken: bool,
}

impl RemoteIndex {
    /// RemoteIndex that are held against neither ledger nor list: by its address alone only a
    /// registration without an id is anybody's.
    #[must_use]
    pub fn cautious() -> Self {
        Self { cautious: true, ..Self::default() }
    }

    /// Notes one member.
    pub fn note(&mut self, member: Member) {
        self.holding += u64::from(!member.standing.is_over());
        if let Some(email) = &member.email {
            self.by_email.entry(email.clone()).or_default().push(member.clone());
        }
        if let Some(id) = member.posted.clone() {
            self.by_id.entry(id).or_default().push(member);
        }
    }

    /// Notes a meeting's member, of whom the list tells the id alone.
    pub fn note_id(&mut self, id: &str) {
        self.ids.push(KEYS.hash_one(id));
    }

    /// To be done once all ids are noted.
    pub fn sort_ids(&mut self) {
        self.ids.sort_unstable();
    }

    /// Whether a meeting's list shows this id.
    #[must_use]
    pub fn shows(&self, id: &str) -> bool {
        self.ids.binary_search(&KEYS.hash_one(id)).is_ok()
    }

    /// How many of the members noted hold a place.
    #[must_use]
    pub fn holding(&self) -> u64 {
        self.holding
    }

    /// Whether a member was registered with this id.
    #[must_use]
    pub fn has_posted(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// Marks the addresses of registrations that belong to ids which `ours` knows.
    ///
    /// # Errors
    /// The first one of `ours`.
    pub fn mark_taken<E>(
        &mut self,
        mut ours: impl FnMut(&RegistrantId) -> Result<bool, E>,
    ) -> Result<(), E> {
        for (id, members) in &self.by_id {
            let Ok(id) = RegistrantId::parse(id) else { continue };
            if ours(&id)? {
                let held = members.iter().filter(|member| !member.standing.is_over());
                self.taken.extend(held.filter_map(|member| member.email.clone()));
            }
        }
        Ok(())
    }

    /// What was seen of this registrant.
    #[must_use]
    pub fn of(&self, registrant: &Registrant) -> Option<RemoteMatch> {
        self.of_known(registrant, None)
    }

    /// What was seen of this registrant, whom an earlier list has told by the server's own id of
    /// its registration: that one is theirs, whatever id it was registered with.
    #[must_use]
    pub fn of_known(
        &self,
        registrant: &Registrant,
        server_id: Option<&str>,
    ) -> Option<RemoteMatch> {
        let email = email(registrant);
        let by_id = self.by_id.get(registrant.id.as_str()).map_or(&[][..], Vec::as_slice);
        let by_email = email
            .as_ref()
            .and_then(|email| self.by_email.get(email))
            .map_or(&[][..], Vec::as_slice);
        let best = |members: &[Member], over: bool| {
            let standing = members.iter().filter(|member| member.standing.is_over() == over);
            // The first of equals: the one that was registered first.
            standing.min_by_key(|member| member.standing as u8).cloned()
        };
        let known =
            |member: &Member| server_id.is_some() && member.server_id.as_deref() == server_id;
        let seen = |member: Member| RemoteMatch { member, extra: Vec::new(), taken: false };
        if let Some(member) = best(by_id, false) {
            let others = by_id.iter().filter(|other| !other.standing.is_over());
            let mut extra: Vec<Member> = others.cloned().collect();
            let own = extra.iter().position(|other| *other == member);
            own.map(|place| extra.remove(place));
            let taken = !known(&member) && is_somebody_else(&member, registrant);
            return Some(RemoteMatch { extra, taken, ..seen(member) });
        }
        if let Some(member) = best(by_email, false) {
            let named = self.cautious && member.posted.is_some() && !known(&member);
            let taken = named || email.is_some_and(|email| self.taken.contains(&email));
            return Some(RemoteMatch { taken, ..seen(member) });
        }
        best(by_id, true).or_else(|| best(by_email, true)).map(seen)
    }
}

/// Whether a registration with this one's id is another person's by all that the list tells: ids
/// that count from one are given again, to somebody else, by the next export.
fn is_somebody_else(member: &Member, registrant: &Registrant) -> bool {
    let (Details::Webinar(attendee), Some(address), Some((first, last))) =
        (&registrant.details, &member.email, &member.names)
    else {
        return false;
    };
    let differ = |a: &str, b: &str| a.trim().to_lowercase() != b.trim().to_lowercase();
    differ(address, &attendee.email)
        && differ(first, &attendee.first_name)
        && differ(last, &attendee.last_name)
}

/// The address that a webinar's registrant is told by.
fn email(registrant: &Registrant) -> Option<String> {
    match &registrant.details {
        Details::Webinar(attendee) => Some(attendee.email.trim().to_lowercase()),
        Details::Everyone | Details::Organization { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        graph::list::Standing,
        registrant::{Fields, Rule},
    };

    fn row(id: &str, email: &str) -> Registrant {
        let fields = Fields {
            id: Some(id),
            first_name: Some("Ada"),
            last_name: Some("Byron"),
            email: Some(email),
            ..Fields::default()
        };
        Registrant::parse(&fields, &Rule::webinar()).expect("valid")
    }

    fn member(posted: Option<&str>, email: &str, server: &str, standing: Standing) -> Member {
        Member {
            posted: posted.map(str::to_owned),
            email: Some(email.to_owned()),
            names: Some(("ada".to_owned(), "Byron-King".to_owned())),
            server_id: Some(server.to_owned()),
            standing,
        }
    }

    fn seen(members: &[Member], row: &Registrant) -> Option<(String, usize, bool)> {
        let mut remote = RemoteIndex::default();
        members.iter().cloned().for_each(|member| remote.note(member));
        remote.mark_taken(|id| Ok::<_, ()>(id.as_str() == "OURS")).expect("no error");
        let RemoteMatch { member, extra, taken } = remote.of(row)?;
        Some((member.server_id?, extra.len(), taken))
    }

    #[test]
    fn the_posted_id_counts_before_the_address() {
        use Standing::{Canceled, Registered, Waitlisted};
        let ada = row("A", "Ada@x.org");
        let by_id = member(Some("A"), "other@x.org", "r1", Registered);
        let by_email = member(None, "ada@x.org", "r2", Registered);
        assert_eq!(seen(&[by_email.clone(), by_id.clone()], &ada), Some(("r1".into(), 0, false)));
        assert_eq!(seen(std::slice::from_ref(&by_email), &ada), Some(("r2".into(), 0, false)));
        assert_eq!(seen(&[member(None, "b@x.org", "r3", Registered)], &ada), None);
        let over = member(Some("A"), "ada@x.org", "r4", Canceled);
        assert_eq!(seen(&[over.clone(), by_email], &ada), Some(("r2".into(), 0, false)));
        assert_eq!(seen(&[over], &ada), Some(("r4".into(), 0, false)));
        let waiting = member(Some("A"), "ada@x.org", "r5", Waitlisted);
        assert_eq!(seen(&[waiting, by_id], &ada), Some(("r1".into(), 1, false)));
    }

    #[test]
    fn an_address_that_the_ledger_gave_to_another_id_is_somebody_elses() {
        let ada = row("A", "ada@x.org");
        let held = member(Some("OURS"), "ada@x.org", "r1", Standing::Registered);
        assert_eq!(seen(&[held], &ada), Some(("r1".into(), 0, true)));
        let strangers = member(Some("THEIRS"), "ada@x.org", "r1", Standing::Registered);
        assert_eq!(seen(&[strangers], &ada), Some(("r1".into(), 0, false)));
        let over = member(Some("OURS"), "ada@x.org", "r1", Standing::Canceled);
        assert_eq!(seen(&[over], &ada), Some(("r1".into(), 0, false)), "a place given up");
    }

    #[test]
    fn an_id_that_was_given_again_is_not_the_same_person() {
        let other = |address: &str, first: &str, last: &str| Member {
            names: Some((first.to_owned(), last.to_owned())),
            ..member(Some("A"), address, "r1", Standing::Registered)
        };
        let ada = row("A", "ada@x.org");
        for (address, first, last, taken) in [
            ("zoe@x.org", "Zoe", "Zander", true),
            ("zoe@x.org", "ADA", "Zander", false),
            ("zoe@x.org", "Zoe", " byron ", false),
            ("ada@x.org", "Zoe", "Zander", false),
        ] {
            let held = [other(address, first, last)];
            assert_eq!(
                seen(&held, &ada),
                Some(("r1".into(), 0, taken)),
                "{address} {first} {last}"
            );
        }
        let mut remote = RemoteIndex::default();
        remote.note(other("zoe@x.org", "Zoe", "Zander"));
        let known = remote.of_known(&ada, Some("r1")).expect("seen");
        assert!(!known.taken, "this ledger knows it: the person's data were corrected");
    }

    #[test]
    fn a_registration_that_was_taken_over_stays_its_rows() {
        let ada = row("A", "ada@x.org");
        let mut seen = RemoteIndex::cautious();
        seen.note(member(Some("THEIRS"), "ada@x.org", "r1", Standing::Registered));
        let taken = |known| seen.of_known(&ada, known).map(|sight| sight.taken);
        assert_eq!(taken(None), Some(true), "whose THEIRS is this list does not know");
        assert_eq!(taken(Some("r1")), Some(false));
        assert_eq!(taken(Some("r2")), Some(true));
    }
}
