//! Tokens that something else fetched: an environment variable, a file, a command, the Azure CLI.
//!
//! A command line is cut into words at blanks, with quotes and backslashes as a shell knows them, and
//! run directly. No shell is started, so nothing in it is expanded: no variables, no patterns, no
//! pipes. Whoever wants a shell writes `sh -c '…'`. The command gets no standard input, has
//! [`COMMAND_LIMIT`] to end, and its standard error is thrown away, since it may tell secrets to a
//! log.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use secrecy::zeroize::Zeroizing;
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::AuthError;
use super::request::GrantedToken;
use super::settings::{AuthSettings, plain_tenant};

/// A file larger than this is no token: Microsoft's are a few KiB, and headers end at 64 KiB or
/// sooner with every server.
const MAX_TOKEN: u64 = 64 * 1024;

/// A token in a file that something else keeps fresh.
#[derive(Debug)]
pub(super) struct TokenFile {
    path: PathBuf,
    /// The state that was read last.
    read: Mutex<Option<FileStamp>>,
}

/// What tells one state of a file from another: its time, its length and its inode, since a file that
/// was renamed into place may carry an old time.
type FileStamp = (Option<SystemTime>, u64, u64);

fn stamp(path: &Path) -> Option<FileStamp> {
    let file = fs::metadata(path).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&file);
    #[cfg(not(unix))]
    let inode = 0;
    Some((file.modified().ok(), file.len(), inode))
}

impl TokenFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, read: Mutex::new(None) }
    }

    pub(super) fn fetch(&self) -> Result<GrantedToken, AuthError> {
        // The stamp is taken before the text: a change between the two is then seen next time.
        let stamp = stamp(&self.path);
        let text = read_text("--token-file", &self.path)?;
        let granted = GrantedToken::from_text(&text, &self.origin())?;
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = stamp;
        Ok(granted)
    }

    /// Whether the file is another one than was read last. One that is gone is no news.
    pub(super) fn has_changed(&self) -> bool {
        let stamp = stamp(&self.path);
        stamp.is_some() && stamp != *self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn origin(&self) -> String {
        format!("--token-file {}", self.path.display())
    }
}

/// Reads a small text that is secret.
pub(super) fn read_text(
    setting: &'static str,
    path: &Path,
) -> Result<Zeroizing<String>, AuthError> {
    use std::io::Read as _;
    let fault = |reason: String| AuthError::File { setting, path: path.to_owned(), reason };
    // A pipe gives its text once, and the second reader waits for ever.
    if !fs::metadata(path).map_err(|error| fault(error.to_string()))?.is_file() {
        return Err(fault("it is no plain file (is --token-command meant?)".to_owned()));
    }
    let file = fs::File::open(path).map_err(|error| fault(error.to_string()))?;
    let mut text = Zeroizing::new(Vec::new());
    file.take(MAX_TOKEN + 1).read_to_end(&mut text).map_err(|error| fault(error.to_string()))?;
    if text.len() as u64 > MAX_TOKEN {
        return Err(fault(format!("it is larger than {} KiB", MAX_TOKEN / 1024)));
    }
    let text = std::str::from_utf8(&text).map_err(|_| fault("it is not text".to_owned()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// How long a command may take. The Azure CLI needs several seconds on a slow machine, and a
/// command that asks a person never ends.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

const TOKEN_COMMAND: &str = "--token-command";

/// A command of the user's.
#[derive(Debug)]
pub(super) struct TokenCommand {
    words: Vec<String>,
}

impl TokenCommand {
    pub(super) fn parse(line: &str) -> Result<Self, AuthError> {
        let fault =
            |reason: &str| AuthError::Setting { setting: TOKEN_COMMAND, reason: reason.to_owned() };
        let words = split(line).ok_or_else(|| fault("a quote is not closed"))?;
        if words.first().is_none_or(String::is_empty) {
            return Err(fault("it names no program"));
        }
        Ok(Self { words })
    }

    pub(super) async fn fetch(&self) -> Result<GrantedToken, AuthError> {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]);
        let text = run_command(TOKEN_COMMAND, command, COMMAND_LIMIT).await?;
        GrantedToken::from_text(&text, TOKEN_COMMAND)
    }
}

/// Runs `command` and gives what it wrote, of which no more than a token's length is read.
pub(super) async fn run_command(
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
    let status = status.map_err(|error| fault(error.to_string()))?;
    if !status.success() {
        return Err(fault(format!("it ended with {status}; run it by hand to see why")));
    }
    let text = std::str::from_utf8(&text)
        .map_err(|_| fault("it writes something that is not text".to_owned()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Cuts a line into words; nothing when a quote stays open.
fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if quote.is_none() && character.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        match (character, quote) {
            ('\'' | '"', None) => quote = Some(character),
            (end, Some(begin)) if end == begin => quote = None,
            ('\\', Some('"')) => match characters.next()? {
                escaped @ ('"' | '\\') => word.push(escaped),
                other => word.extend(['\\', other]),
            },
            // Windows' paths are full of it, and there it quotes nothing.
            ('\\', None) if cfg!(not(windows)) => word.push(characters.next()?),
            (other, _) => word.push(other),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

const AZURE_CLI: &str = "the Azure CLI (`az account get-access-token`)";

/// The program: on Windows it is a script, which is found by its whole name only.
const AZ: &str = if cfg!(windows) { "az.cmd" } else { "az" };

/// Whoever is signed in to the Azure CLI.
#[derive(Debug)]
pub(super) struct AzureCli {
    program: PathBuf,
    arguments: Vec<String>,
}

impl AzureCli {
    pub(super) fn new(settings: &AuthSettings) -> Result<Self, AuthError> {
        let resource = format!("https://{}", settings.cloud.graph_host());
        let mut arguments =
            ["account", "get-access-token", "--output", "json", "--resource", &resource]
                .map(str::to_owned)
                .to_vec();
        if let Some(tenant) = &settings.tenant {
            arguments.extend(["--tenant".to_owned(), plain_tenant(tenant)?.to_owned()]);
        }
        Ok(Self { program: AZ.into(), arguments })
    }

    pub(super) async fn fetch(&self) -> Result<GrantedToken, AuthError> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        parse_cli(&run_command(AZURE_CLI, command, COMMAND_LIMIT).await?)
    }
}

/// Its life is read from the token: the CLI's `expiresOn` is in local time without a zone, and
/// older versions have no other.
fn parse_cli(text: &str) -> Result<GrantedToken, AuthError> {
    #[derive(Deserialize)]
    struct CliAnswer {
        #[serde(rename = "accessToken")]
        access_token: String,
    }
    let answer: CliAnswer = serde_json::from_str(text).map_err(|_| AuthError::Command {
        command: AZURE_CLI,
        reason: "it writes no accessToken".to_owned(),
    })?;
    GrantedToken::from_text(&Zeroizing::new(answer.access_token), AZURE_CLI)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::*;
    use crate::auth::claims::{now, token};
    use crate::graph::host::Cloud;

    fn fetch(text: &str) -> Result<String, AuthError> {
        GrantedToken::from_text(text, "GRAPH_TOKEN")
            .map(|granted| granted.token.expose_secret().to_owned())
    }

    #[test]
    fn a_pasted_token_is_tidied() {
        for text in ["opaque-1", " opaque-1\r\n", "Bearer opaque-1", "bearer  opaque-1\n"] {
            assert_eq!(fetch(text).as_deref(), Ok("opaque-1"), "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_token_is_said_without_it() {
        for text in ["", "  \n", "Bearer ", "canary two", "canary\nX-Header: 1", "canäry"] {
            let error = fetch(text).expect_err("no token");
            assert!(matches!(error, AuthError::NotAToken { .. }), "{text:?}");
            assert!(!format!("{error} {error:?}").contains("can"), "{error:?}");
        }
    }

    #[test]
    fn a_token_that_has_ended_is_told_before_it_is_sent() {
        let error = fetch(&token(&json!({"exp": now() - 600}))).expect_err("ended");
        assert!(error.to_string().contains("10 min ago"), "{error}");
        let text = token(&json!({"exp": now() + 600}));
        let left = GrantedToken::from_text(&text, "x")
            .expect("a token")
            .lifetime
            .expect("a claim")
            .as_secs();
        assert!((598..=600).contains(&left), "{left}");
    }

    #[test]
    fn a_file_is_read_again_when_it_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let file = TokenFile::new(path.clone());
        assert!(matches!(file.fetch(), Err(AuthError::File { .. })));
        fs::write(&path, "first\n").expect("a file");
        assert!(file.has_changed());
        assert_eq!(file.fetch().expect("a token").token.expose_secret(), "first");
        assert!(!file.has_changed());
        // As careful programs write: beside it, then renamed into place.
        fs::write(folder.path().join("new"), "other\n").expect("a file");
        fs::rename(folder.path().join("new"), &path).expect("a rename");
        assert!(file.has_changed());
        assert_eq!(file.fetch().expect("a token").token.expose_secret(), "other");
        fs::write(&path, vec![b'x'; 100_000]).expect("a file");
        assert!(matches!(file.fetch(), Err(AuthError::File { .. })));
        fs::remove_file(&path).expect("a file");
        assert!(!file.has_changed());
        fs::create_dir(&path).expect("a folder");
        assert!(matches!(file.fetch(), Err(AuthError::File { .. })));
    }

    #[cfg(unix)]
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

    #[cfg(unix)]
    async fn run(line: &str) -> Result<String, AuthError> {
        let command = TokenCommand::parse(line).expect("a command");
        command.fetch().await.map(|granted| granted.token.expose_secret().to_owned())
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_command_gives_its_output_as_token() {
        assert_eq!(run("printf 'Bearer canary\\n'").await.as_deref(), Ok("canary"));
        assert_eq!(run("echo $HOME").await.as_deref(), Ok("$HOME"), "no shell");
    }

    #[cfg(unix)]
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

    #[cfg(unix)]
    #[tokio::test]
    async fn a_command_that_does_not_end_is_ended() {
        let mut command = Command::new("sleep");
        command.arg("600");
        let error =
            run_command(TOKEN_COMMAND, command, Duration::from_millis(50)).await.expect_err("late");
        assert!(error.is_passing());
    }

    fn azure_cli(cloud: Cloud, tenant: Option<&str>) -> AzureCli {
        let tenant = tenant.map(str::to_owned);
        let settings = AuthSettings { cloud, tenant, ..AuthSettings::default() };
        AzureCli::new(&settings).expect("a tenant")
    }

    #[test]
    fn its_answer_is_read() {
        let text = r#"{"accessToken": "canary", "expiresOn": "2026-01-01 10:00:00.000000",
            "expires_on": 1767261600, "subscription": "s", "tenant": "t", "tokenType": "Bearer"}"#;
        assert_eq!(
            parse_cli(text).map(|granted| granted.token.expose_secret().to_owned()).as_deref(),
            Ok("canary")
        );
        for text in ["", "Please run 'az login' canary", "{\"accessToken\": null}"] {
            let error = parse_cli(text).err().expect("no token");
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }

    #[test]
    fn it_is_asked_for_graph_in_the_right_cloud_and_tenant() {
        let cli = azure_cli(Cloud::China, Some("contoso.example"));
        let line = cli.arguments.join(" ");
        assert!(line.ends_with(
            "--resource https://microsoftgraph.chinacloudapi.cn --tenant contoso.example"
        ));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn it_is_run_as_it_wants_to_be() {
        let folder = tempfile::tempdir().expect("a folder");
        let script = folder.path().join("az");
        let text = "printf '{\"accessToken\": \"%s\"}' \"$(echo $* | tr ' ' _)\"";
        std::fs::write(&script, text).expect("a file");
        let mut cli = AzureCli { program: "sh".into(), ..azure_cli(Cloud::Global, None) };
        cli.arguments.insert(0, script.display().to_string());
        let token = cli.fetch().await.expect("a token").token;
        let line = "account_get-access-token_--output_json_--resource_https://graph.microsoft.com";
        assert_eq!(token.expose_secret(), line);
        let cli = AzureCli { program: folder.path().join("none"), ..cli };
        assert!(matches!(cli.fetch().await, Err(AuthError::Command { .. })));
    }
}
