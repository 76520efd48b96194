//! A person who waits for a run that has nothing to show yet is told why: before the plan stands
//! there is no bar, and a network that carries nothing is given ten minutes.

use std::{cell::Cell, convert::Infallible, time::Duration};

use crate::{
    graph::http::Http,
    job::line::{Line, OUTAGE},
    output::Teller,
};

/// Looked at so often.
const LOOK: Duration = Duration::from_secs(1);

/// Tells it once, and keeps the state up to date for whoever asks; goes quiet once there is a plan.
pub(super) async fn keep(
    line: &Line<Http>,
    planned: &Cell<Option<u64>>,
    teller: &Teller,
) -> Infallible {
    let mut told = false;
    while planned.get().is_none() {
        tokio::time::sleep(LOOK).await;
        let traffic = line.traffic();
        let waits = traffic.failed + traffic.throttled;
        if waits == 0 || planned.get().is_some() {
            continue;
        }
        let what = if traffic.failed > 0 {
            format!("does not answer ({})", line.trouble())
        } else {
            "asks to wait".to_owned()
        };
        teller.stage(&format!(
            "waiting for Graph: {waits} of {} requests came to nothing; no row is sent yet",
            traffic.requests
        ));
        if !std::mem::replace(&mut told, true) && !line.stop.is_raised() {
            teller.say(&format!(
                "Graph {what}: it is asked again for up to {} min; Ctrl-C ends, -vv tells more",
                OUTAGE.as_secs() / 60
            ));
        }
    }
    std::future::pending().await
}
