//! `registration show|enable|disable`: the meeting's external registration.

use super::{
    args::{ReachArgs, RegistrationAction, RegistrationArgs},
    failure::Failure,
    print::print,
    reach,
};
use crate::{
    graph::{http::Http, target::Api},
    job::{self, client::GraphClient, preflight, refusal::Refusal, stop::Stop},
    output::harmless,
    pacing::{Buckets, Call, Pacer, Settings, Systemic, Verdict},
    registrant::Mode,
};

pub(super) fn registration(args: &RegistrationArgs) -> Result<u8, Failure> {
    let (reach, enable) = match &args.action {
        RegistrationAction::Show(reach) | RegistrationAction::Disable(reach) => (reach, None),
        RegistrationAction::Enable { allow, reach } => (reach, Some(*allow)),
    };
    if reach.target.webinar.is_some() {
        return Err(Failure::usage(
            "this command is for meetings; a webinar's registration is set up in Teams by its organizer (`doctor --webinar ID` shows what it admits)",
        ));
    }
    if reach.target.meeting.is_none() {
        return Err(Failure::usage("no meeting is named: give --meeting ID"));
    }
    let meeting = reach::meeting(&reach.target)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal("no runtime", &error))?;
    runtime.block_on(async {
        let client = line(reach)?;
        match &args.action {
            RegistrationAction::Disable(_) => {
                match client.ask(Call::Remove, &meeting.disable()).await {
                    Ok(_) => print("the registration and its registrants are removed\n"),
                    Err(refusal) => return Err(stopped(&client, refusal.into_stop(Api::Meeting))),
                }
            }
            RegistrationAction::Show(_) => match client.ask(Call::Read, &meeting.show()).await {
                Ok(response) => tell(&preflight::read(&response)?),
                Err(refusal) => return Err(stopped(&client, refusal.into_stop(Api::Meeting))),
            },
            RegistrationAction::Enable { .. } => {
                let mode = enable.unwrap_or(Mode::Everyone);
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
                        let answer = preflight::enable(&client, &meeting, mode).await;
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

fn line(reach: &ReachArgs) -> Result<GraphClient<Http>, Failure> {
    let http = reach::http(&reach.graph);
    let (host, tokens) = reach::signed_in(&reach.graph, &reach.auth, &http)?;
    let pacer = || Pacer::new(Settings::default());
    Ok(GraphClient::new(
        Http::new(host, &http)?,
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
