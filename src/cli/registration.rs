//! `registration show|enable|disable`: the meeting's external registration.

use super::{
    args::{ReachArgs, RegistrationAction, RegistrationArgs},
    failure::Failure,
    print::print,
    reach,
};
use crate::{
    graph::{http::Http, target::Api},
    job::{self, client::GraphClient, preflight, stop::Stop},
    output::harmless,
    pacing::{Buckets, Call, Pacer, Settings},
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
        let client = client(reach)?;
        match &args.action {
            RegistrationAction::Disable(_) => {
                match client.send_until_answered(Call::Remove, &meeting.disable()).await {
                    Ok(_) => print("the registration and its registrants are removed\n"),
                    Err(refusal) => {
                        let stop = refusal.into_stop(Api::Meeting, "a registration");
                        return Err(stopped(&client, stop));
                    }
                }
            }
            RegistrationAction::Show(_) | RegistrationAction::Enable { .. } => {
                // One registration a meeting: one that is there is left alone.
                let found = preflight::registration(&client, &meeting, enable).await;
                let found = found.map_err(|stop| stopped(&client, stop))?;
                if enable.is_some_and(|mode| found.mode != mode) {
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
        }
        Ok(0)
    })
}

fn client(reach: &ReachArgs) -> Result<GraphClient<Http>, Failure> {
    let http = reach::http(&reach.graph);
    let (host, tokens) = reach::signed_in(&reach.graph, &reach.auth, &http)?;
    let pacer = || Pacer::new(Settings::default());
    Ok(GraphClient::new(
        Http::new(host.clone(), &http)?,
        host,
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
