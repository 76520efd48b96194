//! The virtual event as target: `virtualEventRegistration` on a Teams webinar or town hall (Graph
//! `v1.0`).
//!
//! Builds each request's path and body and reads each answer; sends nothing. Paths and statuses
//! are those of Microsoft Graph's reference (virtualEventWebinar: get, list and create
//! registrations; virtualEventWebinarRegistrationConfiguration: get, list questions;
//! virtualEventRegistration: get, cancel, list sessions). No answer to a POST holds
//! a link: an application gets 204 and nothing else. The link is in the sessions of the
//! registration, which has to be found first.
//!
//! The reference's examples contradict each other (a webinar bare or wrapped in `value`, members
//! left out), so what is read of a webinar is read member by member: one that is missing or of
//! another type is not known, and hinders no other.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    transport::{GraphRequest, Response, segment},
    wire::{ListPage, Member, MemberStanding, WirePage, encode, is_word},
};
use crate::registrant::{
    Answer, AnswerInput, AnswerValue, Attendee, BadLink, DEFAULT_LANGUAGE, DEFAULT_TIMEZONE,
    Details, EventKind, JoinLink, Question, Registrant, RegistrantId,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualEvent {
    kind: EventKind,
    id: String,
    path: String,
}

/// The two ways of reading a registration's link. Microsoft's pages name other permissions for each
/// ("List sessions for a virtual event registration"; "Get virtualEventRegistration", example 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkRequest {
    /// The list of the registration's sessions.
    #[default]
    Sessions,
    /// The registration, with its sessions.
    Expanded,
}

impl LinkRequest {
    pub fn other(self) -> Self {
        match self {
            Self::Sessions => Self::Expanded,
            Self::Expanded => Self::Sessions,
        }
    }
}

/// What a 2xx answer to a registration's POST said.
#[derive(Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The registration, where the answer has a body (a delegated caller's).
    pub member: Option<Member>,
}

impl VirtualEvent {
    pub fn new(kind: EventKind, id: &str) -> Self {
        let collection = kind.collection();
        let path = format!("/v1.0/solutions/virtualEvents/{collection}/{}", segment(id));
        Self { kind, id: id.to_owned(), path }
    }

    pub fn kind(&self) -> EventKind {
        self.kind
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// GET of the event itself.
    pub fn show(&self) -> GraphRequest {
        GraphRequest::new(Method::GET, self.path.clone())
    }

    /// GET of what registrations are subject to.
    pub fn configuration(&self) -> GraphRequest {
        GraphRequest::new(Method::GET, format!("{}/registrationConfiguration", self.path))
    }

    /// GET of the questions that registrants are asked.
    pub fn questions(&self) -> GraphRequest {
        GraphRequest::new(Method::GET, format!("{}/registrationConfiguration/questions", self.path))
    }

    /// POST of one registration.
    pub fn enrol(&self, registrant: &Registrant) -> GraphRequest {
        let target = format!("{}/registrations", self.path);
        GraphRequest::new(Method::POST, target).with_body(event_registration(registrant))
    }

    /// GET of the first page of registrations.
    pub fn list(&self) -> GraphRequest {
        GraphRequest::new(Method::GET, format!("{}/registrations", self.path))
    }

    /// GET of a registration's sessions, where its link is.
    pub fn sessions(&self, server_id: &str, way: LinkRequest) -> GraphRequest {
        let registration = format!("{}/registrations/{}", self.path, segment(server_id));
        let target = match way {
            LinkRequest::Sessions => format!("{registration}/sessions"),
            LinkRequest::Expanded => format!("{registration}?$expand=sessions"),
        };
        GraphRequest::new(Method::GET, target)
    }

    /// POST that cancels a registration. Asked twice it does no more than once.
    pub fn cancel(&self, server_id: &str) -> GraphRequest {
        let target = format!("{}/registrations/{}/cancel", self.path, segment(server_id));
        GraphRequest::new(Method::POST, target)
    }

    /// Reads a 2xx answer to [`VirtualEvent::enrol`]; `None` where it cannot be told from it that Graph
    /// itself has taken the registration: an answer that was cut, or a gateway's page.
    pub fn read_accepted(response: &Response) -> Option<Accepted> {
        if response.body.is_empty() {
            return Some(Accepted { member: None });
        }
        let answer: RegistrationMember = serde_json::from_slice(&response.body).ok()?;
        let member = Member::from(answer);
        member.server_id.is_some().then_some(Accepted { member: Some(member) })
    }

    /// GET of one registration.
    pub fn registration(&self, server_id: &str) -> GraphRequest {
        let target = format!("{}/registrations/{}", self.path, segment(server_id));
        GraphRequest::new(Method::GET, target)
    }

    /// Reads the answer to [`VirtualEvent::registration`]; `None` when it is none.
    pub fn read_registration(response: &Response) -> Option<Member> {
        let member: RegistrationMember = serde_json::from_slice(&response.body).ok()?;
        let member = Member::from(member);
        member.server_id.is_some().then_some(member)
    }

    /// Reads a page of [`VirtualEvent::list`]; `None` when it is none.
    pub fn read_page(response: &Response) -> Option<ListPage> {
        let page: WirePage<RegistrationMember> = serde_json::from_slice(&response.body).ok()?;
        let members = page.value.into_iter().map(Member::from).collect();
        Some(ListPage { members, next_link: page.next_link })
    }

    /// Reads the answer to [`VirtualEvent::sessions`] of `member`, which is the registration of `id`. A
    /// webinar has one session; should there ever be more, the first with a link counts.
    ///
    /// # Errors
    /// `None` when the body cannot be read; [`BadLink`] when it gives no usable link. Where the
    /// link names a person it is by the id, by the one that somebody else registered them with, or
    /// by the registration's own.
    pub fn read_link(
        response: &Response,
        id: &RegistrantId,
        member: &Member,
    ) -> Result<JoinLink, Option<BadLink>> {
        let answer: SessionsAnswer = serde_json::from_slice(&response.body).map_err(|_| None)?;
        let sessions = answer.value.or(answer.sessions).ok_or(None)?;
        let urls = sessions.into_iter().filter_map(|session| session.join_web_url);
        let url = urls.map(|url| url.trim().to_owned()).find(|url| !url.is_empty());
        let names = [&member.posted, &member.server_id].into_iter().flatten();
        let others = names.filter_map(|name| RegistrantId::parse(name).ok());
        let mut link = JoinLink::of(url.as_deref(), id);
        for other in others {
            if link != Err(BadLink::OtherPerson) {
                break;
            }
            link = JoinLink::of(url.as_deref(), &other);
        }
        link.map_err(Some)
    }
}

/// One registration, in an answer to its POST or in a list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegistrationMember {
    id: Option<String>,
    email: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    status: Option<String>,
    external_registration_information: Option<PostedInformation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostedInformation {
    registration_id: Option<String>,
}

/// A list of sessions, or a registration with its own.
#[derive(Deserialize)]
struct SessionsAnswer {
    value: Option<Vec<SessionMember>>,
    sessions: Option<Vec<SessionMember>>,
}

/// One session of a registration, with the person's link.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionMember {
    join_web_url: Option<String>,
}

impl From<RegistrationMember> for Member {
    fn from(answer: RegistrationMember) -> Self {
        let posted = answer.external_registration_information.and_then(|it| it.registration_id);
        Self {
            // One that can stand in a path: see [`Meeting::remove`](super::meeting::Meeting::remove).
            server_id: answer.id.filter(|id| !matches!(id.as_str(), "" | "." | "..")),
            standing: MemberStanding::read(answer.status.as_deref()),
            posted: posted.filter(|posted| !posted.is_empty()),
            email: answer.email.map(|email| email.trim().to_lowercase()),
            names: answer.first_name.zip(answer.last_name),
        }
    }
}

/// The body of "Create virtualEventRegistration". An application registers a person by name and
/// address; a signed-in person registers nobody but themselves, and the reference's example for that
/// has neither.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RegisterBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    external_registration_information: ExternalInformation<'a>,
    preferred_timezone: &'a str,
    preferred_language: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    registration_question_answers: Vec<AnswerBody<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalInformation<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    referrer: Option<&'a str>,
    registration_id: &'a str,
}

/// One answer. As in the examples, the members of the other types are there and empty.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AnswerBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    question_id: Option<&'a str>,
    /// Stands for the id where the form was never read.
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
    value: Option<&'a str>,
    boolean_value: Option<bool>,
    multi_choice_values: &'a [String],
}

impl<'a> From<&'a Answer> for AnswerBody<'a> {
    fn from(answer: &'a Answer) -> Self {
        let question_id = answer.question_id.as_deref();
        let display_name = question_id.is_none().then_some(answer.question.as_str());
        let (value, boolean_value, multi_choice_values): (_, _, &[String]) = match &answer.value {
            AnswerValue::Text(text) => (Some(text.as_str()), None, &[]),
            AnswerValue::Flag(flag) => (None, Some(*flag), &[]),
            AnswerValue::Choices(choices) => (None, None, choices),
        };
        Self { question_id, display_name, value, boolean_value, multi_choice_values }
    }
}

/// The JSON by which an application registers `registrant` for a webinar.
pub fn event_registration(registrant: &Registrant) -> Vec<u8> {
    let attendee = match &registrant.details {
        Details::Event(attendee) => Some(&**attendee),
        Details::Everyone | Details::Organization { .. } => None,
    };
    let or =
        |given: fn(&Attendee) -> Option<&str>, default| attendee.and_then(given).unwrap_or(default);
    encode(&RegisterBody {
        first_name: attendee.map(|person| person.first_name.as_str()),
        last_name: attendee.map(|person| person.last_name.as_str()),
        email: attendee.map(|person| person.email.as_str()),
        external_registration_information: ExternalInformation {
            referrer: attendee.and_then(|attendee| attendee.referrer.as_deref()),
            registration_id: registrant.id.as_str(),
        },
        preferred_timezone: or(|them| them.preferred_timezone.as_deref(), DEFAULT_TIMEZONE),
        preferred_language: or(|them| them.preferred_language.as_deref(), DEFAULT_LANGUAGE),
        registration_question_answers: attendee
            .map_or_else(Vec::new, |attendee| attendee.answers.iter().map(Into::into).collect()),
    })
}

/// What an event says of itself. `None`: it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventAnswer {
    /// Who may register: `everyone` or `organization`.
    pub audience: Option<String>,
    /// `draft`, `published` or `canceled`.
    pub status: Option<String>,
    /// Whether people have to register at all (`isRegistrationRequired`).
    pub registration_required: Option<bool>,
    /// Whether Teams mails everybody who is registered (`isAttendeeEmailNotificationEnabled`).
    pub mails_attendees: Option<bool>,
    /// When it begins, in milliseconds since 1970; where its time zone is not known, the earliest
    /// time that it may be.
    pub starts_at: Option<i64>,
}

/// Reads the answer to an event's GET, bare or wrapped; `None` if it is no object.
pub fn about(body: &[u8]) -> Option<EventAnswer> {
    let read = serde_json::from_slice::<Value>(body).ok()?;
    let event = match &read["value"] {
        Value::Array(only) if only.len() == 1 => &only[0],
        wrapped @ Value::Object(_) => wrapped,
        _ => &read,
    };
    event.as_object()?;
    Some(EventAnswer {
        audience: word(&event["audience"]),
        status: word(&event["status"]),
        registration_required: event["isRegistrationRequired"].as_bool(),
        mails_attendees: event["settings"]["isAttendeeEmailNotificationEnabled"].as_bool(),
        starts_at: time(&event["startDateTime"]),
    })
}

/// How an event takes registrations. `None`: it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// How many may register.
    pub capacity: Option<u64>,
    /// Whether the organizer approves each.
    pub manual_approval: Option<bool>,
    /// Whether those beyond the capacity wait.
    pub waitlist: Option<bool>,
}

/// Reads the answer to a registration configuration's GET; `None` if it is no object.
pub fn configuration(body: &[u8]) -> Option<Configuration> {
    let read = serde_json::from_slice::<Value>(body).ok()?;
    read.as_object()?;
    Some(Configuration {
        capacity: read["capacity"].as_u64(),
        manual_approval: read["isManualApprovalEnabled"].as_bool(),
        waitlist: read["isWaitlistEnabled"].as_bool(),
    })
}

/// Reads a page of the form's questions, and where the next page is; `None` if it is no page. A
/// question without an id cannot be answered, and is left out.
pub fn questions(body: &[u8]) -> Option<(Vec<Question>, Option<String>)> {
    let read = serde_json::from_slice::<Value>(body).ok()?;
    let questions = read["value"].as_array()?.iter().filter_map(question).collect();
    Some((questions, read["@odata.nextLink"].as_str().map(str::to_owned)))
}

/// One question, custom or predefined: the latter has a `label`, and no type of its own.
fn question(read: &Value) -> Option<Question> {
    let text = |member: &str| read[member].as_str().filter(|text| !text.trim().is_empty());
    let id = text("id")?.to_owned();
    let choices = || -> Vec<String> {
        let choices = read["answerChoices"].as_array().into_iter().flatten();
        choices.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    Some(Question {
        display_name: text("displayName").or(text("label")).unwrap_or(&id).to_owned(),
        id,
        required: read["isRequired"].as_bool().unwrap_or(false),
        input: match text("answerInputType") {
            // Without choices that can be read Graph judges the text.
            Some("singleChoice") => match choices() {
                none if none.is_empty() => AnswerInput::Text,
                choices => AnswerInput::SingleChoice(choices),
            },
            Some("multiChoice") => AnswerInput::MultiChoice(choices()),
            Some("boolean") => AnswerInput::Boolean,
            // `text`, `multilineText`, none, and what Microsoft may add: then Graph judges the text.
            _ => AnswerInput::Text,
        },
    })
}

/// A `dateTimeTimeZone`. Graph writes Windows' names of zones, which no table here knows: no place on
/// earth is ahead of UTC by more than 14 hours.
fn time(value: &Value) -> Option<i64> {
    let text = value["dateTime"].as_str()?.trim_end_matches('Z');
    let time: jiff::civil::DateTime = text.parse().ok()?;
    let zone = value["timeZone"].as_str().unwrap_or_default();
    let at = |zone| Some(time.to_zoned(zone).ok()?.timestamp().as_millisecond());
    match jiff::tz::TimeZone::get(zone) {
        Ok(zone) => at(zone),
        Err(_) => at(jiff::tz::TimeZone::fixed(jiff::tz::offset(14))),
    }
}

/// A member whose value is one of Graph's own words, and may be shown.
fn word(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty() && is_word(text)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};
    use serde_json::json;

    use super::*;
    use crate::registrant::{Fields, Form, Rule};

    fn answer(body: &str) -> Response {
        Response {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    fn id(text: &str) -> RegistrantId {
        RegistrantId::parse(text).expect("an id")
    }

    const WEBINAR: &str =
        "88b245ac-b0b2-f1aa-e34a-c81c27abdac2@f9448ec4-804b-46af-b810-62085248da33";

    #[test]
    fn paths_are_the_documented_ones() {
        let town_hall = VirtualEvent::new(EventKind::TownHall, "a@b");
        let registrations = "/v1.0/solutions/virtualEvents/townhalls/a%40b/registrations";
        assert_eq!(town_hall.list().target, registrations);
        let webinar = VirtualEvent::new(EventKind::Webinar, WEBINAR);
        let base = "/v1.0/solutions/virtualEvents/webinars/88b245ac-b0b2-f1aa-e34a-c81c27abdac2%40f9448ec4-804b-46af-b810-62085248da33";
        assert_eq!(webinar.show().target, base);
        assert_eq!(webinar.list().target, format!("{base}/registrations"));
        assert_eq!(
            webinar.sessions("r/1", LinkRequest::Sessions).target,
            format!("{base}/registrations/r%2F1/sessions")
        );
        let expanded = webinar.sessions("r1", LinkRequest::Expanded).target;
        assert_eq!(expanded, format!("{base}/registrations/r1?$expand=sessions"));
        let cancel = webinar.cancel("r1");
        assert_eq!((cancel.method, cancel.body), (Method::POST, None));
        assert_eq!(cancel.target, format!("{base}/registrations/r1/cancel"));
    }

    #[test]
    fn an_accepted_post_is_told_from_a_cut_answer_and_a_gateways_page() {
        let read = |body: &str| {
            let accepted = VirtualEvent::read_accepted(&answer(body))?;
            Some(accepted.member.map(|member| (member.server_id, member.standing)))
        };
        assert_eq!(read(""), Some(None));
        let object = r##"{"@odata.type":"#microsoft.graph.virtualEventRegistration","id":"127962bb","status":"waitlisted"}"##;
        assert_eq!(read(object), Some(Some((Some("127962bb".into()), MemberStanding::Waitlisted))));
        for odd in ["<html>200</html>", r#"{"id":"12"#, r#"{"id":""}"#, r#"{"id":".."}"#, "{}"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_page_gives_what_rows_are_matched_by() {
        let body = r#"{"value":[
            {"id":"r1","email":"Emilee@Contoso.com","status":"registered",
             "externalRegistrationInformation":{"referrer":"F","registrationId":"A 1"}},
            {"id":"r2","email":"b@contoso.com","status":"waitlisted",
             "externalRegistrationInformation":null},
            {"id":"..","email":null,"status":"canceled"},
            {"status":"unknownFutureValue","externalRegistrationInformation":{"registrationId":""}}
        ],"@odata.nextLink":"https://graph.microsoft.com/x"}"#;
        let page = VirtualEvent::read_page(&answer(body)).expect("a page");
        assert_eq!(page.next_link.as_deref(), Some("https://graph.microsoft.com/x"));
        let told: Vec<_> = page
            .members
            .iter()
            .map(|m| (m.posted.as_deref(), m.email.as_deref(), m.server_id.as_deref(), m.standing))
            .collect();
        assert_eq!(
            told,
            [
                (Some("A 1"), Some("emilee@contoso.com"), Some("r1"), MemberStanding::Registered),
                (None, Some("b@contoso.com"), Some("r2"), MemberStanding::Waitlisted),
                (None, None, None, MemberStanding::Canceled),
                (None, None, None, MemberStanding::Other),
            ]
        );
    }

    #[test]
    fn a_link_that_names_somebody_names_the_posted_or_the_registrations_own_id() {
        let of = |posted: &str, server: &str| Member {
            posted: Some(posted.to_owned()),
            email: None,
            names: None,
            server_id: Some(server.to_owned()),
            standing: MemberStanding::Registered,
        };
        let read = |url: &str| {
            let body = format!(r#"{{"value":[{{"joinWebUrl":{url}}}]}}"#);
            let link = VirtualEvent::read_link(&answer(&body), &id("A 1"), &of("A 0", "r1"));
            link.map(|link| link.expose().to_owned())
        };
        let with = |prid: &str| {
            format!(
                r#""https://teams.microsoft.com/l/meetup-join/t/0?context=%7b%22prid%22%3a%22{prid}%22%7d""#
            )
        };
        assert!(read(&with("A%201")).is_ok());
        assert!(read(&with("r1")).is_ok());
        assert!(read(&with("A%200")).is_ok(), "somebody else registered them as that");
        assert_eq!(read(&with("B")), Err(Some(BadLink::OtherPerson)));
        assert!(read(r#""https://teams.microsoft.com/l/meetup-join/t/0""#).is_ok());
        assert_eq!(read("null"), Err(Some(BadLink::Missing)));
        let expanded = r#"{"id":"r1","sessions":[{"joinWebUrl":"https://teams.microsoft.com/l"}]}"#;
        assert!(VirtualEvent::read_link(&answer(expanded), &id("A"), &of("A", "r1")).is_ok());
        assert_eq!(
            VirtualEvent::read_link(&answer("{}"), &id("A"), &of("A", "r1")).err(),
            Some(None)
        );
        let none = VirtualEvent::read_link(&answer(r#"{"value":[]}"#), &id("A"), &of("A", "r1"));
        assert_eq!(none.err(), Some(Some(BadLink::Missing)));
        assert_eq!(
            VirtualEvent::read_link(&answer("<p>"), &id("A"), &of("A", "r1")).err(),
            Some(None)
        );
    }

    fn parsed<T>(reader: fn(&[u8]) -> Option<T>, body: &Value) -> Option<T> {
        reader(body.to_string().as_bytes())
    }

    const QUESTIONS: [&str; 4] = ["city", "local", "cities", "why"];

    fn form() -> Form {
        let page = json!({"value": [
            {"id": "city", "displayName": "City", "answerInputType": "singleChoice",
             "answerChoices": ["Seattle", "London"]},
            {"id": "local", "displayName": "Local", "answerInputType": "boolean"},
            {"id": "cities", "displayName": "Cities", "answerInputType": "multiChoice",
             "answerChoices": ["Seattle", "London"]},
            {"id": "why", "displayName": "Why", "answerInputType": "multilineText"},
        ]});
        Form { questions: parsed(questions, &page).expect("a page").0 }
    }

    fn fields<'a>() -> Fields<'a> {
        Fields {
            id: Some("é \"1\""),
            first_name: Some(" Diane "),
            last_name: Some("Demoss"),
            email: Some("DianeDemoss@contoso.com"),
            ..Fields::default()
        }
    }

    fn body(fields: &Fields<'_>) -> Value {
        let rule = Rule::Event(Arc::new(form()));
        let registrant = Registrant::parse(fields, &rule).expect("valid");
        serde_json::from_slice(&event_registration(&registrant)).expect("JSON")
    }

    #[test]
    fn the_least_that_is_sent_is_what_the_reference_requires_and_the_id() {
        let least = json!({
            "firstName": "Diane", "lastName": "Demoss", "email": "DianeDemoss@contoso.com",
            "externalRegistrationInformation": {"registrationId": "é \"1\""},
            "preferredTimezone": "UTC", "preferredLanguage": "en-us",
        });
        assert_eq!(body(&fields()), least);
    }

    #[test]
    fn an_answer_uses_the_member_of_its_type_and_leaves_the_others_empty() {
        let cells = ["LONDON", "ja", "London;Seattle", "Because.\nReally."];
        let given = Fields {
            answers: QUESTIONS.into_iter().zip(cells).collect(),
            referrer: Some("Fabrikam"),
            preferred_timezone: Some("Pacific Standard Time"),
            preferred_language: Some("de-de"),
            ..fields()
        };
        let sent = body(&given);
        assert_eq!(sent["externalRegistrationInformation"]["referrer"], "Fabrikam");
        assert_eq!(sent["preferredTimezone"], "Pacific Standard Time");
        assert_eq!(sent["preferredLanguage"], "de-de");
        assert_eq!(
            sent["registrationQuestionAnswers"],
            json!([
                {"questionId": "city", "value": "London", "booleanValue": null,
                 "multiChoiceValues": []},
                {"questionId": "local", "value": null, "booleanValue": true,
                 "multiChoiceValues": []},
                {"questionId": "cities", "value": null, "booleanValue": null,
                 "multiChoiceValues": ["Seattle", "London"]},
                {"questionId": "why", "value": "Because.\nReally.", "booleanValue": null,
                 "multiChoiceValues": []},
            ])
        );
        let empty =
            Fields { answers: QUESTIONS.map(|question| (question, " ")).to_vec(), ..fields() };
        assert!(body(&empty).get("registrationQuestionAnswers").is_none());
    }

    #[test]
    fn a_question_is_read_with_as_much_as_there_is() {
        let page = json!({"value": [
            {"id": "a", "displayName": "Job title", "isRequired": true, "label": "jobTitle"},
            {"id": "b", "displayName": null, "isRequired": null, "label": "city"},
            {"id": "c", "displayName": 7, "answerInputType": "unknownFutureValue"},
            {"id": "d", "displayName": "D", "answerInputType": "singleChoice",
             "answerChoices": ["x", null]},
            {"displayName": "no id"},
            null,
        ], "@odata.nextLink": "https://graph.microsoft.com/next"});
        let (read, next) = parsed(questions, &page).expect("a page");
        let told: Vec<(&str, &str, bool)> = read
            .iter()
            .map(|question| {
                (question.id.as_str(), question.display_name.as_str(), question.required)
            })
            .collect();
        assert_eq!(
            told,
            [("a", "Job title", true), ("b", "city", false), ("c", "c", false), ("d", "D", false)]
        );
        assert_eq!(read[3].input, AnswerInput::SingleChoice(vec!["x".into()]));
        assert!(read[..3].iter().all(|question| question.input == AnswerInput::Text));
        assert_eq!(next.as_deref(), Some("https://graph.microsoft.com/next"));
        for no_page in [json!({}), json!([]), json!({"value": {}}), json!(null)] {
            assert_eq!(parsed(questions, &no_page), None, "{no_page}");
        }
        assert_eq!(questions(b"<html>"), None);
        assert_eq!(parsed(questions, &json!({"value": []})), Some((vec![], None)));
    }

    #[test]
    fn a_webinar_is_read_bare_and_wrapped() {
        let bare = json!({
            "audience": "organization", "status": "published",
            "settings": {"isAttendeeEmailNotificationEnabled": false},
            "startDateTime": {"dateTime": "1970-01-02T00:00:00.0000000", "timeZone": "UTC"},
        });
        let wanted = EventAnswer {
            audience: Some("organization".into()),
            status: Some("published".into()),
            registration_required: None,
            mails_attendees: Some(false),
            starts_at: Some(86_400_000),
        };
        for shape in [bare.clone(), json!({"value": bare}), json!({"value": [bare]})] {
            assert_eq!(parsed(about, &shape), Some(wanted.clone()), "{shape}");
        }
        let zoned = json!({"startDateTime": {"dateTime": "1970-01-02T00:00", "timeZone": "Pacific Standard Time"}});
        let earliest = parsed(about, &zoned).and_then(|event| event.starts_at);
        assert_eq!(earliest, Some(36_000_000), "10 hours later, 14 hours ahead of UTC");
        let hostile = json!({"audience": "ada\u{1b}[2J", "status": 1, "settings": null});
        assert_eq!(parsed(about, &hostile), Some(EventAnswer::default()));
        for none in [json!([]), json!(7), json!(null)] {
            assert_eq!(parsed(about, &none), None, "{none}");
        }
        let two = json!({"value": [bare, bare]});
        assert_eq!(parsed(about, &two), Some(EventAnswer::default()), "which one is not known");
    }

    #[test]
    fn a_configuration_says_what_it_says() {
        let full =
            json!({"capacity": 1000, "isManualApprovalEnabled": true, "isWaitlistEnabled": false});
        let wanted = Configuration {
            capacity: Some(1000),
            manual_approval: Some(true),
            waitlist: Some(false),
        };
        assert_eq!(parsed(configuration, &full), Some(wanted));
        let odd =
            json!({"capacity": -1, "isManualApprovalEnabled": "yes", "registrationWebUrl": ""});
        assert_eq!(parsed(configuration, &odd), Some(Configuration::default()));
        assert_eq!(configuration(b""), None);
    }
}
