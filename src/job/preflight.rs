//! Before the first row: the meeting's registration or the webinar, and with it the rule.

use super::{
    admission::{self, Admission},
    client::GraphClient,
    listing::UNREADABLE,
    refusal::Refusal,
    stop::Stop,
};
use crate::{
    auth::Speaker,
    graph::{
        host::GraphHost,
        meeting::{Meeting, Registration, RegistrationError},
        target::{Api, Target},
        transport::{Response, Transport},
    },
    pacing::{Call, Systemic, Verdict},
    registrant::{Mode, Rule},
};

/// What rows are held against, and what else the target says before the first one.
pub struct Ruling {
    /// The rule.
    pub rule: Rule,
    /// A meeting's `allowedRegistrant`, or a webinar's `audience`.
    pub mode: Mode,
    /// A meeting's registration.
    pub registration: Option<Registration>,
    /// What a webinar admits.
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
    host: &GraphHost,
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
        Target::Webinar(webinar) => {
            let of_a_person = client.speaker().await == Some(Speaker::Person);
            let (mode, form, admission) = admission::look(client, webinar, host).await?;
            Ok(Ruling {
                rule: Rule::Webinar(form),
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
pub const PERSON: &str = "the token is a person's, and for a webinar Graph lets a person register nobody but themselves; sign in as an application (--auth client-secret or another of its ways)";

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
    // Gateways cut answers short, and this one decides about the whole run: it is asked for again.
    let mut tries = 1;
    loop {
        let response = match client.ask(Call::Read, &meeting.show()).await {
            Ok(response) => response,
            Err(Refusal::Word { verdict: Verdict::Systemic(Systemic::TargetGone), .. })
                if enable.is_some() =>
            {
                self::enable(client, meeting, enable.unwrap_or(Mode::Everyone)).await?
            }
            Err(refusal) => return Err(refusal.into_stop(Api::Meeting)),
        };
        let unreadable =
            Meeting::read_registration(&response) == Err(RegistrationError::Unreadable);
        if !unreadable || tries == UNREADABLE {
            return read(&response).map_err(Some);
        }
        tries += 1;
    }
}

/// POSTs an external registration. Where the answer is lost, looks whether it is there.
///
/// # Errors
/// As [`registration`].
pub async fn enable<T: Transport>(
    client: &GraphClient<T>,
    meeting: &Meeting,
    mode: Mode,
) -> Result<Response, Option<Stop>> {
    match client.ask(Call::Create, &meeting.enable(mode)).await {
        Ok(response) => Ok(response),
        Err(Refusal::Unknown) => client
            .ask(Call::Read, &meeting.show())
            .await
            .map_err(|refusal| refusal.into_stop(Api::Meeting)),
        Err(refusal) => Err(refusal.into_stop(Api::Meeting)),
    }
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
