//! A token from the Azure CLI: `az account get-access-token`.

use std::path::PathBuf;

use secrecy::zeroize::Zeroizing;
use serde::Deserialize;
use tokio::process::Command;

use super::AuthError;
use super::command::{LIMIT, output};
use super::granted::Granted;
use crate::graph::host::Cloud;

const NAME: &str = "the Azure CLI (`az account get-access-token`)";

/// The program: on Windows it is a script, which is found by its whole name only.
const PROGRAM: &str = if cfg!(windows) { "az.cmd" } else { "az" };

/// Whoever is signed in to the Azure CLI.
#[derive(Debug)]
pub(crate) struct AzureCli {
    program: PathBuf,
    arguments: Vec<String>,
}

impl AzureCli {
    pub(crate) fn new(cloud: Cloud, tenant: Option<&str>) -> Self {
        let resource = format!("https://{}", cloud.graph_host());
        let mut arguments = ["account", "get-access-token", "--output", "json", "--resource"]
            .map(str::to_owned)
            .to_vec();
        arguments.push(resource);
        if let Some(tenant) = tenant {
            arguments.extend(["--tenant".to_owned(), tenant.to_owned()]);
        }
        Self { program: PROGRAM.into(), arguments }
    }

    pub(crate) async fn fetch(&self) -> Result<Granted, AuthError> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        parse(&output(NAME, command, LIMIT).await?)
    }
}

/// Its life is read from the token: the CLI's `expiresOn` is in local time without a zone, and
/// older versions have no other.
fn parse(text: &str) -> Result<Granted, AuthError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "accessToken")]
        access_token: String,
    }
    let answer: Answer = serde_json::from_str(text).map_err(|_| AuthError::Command {
        command: NAME,
        reason: "it writes no accessToken".to_owned(),
    })?;
    Granted::from_text(&Zeroizing::new(answer.access_token), NAME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn its_answer_is_read() {
        let text = r#"{"accessToken": "canary", "expiresOn": "2026-01-01 10:00:00.000000",
            "expires_on": 1767261600, "subscription": "s", "tenant": "t", "tokenType": "Bearer"}"#;
        assert_eq!(
            parse(text).map(|granted| granted.token.expose_secret().to_owned()).as_deref(),
            Ok("canary")
        );
        for text in ["", "Please run 'az login' canary", "{\"accessToken\": null}"] {
            let error = parse(text).err().expect("no token");
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }

    #[test]
    fn it_is_asked_for_graph_in_the_right_cloud_and_tenant() {
        let cli = AzureCli::new(Cloud::China, Some("contoso.example"));
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
        let mut cli = AzureCli { program: "sh".into(), ..AzureCli::new(Cloud::Global, None) };
        cli.arguments.insert(0, script.display().to_string());
        let token = cli.fetch().await.expect("a token").token;
        let line = "account_get-access-token_--output_json_--resource_https://graph.microsoft.com";
        assert_eq!(token.expose_secret(), line);
        let cli = AzureCli { program: folder.path().join("none"), ..cli };
        assert!(matches!(cli.fetch().await, Err(AuthError::Command { .. })));
    }
}
