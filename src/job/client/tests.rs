use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use super::*;
use crate::{
    graph::{host::TrustedHosts, transport::Request},
    pacing::{PaceOptions, Pacer},
};

/// Fails between two times of the runtime's clock.
struct Failing {
    start: tokio::time::Instant,
    from: Duration,
    until: Duration,
}

impl Transport for Failing {
    async fn send(&self, _: Request) -> Result<Response, TransportError> {
        let now = self.start.elapsed();
        if self.from <= now && now < self.until {
            let detail = "reset".to_owned();
            let (reach, kind) = (Reach::MaybeSent, TransportFailure::Broken);
            return Err(TransportError { reach, kind, detail });
        }
        Ok(Response { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::new() })
    }
}

/// A client of a server that fails from then until then, in seconds.
fn client(from: u64, until: u64) -> GraphClient<Failing> {
    let (from, until) = (Duration::from_secs(from), Duration::from_secs(until));
    let pacer = || Pacer::new(PaceOptions::default());
    GraphClient::new(
        Failing { start: tokio::time::Instant::now(), from, until },
        GraphHost::parse("http://127.0.0.1:1", &TrustedHosts::default()).expect("a host"),
        Tokens::none(),
        Clock::starting(1_767_225_600_000),
        Buckets::new(pacer(), pacer()),
        fastrand::Rng::with_seed(1),
    )
}

fn draft() -> GraphRequest {
    GraphRequest { method: Method::GET, target: "/beta/me".to_owned(), body: None }
}

/// A server that asks for a long wait is silent for as long, and that is no outage.
#[tokio::test(start_paused = true)]
async fn a_failure_after_a_long_silence_is_one_failure() {
    let client = client(700, 705);
    client.send_until_answered(Call::Read, &draft()).await.expect("an answer");
    tokio::time::sleep(Duration::from_secs(701)).await;
    client.send_until_answered(Call::Read, &draft()).await.expect("asked again until it answers");
    assert_eq!(client.stop.cause(), None);
    assert!(client.traffic().failed > 0);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_sat_out_for_ten_minutes_and_no_longer() {
    let short = client(1, 500);
    short.send_until_answered(Call::Read, &draft()).await.expect("an answer");
    tokio::time::sleep(Duration::from_secs(2)).await;
    short.send_until_answered(Call::Read, &draft()).await.expect("an answer in the end");
    assert_eq!(short.stop.cause(), None);

    let long = client(1, u64::MAX);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(matches!(long.send_until_answered(Call::Read, &draft()).await, Err(Refusal::Stopped)));
    let Some(Stop::Unreachable { after, .. }) = long.stop.cause() else { panic!("no outage") };
    assert!(after >= OUTAGE, "{after:?}");
}

/// What failed rests alone: a read goes again with backoff, and what is asked meanwhile is answered.
#[tokio::test(start_paused = true)]
async fn a_failed_read_rests_alone_and_backs_off() {
    let client = client(1, 20);
    client.send_until_answered(Call::Read, &draft()).await.expect("an answer");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let told = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        client.view().resting
    };
    let draft = draft();
    let (answered, resting) = tokio::join!(client.send_until_answered(Call::Read, &draft), told);
    answered.expect("asked again until it answers");
    let (requests, until) = resting.expect("it rests after its first failure");
    assert_eq!(requests, 1);
    assert!(until > Duration::from_secs(2) && until < Duration::from_secs(3), "{until:?}");
    assert_eq!(client.view().resting, None);
    assert!(client.traffic().failed < 15, "with backoff: {:?}", client.traffic());
}
