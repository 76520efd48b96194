//! `doctor`: every line says ok or what to do, the exit code is `run`'s, and nothing is changed.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use registrant_import::simulator::{
    Config, Latency, Question, Refusal, RegistrationState, Served, Simulator, WebinarConfig,
    WebinarStatus,
};

use crate::safety::{
    place::{MEETING, Place, graph},
    servers::{Server, meeting},
};

fn target(url: &str) -> String {
    format!("--meeting {MEETING} --organizer o --graph-url {url}")
}

#[test]
fn it_finds_everything_in_order_and_changes_nothing() {
    // A simulator's clock begins where it is told to.
    let simulator = Simulator::new(Config { epoch: SystemTime::now(), ..Config::default() });
    let served = Served::start(&simulator).expect("a loopback port");
    let place = Place::new().with_secret(&served.url(), "secret");
    place.write_people("people.csv", 3);
    let line = format!("doctor people.csv {}", target(&served.url()));
    for before_run in [true, false] {
        let before = place.files();
        let posts = simulator.stats().posts;
        let ran = place.say(&line);
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        assert_eq!(place.files(), before, "changed a file");
        assert_eq!(place.path("state").exists(), !before_run, "made a folder");
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
            assert!(ran.out.contains(told), "{told}: {}", ran.out);
        }
        let ledger = if before_run { "the first run makes it" } else { "3 enrolled, 0 in doubt" };
        assert!(ran.out.contains(ledger), "{}", ran.out);
        let done = place.say(&line.replace("doctor", "run"));
        assert_eq!(done.code, 0, "{}", done.err);
    }
    let json: serde_json::Value =
        serde_json::from_str(&place.say(&format!("{line} --json")).out).expect("JSON");
    assert_eq!(json["exitCode"], 0);
    assert_eq!(json["checks"][0]["standing"], "ok");
}

#[track_caller]
fn found(place: &Place, line: &str, code: i32, told: &str) {
    let ran = place.say(&format!("doctor {line}"));
    assert!(ran.out.contains(told), "{line}: {told} is not in {}{}", ran.out, ran.err);
    assert_eq!(ran.code, code, "{line}: {}", ran.out);
}

#[test]
fn each_fault_has_the_code_that_run_would_end_with() {
    let served = graph(Config::default());
    let (url, place) = (served.url(), Place::new().with_secret(&served.url(), "secret"));
    place.write_people("people.csv", 2);
    let good = target(&url);
    found(&place, &format!("--graph-url {url}"), 2, "mend  target        no target is named");
    found(&place, &format!("nobody.csv {good}"), 2, "mend  input         nobody.csv: no such file");
    found(&place, &format!("people.csv --output no/where.csv {good}"), 2, "mend  output ");
    place.write("text.ledger", "this is no ledger");
    found(&place, &format!("--ledger text.ledger {good}"), 2, "mend  ledger        text.ledger: ");
    found(&place, &format!("{good} --auth azure-cli --cloud china"), 6, "mend  sign-in ");
    found(
        &place,
        &format!("--meeting {MEETING} --graph-url {url}"),
        6,
        "--organizer, by object id",
    );
    let missing = graph(Config { registration: RegistrationState::Missing, ..Config::default() });
    found(&place, &target(&missing.url()), 6, "mend  registration  Graph knows no registration");
    let enable = format!("{} --enable everyone", target(&missing.url()));
    found(&place, &enable, 0, "note  registration  there is none; `run` makes one for everyone");
    let organization = graph(Config {
        registration: RegistrationState::External(
            registrant_import::registrant::Mode::Organization,
        ),
        ..Config::default()
    });
    let columns = format!("people.csv {}", target(&organization.url()));
    found(&place, &columns, 2, "mend  columns       ");
    let gone = served.url();
    drop(served);
    let place = Place::new().with("GRAPH_TOKEN", "opaque");
    found(&place, &target(&gone), 5, "mend  graph         Graph keeps failing (connection refused");
}

#[test]
fn a_ledger_that_a_run_holds_is_told() {
    let slow = Latency { median: Duration::from_secs(2), sigma: 0.0 };
    let served = graph(Config { latency: slow, ..Config::default() });
    let place = Place::new().with("GRAPH_TOKEN", "opaque");
    place.write_people("people.csv", 2);
    let line = format!("run people.csv --ledger a.ledger {}", target(&served.url()));
    let mut run = place
        .command(&line.split(' ').collect::<Vec<_>>())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    while !place.path("a.ledger-wal").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(200));
    let quick = graph(Config::default());
    found(&place, &format!("--ledger a.ledger {}", target(&quick.url())), 7, "mend  ledger ");
    run.kill().expect("ends");
    run.wait().expect("ended");
    found(&place, &format!("--ledger a.ledger {}", target(&quick.url())), 0, "no run holds it");
}

#[test]
fn a_registration_made_anew_is_told() {
    let served = graph(Config::default());
    let place = Place::new().with_secret(&served.url(), "secret");
    place.write_people("people.csv", 2);
    let target = target(&served.url());
    assert_eq!(place.say(&format!("run people.csv {target}")).code, 0);
    assert_eq!(place.say(&format!("registration disable {target}")).code, 0);
    assert_eq!(place.say(&format!("registration enable --allow organization {target}")).code, 0);
    found(&place, &target, 6, "mend  registration  the meeting's registration was made anew");
    found(&place, &format!("{target} --trust-ledger"), 0, "ok    registration");
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
    let with = |claims| Place::new().with("GRAPH_TOKEN", &token(&claims));
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
    let place = Place::new().with("GRAPH_TOKEN", "opaque");
    found(&place, &target(&server.url), 0, "s behind Graph's clock: set it by a time server");
    assert!(server.came().iter().all(|came| came.line.starts_with("GET ")));
}

/// A webinar at a simulated Graph.
fn of_a_webinar(config: WebinarConfig) -> Served {
    graph(Config { webinar: config, ..Config::default() })
}

fn webinar(url: &str) -> String {
    format!("people.csv --webinar w@t --graph-url {url}")
}

/// An application's place with people as a webinar wants them.
fn guests(url: &str) -> Place {
    let place = Place::new().with_secret(url, "secret");
    place.write("people.csv", "id,first name,last name,email,town\n1,Ada,Byron,a@b.org,Ghent\n");
    place
}

#[test]
fn a_webinar_in_order_is_told_with_its_places_its_form_and_its_mails() {
    let question = |words: &str, required| Question { required, ..Question::text(words) };
    let served = of_a_webinar(WebinarConfig {
        capacity: Some(300),
        waitlist: true,
        approval: true,
        questions: vec![question("Town", true), question("Diet", false)],
        ..WebinarConfig::default()
    });
    let place = guests(&served.url());
    let line = format!("{} --map answer:Town=town", webinar(&served.url()));
    let before = place.files();
    let ran = place.say(&format!("doctor {line}"));
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(place.files(), before, "changed a file");
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
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
    let silent = of_a_webinar(WebinarConfig { mails: false, ..WebinarConfig::default() });
    let place = guests(&silent.url());
    found(&place, &webinar(&silent.url()), 0, "Teams mails nobody");
    found(&place, &webinar(&silent.url()), 0, "ok    admission     no capacity is set");
}

#[test]
fn each_fault_of_a_webinar_has_the_code_that_run_would_end_with() {
    let with = |config: Config, more: &str, code: i32, told: &[&str]| {
        let served = graph(config);
        let place = guests(&served.url());
        let line = format!("{}{more}", webinar(&served.url()));
        for told in told {
            found(&place, &line, code, told);
        }
        let ran = place.say(&format!("run {line}"));
        assert_eq!(ran.code, code, "run {line}: {}", ran.err);
    };
    let webinar = |webinar| Config { webinar, ..Config::default() };
    let status = |status| webinar(WebinarConfig { status, ..WebinarConfig::default() });
    let asking = || {
        webinar(WebinarConfig {
            questions: vec![Question::text("Town")],
            ..WebinarConfig::default()
        })
    };
    with(status(WebinarStatus::Draft), "", 6, &["mend  registration  the webinar is a draft"]);
    with(
        status(WebinarStatus::Canceled),
        "",
        6,
        &["mend  registration  the webinar was cancelled"],
    );
    with(
        asking(),
        "",
        2,
        &[
            "mend  columns       the webinar requires an answer to `Town`; give each a column: --map 'answer:Town=COLUMN'",
        ],
    );
    with(
        asking(),
        " --map answer:City=town",
        2,
        &["mend  columns       the webinar asks no question `City`; it asks `Town` (required)"],
    );
    with(
        Config { refuse: Some(Refusal::AccessPolicy), ..Config::default() },
        "",
        6,
        &[
            "mend  registration  Graph forbids it (403",
            "New-CsApplicationAccessPolicy -Identity import",
            "Grant-CsApplicationAccessPolicy -PolicyName import",
        ],
    );
    with(
        Config { refuse: Some(Refusal::Forbidden), ..Config::default() },
        "",
        6,
        &["VirtualEventRegistration-Anon.ReadWrite.All and VirtualEvent.Read.All"],
    );
    // Nothing forbids it before the first row has been refused.
    let served = of_a_webinar(WebinarConfig {
        audience: registrant_import::registrant::Mode::Organization,
        ..WebinarConfig::default()
    });
    let place = guests(&served.url());
    found(&place, &self::webinar(&served.url()), 0, "note  audience      the webinar is for its");
}

#[test]
fn columns_that_a_webinar_needs_are_asked_for() {
    let served = of_a_webinar(WebinarConfig::default());
    let place = guests(&served.url());
    place.write("people.csv", "id,name,email\n1,Ada Byron,a@b.org\n");
    let line = webinar(&served.url());
    found(&place, &line, 2, "mend  columns       people.csv: no column for `firstName`");
    let split = "--map firstName=name --map lastName=name --set name-order=first-last";
    found(&place, &format!("{line} {split}"), 0, "ok    columns ");
}

#[test]
fn who_may_not_register_others_for_a_webinar_is_told() {
    let served = of_a_webinar(WebinarConfig::default());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let expires = now.as_secs() + 3_600;
    let line = webinar(&served.url());
    let with = |claims: serde_json::Value| {
        let place = guests(&served.url()).with("GRAPH_TOKEN", &token(&claims));
        place.with("REGISTRANT_IMPORT_AUTH", "token")
    };
    let person = with(serde_json::json!({"scp": "VirtualEvent.ReadWrite", "exp": expires}));
    for told in [
        "ok    permissions   VirtualEvent.ReadWrite",
        "mend  registration  the token is a person's, and for a webinar Graph lets a person register nobody but themselves",
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
        6,
        "mend  permissions   the application permission VirtualEventRegistration-Anon.ReadWrite.All is lacking (granted: VirtualEvent.Read.All)",
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
