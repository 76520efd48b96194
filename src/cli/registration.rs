//! `registration show|enable|disable`: the meeting's external registration.

use super::{
    failure::{Failure, runtime},
    logging::print,
    settings::{GraphSettings, RegistrationSettings, RegistrationTask},
};
use crate::{
    graph::{http::Http, target::Api},
    job::{self, client::GraphClient, preflight, refusal::Refusal, stop::Stop},
    output::harmless,
    pacing::{Buckets, Call, Pacer, Settings, Systemic, Verdict},
};

pub(super) fn registration(settings: &RegistrationSettings) -> Result<u8, Failure> {
    let meeting = &settings.meeting;
    runtime()?.block_on(async {
        let client = connect(&settings.graph)?;
        match settings.task {
            RegistrationTask::Disable => {
                match client.ask(Call::Remove, &meeting.disable()).await {
                    Ok(_) => print("the registration and its registrants are removed\n"),
                    Err(refusal) => return Err(stopped(&client, refusal.into_stop(Api::Meeting))),
                }
            }
            RegistrationTask::Show => match client.ask(Call::Read, &meeting.show()).await {
                Ok(response) => tell(&preflight::read(&response)?),
                Err(refusal) => return Err(stopped(&client, refusal.into_stop(Api::Meeting))),
            },
            RegistrationTask::Enable(mode) => {
                // One registration a meeting: look first, and leave the one that is there alone.
                match client.ask(Call::Read, &meeting.show()).await {
                    Ok(response) => {
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
                        tell(&found);
                    }
                    Err(Refusal::Word {
                        verdict: Verdict::Systemic(Systemic::TargetGone), ..
                    }) => {
                        let answer = preflight::enable(&client, meeting, mode).await;
                        let response = answer.map_err(|stop| stopped(&client, stop))?;
                        tell(&preflight::read(&response)?);
                    }
                    Err(refusal) => return Err(stopped(&client, refusal.into_stop(Api::Meeting))),
                }
            }
        }
        Ok(0)
    })
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

fn tell(registration: &crate::graph::meeting::Registration) {
    let id = registration.id.as_deref().unwrap_or("without an id");
    let text = format!("external registration {id}: open to {}\n", registration.mode);
    print(&harmless(&text));
}
