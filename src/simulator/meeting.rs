//! A meeting's registration and its external registrants, as the Microsoft Graph reference (beta)
//! shows them in `externalMeetingRegistration` and `externalMeetingRegistrant`.
//!
//! The join link is in the answer to the POST and nowhere else: lists say null.

use std::time::Duration;

use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::registrant::Mode;

use super::{
    answer::{Problem, Success},
    chance,
    config::{ApiRefusal, Config, RegistrationState, SecondPost},
    fault::SimulatedFault,
    link::Link,
    register::{self, ListPage, Record, Register},
    request::{no_more, object},
    stats::{EnrolledPerson, Stats},
};

pub(super) const REGISTRANT_TYPE: &str = "#microsoft.graph.externalMeetingRegistrant";

/// The body of a registrant's POST, read but not yet held against the mode.
pub(super) struct Posted {
    pub(super) id: String,
    tenant: Option<Value>,
    user: Option<Value>,
}

impl Posted {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Problem> {
        let mut members = object(body)?;
        if members.remove("@odata.type").as_ref().and_then(Value::as_str) != Some(REGISTRANT_TYPE) {
            return Err(Problem::bad_request(
                "Invalid request. Provide microsoft.graph.meetingRegistrant or \
                 microsoft.graph.externalMeetingRegistrant in request body.",
            ));
        }
        let id = match members.remove("id") {
            Some(Value::String(id)) if !id.is_empty() => id,
            _ => return Err(Problem::bad_request("The registrant's id is missing.")),
        };
        let tenant = members.remove("tenantId");
        let user = members.remove("userId");
        no_more(&members, "microsoft.graph.externalMeetingRegistrant")?;
        Ok(Self { id, tenant, user })
    }

    /// The person's tenant and user, as the mode wants them.
    pub(super) fn person(&self, mode: Mode) -> Result<Option<Box<(Uuid, Uuid)>>, Problem> {
        match (mode, &self.tenant, &self.user) {
            (Mode::Everyone, None, None) => Ok(None),
            (Mode::Everyone, ..) => Err(Problem::bad_request(
                "tenantId and userId must not be provided when allowedRegistrant is everyone.",
            )),
            (Mode::Organization, Some(tenant), Some(user)) => {
                Ok(Some(Box::new((guid("tenantId", tenant)?, guid("userId", user)?))))
            }
            (Mode::Organization, ..) => Err(Problem::bad_request(
                "tenantId and userId must be provided when allowedRegistrant is organization.",
            )),
        }
    }
}

/// A GUID in the one spelling that Graph writes.
fn guid(name: &str, value: &Value) -> Result<Uuid, Problem> {
    value
        .as_str()
        .filter(|text| text.len() == 36)
        .and_then(|text| Uuid::try_parse(text).ok())
        .ok_or_else(|| Problem::bad_request(format!("{name} is not a valid GUID.")))
}

const REGISTRATION_TYPE: &str = "#microsoft.graph.externalMeetingRegistration";

/// The server's words for a registration body that it does not take (reported by users in
/// microsoft-graph-docs issues 15231, 20022 and 20023).
const WRONG_TYPE: &str = "Invalid request. Provide microsoft.graph.meetingRegistration or \
                          microsoft.graph.externalMeetingRegistration in request body.";

/// One meeting.
#[derive(Debug)]
pub(super) struct SimulatedMeeting {
    registration: RegistrationState,
    /// The registration's id: the same however often it is deleted and made again.
    id: Uuid,
    thread: u64,
    organizer: Uuid,
    register: Register<Option<Box<(Uuid, Uuid)>>>,
}

/// Whose meeting it is: the object id in `/users/{id}`, or one that stands for `/me` and for each
/// user principal name.
pub(super) fn organizer(config: &Config, user: Option<&str>) -> Uuid {
    let user = user.unwrap_or("me");
    Uuid::try_parse(user).unwrap_or_else(|_| chance::uuid(chance::text(config.seed, user)))
}

/// How a meeting was called.
#[derive(Clone, Copy)]
pub(super) struct MeetingContext<'a> {
    pub(super) config: &'a Config,
    pub(super) base: &'a str,
    pub(super) organizer: Uuid,
    pub(super) meeting: &'a str,
    pub(super) now: Duration,
}

impl MeetingContext<'_> {
    fn odata(&self, tail: &str) -> String {
        format!(
            "{}/beta/$metadata#users('{}')/onlineMeetings('{}')/registration{tail}",
            self.base, self.organizer, self.meeting
        )
    }
}

#[derive(Default, Serialize)]
struct RegistrantEntity<'a> {
    #[serde(rename = "@odata.context", skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    #[serde(rename = "@odata.type")]
    kind: &'static str,
    id: &'a str,
    /// `None` leaves the member out.
    #[serde(rename = "joinWebUrl", skip_serializing_if = "Option::is_none")]
    link: Option<Value>,
    #[serde(rename = "userId")]
    user: Option<Uuid>,
    #[serde(rename = "tenantId")]
    tenant: Option<Uuid>,
}

impl SimulatedMeeting {
    pub(super) fn new(config: &Config, id: &str) -> Self {
        let hash = chance::text(config.seed, id);
        Self {
            registration: config.registration,
            id: chance::uuid(hash),
            thread: chance::mix(hash),
            organizer: organizer(config, None),
            register: Register::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.register.len()
    }

    /// Counts an attempt to enrol this id.
    pub(super) fn attempt(&mut self, hash: u64) -> u32 {
        self.register.attempt(hash)
    }

    pub(super) fn show(&self, context: &MeetingContext<'_>) -> Result<Success, Problem> {
        let mode = match self.registration {
            RegistrationState::External(mode) => mode,
            RegistrationState::Teams => {
                let body = json!({
                    "@odata.context": context.odata("/$entity"),
                    "@odata.type": "#microsoft.graph.meetingRegistration",
                    "id": self.id,
                    "registrationPageWebUrl": "https://teams.microsoft.com/registration/rehearsal",
                    "allowedRegistrant": "everyone",
                    "subject": "Rehearsal",
                    "description": "",
                    "registrationPageViewCount": 0,
                    "speakers": [],
                });
                return Ok(Success::json(StatusCode::OK, &body));
            }
            RegistrationState::Missing => {
                return Err(Problem::not_found("The meeting has no registration."));
            }
        };
        Ok(Success::json(StatusCode::OK, &self.entity(context, mode)))
    }

    fn entity(&self, context: &MeetingContext<'_>, mode: Mode) -> Value {
        json!({
            "@odata.context": context.odata("/$entity"),
            "@odata.type": REGISTRATION_TYPE,
            "id": self.id,
            "allowedRegistrant": mode.as_str(),
        })
    }

    pub(super) fn enable(
        &mut self,
        context: &MeetingContext<'_>,
        body: &[u8],
    ) -> Result<Success, Problem> {
        let mut members = object(body)?;
        if members.remove("@odata.type").as_ref().and_then(Value::as_str) != Some(REGISTRATION_TYPE)
        {
            return Err(Problem::bad_request(WRONG_TYPE));
        }
        let mode = members
            .remove("allowedRegistrant")
            .and_then(|mode| mode.as_str()?.parse::<Mode>().ok())
            .ok_or_else(|| Problem::bad_request("The value of allowedRegistrant is invalid."))?;
        no_more(&members, "microsoft.graph.externalMeetingRegistration")?;
        if self.registration != RegistrationState::Missing {
            return Err(Problem::conflict("The meeting has a registration already."));
        }
        self.registration = RegistrationState::External(mode);
        Ok(Success::json(StatusCode::CREATED, &self.entity(context, mode)))
    }

    pub(super) fn disable(&mut self) -> Result<Success, Problem> {
        self.external_or_teams()?;
        self.registration = RegistrationState::Missing;
        self.register.clear();
        Ok(Success::no_content())
    }

    fn external_or_teams(&self) -> Result<(), Problem> {
        match self.registration {
            RegistrationState::Missing => {
                Err(Problem::not_found("The meeting has no registration."))
            }
            _ => Ok(()),
        }
    }

    fn external(&self) -> Result<Mode, Problem> {
        self.external_or_teams()?;
        match self.registration {
            RegistrationState::External(mode) => Ok(mode),
            _ => Err(Problem::bad_request(
                "The registration is not a microsoft.graph.externalMeetingRegistration.",
            )),
        }
    }

    /// Enrols somebody. `shape` is a fault within the answer, `hash` decides what is left open.
    pub(super) fn enrol(
        &mut self,
        context: &MeetingContext<'_>,
        posted: &Posted,
        shape: Option<SimulatedFault>,
        hash: u64,
        stats: &mut Stats,
    ) -> Result<Success, Problem> {
        let mode = self.external()?;
        self.organizer = context.organizer;
        let person = posted.person(mode)?;
        if context.config.refuse == Some(ApiRefusal::NoData) {
            return Ok(Success::json(StatusCode::OK, &RegistrantEntity::default()));
        }
        let key = chance::text(context.config.seed, &posted.id);
        let first = self.find(key, &posted.id).last();
        if first.is_some() {
            stats.duplicates += 1;
        }
        let number = match (first, context.config.second_post) {
            (Some(first), SecondPost::Return) => first,
            (Some(_), SecondPost::Conflict) => {
                return Err(Problem::conflict("A registrant with this id exists already."));
            }
            _ => {
                stats.created += 1;
                self.register.add(key, &posted.id, context.now, person)
            }
        };
        let record = self.register.get(number).expect("found or added just now");
        let quirk = chance::unit(chance::mix(hash)) * 100.0 < context.config.quirks;
        // Microsoft's own examples: another id where everyone may register, the person's two ids
        // swapped where the organization may.
        let other_id = chance::uuid(hash).to_string();
        let differs = shape == Some(SimulatedFault::OtherId) || (quirk && mode == Mode::Everyone);
        let (mut tenant, mut user) = (None, None);
        if let Some(person) = &record.data {
            (tenant, user) = (Some(person.0), Some(person.1));
            if quirk {
                (tenant, user) = (user, tenant);
            }
        }
        let link = match (shape, hash % 3) {
            (Some(SimulatedFault::NoLink), 0) => None,
            (Some(SimulatedFault::NoLink), 1) => Some(Value::Null),
            (Some(SimulatedFault::NoLink), _) => Some(json!("")),
            (Some(SimulatedFault::WrongPrid), _) => {
                Some(json!(self.link(context, record, &other_id)))
            }
            _ => Some(json!(self.link(context, record, &posted.id))),
        };
        let answer = RegistrantEntity {
            context: Some(context.odata("/registrants/$entity")),
            kind: REGISTRANT_TYPE,
            id: if differs { &other_id } else { &posted.id },
            link,
            user,
            tenant,
        };
        // 200, not 201: so the reference says.
        Ok(Success::json(StatusCode::OK, &answer))
    }

    /// The registrants present with this id, newest first.
    fn find(&self, key: u64, id: &str) -> impl Iterator<Item = u32> {
        self.register.with_hash(key).filter(move |&number| {
            self.register.get(number).is_some_and(|record| self.register.text(record) == id)
        })
    }

    fn link(
        &self,
        context: &MeetingContext<'_>,
        record: &Record<Option<Box<(Uuid, Uuid)>>>,
        prid: &str,
    ) -> String {
        Link {
            thread: self.thread,
            nonce: record.nonce,
            tenant: context.config.tenant,
            organizer: context.organizer,
            prid: Some(prid),
            public: Some(record.data.is_none()),
        }
        .url()
    }

    fn item<'a>(
        &'a self,
        record: &Record<Option<Box<(Uuid, Uuid)>>>,
        context: Option<String>,
    ) -> RegistrantEntity<'a> {
        RegistrantEntity {
            context,
            kind: REGISTRANT_TYPE,
            id: self.register.text(record),
            link: Some(Value::Null),
            user: record.data.as_ref().map(|person| person.1),
            tenant: record.data.as_ref().map(|person| person.0),
        }
    }

    pub(super) fn list(
        &self,
        context: &MeetingContext<'_>,
        path: &str,
        query: &str,
    ) -> Result<Success, Problem> {
        self.external()?;
        if context.config.refuse == Some(ApiRefusal::NoData) {
            let nobody = ListPage::<RegistrantEntity<'_>>::default();
            return Ok(Success::json(StatusCode::OK, &nobody));
        }
        let page = register::cut(context.config, context.base, path, query, |start| {
            self.register
                .from(start)
                .filter(|(_, record)| record.made() + context.config.list_lag <= context.now)
                .map(|(number, record)| (number, self.item(record, None)))
        })?;
        Ok(Success::json(StatusCode::OK, &page.with_context(context.odata("/registrants"))))
    }

    /// One registrant. Nothing documents this call; whether it gives the link is unknown, so it
    /// does not.
    pub(super) fn one(&self, context: &MeetingContext<'_>, id: &str) -> Result<Success, Problem> {
        self.external()?;
        let key = chance::text(context.config.seed, id);
        let record = self
            .find(key, id)
            .last()
            .and_then(|number| self.register.get(number))
            .ok_or_else(|| Problem::not_found("The registrant was not found."))?;
        let context = context.odata("/registrants/$entity");
        Ok(Success::json(StatusCode::OK, &self.item(record, Some(context))))
    }

    /// Removes everybody with this id.
    pub(super) fn remove(
        &mut self,
        context: &MeetingContext<'_>,
        id: &str,
        stats: &mut Stats,
    ) -> Result<Success, Problem> {
        self.external()?;
        let key = chance::text(context.config.seed, id);
        let found: Vec<u32> = self.find(key, id).collect();
        if found.is_empty() {
            return Err(Problem::not_found("The registrant was not found."));
        }
        for number in found {
            self.register.remove(number);
            stats.deleted += 1;
        }
        Ok(Success::no_content())
    }

    /// Writes down who is enrolled. The links are those of the last organizer that enrolled
    /// somebody here.
    pub(super) fn books(&self, config: &Config, meeting: &str, into: &mut Vec<EnrolledPerson>) {
        let now = Duration::ZERO;
        let organizer = self.organizer;
        let context = &MeetingContext { config, base: "", organizer, meeting, now };
        into.extend(self.register.from(0).map(|(_, record)| {
            let id = self.register.text(record);
            EnrolledPerson {
                target: meeting.to_owned(),
                id: id.to_owned(),
                email: None,
                status: "registered",
                join_web_url: Some(self.link(context, record, id)),
            }
        }));
    }
}
