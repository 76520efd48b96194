//! The webinar target: `virtualEventRegistration` on a Teams webinar (Graph `v1.0`).
//!
//! Builds each request's path and body and reads each answer; sends nothing. Paths and statuses
//! are those of Microsoft Graph's reference (virtualEventWebinar: get, list and create
//! registrations; virtualEventRegistration: get, cancel, list sessions). No answer to a POST holds
//! a link: an application gets 204 and nothing else. The link is in the sessions of the
//! registration, which has to be found first.

use http::Method;

use super::{
    transport::{GraphRequest, Response, segment},
    wire,
    wire::{ListPage, Member, MemberStanding},
};
use crate::registrant::{BadLink, JoinLink, Registrant, RegistrantId};

/// One webinar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webinar {
    id: String,
    path: String,
}

/// What a 2xx answer to a registration's POST said.
#[derive(Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The registration, where the answer has a body (a delegated caller's).
    pub member: Option<Member>,
}

impl Webinar {
    /// The webinar `id`.
    #[must_use]
    pub fn new(id: &str) -> Self {
        let path = format!("/v1.0/solutions/virtualEvents/webinars/{}", segment(id));
        Self { id: id.to_owned(), path }
    }

    /// The webinar's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// GET of the webinar itself.
    #[must_use]
    pub fn show(&self) -> GraphRequest {
        GraphRequest::new(Method::GET, self.path.clone())
    }

    /// GET of what registrations are subject to.
    #[must_use]
    pub fn configuration(&self) -> GraphRequest {
        GraphRequest::new(Method::GET, format!("{}/registrationConfiguration", self.path))
    }

    /// GET of the questions that registrants are asked.
    #[must_use]
    pub fn questions(&self) -> GraphRequest {
        GraphRequest::new(Method::GET, format!("{}/registrationConfiguration/questions", self.path))
    }

    /// POST of one registration.
    #[must_use]
    pub fn enrol(&self, registrant: &Registrant) -> GraphRequest {
        GraphRequest {
            body: Some(wire::webinar_registration(registrant).into()),
            ..GraphRequest::new(Method::POST, format!("{}/registrations", self.path))
        }
    }

    /// GET of the first page of registrations.
    #[must_use]
    pub fn list(&self) -> GraphRequest {
        GraphRequest::new(Method::GET, format!("{}/registrations", self.path))
    }

    /// GET of a registration's sessions, where its link is.
    #[must_use]
    pub fn sessions(&self, server_id: &str) -> GraphRequest {
        let target = format!("{}/registrations/{}/sessions", self.path, segment(server_id));
        GraphRequest::new(Method::GET, target)
    }

    /// POST that cancels a registration. Asked twice it does no more than once.
    #[must_use]
    pub fn cancel(&self, server_id: &str) -> GraphRequest {
        let target = format!("{}/registrations/{}/cancel", self.path, segment(server_id));
        GraphRequest::new(Method::POST, target)
    }

    /// Reads a 2xx answer to [`Webinar::enrol`]; `None` where it cannot be told from it that Graph
    /// itself has taken the registration: an answer that was cut, or a gateway's page.
    #[must_use]
    pub fn read_accepted(response: &Response) -> Option<Accepted> {
        if response.body.is_empty() {
            return Some(Accepted { member: None });
        }
        let answer: wire::RegistrationMember = serde_json::from_slice(&response.body).ok()?;
        let member = Some(member(answer)).filter(|member| member.server_id.is_some());
        member.map(|member| Accepted { member: Some(member) })
    }

    /// Reads a page of [`Webinar::list`]; `None` when it is none.
    #[must_use]
    pub fn read_page(response: &Response) -> Option<ListPage> {
        let page: wire::Page<wire::RegistrationMember> =
            serde_json::from_slice(&response.body).ok()?;
        let members = page.value.into_iter().map(member).collect();
        Some(ListPage { members, next_link: page.next_link })
    }

    /// Reads the answer to [`Webinar::sessions`] of `member`, which is the registration of `id`. A
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
        let page: wire::Page<wire::SessionMember> =
            serde_json::from_slice(&response.body).map_err(|_| None)?;
        let urls = page.value.into_iter().filter_map(|session| session.join_web_url);
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

fn member(answer: wire::RegistrationMember) -> Member {
    Member {
        server_id: answer.address(),
        standing: MemberStanding::read(answer.status.as_deref()),
        posted: answer
            .outside
            .and_then(|outside| outside.registration_id)
            .filter(|posted| !posted.is_empty()),
        email: answer.email.map(|email| email.trim().to_lowercase()),
        names: answer.first_name.zip(answer.last_name),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;

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
        let webinar = Webinar::new(WEBINAR);
        let base = "/v1.0/solutions/virtualEvents/webinars/88b245ac-b0b2-f1aa-e34a-c81c27abdac2%40f9448ec4-804b-46af-b810-62085248da33";
        assert_eq!(webinar.show().target, base);
        assert_eq!(webinar.list().target, format!("{base}/registrations"));
        assert_eq!(webinar.sessions("r/1").target, format!("{base}/registrations/r%2F1/sessions"));
        let cancel = webinar.cancel("r1");
        assert_eq!((cancel.method, cancel.body), (Method::POST, None));
        assert_eq!(cancel.target, format!("{base}/registrations/r1/cancel"));
    }

    #[test]
    fn an_accepted_post_is_told_from_a_cut_answer_and_a_gateways_page() {
        let read = |body: &str| {
            let accepted = Webinar::read_accepted(&answer(body))?;
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
        let page = Webinar::read_page(&answer(body)).expect("a page");
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
            let link = Webinar::read_link(&answer(&body), &id("A 1"), &of("A 0", "r1"));
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
        let none = Webinar::read_link(&answer(r#"{"value":[]}"#), &id("A"), &of("A", "r1"));
        assert_eq!(none.err(), Some(Some(BadLink::Missing)));
        assert_eq!(Webinar::read_link(&answer("<p>"), &id("A"), &of("A", "r1")).err(), Some(None));
    }
}
