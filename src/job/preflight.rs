//! Before the first row: the meeting's registration, and with it the rule.

use super::{
    line::{Line, Refusal},
    listing::UNREADABLE,
    stop::Stop,
};
use crate::{
    graph::{
        meeting::{Meeting, Registration, RegistrationError},
        transport::{Response, Transport},
    },
    pacing::{Call, Systemic, Verdict},
    registrant::Mode,
};

/// An application's token and no organizer.
pub const NO_ME: &str = "the token is an application's, which has no meetings of its own (`/me`); name the meeting's organizer with --organizer, by object id or user principal name";

/// GETs the registration; where there is none and `enable` names a mode, creates it first.
///
/// # Errors
/// The cause that ends the run; `None` when the run was stopped meanwhile.
pub async fn registration<T: Transport>(
    line: &Line<T>,
    meeting: &Meeting,
    enable: Option<Mode>,
) -> Result<Registration, Option<Stop>> {
    if meeting.organizer().is_none() && line.speaks_for_an_application().await {
        return Err(Some(Stop::Unusable(NO_ME.to_owned())));
    }
    // Gateways cut answers short, and this one decides about the whole run: it is asked for again.
    let mut tries = 1;
    loop {
        let response = match line.ask(Call::Read, &meeting.show()).await {
            Ok(response) => response,
            Err(Refusal::Word { verdict: Verdict::Systemic(Systemic::TargetGone), .. })
                if enable.is_some() =>
            {
                self::enable(line, meeting, enable.unwrap_or(Mode::Everyone)).await?
            }
            Err(refusal) => return Err(refusal.into_stop()),
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
    line: &Line<T>,
    meeting: &Meeting,
    mode: Mode,
) -> Result<Response, Option<Stop>> {
    match line.ask(Call::Create, &meeting.enable(mode)).await {
        Ok(response) => Ok(response),
        Err(Refusal::Unknown) => {
            line.ask(Call::Read, &meeting.show()).await.map_err(Refusal::into_stop)
        }
        Err(refusal) => Err(refusal.into_stop()),
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
