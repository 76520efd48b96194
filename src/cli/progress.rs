//! What a run says of itself: its rule and its plan before the first row is sent, and why there is
//! nothing to show yet. Before the plan stands there is no bar, so a person who waits is told what
//! for: a network that carries nothing is given ten minutes, a server that asks to wait is waited
//! for as long as it asks.

use std::{cell::Cell, convert::Infallible, fmt::Write, time::Duration};

use jiff::Zoned;

use super::settings::Deadline;
use crate::{
    graph::{http::Http, target::Api},
    input::{Mapping, Snapshot},
    job::{
        Event, Planned,
        client::{GraphClient, OUTAGE},
        preflight::{self, Ruling},
    },
    output::{Console, StatusLine, grouped, length, rate_in_words, second_of_end, time_of_end},
    pacing::Quota,
    registrant::{Field, Mode, Rule},
};

/// Says what becomes of a run until its bar stands, and moves the bar.
pub(super) struct Announcer {
    pub(super) api: Api,
    pub(super) rehearsal: bool,
    /// The ceiling of writes.
    pub(super) ceiling: Option<Quota>,
    pub(super) deadline: Option<Deadline>,
}

impl Announcer {
    pub(super) fn tell(&self, event: &Event<'_>, input: &Snapshot, console: &mut Console) {
        match event {
            Event::Ruled(ruling) => self.rule(ruling, console),
            Event::Planned(planned) => self.plan(planned, input, console),
            Event::Going(progress) => console.progress(progress),
            Event::Cancelling(tally) => tracing::debug!(?tally, "cancelling"),
        }
    }

    fn rule(&self, ruling: &Ruling, console: &Console) {
        match self.api {
            Api::Meeting => console.say(format!("the meeting's rule: {}", ruling.mode)),
            Api::Event(kind) => {
                console.say(format!("the {}'s audience: {}", kind.noun(), ruling.mode));
            }
        }
        if self.api.is_event() && ruling.mode == Mode::Organization {
            console.warn(preflight::ORGANIZATION);
        }
    }

    fn plan(&self, planned: &Planned<'_>, input: &Snapshot, console: &mut Console) {
        let Planned { plan, ruling, held, .. } = planned;
        let counts = &plan.counts;
        tracing::info!(
            read = counts.read,
            to_post = counts.to_post,
            already = counts.already,
            in_doubt = counts.in_doubt,
            invalid = counts.invalid,
            "planned"
        );
        // Where the list ended, and what looks like an accident in it: told by its rows.
        for note in input.row_notes() {
            console.say(note);
        }
        console.say(announcement(planned, &self.expected()));
        if let Some(admission) = &ruling.admission {
            for warning in admission.warnings(counts.to_post, *held) {
                console.warn(warning);
            }
        }
        if counts.duplicates > 0 {
            console.warn(repeats_warning(input.mapping(), counts.duplicates));
        }
        // A webinar knows them by their address, and makes no second registration of it.
        if let Some(again) = plan.again.filter(|_| matches!(plan.rule, Rule::Meeting(_))) {
            console.warn(again_warning(again));
        }
        if counts.otherwise > 0 {
            let whose = if counts.otherwise == 1 { "person's" } else { "people's" };
            console.warn(format!(
                "{} {whose} details differ from what Teams has (name, answers, language or time zone); their links stay as they are, for Teams takes no change of a registration",
                grouped(counts.otherwise)
            ));
        }
        if counts.not_sent > 0 {
            console.warn(format!(
                "{} rows hold a tenantId or userId; a meeting for everyone takes the id alone, so they are not sent",
                grouped(counts.not_sent)
            ));
        }
        let rows = counts.to_post + counts.held + counts.in_doubt + counts.awaiting;
        console.begin(rows, counts.already);
    }

    /// What can be said of the pace beforehand.
    fn expected(&self) -> Expected {
        let now = Zoned::now();
        let deadline = self.deadline.as_ref();
        Expected {
            ceiling: self.ceiling,
            unpublished: self.api == Api::Meeting && !self.rehearsal,
            deadline: deadline.map(|deadline| (deadline.left(&now), deadline.words(&now))),
        }
    }
}

/// What is known of the pace before it shows itself.
#[derive(Clone, Debug)]
struct Expected {
    /// The ceiling of writes.
    ceiling: Option<Quota>,
    /// Whether rows go to a real meeting, for which Microsoft publishes no limit.
    unpublished: bool,
    /// What is left until nothing new is started, and when that is.
    deadline: Option<(Duration, String)>,
}

impl Expected {
    /// How long so many rows take at `pace` a second, and at what rate in words.
    fn time(&self, rows: u64, pace: f64) -> (Duration, String) {
        #[expect(clippy::cast_precision_loss, reason = "rows")]
        let steadily = || Duration::try_from_secs_f64(rows as f64 / pace).unwrap_or(Duration::MAX);
        match self.ceiling {
            Some(ceiling) if (ceiling.per_second() - pace).abs() < f64::EPSILON => {
                (ceiling.shortest(rows), ceiling.to_string())
            }
            _ => (steadily(), rate_in_words(pace)),
        }
    }

    /// "; at 15/30s about 4 h 40 min, until 03:10", or why there is no such estimate.
    fn told(&self, rows: u64, pace: Option<f64>) -> String {
        if rows == 0 {
            return String::new();
        }
        let Some(pace) = pace else {
            let unpublished =
                "; the pace is found out on the way (Microsoft publishes no limit for meetings)";
            return if self.unpublished { unpublished.to_owned() } else { String::new() };
        };
        let (time, at) = self.time(rows, pace);
        if let Some((left, words)) = &self.deadline
            && time > *left
        {
            let fitting = grouped(most(rows, |rows| self.time(rows, pace).0 <= *left));
            return format!(
                "; at {at} about {fitting} of {} until {words}, the rest is for the next run",
                grouped(rows)
            );
        }
        if time < Duration::from_secs(1) {
            return format!("; at {at} all go at once");
        }
        let mut text = format!("; at {at} about {}", length(time));
        if let Some(end) = time_of_end(time) {
            write!(text, ", until {end}").expect("a String takes it");
        }
        text
    }
}

/// The most of so many rows that still fit.
fn most(rows: u64, fit: impl Fn(u64) -> bool) -> u64 {
    let (mut some, mut too_many) = (0, rows + 1);
    while too_many - some > 1 {
        let between = some + (too_many - some) / 2;
        if fit(between) {
            some = between;
        } else {
            too_many = between;
        }
    }
    some
}

/// What is said where people who are known have new ids, and their former ones are gone.
fn again_warning((rows, first): (u64, u64)) -> String {
    let (tell, are) = if rows == 1 {
        ("row with a new id tells a person who is", "is")
    } else {
        ("rows with a new id tell people who are", "are")
    };
    format!(
        "{} {tell} enrolled under an id that the list no longer has (the first is line {first}) and {are} enrolled once more",
        grouped(rows)
    )
}

/// "8,412 new registrants, 1,588 already enrolled; at 15/30s about 4 h 40 min, until 03:10".
fn announcement(planned: &Planned<'_>, expected: &Expected) -> String {
    let Planned { plan, pace, .. } = planned;
    let plan = &plan.counts;
    let noun = if plan.to_post == 1 { "registrant" } else { "registrants" };
    let mut parts = vec![format!("{} new {noun}", grouped(plan.to_post))];
    let mut count = |number: u64, what: &str| {
        if number > 0 {
            parts.push(format!("{} {what}", grouped(number)));
        }
    };
    count(plan.already, "already enrolled");
    count(plan.held, "on the event already, whose links are fetched");
    count(plan.awaiting, "on the event without a link yet");
    count(plan.in_doubt, "left in doubt by an earlier run, to be looked up");
    count(plan.foreign, "on the server that this ledger never sent");
    count(plan.gone, "cancelled, rejected or removed on the server");
    count(plan.changed, "changed since they were enrolled");
    count(plan.strangers, "with somebody else's id");
    count(plan.invalid, "invalid");
    count(plan.excluded, "left out by filters");
    let rows = plan.to_post + plan.in_doubt;
    parts.join(", ") + &expected.told(rows, *pace)
}

/// What is said where ids repeat with rows that differ: the id may be the wrong column, or the
/// system has none and a key such as the e-mail address serves two people.
pub(super) fn repeats_warning(mapping: &Mapping, rows: u64) -> String {
    let (repeat, are) = if rows == 1 { ("row repeats", "is") } else { ("rows repeat", "are") };
    format!(
        "{} {repeat} an id of an earlier row (`{}`) with other cells and {are} invalid: two people must not share a link. If these are different people, compose an id that tells them apart: --map id='COLUMN+COLUMN'",
        grouped(rows),
        mapping.shown(&Field::Id)
    )
}

/// How often it is seen whether a run waits.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Told again after this long, so that a log shows a run that lives.
const SAY_EVERY: Duration = Duration::from_secs(300);

/// What a run waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wait {
    /// An answer of the server's own; what went wrong last, in a few words.
    Answer(String),
    /// The end of a throttling, at this time of day where it is known.
    Turn(Option<String>),
}

impl Wait {
    /// What `client` waits for; `None` while nothing has come to nothing.
    fn of(client: &GraphClient<Http>) -> Option<Self> {
        let (traffic, now) = (client.traffic(), client.clock.now());
        let view = client.view();
        match view.closed.or(view.reads).filter(|closed| closed.by_server) {
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
        let due = self.0.is_none_or(|(at, said)| said != kind || now >= at + SAY_EVERY);
        if due {
            self.0 = Some((now, kind));
        }
        due
    }
}

/// Tells it now and then, and keeps the state up to date for whoever asks; goes quiet once there is
/// a plan.
pub(super) async fn announce_waits(
    client: &GraphClient<Http>,
    planned: &Cell<Option<u64>>,
    deadline: Option<&Deadline>,
    status: &StatusLine,
) -> Infallible {
    let mut said = Said::default();
    while planned.get().is_none() {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(wait) = Wait::of(client).filter(|_| planned.get().is_none()) else { continue };
        let traffic = client.traffic();
        let until = match &wait {
            Wait::Turn(Some(end)) => format!(", which asked to wait until {end}"),
            _ => String::new(),
        };
        status.stage(&format!(
            "waiting for Graph{until}: {} of {} requests came to nothing; no row is sent yet",
            traffic.failed + traffic.throttled,
            traffic.requests
        ));
        if !client.stop.is_raised() && said.is_due(client.clock.now(), &wait) {
            let deadline = deadline.map(|deadline| deadline.words(&Zoned::now()));
            status.say(&wait.sentence(deadline.as_deref()));
        }
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(ceiling: Option<&str>, rows: u64, pace: Option<f64>) -> String {
        let ceiling = ceiling.map(|text| text.parse().expect("a quota"));
        let expected = Expected { ceiling, unpublished: true, deadline: None };
        let text = expected.told(rows, pace);
        // The end is the wall clock's.
        text.split(", until ").next().unwrap_or_default().to_owned()
    }

    #[test]
    fn the_first_rows_go_at_once_and_the_rest_at_the_pace() {
        assert_eq!(told(Some("15/30s"), 15, Some(0.5)), "; at 15/30s all go at once");
        assert_eq!(told(Some("15/30s"), 60, Some(0.5)), "; at 15/30s about 1 min 30 s");
        assert_eq!(told(Some("15/30s"), 10_000, Some(0.5)), "; at 15/30s about 5 h 32 min");
    }

    #[test]
    fn a_pace_below_the_ceiling_is_what_an_earlier_run_learnt() {
        assert_eq!(told(Some("600/m"), 100, Some(2.0)), "; at 2/s about 50 s");
        assert_eq!(told(None, 100, Some(2.0)), "; at 2/s about 50 s");
    }

    #[test]
    fn whoever_knows_no_pace_says_why() {
        let text = told(None, 2_000, None);
        assert!(text.contains("Microsoft publishes no limit for meetings"), "{text}");
        assert_eq!(told(None, 0, None), "", "nothing is sent");
        let rehearsal = Expected { ceiling: None, unpublished: false, deadline: None };
        assert_eq!(rehearsal.told(9, None), "");
    }

    #[test]
    fn what_does_not_fit_before_the_deadline_is_for_the_next_run() {
        let expected = |seconds| Expected {
            ceiling: Some("15/30s".parse().expect("a quota")),
            unpublished: false,
            deadline: Some((Duration::from_secs(seconds), "06:00 tomorrow".to_owned())),
        };
        let rest = "the rest is for the next run";
        assert_eq!(
            expected(600).told(1_000, Some(0.5)),
            format!("; at 15/30s about 315 of 1,000 until 06:00 tomorrow, {rest}")
        );
        assert_eq!(
            expected(0).told(1_000, Some(0.5)),
            format!("; at 15/30s about 15 of 1,000 until 06:00 tomorrow, {rest}")
        );
        let all = expected(1_970).told(1_000, Some(0.5));
        assert!(all.starts_with("; at 15/30s about 32 min 50 s, until "), "{all}");
    }

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
