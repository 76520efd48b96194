//! A meeting's registration and its external registrants, as the Microsoft Graph reference (beta)
//! shows them in `externalMeetingRegistration` and `externalMeetingRegistrant`.
//!
//! The join link is in the answer to the POST and nowhere else: lists say null.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::registrant::Mode;

use super::{
    answer::{Problem, Success},
    chance,
    config::{ApiRefusal, Config, RegistrationState, SecondPost, TENANT},
    fault::SimulatedFault,
    link::Link,
    register::{Record, Register, RegisterPage},
    request::no_more,
    stats::{EnrolledPerson, RegistrationStatus, Stats},
};

const REGISTRANT_TYPE: &str = "#microsoft.graph.externalMeetingRegistrant";
const REGISTRATION_TYPE: &str = "#microsoft.graph.externalMeetingRegistration";

/// The server's words for a registration body that it does not take (reported by users in
/// microsoft-graph-docs issues 15231, 20022 and 20023).
const WRONG_TYPE: &str = "Invalid request. Provide microsoft.graph.meetingRegistration or \
                          microsoft.graph.externalMeetingRegistration in request body.";

/// The body of a registrant's POST, read but not yet held against the mode.
pub(super) struct Posted {
    pub(super) id: String,
    tenant: Option<Value>,
    user: Option<Value>,
}

impl Posted {
    pub(super) fn parse(mut members: Map<String, Value>) -> Result<Self, Problem> {
        if members.remove("@odata.type") != Some(json!(REGISTRANT_TYPE)) {
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

    /// The registrant, as the mode wants it.
    fn registrant(&self, mode: Mode) -> Result<MeetingEntry, Problem> {
        let member = match (mode, &self.tenant, &self.user) {
            (Mode::Everyone, None, None) => None,
            (Mode::Everyone, ..) => {
                return Err(Problem::bad_request(
                    "tenantId and userId must not be provided when allowedRegistrant is everyone.",
                ));
            }
            (Mode::Organization, Some(tenant), Some(user)) => {
                let (tenant, user) = (guid("tenantId", tenant)?, guid("userId", user)?);
                Some(Box::new(OrganizationMember { tenant, user }))
            }
            (Mode::Organization, ..) => {
                return Err(Problem::bad_request(
                    "tenantId and userId must be provided when allowedRegistrant is organization.",
                ));
            }
        };
        Ok(MeetingEntry { id: self.id.clone(), member })
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

/// Somebody who is registered.
#[derive(Debug)]
pub(super) struct MeetingEntry {
    id: String,
    /// Who it is in the organization, where only the organization may register.
    member: Option<Box<OrganizationMember>>,
}

#[derive(Clone, Copy, Debug)]
struct OrganizationMember {
    tenant: Uuid,
    user: Uuid,
}

#[derive(Debug)]
pub(super) struct SimulatedMeeting {
    registration: RegistrationState,
    /// The registration's id: the same however often it is deleted and made again.
    id: Uuid,
    thread: u64,
    organizer: Uuid,
    pub(super) people: Register<MeetingEntry>,
}

/// Whose meeting it is: the object id in `/users/{id}`, or one that stands for `/me` and for each
/// user principal name.
pub(super) fn organizer(config: &Config, user: Option<&str>) -> Uuid {
    let user = user.unwrap_or("me");
    Uuid::try_parse(user).unwrap_or_else(|_| chance::uuid(chance::text(config.seed, user)))
}

/// How a meeting was called.
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

    /// The key of an id in the register.
    fn key(&self, id: &str) -> u64 {
        chance::text(self.config.seed, id)
    }
}

/// A registrant as lists show them.
fn entity(registrant: &MeetingEntry) -> Value {
    let member = registrant.member.as_deref();
    json!({
        "@odata.type": REGISTRANT_TYPE,
        "id": registrant.id,
        "joinWebUrl": null,
        "userId": member.map(|member| member.user),
        "tenantId": member.map(|member| member.tenant),
    })
}

impl SimulatedMeeting {
    pub(super) fn new(config: &Config, id: &str) -> Self {
        let hash = chance::text(config.seed, id);
        Self {
            registration: config.registration,
            id: chance::uuid(hash),
            thread: chance::mix(hash),
            organizer: organizer(config, None),
            people: Register::default(),
        }
    }

    pub(super) fn show(&self, context: &MeetingContext<'_>) -> Result<Success, Problem> {
        self.exists()?;
        Ok(Success::ok(&self.entity(context)))
    }

    fn entity(&self, context: &MeetingContext<'_>) -> Value {
        let context = context.odata("/$entity");
        match self.registration {
            RegistrationState::External(mode) => json!({
                "@odata.context": context,
                "@odata.type": REGISTRATION_TYPE,
                "id": self.id,
                "allowedRegistrant": mode.as_str(),
            }),
            RegistrationState::Teams | RegistrationState::Missing => json!({
                "@odata.context": context,
                "@odata.type": "#microsoft.graph.meetingRegistration",
                "id": self.id,
                "registrationPageWebUrl": "https://teams.microsoft.com/registration/rehearsal",
                "allowedRegistrant": "everyone",
                "subject": "Rehearsal",
                "description": "",
                "registrationPageViewCount": 0,
                "speakers": [],
            }),
        }
    }

    pub(super) fn enable(
        &mut self,
        context: &MeetingContext<'_>,
        mut members: Map<String, Value>,
    ) -> Result<Success, Problem> {
        if members.remove("@odata.type") != Some(json!(REGISTRATION_TYPE)) {
            return Err(Problem::bad_request(WRONG_TYPE));
        }
        let mode = members
            .remove("allowedRegistrant")
            .and_then(|mode| mode.as_str()?.parse::<Mode>().ok())
            .ok_or_else(|| Problem::bad_request("The value of allowedRegistrant is invalid."))?;
        no_more(&members, "microsoft.graph.externalMeetingRegistration")?;
        if self.exists().is_ok() {
            return Err(Problem::conflict("The meeting has a registration already."));
        }
        self.registration = RegistrationState::External(mode);
        Ok(Success::json(StatusCode::CREATED, &self.entity(context)))
    }

    pub(super) fn disable(&mut self) -> Result<Success, Problem> {
        self.exists()?;
        self.registration = RegistrationState::Missing;
        self.people.clear();
        Ok(Success::no_content())
    }

    fn exists(&self) -> Result<(), Problem> {
        match self.registration {
            RegistrationState::Missing => {
                Err(Problem::not_found("The meeting has no registration."))
            }
            RegistrationState::External(_) | RegistrationState::Teams => Ok(()),
        }
    }

    fn external(&self) -> Result<Mode, Problem> {
        self.exists()?;
        match self.registration {
            RegistrationState::External(mode) => Ok(mode),
            _ => Err(Problem::bad_request(
                "The registration is not a microsoft.graph.externalMeetingRegistration.",
            )),
        }
    }

    /// Enrols somebody. `fault` may be one within the answer, `hash` decides what is left open.
    pub(super) fn enrol(
        &mut self,
        context: &MeetingContext<'_>,
        posted: &Posted,
        fault: Option<SimulatedFault>,
        hash: u64,
        stats: &mut Stats,
    ) -> Result<Success, Problem> {
        let mode = self.external()?;
        self.organizer = context.organizer;
        let registrant = posted.registrant(mode)?;
        if context.config.refuse == Some(ApiRefusal::NoData) {
            return Ok(Success::ok(&json!({"id": "", "userId": null, "tenantId": null})));
        }
        let key = context.key(&posted.id);
        let first = self.find(key, &posted.id).last().map(|(number, _)| number);
        stats.duplicates += u64::from(first.is_some());
        let number = match (first, context.config.second_post) {
            (Some(first), SecondPost::Return) => first,
            (Some(_), SecondPost::Conflict) => {
                return Err(Problem::conflict("A registrant with this id exists already."));
            }
            _ => {
                stats.created += 1;
                self.people.add(key, context.now, registrant)
            }
        };
        let record = self.people.get(number).expect("found or added just now");
        let mut entity = entity(&record.data);
        entity["@odata.context"] = json!(context.odata("/registrants/$entity"));
        // Microsoft's own examples: another id where everyone may register, the person's two ids
        // swapped where the organization may.
        let quirk = chance::unit(chance::mix(hash)) * 100.0 < context.config.quirks;
        let other_id = chance::uuid(hash).to_string();
        if fault == Some(SimulatedFault::OtherId) || (quirk && mode == Mode::Everyone) {
            entity["id"] = json!(other_id);
        }
        if quirk {
            let user = entity["userId"].take();
            entity["userId"] = entity["tenantId"].take();
            entity["tenantId"] = user;
        }
        let link = |prid: &str| json!(self.link(context.organizer, record, prid));
        match (fault, hash % 3) {
            (Some(SimulatedFault::NoLink), 0) => {
                entity.as_object_mut().expect("it is an object").remove("joinWebUrl");
            }
            (Some(SimulatedFault::NoLink), 1) => {}
            (Some(SimulatedFault::NoLink), _) => entity["joinWebUrl"] = json!(""),
            (Some(SimulatedFault::SharedLink), _) => {
                entity["joinWebUrl"] = json!(Link::of_everybody(0));
            }
            (Some(SimulatedFault::WrongPrid), _) => entity["joinWebUrl"] = link(&other_id),
            _ => entity["joinWebUrl"] = link(&posted.id),
        }
        // 200, not 201: so the reference says.
        Ok(Success::ok(&entity))
    }

    /// The registrants present with this id, newest first.
    fn find(&self, key: u64, id: &str) -> impl Iterator<Item = (u32, &Record<MeetingEntry>)> {
        self.people.with_hash(key).filter(move |(_, record)| record.data.id == id)
    }

    fn link(&self, organizer: Uuid, record: &Record<MeetingEntry>, prid: &str) -> String {
        Link {
            thread: self.thread,
            nonce: record.nonce,
            tenant: TENANT,
            organizer,
            prid: Some(prid),
            public: Some(record.data.member.is_none()),
        }
        .url()
    }

    pub(super) fn list(
        &self,
        context: &MeetingContext<'_>,
        path: &str,
        query: &str,
    ) -> Result<Success, Problem> {
        self.external()?;
        let MeetingContext { config, base, now, .. } = *context;
        if config.refuse == Some(ApiRefusal::NoData) {
            return Ok(Success::ok(&json!({"value": []})));
        }
        let mut page = RegisterPage::cut(config, base, path, query, |start| {
            let people = self.people.present(start);
            people
                .filter(|(_, record)| record.made + config.list_lag <= now)
                .map(|(number, record)| (number, entity(&record.data)))
        })?;
        page.context = Some(context.odata("/registrants"));
        Ok(Success::ok(&page))
    }

    /// One registrant. Nothing documents this call; whether it gives the link is unknown, so it
    /// does not.
    pub(super) fn one(&self, context: &MeetingContext<'_>, id: &str) -> Result<Success, Problem> {
        self.external()?;
        let (_, record) = self.find(context.key(id), id).last().ok_or_else(unknown)?;
        let mut found = entity(&record.data);
        found["@odata.context"] = json!(context.odata("/registrants/$entity"));
        Ok(Success::ok(&found))
    }

    /// Removes everybody with this id.
    pub(super) fn remove(
        &mut self,
        context: &MeetingContext<'_>,
        id: &str,
        stats: &mut Stats,
    ) -> Result<Success, Problem> {
        self.external()?;
        let found: Vec<u32> = self.find(context.key(id), id).map(|(number, _)| number).collect();
        if found.is_empty() {
            return Err(unknown());
        }
        for number in found {
            self.people.remove(number);
            stats.deleted += 1;
        }
        Ok(Success::no_content())
    }

    /// Who is enrolled. The links are those of the last organizer that enrolled somebody here.
    pub(super) fn books(&self, meeting: &str) -> impl Iterator<Item = EnrolledPerson> {
        self.people.present(0).map(move |(_, record)| EnrolledPerson {
            target: meeting.to_owned(),
            id: record.data.id.clone(),
            email: None,
            status: RegistrationStatus::Registered,
            join_web_url: Some(self.link(self.organizer, record, &record.data.id)),
        })
    }
}

fn unknown() -> Problem {
    Problem::not_found("The registrant was not found.")
}
