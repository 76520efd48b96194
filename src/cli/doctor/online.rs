//! What only the network can tell: the token, and what Graph says to it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{finding::Findings, offline::Reach, permissions};
use crate::{
    auth::{AuthError, Claims, Speaker, Tokens},
    cli::{args::RunArgs, failure::Failure},
    graph::{
        draft::Draft,
        http::Http,
        meeting::{Meeting, Registration},
        target::{Api, Target},
        transport::Response,
        webinar::Webinar,
        wire,
    },
    input::Input,
    job::{
        self, admission,
        client::GraphClient,
        exchange::Exchange,
        preflight,
        refusal::{WEBINAR_ACCESS, systemic},
        stop::Stop,
    },
    ledger::LastListing,
    pacing::{Buckets, Call, Pacer, Settings, Systemic, Verdict},
    registrant::{Form, Mode, Rule},
};

/// The lines of this part, where it cannot begin.
pub(super) const NAMES: [&str; 3] = ["sign-in", "permissions", "registration"];

/// A request is repeated this often after "not now": a person waits for the answer.
const TRIES: u32 = 3;

/// One request may take this long, waiting for its turn included.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server's clock differs by seconds; assertions and tokens bear five minutes, as Microsoft's
/// libraries allow.
const SKEW: Duration = Duration::from_secs(60);

/// A token that ends sooner than this, and cannot be had anew, ends most runs.
const SHORT: Duration = Duration::from_secs(600);

pub(super) async fn look(
    args: &RunArgs,
    reach: Reach,
    input: Option<&Input>,
    findings: &mut Findings,
) {
    let Reach { host, http, tokens, target, known } = reach;
    let claims = match tokens.claims().await {
        Ok(claims) => claims,
        Err(error) => {
            findings.mend("sign-in", refused(&error));
            findings.skipped("permissions", "there is no token");
            findings.skipped("registration", "there is no token");
            return;
        }
    };
    sign_in(&tokens, claims.as_ref(), args.graph.cloud.graph_host(), host.is_loopback(), findings);
    let api = target.as_ref().map_or(Api::Meeting, Target::api);
    match &claims {
        Some(claims) => may(claims, api, findings),
        None => findings.note("permissions", "the token does not tell; Graph will"),
    }
    let Some(target) = target else {
        findings.skipped("registration", "no target is named");
        return;
    };
    let speaker = claims.map(|claims| claims.speaker);
    let of_application = speaker == Some(Speaker::Application);
    if api == Api::Meeting && target.organizer().is_none() && of_application {
        findings.mend("registration", Stop::Unusable(preflight::NO_ME.to_owned()));
        return;
    }
    if api == Api::Webinar && speaker == Some(Speaker::Person) {
        let sentence = format!("{}; {WEBINAR_ACCESS}", preflight::PERSON);
        findings.mend("registration", Stop::Unusable(sentence));
        return;
    }
    let transport = match Http::new(host, &http) {
        Ok(transport) => transport,
        Err(error) => return findings.mend("registration", error),
    };
    let pacer = || Pacer::new(Settings::default());
    let buckets = Buckets::new(pacer(), pacer());
    let client =
        GraphClient::new(transport, tokens, job::start_clock(), buckets, fastrand::Rng::new());
    match &target {
        Target::Meeting(meeting) => {
            let found = registration(args, &client, meeting, findings).await;
            let Some(found) = found else { return };
            suits(&found, known, args.conduct.trust_ledger, input, findings);
        }
        Target::Webinar(webinar) => {
            if self::webinar(&client, webinar, input, findings).await.is_none() {
                return;
            }
        }
    }
    list(args, &client, &target, findings).await;
}

fn refused(error: &AuthError) -> Failure {
    Stop::SignIn { detail: error.to_string(), passing: error.is_passing() }.into()
}

/// Who the token speaks for, for how long, and whether it is for Graph at all.
fn sign_in(
    tokens: &Tokens,
    claims: Option<&Claims>,
    graph: &str,
    simulated: bool,
    findings: &mut Findings,
) {
    let told = tokens.describe();
    if told.method.is_none() {
        return findings.ok("sign-in", "not needed");
    }
    let who = match claims.map(|claims| claims.speaker) {
        Some(Speaker::Application) => "a token of an application",
        Some(Speaker::Person) => "a token of a person",
        Some(Speaker::Unknown) | None => "a token",
    };
    let lasts = told.lasts.map_or_else(
        || "whose end is not known".to_owned(),
        |lasts| format!("for {} more minutes", lasts.as_secs() / 60),
    );
    if let Some(claims) = claims
        && !simulated
        && !claims.is_for(graph)
    {
        let audience = claims.audience.as_deref().unwrap_or_default();
        let detail = format!(
            "{who} was had, but for {audience} and not for https://{graph}: get one for Microsoft Graph"
        );
        return findings.mend("sign-in", Stop::SignIn { detail, passing: false });
    }
    let fixed = told.method == Some(crate::auth::Method::Token);
    if fixed && told.lasts.is_some_and(|lasts| lasts < SHORT) {
        findings.note(
            "sign-in",
            format!("{who}, only {lasts}: a run that is longer needs a newer one"),
        );
    } else {
        findings.ok("sign-in", format!("{who}, {lasts}"));
    }
}

fn may(claims: &Claims, api: Api, findings: &mut Findings) {
    match permissions::judge(api, claims) {
        permissions::Granted::Enough(names) => findings.ok("permissions", names.join(", ")),
        permissions::Granted::Unknown => {
            findings.note("permissions", "the token does not tell; Graph will");
        }
        permissions::Granted::Lacking(names) => {
            let (kind, granted) = match claims.speaker {
                Speaker::Person => ("delegated", &claims.scopes),
                _ => ("application", &claims.roles),
            };
            let has = if granted.is_empty() { "none".to_owned() } else { granted.join(", ") };
            let sentence = format!(
                "the {kind} permission {} is lacking (granted: {has}); add it to the application in Entra and have an administrator consent",
                names.join(" and ")
            );
            findings.mend("permissions", Failure { code: 6, sentence });
        }
    }
}

/// The first question to Graph: whether it answers at all.
async fn reached(
    client: &GraphClient<Http>,
    draft: &Draft,
    findings: &mut Findings,
) -> Option<Exchange> {
    let (exchange, taken) = match ask(client, draft).await {
        Ok(asked) => asked,
        Err(stop) => {
            findings.mend("graph", stop);
            return None;
        }
    };
    if let Ok(response) = &exchange.result {
        findings.ok("graph", format!("answers in {} ms", taken.as_millis()));
        skew(response, findings);
    }
    Some(exchange)
}

/// GETs the webinar, what it admits and what it asks.
async fn webinar(
    client: &GraphClient<Http>,
    webinar: &Webinar,
    input: Option<&Input>,
    findings: &mut Findings,
) -> Option<()> {
    let shown = reached(client, &webinar.show(), findings).await?;
    let about = told(&shown, "registration", wire::webinar, findings)?;
    let mode = match admission::mode(&about) {
        Ok(mode) => mode,
        Err(stop) => {
            findings.mend("registration", stop);
            return None;
        }
    };
    let mails = match about.mails_attendees {
        Some(false) => "Teams mails nobody",
        _ => "Teams mails everybody who is registered",
    };
    findings.ok("registration", format!("published, open to {mode}; {mails}"));
    if mode == Mode::Organization {
        findings.note("audience", admission::ORGANIZATION);
    }
    let (exchange, _) = findings.hold("admission", ask(client, &webinar.configuration()).await)?;
    let said = told(&exchange, "admission", wire::configuration, findings)?;
    let capacity =
        said.capacity.map_or_else(|| "no capacity is set".to_owned(), |n| format!("{n} places"));
    let on = |word: &'static str, flag: Option<bool>| if flag == Some(true) { word } else { "" };
    let text = format!(
        "{capacity}{}{}",
        on(", a waiting list", said.waitlist),
        on(", each approved by hand", said.manual_approval)
    );
    findings.ok("admission", text);
    let (exchange, _) = findings.hold("questions", ask(client, &webinar.questions()).await)?;
    let (questions, further) = told(&exchange, "questions", wire::questions, findings)?;
    let required = questions.iter().filter(|question| question.required).count();
    if further.is_some() {
        let text = format!(
            "{} asked on the first page, and there are more; `run` reads them all and holds the columns against them",
            questions.len()
        );
        findings.note("questions", text);
        return Some(());
    }
    findings.ok("questions", format!("{} asked, {required} of them required", questions.len()));
    let form = Form { questions };
    if let Some(input) = input {
        let fits = input.suits(&form).and_then(|()| input.require(&Rule::Webinar(Arc::new(form))));
        if findings.hold("columns", fits).is_some() {
            findings.ok("columns", "every field and every required question has its column");
        }
    }
    Some(())
}

/// What an answer says, or what is to be mended.
fn told<R>(
    exchange: &Exchange,
    name: &'static str,
    read: impl Fn(&[u8]) -> Option<R>,
    findings: &mut Findings,
) -> Option<R> {
    match (&exchange.result, exchange.verdict) {
        (Ok(response), Verdict::Done) => {
            let read = read(&response.body);
            if read.is_none() {
                let sentence = "Graph's answer cannot be read; check --graph-url".to_owned();
                findings.mend(name, Stop::Unusable(sentence));
            }
            read
        }
        (Ok(response), verdict) => {
            let status = response.status.as_u16();
            findings.mend(name, systemic(status, exchange.error(), verdict, Api::Webinar));
            None
        }
        (Err(error), _) => {
            findings.mend("graph", Stop::Failing(error.to_string()));
            None
        }
    }
}

/// GETs the registration.
async fn registration(
    args: &RunArgs,
    client: &GraphClient<Http>,
    meeting: &Meeting,
    findings: &mut Findings,
) -> Option<Registration> {
    let exchange = reached(client, &meeting.show(), findings).await?;
    match (&exchange.result, exchange.verdict) {
        (Ok(response), Verdict::Done) => match preflight::read(response) {
            Ok(found) => Some(found),
            Err(stop) => {
                findings.mend("registration", stop);
                None
            }
        },
        (Ok(_), Verdict::Systemic(Systemic::TargetGone)) if args.enable.is_some() => {
            let mode = args.enable.map_or("", Mode::as_str);
            let text = format!("there is none; `run` makes one for {mode} (--enable)");
            findings.note("registration", text);
            None
        }
        (Ok(response), verdict) => {
            let status = response.status.as_u16();
            findings
                .mend("registration", systemic(status, exchange.error(), verdict, Api::Meeting));
            None
        }
        (Err(error), _) => {
            findings.mend("graph", Stop::Failing(error.to_string()));
            None
        }
    }
}

/// Whether the registration is the ledger's, and the columns suit its mode.
fn suits(
    found: &Registration,
    known: Option<LastListing>,
    trusted: bool,
    input: Option<&Input>,
    findings: &mut Findings,
) {
    let before = known.and_then(|known| known.registration);
    match before.and_then(|before| job::replaced(&before, found)) {
        Some(stop) if !trusted => findings.mend("registration", stop),
        _ => findings.ok("registration", format!("external, open to {}", found.mode)),
    }
    if let Some(input) = input
        && findings.hold("columns", input.require(&Rule::Meeting(found.mode))).is_some()
    {
        findings.ok("columns", format!("every field of mode {} has its column", found.mode));
    }
}

/// One page of the list, which a first run needs whole.
async fn list(
    args: &RunArgs,
    client: &GraphClient<Http>,
    target: &Target,
    findings: &mut Findings,
) {
    let why = match ask(client, &target.list()).await {
        Ok((exchange, _)) => match &exchange.result {
            Ok(response) if exchange.verdict == Verdict::Done => match target.read_page(response) {
                Some(_) => return findings.ok("list", "the registrants can be listed"),
                None => "a page of the list cannot be read".to_owned(),
            },
            _ => exchange.words(),
        },
        Err(stop) => return findings.mend("list", stop),
    };
    if args.conduct.trust_ledger {
        findings.note("list", format!("cannot be had ({why}); --trust-ledger does without"));
    } else {
        findings.mend("list", Stop::NoList(why));
    }
}

/// Sends one reading request, a few times where the answer is "not now" or the token was stale.
async fn ask(client: &GraphClient<Http>, draft: &Draft) -> Result<(Exchange, Duration), Stop> {
    let begun = tokio::time::Instant::now();
    let mut last = "no answer".to_owned();
    let mut signed_in_again = false;
    for _ in 0..TRIES {
        let left = PATIENCE.saturating_sub(begun.elapsed());
        let sent = client.send(None, Call::Read, draft, client.fresh_id());
        let Ok(sent) = tokio::time::timeout(left, sent).await else { break };
        let Ok(exchange) = sent else {
            return Err(client.stop.cause().unwrap_or(Stop::Failing(last)));
        };
        match exchange.verdict {
            Verdict::Throttled | Verdict::Again => last = exchange.words(),
            // The line has renewed the token.
            Verdict::SignIn if !signed_in_again => signed_in_again = true,
            _ => {
                let taken = exchange.answered.saturating_sub(exchange.sent);
                return Ok((exchange, taken));
            }
        }
    }
    Err(Stop::Failing(last))
}

/// How far this clock is from the server's, by the `Date` of its answer.
fn skew(response: &Response, findings: &mut Findings) {
    let Some(theirs) =
        response.header("date").and_then(|date| httpdate::parse_http_date(date).ok())
    else {
        return findings.note("graph-clock", "Graph's answer has no date to compare with");
    };
    let now = SystemTime::now();
    let (apart, which) = match now.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    if apart > SKEW {
        let seconds = apart.as_secs();
        let text =
            format!("this machine is {seconds} s {which} Graph's clock: set it by a time server");
        findings.note("graph-clock", text);
    } else {
        findings.ok("graph-clock", "agrees with Graph's");
    }
}
