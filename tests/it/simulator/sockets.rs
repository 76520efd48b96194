//! Over a loopback socket: the meeting, and the faults that HTTP cannot say.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use registrant_import::{
    registrant::Mode,
    simulator::{
        ApiRefusal, Config, Faults, RegistrationState, SecondPost, Served, SimulatedFault,
        Simulator, is_simulated_link,
    },
};
use serde_json::{Value, json};

use crate::{context::side_by_side, program::serve};

const REGISTRATION: &str = "/beta/me/onlineMeetings/MSpkYzE3/registration";

/// A simulator on a port, and a plain client of it.
struct Client {
    simulator: Simulator,
    served: Served,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

struct Got {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Client {
    fn new(config: Config) -> Self {
        let (simulator, served) = serve(config);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { simulator, served, http, runtime: runtime.expect("a runtime") }
    }

    fn quiet() -> Self {
        Self::new(Config { quirks: 0.0, ..Config::default() })
    }

    fn call(&self, method: &str, target: &str, body: Option<Value>) -> reqwest::Result<Got> {
        let url =
            if target.starts_with("http") { target.to_owned() } else { self.served.url() + target };
        let method = method.parse().expect("a method");
        let mut request = self
            .http
            .request(method, url)
            .header("authorization", "Bearer rehearsal")
            .header("client-request-id", "9d96988d-a66a-46ce-aad7-0b245615b297");
        if let Some(body) = body {
            request = request.json(&body);
        }
        self.runtime.block_on(async {
            let response = request.send().await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let bytes = response.bytes().await?;
            let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            Ok(Got { status, headers, body })
        })
    }

    fn get(&self, target: &str) -> Got {
        self.call("GET", target, None).expect("an answer")
    }

    fn delete(&self, target: &str) -> Got {
        self.call("DELETE", target, None).expect("an answer")
    }

    fn enrol(&self, id: &str) -> reqwest::Result<Got> {
        self.call("POST", &format!("{REGISTRATION}/registrants"), Some(registrant(id)))
    }
}

fn registrant(id: &str) -> Value {
    json!({"@odata.type": "#microsoft.graph.externalMeetingRegistrant", "id": id})
}

fn prid(link: &str) -> Value {
    let url = url::Url::parse(link).expect("a URL");
    let context = url.query_pairs().find(|(name, _)| name == "context").expect("a context").1;
    serde_json::from_str::<Value>(&context).expect("JSON")["prid"].clone()
}

#[test]
fn a_registrant_is_enrolled_listed_and_removed_as_the_reference_shows() {
    let graph = Client::quiet();
    let got = graph.get(REGISTRATION);
    assert_eq!((got.status, &got.body["allowedRegistrant"]), (200, &json!("everyone")));
    assert_eq!(got.body["@odata.type"], "#microsoft.graph.externalMeetingRegistration");

    let got = graph.enrol("Żółć/?#%").expect("an answer");
    assert_eq!(got.status, 200);
    assert_eq!(got.headers["client-request-id"], "9d96988d-a66a-46ce-aad7-0b245615b297");
    assert!(got.headers.contains_key("request-id") && got.headers.contains_key("date"));
    let members: Vec<&String> = got.body.as_object().expect("an object").keys().collect();
    assert_eq!(
        members,
        ["@odata.context", "@odata.type", "id", "joinWebUrl", "tenantId", "userId"]
    );
    let link = got.body["joinWebUrl"].as_str().expect("a link");
    assert!(is_simulated_link(link));
    assert_eq!(prid(link), "Żółć/?#%");

    let got = graph.get(&format!("{REGISTRATION}/registrants"));
    assert_eq!(got.body["value"][0]["id"], "Żółć/?#%");
    assert_eq!(got.body["value"][0]["joinWebUrl"], Value::Null);

    let one = format!("{REGISTRATION}/registrants/%C5%BB%C3%B3%C5%82%C4%87%2F%3F%23%25");
    assert_eq!(graph.get(&one).status, 200);
    assert_eq!(graph.delete(&one).status, 204);
    assert_eq!(graph.delete(&one).status, 404);
    let stats = graph.simulator.stats();
    assert_eq!((stats.posts, stats.created, stats.deletes, stats.deleted), (1, 1, 2, 1));
}

#[test]
fn the_mode_decides_what_a_registrant_holds() {
    let target = format!("{REGISTRATION}/registrants");
    let person = json!({
        "@odata.type": "#microsoft.graph.externalMeetingRegistrant",
        "id": "a",
        "tenantId": "909c6581-5130-43e9-88f3-fcb3582cde37",
        "userId": "cc515404-b55c-466e-b896-992c918ecc01",
    });
    let with = |member: &str, value: Value| {
        let mut body = person.clone();
        body[member] = value;
        Some(body)
    };
    let everyone = Client::quiet();
    let status = |graph: &Client, body| graph.call("POST", &target, body).expect("answer").status;
    assert_eq!(status(&everyone, Some(person.clone())), 400);
    assert_eq!(status(&everyone, Some(json!({"id": "a"}))), 400);
    assert_eq!(status(&everyone, Some(registrant("a"))), 200);

    let organization = Client::new(Config {
        registration: RegistrationState::External(Mode::Organization),
        quirks: 100.0,
        ..Config::default()
    });
    assert_eq!(status(&organization, Some(registrant("a"))), 400);
    assert_eq!(status(&organization, with("userId", json!("42"))), 400);
    assert_eq!(status(&organization, with("email", json!("a@b.org"))), 400);
    let got = organization.call("POST", &target, Some(person.clone())).expect("an answer");
    // The oddity of the reference's second example: the two ids change places.
    assert_eq!(got.body["userId"], person["tenantId"]);
    assert_eq!(got.body["tenantId"], person["userId"]);
    assert_eq!(got.body["error"], Value::Null);
}

#[test]
fn a_refusal_has_the_documented_body() {
    let graph = Client::quiet();
    let got = graph.get("/beta/me/onlineMeetings/missing-1/registration");
    assert_eq!((got.status, &got.body["error"]["code"]), (404, &json!("NotFound")));
    let inner = &got.body["error"]["innerError"];
    assert_eq!(inner["client-request-id"], "9d96988d-a66a-46ce-aad7-0b245615b297");
    assert_eq!(inner["request-id"], got.headers["request-id"].to_str().expect("text"));
    assert!(inner["date"].as_str().is_some_and(|date| date.len() == 19), "{inner}");
    assert_eq!(graph.get("/v1.0/me/onlineMeetings/M/registration").status, 400);
    assert_eq!(graph.call("PATCH", REGISTRATION, None).expect("an answer").status, 405);
}

#[test]
fn a_registration_is_made_once_keeps_its_id_and_takes_everybody_along() {
    let graph =
        Client::new(Config { registration: RegistrationState::Missing, ..Config::default() });
    assert_eq!(graph.get(REGISTRATION).status, 404);
    assert_eq!(graph.enrol("a").expect("an answer").status, 404);
    let body = |mode: &str| {
        Some(json!({
            "@odata.type": "#microsoft.graph.externalMeetingRegistration",
            "allowedRegistrant": mode,
        }))
    };
    let post = |body| graph.call("POST", REGISTRATION, body).expect("an answer");
    assert_eq!(post(Some(json!({"allowedRegistrant": "everyone"}))).status, 400);
    assert_eq!(post(body("nobody")).status, 400);
    let made = post(body("everyone"));
    assert_eq!(made.status, 201);
    assert_eq!(post(body("everyone")).status, 409);
    assert_eq!(graph.enrol("a").expect("an answer").status, 200);
    assert_eq!(graph.delete(REGISTRATION).status, 204);
    let again = post(body("organization"));
    assert_eq!(again.body["id"], made.body["id"]);
    assert_eq!(graph.simulator.stats().enrolled, 0);
}

#[test]
fn a_list_comes_in_pages_on_the_callers_own_host() {
    let graph = Client::new(Config { page_size: 7, ..Config::default() });
    for n in 0..20 {
        graph.enrol(&format!("id-{n}")).expect("an answer");
    }
    let (mut ids, mut next) = (Vec::new(), format!("{REGISTRATION}/registrants"));
    loop {
        let got = graph.get(&next);
        let page = got.body["value"].as_array().expect("a list");
        assert!(page.len() <= 7);
        ids.extend(page.iter().map(|r| r["id"].as_str().expect("an id").to_owned()));
        match got.body["@odata.nextLink"].as_str() {
            Some(link) => {
                assert!(link.starts_with(&graph.served.url()) && link.contains("$skiptoken="));
                link.clone_into(&mut next);
            }
            None => break,
        }
    }
    assert_eq!(ids, (0..20).map(|n| format!("id-{n}")).collect::<Vec<_>>());
    let stats: Value = graph.get("/simulator/stats").body;
    assert_eq!((&stats["lists"], &stats["created"]), (&json!(3), &json!(20)));
    let books = graph.get("/simulator/registrants").body;
    assert_eq!(prid(books["registrants"][19]["joinWebUrl"].as_str().expect("a link")), "id-19");
}

#[test]
fn a_second_post_does_what_was_asked_and_is_counted() {
    let link = |got: &Got| got.body["joinWebUrl"].as_str().map(str::to_owned);
    for second_post in [SecondPost::Return, SecondPost::Conflict, SecondPost::Duplicate] {
        let graph = Client::new(Config { second_post, ..Config::default() });
        let first = graph.enrol("a").expect("an answer");
        let second = graph.enrol("a").expect("an answer");
        match second_post {
            SecondPost::Return => assert_eq!(link(&first), link(&second)),
            SecondPost::Conflict => assert_eq!(second.status, 409),
            SecondPost::Duplicate => assert_ne!(link(&first), link(&second)),
        }
        let stats = graph.simulator.stats();
        assert_eq!(stats.duplicates, 1, "{second_post:?}");
        let registrants = if second_post == SecondPost::Duplicate { 2 } else { 1 };
        assert_eq!(graph.simulator.books().links()["a"].len(), registrants);
        assert_eq!(graph.delete(&format!("{REGISTRATION}/registrants/a")).status, 204);
        assert_eq!(graph.simulator.stats().enrolled, 0);
        // Who is removed and enrolled again has another link: an old one in a file is found out.
        let third = graph.enrol("a").expect("an answer");
        assert_ne!(link(&first), link(&third));
    }
}

/// What a bare socket gets for one POST of the id `a`: the bytes, and how it ended.
fn raw(graph: &Client) -> (String, std::io::Result<()>) {
    let body = registrant("a").to_string();
    let mut socket = TcpStream::connect(graph.served.address()).expect("a connection");
    socket.set_read_timeout(Some(Duration::from_millis(1_500))).expect("a time-out");
    write!(
        socket,
        "POST {REGISTRATION}/registrants HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer t\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let start = Instant::now();
    let (mut got, mut buffer) = (Vec::new(), vec![0; 65_536]);
    let end = loop {
        match socket.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(n) => got.extend_from_slice(&buffer[..n]),
            Err(error) => break Err(error),
        }
        if got.len() > 10_000_000 || start.elapsed() > Duration::from_millis(1_500) {
            break Ok(());
        }
    };
    (String::from_utf8_lossy(&got).into_owned(), end)
}

fn faulty(fault: SimulatedFault) -> Client {
    let faults = Faults::default().script("a", None, fault);
    Client::new(Config { faults, quirks: 0.0, ..Config::default() })
}

#[test]
fn a_reset_is_a_reset_before_and_after_the_commit() {
    use std::io::ErrorKind::ConnectionReset;
    for (fault, created) in [
        (SimulatedFault::ResetBeforeCommit, 0),
        (SimulatedFault::ResetAfterCommit, 1),
        (SimulatedFault::NoConnection, 0),
    ] {
        let graph = faulty(fault);
        let (got, end) = raw(&graph);
        assert_eq!(got, "", "{fault}");
        assert_eq!(end.expect_err("a reset").kind(), ConnectionReset, "{fault}");
        assert_eq!(graph.simulator.stats().created, created, "{fault}");
        assert_eq!(graph.simulator.stats().faults[fault.as_str()], 1);
        assert_eq!(graph.get(REGISTRATION).status, 200, "the server lives on");
    }
}

#[test]
fn a_body_is_cut_late_or_never_there() {
    let (got, end) = raw(&faulty(SimulatedFault::CutBody));
    assert!(got.starts_with("HTTP/1.1 200") && got.contains("externalMeeting"), "{got}");
    assert!(!got.ends_with('}'), "{got}");
    assert!(end.is_err(), "the connection breaks");

    let graph = faulty(SimulatedFault::CutJson);
    let (got, end) = raw(&graph);
    assert!(!got.ends_with('}') && end.is_ok(), "a complete answer of half a JSON");
    assert!(graph.enrol("a").is_ok());

    let (got, end) = raw(&faulty(SimulatedFault::SlowBody));
    let body = got.split_once("\r\n\r\n").expect("headers").1;
    assert!(end.is_ok() || !body.is_empty(), "a byte a second: {body}");
    assert!((1..=2).contains(&body.len()), "{body}");

    side_by_side(&[SimulatedFault::Silence, SimulatedFault::Stall], |&fault| {
        let (got, end) = raw(&faulty(fault));
        assert!(end.is_err(), "{fault}: nothing more within the time-out");
        let headers = fault == SimulatedFault::Silence;
        assert_eq!(got.ends_with("\r\n\r\n"), headers, "{fault}: {got}");
    });

    let (got, _) = raw(&faulty(SimulatedFault::GiantBody));
    assert!(got.len() > 10_000_000, "{}", got.len());
}

#[test]
fn each_answer_that_is_not_one_is_sent_as_it_says() {
    let posted = |fault| {
        let graph = faulty(fault);
        let got = graph.enrol("a").expect("an answer");
        (graph.simulator.stats().created, got)
    };
    let expected = [
        (SimulatedFault::Refused, 400, 0),
        (SimulatedFault::ExpiredToken, 401, 0),
        (SimulatedFault::Throttled, 429, 0),
        (SimulatedFault::ServerError, 500, 0),
        (SimulatedFault::ServerErrorAfterCommit, 500, 1),
        (SimulatedFault::BadGateway, 502, 0),
        (SimulatedFault::BadGatewayAfterCommit, 502, 1),
        (SimulatedFault::Unavailable, 503, 0),
        (SimulatedFault::UnavailableRetryAfter, 503, 0),
        (SimulatedFault::GatewayTimeout, 504, 0),
        (SimulatedFault::GatewayTimeoutAfterCommit, 504, 1),
        (SimulatedFault::EmptyBody, 200, 1),
        (SimulatedFault::NoContent, 204, 1),
        (SimulatedFault::NoLink, 200, 1),
        (SimulatedFault::WrongPrid, 200, 1),
        (SimulatedFault::OtherId, 200, 1),
    ];
    for (fault, status, created) in expected {
        let (made, got) = posted(fault);
        assert_eq!((got.status, made), (status, created), "{fault}");
        let waits =
            matches!(fault, SimulatedFault::Throttled | SimulatedFault::UnavailableRetryAfter);
        assert_eq!(got.headers.contains_key("retry-after"), waits, "{fault}");
    }
    let link = |fault| posted(fault).1.body["joinWebUrl"].as_str().unwrap_or_default().to_owned();
    assert_eq!(link(SimulatedFault::NoLink), "");
    assert_ne!(prid(&link(SimulatedFault::WrongPrid)), "a");
    assert_eq!(prid(&link(SimulatedFault::OtherId)), "a");
    assert_ne!(posted(SimulatedFault::OtherId).1.body["id"], "a");
    let html = posted(SimulatedFault::Html).1;
    assert_eq!((html.status, html.body), (200, Value::Null));
}

#[test]
fn the_end_does_not_wait_for_answers_that_never_end() {
    let graph = faulty(SimulatedFault::Silence);
    let mut socket = TcpStream::connect(graph.served.address()).expect("a connection");
    let body = registrant("a").to_string();
    write!(
        socket,
        "POST {REGISTRATION}/registrants HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let mut first = [0];
    socket.read_exact(&mut first).expect("the headers begin");
    let start = Instant::now();
    drop(graph);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn no_address_but_a_loopback_one_is_served() {
    let simulator = Simulator::new(Config::default());
    let error = Served::start_on(&simulator, ([0, 0, 0, 0], 0).into(), None).expect_err("refused");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

#[test]
fn lists_and_removals_have_faults_of_their_own() {
    let rates = ["list:500=100", "delete:504-after-commit=100"];
    let faults = Faults::new(rates.map(|rate| rate.parse().expect("a rate")).to_vec());
    let graph = Client::new(Config { faults: faults.expect("100 % each"), ..Config::default() });
    assert_eq!(graph.enrol("a").expect("an answer").status, 200);
    let list = graph.get(&format!("{REGISTRATION}/registrants"));
    assert_eq!((list.status, &list.body["error"]["code"]), (500, &json!("InternalServerError")));
    assert_eq!(graph.delete(&format!("{REGISTRATION}/registrants/a")).status, 504);
    let stats = graph.simulator.stats();
    assert_eq!((stats.enrolled, stats.faults["500"], stats.faults["504-after-commit"]), (0, 1, 1));
}

#[test]
fn the_oddity_of_the_first_example_leaves_the_link_right() {
    let graph = Client::new(Config { quirks: 100.0, ..Config::default() });
    let got = graph.enrol("a").expect("an answer").body;
    assert_ne!(got["id"], "a");
    assert_eq!(prid(got["joinWebUrl"].as_str().expect("a link")), "a");
}

#[test]
fn a_retired_api_answers_without_data() {
    let graph = Client::new(Config { refuse: Some(ApiRefusal::NoData), ..Config::default() });
    let got = graph.enrol("a").expect("an answer");
    assert_eq!((got.status, &got.body["id"]), (200, &json!("")));
    assert!(got.body.get("joinWebUrl").is_none());
    let graph = Client::new(Config { refuse: Some(ApiRefusal::Gone), ..Config::default() });
    assert_eq!(graph.enrol("a").expect("an answer").status, 410);
    let graph = Client::new(Config { refuse: Some(ApiRefusal::AccessPolicy), ..Config::default() });
    let error = graph.get(REGISTRATION).body["error"].clone();
    assert_eq!(error["code"], "Unauthorized");
    let message = error["message"].as_str().expect("words");
    assert!(message.contains("is not authorized to") && message.contains("on behalf of user"));
}
