//! The line to Graph: every request of a run goes through here, waits for its turn behind the one
//! gate, and is sent once.
//!
//! [`Line::send`] is one attempt; what its answer means for a row is the row's business.
//! [`Line::ask`] repeats a request that may be repeated, for the few that are not rows.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use http::HeaderValue;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    clock::Clock,
    contact::Contact,
    exchange::{Exchange, heard, request, retry_after},
    refusal::{Refusal, is_policy},
    stop::{Stop, StopFlag},
};
use crate::{
    auth::{self, Speaker, Tokens},
    graph::{
        draft::Draft,
        transport::{Response, Transport, TransportError},
    },
    pacing::{
        Answer, Backoff, Bucket, Buckets, Call, Step, Systemic, Ticket, Verdict, View, verdict,
    },
};

/// After this long without anything but failures the run ends with 5. Ten minutes outlast a
/// restart of a gateway or of a router, and a scheduler's next run is never far.
pub const OUTAGE: Duration = Duration::from_secs(600);

/// So many error answers in a row (5xx) to one request that may be repeated are an answer. With the
/// backoff between them they take one to three minutes.
const ERRORS: u32 = 12;

/// Everything that a request needs beside itself.
pub struct Line<T> {
    transport: T,
    tokens: Tokens,
    /// The run's clock.
    pub clock: Clock,
    /// Raised when nothing new may start.
    pub stop: StopFlag,
    buckets: RefCell<Buckets>,
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
    /// Whether anything was ever heard, and what went wrong last.
    contact: Contact,
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

impl<T: Transport> Line<T> {
    /// A line with these parts.
    pub fn new(
        transport: T,
        tokens: Tokens,
        clock: Clock,
        buckets: Buckets,
        random: fastrand::Rng,
    ) -> Self {
        Self {
            transport,
            tokens,
            clock,
            stop: StopFlag::default(),
            buckets: RefCell::new(buckets),
            turns: Default::default(),
            random: RefCell::new(random),
            counts: Counts::default(),
            unsent: Cell::new(0),
            waiting: Default::default(),
            heard_at: Cell::new(clock.now()),
            failing_since: Cell::new(None),
            contact: Contact::default(),
        }
    }

    /// What was sent so far.
    #[must_use]
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
    #[must_use]
    pub fn trouble(&self) -> String {
        self.contact.trouble()
    }

    /// How the run signs in; none where a simulator wants no token.
    #[must_use]
    pub fn sign_in(&self) -> Option<auth::Method> {
        self.tokens.describe().method
    }

    /// Counts a POST of a registrant: whether it was `posted` before in this run.
    pub fn count_post(&self, posted: bool) {
        self.counts.posts.set(self.counts.posts.get() + 1);
        self.counts.retries.set(self.counts.retries.get() + u64::from(posted));
    }

    /// How the pace stands.
    #[must_use]
    pub fn view(&self) -> View {
        self.buckets.borrow().view(self.clock.now())
    }

    /// Both pacers, to set their ceilings and to read what they learnt.
    pub fn pacing<R>(&self, look: impl FnOnce(&mut Buckets) -> R) -> R {
        look(&mut self.buckets.borrow_mut())
    }

    /// How many writes are in preparation now.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.unsent.get()
    }

    /// Whether a write could start now, and none is ready for it.
    #[must_use]
    pub fn is_starved(&self) -> bool {
        self.waiting() == 0
            && self.buckets.borrow_mut().poll(Bucket::Writes, self.clock.now()) == Step::Send
    }

    /// How many writes are ready and wait for their turn.
    #[must_use]
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
    #[must_use]
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
        draft: &Draft,
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
    /// says no. A POST may be asked so where the caller looks first whether it was processed: its
    /// `Unknown` is given back as [`Refusal::Unknown`].
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn ask(&self, call: Call, draft: &Draft) -> Result<Response, Refusal> {
        self.inquire(call, draft).await?.result.map_err(|_| Refusal::Unknown)
    }

    /// The same, for the attempt that brought the answer.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn inquire(&self, call: Call, draft: &Draft) -> Result<Exchange, Refusal> {
        let mut signed_in_again = false;
        let mut errors = 0;
        let mut backoff = Backoff::new(self.random.borrow_mut().u64(..));
        loop {
            let sent = self.send(None, call, draft, self.fresh_id()).await;
            let Ok(exchange) = sent else { return Err(Refusal::Stopped) };
            match exchange.verdict {
                Verdict::Done => return Ok(exchange),
                // A server that answers this request with an error again and again means it; a
                // network that carries nothing is given until the outage's end.
                Verdict::Again => {
                    errors += u32::from(exchange.status().is_some());
                    if errors >= ERRORS {
                        return Err(Refusal::Failing(exchange.words()));
                    }
                    self.rest(exchange.rest().unwrap_or_else(|| backoff.next_wait())).await;
                }
                Verdict::Throttled => {}
                Verdict::SignIn if !signed_in_again => signed_in_again = true,
                Verdict::Unknown => return Err(Refusal::Unknown),
                _ => {
                    let (status, error) = (exchange.status().unwrap_or(0), exchange.error());
                    return Err(Refusal::Word { status, error, verdict: exchange.verdict });
                }
            }
        }
    }

    /// Lets one request rest while others go on, or until the run is stopped.
    pub async fn rest(&self, wait: Duration) {
        tokio::select! {
            biased;
            () = self.stop.wait() => {}
            () = tokio::time::sleep(wait) => {}
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
                    // Whoever waits next may have a turn as well.
                    turn.notify_one();
                    let Some(bearer) = self.tokens.current() else {
                        // No turn is taken meanwhile: it would be over before the request leaves.
                        self.bearer().await?;
                        continue;
                    };
                    return Ok((self.buckets.borrow_mut().sent(bucket, now), bearer));
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
        if let Some(stop) = self.contact.note(result) {
            self.stop.raise(stop);
        }
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
}

async fn sleep_until(time: Option<tokio::time::Instant>) {
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
