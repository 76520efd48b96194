//! The job file, the environment and the flags, laid over each other.
//!
//! One parser reads all three: a key of the job file becomes the option of the same name unless a
//! flag or a variable has set it, so a value is judged by the same rules wherever it stands.
//! Precedence: flag, environment, job file, default. A target is one setting: where a flag names
//! one target, another that a variable or the job file names is not meant.

use std::{ffi::OsString, path::Path};

use clap::{ArgMatches, Command, CommandFactory, parser::ValueSource};
use toml::{Value, de::DeTable};

use super::{args::Cli, failure::Failure};

/// Why there are no settings.
pub(super) enum Incomplete {
    /// clap's word: a wrong option, or help.
    Clap(clap::Error),
    /// The job file's fault.
    Job(Failure),
}

/// The whole command, each option with its variable.
pub(super) fn command() -> Command {
    with_variables(Cli::command(), &[])
}

/// The options of each kind of target.
const TARGETS: [&[&str]; 3] = [&["meeting", "organizer", "enable"], &["webinar"], &["townhall"]];

/// The options of the other targets than the one that `is_named`; where two are, clap says so.
fn not_meant(is_named: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let others = TARGETS.iter().filter(|options| !is_named(options[0]));
    if others.clone().count() + 1 == TARGETS.len() {
        others.flat_map(|options| options.iter().copied()).collect()
    } else {
        Vec::new()
    }
}

/// The command without the variables that flags have put out of force.
fn command_for(args: &[OsString]) -> Command {
    let typed = |option: &str| {
        args.iter()
            .filter_map(|arg| arg.to_str()?.strip_prefix("--"))
            .any(|arg| arg.split_once('=').map_or(arg, |(name, _)| name) == option)
    };
    with_variables(Cli::command(), &not_meant(typed))
}

fn with_variables(command: Command, without: &[&str]) -> Command {
    command
        .mut_args(|arg| match arg.get_long() {
            Some(long) if !matches!(long, "help" | "version") && !without.contains(&long) => {
                let name = format!("REGISTRANT_IMPORT_{}", long.replace('-', "_").to_uppercase());
                arg.env(name).hide_env(true)
            }
            _ => arg,
        })
        .mut_subcommands(|inner| with_variables(inner, without))
}

/// Parses `args`, completed by the environment and by the job file that they name.
pub(super) fn complete(args: Vec<OsString>) -> Result<ArgMatches, Incomplete> {
    let command = command_for(&args);
    let matches = command.clone().try_get_matches_from(&args).map_err(Incomplete::Clap)?;
    let (path, typed) = innermost(&matches);
    let Some(file) = typed.try_get_one::<std::path::PathBuf>("job").ok().flatten() else {
        return Ok(matches);
    };
    let added = read(file, &path, typed).map_err(Incomplete::Job)?;
    let all = args.into_iter().chain(added);
    command.try_get_matches_from(all).map_err(Incomplete::Clap)
}

/// The subcommand that was called, by its names, and what was typed for it.
fn innermost(matches: &ArgMatches) -> (Vec<String>, &ArgMatches) {
    let mut path = Vec::new();
    let mut here = matches;
    while let Some((name, inner)) = here.subcommand() {
        path.push(name.to_owned());
        here = inner;
    }
    (path, here)
}

/// The job file's keys as options, without those that a flag or a variable has set.
fn read(file: &Path, path: &[String], typed: &ArgMatches) -> Result<Vec<OsString>, Failure> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::usage(match error.kind() {
            std::io::ErrorKind::NotFound => {
                format!("--job {name}: no such file; give the path of the job file")
            }
            std::io::ErrorKind::IsADirectory => {
                format!("--job {name}: this is a folder; give the path of the job file in it")
            }
            _ => format!("--job {name}: cannot be read: {error}"),
        })
    })?;
    let table = DeTable::parse(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(&text, span.start));
        Failure::usage(format!("{name}:{line}: {}", error.message()))
    })?;
    let values: toml::Table = toml::from_str(&text)
        .map_err(|error| Failure::usage(format!("{name}: {}", error.message())))?;
    let known = subcommand(path);
    let is_set = |option: &str| {
        // A command without this option has set nothing.
        known.get_arguments().any(|arg| arg.get_id() == option)
            && matches!(
                typed.value_source(option),
                Some(ValueSource::CommandLine | ValueSource::EnvVariable)
            )
    };
    let not_meant = not_meant(is_set);
    let mut options = Vec::new();
    for key in table.get_ref().keys() {
        let line = line_of(&text, key.span().start);
        let key: &str = key.get_ref();
        let at = |what: String| Failure::usage(format!("{name}:{line}: {what}"));
        let Some(arg) = known.get_arguments().find(|arg| is_named(arg, key)) else {
            if command().get_subcommands().any(|other| takes(other, key)) {
                // One file serves `check`, `rehearse` and `run`: each takes what concerns it.
                continue;
            }
            return Err(at(unknown(key, &known)));
        };
        let words = words(key, arg, &values[key]).map_err(at)?;
        judge(path, &words).map_err(at)?;
        if !is_set(arg.get_id().as_str()) && !not_meant.contains(&key) {
            options.extend(words.into_iter().map(OsString::from));
        }
    }
    Ok(options)
}

fn is_named(arg: &clap::Arg, key: &str) -> bool {
    match arg.get_long() {
        Some(long) => long == key && !matches!(key, "job" | "help" | "version"),
        None => arg.is_positional() && arg.get_id() == key,
    }
}

/// Whether this command takes job files, and this key in them.
fn takes(command: &Command, key: &str) -> bool {
    let has = |key: &str| command.get_arguments().any(|arg| is_named(arg, key));
    command.get_arguments().any(|arg| arg.get_long() == Some("job")) && has(key)
}

fn subcommand(path: &[String]) -> Command {
    let mut here = command();
    here.build();
    for name in path {
        if let Some(inner) = here.find_subcommand(name) {
            here = inner.clone();
        }
    }
    here
}

fn unknown(key: &str, known: &Command) -> String {
    let mut names: Vec<&str> = known
        .get_arguments()
        .filter_map(|arg| {
            arg.get_long().or_else(|| arg.is_positional().then(|| arg.get_id().as_str()))
        })
        .filter(|name| !matches!(*name, "job" | "help" | "version"))
        .collect();
    names.sort_unstable();
    format!("`{key}` is no setting of this command; there are {}", names.join(", "))
}

/// The value as it would be typed.
fn words(key: &str, arg: &clap::Arg, value: &Value) -> Result<Vec<String>, String> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        other => Err(format!("`{key}` takes no {}", other.type_str())),
    };
    let option = |text: String| {
        if arg.is_positional() { text } else { format!("--{key}={text}") }
    };
    match (value, arg.get_action()) {
        (Value::Boolean(true), clap::ArgAction::SetTrue) => Ok(vec![format!("--{key}")]),
        (Value::Boolean(false), clap::ArgAction::SetTrue) => Ok(Vec::new()),
        (Value::Integer(times), clap::ArgAction::Count) => {
            Ok((0..(*times).clamp(0, 9)).map(|_| format!("--{key}")).collect())
        }
        // Where `run` names the event, `check` needs to know only that it is one.
        (Value::String(_), clap::ArgAction::SetTrue) if matches!(key, "webinar" | "townhall") => {
            Ok(vec![format!("--{key}")])
        }
        (_, clap::ArgAction::SetTrue) => Err(format!("`{key}` is either true or false")),
        (Value::Array(values), clap::ArgAction::Append) => {
            values.iter().map(|value| one(value).map(option)).collect()
        }
        (Value::Array(values), _) if key == "input-command" => {
            let words: Result<Vec<String>, String> = values.iter().map(one).collect();
            words.map(|words| vec![option(serde_json::Value::from(words).to_string())])
        }
        (Value::Array(_), _) => Err(format!("`{key}` takes one value")),
        (value, _) => one(value).map(|text| vec![option(text)]),
    }
}

/// Holds one key's words against the parser, so that a fault is told with its line.
fn judge(path: &[String], words: &[String]) -> Result<(), String> {
    let args = std::iter::once("registrant-import".to_owned()).chain(path.iter().cloned());
    match command().try_get_matches_from(args.chain(words.iter().cloned())) {
        Err(error) if is_about_the_value(&error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            Err(first.trim_start_matches("error: ").to_owned())
        }
        _ => Ok(()),
    }
}

fn is_about_the_value(error: &clap::Error) -> bool {
    use clap::error::ErrorKind::{
        InvalidValue, NoEquals, TooManyValues, ValueValidation, WrongNumberOfValues,
    };
    matches!(
        error.kind(),
        InvalidValue | NoEquals | TooManyValues | ValueValidation | WrongNumberOfValues
    )
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes().iter().take(at).filter(|&&byte| byte == b'\n').count()
}
