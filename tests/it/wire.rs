//! What is on the wire, to the letter: pinned here, and held against Microsoft's own description
//! of the API (`tests/graph`).

use std::path::Path;

use registrant_import::{
    registrant::Mode,
    simulator::{Config, Faults, RegistrationState, SimulatedFault as Fault},
};
use serde_json::{Value, json};

use crate::{
    context::Context,
    openapi::OpenApi,
    people::guid,
    recorder::{Recorder, Sent},
};

/// A file of Microsoft's: a description of the API, or an example of its documentation.
pub(crate) fn reference(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/graph").join(name);
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every kind of request that the program sends to a meeting: its registration shown, enabled and
/// disabled; registrants listed over several pages, posted, and removed after a lost answer.
fn every_request() -> Vec<Sent> {
    let lost = Faults::default().script("lost", Some(1), Fault::ResetAfterCommit);
    let mut context = Context::with(Config {
        registration: RegistrationState::Missing,
        faults: lost,
        page_size: 2,
        ..Config::default()
    });
    let recorder = Recorder::before(&context.graph_url());
    context.call_through(recorder.url());
    context.file("people.csv", "id\na/b ü?#%\nlost\n..\na+b@example.org\n");
    for (owner, ledger) in [("", "me.ledger"), (" --organizer 'ada+1@example.org'", "ada.ledger")] {
        let run = |line: &str| context.run(&format!("{line} --meeting 'MSpk/Yz E3='{owner}"));
        run("registration enable --allow everyone").expect(0);
        run("registration show").expect(0);
        run(&format!("run people.csv --settle 100ms --ledger {ledger}")).expect(0);
        run("registration disable").expect(0);
    }
    recorder.sent()
}

/// What is posted for one row in mode `organization`.
fn posted_for_a_member() -> Sent {
    let mut context = Context::with(Config {
        registration: RegistrationState::External(Mode::Organization),
        ..Config::default()
    });
    let recorder = Recorder::before(&context.graph_url());
    context.call_through(recorder.url());
    let row = format!("a,{{{}}},{}", guid(0xA).to_uppercase(), guid(0xB).replace('-', ""));
    context.file("people.csv", format!("id,tenantId,userId\n{row}\n"));
    context.run("run people.csv --meeting m1").expect(0);
    recorder.sent().into_iter().find(|sent| sent.method == "POST").expect("a POST")
}

#[test]
fn every_request_is_one_of_microsofts_description() {
    let api = OpenApi::parse(&reference("openapi-beta.yaml"));
    let requests: Vec<Sent> = every_request().into_iter().chain([posted_for_a_member()]).collect();
    for sent in &requests {
        api.judge(sent).unwrap_or_else(|why| panic!("{why}: {} {}", sent.method, sent.target));
    }
    let of = |method: &str| requests.iter().filter(|sent| sent.method == method).count();
    assert!(of("GET") >= 6 && of("POST") >= 12 && of("DELETE") >= 3, "every kind was sent");
}

#[test]
fn bodies_are_those_of_the_documentations_examples() {
    let example =
        |name: &str| -> Value { serde_json::from_str(&reference(name)).expect("an example") };
    let mut context = Context::new();
    let recorder = Recorder::before(&context.graph_url());
    context.call_through(recorder.url());
    let everyone = example("externalMeetingRegistrant-post.everyone.request.json");
    let member = example("externalMeetingRegistrant-post.organization.request.json");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    context.file("everyone.csv", format!("id\n{}\n", text(&everyone["id"])));
    context.run("run everyone.csv --meeting m1").expect(0);
    context.run("registration disable --meeting m2").expect(0);
    context.run("registration enable --allow organization --meeting m2").expect(0);
    let row = ["id", "tenantId", "userId"].map(|name| text(&member[name])).join(",");
    context.file("member.csv", format!("id,tenantId,userId\n{row}\n"));
    context.run("run member.csv --meeting m2").expect(0);
    let bodies: Vec<Value> = recorder.sent().iter().filter_map(Sent::json).collect();
    assert_eq!(bodies[0], everyone);
    assert_eq!(bodies[2], member);
}

#[test]
fn requests_are_what_they_were_meant_to_be() {
    let requests = every_request();
    let lines: Vec<String> = requests
        .iter()
        .take_while(|sent| !sent.target.starts_with("/beta/users/"))
        .map(|sent| format!("{} {}", sent.method, sent.target))
        .collect();
    let base = "/beta/me/onlineMeetings/MSpk%2FYz%20E3%3D/registration";
    let count = |line: String| lines.iter().filter(|known| **known == line).count();
    assert_eq!(count(format!("POST {base}")), 1, "{lines:?}");
    assert_eq!(count(format!("DELETE {base}")), 1);
    assert_eq!(count(format!("POST {base}/registrants")), 5, "four rows, one of them twice");
    assert_eq!(count(format!("DELETE {base}/registrants/lost")), 1);
    assert!(count(format!("GET {base}/registrants")) >= 2, "the first list, and the look-up");
    let owner = "/beta/users/ada%2B1%40example.org/onlineMeetings/MSpk%2FYz%20E3%3D/";
    assert!(requests.iter().any(|sent| sent.target.starts_with(owner)));
    for sent in &requests {
        let id = sent.header("client-request-id").expect("on each request");
        assert!(uuid::Uuid::try_parse(id).is_ok(), "{id}");
        assert_eq!(sent.header("accept"), Some("application/json"));
        let agent = sent.header("user-agent").expect("a server's owner may want to ask");
        assert!(agent.starts_with("registrant-import/"), "{agent}");
        let kind = (!sent.body.is_empty()).then_some("application/json");
        assert_eq!(sent.header("content-type"), kind, "{} {}", sent.method, sent.target);
    }
    let mut ids: Vec<_> = requests.iter().map(|sent| sent.header("client-request-id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), requests.len(), "fresh for each attempt");
}

#[test]
fn bodies_hold_what_the_rule_says_and_nothing_else() {
    let bodies: Vec<Value> = every_request().iter().filter_map(Sent::json).collect();
    assert_eq!(
        bodies[0],
        json!({
            "@odata.type": "#microsoft.graph.externalMeetingRegistration",
            "allowedRegistrant": "everyone",
        })
    );
    let everyone =
        json!({"@odata.type": "#microsoft.graph.externalMeetingRegistrant", "id": "a/b ü?#%"});
    assert_eq!(bodies[1], everyone);
    assert_eq!(
        posted_for_a_member().json(),
        Some(json!({
            "@odata.type": "#microsoft.graph.externalMeetingRegistrant",
            "id": "a", "tenantId": guid(0xA), "userId": guid(0xB),
        }))
    );
}

#[test]
fn a_token_is_sent_as_it_is() {
    let mut context = Context::new();
    let recorder = Recorder::before(&context.graph_url());
    context.call_through(recorder.url());
    context.run_with(&[("GRAPH_TOKEN", "tok.en")], "registration show --meeting m1").expect(0);
    context.run("registration show --meeting m1").expect(0);
    let sent = recorder.sent();
    assert_eq!(sent[0].header("authorization"), Some("Bearer tok.en"));
    assert_eq!(sent.len(), 2);
}
