//! The one client of a run: every request to Graph goes through here, waits for its turn behind the
//! gate, carries a token that is good at that moment, and is sent once.
//!
//! - [`GraphClient::send`] is one attempt. What its answer means for a row is the row's business.
//! - [`GraphClient::send_until_answered`] repeats what may be repeated: a GET, a DELETE, and a POST
//!   whose caller looks afterwards whether it was processed. Here alone is decided when to ask again.
//! - [`GraphClient::fetch`] does that for a GET, until its answer can be read.

use std::{
    cell::{Cell, OnceCell, RefCell},
    time::Duration,
};

use http::{HeaderValue, Method};
use tokio::{sync::Notify, time::Instant};
use uuid::Uuid;

use super::{
    clock::{Clock, millis},
    shared_pace::SharedPace,
    stop::{Stop, StopFlag, answer_in_words, is_policy, systemic},
};
use crate::{
    auth::{self, Speaker, Tokens},
    graph::{
        host::GraphHost,
        target::Api,
        transport::{
            GraphRequest, Reach, Request, Response, Transport, TransportError, TransportFailure,
        },
        verdict::{Call, Heard, Systemic, Verdict, verdict},
        wire::GraphError,
    },
    pacing::{Answer, Backoff, Bucket, Buckets, RetryAfter, Step, Ticket, View},
};

/// After this long without anything but failures the run ends with 5. Ten minutes outlast a
/// restart of a gateway or of a router, and a scheduler's next run is never far.
pub const OUTAGE: Duration = Duration::from_secs(600);

/// For so long a request that may be repeated is answered with errors (5xx) before it counts as
/// failed: as long as a service takes to restart.
const FAILING: Duration = Duration::from_secs(180);

/// An answer of success that cannot be read is asked for this often: gateways cut answers short.
const UNREADABLE_ANSWERS: u32 = 5;

/// Everything that a request needs beside itself.
pub struct GraphClient<T> {
    transport: T,
    host: GraphHost,
    tokens: Tokens,
    /// The run's clock.
    pub clock: Clock,
    /// Raised when nothing new may start.
    pub stop: StopFlag,
    buckets: RefCell<Buckets>,
    /// The turns of all runs of the application, where its limit is shared.
    shared: Option<Sharing>,
    /// Wakes one who waits for an answer of somebody else's in the same bucket.
    turns: [Notify; 2],
    random: RefCell<fastrand::Rng>,
    counts: Counts,
    /// Writes in preparation: taken in hand and not sent yet.
    unsent: Cell<usize>,
    /// By bucket: what waits for nothing but its turn.
    waiting: [Cell<usize>; 2],
    /// When the server last gave an answer of its own, since the start.
    heard_at: Cell<Duration>,
    /// Since when nothing but failures has come back: from the sending of the first that failed.
    failing_since: Cell<Option<Duration>>,
    /// Whether there was any answer in this run, whatever its status.
    answered: Cell<bool>,
    /// What went wrong last, in a few words.
    last_failure: RefCell<String>,
    /// When requests that failed go again, each by itself.
    resting: RefCell<Vec<Duration>>,
}

/// How the application's limit is shared with other runs.
struct Sharing {
    begin: Box<dyn Fn(&str) -> SharedPace>,
    pace: OnceCell<Option<SharedPace>>,
}

/// What was sent, counted.
#[derive(Default)]
struct Counts {
    requests: Cell<u64>,
    posts: Cell<u64>,
    retries: Cell<u64>,
    throttled: Cell<u64>,
    failed: Cell<u64>,
}

/// The same, to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests of any kind.
    pub requests: u64,
    /// POSTs of registrants.
    pub posts: u64,
    /// POSTs of a registrant that was posted before in this run.
    pub retries: u64,
    /// Answers that asked to wait.
    pub throttled: u64,
    /// Requests without an answer of the server's own: no connection, 5xx.
    pub failed: u64,
}

impl<T: Transport> GraphClient<T> {
    /// A client with these parts.
    pub fn new(
        transport: T,
        host: GraphHost,
        tokens: Tokens,
        clock: Clock,
        buckets: Buckets,
        random: fastrand::Rng,
    ) -> Self {
        Self {
            transport,
            host,
            tokens,
            clock,
            stop: StopFlag::default(),
            buckets: RefCell::new(buckets),
            shared: None,
            turns: Default::default(),
            random: RefCell::new(random),
            counts: Counts::default(),
            unsent: Cell::new(0),
            waiting: Default::default(),
            heard_at: Cell::new(clock.now()),
            failing_since: Cell::new(None),
            answered: Cell::new(false),
            last_failure: RefCell::default(),
            resting: RefCell::default(),
        }
    }

    /// Lets each request take its place among those of all runs of the application, which `begin`
    /// opens the file of once the application is known; where no token tells it, each run keeps the
    /// limit by itself.
    pub fn sharing(mut self, begin: impl Fn(&str) -> SharedPace + 'static) -> Self {
        self.shared = Some(Sharing { begin: Box::new(begin), pace: OnceCell::new() });
        self
    }

    /// What was sent so far.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.counts.requests.get(),
            posts: self.counts.posts.get(),
            retries: self.counts.retries.get(),
            throttled: self.counts.throttled.get(),
            failed: self.counts.failed.get(),
        }
    }

    /// What went wrong last, in a few words; empty where nothing did.
    pub fn last_failure(&self) -> String {
        self.last_failure.borrow().clone()
    }

    /// The host that it speaks to.
    pub fn host(&self) -> &GraphHost {
        &self.host
    }

    /// How the run signs in; none where a simulator wants no token.
    pub fn sign_in(&self) -> Option<auth::Method> {
        self.tokens.describe().method
    }

    /// Counts a POST of a registrant: whether it was `posted` before in this run.
    pub fn count_post(&self, posted: bool) {
        self.counts.posts.set(self.counts.posts.get() + 1);
        self.counts.retries.set(self.counts.retries.get() + u64::from(posted));
    }

    /// How the pace stands.
    pub fn view(&self) -> View {
        let now = self.clock.now();
        let resting = self.resting.borrow();
        let resting = resting.iter().filter(|until| **until > now);
        let resting = resting.clone().min().map(|until| (resting.count(), *until));
        View { resting, ..self.buckets.borrow().view(now) }
    }

    /// Both pacers, to set their ceilings and to read what they learnt.
    pub fn pacing<R>(&self, look: impl FnOnce(&mut Buckets) -> R) -> R {
        look(&mut self.buckets.borrow_mut())
    }

    /// How many writes are in preparation now.
    pub fn unsent(&self) -> usize {
        self.unsent.get()
    }

    /// Whether a write could start now, and none is ready for it.
    pub fn is_starved(&self) -> bool {
        self.waiting() == 0
            && self.buckets.borrow_mut().poll(Bucket::Writes, self.clock.now()) == Step::Send
    }

    /// How many writes are ready and wait for their turn.
    pub fn waiting(&self) -> usize {
        self.waiting[Bucket::Writes as usize].get()
    }

    /// Announces a write that will be sent as soon as its intent is on disk and its turn has come.
    pub fn prepare(&self) -> Prepared<'_> {
        Prepared::one_more(&self.unsent)
    }

    /// Replaces the token ahead of its end while it is awaited; it never ends.
    pub async fn keep_token(&self) {
        self.tokens.keep().await;
    }

    /// For whom the token speaks by its own claims; `None` where they do not tell, and where no
    /// token can be had: the first request will.
    pub async fn speaker(&self) -> Option<Speaker> {
        self.tokens.claims().await.ok().flatten().map(|claims| claims.speaker)
    }

    /// A fresh `client-request-id`.
    pub fn fresh_id(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.random.borrow_mut().u128(..).to_be_bytes())
            .into_uuid()
    }

    /// Waits for its turn and sends `draft` once; `prepared` where it was announced.
    ///
    /// # Errors
    /// `Err(())` when the run was stopped before the turn came: nothing was sent. The cause is on
    /// the flag.
    pub async fn send(
        &self,
        prepared: Option<Prepared<'_>>,
        call: Call,
        draft: &GraphRequest,
        id: Uuid,
    ) -> Result<Exchange, ()> {
        let bucket = if call == Call::Read { Bucket::Reads } else { Bucket::Writes };
        let asked = self.clock.now();
        // Asked for now, so that a wrong sign-in ends the run before there is a turn.
        self.bearer().await?;
        let (ticket, bearer) = self.take_turn(bucket).await?;
        drop(prepared);
        let sent = self.clock.now();
        self.counts.requests.set(self.counts.requests.get() + 1);
        let result = self.transport.send(request(draft, Some(bearer.clone()), id)).await;
        let answered = self.clock.now();
        let heard = heard(&result);
        let mut verdict = verdict(call, heard);
        if verdict == Verdict::SignIn && result.as_ref().is_ok_and(is_policy) {
            verdict = Verdict::Systemic(Systemic::Forbidden);
        }
        self.account(bucket, ticket, (sent, answered), &result, verdict);
        if verdict == Verdict::SignIn {
            self.renew(&bearer).await;
        }
        let waited = sent.saturating_sub(asked);
        let exchange = Exchange { client_request_id: id, sent, answered, waited, result, verdict };
        exchange.log(&draft.method);
        Ok(exchange)
    }

    /// Sends a request that may be repeated until it is answered, the run is stopped, or the server
    /// says no; between tries it waits as Graph asks, else with exponential backoff. A POST may be
    /// sent so where the caller looks afterwards whether it was processed.
    ///
    /// # Errors
    /// [`Refusal`]: [`Refusal::Unknown`] only for a POST, and [`Refusal::Failing`] after minutes of
    /// server errors.
    pub async fn send_until_answered(
        &self,
        call: Call,
        draft: &GraphRequest,
    ) -> Result<Exchange, Refusal> {
        let mut signed_in_again = false;
        let mut backoff = self.backoff();
        let mut failing_since = None;
        loop {
            let sent = self.send(None, call, draft, self.fresh_id()).await;
            let Ok(exchange) = sent else { return Err(Refusal::Stopped) };
            match exchange.verdict {
                Verdict::Done => return Ok(exchange),
                // A server that answers with an error for minutes means it; a network that carries
                // nothing is given until the outage's end.
                Verdict::Again => {
                    if exchange.status().is_some() {
                        let since = *failing_since.get_or_insert(exchange.sent);
                        if exchange.answered.saturating_sub(since) >= FAILING {
                            return Err(Refusal::Failing(exchange.words()));
                        }
                    }
                    self.rest(exchange.rest().unwrap_or_else(|| backoff.next_wait())).await;
                }
                Verdict::Throttled => {}
                Verdict::SignIn if !signed_in_again => signed_in_again = true,
                Verdict::Unknown => return Err(Refusal::Unknown),
                _ => {
                    let (status, error) = (exchange.status().unwrap_or(0), exchange.error());
                    return Err(Refusal::Answered { status, error, verdict: exchange.verdict });
                }
            }
        }
    }

    /// GETs what `read` makes something of; an answer that it cannot read is asked for again.
    ///
    /// # Errors
    /// [`Refusal`]; [`Refusal::Unreadable`] where each of several answers was none.
    pub async fn fetch<R>(
        &self,
        draft: &GraphRequest,
        read: impl Fn(&Response) -> Option<R>,
    ) -> Result<R, Refusal> {
        let mut backoff = self.backoff();
        for attempt in 1..=UNREADABLE_ANSWERS {
            let exchange = self.send_until_answered(Call::Read, draft).await?;
            if let Some(found) = exchange.result.ok().as_ref().and_then(&read) {
                return Ok(found);
            }
            if attempt < UNREADABLE_ANSWERS {
                self.rest(backoff.next_wait()).await;
            }
        }
        Err(Refusal::Unreadable)
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(self.random.borrow_mut().u64(..))
    }

    /// Lets one request rest while others go on, or until the run is stopped.
    pub async fn rest(&self, length: Duration) {
        let now = self.clock.now();
        self.resting.borrow_mut().retain(|until| *until > now);
        self.resting.borrow_mut().push(now + length);
        tokio::select! {
            biased;
            () = self.stop.wait() => {}
            () = tokio::time::sleep(length) => {}
        }
    }

    async fn bearer(&self) -> Result<HeaderValue, ()> {
        if self.stop.is_raised() {
            return Err(());
        }
        tokio::select! {
            biased;
            () = self.stop.wait() => Err(()),
            token = self.tokens.bearer() => token.map_err(|error| self.stop.raise(Stop::SignIn {
                passing: error.is_passing(),
                detail: error.to_string(),
            })),
        }
    }

    /// After a 401: a fresh token for everybody who held this one, or the end of the run.
    async fn renew(&self, stale: &HeaderValue) {
        if let Err(error) = self.tokens.refreshed(stale).await {
            self.stop
                .raise(Stop::SignIn { passing: error.is_passing(), detail: error.to_string() });
        }
    }

    /// Waits for a turn, and gives the token that is good at this very moment with it: a row may
    /// have waited for longer than a token lives.
    async fn take_turn(&self, bucket: Bucket) -> Result<(Ticket, HeaderValue), ()> {
        let _waiting = Prepared::one_more(&self.waiting[bucket as usize]);
        let turn = &self.turns[bucket as usize];
        loop {
            if self.stop.is_raised() {
                return Err(());
            }
            let now = self.clock.now();
            let step = self.buckets.borrow_mut().poll(bucket, now);
            let opens = match step {
                Step::Send => {
                    let Some(bearer) = self.tokens.current() else {
                        // No turn is taken meanwhile: it would be over before the request leaves.
                        turn.notify_one();
                        self.bearer().await?;
                        continue;
                    };
                    let wait = self.shared_pace().map_or(Duration::ZERO, |pace| pace.wait(bucket));
                    if wait.is_zero() {
                        // Whoever waits next may have a turn as well.
                        turn.notify_one();
                        return Ok((self.buckets.borrow_mut().sent(bucket, now), bearer));
                    }
                    Some(self.clock.instant(now + wait))
                }
                Step::Until(time) => Some(self.clock.instant(time)),
                Step::Answer => None,
            };
            tokio::select! {
                biased;
                () = self.stop.wait() => {}
                () = turn.notified() => {}
                () = sleep_until(opens) => {}
            }
        }
    }

    /// The application's turns, from its first token on.
    fn shared_pace(&self) -> Option<&SharedPace> {
        let sharing = self.shared.as_ref()?;
        let pace = sharing.pace.get_or_init(|| {
            self.tokens.application().map(|application| (sharing.begin)(&application))
        });
        let pace = pace.as_ref()?;
        if let Some(trouble) = pace.trouble() {
            tracing::warn!("{trouble}");
        }
        Some(pace)
    }

    /// Tells pacing and the counters what came back; the times are those of the request and of its
    /// answer.
    fn account(
        &self,
        bucket: Bucket,
        ticket: Ticket,
        (sent, now): (Duration, Duration),
        result: &Result<Response, TransportError>,
        verdict: Verdict,
    ) {
        let answer = match verdict {
            Verdict::Done => Answer::Accepted,
            Verdict::Throttled => Answer::Throttled { retry_after: retry_after(result) },
            Verdict::Again | Verdict::Unknown => Answer::Failed,
            _ => Answer::Other,
        };
        let one_more = |count: &Cell<u64>| count.set(count.get() + 1);
        match answer {
            Answer::Throttled { .. } => one_more(&self.counts.throttled),
            Answer::Failed => one_more(&self.counts.failed),
            Answer::Accepted | Answer::Other => {}
        }
        self.buckets.borrow_mut().answered(bucket, ticket, now, answer);
        if let Answer::Throttled { retry_after } = answer
            && let (Some(pace), Some(wait)) = (self.shared_pace(), retry_after.duration())
        {
            pace.close(bucket, wait);
        }
        self.note_failure(result);
        if answer == Answer::Failed {
            // A time without requests is no outage: the server may have asked for it.
            let since = self.failing_since.get().unwrap_or(sent.max(self.heard_at.get()));
            self.failing_since.set(Some(since));
            let after = now.saturating_sub(since);
            if after >= OUTAGE {
                let detail = match result {
                    Ok(response) => format!("HTTP {}", response.status.as_u16()),
                    Err(error) => error.to_string(),
                };
                self.stop.raise(Stop::Unreachable { after, detail });
            }
        } else {
            self.heard_at.set(now);
            self.failing_since.set(None);
        }
        self.turns[bucket as usize].notify_one();
    }

    /// Notes what went wrong. A certificate that was never trusted in this run does not become
    /// trusted by itself, so it stops the run; later it may be one gateway of several, and passes.
    fn note_failure(&self, result: &Result<Response, TransportError>) {
        match result {
            Ok(response) => {
                self.answered.set(true);
                let status = response.status;
                if status.is_server_error() || status.is_client_error() {
                    *self.last_failure.borrow_mut() = format!("HTTP {}", status.as_u16());
                }
            }
            Err(error) => {
                *self.last_failure.borrow_mut() = error.kind.to_string();
                if let TransportFailure::Untrusted(distrust) = error.kind
                    && !self.answered.get()
                {
                    self.stop.raise(Stop::Untrusted(distrust));
                }
            }
        }
    }
}

/// Why a request brought no answer that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The run was stopped; the cause is on the flag.
    Stopped,
    /// A POST whose result was never learnt.
    Unknown,
    /// Nothing but server errors; the last one in words.
    Failing(String),
    /// Answers of success that nothing could be read from.
    Unreadable,
    /// Graph said no.
    Answered {
        /// The HTTP status.
        status: u16,
        /// What the body says.
        error: GraphError,
        /// What the answer was taken for.
        verdict: Verdict,
    },
}

impl Refusal {
    /// The cause that ends the run, for a refusal that concerns every row; `what` was asked for.
    pub fn into_stop(self, api: Api, what: &str) -> Option<Stop> {
        match self {
            Self::Stopped => None,
            Self::Unknown => Some(Stop::Failing("the answer was lost".to_owned())),
            Self::Failing(words) => Some(Stop::Failing(words)),
            Self::Unreadable => Some(Stop::Unusable(format!(
                "the answer cannot be read as {what}; check --graph-url"
            ))),
            Self::Answered { status, error, verdict } => {
                Some(systemic(status, error, verdict, api))
            }
        }
    }
}

/// One attempt that was sent, and what came of it.
pub struct Exchange {
    /// Sent as `client-request-id`.
    pub client_request_id: Uuid,
    /// When it was sent, since the start.
    pub sent: Duration,
    /// When its answer was complete, or given up.
    pub answered: Duration,
    /// How long it had waited for its turn.
    pub waited: Duration,
    /// The answer.
    pub result: Result<Response, TransportError>,
    /// What follows.
    pub verdict: Verdict,
}

impl Exchange {
    /// The HTTP status, where there was an answer.
    pub fn status(&self) -> Option<u16> {
        self.result.as_ref().ok().map(|response| response.status.as_u16())
    }

    /// What an error answer says; empty for a lost one.
    pub fn error(&self) -> GraphError {
        self.result.as_ref().map(|r| GraphError::read(&r.body)).unwrap_or_default()
    }

    /// How long this request alone is to rest before it is sent again: what a 5xx says. A 429 (509)
    /// closes the gate for all instead.
    pub fn rest(&self) -> Option<Duration> {
        let response = self.result.as_ref().ok()?;
        let failed = response.status.is_server_error() && response.status.as_u16() != 509;
        failed.then(|| RetryAfter::from_headers(&response.headers).0.duration())?
    }

    /// The failure in words without personal data: status and Graph's code, or the transport's.
    pub fn words(&self) -> String {
        match &self.result {
            Ok(response) => answer_in_words(response.status.as_u16(), &self.error().code),
            Err(error) => error.to_string(),
        }
    }

    /// One line a request, so that a support case can be told from the log.
    fn log(&self, method: &Method) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        tracing::debug!(
            %method,
            client_request_id = %self.client_request_id,
            request_id = self.result.as_ref().ok().and_then(Response::request_id),
            status = self.status(),
            verdict = self.verdict.word(),
            waited_ms = millis(self.waited),
            took_ms = millis(self.answered.saturating_sub(self.sent)),
            outcome = self.words(),
            "attempt"
        );
    }
}

/// What is sent of a draft.
fn request(draft: &GraphRequest, authorization: Option<HeaderValue>, id: Uuid) -> Request {
    debug_assert!(draft.method != Method::HEAD, "an answer needs a body to be read");
    Request {
        method: draft.method.clone(),
        target: draft.target.clone(),
        authorization,
        body: draft.body.clone(),
        client_request_id: id,
    }
}

/// An answer, or what became of it, as pacing judges it.
fn heard(result: &Result<Response, TransportError>) -> Heard {
    match result {
        Ok(response) => Heard::Answer {
            status: response.status.as_u16(),
            retry_after: response.headers.contains_key(http::header::RETRY_AFTER),
        },
        Err(error) if error.reach == Reach::NotSent => Heard::NotSent,
        Err(_) => Heard::Lost,
    }
}

/// The wait that an answer asks for.
fn retry_after(result: &Result<Response, TransportError>) -> RetryAfter {
    let Ok(response) = result else { return RetryAfter::Absent };
    let (retry_after, oddity) = RetryAfter::from_headers(&response.headers);
    if let Some(oddity) = oddity {
        tracing::warn!("{oddity}");
    }
    retry_after
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// One in preparation, counted as long as this lives.
#[must_use = "dropped at once, it counts for nothing"]
pub struct Prepared<'a>(&'a Cell<usize>);

impl<'a> Prepared<'a> {
    fn one_more(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Prepared<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests;
