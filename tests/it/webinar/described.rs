//! A run's requests, held against Microsoft's description and example.

use registrant_import::simulator::{Config, EventConfig, EventQuestion};
use serde_json::Value;

use super::{run, webinar};
use crate::{
    context::Context,
    openapi::OpenApi,
    recorder::{Recorder, Sent},
    wire::reference,
};

#[test]
fn every_request_is_one_of_microsofts_description() {
    let api = OpenApi::parse(&reference("openapi-v1.0.yaml"));
    let sent = every_request();
    for sent in &sent {
        api.judge(sent).unwrap_or_else(|why| panic!("{why}: {} {}", sent.method, sent.target));
    }
    let has = |method: &str, end: &str| {
        sent.iter().any(|sent| sent.method == method && sent.target.ends_with(end))
    };
    for (method, end) in [
        ("GET", "/w1%40t1"),
        ("GET", "/registrationConfiguration"),
        ("GET", "/questions"),
        ("GET", "/registrations"),
        ("POST", "/registrations"),
        ("GET", "/sessions"),
    ] {
        assert!(has(method, end), "{method} {end}");
    }
}

#[test]
fn the_body_is_that_of_the_documentations_example() {
    let example = reference("virtualEventRegistration-post.application.request.json");
    let example: Value = serde_json::from_str(&example).expect("JSON");
    let sent = every_request();
    let posted = sent.iter().find_map(Sent::json).expect("a POST");
    for member in ["firstName", "lastName", "email", "externalRegistrationInformation"] {
        assert_eq!(posted[member], example[member]);
    }
    let members = |value: &Value| -> Vec<String> {
        value.as_object().expect("an object").keys().cloned().collect()
    };
    assert_eq!(members(&posted), members(&example));
}

/// Every kind of request that a run sends to a webinar.
fn every_request() -> Vec<Sent> {
    let question = EventQuestion { required: false, ..EventQuestion::text("City") };
    let config = EventConfig { questions: vec![question], ..EventConfig::default() };
    let mut context = Context::with(Config { page_size: 1, ..webinar(config) });
    let recorder = Recorder::before(&context.graph_url());
    context.call_through(recorder.url());
    context.file(
        "people.csv",
        "Ticket,First name,Last name,Email,City\n\
         myExternalRegistrationId,Diane,Demoss,DianeDemoss@contoso.com,Ghent\n\
         2,Bob,O'Hara,o'hara+2@example.org,\n",
    );
    run(&context, "--map answer:City=City --set referrer=Fabrikam --set preferredTimezone='Pacific Standard Time'")
        .expect(0);
    recorder.sent()
}
