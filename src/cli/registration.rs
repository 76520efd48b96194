//! `registration show|enable|disable`: the meeting's external registration.

use super::{
    failure::{Failure, runtime},
    logging::print,
    settings::{GraphSettings, RegistrationSettings, RegistrationTask},
};
use crate::{
    graph::{http::Http, meeting::Meeting, target::Api},
    job::{self, client::GraphClient, preflight, refusal::Refusal, stop::Stop},
    output::harmless,
    pacing::{Buckets, Call, Pacer, Settings, Systemic, Verdict},
};

pub(super) fn registration(settings: &RegistrationSettings) -> Result<u8, Failure> {
    let said = runtime()?.block_on(async {
        let client = connect(&settings.graph)?;
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
    let refused = |refusal: Refusal| stopped(client, refusal.into_stop(Api::Meeting));
    if matches!(task, RegistrationTask::Disable) {
        client.ask(Call::Remove, &meeting.disable()).await.map_err(refused)?;
        return Ok("the registration and its registrants are removed\n".to_owned());
    }
    // One registration a meeting: one that is there is left alone.
    let shown = client.ask(Call::Read, &meeting.show()).await;
    let found = match (task, shown) {
        (
            RegistrationTask::Enable(mode),
            Err(Refusal::Word { verdict: Verdict::Systemic(Systemic::TargetGone), .. }),
        ) => {
            let enabled = preflight::enable(client, meeting, mode).await;
            preflight::read(&enabled.map_err(|stop| stopped(client, stop))?)?
        }
        (RegistrationTask::Enable(mode), Ok(response)) => {
            let found = preflight::read(&response)?;
            if found.mode != mode {
                return Err(Failure {
                    code: 6,
                    sentence: format!(
                        "the meeting has a registration for {} already, and its mode cannot be changed; `registration disable` removes it, with every registrant",
                        found.mode
                    ),
                });
            }
            found
        }
        (_, shown) => preflight::read(&shown.map_err(refused)?)?,
    };
    let id = found.id.as_deref().unwrap_or("without an id");
    Ok(format!("external registration {id}: open to {}\n", found.mode))
}

fn connect(graph: &GraphSettings) -> Result<GraphClient<Http>, Failure> {
    let tokens = graph.tokens()?;
    let pacer = || Pacer::new(Settings::default());
    Ok(GraphClient::new(
        Http::new(graph.host.clone(), &graph.http)?,
        tokens,
        job::start_clock(),
        Buckets::new(pacer(), pacer()),
        fastrand::Rng::new(),
    ))
}

fn stopped(client: &GraphClient<Http>, stop: Option<Stop>) -> Failure {
    match stop.or_else(|| client.stop.cause()) {
        Some(stop) => stop.into(),
        None => Failure { code: 5, sentence: "interrupted".to_owned() },
    }
}
