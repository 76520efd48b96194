//! A token from a program's standard output: `--token-command`, and what the Azure CLI shares.
//!
//! The command line is cut into words at blanks, with quotes and backslashes as a shell knows them,
//! and run directly. No shell is started, so nothing in it is expanded: no variables, no patterns,
//! no pipes. Whoever wants a shell writes `sh -c '…'`. The command gets no standard input, has
//! [`LIMIT`] to end, and its standard error is thrown away, since it may tell secrets to a log.

use std::process::Stdio;
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::AuthError;
use super::fixed::MAX_TOKEN;
use super::granted::Granted;

/// How long a command may take. The Azure CLI needs several seconds on a slow machine, and a
/// command that asks a person never ends.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

const SETTING: &str = "--token-command";

/// A command of the user's.
#[derive(Debug)]
pub(crate) struct TokenCommand {
    words: Vec<String>,
}

impl TokenCommand {
    pub(crate) fn parse(line: &str) -> Result<Self, AuthError> {
        let fault =
            |reason: &str| AuthError::Setting { setting: SETTING, reason: reason.to_owned() };
        let words = split(line).ok_or_else(|| fault("a quote is not closed"))?;
        if words.first().is_none_or(String::is_empty) {
            return Err(fault("it names no program"));
        }
        Ok(Self { words })
    }

    pub(crate) async fn fetch(&self) -> Result<Granted, AuthError> {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]);
        let text = output(SETTING, command, LIMIT).await?;
        Granted::from_text(&text, SETTING)
    }
}

/// Runs `command` and gives what it wrote, of which no more than a token's length is read.
pub(crate) async fn output(
    name: &'static str,
    mut command: Command,
    limit: Duration,
) -> Result<Zeroizing<String>, AuthError> {
    let fault = |reason: String| AuthError::Command { command: name, reason };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| fault(format!("it cannot be run: {error}")))?;
    let mut pipe = child.stdout.take().expect("standard output was asked for").take(MAX_TOKEN + 1);
    let mut text = Zeroizing::new(Vec::new());
    let work = async {
        let read = pipe.read_to_end(&mut text).await;
        // A command that writes on is told by its closed pipe.
        drop(pipe);
        (read, child.wait().await)
    };
    let (read, status) = tokio::time::timeout(limit, work)
        .await
        .map_err(|_| AuthError::CommandTimedOut { command: name, limit })?;
    read.map_err(|error| fault(error.to_string()))?;
    if text.len() as u64 > MAX_TOKEN {
        return Err(fault("it writes more than any token has".to_owned()));
    }
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => {
            return Err(fault(format!("it ended with {status}; run it by hand to see why")));
        }
        Err(error) => return Err(fault(error.to_string())),
    }
    match std::str::from_utf8(&text) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(fault("it writes something that is not text".to_owned())),
    }
}

/// Cuts a line into words; nothing when a quote stays open.
fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            blank if blank.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '\'' => break,
                        other => word.push(other),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '"' => break,
                        '\\' => match characters.next()? {
                            escaped @ ('"' | '\\') => word.push(escaped),
                            other => word.extend(['\\', other]),
                        },
                        other => word.push(other),
                    }
                }
            }
            // Windows' paths are full of it, and there it quotes nothing.
            '\\' if cfg!(not(windows)) => word.get_or_insert_default().push(characters.next()?),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn words_are_cut_as_a_shell_cuts_them() {
        for (line, words) in [
            ("pass show graph", &["pass", "show", "graph"][..]),
            ("  a\t'b c'\"d e\" ", &["a", "b cd e"]),
            (r#"sh -c 'echo "$X"; ls'"#, &["sh", "-c", r#"echo "$X"; ls"#]),
            (r#"a "q\"\\n\n" b\ c"#, &["a", r#"q"\n\n"#, "b c"]),
            ("a '' \"\"", &["a", "", ""]),
            ("echo $(id) `id` ; id | id *", &["echo", "$(id)", "`id`", ";", "id", "|", "id", "*"]),
        ] {
            let cut = split(line);
            assert_eq!(cut.as_deref().unwrap_or_default(), words, "{line}");
        }
        for line in ["'a", "\"a", "a\\", ""] {
            assert!(TokenCommand::parse(line).is_err(), "{line}");
        }
    }

    async fn run(line: &str) -> Result<String, AuthError> {
        let command = TokenCommand::parse(line).expect("a command");
        command.fetch().await.map(|granted| granted.token.expose_secret().to_owned())
    }

    #[tokio::test]
    async fn a_command_gives_its_output_as_token() {
        assert_eq!(run("printf 'Bearer canary\\n'").await.as_deref(), Ok("canary"));
        assert_eq!(run("echo $HOME").await.as_deref(), Ok("$HOME"), "no shell");
    }

    #[tokio::test]
    async fn a_failing_command_is_told_without_its_words() {
        for line in [
            "/nonexistent/program",
            "false",
            "sh -c 'echo canary; echo canary >&2; exit 3'",
            "sh -c 'echo canary canary'",
            "true",
            "yes canary",
            "printf '\\377'",
        ] {
            let error = run(line).await.expect_err("no token");
            assert!(!error.is_passing(), "{line}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_command_that_does_not_end_is_ended() {
        let mut command = Command::new("sleep");
        command.arg("600");
        let error = output(SETTING, command, Duration::from_millis(50)).await.expect_err("late");
        assert!(error.is_passing());
    }
}
