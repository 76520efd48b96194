//! A person who waits for a run that has nothing to show yet is told why: before the plan stands
//! there is no bar. A network that carries nothing is given ten minutes; a server that asks to wait
//! is waited for as long as it asks.

use std::{cell::Cell, convert::Infallible, time::Duration};

use jiff::Zoned;

use super::deadline::Deadline;
use crate::{
    graph::http::Http,
    job::client::{GraphClient, OUTAGE},
    output::{StatusLine, second_of_end},
};

/// Looked at so often.
const LOOK: Duration = Duration::from_secs(1);

/// Told again after this long, so that a log shows a run that lives.
const AGAIN: Duration = Duration::from_secs(300);

/// What a run waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wait {
    /// An answer of the server's own; what went wrong last, in a few words.
    Answer(String),
    /// The end of a throttling, at this time of day where it is known.
    Turn(Option<String>),
}

impl Wait {
    /// What `line` waits for; `None` while nothing has come to nothing.
    fn of(client: &GraphClient<Http>) -> Option<Self> {
        let (traffic, now) = (client.traffic(), client.clock.now());
        match client.view().closed.filter(|closed| closed.by_server) {
            Some(closed) => Some(Self::Turn(second_of_end(closed.until.saturating_sub(now)))),
            None if traffic.failed > 0 => Some(Self::Answer(client.last_failure())),
            None if traffic.throttled > 0 => Some(Self::Turn(None)),
            None => None,
        }
    }

    /// For a person, with the time of day after which nothing new is started.
    fn sentence(&self, deadline: Option<&str>) -> String {
        let what = match self {
            Self::Answer(trouble) => format!(
                "does not answer ({trouble}): it is asked again for up to {} min",
                OUTAGE.as_secs() / 60
            ),
            Self::Turn(until) => {
                let until = until.as_ref().map(|end| format!(" until {end}")).unwrap_or_default();
                let end = match deadline {
                    Some(deadline) => format!("until {deadline}"),
                    None => "for as long as it asks".to_owned(),
                };
                format!("asks to wait{until}: it is asked again after that, {end}")
            }
        };
        format!("Graph {what}; Ctrl-C ends, -vv tells more")
    }
}

/// What was said last, and when.
#[derive(Default)]
struct Said(Option<(Duration, std::mem::Discriminant<Wait>)>);

impl Said {
    /// Whether it is to be said `now`: what is new, and what was not said for a while.
    fn is_due(&mut self, now: Duration, wait: &Wait) -> bool {
        let kind = std::mem::discriminant(wait);
        let due = self.0.is_none_or(|(at, said)| said != kind || now >= at + AGAIN);
        if due {
            self.0 = Some((now, kind));
        }
        due
    }
}

/// Tells it now and then, and keeps the state up to date for whoever asks; goes quiet once there is
/// a plan.
pub(super) async fn keep(
    client: &GraphClient<Http>,
    planned: &Cell<Option<u64>>,
    deadline: Option<&Deadline>,
    teller: &StatusLine,
) -> Infallible {
    let mut said = Said::default();
    while planned.get().is_none() {
        tokio::time::sleep(LOOK).await;
        let Some(wait) = Wait::of(client).filter(|_| planned.get().is_none()) else { continue };
        let traffic = client.traffic();
        let until = match &wait {
            Wait::Turn(Some(end)) => format!(", which asked to wait until {end}"),
            _ => String::new(),
        };
        teller.stage(&format!(
            "waiting for Graph{until}: {} of {} requests came to nothing; no row is sent yet",
            traffic.failed + traffic.throttled,
            traffic.requests
        ));
        if !client.stop.is_raised() && said.is_due(client.clock.now(), &wait) {
            let deadline = deadline.map(|deadline| deadline.words(&Zoned::now()));
            teller.say(&wait.sentence(deadline.as_deref()));
        }
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn() -> Wait {
        Wait::Turn(Some("12:41:05".to_owned()))
    }

    #[test]
    fn a_throttled_run_waits_as_long_as_it_is_asked_to_and_says_so() {
        assert_eq!(
            turn().sentence(None),
            "Graph asks to wait until 12:41:05: it is asked again after that, for as long as it asks; Ctrl-C ends, -vv tells more"
        );
        assert_eq!(
            turn().sentence(Some("06:00 tomorrow")),
            "Graph asks to wait until 12:41:05: it is asked again after that, until 06:00 tomorrow; Ctrl-C ends, -vv tells more"
        );
        let silent = Wait::Answer("timed out".to_owned()).sentence(None);
        assert!(silent.contains("does not answer (timed out)"), "{silent}");
        assert!(silent.contains("for up to 10 min"), "{silent}");
    }

    #[test]
    fn it_is_said_at_once_and_every_few_minutes() {
        let mut said = Said::default();
        let silent = Wait::Answer("timed out".to_owned());
        let at = Duration::from_secs;
        let times: Vec<u64> = (1..=900).filter(|n| said.is_due(at(*n), &turn())).collect();
        assert_eq!(times, [1, 301, 601]);
        assert!(said.is_due(at(901), &silent), "something else");
        assert!(!said.is_due(at(902), &silent));
    }
}
