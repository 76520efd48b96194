//! Called without a socket in paused time: the webinar, the token endpoint, faults and seeds.

use std::time::Duration;

use http::Method;
use registrant_import::{
    graph::transport::{Reach, TransportFailure},
    pacing::Quota,
    simulator::{
        CallKind, CallLatency, Caller, Config, DateForm, Direct, EventPrid, EventQuestion,
        EventStatus, Faults, HttpAnswer, HttpCall, Outage, RateLimit, RegistrationStatus,
        SecondPost, SimulatedFault, Simulator, TokenRule, is_simulated_link,
    },
};
use serde_json::{Value, json};

const WEBINAR: &str = "/v1.0/solutions/virtualEvents/webinars/88b245ac@f9448ec4";

/// A client with a bearer of its own.
struct Client {
    direct: Direct,
    simulator: Simulator,
    bearer: String,
}

struct Got {
    status: u16,
    body: Value,
    answer: HttpAnswer,
}

impl Client {
    fn new(config: Config) -> Self {
        let simulator = Simulator::new(config);
        Self { direct: Direct::new(&simulator), simulator, bearer: "Bearer t".to_owned() }
    }

    async fn call(&self, method: Method, target: &str, content: &str, body: &str) -> Got {
        let call = HttpCall {
            method: &method,
            target,
            base: "",
            authorization: Some(&self.bearer),
            client_request_id: None,
            content_type: Some(content),
            body: body.as_bytes(),
        };
        let answer = self.direct.exchange(call).await.expect("an answer");
        let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        Got { status: answer.status.as_u16(), body, answer }
    }

    async fn get(&self, target: &str) -> Got {
        self.call(Method::GET, target, "", "").await
    }

    async fn post(&self, target: &str, body: &Value) -> Got {
        self.call(Method::POST, target, "application/json", &body.to_string()).await
    }

    async fn register(&self, name: &str) -> u16 {
        self.post(&format!("{WEBINAR}/registrations"), &person(name)).await.status
    }

    async fn sessions(&self, name: &str) -> Got {
        self.get(&format!("{WEBINAR}/registrations(email='{name}%40example.org')/sessions")).await
    }

    async fn link(&self, name: &str) -> Option<String> {
        self.sessions(name).await.body["value"][0]["joinWebUrl"].as_str().map(str::to_owned)
    }

    async fn form(&self, target: &str, form: &str) -> Got {
        self.call(Method::POST, target, "application/x-www-form-urlencoded", form).await
    }
}

fn person(name: &str) -> Value {
    json!({
        "firstName": name, "lastName": "Demoss", "email": format!("{name}@example.org"),
        "externalRegistrationInformation": {"referrer": "Fabrikam", "registrationId": name},
        "preferredTimezone": "Pacific Standard Time", "preferredLanguage": "en-us",
    })
}

/// The default, changed.
fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

#[tokio::test(start_paused = true)]
async fn a_registration_is_posted_found_and_given_its_link_in_three_calls() {
    let client = Client::new(Config::default());
    let got = client.post(&format!("{WEBINAR}/registrations"), &person("ada")).await;
    assert_eq!((got.status, got.answer.body.len()), (204, 0));
    let list = client.get(&format!("{WEBINAR}/registrations")).await;
    let found = &list.body["value"][0];
    assert_eq!(found["externalRegistrationInformation"]["registrationId"], "ada");
    assert_eq!((&found["status"], &found["userId"]), (&json!("registered"), &Value::Null));
    assert!(found.get("joinWebUrl").is_none(), "a registration has no link");
    let id = found["id"].as_str().expect("an id");
    let sessions = client.get(&format!("{WEBINAR}/registrations/{id}/sessions")).await;
    let link = sessions.body["value"][0]["joinWebUrl"].as_str().expect("a link");
    assert!(is_simulated_link(link) && !link.contains("prid"), "{link}");
    let one = client.get(&format!("{WEBINAR}/registrations/{id}?$expand=sessions")).await;
    assert_eq!(one.body["sessions"][0]["joinWebUrl"], link);
    let filter = format!("{WEBINAR}/registrations?$filter=email%20eq%20'ADA%40example.org'");
    assert_eq!(client.get(&filter).await.body["value"][0]["id"], id);
    assert_eq!(client.simulator.books().links()["ada"], [Some(link)]);

    let cancel = format!("{WEBINAR}/registrations/{id}/cancel");
    assert_eq!(client.post(&cancel, &json!({})).await.status, 204);
    let one = client.get(&format!("{WEBINAR}/registrations/{id}")).await;
    assert_eq!(one.body["status"], "canceled");
    assert!(one.body["cancelationDateTime"].is_string());
    assert_eq!(client.simulator.books().registrants.len(), 0);
    assert_eq!(client.register("ada").await, 204);
    assert_eq!(client.simulator.stats().duplicates, 0, "who was cancelled may come again");
    assert_ne!(client.link("ada").await.as_deref(), Some(link));
}

#[tokio::test(start_paused = true)]
async fn both_documented_shapes_are_served() {
    let wrapped = Client::new(config(|c| {
        c.event.wrapped = true;
        c.event.dates = DateForm::Object;
        c.event.prid = EventPrid::Posted;
    }));
    let event = wrapped.get(WEBINAR).await.body;
    assert_eq!(event["value"]["status"], "published");
    assert!(event["value"]["description"].is_string());
    wrapped.register("ada").await;
    let session = wrapped.sessions("ada").await.body["value"][0].clone();
    assert_eq!(session["startDateTime"]["timeZone"], "UTC");
    assert!(session["joinWebUrl"].as_str().expect("a link").contains("prid%22%3a%22ada%22"));

    let bare = Client::new(config(|c| {
        c.event.status = EventStatus::Draft;
        c.event.capacity = Some(10);
    }));
    let event = bare.get(WEBINAR).await.body;
    assert_eq!((&event["status"], &event["audience"]), (&json!("draft"), &json!("everyone")));
    assert_eq!(event["description"]["contentType"], "text");
    assert_eq!(event["settings"]["isAttendeeEmailNotificationEnabled"], true);
    let configuration = bare.get(&format!("{WEBINAR}/registrationConfiguration")).await.body;
    assert_eq!(configuration["capacity"], 10);
    assert_eq!(bare.register("ada").await, 400, "a draft takes nobody");
    assert_eq!(bare.get("/v1.0/solutions/virtualEvents/webinars/missing-1").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn who_is_signed_in_registers_only_the_own_person() {
    let client = Client::new(config(|c| c.event.caller = Caller::Delegated));
    let target = format!("{WEBINAR}/registrations");
    assert_eq!(client.post(&target, &person("ada")).await.status, 400);
    let mut own = person("ada");
    for member in ["firstName", "lastName", "email"] {
        own.as_object_mut().expect("an object").remove(member);
    }
    let got = client.post(&target, &own).await;
    assert_eq!((got.status, &got.body["status"]), (201, &json!("registered")));
    assert_eq!(got.body["externalRegistrationInformation"]["registrationId"], "ada");
}

#[tokio::test(start_paused = true)]
async fn a_full_or_guarded_webinar_lets_people_wait() {
    let mut waiting = config(|c| {
        c.event.capacity = Some(1);
        c.event.waitlist = true;
    });
    let client = Client::new(waiting.clone());
    assert_eq!((client.register("ada").await, client.register("bob").await), (204, 204));
    assert!(client.link("ada").await.is_some());
    assert_eq!(client.link("bob").await, None);
    let webinar = WEBINAR.rsplit('/').next().expect("an id");
    let decided =
        client.simulator.decide(webinar, "bob@example.org", RegistrationStatus::Registered);
    assert!(decided && client.link("bob").await.is_some());

    waiting.event.waitlist = false;
    let client = Client::new(waiting);
    assert_eq!((client.register("ada").await, client.register("bob").await), (204, 400));

    let client = Client::new(config(|c| {
        c.event.approval = true;
        c.event.approved_after = Some(Duration::from_secs(60));
    }));
    client.register("ada").await;
    assert_eq!(client.link("ada").await, None);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(client.link("ada").await.is_some());
}

#[tokio::test(start_paused = true)]
async fn required_questions_are_listed_and_held_against_the_answers() {
    let client = Client::new(config(|c| c.event.questions = vec![EventQuestion::text("Company")]));
    let questions = client.get(&format!("{WEBINAR}/registrationConfiguration/questions")).await;
    let question = questions.body["value"][0].clone();
    assert_eq!(
        (&question["displayName"], &question["isRequired"]),
        (&json!("Company"), &json!(true))
    );
    assert_eq!(client.register("ada").await, 400);
    let mut answered = person("ada");
    answered["registrationQuestionAnswers"] =
        json!([{"questionId": question["id"], "value": "Analytical Engines"}]);
    let target = format!("{WEBINAR}/registrations");
    assert_eq!(client.post(&target, &answered).await.status, 204);
    let list = client.get(&target).await.body;
    assert_eq!(list["value"][0]["registrationQuestionAnswers"][0]["displayName"], "Company");
}

#[tokio::test(start_paused = true)]
async fn a_new_registration_is_not_found_at_once() {
    let client = Client::new(config(|c| c.list_lag = Duration::from_secs(3)));
    client.register("ada").await;
    let list = format!("{WEBINAR}/registrations");
    assert_eq!(client.get(&list).await.body["value"], json!([]));
    assert_eq!(client.sessions("ada").await.status, 404);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(client.get(&list).await.body["value"].as_array().map(Vec::len), Some(1));
    assert!(client.link("ada").await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_second_post_of_an_address_does_what_was_asked() {
    for (second_post, status, registered) in [
        (SecondPost::Return, 204, 1),
        (SecondPost::Conflict, 409, 1),
        (SecondPost::Duplicate, 204, 2),
    ] {
        let client = Client::new(config(|c| c.second_post = second_post));
        assert_eq!((client.register("ada").await, client.register("ada").await), (204, status));
        assert_eq!(client.simulator.books().links()["ada"].len(), registered);
        assert_eq!(client.simulator.stats().duplicates, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_published_limits_hold_in_paused_time() {
    let per = Duration::from_secs(30);
    let client = Client::new(config(|c| {
        c.write_limit = Some(RateLimit {
            shape: registrant_import::simulator::LimitShape::SlidingWindow,
            ..RateLimit::bucket(Quota { count: 15, per })
        });
        c.latency = CallLatency { median: Duration::from_millis(80), sigma: 0.0 };
    }));
    for n in 0..15 {
        assert_eq!(client.register(&format!("n{n}")).await, 204);
    }
    // 15 calls of 80 ms; the 16th reaches the server after an eighth, and is back after a quarter.
    let got = client.post(&format!("{WEBINAR}/registrations"), &person("late")).await;
    assert_eq!((got.status, client.direct.now().as_millis()), (429, 15 * 80 + 20));
    assert_eq!(got.body["error"]["innerError"]["code"], "429");
    assert_eq!(got.answer.headers["retry-after"], "29");
    assert_eq!(client.get(WEBINAR).await.status, 200, "reading has a limit of its own");
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(client.register("late").await, 204);
    assert_eq!(client.simulator.stats().throttled, 1);
}

#[tokio::test(start_paused = true)]
async fn tokens_are_issued_expire_and_say_who_calls() {
    let mut client = Client::new(config(|c| {
        c.tokens.rule = TokenRule::Issued;
        c.tokens.lifetime = Duration::from_secs(2);
    }));
    assert_eq!(client.get(WEBINAR).await.status, 401);
    let form = "grant_type=client_credentials&client_id=app&client_secret=s&scope=x%2F.default";
    let given = client.form("/tenant/oauth2/v2.0/token", form).await.body;
    let bearer = |given: &Value| format!("Bearer {}", given["access_token"].as_str().expect("one"));
    client.bearer = bearer(&given);
    assert_eq!(client.get(WEBINAR).await.status, 200);
    let me = client.get("/beta/me/onlineMeetings/M/registration").await;
    assert_eq!(me.status, 400, "an application is nobody's me: {}", me.body);
    assert_eq!(client.get("/beta/users/u@x.org/onlineMeetings/M/registration").await.status, 200);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let expired = client.get(WEBINAR).await;
    assert_eq!(expired.body["error"]["code"], "InvalidAuthenticationToken");
    let stats = client.simulator.stats();
    assert_eq!((stats.tokens, stats.token_calls, stats.unauthorized), (1, 1, 2));

    let form = "client_id=app&scope=x%20offline_access";
    let code = client.form("/tenant/oauth2/v2.0/devicecode", form).await.body;
    let code = code["device_code"].as_str().expect("a code");
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    let form = format!("grant_type={grant}&client_id=app&device_code={code}");
    let given = loop {
        let got = client.form("/tenant/oauth2/v2.0/token", &form).await;
        if got.status == 200 {
            break got.body;
        }
        assert_eq!(got.body["error"], "authorization_pending");
        tokio::time::sleep(Duration::from_secs(5)).await;
    };
    client.bearer = bearer(&given);
    assert_eq!(client.get("/beta/me/onlineMeetings/M/registration").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_outage_lasts_as_long_as_it_says() {
    let client = Client::new(config(|c| {
        c.faults = Faults::default().outage(Outage {
            scope: CallKind::Token,
            from: Duration::ZERO,
            until: Duration::from_secs(10),
        });
    }));
    assert_eq!(client.form("/t/oauth2/v2.0/token", "").await.status, 503);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(client.form("/t/oauth2/v2.0/token", "").await.status, 400);
}

/// What a transport reports for one fault on a POST, and after how long.
async fn failure(fault: SimulatedFault) -> (Reach, TransportFailure, Duration) {
    let faults = Faults::default().script("ada@example.org", None, fault);
    let simulator = Simulator::new(Config { faults, ..Config::default() });
    let direct = Direct::new(&simulator).with_time_limit(Duration::from_secs(20));
    let body = person("ada").to_string();
    let call = HttpCall {
        method: &Method::POST,
        target: "/v1.0/solutions/virtualEvents/webinars/W/registrations",
        base: "",
        authorization: Some("Bearer t"),
        client_request_id: None,
        content_type: Some("application/json"),
        body: body.as_bytes(),
    };
    let error = direct.exchange(call).await.expect_err("no answer");
    (error.reach, error.kind, direct.now())
}

#[tokio::test(start_paused = true)]
async fn what_is_no_answer_is_told_as_a_transport_tells_it() {
    use Reach::{MaybeSent, NotSent};
    let none = Duration::ZERO;
    assert_eq!(
        failure(SimulatedFault::NoConnection).await,
        (NotSent, TransportFailure::Connect, none)
    );
    assert_eq!(
        failure(SimulatedFault::ResetBeforeCommit).await,
        (MaybeSent, TransportFailure::Broken, none)
    );
    assert_eq!(
        failure(SimulatedFault::ResetAfterCommit).await,
        (MaybeSent, TransportFailure::Broken, none)
    );
    let patience = Duration::from_secs(20);
    assert_eq!(
        failure(SimulatedFault::Stall).await,
        (MaybeSent, TransportFailure::TimedOut, patience)
    );
}

#[tokio::test(start_paused = true)]
async fn time_goes_on_for_the_next_client() {
    let client = Client::new(Config::default());
    tokio::time::sleep(Duration::from_secs(7)).await;
    client.get(WEBINAR).await;
    let next = Direct::new(&client.simulator);
    assert_eq!(next.now(), Duration::from_secs(7));
}

/// Everything that a run of many calls leaves behind, for a seed.
async fn story(seed: u64) -> (String, Vec<u16>) {
    let rates = ["500=10", "503=5", "504-after-commit=10", "429=5"];
    let faults = Faults::new(rates.map(|rate| rate.parse().expect("a rate")).to_vec());
    let client = Client::new(Config { seed, faults: faults.expect("30 %"), ..Config::default() });
    let mut statuses = Vec::new();
    for n in 0..200 {
        statuses.push(client.register(&format!("n{}", n % 150)).await);
    }
    (serde_json::to_string(&client.simulator.books()).expect("JSON"), statuses)
}

#[tokio::test(start_paused = true)]
async fn a_seed_replays_and_another_is_another_story() {
    assert_eq!(story(1).await, story(1).await);
    assert_ne!(story(1).await.1, story(2).await.1);
}
