//! The schedule of refreshes, under paused time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A source that does as it is told: takes its time, then gives the next answer, and at the end
/// fresh tokens of an hour.
#[derive(Clone, Debug, Default)]
pub(super) struct Script(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    takes: Duration,
    answers: Mutex<VecDeque<Result<(&'static str, u64), AuthError>>>,
    calls: AtomicUsize,
}

impl Script {
    fn new(
        takes: u64,
        answers: impl IntoIterator<Item = Result<(&'static str, u64), AuthError>>,
    ) -> Self {
        Self(Arc::new(Inner {
            takes: Duration::from_millis(takes),
            answers: Mutex::new(answers.into_iter().collect()),
            calls: AtomicUsize::new(0),
        }))
    }

    fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    fn tokens(&self) -> Arc<Tokens> {
        Arc::new(Tokens::from_source(Some(Method::Token), TokenSource::Script(self.clone())))
    }

    pub(super) async fn fetch(&self, _: Effort) -> Result<GrantedToken, AuthError> {
        let call = self.0.calls.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.0.takes).await;
        let answer = self.0.answers.lock().expect("no panic").pop_front();
        let (token, seconds) = match answer {
            Some(answer) => answer.map(|(token, seconds)| (token.to_owned(), seconds))?,
            None => (format!("token-{call}"), 3600),
        };
        let lifetime = Some(Duration::from_secs(seconds));
        Ok(GrantedToken { token: token.into(), lifetime, refresh_in: None })
    }
}

fn down() -> AuthError {
    AuthError::Unavailable { host: "login.example".to_owned(), status: 503 }
}

fn text(header: &HeaderValue) -> &str {
    header.to_str().expect("ASCII")
}

async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn one_fetch_serves_all_who_wait() {
    let script = Script::new(3000, []);
    let tokens = script.tokens();
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let tokens = Arc::clone(&tokens);
            tokio::spawn(async move { tokens.bearer().await })
        })
        .collect();
    for caller in callers {
        let header = caller.await.expect("no panic").expect("a token");
        assert_eq!(text(&header), "Bearer token-0");
        assert!(header.is_sensitive());
    }
    assert_eq!(script.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_failure_serves_all_who_wait_and_nobody_later() {
    let script = Script::new(3000, [Err(down())]);
    let tokens = script.tokens();
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let tokens = Arc::clone(&tokens);
            tokio::spawn(async move { tokens.bearer().await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.expect("no panic").expect_err("down"), down());
    }
    assert_eq!(script.calls(), 1);
    assert!(tokens.bearer().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_token_is_replaced_ahead_of_its_end() {
    let script = Script::new(0, []);
    let tokens = script.tokens();
    assert_eq!(text(&tokens.bearer().await.expect("a token")), "Bearer token-0");
    pass(3600 - 301).await;
    assert_eq!(text(&tokens.bearer().await.expect("a token")), "Bearer token-0");
    pass(2).await;
    assert_eq!(text(&tokens.bearer().await.expect("a token")), "Bearer token-1");
}

#[tokio::test(start_paused = true)]
async fn while_one_replaces_it_the_others_use_the_old_token() {
    let script = Script::new(20_000, []);
    let tokens = script.tokens();
    tokens.bearer().await.expect("a token");
    pass(3400).await;
    let one = tokio::spawn({
        let tokens = Arc::clone(&tokens);
        async move { tokens.bearer().await }
    });
    tokio::task::yield_now().await;
    let asked = Instant::now();
    assert_eq!(text(&tokens.bearer().await.expect("a token")), "Bearer token-0");
    assert_eq!(asked.elapsed(), Duration::ZERO);
    assert_eq!(text(&one.await.expect("no panic").expect("a token")), "Bearer token-1");
    assert_eq!(script.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_down_ahead_of_time_is_asked_now_and_then() {
    let script = Script::new(0, [Ok(("first", 3600)), Err(down()), Err(down())]);
    let tokens = script.tokens();
    tokens.bearer().await.expect("a token");
    pass(3310).await;
    for _ in 0..50 {
        assert_eq!(text(&tokens.bearer().await.expect("a token")), "Bearer first");
        pass(1).await;
    }
    assert_eq!(script.calls(), 3, "at 0, 30 s apart, and not for each request");
    pass(20).await;
    assert_eq!(text(&tokens.bearer().await.expect("a token")), "Bearer token-3");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_ended_is_handed_out_to_nobody() {
    let script = Script::new(0, [Ok(("first", 3600)), Err(down()), Err(down())]);
    let tokens = script.tokens();
    tokens.bearer().await.expect("a token");
    pass(3571).await;
    assert_eq!(tokens.bearer().await.expect_err("down"), down());
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_dead_on_arrival_or_empty_fail_the_sign_in_after_a_few_tries() {
    for useless in [("dead", 0), ("", 3600), (" ", 3600)] {
        let script = Script::new(0, (0..10).map(|_| Ok(useless)));
        let (tokens, begun) = (script.tokens(), Instant::now());
        let callers = (0..64).map(|_| tokens.bearer());
        for failed in futures_util::future::join_all(callers).await {
            let error = failed.expect_err("nothing to use");
            assert!(matches!(error, AuthError::Useless { .. }) && !error.is_passing());
        }
        assert_eq!((script.calls(), begun.elapsed()), (4, Duration::from_millis(3_500)));
    }
    let script = Script::new(0, [Ok(("dead", 0)), Ok(("", 3600))]);
    assert_eq!(text(&script.tokens().bearer().await.expect("the third")), "Bearer token-2");
}

/// Ahead of time fails, and meanwhile the token ends: whoever waits then tries by himself.
#[tokio::test(start_paused = true)]
async fn a_failure_ahead_of_time_is_not_shared() {
    let script = Script::new(20_000, [Ok(("first", 3600)), Err(down())]);
    let tokens = script.tokens();
    tokens.bearer().await.expect("a token");
    pass(3565).await;
    let ahead = tokio::spawn({
        let tokens = Arc::clone(&tokens);
        async move { tokens.bearer().await }
    });
    tokio::task::yield_now().await;
    pass(10).await;
    assert_eq!(text(&tokens.bearer().await.expect("a token")), "Bearer token-2");
    assert_eq!(text(&ahead.await.expect("no panic").expect("a token")), "Bearer token-2");
}

#[tokio::test(start_paused = true)]
async fn a_run_of_six_hours_outlives_its_tokens() {
    let script = Script::new(200, []);
    let tokens = script.tokens();
    for _ in 0..6 * 360 {
        tokens.bearer().await.expect("a token");
        pass(10).await;
    }
    assert_eq!(script.calls(), 7, "one each 55 minutes");
}

#[tokio::test(start_paused = true)]
async fn tokens_of_two_seconds_are_enough() {
    let answers = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"];
    let script = Script::new(50, answers.map(|token| Ok((token, 2))));
    let tokens = script.tokens();
    for _ in 0..200 {
        tokens.bearer().await.expect("a token");
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    assert!((10..=14).contains(&script.calls()), "{}", script.calls());
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_once_for_all_who_held_it() {
    let script = Script::new(1000, []);
    let tokens = script.tokens();
    let stale = tokens.bearer().await.expect("a token");
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let (tokens, stale) = (Arc::clone(&tokens), stale.clone());
            tokio::spawn(async move { tokens.refreshed(&stale).await })
        })
        .collect();
    for caller in callers {
        let header = caller.await.expect("no panic").expect("a token");
        assert_eq!(text(&header), "Bearer token-1");
    }
    assert_eq!(text(&tokens.refreshed(&stale).await.expect("late")), "Bearer token-1");
    assert_eq!(script.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_same_token_again_is_an_error_for_all() {
    let script = Script::new(1000, [Ok(("same", 3600)), Ok(("same", 3600))]);
    let tokens = script.tokens();
    let stale = tokens.bearer().await.expect("a token");
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let (tokens, stale) = (Arc::clone(&tokens), stale.clone());
            tokio::spawn(async move { tokens.refreshed(&stale).await })
        })
        .collect();
    for caller in callers {
        let error = caller.await.expect("no panic").expect_err("the same");
        assert!(matches!(error, AuthError::Same { .. }) && !error.is_passing());
    }
    assert_eq!(script.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_handed_out_to_nobody_again() {
    let again = [Ok(("same", 3600)), Ok(("same", 3600)), Ok(("same", 3600))];
    let script = Script::new(0, again);
    let tokens = script.tokens();
    let stale = tokens.bearer().await.expect("a token");
    assert!(tokens.refreshed(&stale).await.is_err());
    assert!(matches!(tokens.bearer().await, Err(AuthError::Same { .. })));
    assert_eq!(text(&tokens.bearer().await.expect("another")), "Bearer token-3");
}

/// Refused while it is being replaced, and the replacement fails: the old one is out all the same.
#[tokio::test(start_paused = true)]
async fn a_token_refused_meanwhile_is_not_fallen_back_to() {
    let script = Script::new(5000, [Ok(("first", 3600)), Err(down())]);
    let tokens = script.tokens();
    let stale = tokens.bearer().await.expect("a token");
    pass(3400).await;
    let ahead = tokio::spawn({
        let tokens = Arc::clone(&tokens);
        async move { tokens.bearer().await }
    });
    tokio::task::yield_now().await;
    assert_eq!(text(&tokens.refreshed(&stale).await.expect("another")), "Bearer token-2");
    assert_eq!(text(&ahead.await.expect("no panic").expect("another")), "Bearer token-2");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_leaves_the_turn_to_the_next() {
    let script = Script::new(5000, []);
    let tokens = script.tokens();
    let first = tokio::time::timeout(Duration::from_secs(1), tokens.bearer()).await;
    assert!(first.is_err());
    assert!(tokens.bearer().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_run_without_a_credential_sends_a_word_that_is_none() {
    let tokens = Tokens::none();
    assert_eq!(text(&tokens.bearer().await.expect("no sign-in")), "Bearer none");
    assert_eq!(tokens.claims().await, Ok(None));
}

/// Keeps for so long while nobody asks.
async fn kept(tokens: &Tokens, seconds: u64) {
    let over = tokio::time::timeout(Duration::from_secs(seconds), tokens.keep()).await;
    assert!(over.is_err(), "keeping a token never ends");
}

#[tokio::test(start_paused = true)]
async fn a_kept_token_is_replaced_though_nobody_asks() {
    let script = Script::new(500, []);
    let tokens = script.tokens();
    kept(&tokens, 10_000).await;
    assert_eq!(script.calls(), 0, "the first is fetched for whoever wants it");
    tokens.bearer().await.expect("a token");
    kept(&tokens, 3600 - 302).await;
    assert_eq!(script.calls(), 1);
    kept(&tokens, 3).await;
    assert_eq!(script.calls(), 2);
    assert_eq!(text(&tokens.current().expect("no wait")), "Bearer token-1");
    kept(&tokens, 10 * 3310).await;
    assert_eq!(script.calls(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_kept_is_tried_now_and_then_until_its_end() {
    let script =
        Script::new(0, std::iter::once(Ok(("first", 3600))).chain((0..20).map(|_| Err(down()))));
    let tokens = script.tokens();
    tokens.bearer().await.expect("a token");
    kept(&tokens, 100_000).await;
    // From 300 s to 30 s before its end, every 30 s.
    assert_eq!(script.calls(), 1 + 9);
    assert!(tokens.current().is_none());
}
