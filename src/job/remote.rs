//! The target's list: fetched whole or not at all, and what it shows of the registrants that
//! somebody looks for.
//!
//! A part of a list would let a row be taken for absent, so [`list`] gives an error unless every page
//! was had. A meeting's members are told by the posted id. A virtual event's are told by it as well
//! (`registrationId`), else by their e-mail address: Teams keeps one registration of an address
//! (`email` is an alternate key of virtualEventRegistration in Microsoft's metadata), whoever made
//! it.

use std::{
    collections::{HashMap, HashSet},
    hash::BuildHasher,
    sync::{Arc, LazyLock},
    time::Duration,
};

use super::{
    client::{GraphClient, Refusal},
    clock::millis,
    decision::ListWord,
};
use crate::{
    graph::{
        target::Target,
        transport::{GraphRequest, Transport},
        wire::{ListPage, Member, MemberStanding},
    },
    ledger::{Entry, Over, State},
    registrant::{Details, Registrant, RegistrantId},
};

/// Whoever was registered longer ago than this stands on the list, however late it is. Microsoft names
/// no bound; this is the program's own, on the safe side.
pub const ON_THE_LIST: Duration = Duration::from_secs(600);

/// Drawn anew for each process, so that nobody can make ids that collide.
static KEYS: LazyLock<foldhash::quality::RandomState> =
    LazyLock::new(foldhash::quality::RandomState::default);

/// More pages than a list of a million registrants has, at a hundred a page: such a list has no end.
const MOST_PAGES: u32 = 10_000;

/// So many pages in a row may show nobody new: a list that is changed while it is read repeats some.
const MOST_STALE_PAGES: u32 = 3;

/// Why there is no list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoList {
    /// The request was refused or the run was stopped.
    Refused(Refusal),
    /// What was answered is no list; in words.
    Odd(String),
}

/// Lists all registrants and gives each page's members to `page`.
///
/// # Errors
/// [`NoList`] when any page could not be had, or the pages lead elsewhere or have no end.
pub async fn list<T: Transport>(
    client: &GraphClient<T>,
    target: &Target,
    mut page: impl FnMut(Vec<Member>),
) -> Result<(), NoList> {
    let odd = |why: &str| Err(NoList::Odd(why.to_owned()));
    let first = target.list();
    let mut next = first.clone();
    let (mut visited, mut seen) = (HashSet::new(), HashSet::new());
    let mut stale = 0;
    for _ in 0..MOST_PAGES {
        let fetched = client.fetch(&next, |response| target.read_page(response)).await;
        let ListPage { members, next_link } = fetched.map_err(|refusal| match refusal {
            Refusal::Unreadable => NoList::Odd("a page of the list cannot be read".to_owned()),
            refusal => NoList::Refused(refusal),
        })?;
        let before = seen.len();
        seen.extend(members.iter().map(identity));
        stale = if seen.len() == before { stale + 1 } else { 0 };
        page(members);
        let Some(link) = next_link else { return Ok(()) };
        if stale > MOST_STALE_PAGES {
            return odd("the list goes on and shows nobody new");
        }
        let place =
            client.host().next_target(&link).map_err(|error| NoList::Odd(error.to_string()))?;
        if !is_same_collection(&first.target, &place) {
            return odd("the list's next page leads to another list");
        }
        if !visited.insert(place.clone()) {
            return odd("the list's pages run in a circle");
        }
        next = GraphRequest { target: place, ..next };
    }
    odd("the list has no end")
}

/// What tells members apart, hashed: a long list leaves eight bytes of each.
fn identity(member: &Member) -> u64 {
    foldhash::fast::FixedState::default().hash_one((
        &member.server_id,
        &member.posted,
        &member.email,
    ))
}

/// Whether both paths name the same collection of the same target. Graph may write `/me` as
/// `/users('…')`, keys in parentheses as segments, and encode ids otherwise; so what stands before the
/// target's collection is not compared.
fn is_same_collection(one: &str, other: &str) -> bool {
    let tail = |path: &str| -> Vec<String> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let mut parts: Vec<String> = Vec::new();
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            let decoded = percent_encoding::percent_decode_str(segment).decode_utf8_lossy();
            match decoded.strip_suffix("')").and_then(|rest| rest.split_once("('")) {
                Some((name, key)) => {
                    parts.extend([name.to_lowercase(), key.replace("''", "'")]);
                }
                None => parts.push(decoded.into_owned()),
            }
        }
        let collection = ["onlinemeetings", "virtualevents"];
        let is_one = |part: &String| collection.contains(&part.to_lowercase().as_str());
        let from = parts.iter().position(is_one).unwrap_or(0);
        parts.drain(..from);
        if let Some(name) = parts.first_mut() {
            *name = name.to_lowercase();
        }
        parts
    };
    tail(one) == tail(other)
}

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
    pub fn has(&self, member: &Member) -> bool {
        member.posted.as_ref().is_some_and(|id| self.ids.contains(id))
            || member.email.as_ref().is_some_and(|email| self.emails.contains(email))
    }

    /// How many are looked for.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether nobody is looked for.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// The members seen.
#[derive(Default)]
pub struct RemoteIndex {
    /// When the list was begun, in milliseconds since 1970; `None` where it says nothing of whoever
    /// is not on it.
    listed_at: Option<i64>,
    by_id: HashMap<String, Vec<Member>>,
    /// By address, under whatever id, or none.
    by_email: HashMap<String, Vec<Member>>,
    /// By the server's own id.
    by_server_id: HashMap<String, MemberStanding>,
    /// Addresses that belong to an id of the ledger or of the list.
    taken: HashSet<String>,
    /// Whose the ids are is not known: an address that was registered with another id is somebody
    /// else's.
    cautious: bool,
    holding: u64,
    /// Of a meeting's list, which may be long: hashes of its ids, in order.
    ids: Vec<u64>,
    /// Whether `ids` are all that the meeting holds.
    is_complete: bool,
    /// The server's own ids of registrations that this ledger cancelled.
    cancelled: Arc<HashSet<String>>,
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
    /// A [`RemoteIndex`] of a whole list that was begun at this time, in milliseconds since 1970.
    pub fn of_list(begun_at: i64) -> Self {
        Self { listed_at: Some(begun_at), ..Self::default() }
    }

    /// A [`RemoteIndex`] that is held against neither ledger nor list: by its address alone only a
    /// registration without an id is anybody's.
    pub fn cautious() -> Self {
        Self { cautious: true, ..Self::default() }
    }

    /// One that leaves out the registrations which this ledger cancelled: whoever is named by a list
    /// again has not cancelled by themselves.
    #[must_use]
    pub fn without(self, cancelled: Arc<HashSet<String>>) -> Self {
        Self { cancelled, ..self }
    }

    /// Whether the person whom this ledger registered with this id holds no place any more.
    pub fn is_gone(&self, id: &str) -> bool {
        let over = |members: &Vec<Member>| members.iter().all(|member| member.standing.is_over());
        self.by_id.get(id).is_some_and(over) || self.is_complete && !self.shows(id, None)
    }

    /// Notes one member.
    pub fn note(&mut self, member: Member) {
        let known = |id: &String| self.cancelled.contains(id);
        if member.standing.is_over() && member.server_id.as_ref().is_some_and(known) {
            return;
        }
        self.holding += u64::from(!member.standing.is_over());
        if let Some(server_id) = &member.server_id {
            self.by_server_id.insert(server_id.clone(), member.standing);
        }
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
        self.is_complete = true;
    }

    /// Whether the list shows the registration that was posted with this id, or that the server has
    /// under that one.
    pub fn shows(&self, id: &str, server_id: Option<&str>) -> bool {
        self.ids.binary_search(&KEYS.hash_one(id)).is_ok()
            || self.has_posted(id)
            || server_id.is_some_and(|server_id| self.by_server_id.contains_key(server_id))
    }

    /// Whether the list shows more than one registration that was posted with this id and holds a place.
    pub fn shows_twice(&self, id: &str) -> bool {
        let hash = KEYS.hash_one(id);
        let from = self.ids.partition_point(|known| *known < hash);
        let posted = self.by_id.get(id).map_or(&[][..], Vec::as_slice);
        self.ids.get(from + 1) == Some(&hash)
            || posted.iter().filter(|member| !member.standing.is_over()).count() > 1
    }

    /// What the list says of a row; `entry` is what the ledger has of it.
    pub fn word(&self, registrant: &Registrant, entry: Option<&Entry>) -> ListWord {
        let held =
            |entry: &&Entry| matches!(entry.state, State::Enrolled | State::Awaiting | State::Gone);
        let Some(entry) = entry.filter(held) else {
            return match self.of(registrant) {
                Some(_) => ListWord::Another(Over::Removed),
                None => ListWord::Nothing,
            };
        };
        let Some(listed_at) = self.listed_at else { return ListWord::Nothing };
        let must_show = entry.touched_at.is_none_or(|at| listed_at - at > millis(ON_THE_LIST));
        let absent = if must_show { ListWord::Over(Over::Removed) } else { ListWord::Nothing };
        if !matches!(registrant.details, Details::Event(_)) {
            let shown = self.shows(registrant.id.as_str(), None);
            return if shown { ListWord::Nothing } else { absent };
        }
        let own_id = entry.registrant_id.as_deref();
        let own = own_id.and_then(|id| self.by_server_id.get(id)).copied();
        let best = self.of_known(registrant, own_id).map(|found| found.member.standing);
        let over = |standing| match standing {
            MemberStanding::RejectedByOrganizer => Over::Rejected,
            _ => Over::Canceled,
        };
        match (own, best) {
            (Some(own), _) if !own.is_over() => ListWord::Stands,
            (Some(own), Some(best)) if !best.is_over() => ListWord::Another(over(own)),
            (Some(own), _) => ListWord::Over(over(own)),
            (None, Some(best)) if !best.is_over() && own_id.is_none() => ListWord::Stands,
            // An earlier registration shows before the one that the ledger has.
            (None, _) if !must_show => ListWord::Nothing,
            (None, Some(best)) if !best.is_over() => ListWord::Another(Over::Removed),
            (None, Some(best)) => ListWord::Over(over(best)),
            (None, None) => absent,
        }
    }

    /// How many of the members noted hold a place.
    pub fn holding(&self) -> u64 {
        self.holding
    }

    /// Whether a member was registered with this id.
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
    pub fn of(&self, registrant: &Registrant) -> Option<RemoteMatch> {
        self.of_known(registrant, None)
    }

    /// What was seen of this registrant, whom an earlier list has told by the server's own id of
    /// its registration: that one is theirs, whatever id it was registered with.
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
    let (Details::Event(attendee), Some(address), Some((first, last))) =
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
        Details::Event(attendee) => Some(attendee.email.trim().to_lowercase()),
        Details::Everyone | Details::Organization { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::{
        auth::Tokens,
        graph::{
            host::{GraphHost, TrustedHosts},
            meeting::Meeting,
            transport::{Request, Response, TransportError},
            wire::MemberStanding,
        },
        job::clock::Clock,
        pacing::{Buckets, PaceOptions, Pacer},
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
        Registrant::parse(&fields, &Rule::event()).expect("valid")
    }

    fn member(posted: Option<&str>, email: &str, server: &str, standing: MemberStanding) -> Member {
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
        use MemberStanding::{Canceled, Registered, Waitlisted};
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
        let held = member(Some("OURS"), "ada@x.org", "r1", MemberStanding::Registered);
        assert_eq!(seen(&[held], &ada), Some(("r1".into(), 0, true)));
        let strangers = member(Some("THEIRS"), "ada@x.org", "r1", MemberStanding::Registered);
        assert_eq!(seen(&[strangers], &ada), Some(("r1".into(), 0, false)));
        let over = member(Some("OURS"), "ada@x.org", "r1", MemberStanding::Canceled);
        assert_eq!(seen(&[over], &ada), Some(("r1".into(), 0, false)), "a place given up");
    }

    #[test]
    fn an_id_that_was_given_again_is_not_the_same_person() {
        let other = |address: &str, first: &str, last: &str| Member {
            names: Some((first.to_owned(), last.to_owned())),
            ..member(Some("A"), address, "r1", MemberStanding::Registered)
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
        seen.note(member(Some("THEIRS"), "ada@x.org", "r1", MemberStanding::Registered));
        let taken = |known| seen.of_known(&ada, known).map(|sight| sight.taken);
        assert_eq!(taken(None), Some(true), "whose THEIRS is this list does not know");
        assert_eq!(taken(Some("r1")), Some(false));
        assert_eq!(taken(Some("r2")), Some(true));
    }

    #[test]
    fn a_page_is_of_the_same_list_however_graph_writes_its_path() {
        let list = "/beta/users/ada%40x.org/onlineMeetings/MSo%2Bx%3D/registration/registrants";
        for same in [
            "/beta/users('0b')/onlineMeetings('MSo+x=')/registration/registrants?$skiptoken=1",
            "/beta/me/onlinemeetings/MSo%2bx%3d/registration/registrants",
        ] {
            assert!(is_same_collection(list, same), "{same}");
        }
        for other in [
            "/beta/me/onlineMeetings/other/registration/registrants",
            "/beta/me/onlineMeetings/mso+x=/registration/registrants",
            "/beta/me/onlineMeetings/MSo+x=/attendanceReports",
            "/v1.0/solutions/virtualEvents/webinars/MSo+x=/registrations",
        ] {
            assert!(!is_same_collection(list, other), "{other}");
        }
    }

    /// Answers each request with a page of `members` and a next page.
    struct Endless {
        members: &'static str,
        pages: std::cell::Cell<u32>,
    }

    impl Transport for Endless {
        async fn send(&self, request: Request) -> Result<Response, TransportError> {
            self.pages.set(self.pages.get() + 1);
            let (path, page) = (request.target.split('?').next().unwrap_or(""), self.pages.get());
            let body = format!(
                r#"{{"value":[{}],"@odata.nextLink":"http://127.0.0.1:1{path}?page={page}"}}"#,
                self.members
            );
            Ok(Response { status: StatusCode::OK, headers: HeaderMap::new(), body: body.into() })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_never_ends_is_no_list() {
        for members in ["", r#"{"id":"a1","tenantId":null,"userId":null}"#] {
            let pacer = || Pacer::new(PaceOptions::default());
            let client = GraphClient::new(
                Endless { members, pages: std::cell::Cell::new(0) },
                GraphHost::parse("http://127.0.0.1:1", &TrustedHosts::default()).expect("a host"),
                Tokens::none(),
                Clock::starting(0),
                Buckets::new(pacer(), pacer()),
                fastrand::Rng::with_seed(1),
            );
            let target = Target::Meeting(Meeting::new("m1", None));
            let listed = list(&client, &target, |_| {}).await;
            assert!(matches!(listed, Err(NoList::Odd(_))), "{listed:?}");
            assert!(client.traffic().requests < 10, "{:?}", client.traffic());
        }
    }
}
