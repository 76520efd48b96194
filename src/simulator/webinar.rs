//! A webinar and its registrations, as the Microsoft Graph reference (v1.0) shows them in
//! `virtualEventWebinar`, `virtualEventRegistration` and `virtualEventSession`.
//!
//! The POST gives no link: an application gets 204 and nothing else. The link is in the sessions
//! of the registration, which is found by its e-mail address; one address is one registration.

use std::{collections::HashMap, time::Duration};

use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::registrant::Mode;

use super::{
    answer::{Problem, Success},
    chance,
    config::{
        Caller, Config, DateForm, QuestionKind, SecondPost, WebinarConfig, WebinarPrid,
        WebinarQuestion, WebinarStatus,
    },
    fault::SimulatedFault,
    form::{RegistrationForm, Shared},
    link::Link,
    meeting,
    register::{self, Record, Register},
    request::{self, Key},
    stats::{EnrolledPerson, Stats},
};

/// How a registration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RegistrationStatus {
    /// With a link.
    Registered,
    /// Cancelled.
    Canceled,
    /// The webinar was full.
    Waitlisted,
    /// The organizer has not decided yet.
    PendingApproval,
    /// The organizer said no.
    RejectedByOrganizer,
}

impl RegistrationStatus {
    /// As Graph spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Canceled => "canceled",
            Self::Waitlisted => "waitlisted",
            Self::PendingApproval => "pendingApproval",
            Self::RejectedByOrganizer => "rejectedByOrganizer",
        }
    }
}

/// One webinar.
#[derive(Debug)]
pub(super) struct SimulatedWebinar {
    hash: u64,
    register: Register<Registration>,
    /// What many people have in common: held once.
    shared: Vec<Shared>,
    /// Cancelled registrations, and when.
    canceled: HashMap<u32, Duration>,
}

#[derive(Debug)]
struct Registration {
    status: RegistrationStatus,
    /// The place in `shared`.
    shared: u16,
}

/// A record with its number.
type Found<'a> = (u32, &'a Record<Registration>);

impl SimulatedWebinar {
    pub(super) fn new(config: &Config, id: &str) -> Self {
        Self {
            hash: chance::mix(chance::text(config.seed, id)),
            register: Register::default(),
            shared: Vec::new(),
            canceled: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.register.from(0).filter(|(_, r)| r.data.status != RegistrationStatus::Canceled).count()
    }

    /// Counts an attempt to register this address.
    pub(super) fn attempt(&mut self, hash: u64) -> u32 {
        self.register.attempt(hash)
    }

    /// Registers somebody.
    pub(super) fn register(
        &mut self,
        context: &WebinarContext<'_>,
        caller: Caller,
        form: &RegistrationForm,
        stats: &mut Stats,
    ) -> Result<Success, Problem> {
        let settings = context.settings();
        if settings.status != WebinarStatus::Published {
            return Err(Problem::bad_request("The virtual event is not open for registration."));
        }
        if settings.audience == Mode::Organization && caller == Caller::Application {
            return Err(Problem::forbidden(
                "Anonymous registration is not allowed for this virtual event.",
            ));
        }
        form.hold_against(&settings.questions)?;
        let first = self
            .by_email(context, &form.email)
            .filter(|(_, record)| record.data.status != RegistrationStatus::Canceled)
            .last()
            .map(|(number, _)| number);
        if first.is_some() {
            stats.duplicates += 1;
        }
        let number = match (first, context.config.second_post) {
            (Some(first), SecondPost::Return) => first,
            (Some(_), SecondPost::Conflict) => {
                return Err(Problem::conflict("The registrant is registered already."));
            }
            _ => {
                let standing =
                    Registration { status: self.admission(context)?, shared: self.share(form)? };
                stats.created += 1;
                let hash = chance::text(context.config.seed, &form.email.to_lowercase());
                self.register.add(hash, &form.to_text(), context.now, standing)
            }
        };
        if caller == Caller::Application {
            return Ok(Success::no_content());
        }
        let record = self.register.get(number).expect("found or added just now");
        Ok(Success::json(StatusCode::CREATED, &self.entity(context, (number, record))))
    }

    /// The place of this form's shared part.
    fn share(&mut self, form: &RegistrationForm) -> Result<u16, Problem> {
        let known = self.shared.iter().position(|shared| *shared == form.shared);
        let place = known.unwrap_or_else(|| {
            self.shared.push(form.shared.clone());
            self.shared.len() - 1
        });
        u16::try_from(place)
            .map_err(|_| Problem::bad_request("Too many different time zones and referrers."))
    }

    fn form(&self, record: &Record<Registration>) -> RegistrationForm {
        let shared = self.shared[usize::from(record.data.shared)].clone();
        RegistrationForm::from_text(self.register.text(record), shared)
    }

    /// How the next registration stands.
    fn admission(&self, context: &WebinarContext<'_>) -> Result<RegistrationStatus, Problem> {
        let settings = context.settings();
        if settings.approval {
            return Ok(RegistrationStatus::PendingApproval);
        }
        let full = settings.capacity.is_some_and(|capacity| {
            let registered = self
                .register
                .from(0)
                .filter(|(_, record)| status(context, record) == RegistrationStatus::Registered);
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
        context: &WebinarContext<'_>,
        path: &str,
        query: &str,
    ) -> Result<Success, Problem> {
        if let Some(expression) = request::parameter(query, "$filter") {
            let key = request::filter(&expression)
                .ok_or_else(|| Problem::bad_request("Invalid filter clause."))?;
            // "A collection of exactly one": none where there is none.
            let found: Vec<Value> = self
                .find(context, &key)
                .map(|found| self.entity(context, found))
                .into_iter()
                .collect();
            return Ok(Success::json(StatusCode::OK, &json!({"value": found})));
        }
        let page = register::cut(context.config, context.base, path, query, |start| {
            self.register
                .from(start)
                .filter(|(_, record)| shows(context, record))
                .map(|(number, record)| (number, self.entity(context, (number, record))))
        })?;
        Ok(Success::json(StatusCode::OK, &page))
    }

    pub(super) fn one(
        &self,
        context: &WebinarContext<'_>,
        key: &Key<'_>,
        query: &str,
        shape: Option<SimulatedFault>,
    ) -> Result<Success, Problem> {
        let found = self.find(context, key).ok_or_else(unknown)?;
        let mut body = self.entity(context, found);
        let expand = request::parameter(query, "$expand").unwrap_or_default();
        if expand.split(',').any(|name| name.trim().split('(').next() == Some("sessions")) {
            body["sessions"] = json!([self.session(context, found, shape)]);
        }
        Ok(Success::json(StatusCode::OK, &body))
    }

    pub(super) fn sessions(
        &self,
        context: &WebinarContext<'_>,
        key: &Key<'_>,
        shape: Option<SimulatedFault>,
    ) -> Result<Success, Problem> {
        let found = self.find(context, key).ok_or_else(unknown)?;
        let sessions = [self.session(context, found, shape)];
        Ok(Success::json(StatusCode::OK, &json!({"value": sessions})))
    }

    pub(super) fn cancel(
        &mut self,
        context: &WebinarContext<'_>,
        key: &Key<'_>,
        stats: &mut Stats,
    ) -> Result<Success, Problem> {
        let (number, _) = self.find(context, key).ok_or_else(unknown)?;
        let record = self.register.get_mut(number).expect("found just now");
        if record.data.status != RegistrationStatus::Canceled {
            record.data.status = RegistrationStatus::Canceled;
            self.canceled.insert(number, context.now);
            stats.deleted += 1;
        }
        Ok(Success::no_content())
    }

    /// The organizer's word on somebody; whether there was such a registration.
    pub(super) fn decide(
        &mut self,
        context: &WebinarContext<'_>,
        email: &str,
        status: RegistrationStatus,
    ) -> bool {
        let found: Vec<u32> = self.by_email(context, email).map(|(number, _)| number).collect();
        for &number in &found {
            if let Some(record) = self.register.get_mut(number) {
                record.data.status = status;
            }
        }
        !found.is_empty()
    }

    /// The registrations of this address, newest first, whether or not lists show them yet.
    fn by_email(
        &self,
        context: &WebinarContext<'_>,
        email: &str,
    ) -> impl Iterator<Item = Found<'_>> {
        let email = email.to_lowercase();
        let hash = chance::text(context.config.seed, &email);
        self.register
            .with_hash(hash)
            .filter_map(|number| Some((number, self.register.get(number)?)))
            .filter(move |(_, record)| {
                RegistrationForm::email_in(self.register.text(record)).to_lowercase() == email
            })
    }

    fn find(&self, context: &WebinarContext<'_>, key: &Key<'_>) -> Option<Found<'_>> {
        match key {
            Key::Id(id) => {
                let number = self.number(Uuid::try_parse(id).ok()?)?;
                Some((number, self.register.get(number)?))
                    .filter(|(_, record)| shows(context, record))
            }
            // A cancelled registration gives way to a later one of the same address.
            Key::Email(email) => {
                self.by_email(context, email).find(|(_, record)| shows(context, record))
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

    fn entity(&self, context: &WebinarContext<'_>, (number, record): Found<'_>) -> Value {
        let mut body = self.form(record).to_json(&context.settings().questions);
        let status = status(context, record);
        body["@odata.type"] = json!("#microsoft.graph.virtualEventRegistration");
        body["id"] = json!(self.id(number));
        body["userId"] = Value::Null;
        body["status"] = json!(status.as_str());
        body["registrationDateTime"] = json!(context.date(record.made()));
        body["cancelationDateTime"] = json!(self.canceled.get(&number).map(|at| context.date(*at)));
        body
    }

    fn link(&self, context: &WebinarContext<'_>, (number, record): Found<'_>) -> Link<'static> {
        // Without a prid the thread alone tells one person's link from another's.
        let thread = match context.settings().prid {
            WebinarPrid::Absent => chance::pair(self.hash, number.into()),
            _ => self.hash,
        };
        Link {
            thread,
            nonce: record.nonce,
            tenant: context.config.tenant,
            organizer: context.organizer(),
            prid: None,
            public: None,
        }
    }

    fn url(&self, context: &WebinarContext<'_>, found: Found<'_>) -> String {
        let form = self.form(found.1);
        let id = self.id(found.0).to_string();
        let prid = match context.settings().prid {
            WebinarPrid::Absent => None,
            WebinarPrid::Posted => Some(form.registration_id.as_str()),
            WebinarPrid::Registration => Some(id.as_str()),
        };
        Link { prid, ..self.link(context, found) }.url()
    }

    fn session(
        &self,
        context: &WebinarContext<'_>,
        found: Found<'_>,
        shape: Option<SimulatedFault>,
    ) -> Value {
        let registered = status(context, found.1) == RegistrationStatus::Registered;
        let url = match shape {
            Some(SimulatedFault::WrongPrid) => {
                let other = chance::uuid(found.0.into()).to_string();
                Some(Link { prid: Some(&other), ..self.link(context, found) }.url())
            }
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
            "startDateTime": time("2026-03-30T10:00:00"),
            "endDateTime": time("2026-03-30T17:00:00"),
            "joinWebUrl": url,
            "subject": "Session one",
            "capabilities": [],
            "audioConferencing": null,
            "chatInfo": null,
        })
    }

    pub(super) fn books(&self, context: &WebinarContext<'_>, into: &mut Vec<EnrolledPerson>) {
        into.extend(self.register.from(0).filter_map(|found| {
            let status = status(context, found.1);
            let form = self.form(found.1);
            (status != RegistrationStatus::Canceled).then(|| EnrolledPerson {
                target: context.webinar.to_owned(),
                id: form.registration_id.clone(),
                email: Some(form.email.clone()),
                status: status.as_str(),
                join_web_url: (status == RegistrationStatus::Registered)
                    .then(|| self.url(context, found)),
            })
        }));
    }
}

/// Whether lists and look-ups show it already.
fn shows(context: &WebinarContext<'_>, record: &Record<Registration>) -> bool {
    record.made() + context.config.list_lag <= context.now
}

/// How it stands now: a pending registration may have been approved meanwhile.
fn status(context: &WebinarContext<'_>, record: &Record<Registration>) -> RegistrationStatus {
    let approved = context.settings().approved_after.map(|after| record.made() + after);
    match record.data.status {
        RegistrationStatus::PendingApproval if approved.is_some_and(|at| at <= context.now) => {
            RegistrationStatus::Registered
        }
        status => status,
    }
}

fn unknown() -> Problem {
    Problem::not_found("The registration was not found.")
}

/// How a webinar was called.
#[derive(Clone, Copy)]
pub(super) struct WebinarContext<'a> {
    pub(super) config: &'a Config,
    pub(super) base: &'a str,
    pub(super) webinar: &'a str,
    pub(super) now: Duration,
}

impl WebinarContext<'_> {
    pub(super) fn settings(&self) -> &WebinarConfig {
        &self.config.webinar
    }

    /// A date as in the reference's examples: without a zone.
    pub(super) fn date(&self, at: Duration) -> String {
        jiff::Timestamp::try_from(self.config.epoch + at)
            .map(|at| at.strftime("%Y-%m-%dT%H:%M:%S").to_string())
            .unwrap_or_default()
    }

    pub(super) fn organizer(&self) -> Uuid {
        meeting::organizer(self.config, None)
    }
}

pub(super) fn show(context: &WebinarContext<'_>) -> Success {
    let settings = context.settings();
    let time = |time: &str| json!({"dateTime": time, "timeZone": "Pacific Standard Time"});
    let words = "A webinar that nobody will ever attend.";
    let event = json!({
        "@odata.type": "#microsoft.graph.virtualEventWebinar",
        "id": context.webinar,
        "status": match settings.status {
            WebinarStatus::Draft => "draft",
            WebinarStatus::Published => "published",
            WebinarStatus::Canceled => "canceled",
        },
        "displayName": "Rehearsal",
        // The reference's example has a text, the metadata an itemBody.
        "description": if settings.wrapped {
            json!(words)
        } else {
            json!({"contentType": "text", "content": words})
        },
        "startDateTime": time("2026-03-30T10:00:00"),
        "endDateTime": time("2026-03-30T17:00:00"),
        "createdBy": {
            "application": null,
            "device": null,
            "user": {
                "@odata.type": "#microsoft.graph.communicationsUserIdentity",
                "id": context.organizer(),
                "displayName": "Organizer",
                "tenantId": context.config.tenant,
            },
        },
        "audience": settings.audience.as_str(),
        "isRegistrationRequired": true,
        "settings": {"isAttendeeEmailNotificationEnabled": settings.mails},
        "coOrganizers": [],
    });
    let body = if settings.wrapped { json!({"value": event}) } else { event };
    Success::json(StatusCode::OK, &body)
}

pub(super) fn configuration(context: &WebinarContext<'_>) -> Success {
    let settings = context.settings();
    let mut body = json!({
        "registrationWebUrl":
            format!("https://events.teams.microsoft.com/event/{}", context.webinar),
        "isManualApprovalEnabled": settings.approval,
        "isWaitlistEnabled": settings.waitlist,
    });
    if let Some(capacity) = settings.capacity {
        body["capacity"] = json!(capacity);
    }
    Success::json(StatusCode::OK, &body)
}

pub(super) fn questions(context: &WebinarContext<'_>) -> Success {
    let questions: Vec<Value> = context.settings().questions.iter().map(question).collect();
    Success::json(StatusCode::OK, &json!({"value": questions}))
}

fn question(question: &WebinarQuestion) -> Value {
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
