//! `login`: a person signs in by a code in a browser anywhere, and later runs act in their name.
//!
//! `run` asks the same way where it was told to use such a sign-in, the kept one is missing or has
//! ended, and somebody is there to answer: standard error is a terminal. A scheduled run never
//! asks; it ends with 6 and says what to do.

use std::io::{self, IsTerminal};

use super::{
    failure::{Failure, USAGE, runtime},
    settings::GraphSettings,
};
use crate::{
    auth::{AuthError, AuthSettings, DevicePrompt, Method, Tokens, sign_in},
    output::Console,
};

pub(super) fn login(graph: &GraphSettings, console: &Console) -> Result<u8, Failure> {
    runtime()?.block_on(ask(&graph.sign_in, console)).map_err(|error| ended(&error))?;
    Ok(0)
}

/// Signs in before a run, where the run would fail without and a person is there.
pub(super) fn where_needed(settings: &AuthSettings, console: &Console) -> Result<(), Failure> {
    if !matches!(settings.method(), Ok(Method::DeviceCode)) || !io::stderr().is_terminal() {
        return Ok(());
    }
    runtime()?.block_on(async {
        if is_needed(settings).await {
            ask(settings, console).await.map_err(|error| ended(&error))?;
        }
        Ok(())
    })
}

/// Whether there is no sign-in any more. Whatever else is wrong, the run itself will tell.
async fn is_needed(settings: &AuthSettings) -> bool {
    // Made for this one question, because connections do not outlive their runtime.
    let Ok(tokens) = Tokens::new(settings) else { return false };
    let outcome = tokens.bearer().await;
    matches!(outcome, Err(AuthError::NotSignedIn | AuthError::SignInEnded(_)))
}

async fn ask(settings: &AuthSettings, console: &Console) -> Result<(), AuthError> {
    sign_in(settings, |prompt| console.ask(words(prompt))).await?;
    let place = settings.kept.as_ref().map(|kept| kept.path().display().to_string());
    console.say(format!(
        "signed in; kept in {}, for you alone: delete the file to sign out",
        place.unwrap_or_default()
    ));
    Ok(())
}

fn words(prompt: &DevicePrompt) -> String {
    format!(
        "to sign in, open {} in any browser and enter the code {} within {} minutes",
        prompt.page,
        prompt.code,
        prompt.lasts.as_secs().div_ceil(60)
    )
}

/// 2 where a setting is at fault, 5 where it may pass, else 6.
fn ended(error: &AuthError) -> Failure {
    let code = match error {
        AuthError::Missing { .. }
        | AuthError::Setting { .. }
        | AuthError::Host(_)
        | AuthError::Http(_) => USAGE,
        error => 6 - u8::from(error.is_passing()),
    };
    Failure { code, sentence: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::KeptSignIn,
        simulator::{Config, Served, Simulator},
    };

    #[tokio::test]
    async fn a_run_asks_where_nobody_is_signed_in_and_not_again() {
        let mut config = Config::default();
        config.tokens.pending_polls = 0;
        config.tokens.poll_interval = std::time::Duration::from_secs(1);
        let served = Served::start(&Simulator::new(config)).expect("a loopback port");
        let folder = tempfile::tempdir().expect("a folder");
        let settings = AuthSettings {
            method: Some(Method::DeviceCode),
            authority: Some(served.url()),
            tenant: Some("tenant".to_owned()),
            client_id: Some("client".to_owned()),
            kept: Some(KeptSignIn::in_folder(folder.path())),
            ..AuthSettings::default()
        };
        assert!(is_needed(&settings).await);
        let mut told = String::new();
        sign_in(&settings, |prompt| told = words(prompt)).await.expect("signed in");
        assert!(told.contains("/devicelogin") && told.contains("15 minutes"), "{told}");
        assert!(!is_needed(&settings).await);
        // An endpoint that does not know the refresh token any more.
        let other = Served::start(&Simulator::new(Config::default())).expect("a loopback port");
        let kept = settings.kept.as_ref().expect("a place").path();
        let text = std::fs::read_to_string(kept).expect("kept");
        std::fs::write(kept, text.replace(&served.url(), &other.url())).expect("moved");
        let moved = AuthSettings { authority: Some(other.url()), ..settings };
        assert!(is_needed(&moved).await);
    }

    #[test]
    fn each_end_has_its_exit_code() {
        let missing = AuthError::Missing { method: Method::DeviceCode, setting: "AZURE_CLIENT_ID" };
        let host = "login.example".to_owned();
        for (error, code) in [
            (missing, 2),
            (AuthError::Unavailable { host, status: 503 }, 5),
            (AuthError::Declined, 6),
            (AuthError::CodeExpired, 6),
        ] {
            assert_eq!(ended(&error).code, code);
        }
    }
}
