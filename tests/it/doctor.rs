//! `doctor`: every line says ok or what to do, the exit code is `run`'s, and nothing is changed.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use registrant_import::simulator::{
    ApiRefusal, CallLatency, Config, EventConfig, EventQuestion, EventStatus, RegistrationState,
    Served,
};

use crate::{
    context::{Context, graph},
    people::persons,
    program::serve,
    safety::MEETING,
    servers::{Server, meeting},
};

fn target(url: &str) -> String {
    format!("--meeting {MEETING} --organizer o --graph-url {url}")
}

#[test]
fn it_finds_everything_in_order_and_changes_nothing() {
    // A simulator's clock begins where it is told to.
    let (simulator, served) = serve(Config { epoch: SystemTime::now(), ..Config::default() });
    let context = Context::offline().secret(&served.url(), "secret");
    context.file("people.csv", persons(3));
    let line = format!("doctor people.csv {}", target(&served.url()));
    for before_run in [true, false] {
        let before = context.files();
        let posts = simulator.stats().posts;
        let ran = context.run(&line).expect(0);
        assert_eq!(context.files(), before, "changed a file");
        assert_eq!(context.path("state").exists(), !before_run, "made a folder");
        assert_eq!(simulator.stats().posts, posts);
        for told in [
            "ok    input         people.csv: 3 rows",
            "ok    credential    client-secret: application client in tenant tenant",
            "ok    sign-in       a token of an application, for 59 more minutes",
            "ok    permissions   OnlineMeetings.ReadWrite.All",
            "ok    graph-clock   agrees",
            "ok    registration  external, open to everyone",
            "ok    list          the registrants can be listed",
            "nothing stands in the way of `run`",
        ] {
            assert!(ran.stdout.contains(told), "{told}: {}", ran.stdout);
        }
        let ledger = if before_run { "the first run makes it" } else { "3 enrolled, 0 in doubt" };
        assert!(ran.stdout.contains(ledger), "{}", ran.stdout);
        context.run(&line.replace("doctor", "run")).expect(0);
    }
    let json: serde_json::Value =
        serde_json::from_str(&context.run(&format!("{line} --json")).stdout).expect("JSON");
    assert_eq!(json["exitCode"], 0);
    assert_eq!(json["checks"][0]["standing"], "ok");
}

#[track_caller]
fn found(context: &Context, line: &str, code: i32, told: &str) {
    let ran = context.run(&format!("doctor {line}"));
    assert!(ran.stdout.contains(told), "{line}: {told} is not in {}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, Some(code), "{line}: {}", ran.stdout);
}

#[test]
fn each_fault_has_the_code_that_run_would_end_with() {
    let served = graph(Config::default());
    let (url, context) = (served.url(), Context::offline().secret(&served.url(), "secret"));
    context.file("people.csv", persons(2));
    let good = target(&url);
    found(&context, &format!("--graph-url {url}"), 2, "mend  target        no target is named");
    found(
        &context,
        &format!("nobody.csv {good}"),
        2,
        "mend  input         nobody.csv: no such file",
    );
    found(&context, &format!("people.csv --output no/where.csv {good}"), 2, "mend  output ");
    context.file("text.ledger", "this is no ledger");
    found(
        &context,
        &format!("--ledger text.ledger {good}"),
        2,
        "mend  ledger        text.ledger: ",
    );
    found(&context, &format!("{good} --auth azure-cli --cloud china"), 6, "mend  sign-in ");
    found(
        &context,
        &format!("--meeting {MEETING} --graph-url {url}"),
        6,
        "--organizer, by object id",
    );
    let missing = graph(Config { registration: RegistrationState::Missing, ..Config::default() });
    found(&context, &target(&missing.url()), 6, "mend  registration  Graph knows no registration");
    let enable = format!("{} --enable everyone", target(&missing.url()));
    found(&context, &enable, 0, "note  registration  there is none; `run` makes one for everyone");
    let organization = graph(Config {
        registration: RegistrationState::External(
            registrant_import::registrant::Mode::Organization,
        ),
        ..Config::default()
    });
    let columns = format!("people.csv {}", target(&organization.url()));
    found(&context, &columns, 2, "mend  columns       ");
    let gone = served.url();
    drop(served);
    let context = Context::offline().variable("GRAPH_TOKEN", "opaque");
    found(
        &context,
        &target(&gone),
        5,
        "mend  graph         Graph keeps failing (connection refused",
    );
}

#[test]
fn a_ledger_that_a_run_holds_is_told() {
    let slow = CallLatency { median: Duration::from_secs(2), sigma: 0.0 };
    let served = graph(Config { latency: slow, ..Config::default() });
    let context = Context::offline().variable("GRAPH_TOKEN", "opaque");
    context.file("people.csv", persons(2));
    let line = format!("run people.csv --ledger a.ledger {}", target(&served.url()));
    let mut run = context
        .command(&line)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    while !context.path("a.ledger-wal").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(200));
    let quick = graph(Config::default());
    found(&context, &format!("--ledger a.ledger {}", target(&quick.url())), 7, "mend  ledger ");
    run.kill().expect("ends");
    run.wait().expect("ended");
    found(&context, &format!("--ledger a.ledger {}", target(&quick.url())), 0, "no run holds it");
}

#[test]
fn a_registration_made_anew_is_told() {
    let served = graph(Config::default());
    let context = Context::offline().secret(&served.url(), "secret");
    context.file("people.csv", persons(2));
    let target = target(&served.url());
    context.run(&format!("run people.csv {target}")).expect(0);
    context.run(&format!("registration disable {target}")).expect(0);
    context.run(&format!("registration enable --allow organization {target}")).expect(0);
    found(&context, &target, 6, "mend  registration  the meeting's registration was made anew");
    found(&context, &format!("{target} --trust-ledger"), 0, "ok    registration");
}

/// An unsigned JWT.
fn token(claims: &serde_json::Value) -> String {
    let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part("{}"), part(&claims.to_string()), part("seal"))
}

#[test]
fn a_token_without_the_permission_or_at_its_end_is_told() {
    let served = graph(Config::default());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let now = now.as_secs();
    let target = target(&served.url());
    let with = |claims| Context::offline().variable("GRAPH_TOKEN", &token(&claims));
    let lacking = with(serde_json::json!({"scp": "User.Read", "exp": now + 3_600}));
    let told = "mend  permissions   the delegated permission OnlineMeetings.ReadWrite is lacking (granted: User.Read)";
    found(&lacking, &target, 6, told);
    let short = with(serde_json::json!({"scp": "OnlineMeetings.ReadWrite", "exp": now + 300}));
    found(&short, &target, 0, "note  sign-in       a token of a person, only for");
    let over = with(serde_json::json!({"scp": "OnlineMeetings.ReadWrite", "exp": now - 300}));
    found(&over, &target, 6, "has expired");
}

#[test]
fn a_clock_that_is_wrong_is_told() {
    let later = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(600));
    let server = Server::start(move |came| {
        let (status, _, body) = meeting(came).unwrap_or((400, String::new(), String::new()));
        (status, format!("Date: {later}\r\n"), body)
    });
    let context = Context::offline().variable("GRAPH_TOKEN", "opaque");
    found(&context, &target(&server.url), 0, "s behind Graph's clock: set it by a time server");
    assert!(server.came().iter().all(|came| came.line.starts_with("GET ")));
}

/// A webinar at a simulated Graph.
fn of_a_webinar(config: EventConfig) -> Served {
    graph(Config { event: config, ..Config::default() })
}

fn webinar(url: &str) -> String {
    format!("people.csv --webinar w@t --graph-url {url}")
}

/// An application's place with people as a webinar wants them.
fn guests(url: &str) -> Context {
    let context = Context::offline().secret(url, "secret");
    context.file("people.csv", "id,first name,last name,email,town\n1,Ada,Byron,a@b.org,Ghent\n");
    context
}

#[test]
fn a_webinar_in_order_is_told_with_its_places_its_form_and_its_mails() {
    let question = |words: &str, required| EventQuestion { required, ..EventQuestion::text(words) };
    let served = of_a_webinar(EventConfig {
        capacity: Some(300),
        waitlist: true,
        approval: true,
        questions: vec![question("Town", true), question("Diet", false)],
        ..EventConfig::default()
    });
    let context = guests(&served.url());
    let line = format!("{} --map answer:Town=town", webinar(&served.url()));
    let before = context.files();
    let ran = context.run(&format!("doctor {line}")).expect(0);
    assert_eq!(context.files(), before, "changed a file");
    for told in [
        "ok    target        webinar w@t\n",
        "ok    sign-in       a token of an application, for 59 more minutes",
        "ok    permissions   VirtualEventRegistration-Anon.ReadWrite.All, VirtualEvent.Read.All",
        "ok    registration  published, open to everyone; Teams mails everybody who is registered",
        "ok    admission     300 places, a waiting list, each approved by hand",
        "ok    questions     2 asked, 1 of them required",
        "ok    columns       every field and every required question has its column",
        "ok    list          the registrants can be listed",
        "nothing stands in the way of `run`",
    ] {
        assert!(ran.stdout.contains(told), "{told}: {}", ran.stdout);
    }
    let silent = of_a_webinar(EventConfig { mails: false, ..EventConfig::default() });
    let context = guests(&silent.url());
    found(&context, &webinar(&silent.url()), 0, "Teams mails nobody");
    found(&context, &webinar(&silent.url()), 0, "ok    admission     no capacity is set");
}

#[test]
fn each_fault_of_a_webinar_has_the_code_that_run_would_end_with() {
    let with = |config: Config, more: &str, code: i32, told: &[&str]| {
        let served = graph(config);
        let context = guests(&served.url());
        let line = format!("{}{more}", webinar(&served.url()));
        for told in told {
            found(&context, &line, code, told);
        }
        let ran = context.run(&format!("run {line}"));
        assert_eq!(ran.code, Some(code), "run {line}: {}", ran.stderr);
    };
    let webinar = |webinar| Config { event: webinar, ..Config::default() };
    let status = |status| webinar(EventConfig { status, ..EventConfig::default() });
    let asking = || {
        webinar(EventConfig {
            questions: vec![EventQuestion::text("Town")],
            ..EventConfig::default()
        })
    };
    with(status(EventStatus::Draft), "", 6, &["mend  registration  the webinar is a draft"]);
    with(status(EventStatus::Canceled), "", 6, &["mend  registration  the webinar was cancelled"]);
    with(
        asking(),
        "",
        2,
        &[
            "mend  columns       the event requires an answer to `Town`; give each a column: --map 'answer:Town=COLUMN'",
        ],
    );
    with(
        asking(),
        " --map answer:City=town",
        2,
        &["mend  columns       the event asks no question `City`; it asks `Town` (required)"],
    );
    with(
        Config { refuse: Some(ApiRefusal::AccessPolicy), ..Config::default() },
        "",
        6,
        &[
            "mend  registration  Graph forbids it (403",
            "New-CsApplicationAccessPolicy -Identity import",
            "Grant-CsApplicationAccessPolicy -PolicyName import",
        ],
    );
    with(
        Config { refuse: Some(ApiRefusal::Forbidden), ..Config::default() },
        "",
        6,
        &["VirtualEventRegistration-Anon.ReadWrite.All and VirtualEvent.Read.All"],
    );
    // Nothing forbids it before the first row has been refused.
    let served = of_a_webinar(EventConfig {
        audience: registrant_import::registrant::Mode::Organization,
        ..EventConfig::default()
    });
    let context = guests(&served.url());
    found(&context, &self::webinar(&served.url()), 0, "note  audience      the event is for its");
}

#[test]
fn columns_that_a_webinar_needs_are_asked_for() {
    let served = of_a_webinar(EventConfig::default());
    let context = guests(&served.url());
    context.file("people.csv", "id,name,email\n1,Ada Byron,a@b.org\n");
    let line = webinar(&served.url());
    found(&context, &line, 2, "mend  columns       people.csv: no column for `firstName`");
    let split = "--map firstName=name --map lastName=name --set name-order=first-last";
    found(&context, &format!("{line} {split}"), 0, "ok    columns ");
}

#[test]
fn who_may_not_register_others_for_a_webinar_is_told() {
    let served = of_a_webinar(EventConfig::default());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let expires = now.as_secs() + 3_600;
    let line = webinar(&served.url());
    let with = |claims: serde_json::Value| {
        let context = guests(&served.url()).variable("GRAPH_TOKEN", &token(&claims));
        context.variable("REGISTRANT_IMPORT_AUTH", "token")
    };
    let person = with(serde_json::json!({"scp": "VirtualEvent.ReadWrite", "exp": expires}));
    for told in [
        "ok    permissions   VirtualEvent.ReadWrite",
        "mend  registration  the token is a person's, and for a virtual event Graph lets a person register nobody but themselves",
        "New-CsApplicationAccessPolicy",
    ] {
        found(&person, &line, 6, told);
    }
    let lacking = with(
        serde_json::json!({"idtyp": "app", "roles": ["VirtualEvent.Read.All"], "exp": expires}),
    );
    found(
        &lacking,
        &line,
        0,
        "note  permissions   the application permission VirtualEventRegistration-Anon.ReadWrite.All is lacking (granted: VirtualEvent.Read.All)",
    );
    let enough = with(serde_json::json!({
        "idtyp": "app",
        "roles": ["VirtualEventRegistration-Anon.ReadWrite.All", "VirtualEvent.ReadWrite.All"],
        "exp": expires
    }));
    found(
        &enough,
        &line,
        0,
        "ok    permissions   VirtualEventRegistration-Anon.ReadWrite.All, VirtualEvent.ReadWrite.All",
    );
}
