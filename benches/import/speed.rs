//! Rows per second of a whole import, beside a bare load generator and a Python script that send the
//! same request to the same simulated Graph.

use std::{env, fs, path::Path, process::Stdio};

use super::{
    bare::Generator,
    program::{
        CLIENT, Fault, Place, Simulated, answers, can_pin, expect, pinned, watch, write_people,
    },
};

const ROWS: u64 = 100_000;
/// The Python script is given fewer: it would take most of the time.
const PYTHON_ROWS: u64 = 20_000;
const ROUNDS: usize = 5;
/// Requests in flight, for everybody.
const CONNECTIONS: usize = 64;
/// How long the load generator runs.
const SECONDS: u64 = 3;

/// The least share of the bare rate, and the least multiple of the script's.
const LEAST_OF_BARE: f64 = 0.45;
const LEAST_OF_PYTHON: f64 = 3.0;

/// What one round brought: requests or rows a second, and processor time each, in microseconds.
#[derive(Default)]
struct Figures {
    bare: Vec<f64>,
    program: Vec<f64>,
    cost: Vec<f64>,
    tls: Vec<f64>,
    tls_of_bare: Vec<f64>,
    python: Vec<f64>,
    of_bare: Vec<f64>,
    client: Vec<f64>,
    client_of_bare: Vec<f64>,
    of_client: Vec<f64>,
    of_python: Vec<f64>,
}

pub(crate) fn speed() -> Result<(), Fault> {
    println!("## Speed: {ROWS} rows, {CONNECTIONS} requests in flight, no latency, no limit\n");
    if !can_pin() {
        println!("(no `taskset`, or one core: client and server share what there is)\n");
    }
    let wrk = answers("wrk", "-v") || answers("which", "wrk");
    let python = python();
    let mut all = Figures::default();
    for _ in 0..ROUNDS {
        let graph = Simulated::start("")?;
        let sockets = || Generator::Sockets.run(&graph.url, SECONDS);
        let rate = if wrk { run_wrk(&graph.url)? } else { sockets()? };
        drop(graph);
        let graph = Simulated::start("")?;
        let client = Generator::Client.run(&graph.url, SECONDS)?;
        drop(graph);

        let (rows, cost) = import(false)?;
        all.bare.push(rate);
        all.program.push(rows);
        all.cost.push(cost);
        all.of_bare.push(rows / rate);
        all.client.push(client);
        all.client_of_bare.push(client / rate);
        all.of_client.push(rows / client);
        let (by_tls, _) = import(true)?;
        all.tls.push(by_tls);
        all.tls_of_bare.push(by_tls / rate);
        if let Some(python) = &python {
            let script = run_python(python)?;
            all.python.push(script);
            all.of_python.push(rows / script);
        }
    }
    let who = if wrk { "wrk" } else { "bare client of this bench" };
    println!("| | median of {ROUNDS} rounds | lowest and highest |\n| --- | ---: | ---: |");
    line(&format!("{who}, requests/s"), &mut all.bare, 0);
    line("`run`, rows/s, start and files included", &mut all.program, 0);
    line("`run`, processor time a row, µs", &mut all.cost, 1);
    line(&format!("`run` ÷ {who} (aim {LEAST_OF_BARE})"), &mut all.of_bare, 2);
    line("its HTTP client with nothing around it, requests/s", &mut all.client, 0);
    line(&format!("its HTTP client ÷ {who}"), &mut all.client_of_bare, 2);
    line("`run` ÷ its HTTP client", &mut all.of_client, 2);
    line("`run` by HTTP/2 over TLS, rows/s", &mut all.tls, 0);
    line(&format!("`run` by HTTP/2 over TLS ÷ {who} without TLS"), &mut all.tls_of_bare, 2);
    if python.is_some() {
        line("aiohttp script, rows/s", &mut all.python, 0);
        line(&format!("`run` ÷ aiohttp script (aim {LEAST_OF_PYTHON})"), &mut all.of_python, 1);
    } else {
        println!("\nno Python with aiohttp here: name one in the variable PYTHON");
    }
    println!();
    Ok(())
}

/// A whole import on a new ledger: rows per second, start and files included, and processor time a
/// row in microseconds.
#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
fn import(tls: bool) -> Result<(f64, f64), Fault> {
    let place = Place::new()?;
    place.export(0, ROWS)?;
    let authority = place.path("ca.pem");
    let authority = authority.to_str().ok_or("the folder's path is no text")?;
    let serve = if tls { format!("--tls {authority}") } else { String::new() };
    let graph = Simulated::start(&serve)?;
    let trust = if tls { format!("--ca-file {authority}") } else { String::new() };
    let ran = place.run(&graph, &format!("--concurrency {CONNECTIONS} {trust}"))?;
    expect(&ran, ROWS, 0)?;
    if !tls && graph.count("created")? != ROWS {
        return Err("the simulated Graph tells another number".into());
    }
    Ok((ROWS as f64 / ran.wall, ran.cpu / ROWS as f64 * 1e6))
}

fn line(what: &str, figures: &mut [f64], digits: usize) {
    figures.sort_by(f64::total_cmp);
    let (least, median, most) =
        (figures[0], figures[figures.len() / 2], figures[figures.len() - 1]);
    println!("| {what} | {median:.digits$} | {least:.digits$} to {most:.digits$} |");
}

/// The request of a row, as wrk's script.
const SCRIPT: &str = r##"
local n = 0
request = function()
  n = n + 1
  return wrk.format("POST", "/beta/me/onlineMeetings/B/registration/registrants", {
    ["Accept"] = "application/json", ["Authorization"] = "Bearer a-token",
    ["Content-Type"] = "application/json",
    ["client-request-id"] = "9d96988d-a66a-46ce-aad7-0b245615b297"
  }, string.format('{"@odata.type":"%s","id":"%016x"}', "#microsoft.graph.externalMeetingRegistrant", n))
end
"##;

fn run_wrk(url: &str) -> Result<f64, Fault> {
    let place = Place::new()?;
    let script = place.path("post.lua");
    fs::write(&script, SCRIPT)?;
    let output = pinned(CLIENT, "wrk")
        .args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{SECONDS}s"), "-s"])
        .arg(&script)
        .arg(url)
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    if text.contains("Non-2xx") {
        return Err(format!("wrk was refused: {text}").into());
    }
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    Ok(rate.ok_or("wrk told no rate")?.trim().parse()?)
}

/// A Python that has aiohttp.
fn python() -> Option<String> {
    let names = env::var("PYTHON").into_iter().chain(["python3".to_owned()]);
    names.into_iter().find(|name| {
        let mut command = std::process::Command::new(name);
        command.args(["-c", "import aiohttp"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
fn run_python(python: &str) -> Result<f64, Fault> {
    let (graph, place) = (Simulated::start("")?, Place::new()?);
    let people = place.path("people.csv");
    write_people(&people, 0, PYTHON_ROWS)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/aiohttp_import.py");
    let mut command = pinned(CLIENT, python);
    command.arg(script).arg(&people).arg(place.path("enrolled.csv")).arg(&graph.url);
    let ran = watch(command.env("CONNECTIONS", CONNECTIONS.to_string()))?;
    if ran.code != 0 || graph.count("created")? != PYTHON_ROWS {
        return Err("the Python script failed".into());
    }
    Ok(PYTHON_ROWS as f64 / ran.wall)
}
