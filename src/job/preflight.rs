//! Before the first row: the meeting's registration, or whether a virtual event takes registrations, from
//! whom, how many, and what it asks of them. With it the rule that rows are checked against.

use std::sync::Arc;

use super::{
    client::{GraphClient, Refusal},
    stop::Stop,
};
use crate::{
    auth::Speaker,
    graph::{
        event::{self, VirtualEvent},
        meeting::{Meeting, Registration, RegistrationError},
        target::{Api, Target},
        transport::{GraphRequest, Response, Transport},
        verdict::{Call, Systemic, Verdict},
    },
    registrant::{EventKind, Form, Mode, Rule},
};

/// What rows are held against, and what else the target says before the first one.
pub struct Ruling {
    /// The rule.
    pub rule: Rule,
    /// A meeting's `allowedRegistrant`, or a webinar's `audience`.
    pub mode: Mode,
    /// A meeting's registration.
    pub registration: Option<Registration>,
    /// What an event admits.
    pub admission: Option<Admission>,
    /// The token is a person's, who can register nobody else for a webinar.
    pub of_a_person: bool,
}

/// The target's rule.
///
/// # Errors
/// The cause that ends the run; `None` when the run was stopped meanwhile.
pub async fn rule<T: Transport>(
    client: &GraphClient<T>,
    target: &Target,
    enable: Option<Mode>,
) -> Result<Ruling, Option<Stop>> {
    match target {
        Target::Meeting(meeting) => {
            let registration = registration(client, meeting, enable).await?;
            Ok(Ruling {
                rule: Rule::Meeting(registration.mode),
                mode: registration.mode,
                registration: Some(registration),
                admission: None,
                of_a_person: false,
            })
        }
        Target::Event(event) => {
            let of_a_person = client.speaker().await == Some(Speaker::Person);
            let (mode, form, admission) = admission(client, event).await?;
            Ok(Ruling {
                rule: Rule::Event(form),
                mode,
                registration: None,
                admission: Some(admission),
                of_a_person,
            })
        }
    }
}

/// An application's token and no organizer.
pub const NO_ME: &str = "the token is an application's, which has no meetings of its own (`/me`); name the meeting's organizer with --organizer, by object id or user principal name";

/// A person's token, and people to be registered for a webinar.
pub const PERSON: &str = "the token is a person's, and for a virtual event Graph lets a person register nobody but themselves; sign in as an application (--auth client-secret or another of its ways)";

/// GETs the registration; where there is none and `enable` names a mode, creates it first.
///
/// # Errors
/// The cause that ends the run; `None` when the run was stopped meanwhile.
pub async fn registration<T: Transport>(
    client: &GraphClient<T>,
    meeting: &Meeting,
    enable: Option<Mode>,
) -> Result<Registration, Option<Stop>> {
    if meeting.organizer().is_none() && client.speaker().await == Some(Speaker::Application) {
        return Err(Some(Stop::Unusable(NO_ME.to_owned())));
    }
    let shown = client.fetch(&meeting.show(), read_whole).await;
    let missing = matches!(
        shown,
        Err(Refusal::Answered { verdict: Verdict::Systemic(Systemic::TargetGone), .. })
    );
    match (shown, enable) {
        (Ok(read), _) => read.map_err(Some),
        (Err(_), Some(mode)) if missing => self::enable(client, meeting, mode).await,
        (Err(refusal), _) => Err(refusal.into_stop(Api::Meeting, A_REGISTRATION)),
    }
}

/// What [`registration`] asks for.
const A_REGISTRATION: &str = "a registration";

/// Reads a registration; `None` where the answer was cut short.
fn read_whole(response: &Response) -> Option<Result<Registration, Stop>> {
    let cut = Meeting::read_registration(response) == Err(RegistrationError::Unreadable);
    (!cut).then(|| read(response))
}

/// POSTs an external registration. Where the answer is lost or cut short, looks whether it is there.
///
/// # Errors
/// As [`registration`].
pub async fn enable<T: Transport>(
    client: &GraphClient<T>,
    meeting: &Meeting,
    mode: Mode,
) -> Result<Registration, Option<Stop>> {
    let enabled = match client.send_until_answered(Call::Create, &meeting.enable(mode)).await {
        Ok(exchange) => exchange.result.ok().as_ref().and_then(read_whole),
        Err(Refusal::Unknown) => None,
        Err(refusal) => return Err(refusal.into_stop(Api::Meeting, A_REGISTRATION)),
    };
    let read = match enabled {
        Some(read) => read,
        None => client
            .fetch(&meeting.show(), read_whole)
            .await
            .map_err(|refusal| refusal.into_stop(Api::Meeting, A_REGISTRATION))?,
    };
    read.map_err(Some)
}

/// Reads a registration that rows can be held against.
///
/// # Errors
/// [`Stop::Unusable`].
pub fn read(response: &Response) -> Result<Registration, Stop> {
    Meeting::read_registration(response).map_err(|error| {
        let next = match &error {
            RegistrationError::TeamsOwn => {
                "people register on Teams' own page; switch it off (`registrant-import registration disable`) and enable an external one"
            }
            RegistrationError::UnknownMode(_) => "only `everyone` and `organization` are known",
            RegistrationError::Unreadable => "check --graph-url",
        };
        Stop::Unusable(format!("{error}; {next}"))
    })
}

/// Whom an event lets in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Admission {
    /// The registration configuration may not be read, so nothing is known of places and approval.
    pub unknown: bool,
    /// The most registrations, where there is a limit.
    pub capacity: Option<u64>,
    /// Whoever comes when it is full waits for a place.
    pub waitlist: bool,
    /// The organizer decides on each registration.
    pub approval: bool,
    /// Teams sends no mail to those who are registered.
    pub silent: bool,
    /// When it begins, in milliseconds since 1970, or the earliest time that it may be.
    pub starts_at: Option<i64>,
}

/// A webinar whose audience is its organization, and an application that registers people for it.
pub const ORGANIZATION: &str = "the event is for its organization, and an application registers people without an account: Graph may refuse them; the first row, which goes alone, will tell";

impl Admission {
    /// What to know before `to_post` people are registered beside the `held` ones, a sentence each.
    pub fn warnings(&self, to_post: u64, held: u64) -> Vec<String> {
        let mut warnings = Vec::new();
        if to_post == 0 {
            return warnings;
        }
        let people =
            |count: u64| if count == 1 { "1 person".to_owned() } else { format!("{count} people") };
        if !self.silent {
            warnings.push(format!(
                "Teams mails everybody whom it registers: {}; to prevent it, the event's isAttendeeEmailNotificationEnabled must be false",
                people(to_post)
            ));
        }
        if self.unknown {
            warnings.push("how many places the event has is not known: its registration configuration may not be read (403; VirtualEvent.Read.All allows it)".to_owned());
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
                "the event takes {} and holds {held}: {} of the list {end}",
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
async fn admission<T: Transport>(
    client: &GraphClient<T>,
    event: &VirtualEvent,
) -> Result<(Mode, Arc<Form>, Admission), Option<Stop>> {
    let (api, noun) = (Api::Event(event.kind()), event.kind().noun());
    let about = fetch(client, api, &event.show(), &format!("the {noun}"), event::about).await?;
    let mode = mode(event.kind(), &about).map_err(Some)?;
    let what = format!("the {noun}'s registration configuration");
    let fetched = fetch(client, api, &event.configuration(), &what, event::configuration).await;
    // Nothing that must be known stands in it.
    let (said, unknown) = match fetched {
        Err(Some(Stop::Forbidden { .. })) => (event::Configuration::default(), true),
        said => (said?, false),
    };
    let admission = Admission {
        unknown,
        capacity: said.capacity,
        waitlist: said.waitlist.unwrap_or(false),
        approval: said.manual_approval.unwrap_or(false),
        silent: about.mails_attendees == Some(false),
        starts_at: about.starts_at,
    };
    let mut questions = Vec::new();
    let mut next = event.questions();
    let what = format!("the {noun}'s questions");
    for _ in 0..MOST_PAGES {
        let (page, further) = fetch(client, api, &next, &what, event::questions).await?;
        questions.extend(page);
        let Some(further) = further else {
            return Ok((mode, Arc::new(Form { questions }), admission));
        };
        let place = client.host().next_target(&further);
        next.target = place.map_err(|error| Some(Stop::Unusable(error.to_string())))?;
    }
    Err(Some(Stop::Unusable(format!("the {noun}'s list of questions has no end"))))
}

/// The audience of an event that takes registrations.
///
/// # Errors
/// [`Stop::Unusable`].
pub fn mode(kind: EventKind, about: &event::EventAnswer) -> Result<Mode, Stop> {
    let (noun, unusable) = (kind.noun(), |why: String| Err(Stop::Unusable(why)));
    match about.status.as_deref() {
        Some("published") => {}
        Some("draft") => {
            return unusable(format!(
                "the {noun} is a draft, and Teams takes no registrations for it; its organizer has to publish it in Teams"
            ));
        }
        Some("canceled") => {
            return unusable(format!("the {noun} was cancelled; nobody can be registered"));
        }
        other => {
            let other = other.unwrap_or("unknown");
            return unusable(format!(
                "the {noun}'s status is `{other}`, not `published`; Teams takes registrations for published {noun}s only"
            ));
        }
    }
    if about.registration_required == Some(false) {
        return unusable(format!(
            "the {noun} takes everybody without a registration, so nobody has a link of their own; its organizer has to require registration in Teams"
        ));
    }
    match about.audience.as_deref().map(str::parse) {
        Some(Ok(mode)) => Ok(mode),
        _ => unusable(format!(
            "the {noun}'s audience is neither `everyone` nor `organization`, and no other is known"
        )),
    }
}

/// GETs what every row needs to be known.
async fn fetch<T: Transport, R>(
    client: &GraphClient<T>,
    api: Api,
    draft: &GraphRequest,
    what: &str,
    read: impl Fn(&[u8]) -> Option<R>,
) -> Result<R, Option<Stop>> {
    let fetched = client.fetch(draft, |response| read(&response.body)).await;
    fetched.map_err(|refusal| refusal.into_stop(api, what))
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
            mode(EventKind::Webinar, &event::about(body.as_bytes()).expect("a webinar"))
        };
        assert_eq!(about("published", "everyone"), Ok(Mode::Everyone));
        assert_eq!(about("published", "organization"), Ok(Mode::Organization));
        let open =
            br#"{"status":"published","audience":"everyone","isRegistrationRequired":false}"#;
        let open = mode(EventKind::TownHall, &event::about(open).expect("a town hall"));
        assert!(open.expect_err("nobody").to_string().contains("the town hall takes everybody"));
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
