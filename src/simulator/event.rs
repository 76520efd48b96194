//! A webinar or town hall and its registrations, as the Microsoft Graph reference (v1.0) shows them in
//! `virtualEventWebinar`, `virtualEventRegistration` and `virtualEventSession`.
//!
//! The POST gives no link: an application gets 204 and nothing else. The link is in the sessions
//! of the registration, which is found by its e-mail address; one address is one registration.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::registrant::{EventKind, Mode};

use super::{
    answer::{GRAPH_TIME, Problem, Success, written},
    chance,
    config::{
        AfterCancel, Caller, CancelAnswer, Config, DateForm, EventConfig, EventPrid, EventQuestion,
        EventStatus, QuestionKind, SecondPost, TENANT,
    },
    fault::SimulatedFault,
    form::RegistrationForm,
    link::Link,
    meeting,
    register::{Record, Register, RegisterPage},
    request::{self, Key},
    stats::{EnrolledPerson, RegistrationStatus, Stats},
};

/// One webinar or town hall.
#[derive(Debug)]
pub(super) struct SimulatedEvent {
    /// As it was first called: nothing else says what it is.
    pub(super) kind: EventKind,
    hash: u64,
    pub(super) people: Register<EventEntry>,
}

/// Somebody's registration.
#[derive(Debug)]
pub(super) struct EventEntry {
    form: RegistrationForm,
    status: RegistrationStatus,
    canceled: Option<Duration>,
}

/// A record with its position.
type Numbered<'a> = (u32, &'a Record<EventEntry>);

impl SimulatedEvent {
    pub(super) fn new(config: &Config, kind: EventKind, id: &str) -> Self {
        let hash = chance::mix(chance::text(config.seed, id));
        Self { kind, hash, people: Register::default() }
    }

    pub(super) fn len(&self) -> usize {
        let all = self.people.present(0);
        all.filter(|(_, record)| record.data.status != RegistrationStatus::Canceled).count()
    }

    /// Registers somebody.
    pub(super) fn register(
        &mut self,
        context: &EventContext<'_>,
        caller: Caller,
        form: &RegistrationForm,
        stats: &mut Stats,
    ) -> Result<Success, Problem> {
        let settings = context.settings();
        if settings.status != EventStatus::Published {
            return Err(Problem::bad_request("The virtual event is not open for registration."));
        }
        if settings.audience == Mode::Organization && caller == Caller::Application {
            return Err(Problem::forbidden(
                "Anonymous registration is not allowed for this virtual event.",
            ));
        }
        form.hold_against(context.questions)?;
        let first = self
            .by_email(context.config, &form.email)
            .filter(|(_, record)| record.data.status != RegistrationStatus::Canceled)
            .last()
            .map(|(number, _)| number);
        let cancelled = self.by_email(context.config, &form.email).next().map(|(number, _)| number);
        match context.settings().after_cancel {
            AfterCancel::Refuse if first.is_none() && cancelled.is_some() => {
                return Err(Problem::bad_request("The registrant has cancelled."));
            }
            AfterCancel::Revive if first.is_none() => {
                if let Some(number) = cancelled {
                    let admitted = self.admission(context)?;
                    let entry = &mut self.people.get_mut(number).expect("found just now").data;
                    *entry = EventEntry { form: form.clone(), status: admitted, canceled: None };
                    stats.created += 1;
                    stats.mails += u64::from(context.settings().mails);
                    return Ok(Success::no_content());
                }
            }
            _ => {}
        }
        stats.duplicates += u64::from(first.is_some());
        let number = match (first, context.config.second_post) {
            (Some(first), SecondPost::Return) => first,
            (Some(_), SecondPost::Conflict) => {
                return Err(Problem::conflict("The registrant is registered already."));
            }
            _ => {
                let admission = self.admission(context)?;
                let entry = EventEntry { form: form.clone(), status: admission, canceled: None };
                stats.created += 1;
                stats.mails += u64::from(context.settings().mails);
                let hash = chance::text(context.config.seed, &form.email.to_lowercase());
                self.people.add(hash, context.now, entry)
            }
        };
        if caller == Caller::Application {
            return Ok(Success::no_content());
        }
        let record = self.people.get(number).expect("found or added just now");
        Ok(Success::json(StatusCode::CREATED, &self.entity(context, (number, record))))
    }

    /// How the next registration stands.
    fn admission(&self, context: &EventContext<'_>) -> Result<RegistrationStatus, Problem> {
        let settings = context.settings();
        if settings.approval {
            return Ok(RegistrationStatus::PendingApproval);
        }
        let full = settings.capacity.is_some_and(|capacity| {
            let registered = self
                .people
                .present(0)
                .filter(|(_, record)| context.status(record) == RegistrationStatus::Registered);
            registered.count() >= capacity
        });
        match (full, settings.waitlist) {
            (false, _) => Ok(RegistrationStatus::Registered),
            (true, true) => Ok(RegistrationStatus::Waitlisted),
            (true, false) => {
                Err(Problem::bad_request("The virtual event has reached its capacity."))
            }
        }
    }

    pub(super) fn list(
        &self,
        context: &EventContext<'_>,
        base: &str,
        path: &str,
        query: &str,
    ) -> Result<Success, Problem> {
        if let Some(expression) = request::parameter(query, "$filter") {
            let key = request::filter(&expression)
                .ok_or_else(|| Problem::bad_request("Invalid filter clause."))?;
            // "A collection of exactly one": none where there is none.
            let found = self.find(context, &key).map(|found| self.entity(context, found));
            let found: Vec<Value> = found.into_iter().collect();
            return Ok(Success::ok(&json!({"value": found})));
        }
        let page = RegisterPage::cut(context.config, base, path, query, |start| {
            self.people
                .present(start)
                .filter(|(_, record)| context.shows(record))
                .map(|found| (found.0, self.entity(context, found)))
        })?;
        Ok(Success::ok(&page))
    }

    pub(super) fn one(
        &self,
        context: &EventContext<'_>,
        key: &Key,
        query: &str,
        fault: Option<SimulatedFault>,
    ) -> Result<Success, Problem> {
        let found = self.find(context, key).ok_or_else(unknown)?;
        let mut body = self.entity(context, found);
        let expand = request::parameter(query, "$expand").unwrap_or_default();
        if expand.split(',').any(|name| name.trim().split('(').next() == Some("sessions")) {
            body["sessions"] = json!([self.session(context, found, fault)]);
        }
        Ok(Success::ok(&body))
    }

    pub(super) fn sessions(
        &self,
        context: &EventContext<'_>,
        key: &Key,
        fault: Option<SimulatedFault>,
    ) -> Result<Success, Problem> {
        let found = self.find(context, key).ok_or_else(unknown)?;
        let sessions = [self.session(context, found, fault)];
        Ok(Success::ok(&json!({"value": sessions})))
    }

    pub(super) fn cancel(
        &mut self,
        context: &EventContext<'_>,
        key: &Key,
        stats: &mut Stats,
    ) -> Result<Success, Problem> {
        let (number, _) = self.find(context, key).ok_or_else(unknown)?;
        let entry = &mut self.people.get_mut(number).expect("found just now").data;
        match context.settings().cancel_answer {
            CancelAnswer::Forbidden => return Err(Problem::forbidden("Forbidden")),
            CancelAnswer::Once if entry.status == RegistrationStatus::Canceled => {
                return Err(Problem::bad_request("The registration is cancelled already."));
            }
            CancelAnswer::Once | CancelAnswer::Always => {}
        }
        stats.mails +=
            u64::from(context.settings().mails && entry.status != RegistrationStatus::Canceled);
        if entry.status != RegistrationStatus::Canceled {
            entry.status = RegistrationStatus::Canceled;
            entry.canceled = Some(context.now);
            stats.deleted += 1;
        }
        Ok(Success::no_content())
    }

    /// The organizer's word on somebody, `None` to remove them; whether there was such a
    /// registration.
    pub(super) fn decide(
        &mut self,
        config: &Config,
        email: &str,
        status: Option<RegistrationStatus>,
    ) -> bool {
        // One that was cancelled stays so.
        let open = |(_, record): &Numbered<'_>| record.data.status != RegistrationStatus::Canceled;
        let all = self.by_email(config, email).filter(|found| status.is_none() || open(found));
        let found: Vec<u32> = all.map(|(number, _)| number).collect();
        for &number in &found {
            match status {
                Some(status) => {
                    self.people.get_mut(number).expect("found just now").data.status = status;
                }
                None => self.people.remove(number),
            }
        }
        !found.is_empty()
    }

    /// The registrations of this address, newest first, whether or not lists show them yet.
    fn by_email(&self, config: &Config, email: &str) -> impl Iterator<Item = Numbered<'_>> {
        let email = email.to_lowercase();
        let found = self.people.with_hash(chance::text(config.seed, &email));
        found.filter(move |(_, record)| record.data.form.email.to_lowercase() == email)
    }

    fn find(&self, context: &EventContext<'_>, key: &Key) -> Option<Numbered<'_>> {
        match key {
            Key::Id(id) => {
                let number = self.number(Uuid::try_parse(id).ok()?)?;
                Some((number, self.people.get(number)?)).filter(|(_, record)| context.shows(record))
            }
            // A cancelled registration gives way to a later one of the same address.
            Key::Email(email) => {
                self.by_email(context.config, email).find(|(_, record)| context.shows(record))
            }
            // Nobody whom an application registers has a user id.
            Key::UserId(_) => None,
        }
    }

    /// Graph's id of a registration: it holds the number, so that no index is needed.
    fn id(&self, number: u32) -> Uuid {
        let low = self.hash ^ u64::from(number);
        Uuid::from_u64_pair(chance::mix(low), low)
    }

    fn number(&self, id: Uuid) -> Option<u32> {
        let number = u32::try_from(id.as_u64_pair().1 ^ self.hash).ok()?;
        (self.id(number) == id).then_some(number)
    }

    fn entity(&self, context: &EventContext<'_>, (number, record): Numbered<'_>) -> Value {
        let mut body = record.data.form.to_json(context.questions);
        body["@odata.type"] = json!("#microsoft.graph.virtualEventRegistration");
        body["id"] = json!(self.id(number));
        body["userId"] = Value::Null;
        body["status"] = json!(context.status(record));
        body["registrationDateTime"] = json!(context.date(record.made));
        body["cancelationDateTime"] = json!(record.data.canceled.map(|at| context.date(at)));
        body
    }

    fn link<'a>(
        &self,
        context: &EventContext<'_>,
        (number, record): Numbered<'_>,
        prid: Option<&'a str>,
    ) -> Link<'a> {
        // Without a prid the thread alone tells one person's link from another's.
        let thread = match context.settings().prid {
            EventPrid::Absent => chance::pair(self.hash, number.into()),
            EventPrid::Posted | EventPrid::Registration => self.hash,
        };
        let (organizer, nonce) = (context.organizer(), record.nonce);
        Link { thread, nonce, tenant: TENANT, organizer, prid, public: None }
    }

    fn url(&self, context: &EventContext<'_>, found: Numbered<'_>) -> String {
        let id = self.id(found.0).to_string();
        let prid = match context.settings().prid {
            EventPrid::Absent => None,
            EventPrid::Posted => Some(found.1.data.form.registration_id.as_str()),
            EventPrid::Registration => Some(id.as_str()),
        };
        self.link(context, found, prid).url()
    }

    fn session(
        &self,
        context: &EventContext<'_>,
        found: Numbered<'_>,
        fault: Option<SimulatedFault>,
    ) -> Value {
        let registered = context.status(found.1) == RegistrationStatus::Registered;
        let url = match fault {
            Some(SimulatedFault::WrongPrid) => {
                let other = chance::uuid(found.0.into()).to_string();
                Some(self.link(context, found, Some(&other)).url())
            }
            Some(SimulatedFault::SharedLink) => Some(Link::of_everybody(self.hash)),
            Some(SimulatedFault::NoLink) => None,
            // Only who is registered surely has a link; the reference does not say.
            _ => registered.then(|| self.url(context, found)),
        };
        let time = |time: &str| match context.settings().dates {
            DateForm::Text => json!(format!("{time}Z")),
            DateForm::Object => json!({"dateTime": time, "timeZone": "UTC"}),
        };
        json!({
            "@odata.type": "#microsoft.graph.virtualEventSession",
            "id": chance::uuid(self.hash),
            "startDateTime": time(BEGIN),
            "endDateTime": time(END),
            "joinWebUrl": url,
            "subject": "Session one",
            "capabilities": [],
            "audioConferencing": null,
            "chatInfo": null,
        })
    }

    pub(super) fn books(&self, context: EventContext<'_>) -> impl Iterator<Item = EnrolledPerson> {
        self.people.present(0).filter_map(move |found| {
            let status = context.status(found.1);
            let form = &found.1.data.form;
            (status != RegistrationStatus::Canceled).then(|| EnrolledPerson {
                target: context.event.to_owned(),
                id: form.registration_id.clone(),
                email: Some(form.email.clone()),
                status,
                join_web_url: (status == RegistrationStatus::Registered)
                    .then(|| self.url(&context, found)),
            })
        })
    }
}

fn unknown() -> Problem {
    Problem::not_found("The registration was not found.")
}

/// When every webinar and its one session begin and end.
const BEGIN: &str = "2099-03-30T10:00:00";
/// When one began that has begun.
const BEGAN: &str = "2020-03-30T10:00:00";
const END: &str = "2099-03-30T17:00:00";

/// How a webinar was called, and what it says of itself.
pub(super) struct EventContext<'a> {
    pub(super) config: &'a Config,
    pub(super) kind: EventKind,
    pub(super) event: &'a str,
    pub(super) now: Duration,
    pub(super) questions: &'a [EventQuestion],
}

impl EventContext<'_> {
    fn settings(&self) -> &EventConfig {
        &self.config.event
    }

    fn date(&self, at: Duration) -> String {
        written(self.config.epoch + at, GRAPH_TIME)
    }

    fn organizer(&self) -> Uuid {
        meeting::organizer(self.config, None)
    }

    /// Whether lists and look-ups show it already.
    fn shows(&self, record: &Record<EventEntry>) -> bool {
        record.made + self.config.list_lag <= self.now
    }

    /// How it stands now: a pending registration may have been approved meanwhile.
    fn status(&self, record: &Record<EventEntry>) -> RegistrationStatus {
        let approved = self.settings().approved_after.map(|after| record.made + after);
        match record.data.status {
            RegistrationStatus::PendingApproval if approved.is_some_and(|at| at <= self.now) => {
                RegistrationStatus::Registered
            }
            status => status,
        }
    }

    pub(super) fn event(&self) -> Success {
        let settings = self.settings();
        let time = |time: &str| json!({"dateTime": time, "timeZone": "Pacific Standard Time"});
        let words = "An event that nobody will ever attend.";
        let event = json!({
            "@odata.type": match self.kind {
                EventKind::Webinar => "#microsoft.graph.virtualEventWebinar",
                EventKind::TownHall => "#microsoft.graph.virtualEventTownhall",
            },
            "id": self.event,
            "status": settings.status,
            "displayName": "Rehearsal",
            // The reference's example has a text, the metadata an itemBody.
            "description": if settings.wrapped {
                json!(words)
            } else {
                json!({"contentType": "text", "content": words})
            },
            "startDateTime": time(if settings.begun { BEGAN } else { BEGIN }),
            "endDateTime": time(END),
            "createdBy": {
                "application": null,
                "device": null,
                "user": {
                    "@odata.type": "#microsoft.graph.communicationsUserIdentity",
                    "id": self.organizer(),
                    "displayName": "Organizer",
                    "tenantId": TENANT,
                },
            },
            "audience": settings.audience.as_str(),
            "isRegistrationRequired": true,
            "settings": {"isAttendeeEmailNotificationEnabled": settings.mails},
            "coOrganizers": [],
        });
        let body = if settings.wrapped { json!({"value": event}) } else { event };
        Success::ok(&body)
    }

    pub(super) fn configuration(&self) -> Success {
        let settings = self.settings();
        let mut body = json!({
            "registrationWebUrl":
                format!("https://events.teams.microsoft.com/event/{}", self.event),
            "isManualApprovalEnabled": settings.approval,
            "isWaitlistEnabled": settings.waitlist,
        });
        if let Some(capacity) = settings.capacity {
            body["capacity"] = json!(capacity);
        }
        Success::ok(&body)
    }

    pub(super) fn questions(&self) -> Success {
        let questions: Vec<Value> = self.questions.iter().map(question).collect();
        Success::ok(&json!({"value": questions}))
    }
}

fn question(question: &EventQuestion) -> Value {
    let mut body = json!({
        "@odata.type": "#microsoft.graph.virtualEventRegistrationCustomQuestion",
        "id": question.id,
        "displayName": question.display_name,
        "isRequired": question.required,
    });
    let (kind, choices): (_, &[String]) = match &question.kind {
        QuestionKind::Predefined(label) => {
            body["@odata.type"] =
                json!("#microsoft.graph.virtualEventRegistrationPredefinedQuestion");
            body["label"] = json!(label);
            return body;
        }
        QuestionKind::Text => ("text", &[]),
        QuestionKind::MultilineText => ("multilineText", &[]),
        QuestionKind::SingleChoice(choices) => ("singleChoice", choices),
        QuestionKind::MultiChoice(choices) => ("multiChoice", choices),
        QuestionKind::Boolean => ("boolean", &[]),
    };
    body["answerInputType"] = json!(kind);
    body["answerChoices"] = json!(choices);
    body
}
