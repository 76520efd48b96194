//! What is sent to a webinar: held against the documentation's examples and Microsoft's own
//! description (`tests/graph`), and against the simulated Graph.

use std::sync::Arc;

use http::Method;
use registrant_import::{
    graph::event::{about, configuration, event_registration, questions},
    registrant::{AnswerInput, Fields, Form, Question, Registrant, Rule},
    simulator::{self, Config, Direct, HttpCall, QuestionKind, Simulator},
};
use serde_json::Value;

use crate::{openapi::OpenApi, recorder::Sent, wire::reference};

const WEBINAR: &str = "/v1.0/solutions/virtualEvents/webinars/88b245ac-b0b2-f1aa-e34a-c81c27abdac2@f9448ec4-804b-46af-b810-62085248da33";

/// The three questions that the examples answer.
fn form() -> Form {
    let cities = || ["Seattle", "Cancun", "Hoboken", "Beijing", "London", "New York City"];
    let choices = || cities().map(str::to_owned).to_vec();
    let question = |id: &str, display_name: &str, input| Question {
        id: id.to_owned(),
        display_name: display_name.to_owned(),
        required: true,
        input,
    };
    Form {
        questions: vec![
            question(
                "95320781-96b3-4b8f-8cf8-e6561d23447a",
                "Which city do you currently work in?",
                AnswerInput::MultiChoice(choices()),
            ),
            question(
                "4577afdb-8bee-4219-b482-04b52c6b855c",
                "Do you live in the same city where you work?",
                AnswerInput::Boolean,
            ),
            question(
                "80fefcf1-caf7-4cd3-b8d7-159e17c47f20",
                "Which cities have you worked in?",
                AnswerInput::MultiChoice(choices()),
            ),
        ],
    }
}

/// The person of the examples, as a row of a CSV would say it.
fn diane(worked_in: &str) -> Fields<'_> {
    Fields {
        id: Some("myExternalRegistrationId"),
        first_name: Some("Diane"),
        last_name: Some("Demoss"),
        email: Some("DianeDemoss@contoso.com"),
        preferred_timezone: Some("Pacific Standard Time"),
        preferred_language: Some("en-us"),
        referrer: Some("Fabrikam"),
        answers: vec![
            ("Which city do you currently work in?", "seattle"),
            ("do you live in the same city where you work?", "yes"),
            ("80fefcf1-caf7-4cd3-b8d7-159e17c47f20", worked_in),
        ],
        ..Fields::default()
    }
}

fn body(fields: &Fields<'_>, form: Form) -> Vec<u8> {
    let rule = Rule::Event(Arc::new(form));
    let registrant = Registrant::parse(fields, &rule).expect("valid");
    event_registration(&registrant)
}

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("JSON")
}

#[test]
fn the_body_is_that_of_the_documentations_example_to_the_letter() {
    let name = "virtualEventRegistration-post.application.request.json";
    let example = json(reference(name).as_bytes());
    assert_eq!(json(&body(&diane("London; New York City"), form())), example, "{name}");
}

#[test]
fn bodies_are_valid_by_microsofts_description() {
    let api = OpenApi::parse(&reference("openapi-v1.0.yaml"));
    let least = Fields { answers: Vec::new(), referrer: None, ..diane("") };
    for (fields, form) in [(diane("London"), form()), (least, Form::default())] {
        let sent = Sent {
            method: "POST".into(),
            target: format!("{WEBINAR}/registrations"),
            headers: vec![("content-type".into(), "application/json".into())],
            body: String::from_utf8(body(&fields, form)).expect("text").into(),
        };
        api.judge(&sent).unwrap_or_else(|why| panic!("{why}: {:?}", sent.body));
    }
}

#[test]
fn the_documentations_answers_are_read() {
    let list = reference("virtualEventRegistrationQuestions-list.response-200.json");
    let (read, next) = questions(list.as_bytes()).expect("a page");
    let told: Vec<(&str, bool)> =
        read.iter().map(|question| (question.display_name.as_str(), question.required)).collect();
    assert_eq!(
        told,
        [
            ("Job title", true),
            ("In what area do you work", false),
            ("What is your primary reason for attending this webinar", true),
            ("Are you interested in webinars of the same topic in the future", true),
        ]
    );
    assert_eq!((&read[0].input, &read[1].input), (&AnswerInput::Text, &AnswerInput::Text));
    assert!(matches!(&read[2].input, AnswerInput::SingleChoice(choices) if choices.len() == 3));
    assert_eq!((&read[3].input, next), (&AnswerInput::Boolean, None));
    let event = reference("virtualEventWebinar-get.response-200.json");
    let event = about(event.as_bytes()).expect("a webinar");
    assert_eq!(event.status.as_deref(), Some("published"));
    assert_eq!((event.audience.as_deref(), event.mails_attendees), (Some("everyone"), None));
    let settings = reference("virtualEventWebinarRegistrationConfiguration-get.response-200.json");
    assert_eq!(
        configuration(settings.as_bytes()),
        Some(registrant_import::graph::event::Configuration::default())
    );
}

/// What the simulator says of its form is read, and what is made of a row by it is what it takes.
#[tokio::test]
async fn the_simulated_form_takes_what_is_made_for_it() {
    let question = |number: u128, name: &str, required, kind| simulator::EventQuestion {
        id: uuid::Uuid::from_u128(number),
        display_name: name.to_owned(),
        required,
        kind,
    };
    let choices = || vec!["Seattle".to_owned(), "Paris, France".to_owned()];
    let mut config = Config::default();
    config.event.questions = vec![
        question(1, "City", true, QuestionKind::SingleChoice(choices())),
        question(2, "Cities", true, QuestionKind::MultiChoice(choices())),
        question(3, "Local", true, QuestionKind::Boolean),
        question(4, "Why", false, QuestionKind::Text),
    ];
    let simulator = Simulator::new(config);
    let direct = Direct::new(&simulator);
    let call = async |method: Method, path: &str, body: &[u8]| {
        let target = format!("{WEBINAR}{path}");
        let call = HttpCall {
            method: &method,
            target: &target,
            base: "",
            authorization: Some("Bearer t"),
            client_request_id: None,
            content_type: Some("application/json"),
            body,
        };
        direct.exchange(call).await.expect("an answer")
    };
    let page = call(Method::GET, "/registrationConfiguration/questions", b"").await;
    let form = Form { questions: questions(&page.body).expect("a page").0 };
    assert_eq!(form.hold(&["City", "cities", "LOCAL"]), Ok(()));
    assert!(form.hold(&["City", "cities"]).is_err());
    assert!(about(&call(Method::GET, "", b"").await.body).expect("one").status.is_some());
    let settings = call(Method::GET, "/registrationConfiguration", b"").await;
    assert!(configuration(&settings.body).is_some());
    for (number, local) in ["Ja", "0", "x"].into_iter().enumerate() {
        let (id, email) = (format!("id-{number}"), format!("ada{number}@example.org"));
        let fields = Fields {
            id: Some(&id),
            email: Some(&email),
            preferred_timezone: None,
            answers: vec![
                ("City", "paris, france"),
                ("Cities", "Seattle;Paris, France"),
                ("Local", local),
                ("Why", if number == 1 { "Because" } else { "" }),
            ],
            ..diane("")
        };
        let posted = call(Method::POST, "/registrations", &body(&fields, form.clone())).await;
        let told = String::from_utf8_lossy(&posted.body);
        assert_eq!(posted.status.as_u16(), 204, "{told}");
    }
    let kept = json(&call(Method::GET, "/registrations", b"").await.body);
    assert_eq!(kept["value"][1]["externalRegistrationInformation"]["registrationId"], "id-1");
    assert_eq!(kept["value"][1]["registrationQuestionAnswers"][2]["booleanValue"], false);
}
