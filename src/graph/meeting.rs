//! The meeting target: `externalMeetingRegistrant` on an online meeting (Graph `beta`).
//!
//! Builds each request's path and body and reads each answer; sends nothing. Paths and statuses
//! are those of Microsoft Graph's reference (externalMeetingRegistration, externalMeetingRegistrant:
//! create, list, delete). Microsoft has announced the end of this API ("stop returning data",
//! 12 December 2024), so an answer without a link is never taken for a success.

use http::Method;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    transport::{GraphRequest, Response, segment},
    wire::{ListPage, Member, MemberStanding, WirePage, encode, is_word},
};
use crate::registrant::{BadLink, Details, JoinLink, Mode, Registrant, RegistrantId};

/// One online meeting, addressed through its organizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    id: String,
    organizer: Option<String>,
    registration: String,
}

/// A meeting's registration, as the job needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its own id; a new one means that the registration was deleted and made anew.
    pub id: Option<String>,
    /// Who may register.
    pub mode: Mode,
}

/// Why an answer is not a registration that rows can be held against.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// Teams' own registration page is on; people register there themselves.
    #[error(
        "the meeting has a registration of Teams' own kind, which takes no external registrants"
    )]
    TeamsOwn,
    /// `allowedRegistrant` is missing or is none of the known modes.
    #[error("the registration's allowedRegistrant is `{0}`, which this program does not know")]
    UnknownMode(String),
    /// The body is no registration at all.
    #[error("the answer cannot be read as a registration")]
    Unreadable,
}

/// What a 2xx answer to a registrant's POST brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// The person's link.
    pub link: JoinLink,
    /// The server's own id of the registrant, where it gave one.
    pub registrant_id: Option<String>,
}

impl Meeting {
    /// The meeting `id` of `organizer`; without one, of the signed-in user (`/me`).
    pub fn new(id: &str, organizer: Option<&str>) -> Self {
        let owner = organizer.map_or_else(|| "me".to_owned(), |o| format!("users/{}", segment(o)));
        Self {
            id: id.to_owned(),
            organizer: organizer.map(str::to_owned),
            registration: format!("/beta/{owner}/onlineMeetings/{}/registration", segment(id)),
        }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// The organizer, where one was named.
    pub fn organizer(&self) -> Option<&str> {
        self.organizer.as_deref()
    }

    /// GET of the registration.
    pub fn show(&self) -> GraphRequest {
        GraphRequest::new(Method::GET, self.registration.clone())
    }

    /// POST of an external registration.
    pub fn enable(&self, mode: Mode) -> GraphRequest {
        let body = EnableBody {
            odata_type: "#microsoft.graph.externalMeetingRegistration",
            allowed_registrant: mode.as_str(),
        };
        GraphRequest::new(Method::POST, self.registration.clone()).with_body(encode(&body))
    }

    /// DELETE of the registration, and of every registrant with it.
    pub fn disable(&self) -> GraphRequest {
        GraphRequest::new(Method::DELETE, self.registration.clone())
    }

    /// POST of one registrant.
    pub fn enrol(&self, registrant: &Registrant) -> GraphRequest {
        let (tenant_id, user_id) = match &registrant.details {
            Details::Organization { tenant_id, user_id } => (Some(*tenant_id), Some(*user_id)),
            Details::Everyone | Details::Event(_) => (None, None),
        };
        let body = RegistrantBody {
            odata_type: "#microsoft.graph.externalMeetingRegistrant",
            id: registrant.id.as_str(),
            tenant_id,
            user_id,
        };
        let target = format!("{}/registrants", self.registration);
        GraphRequest::new(Method::POST, target).with_body(encode(&body))
    }

    /// DELETE of one registrant. `None` for the ids `.` and `..`: every URL parser on the way folds
    /// such a segment away, encoded or not (RFC 3986, 5.2.4; WHATWG URL, "double-dot path segment"),
    /// and the request would delete the registration itself.
    pub fn remove(&self, id: &RegistrantId) -> Option<GraphRequest> {
        if matches!(id.as_str(), "." | "..") {
            return None;
        }
        let target = format!("{}/registrants/{}", self.registration, segment(id.as_str()));
        Some(GraphRequest::new(Method::DELETE, target))
    }

    /// GET of the first page of registrants.
    pub fn list(&self) -> GraphRequest {
        GraphRequest::new(Method::GET, format!("{}/registrants", self.registration))
    }

    /// Reads the answer to [`Meeting::show`] or [`Meeting::enable`].
    ///
    /// # Errors
    /// [`RegistrationError`] when rows cannot be held against it.
    pub fn read_registration(response: &Response) -> Result<Registration, RegistrationError> {
        let answer: RegistrationAnswer =
            serde_json::from_slice(&response.body).map_err(|_| RegistrationError::Unreadable)?;
        let teams_own = answer.registration_page_web_url.is_some()
            || answer.odata_type.is_some_and(|t| t.ends_with(".meetingRegistration"));
        if teams_own {
            return Err(RegistrationError::TeamsOwn);
        }
        let mode = answer.allowed_registrant.filter(|mode| is_word(mode));
        let mode = mode.ok_or(RegistrationError::Unreadable)?;
        let mode = mode.parse().map_err(|_| RegistrationError::UnknownMode(mode))?;
        Ok(Registration { id: answer.id.filter(|id| !id.is_empty()), mode })
    }

    /// Reads a 2xx answer to [`Meeting::enrol`] of `id`.
    ///
    /// # Errors
    /// `None` when the body is no JSON object (an answer that was cut, or a gateway's page): it
    /// says nothing of what happened. [`BadLink`] when it is one and gives no usable link.
    pub fn read_enrolled(
        response: &Response,
        id: &RegistrantId,
    ) -> Result<Enrolled, Option<BadLink>> {
        if response.body.is_empty() {
            return Err(Some(BadLink::Missing));
        }
        let answer: MeetingMember = serde_json::from_slice(&response.body).map_err(|_| None)?;
        let link = JoinLink::of(answer.join_web_url.as_deref(), id).map_err(Some)?;
        Ok(Enrolled { link, registrant_id: answer.id.filter(|own| !own.is_empty()) })
    }

    /// Reads a page of [`Meeting::list`]; `None` when it is none.
    pub fn read_page(response: &Response) -> Option<ListPage> {
        let page: WirePage<MeetingMember> = serde_json::from_slice(&response.body).ok()?;
        let members = page.value.into_iter().filter_map(|member| {
            Some(Member {
                posted: Some(member.id?),
                email: None,
                names: None,
                server_id: None,
                standing: MemberStanding::Registered,
            })
        });
        Some(ListPage { members: members.collect(), next_link: page.next_link })
    }
}

/// The body of "Create externalMeetingRegistrant": in mode `everyone` the type and the id,
/// nothing else; in mode `organization` the two GUIDs as well.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RegistrantBody<'a> {
    #[serde(rename = "@odata.type")]
    odata_type: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<Uuid>,
}

/// The body of "Create externalMeetingRegistration".
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EnableBody {
    #[serde(rename = "@odata.type")]
    odata_type: &'static str,
    allowed_registrant: &'static str,
}

/// The answer to a registrant's POST, or one member of the list. Only what is used; the answer's
/// `userId` and `tenantId` are not (the reference's own example has them swapped).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MeetingMember {
    /// The server's own id; the list's is the posted one.
    id: Option<String>,
    /// The link; null in lists.
    join_web_url: Option<String>,
}

/// The answer to a registration's GET or POST.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegistrationAnswer {
    /// Tells an external registration from one of Teams' own kind.
    #[serde(rename = "@odata.type")]
    odata_type: Option<String>,
    id: Option<String>,
    allowed_registrant: Option<String>,
    /// Only a registration of Teams' own kind has a page; some answers leave `@odata.type` out.
    registration_page_web_url: Option<String>,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};
    use serde_json::{Value, json};

    use super::*;
    use crate::registrant::{Fields, Rule};

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

    #[test]
    fn paths_are_the_documented_ones() {
        let mine = Meeting::new("MSpkYzE3", None);
        assert_eq!(mine.show().target, "/beta/me/onlineMeetings/MSpkYzE3/registration");
        let theirs = Meeting::new("MSpkYzE3", Some("16664f75-11dc-4870-bec6-38c1aaa81431"));
        assert_eq!(
            theirs.list().target,
            "/beta/users/16664f75-11dc-4870-bec6-38c1aaa81431/onlineMeetings/MSpkYzE3/registration/registrants"
        );
    }

    #[test]
    fn an_id_in_a_path_is_one_segment_whatever_it_holds() {
        let meeting = Meeting::new("a/b==", Some("ada@example.org"));
        let tail = |text: &str| {
            let target = meeting.remove(&id(text)).expect("addressable").target;
            target.rsplit_once('/').map(|(_, tail)| tail.to_owned()).expect("a tail")
        };
        assert_eq!(tail("a/b?c#d%e f+g"), "a%2Fb%3Fc%23d%25e%20f%2Bg");
        assert_eq!(tail("Żó"), "%C5%BB%C3%B3");
        assert_eq!(tail("..."), "...");
        assert!(meeting.remove(&id("..")).is_none(), "it would delete the registration");
        assert!(meeting.remove(&id(".")).is_none());
        assert!(meeting.show().target.contains("/ada%40example.org/onlineMeetings/a%2Fb%3D%3D/"));
    }

    #[test]
    fn the_references_own_odd_answer_comes_out_right() {
        // The reference's example 1: the answer's id is not the posted one; prid is.
        let body = r##"{"@odata.type":"#microsoft.graph.externalMeetingRegistrant","id":"30494ab7-7338-4592-bfec-a4333be2a0a6","joinWebUrl":"https://teams.microsoft.com/l/meetup-join/t/0?context=%7b%22prid%22%3a%229d96988d-a66a-46ce-aad7-0b245615b297%22%7d","userId":null,"tenantId":null}"##;
        let enrolled =
            Meeting::read_enrolled(&answer(body), &id("9d96988d-a66a-46ce-aad7-0b245615b297"))
                .expect("a success");
        assert_eq!(enrolled.registrant_id.as_deref(), Some("30494ab7-7338-4592-bfec-a4333be2a0a6"));
    }

    #[test]
    fn a_2xx_without_a_usable_link_is_no_success() {
        let read = |body: &str| Meeting::read_enrolled(&answer(body), &id("a")).map(|_| ());
        assert_eq!(read(""), Err(Some(BadLink::Missing)));
        assert_eq!(read(r#"{"id":"","joinWebUrl":""}"#), Err(Some(BadLink::Missing)));
        assert_eq!(read(r#"{"id":"a","joinWebUrl":null}"#), Err(Some(BadLink::Missing)));
        assert_eq!(read("<html></html>"), Err(None));
        assert_eq!(read(r#"{"id":"a","joinWebUrl":"https://teams.mi"#), Err(None));
    }

    #[test]
    fn the_kinds_of_registration_are_told_apart() {
        let read = |body: &str| Meeting::read_registration(&answer(body));
        let external = r##"{"@odata.type":"#microsoft.graph.externalMeetingRegistration","id":"f2","allowedRegistrant":"everyone"}"##;
        assert_eq!(
            read(external),
            Ok(Registration { id: Some("f2".into()), mode: Mode::Everyone })
        );
        let teams = r##"{"@odata.type":"#microsoft.graph.meetingRegistration","id":"f2","allowedRegistrant":"everyone"}"##;
        assert_eq!(read(teams), Err(RegistrationError::TeamsOwn));
        let untyped =
            r#"{"id":"f2","allowedRegistrant":"everyone","registrationPageWebUrl":"https://x"}"#;
        assert_eq!(read(untyped), Err(RegistrationError::TeamsOwn));
        let future = r#"{"id":"f2","allowedRegistrant":"unknownFutureValue"}"#;
        assert_eq!(read(future), Err(RegistrationError::UnknownMode("unknownFutureValue".into())));
        assert_eq!(read("[]"), Err(RegistrationError::Unreadable));
    }

    fn body(request: &GraphRequest) -> Value {
        serde_json::from_slice(request.body.as_ref().expect("a body")).expect("JSON")
    }

    #[test]
    fn everyone_sends_the_type_and_the_id_and_nothing_else() {
        let fields = Fields {
            id: Some("9d96988d-a66a-46ce-aad7-0b245615b297"),
            tenant_id: Some("909c6581-5130-43e9-88f3-fcb3582cde37"),
            ..Fields::default()
        };
        let registrant = Registrant::parse(&fields, &Rule::Meeting(Mode::Everyone)).expect("valid");
        assert_eq!(
            body(&Meeting::new("m", None).enrol(&registrant)),
            json!({
                "@odata.type": "#microsoft.graph.externalMeetingRegistrant",
                "id": "9d96988d-a66a-46ce-aad7-0b245615b297"
            })
        );
    }

    #[test]
    fn organization_sends_both_guids_hyphenated_and_in_lower_case() {
        let fields = Fields {
            id: Some("é \"1\""),
            tenant_id: Some("{909C6581-5130-43E9-88F3-FCB3582CDE37}"),
            user_id: Some("cc515404b55c466eb896992c918ecc01"),
            ..Fields::default()
        };
        let registrant =
            Registrant::parse(&fields, &Rule::Meeting(Mode::Organization)).expect("valid");
        assert_eq!(
            body(&Meeting::new("m", None).enrol(&registrant)),
            json!({
                "@odata.type": "#microsoft.graph.externalMeetingRegistrant",
                "id": "é \"1\"",
                "tenantId": "909c6581-5130-43e9-88f3-fcb3582cde37",
                "userId": "cc515404-b55c-466e-b896-992c918ecc01"
            })
        );
    }

    #[test]
    fn enabling_sends_the_type_and_the_mode() {
        assert_eq!(
            body(&Meeting::new("m", None).enable(Mode::Organization)),
            json!({
                "@odata.type": "#microsoft.graph.externalMeetingRegistration",
                "allowedRegistrant": "organization"
            })
        );
    }
}
