//! `registration show|enable|disable`: the meeting's external registration.

use super::{
    failure::{Failure, runtime},
    logging::print,
    settings::{RegistrationSettings, RegistrationTask},
};
use crate::{
    graph::{http::Http, meeting::Meeting, target::Api, verdict::Call},
    job::{client::GraphClient, preflight, stop::Stop},
    output::harmless,
};

pub(super) fn registration(settings: &RegistrationSettings) -> Result<u8, Failure> {
    let said = runtime()?.block_on(async {
        let client = settings.graph.client(settings.graph.tokens()?)?;
        carry_out(settings.task, &settings.meeting, &client).await
    })?;
    print(&harmless(&said));
    Ok(0)
}

async fn carry_out(
    task: RegistrationTask,
    meeting: &Meeting,
    client: &GraphClient<Http>,
) -> Result<String, Failure> {
    if matches!(task, RegistrationTask::Disable) {
        let answered = client.send_until_answered(Call::Remove, &meeting.disable()).await;
        answered.map_err(|refusal| {
            stopped(client, refusal.into_stop(Api::Meeting, "a registration"))
        })?;
        return Ok("the registration and its registrants are removed\n".to_owned());
    }
    // One registration a meeting: one that is there is left alone.
    let enable = match task {
        RegistrationTask::Enable(mode) => Some(mode),
        _ => None,
    };
    let found = preflight::registration(client, meeting, enable).await;
    let found = found.map_err(|stop| stopped(client, stop))?;
    if enable.is_some_and(|mode| found.mode != mode) {
        return Err(Failure {
            code: 6,
            sentence: format!(
                "the meeting has a registration for {} already, and its mode cannot be changed; `registration disable` removes it, with every registrant",
                found.mode
            ),
        });
    }
    let id = found.id.as_deref().unwrap_or("without an id");
    Ok(format!("external registration {id}: open to {}\n", found.mode))
}

fn stopped(client: &GraphClient<Http>, stop: Option<Stop>) -> Failure {
    match stop.or_else(|| client.stop.cause()) {
        Some(stop) => stop.into(),
        None => Failure { code: 5, sentence: "interrupted".to_owned() },
    }
}
