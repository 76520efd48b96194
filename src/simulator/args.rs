//! The simulator's settings as command-line options, for `simulate` and `rehearse`.

use std::time::{Duration, SystemTime};

use clap::{Args, ValueEnum};

use crate::{pacing::Quota, parse::duration, registrant::Mode};

use super::{
    config::{
        ApiRefusal, CallLatency, Config, EventCall, EventConfig, RegistrationState, RetryAfterForm,
        SecondPost, ServedApi, TokenRule,
    },
    fault::{FaultRate, Faults, Outage, SimulatedFault},
    limit::{LimitShape, RateLimit, ThrottledCalls},
};

/// How the simulated Graph behaves.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "The simulated Graph")]
pub struct SimulatorArgs {
    /// The seed: the same seed, the same faults
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,

    /// Who may register: everyone or organization
    #[arg(long, value_name = "MODE", default_value = "everyone")]
    mode: Mode,

    /// Which API is served
    #[arg(long, value_name = "KIND", default_value = "both")]
    serve: ServedApi,

    /// The kind of registration that the meeting has at the start
    #[arg(long, value_name = "KIND", default_value = "external")]
    registration: RegistrationArg,

    /// The median time of a call
    #[arg(long, value_name = "DURATION", default_value = "0ms", value_parser = duration)]
    latency: Duration,

    /// The deviation of the logarithm of a call's time; 0: all take the same time
    #[arg(long, value_name = "NUMBER", default_value_t = 0.5, hide = true, value_parser = |text: &str| number(text, 0.0, 10.0))]
    latency_sigma: f64,

    /// The limit on writing calls, such as 50/s or 15/30s
    #[arg(long, value_name = "N/UNIT")]
    limit: Option<Quota>,

    /// The limit on reading calls
    #[arg(long, value_name = "N/UNIT")]
    read_limit: Option<Quota>,

    /// What a full bucket holds [default: the calls of 2 s]
    #[arg(long, value_name = "N", value_parser = |text: &str| number(text, 1.0, 1e9))]
    burst: Option<f64>,

    /// How the limits count
    #[arg(long, value_name = "SHAPE", default_value = "bucket")]
    limiter: LimitShape,

    /// Whether refused calls use up quota
    #[arg(long, value_name = "COST", default_value = "free")]
    throttled_calls: ThrottledCalls,

    /// How a throttled answer says when to come again
    #[arg(long, value_name = "FORM", default_value = "whole")]
    retry_after: RetryAfterForm,

    /// What a second POST of one id does: return the first registrant, 409, or make a second
    #[arg(long, value_name = "CONDUCT", default_value = "return")]
    second_post: SecondPost,

    /// How long a new registrant is missing from lists
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    list_lag: Duration,

    /// How many registrants a page of a list holds
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = count)]
    page_size: usize,

    /// How many answers of a hundred show the oddities of Microsoft's examples
    #[arg(long, value_name = "PERCENT", default_value_t = 20.0, hide = true, value_parser = |text: &str| number(text.trim_end_matches('%'), 0.0, 100.0))]
    quirks: f64,

    /// A fault, with its share of the POSTs in percent; another kind of call in front:
    /// list:500=10. Repeatable
    #[arg(long = "fault", value_name = "[CALLS:]NAME=PERCENT", long_help = fault_help())]
    faults: Vec<FaultRate>,

    /// The wait that faults with a Retry-After name
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    fault_wait: Duration,

    /// A time in which calls fail with 503, such as token:10s..20s. Repeatable
    #[arg(long = "outage", value_name = "CALLS:FROM..UNTIL")]
    outages: Vec<Outage>,

    /// Refuse the whole API
    #[arg(long, value_name = "HOW")]
    refuse: Option<ApiRefusal>,

    /// Answer these calls of a webinar or town hall with 403
    #[arg(long, value_name = "CALL[,CALL…]", value_delimiter = ',')]
    forbid: Vec<EventCall>,

    /// Which bearer tokens are taken
    #[arg(long, value_name = "WHICH", default_value = "any")]
    tokens: TokenRule,

    /// How long a token from the token endpoint lives
    #[arg(long, value_name = "DURATION", default_value = "3599s", value_parser = duration)]
    token_lifetime: Duration,

    #[command(flatten)]
    event: EventConfig,
}

/// The kind of registration that a meeting has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RegistrationArg {
    /// One for external registrants.
    External,
    /// Teams' own kind.
    Teams,
    /// None.
    Missing,
}

fn fault_help() -> String {
    let mut help = String::from(
        "A fault, with its share of the POSTs in percent; another kind of call in front: \
         list:500=10. The kinds are post, list, delete, read and token. Repeatable. The faults:\n",
    );
    for fault in SimulatedFault::ALL {
        help.push_str(&format!("\n  {:24} {}", fault.as_str(), fault.summary()));
    }
    help
}

impl SimulatorArgs {
    /// The settings. The server's clock shows the present time.
    pub fn config(&self) -> Result<Config, String> {
        let faults = Faults::new(self.faults.clone())?;
        let faults = self.outages.iter().fold(faults, |faults, &outage| faults.outage(outage));
        let limit = |quota: Option<Quota>| {
            quota.map(|quota| RateLimit {
                quota,
                burst: self.burst,
                shape: self.limiter,
                throttled_calls: self.throttled_calls,
            })
        };
        let mut config = Config {
            seed: self.seed,
            epoch: SystemTime::now(),
            kind: self.serve,
            registration: match self.registration {
                RegistrationArg::External => RegistrationState::External(self.mode),
                RegistrationArg::Teams => RegistrationState::Teams,
                RegistrationArg::Missing => RegistrationState::Missing,
            },
            latency: CallLatency { median: self.latency, sigma: self.latency_sigma },
            write_limit: limit(self.limit),
            read_limit: limit(self.read_limit),
            retry_after: self.retry_after,
            second_post: self.second_post,
            list_lag: self.list_lag,
            page_size: self.page_size,
            quirks: self.quirks,
            faults,
            fault_wait: self.fault_wait,
            refuse: self.refuse,
            forbid: self.forbid.clone(),
            event: EventConfig { audience: self.mode, ..self.event.clone() },
            ..Config::default()
        };
        config.tokens.rule = self.tokens;
        config.tokens.lifetime = self.token_lifetime;
        Ok(config)
    }
}

/// A deviation: not negative.
/// At least one.
fn count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| format!("`{text}` is no positive number"))
}

fn number(text: &str, least: f64, most: f64) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("`{text}` is no number between {least} and {most}"))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{
        super::config::{Caller, DateForm, EventPrid, EventStatus},
        *,
    };

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        simulator: SimulatorArgs,
    }

    fn config(options: &str) -> Result<Config, String> {
        let words = std::iter::once("simulate").chain(options.split_whitespace());
        let command = Command::try_parse_from(words).map_err(|error| error.to_string())?;
        command.simulator.config()
    }

    #[test]
    fn the_options_are_sound_and_their_defaults_are_the_configs() {
        Command::command().debug_assert();
        let mut config = config("").expect("no options");
        config.epoch = Config::default().epoch;
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn every_knob_reaches_the_config() {
        let config = config(
            "--seed 7 --mode organization --latency 120ms --limit 15/30s --burst 5 \
             --limiter sliding --throttled-calls counted --retry-after date \
             --second-post duplicate --list-lag 2s --page-size 7 --fault 503=5 \
             --fault list:500=10 --registration missing --outage token:1s..2s \
             --token-lifetime 2s --tokens issued --fault-wait 5s",
        )
        .expect("good options");
        assert_eq!(config.registration, RegistrationState::Missing);
        assert_eq!(config.event.audience, Mode::Organization);
        assert_eq!(config.latency.median, Duration::from_millis(120));
        let limit = config.write_limit.expect("a limit");
        assert_eq!(limit.quota, Quota { count: 15, per: Duration::from_secs(30) });
        assert_eq!((limit.burst, limit.shape), (Some(5.0), LimitShape::SlidingWindow));
        assert_eq!((config.read_limit, config.fault_wait.as_secs()), (None, 5));
        assert_eq!((config.page_size, config.second_post), (7, SecondPost::Duplicate));
        assert_eq!((config.tokens.rule, config.tokens.lifetime.as_secs()), (TokenRule::Issued, 2));
    }

    #[test]
    fn every_knob_of_the_webinar_reaches_the_config() {
        let event = config(
            "--webinar-status draft --capacity 5 --waitlist --approval --approved-after 6s \
             --caller delegated --session-dates object --webinar-prid posted --webinar-wrapped \
             --no-mails --question City --question optional:yes-no:Vegan",
        )
        .expect("good options")
        .event;
        assert_eq!((event.status, event.caller), (EventStatus::Draft, Caller::Delegated));
        assert_eq!((event.capacity, event.waitlist, event.approval), (Some(5), true, true));
        assert_eq!(event.approved_after, Some(Duration::from_secs(6)));
        assert_eq!((event.dates, event.prid), (DateForm::Object, EventPrid::Posted));
        assert!(event.wrapped && !event.mails);
        let asked: Vec<_> = event.questions.iter().map(|asked| asked.required).collect();
        assert_eq!(asked, [true, false]);
    }

    #[test]
    fn a_wrong_option_is_told_with_the_right_ones() {
        let error = config("--fault nonsense=5").expect_err("no such fault");
        assert!(error.contains("reset-after-commit"), "{error}");
        let error = config("--fault 500=60 --fault 503=60").expect_err("too many");
        assert!(error.contains("`post` calls"), "{error}");
        for bad in ["--limit 50", "--limit 0/s", "--latency 120", "--page-size 0", "--mode all"] {
            assert!(config(bad).is_err(), "{bad}");
        }
    }
}
