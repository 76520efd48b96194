//! The command, and what only the network can tell: the token, and what Graph says to it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{DoctorFindings, Reachable, offline};
use crate::{
    auth::{AuthError, Claims, Speaker, Tokens},
    cli::{
        failure::{Failure, runtime},
        logging::print,
        settings::DoctorSettings,
    },
    graph::{
        event::{self, VirtualEvent},
        http::Http,
        meeting::{Meeting, Registration},
        target::{Api, Target},
        transport::{GraphRequest, Response},
        verdict::{Call, Systemic, Verdict},
    },
    input::Input,
    job::{
        self,
        client::{Exchange, GraphClient},
        preflight,
        stop::{EVENT_ACCESS, Stop, systemic},
    },
    ledger::LastListing,
    output::harmless,
    registrant::{Form, Mode, Rule},
};

/// The lines of this part, where it cannot begin.
const NAMES: [&str; 3] = ["sign-in", "permissions", "registration"];

/// A request is repeated this often after "not now": a person waits for the answer.
const TRIES: u32 = 3;

/// One request may take this long, waiting for its turn included.
const MOST_FOR_ONE_ANSWER: Duration = Duration::from_secs(60);

/// A server's clock differs by seconds; assertions and tokens bear five minutes, as Microsoft's
/// libraries allow.
const MOST_APART: Duration = Duration::from_secs(60);

/// A token that ends sooner than this, and cannot be had anew, ends most runs.
const SHORT_TOKEN: Duration = Duration::from_secs(600);

pub(in crate::cli) fn doctor(settings: &DoctorSettings) -> Result<u8, Failure> {
    let mut findings = DoctorFindings::default();
    match offline(settings, &mut findings) {
        Some(reachable) => runtime()?.block_on(online(settings, reachable, &mut findings)),
        None => {
            for name in NAMES {
                findings.skipped(name, "not tried, because of the settings above");
            }
        }
    }
    let text = findings.text();
    print(&if settings.files.json { findings.json() } else { harmless(&text).into_owned() });
    Ok(findings.exit_code())
}

async fn online(
    settings: &DoctorSettings,
    reachable: Reachable<'_>,
    findings: &mut DoctorFindings,
) {
    let Reachable { graph, tokens, target, known, input } = reachable;
    let input = input.as_ref();
    let claims = match tokens.claims().await {
        Ok(claims) => claims,
        Err(error) => {
            findings.mend("sign-in", refused(&error));
            findings.skipped("permissions", "there is no token");
            findings.skipped("registration", "there is no token");
            return;
        }
    };
    sign_in(
        &tokens,
        claims.as_ref(),
        graph.sign_in.cloud.graph_host(),
        graph.host.is_loopback(),
        findings,
    );
    let api = target.map_or(Api::Meeting, Target::api);
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
    if api.is_event() && speaker == Some(Speaker::Person) {
        let sentence = format!("{}; {EVENT_ACCESS}", preflight::PERSON);
        findings.mend("registration", Stop::Unusable(sentence));
        return;
    }
    let Some(client) = findings.check("registration", graph.client(tokens)) else { return };
    match target {
        Target::Meeting(meeting) => {
            let found = registration(settings.enable, &client, meeting, findings).await;
            let Some(found) = found else { return };
            suits(&found, known, settings.conduct.trust_ledger, input, findings);
        }
        Target::Event(event) => {
            if self::event(&client, event, input, findings).await.is_none() {
                return;
            }
        }
    }
    list(settings.conduct.trust_ledger, &client, target, findings).await;
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
    findings: &mut DoctorFindings,
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
    if fixed && told.lasts.is_some_and(|lasts| lasts < SHORT_TOKEN) {
        findings.note(
            "sign-in",
            format!("{who}, only {lasts}: a run that is longer needs a newer one"),
        );
    } else {
        findings.ok("sign-in", format!("{who}, {lasts}"));
    }
}

fn may(claims: &Claims, api: Api, findings: &mut DoctorFindings) {
    match permitted(api, claims) {
        Granted::Enough(names) => findings.ok("permissions", names.join(", ")),
        Granted::Unknown => {
            findings.note("permissions", "the token does not tell; Graph will");
        }
        Granted::Lacking(names) => {
            let (kind, granted) = match claims.speaker {
                Speaker::Person => ("delegated", &claims.scopes),
                _ => ("application", &claims.roles),
            };
            let has = if granted.is_empty() { "none".to_owned() } else { granted.join(", ") };
            let sentence = format!(
                "the {kind} permission {} is lacking (granted: {has}); add it to the application in Entra and have an administrator consent",
                names.join(" and ")
            );
            if api.is_event() && claims.speaker == Speaker::Application {
                // What a Teams app manifest grants does not stand in the token's roles.
                let chat = "resource-specific consent (VirtualEventRegistration-Anon.ReadWrite.Chat, VirtualEvent.Read.Chat) does as well, and the token does not tell of it";
                return findings.note("permissions", format!("{sentence}; {chat}"));
            }
            findings.mend("permissions", Failure { code: 6, sentence });
        }
    }
}

/// The first question to Graph: whether it answers at all.
async fn reached(
    client: &GraphClient<Http>,
    draft: &GraphRequest,
    findings: &mut DoctorFindings,
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

/// GETs the event, what it admits and what it asks.
async fn event(
    client: &GraphClient<Http>,
    event: &VirtualEvent,
    input: Option<&Input>,
    findings: &mut DoctorFindings,
) -> Option<()> {
    let api = Api::Event(event.kind());
    let shown = reached(client, &event.show(), findings).await?;
    let about = told(&shown, "registration", api, parsed(event::about), findings)?;
    let mode = match preflight::mode(event.kind(), &about) {
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
        findings.note("audience", preflight::ORGANIZATION);
    }
    let (exchange, _) = findings.check("admission", ask(client, &event.configuration()).await)?;
    let said = told(&exchange, "admission", api, parsed(event::configuration), findings)?;
    let capacity =
        said.capacity.map_or_else(|| "no capacity is set".to_owned(), |n| format!("{n} places"));
    let on = |word: &'static str, flag: Option<bool>| if flag == Some(true) { word } else { "" };
    let text = format!(
        "{capacity}{}{}",
        on(", a waiting list", said.waitlist),
        on(", each approved by hand", said.manual_approval)
    );
    findings.ok("admission", text);
    let (exchange, _) = findings.check("questions", ask(client, &event.questions()).await)?;
    let (questions, further) =
        told(&exchange, "questions", api, parsed(event::questions), findings)?;
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
        let fits = input.suits(&form).and_then(|()| input.require(&Rule::Event(Arc::new(form))));
        if findings.check("columns", fits).is_some() {
            findings.ok("columns", "every field and every required question has its column");
        }
    }
    Some(())
}

/// What an answer says, or what is to be mended.
fn told<R>(
    exchange: &Exchange,
    name: &'static str,
    api: Api,
    read: impl Fn(&Response) -> Result<R, Stop>,
    findings: &mut DoctorFindings,
) -> Option<R> {
    match (&exchange.result, exchange.verdict) {
        (Ok(response), Verdict::Done) => findings.check(name, read(response)),
        (Ok(response), verdict) => {
            let status = response.status.as_u16();
            findings.mend(name, systemic(status, exchange.error(), verdict, api));
            None
        }
        (Err(error), _) => {
            findings.mend("graph", Stop::Failing(error.to_string()));
            None
        }
    }
}

/// Reads a body of an event's.
fn parsed<R>(read: impl Fn(&[u8]) -> Option<R>) -> impl Fn(&Response) -> Result<R, Stop> {
    let unusable = "Graph's answer cannot be read; check --graph-url";
    move |response| read(&response.body).ok_or_else(|| Stop::Unusable(unusable.to_owned()))
}

/// GETs the registration.
async fn registration(
    enable: Option<Mode>,
    client: &GraphClient<Http>,
    meeting: &Meeting,
    findings: &mut DoctorFindings,
) -> Option<Registration> {
    let exchange = reached(client, &meeting.show(), findings).await?;
    match (&exchange.result, exchange.verdict, enable) {
        (Ok(_), Verdict::Systemic(Systemic::TargetGone), Some(mode)) => {
            let text = format!("there is none; `run` makes one for {mode} (--enable)");
            findings.note("registration", text);
            None
        }
        _ => told(&exchange, "registration", Api::Meeting, preflight::read, findings),
    }
}

/// Whether the registration is the ledger's, and the columns suit its mode.
fn suits(
    found: &Registration,
    known: Option<LastListing>,
    trusted: bool,
    input: Option<&Input>,
    findings: &mut DoctorFindings,
) {
    let before = known.and_then(|known| known.registration);
    match before.and_then(|before| job::replaced(&before, found)) {
        Some(stop) if !trusted => findings.mend("registration", stop),
        _ => findings.ok("registration", format!("external, open to {}", found.mode)),
    }
    if let Some(input) = input
        && findings.check("columns", input.require(&Rule::Meeting(found.mode))).is_some()
    {
        findings.ok("columns", format!("every field of mode {} has its column", found.mode));
    }
}

/// One page of the list, which a first run needs whole.
async fn list(
    trust_ledger: bool,
    client: &GraphClient<Http>,
    target: &Target,
    findings: &mut DoctorFindings,
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
    if trust_ledger {
        findings.note("list", format!("cannot be had ({why}); --trust-ledger does without"));
    } else {
        findings.mend("list", Stop::NoList(why));
    }
}

/// Sends one reading request, a few times where the answer is "not now" or the token was stale.
async fn ask(
    client: &GraphClient<Http>,
    draft: &GraphRequest,
) -> Result<(Exchange, Duration), Stop> {
    let begun = tokio::time::Instant::now();
    let mut last = "no answer".to_owned();
    let mut signed_in_again = false;
    for _ in 0..TRIES {
        let left = MOST_FOR_ONE_ANSWER.saturating_sub(begun.elapsed());
        let sent = client.send(None, Call::Read, draft, client.fresh_id());
        let Ok(sent) = tokio::time::timeout(left, sent).await else { break };
        let Ok(exchange) = sent else {
            return Err(client.stop.cause().unwrap_or(Stop::Failing(last)));
        };
        match exchange.verdict {
            Verdict::Throttled | Verdict::Again => last = exchange.words(),
            // The client has renewed the token.
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
fn skew(response: &Response, findings: &mut DoctorFindings) {
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
    if apart > MOST_APART {
        let seconds = apart.as_secs();
        let text =
            format!("this machine is {seconds} s {which} Graph's clock: set it by a time server");
        findings.note("graph-clock", text);
    } else {
        findings.ok("graph-clock", "agrees with Graph's");
    }
}

/// Permissions of which any one is enough.
///
/// Source: the permission tables of Microsoft Graph's reference for externalMeetingRegistrant and
/// virtualEventRegistration. For meetings the tables of 2024 list no application permission any
/// more, while the same pages still explain application access; the older name is asked for.
type OneOf = &'static [&'static str];

const MEETING_PERSON: &[OneOf] = &[&["OnlineMeetings.ReadWrite"]];
const MEETING_APPLICATION: &[OneOf] = &[&["OnlineMeetings.ReadWrite.All"]];
const EVENT_PERSON: &[OneOf] = &[&["VirtualEvent.ReadWrite"]];
const EVENT_APPLICATION: &[OneOf] = &[
    &["VirtualEventRegistration-Anon.ReadWrite.All"],
    &["VirtualEvent.Read.All", "VirtualEvent.ReadWrite.All"],
];

/// What the token says.
#[derive(Debug, PartialEq, Eq)]
enum Granted {
    /// All that is needed: these.
    Enough(Vec<&'static str>),
    /// These are lacking.
    Lacking(Vec<&'static str>),
    /// Whether it is a person's or an application's cannot be seen.
    Unknown,
}

/// Judges the token by its own claims.
fn permitted(api: Api, claims: &Claims) -> Granted {
    let (needs, granted) = match (api, claims.speaker) {
        (_, Speaker::Unknown) => return Granted::Unknown,
        (Api::Event(_), Speaker::Person) => (EVENT_PERSON, &claims.scopes),
        (Api::Event(_), Speaker::Application) => (EVENT_APPLICATION, &claims.roles),
        (Api::Meeting, Speaker::Person) => (MEETING_PERSON, &claims.scopes),
        (Api::Meeting, Speaker::Application) => (MEETING_APPLICATION, &claims.roles),
    };
    let has = |name: &&&'static str| granted.iter().any(|it| it.eq_ignore_ascii_case(name));
    let (mut found, mut lacking) = (Vec::new(), Vec::new());
    for one_of in needs {
        match one_of.iter().find(has) {
            Some(name) => found.push(*name),
            None => lacking.push(one_of[0]),
        }
    }
    if lacking.is_empty() { Granted::Enough(found) } else { Granted::Lacking(lacking) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registrant::EventKind;

    fn claims(speaker: Speaker, granted: &[&str]) -> Claims {
        let granted: Vec<String> = granted.iter().map(|&name| name.to_owned()).collect();
        Claims {
            speaker,
            roles: granted.clone(),
            scopes: granted,
            tenant: None,
            application: None,
            object: None,
            audience: None,
            expires: None,
        }
    }

    #[test]
    fn each_target_and_speaker_has_needs_of_its_own() {
        use Granted::{Enough, Lacking};
        use Speaker::{Application, Person};
        for (api, speaker, granted, expected) in [
            (Api::Meeting, Person, &["User.Read"][..], Lacking(vec!["OnlineMeetings.ReadWrite"])),
            (
                Api::Meeting,
                Person,
                &["onlinemeetings.readwrite"],
                Enough(vec!["OnlineMeetings.ReadWrite"]),
            ),
            (
                Api::Meeting,
                Application,
                &["OnlineMeetings.ReadWrite"],
                Lacking(vec!["OnlineMeetings.ReadWrite.All"]),
            ),
            (
                Api::Event(EventKind::Webinar),
                Application,
                &["VirtualEventRegistration-Anon.ReadWrite.All"],
                Lacking(vec!["VirtualEvent.Read.All"]),
            ),
            (
                Api::Event(EventKind::Webinar),
                Application,
                &["VirtualEventRegistration-Anon.ReadWrite.All", "VirtualEvent.Read.All"],
                Enough(vec![
                    "VirtualEventRegistration-Anon.ReadWrite.All",
                    "VirtualEvent.Read.All",
                ]),
            ),
        ] {
            assert_eq!(permitted(api, &claims(speaker, granted)), expected, "{api:?} {speaker:?}");
        }
        assert_eq!(permitted(Api::Meeting, &claims(Speaker::Unknown, &[])), Granted::Unknown);
    }
}
