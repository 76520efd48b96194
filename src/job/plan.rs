//! The plan: one [`Decision`] for each row of the input, made in one pass over it.
//!
//! A pure function of rows, ledger and what the target's list shows. The engine acts on the decisions,
//! the files are written from them and the ledger. What a later row can change (a repeated id that
//! was enrolled for the later row's person, an address that the later row's person holds, ids that
//! have come to other people) is amended in memory once the pass is over.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    conduct::CancelMode,
    decision::{Action, Decision, Difference, Refused, changed_since, decide, ended},
    identity::{IdsMoved, KnownPerson, LARGE_SHARE, MANY, Misfit, People, PeopleList},
    remote::{RemoteIndex, RemoteMatch},
    roll_call::{CancelOrder, CancelPlan, RollCall},
    row::Work,
};
use crate::{
    input::{
        Clashes, IdTrap, InputError, ListIdentity, Row, RowCheck, RowLine, Rows, Snapshot,
        Validator, parse_row,
    },
    ledger::{Entry, Ledger, LedgerError, ListRead, LookUps, Over, Seq, State, sent_digest},
    registrant::{
        Fault, FaultCode, Field, FingerprintKey, Fingerprinter, Mode, PersonFingerprint,
        Registrant, RegistrantId, Rule,
    },
};

/// A fault of the input or the ledger that ends the run before anything is posted.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The id column is not one.
    #[error(transparent)]
    Trap(#[from] IdTrap),
    /// The ids are others than in earlier runs.
    #[error(transparent)]
    Moved(#[from] IdsMoved),
    /// More people than the event has places, and nobody to wait.
    #[error(
        "{people} people are to be registered and the event has {places} places left and no waiting list: nothing was sent; its organizer can raise the capacity or add a waiting list in Teams, or --over-capacity registers as many as find a place"
    )]
    OverCapacity { people: u64, places: u64 },
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// How many rows were decided how. A row that shares another's enrolment counts under `read` alone,
/// or as invalid with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanCounts {
    /// Rows of the input.
    pub read: u64,
    /// Rows that a filter leaves out.
    pub excluded: u64,
    /// Rows that break the rule.
    pub invalid: u64,
    /// Of these, rows that have another row's id and differ from it.
    pub duplicates: u64,
    /// People to be posted.
    pub to_post: u64,
    /// People whom the webinar holds already, and this ledger never sent.
    pub held: u64,
    /// Rows enrolled in an earlier run.
    pub already: u64,
    /// Of these, rows whose details differ from what the target has.
    pub otherwise: u64,
    /// People whom this ledger enrolled and no row names.
    pub missing: u64,
    /// Rows that are invalid for want of an answer.
    pub unanswered: u64,
    /// Rows in doubt since an earlier run.
    pub in_doubt: u64,
    /// Rows that the webinar took in an earlier run, and whose links were not had yet.
    pub awaiting: u64,
    /// Rows with another address, tenant or user than they were enrolled with.
    pub changed: u64,
    /// Rows that tell another person than the one whom their id was enrolled for.
    pub strangers: u64,
    /// Rows that the server holds and this ledger never sent.
    pub foreign: u64,
    /// Rows whose registration came to its end on the target.
    pub gone: u64,
    /// Rows with `tenantId` or `userId` that mode `everyone` does not send.
    pub not_sent: u64,
}

/// What a run is about to do.
pub struct Plan {
    /// The rule that rows were held against.
    pub rule: Rule,
    /// How many rows were decided how.
    pub counts: PlanCounts,
    /// What speaks against the id column: then nothing may be posted.
    pub trap: Option<IdTrap>,
    /// How many rows with a new id tell people who are known under another that the list no longer
    /// has; with the line of the first one.
    pub again: Option<(u64, u64)>,
    /// What the target's list shows.
    pub remote: RemoteIndex,
    /// Rows in doubt since an earlier run, with the time since when, in milliseconds since 1970.
    pub in_doubt: Vec<(Work, i64)>,
    /// Rows that are enrolled, were posted again once, and that the target's list shows twice.
    pub listed_twice: Vec<Work>,
    /// Rows that the webinar took in an earlier run, and whose links were not had yet.
    pub awaiting: Vec<Work>,
    /// What the ledger is to learn of people.
    pub learnt: Vec<(Seq, PersonFingerprint)>,
    /// Whose registrations have come to their end on the target, and how.
    pub ended: Vec<(Seq, Over)>,
    /// What was decided about the ledger's people whom no row keeps; `None` where nobody is to be
    /// cancelled.
    pub cancel: Option<CancelPlan>,
    rows: Vec<Decision>,
    key: FingerprintKey,
}

impl Plan {
    /// Reads the input once and decides about each of its rows. `remote` is what the target's list
    /// shows; whom a meeting's list shows and this ledger never sent is in the ledger already. `trust_ids`: whoever has an id is the person
    /// whom it was enrolled for.
    ///
    /// # Errors
    /// [`JobError`]: the input cannot be read to its end, the ledger fails, or the ids are others
    /// than in earlier runs.
    pub fn of(
        input: &Snapshot,
        rule: Rule,
        ledger: &Ledger,
        remote: RemoteIndex,
        trust_ids: bool,
        cancel: &CancelOrder,
    ) -> Result<Self, JobError> {
        let key = ledger.fingerprint_key();
        let people = People::new(input.tells_people() != (false, false) && ledger.knows_people()?);
        let mut pass = Pass {
            rule: &rule,
            may_hold_more: rule == Rule::Meeting(Mode::Everyone)
                && [Field::TenantId, Field::UserId].iter().any(|f| input.mapping().fills(f)),
            remote,
            fingerprinter: Fingerprinter::new(key),
            rows: Vec::new(),
            people,
            same_id: Vec::new(),
            same_address: BTreeMap::new(),
            in_doubt: Vec::new(),
            awaiting: Vec::new(),
            listed_twice: Vec::new(),
            listed: HashSet::new(),
            ended: Vec::new(),
            roll_call: (cancel.policy.mode != CancelMode::Never).then(RollCall::default),
            named: Vec::new(),
            changed: BTreeMap::new(),
            counts: PlanCounts::default(),
        };
        let trap = pass.read(input, ledger)?;
        pass.settle_ids();
        pass.settle_addresses();
        // Whoever the list names by the id that a registration has is the one it belongs to, whatever
        // row has its address now.
        let Pass { mut remote, listed, roll_call, .. } = pass;
        remote.mark_taken(|id| -> Result<bool, LedgerError> {
            Ok(listed.contains(id.as_str()) || ledger.find(id)?.is_some())
        })?;
        let Pass {
            mut rows,
            people,
            in_doubt,
            awaiting,
            listed_twice,
            ended,
            named,
            changed,
            mut counts,
            ..
        } = pass;
        ledger.for_each_own(|seq| counts.missing += u64::from(!is_named(&named, seq)))?;
        if input.detected().rejects {
            // The others' rows stand in the list that it was made from.
            counts.missing = 0;
        }
        let mut again = None;
        if !trust_ids {
            let (email, name) = input.tells_people();
            let list = PeopleList {
                told: PersonFingerprint { email: email.into(), name: name.into() },
                column: &input.mapping().shown(&Field::Id),
                is_rejects_file: input.detected().rejects,
            };
            let judgement = people.judge(&rows, &list, |tell| -> Result<(), JobError> {
                Ok(ledger.for_each_fingerprint(tell)?)
            })?;
            for (row, mismatch) in judgement.mismatches {
                rows[row].action = Action::Refuse(Refused::OtherPerson(mismatch));
            }
            again = judgement.again;
        }
        let read = rows.len() as u64;
        let cancel = roll_call
            .map(|roll_call| roll_call.decide(input, read, ledger, &remote, cancel))
            .transpose()?;
        let stands = |row: usize, action| rows[row].action == action;
        let in_doubt = in_doubt.into_iter().filter(|it| stands(it.0, Action::Reconcile));
        let awaiting = awaiting.into_iter().filter(|it| stands(it.0, Action::FetchLink));
        let listed_twice = listed_twice.into_iter().filter(|it| stands(it.0, Action::Already));
        let mut plan = Self {
            counts,
            trap,
            again,
            remote,
            in_doubt: in_doubt.map(|(_, work, since)| (work, since)).collect(),
            awaiting: awaiting.map(|(_, work)| work).collect(),
            listed_twice: listed_twice.map(|(_, work)| work).collect(),
            learnt: people.learnt(&rows),
            ended,
            cancel,
            rows,
            rule,
            key,
        };
        plan.count();
        if !trust_ids && !input.detected().rejects {
            plan.hold_changed(input, &changed)?;
        }
        Ok(plan)
    }

    /// The decision about the nth row of the input: a row that shares another's enrolment has that
    /// one's, and of rows that stand against it the ones that stand themselves are named.
    pub fn decision(&self, nth: usize) -> Option<Decision> {
        let own = *self.rows.get(nth)?;
        let mut decision = match own.action {
            Action::Shares(line) => Decision { line: own.line, ..*at(&self.rows, line) },
            _ => own,
        };
        if let Action::Invalid(Clashes { id, address }) = &mut decision.action {
            *id = id.map(|line| at(&self.rows, line).clashes().id.unwrap_or(line));
            *address = address.map(|line| at(&self.rows, line).clashes().address.unwrap_or(line));
        }
        Some(decision)
    }

    /// Whether nothing is to be asked of the target beside its rule and its list, cancellations aside.
    pub fn is_idle(&self) -> bool {
        let PlanCounts { to_post, held, in_doubt, awaiting, .. } = self.counts;
        to_post + held + in_doubt + awaiting == 0 && self.listed_twice.is_empty()
    }

    /// The rows to be posted or adopted, read from the input once more as their turn comes, each
    /// with what the webinar's list shows of it. Where there are none, nothing is read.
    pub fn work<'a>(&'a self, input: &'a Snapshot) -> PlannedRows<'a> {
        PlannedRows {
            plan: self,
            input,
            rows: None,
            row: Row::new(),
            fingerprinter: Fingerprinter::new(self.key),
            next: 0,
            left: self.counts.to_post + self.counts.held,
        }
    }

    /// In what a row is not the person whom it was enrolled for; empty where its details alone differ.
    pub fn changed_identity(&self, row: &Row, entry: &Entry) -> Vec<String> {
        let Some(registrant) = parse_again(row, &self.rule) else { return Vec::new() };
        let person = row.mark(&mut Fingerprinter::new(self.key));
        let changed = changed_since(entry, &sent_digest(&registrant), person, &self.rule);
        match Difference::of(&changed, &self.rule) {
            Difference::Identity => changed,
            Difference::None | Difference::Details => Vec::new(),
        }
    }

    /// Holds it against the list that many people changed what the target knows them by: then a column
    /// is another one, rather than they. `fields`: how many rows have another value of which.
    fn hold_changed(
        &self,
        input: &Snapshot,
        fields: &BTreeMap<String, u64>,
    ) -> Result<(), IdsMoved> {
        let PlanCounts { changed: people, read, excluded, .. } = self.counts;
        let (of, is_changed) = (read - excluded, Action::Refuse(Refused::Changed));
        if people < MANY || people * LARGE_SHARE < of {
            return Ok(());
        }
        let commonest = fields.iter().max_by_key(|(_, count)| **count);
        let field = commonest.map_or(String::new(), |(name, _)| name.clone());
        let shown = |field: &Field| input.mapping().shown(field);
        let from = field.parse().map_or(String::new(), |field| shown(&field));
        let first = self.rows.iter().find(|row| row.action == is_changed);
        let first = first.map_or(0, Decision::line);
        Err(IdsMoved::OtherField { people, of, first, field, from, column: shown(&Field::Id) })
    }

    /// Lets the ledger remember the list, and who is missing from it. Where nobody is to be cancelled
    /// nobody's absence is found out, so it begins anew.
    pub fn store_list(
        &self,
        input: &Snapshot,
        ledger: &mut Ledger,
        at: i64,
    ) -> Result<(), LedgerError> {
        if let Some(CancelPlan { list, complete, absent, .. }) = &self.cancel {
            return ledger.store_list(list, *complete, at, absent.iter().copied());
        }
        let ListIdentity { written_at, content, reading } = input.identity();
        let PlanCounts { read: rows, invalid, .. } = self.counts;
        let complete = rows > 0 && invalid == 0 && input.is_whole_list();
        let list = ListRead { written_at, content, reading, rows };
        ledger.store_list(&list, complete, at, [])
    }

    fn count(&mut self) {
        let mut counts = PlanCounts { read: self.rows.len() as u64, ..self.counts };
        for (nth, row) in self.rows.iter().enumerate() {
            let decided = self.decision(nth).map_or(row.action, |decision| decision.action);
            let shares = matches!(row.action, Action::Shares(_));
            let place = match decided {
                Action::Invalid(clashes) => {
                    counts.duplicates += u64::from(clashes.id.is_some());
                    &mut counts.invalid
                }
                Action::Excluded => &mut counts.excluded,
                _ if shares => continue,
                Action::Shares(_) => continue,
                Action::Enrol => &mut counts.to_post,
                Action::Adopt => &mut counts.held,
                Action::Already => &mut counts.already,
                Action::AlreadyOtherwise => {
                    counts.otherwise += 1;
                    &mut counts.already
                }
                Action::Reconcile => &mut counts.in_doubt,
                Action::FetchLink => &mut counts.awaiting,
                Action::Refuse(Refused::Changed) => &mut counts.changed,
                Action::Refuse(Refused::OtherPerson(_)) => &mut counts.strangers,
                Action::Refuse(Refused::Foreign) => &mut counts.foreign,
                Action::Refuse(Refused::Gone) => &mut counts.gone,
            };
            *place += 1;
        }
        self.counts = counts;
    }
}

/// What a row is by itself, read after its decision; also where its answers do not fit the form.
fn parse_again(row: &Row, rule: &Rule) -> Option<Registrant> {
    parse_row(row, rule).or_else(|faults| without_answers(row, &faults, rule).ok_or(faults)).ok()
}

/// Who a row is to somebody who was enrolled before: what a form asks more than it did then, it asks of
/// new people only.
fn without_answers(row: &Row, faults: &[Fault], rule: &Rule) -> Option<Registrant> {
    let of_an_answer =
        |fault: &Fault| matches!(fault.code, FaultCode::MissingAnswer | FaultCode::BadAnswer);
    let parsed = || parse_row(row, &rule.without_questions()).ok();
    faults.iter().all(of_an_answer).then(parsed)?
}

fn is_named(named: &[bool], seq: Seq) -> bool {
    usize::try_from(seq.number()).ok().and_then(|at| named.get(at)).copied().unwrap_or(false)
}

/// The place of the row that begins in this line.
fn place(rows: &[Decision], line: RowLine) -> usize {
    rows.partition_point(|row| row.line < line)
}

fn at(rows: &[Decision], line: RowLine) -> &Decision {
    &rows[place(rows, line)]
}

/// A row whose id an earlier row has, with other cells, and which the ledger may have the id for.
struct SameId {
    /// The first row with the id.
    first: RowLine,
    known: KnownPerson,
    fingerprint: u64,
    /// What would be done about it if the id were its own.
    decision: Decision,
    address: Option<RowLine>,
}

/// One pass over the rows, and what it leaves to be settled behind the last one.
struct Pass<'a> {
    rule: &'a Rule,
    /// Whether rows may hold what is not sent.
    may_hold_more: bool,
    remote: RemoteIndex,
    fingerprinter: Fingerprinter,
    rows: Vec<Decision>,
    people: People,
    same_id: Vec<SameId>,
    /// By the row that claimed an address first: the others, with what would be done about them if
    /// it were theirs.
    same_address: BTreeMap<RowLine, Vec<(usize, Decision)>>,
    in_doubt: Vec<(usize, Work, i64)>,
    awaiting: Vec<(usize, Work)>,
    listed_twice: Vec<(usize, Work)>,
    /// Ids of the input that the target's list shows.
    listed: HashSet<String>,
    /// Whose registrations have come to their end.
    ended: Vec<(Seq, Over)>,
    /// Where somebody may be cancelled.
    roll_call: Option<RollCall>,
    /// By their numbers: the registrants whom a row names, also one that is left out or invalid.
    named: Vec<bool>,
    /// How many rows have another value of which of the fields that the target knows people by.
    changed: BTreeMap<String, u64>,
    /// What later counting cannot tell.
    counts: PlanCounts,
}

impl Pass<'_> {
    fn read(&mut self, input: &Snapshot, ledger: &Ledger) -> Result<Option<IdTrap>, JobError> {
        let (mut rows, mut row) = (input.rows()?, Row::new());
        let mut validator = Validator::new(self.rule.clone());
        let mut look_ups = ledger.look_ups()?;
        while rows.read(&mut row)? {
            let check = validator.check(&row);
            let decision = self.decide(&row, check, &mut look_ups)?;
            if matches!(decision.action, Action::Excluded | Action::Invalid(_))
                && let Ok(id) = RegistrantId::parse(row.fields().id.unwrap_or_default())
                && let Some(entry) = look_ups.find(&id)?
            {
                self.name(entry.seq);
            }
            self.rows.push(decision);
            if let Some(roll_call) = &mut self.roll_call {
                roll_call.note(&row, decision, &mut look_ups)?;
            }
            if let Some(id) = row.fields().id.filter(|id| self.remote.has_posted(id)) {
                self.listed.insert(id.to_owned());
            }
        }
        Ok(validator.id_trap())
    }

    /// Decides about one row by the rows before it.
    fn decide(
        &mut self,
        row: &Row,
        check: Option<RowCheck>,
        look_ups: &mut LookUps<'_>,
    ) -> Result<Decision, LedgerError> {
        let plain = |action| Decision::new(row.line(), None, action);
        let Some(check) = check else { return Ok(plain(Action::Excluded)) };
        let RowCheck { registrant, clashes, repeats, fingerprint } = check;
        let (registrant, faults) = match registrant {
            Ok(registrant) => (registrant, Vec::new()),
            Err(faults) => match without_answers(row, &faults, self.rule) {
                Some(registrant) => (registrant, faults),
                None => return Ok(plain(Action::Invalid(clashes))),
            },
        };
        if clashes == Clashes::default() {
            self.count_not_sent(row);
        }
        if let Some(first) = repeats {
            return Ok(plain(Action::Shares(first)));
        }
        let entry = look_ups.find(&registrant.id)?;
        let held =
            |entry: &Entry| matches!(entry.state, State::Enrolled | State::Awaiting | State::Gone);
        if !faults.is_empty() && !entry.as_ref().is_some_and(held) {
            let missing = faults.iter().any(|fault| fault.code == FaultCode::MissingAnswer);
            self.counts.unanswered += u64::from(missing);
            return Ok(plain(Action::Invalid(clashes)));
        }
        if clashes.id.is_some() && entry.is_none() {
            return Ok(plain(Action::Invalid(clashes)));
        }
        if let Some(entry) = &entry {
            self.name(entry.seq);
        }
        let nth = self.rows.len();
        let known = entry.is_some() || self.people.ledger_knows;
        let person =
            if known { row.mark(&mut self.fingerprinter) } else { PersonFingerprint::UNKNOWN };
        let sent = if entry.is_some() { sent_digest(&registrant) } else { String::new() };
        let fields = entry.as_ref().map(|it| changed_since(it, &sent, person, self.rule));
        let difference = Difference::of(fields.as_deref().unwrap_or_default(), self.rule);
        let changed = difference == Difference::Identity;
        let known_person =
            entry.as_ref().and_then(|entry| KnownPerson::of(nth, entry, person, changed));
        let listed = self.remote.word(&registrant, entry.as_ref());
        let action = decide(entry.as_ref(), listed, difference);
        if action == Action::Refuse(Refused::Changed) {
            for field in fields.unwrap_or_default() {
                *self.changed.entry(field).or_default() += 1;
            }
        }
        let over = entry.as_ref().and_then(|entry| Some((entry.seq, ended(entry, listed)?)));
        self.ended.extend(over);
        let decision = Decision::new(row.line(), entry.as_ref(), action);
        if clashes.id.is_none() && clashes.address.is_none() {
            self.people.note(nth, entry.as_ref(), person, changed);
        }
        if let Some(entry) = entry {
            let work = Work::new(registrant, sent, person, row.line());
            if action == Action::Already
                && self.remote.shows_twice(work.registrant.id.as_str())
                && look_ups.was_posted_again(entry.seq)?
            {
                let work = Work { seq: Some(entry.seq), doubted: true, ..work };
                self.listed_twice.push((nth, work));
            } else {
                self.keep_open(nth, action, &entry, work);
            }
        }
        match (clashes.id, clashes.address) {
            (Some(first), address) => {
                let rival = known_person.map(|known| SameId {
                    first,
                    known,
                    fingerprint,
                    decision,
                    address,
                });
                self.same_id.extend(rival);
            }
            (None, Some(holder)) => {
                self.same_address.entry(holder).or_default().push((nth, decision));
            }
            (None, None) => return Ok(decision),
        }
        Ok(plain(Action::Invalid(clashes)))
    }

    /// Keeps a row that an earlier run has left open.
    fn keep_open(&mut self, nth: usize, action: Action, entry: &Entry, work: Work) {
        let work = Work { seq: Some(entry.seq), ..work };
        if action == Action::Reconcile {
            let since = entry.touched_at.unwrap_or(0);
            self.in_doubt.push((nth, Work { doubted: true, ..work }, since));
        } else if action == Action::FetchLink {
            let (adopted, server_id) = (entry.is_adopted(), entry.registrant_id.clone());
            self.awaiting.push((nth, Work { adopted, server_id, ..work }));
        }
    }

    fn name(&mut self, seq: Seq) {
        let Ok(at) = usize::try_from(seq.number()) else { return };
        if self.named.len() <= at {
            self.named.resize(at + 1, false);
        }
        self.named[at] = true;
    }

    fn count_not_sent(&mut self, row: &Row) {
        if self.may_hold_more {
            let fields = row.fields();
            let filled = |cell: Option<&str>| cell.is_some_and(|text| !text.trim().is_empty());
            self.counts.not_sent += u64::from(filled(fields.tenant_id) || filled(fields.user_id));
        }
    }

    /// Gives each id that several rows have to the row that fits the ledger best: that of the person
    /// whom it was enrolled for, wherever the row stands. Of equals to the first one.
    fn settle_ids(&mut self) {
        let rivals = std::mem::take(&mut self.same_id);
        let contested: HashSet<usize> =
            rivals.iter().map(|rival| place(&self.rows, rival.first)).collect();
        let mut best: HashMap<usize, (Misfit, Option<&SameId>)> = HashMap::new();
        for known in self.people.known.iter().filter(|known| contested.contains(&known.row)) {
            best.insert(known.row, (known.misfit(), None));
        }
        for rival in &rivals {
            if let Some(best) = best.get_mut(&place(&self.rows, rival.first))
                && rival.known.misfit() < best.0
            {
                *best = (rival.known.misfit(), Some(rival));
            }
        }
        best.retain(|_, best| best.1.is_some());
        self.people.known.retain(|known| !best.contains_key(&known.row));
        for rival in &rivals {
            let first = place(&self.rows, rival.first);
            let Some(&(_, Some(winner))) = best.get(&first) else { continue };
            let (line, nth) = (winner.decision.line, rival.known.row);
            self.rows[first].action =
                Action::Invalid(Clashes { id: Some(line), ..self.rows[first].clashes() });
            if nth != winner.known.row {
                if rival.fingerprint == winner.fingerprint {
                    self.rows[nth].action = Action::Shares(line);
                }
            } else if let Some(holder) = rival.address {
                let clash = Clashes { address: Some(holder), id: None };
                self.rows[nth].action = Action::Invalid(clash);
                self.same_address.entry(holder).or_default().push((nth, rival.decision));
            } else {
                self.rows[nth] = rival.decision;
                self.people.known.push(rival.known);
            }
        }
    }

    /// Gives each address that several ids have to the row that the ledger holds already, wherever it
    /// stands: a list that is sorted anew takes nobody's link. Else to the first one.
    fn settle_addresses(&mut self) {
        for (holder, others) in std::mem::take(&mut self.same_address) {
            let first = place(&self.rows, holder);
            let own = Some((first, self.rows[first])).filter(|(_, it)| !it.is_invalid());
            let rows = || own.into_iter().chain(others.iter().copied());
            let Some((nth, decision)) =
                rows().find(|(_, it)| it.is_held()).or_else(|| rows().next())
            else {
                continue;
            };
            if nth != first {
                let address = Some(decision.line);
                let clashes = Clashes { address, ..self.rows[first].clashes() };
                self.rows[first].action = Action::Invalid(clashes);
                self.rows[nth] = decision;
            }
        }
    }
}

/// The rows of a plan that are to be posted or adopted.
pub struct PlannedRows<'a> {
    plan: &'a Plan,
    input: &'a Snapshot,
    /// Once the first row is asked for.
    rows: Option<Rows>,
    row: Row,
    fingerprinter: Fingerprinter,
    next: usize,
    /// How many rows are still to come: behind the last one nothing is read.
    left: u64,
}

impl PlannedRows<'_> {
    /// Reads on to the next row with something to be sent.
    fn read(&mut self) -> Result<Option<(Work, Option<RemoteMatch>)>, InputError> {
        while self.left > 0 {
            let rows = match &mut self.rows {
                Some(rows) => rows,
                none => none.insert(self.input.rows()?),
            };
            if !rows.read(&mut self.row)? {
                break;
            }
            let decision = self.plan.rows.get(self.next).map(|decision| decision.action);
            self.next += 1;
            let adopt = match decision {
                Some(Action::Enrol) => false,
                Some(Action::Adopt) => true,
                _ => continue,
            };
            self.left -= 1;
            // The copy of the input has not changed, so a row that was valid still is.
            if let Some(registrant) = parse_again(&self.row, &self.plan.rule) {
                let sent = sent_digest(&registrant);
                let shown = self.plan.remote.of(&registrant).filter(|_| adopt);
                let person = self.row.mark(&mut self.fingerprinter);
                return Ok(Some((Work::new(registrant, sent, person, self.row.line()), shown)));
            }
        }
        Ok(None)
    }
}

impl Iterator for PlannedRows<'_> {
    type Item = Result<(Work, Option<RemoteMatch>), InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
