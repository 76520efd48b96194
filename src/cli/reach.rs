//! Where the options lead: the target, Graph's host, the way to sign in, the ledger's file.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{
    args::{AuthArgs, GraphArgs, TargetArgs},
    failure::Failure,
};
use crate::{
    auth::{AuthSettings, Tokens},
    graph::{
        host::{GraphHost, TrustedHosts},
        http::HttpOptions,
        meeting::Meeting,
        target::{Api, Target},
        webinar::Webinar,
    },
    ledger::{Identity, Reading, short_digest},
};

/// The target that was named.
pub(super) fn target(args: &TargetArgs) -> Result<Target, Failure> {
    let Some(id) = &args.webinar else { return meeting(args).map(Target::Meeting) };
    let id = id.trim();
    if matches!(id, "" | "." | "..") {
        return Err(Failure::usage("--webinar names no webinar: give its id, `<id>@<tenant id>`"));
    }
    Ok(Target::Webinar(Webinar::new(id)))
}

/// The meeting that was named.
pub(super) fn meeting(target: &TargetArgs) -> Result<Meeting, Failure> {
    let id = target.meeting.as_deref().map(str::trim).filter(|id| !id.is_empty());
    let id =
        id.ok_or_else(|| Failure::usage("no target is named: give --meeting ID, or --webinar ID"))?;
    if matches!(id, "." | "..") {
        return Err(Failure::usage(format!("--meeting {id}: no meeting has this id")));
    }
    Ok(Meeting::new(id, target.organizer.as_deref()))
}

/// How requests travel.
pub(super) fn http(graph: &GraphArgs) -> HttpOptions {
    HttpOptions { ca_file: graph.ca_file.clone(), http1: graph.http1, ..HttpOptions::default() }
}

/// Where Graph is, and the tokens for it.
pub(super) fn signed_in(
    graph: &GraphArgs,
    auth: &AuthArgs,
    http: &HttpOptions,
) -> Result<(GraphHost, Tokens), Failure> {
    let (host, settings) = settings(graph, auth, http)?;
    let tokens = tokens(&host, &settings)?;
    Ok((host, tokens))
}

/// Where Graph is, and how to sign in there.
pub(super) fn settings(
    graph: &GraphArgs,
    auth: &AuthArgs,
    http: &HttpOptions,
) -> Result<(GraphHost, AuthSettings), Failure> {
    let trusted = TrustedHosts::new(&graph.trust_host)?;
    let host = match &graph.graph_url {
        Some(url) => GraphHost::parse(url, &trusted)?,
        None => GraphHost::of(graph.cloud),
    };
    if !graph.cloud.offers_registration() && graph.graph_url.is_none() {
        return Err(Failure::usage(format!(
            "--cloud {}: Microsoft offers the registration APIs in the global cloud only",
            graph.cloud.name()
        )));
    }
    let settings = AuthSettings {
        method: auth.auth,
        cloud: graph.cloud,
        trusted,
        http: http.clone(),
        token_file: auth.token_file.clone(),
        token_command: auth.token_command.clone(),
        ..AuthSettings::from_variables(|name| std::env::var(name).ok())
    };
    Ok((host, settings))
}

/// The tokens that these settings come to.
pub(super) fn tokens(host: &GraphHost, settings: &AuthSettings) -> Result<Tokens, Failure> {
    // A simulator on this machine may want no token at all.
    let nothing_said = settings.method.is_none() && settings.method().is_err();
    if host.is_loopback() && nothing_said {
        return Ok(Tokens::none());
    }
    Ok(Tokens::new(settings)?)
}

/// The ledger's file: as given, or this target's own. A meeting's ledger that is named for a
/// webinar stays as it is, and the webinar's stands beside it: the same command goes on with
/// another target.
pub(super) fn ledger(given: Option<&PathBuf>, target: &Identity) -> Result<PathBuf, Failure> {
    if let Some(path) = given {
        let of_a_meeting = || {
            let reading = Reading::glance(path).ok()?;
            Some(reading.target().ok()?.kind == Api::Meeting.word())
        };
        let moved = target.kind == Api::Webinar.word() && of_a_meeting().unwrap_or(false);
        return Ok(if moved { beside(path, target) } else { path.clone() });
    }
    let state = state_folder(std::env::var_os("XDG_STATE_HOME"), std::env::home_dir())?;
    Ok(state.join("registrant-import").join(ledger_name(target)))
}

/// `$XDG_STATE_HOME`, which must be absolute (XDG base directory specification), else
/// `~/.local/state`.
fn state_folder(xdg: Option<OsString>, home: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let xdg = xdg.filter(|path| !path.is_empty()).map(PathBuf::from);
    match (xdg, home) {
        (Some(path), _) if path.is_absolute() => Ok(path),
        (_, Some(home)) => Ok(home.join(".local/state")),
        (Some(path), None) => Err(Failure::usage(format!(
            "XDG_STATE_HOME is `{}`, which is no absolute path, and HOME is not set: mend one of them, or name the ledger with --ledger",
            path.display()
        ))),
        (None, None) => Err(Failure::usage(
            "neither XDG_STATE_HOME nor HOME is set: name the ledger with --ledger",
        )),
    }
}

/// `attendees.ledger` → `attendees.webinar-<8 digits>.ledger`.
fn beside(path: &Path, target: &Identity) -> PathBuf {
    let digest = short_digest(target.to_string().as_bytes());
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}.{}-{}{ending}", target.kind, &digest[..8]))
}

/// A name that a person recognises and that no other target has.
fn ledger_name(target: &Identity) -> String {
    let readable: String = target
        .name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(24)
        .collect();
    format!("{}-{readable}-{}.ledger", target.kind, short_digest(target.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webinars_ledger_stands_beside_the_meetings_that_was_named() {
        let webinar = Identity {
            kind: "webinar".to_owned(),
            name: "W@T".to_owned(),
            organizer: None,
            graph: "https://graph.microsoft.com".to_owned(),
        };
        let name = |path: &str| beside(Path::new(path), &webinar).to_string_lossy().into_owned();
        let digest = &short_digest(webinar.to_string().as_bytes())[..8];
        assert_eq!(name("a/b.ledger"), format!("a/b.webinar-{digest}.ledger"));
        assert_eq!(name("books"), format!("books.webinar-{digest}"));
    }

    #[test]
    fn the_state_folder_is_absolute_or_the_fault_is_told() {
        let folder = |xdg: Option<&str>, home: Option<&str>| {
            state_folder(xdg.map(OsString::from), home.map(PathBuf::from))
        };
        assert_eq!(folder(Some("/x"), None).expect("a folder"), Path::new("/x"));
        for xdg in [Some("x"), Some(""), None] {
            let found = folder(xdg, Some("/h")).expect("a folder");
            assert_eq!(found, Path::new("/h/.local/state"));
        }
        let told = folder(Some("state"), None).expect_err("no folder").sentence;
        assert!(told.starts_with("XDG_STATE_HOME is `state`, which is no absolute path"), "{told}");
        let told = folder(Some(""), None).expect_err("no folder").sentence;
        assert!(told.starts_with("neither XDG_STATE_HOME nor HOME is set"), "{told}");
    }

    #[test]
    fn each_target_has_a_ledger_of_its_own() {
        let identity = |name: &str, organizer: Option<&str>| Identity {
            kind: "meeting".to_owned(),
            name: name.to_owned(),
            organizer: organizer.map(str::to_owned),
            graph: "https://graph.microsoft.com".to_owned(),
        };
        let name = ledger_name(&identity("MSpk/YzE3=", None));
        assert!(name.starts_with("meeting-MSpk-YzE3--"), "{name}");
        assert_ne!(name, ledger_name(&identity("MSpk-YzE3=", None)));
        assert_ne!(name, ledger_name(&identity("MSpk/YzE3=", Some("ada@example.org"))));
    }
}
