//! Before a webinar's first row: whether it takes registrations, from whom, how many, and what it
//! asks of them.

use std::sync::Arc;

use super::{line::Line, listing::UNREADABLE, stop::Stop};
use crate::{
    graph::{
        host::GraphHost,
        target::Api,
        transport::{GraphRequest, Transport},
        webinar::{self, Webinar},
    },
    pacing::Call,
    registrant::{Form, Mode},
};

/// Whom a webinar lets in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// The most registrations, where there is a limit.
    pub capacity: Option<u64>,
    /// Whoever comes when it is full waits for a place.
    pub waitlist: bool,
    /// The organizer decides on each registration.
    pub approval: bool,
    /// Teams sends no mail to those who are registered.
    pub silent: bool,
}

/// A webinar whose audience is its organization, and an application that registers people for it.
pub const ORGANIZATION: &str = "the webinar is for its organization, and an application registers people without an account: Graph may refuse them; the first row, which goes alone, will tell";

impl Admission {
    /// What to know before `to_post` people are registered beside the `held` ones, a sentence each.
    #[must_use]
    pub fn warnings(&self, to_post: u64, held: u64) -> Vec<String> {
        let mut warnings = Vec::new();
        if to_post == 0 {
            return warnings;
        }
        let people =
            |count: u64| if count == 1 { "1 person".to_owned() } else { format!("{count} people") };
        if !self.silent {
            warnings.push(format!(
                "Teams mails everybody whom it registers: {}; to prevent it, the webinar's isAttendeeEmailNotificationEnabled must be false",
                people(to_post)
            ));
        }
        if self.approval {
            warnings.push("the organizer approves each registration by hand: rows stay `awaiting` until then, and a later run fetches their links".to_owned());
        }
        if let Some(capacity) = self.capacity
            && held + to_post > capacity
        {
            let over = (held + to_post - capacity).min(to_post);
            let end = if self.waitlist {
                "go onto its waiting list"
            } else {
                "find no place, and it has no waiting list"
            };
            warnings.push(format!(
                "the webinar takes {} and holds {held}: {} of the list {end}",
                people(capacity),
                people(over)
            ));
        }
        warnings
    }
}

/// Pages of questions beyond which a list has no end: a form has a screenful of them.
const MOST_PAGES: u32 = 100;

/// GETs the webinar, what it admits and what it asks.
///
/// # Errors
/// The cause that ends the run; `None` when the run was stopped meanwhile.
pub(super) async fn look<T: Transport>(
    line: &Line<T>,
    webinar: &Webinar,
    host: &GraphHost,
) -> Result<(Mode, Arc<Form>, Admission), Option<Stop>> {
    let about = read(line, &webinar.show(), "the webinar", webinar::webinar).await?;
    let mode = mode(&about).map_err(Some)?;
    let what = "the webinar's registration configuration";
    let said = read(line, &webinar.configuration(), what, webinar::configuration).await?;
    let mut questions = Vec::new();
    let mut next = webinar.questions();
    for _ in 0..MOST_PAGES {
        let (page, further) =
            read(line, &next, "the webinar's questions", webinar::questions).await?;
        questions.extend(page);
        let Some(further) = further else {
            let admission = Admission {
                capacity: said.capacity,
                waitlist: said.waitlist.unwrap_or(false),
                approval: said.manual_approval.unwrap_or(false),
                silent: about.mails_attendees == Some(false),
            };
            return Ok((mode, Arc::new(Form { questions }), admission));
        };
        next.target =
            host.next_target(&further).map_err(|error| Some(Stop::Unusable(error.to_string())))?;
    }
    Err(Some(Stop::Unusable("the webinar's list of questions has no end".to_owned())))
}

/// The audience of a webinar that takes registrations.
///
/// # Errors
/// [`Stop::Unusable`].
pub fn mode(about: &webinar::WebinarAnswer) -> Result<Mode, Stop> {
    let unusable = |why: String| Err(Stop::Unusable(why));
    match about.status.as_deref() {
        Some("published") => {}
        Some("draft") => {
            return unusable("the webinar is a draft, and Teams takes no registrations for it; its organizer has to publish it in Teams".to_owned());
        }
        Some("canceled") => {
            return unusable("the webinar was cancelled; nobody can be registered".to_owned());
        }
        other => {
            let other = other.unwrap_or("unknown");
            return unusable(format!(
                "the webinar's status is `{other}`, not `published`; Teams takes registrations for published webinars only"
            ));
        }
    }
    match about.audience.as_deref().map(str::parse) {
        Some(Ok(mode)) => Ok(mode),
        _ => unusable(
            "the webinar's audience is neither `everyone` nor `organization`, and no other is known"
                .to_owned(),
        ),
    }
}

/// Asks for what every row needs to be known. Gateways cut answers short, so an unreadable one is
/// asked for again.
async fn read<T: Transport, R>(
    line: &Line<T>,
    draft: &GraphRequest,
    what: &str,
    read: impl Fn(&[u8]) -> Option<R>,
) -> Result<R, Option<Stop>> {
    for _ in 0..UNREADABLE {
        let answer = line.ask(Call::Read, draft).await;
        let response = answer.map_err(|refusal| refusal.into_stop(Api::Webinar))?;
        if let Some(answer) = read(&response.body) {
            return Ok(answer);
        }
    }
    Err(Some(Stop::Unusable(format!("the answer cannot be read as {what}; check --graph-url"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_awaits_the_people_is_said_before_anybody_is_registered() {
        let plain = Admission { silent: true, ..Admission::default() };
        assert!(plain.warnings(10, 90).is_empty());
        let told = |admission: Admission| admission.warnings(30, 90).join("\n");
        assert!(told(Admission { silent: false, ..plain.clone() }).contains("30 people"));
        let full = Admission { capacity: Some(100), ..plain.clone() };
        assert!(told(full.clone()).contains("takes 100 people and holds 90: 20 people"));
        assert!(told(Admission { waitlist: true, ..full.clone() }).contains("waiting list"));
        assert!(told(Admission { approval: true, ..plain }).contains("awaiting"));
        assert!(full.warnings(10, 90).is_empty(), "there is room");
        assert!(Admission::default().warnings(0, 200).is_empty(), "nobody is registered");
        assert!(full.warnings(3, 200)[0].contains("3 people of the list"));
    }

    #[test]
    fn only_a_published_webinar_of_a_known_audience_takes_rows() {
        let about = |status: &str, audience: &str| {
            let body = format!(r#"{{"status":"{status}","audience":"{audience}"}}"#);
            mode(&webinar::webinar(body.as_bytes()).expect("a webinar"))
        };
        assert_eq!(about("published", "everyone"), Ok(Mode::Everyone));
        assert_eq!(about("published", "organization"), Ok(Mode::Organization));
        for (status, audience) in [
            ("draft", "everyone"),
            ("canceled", "everyone"),
            ("unknownFutureValue", "everyone"),
            ("published", "unknownFutureValue"),
        ] {
            assert!(about(status, audience).is_err(), "{status} {audience}");
        }
    }
}
