//! The groups of cells that a design is judged by, and their tables, as Markdown.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use registrant_import::pacing::Quota;

use super::cell::{Case, Figures, Who, measure};
use super::rivals::RIVALS;
use super::server::{Chance, MODELS, Model};
use super::world::Header;

/// Rates of the clean cells, in calls per second.
pub(crate) const RATES: [f64; 4] = [2.0, 10.0, 50.0, 150.0];
const HEADERS: [Header; 3] = [Header::Whole, Header::Decimal, Header::Absent];

/// A group: its name, what it is to hold, and its cells.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    aim: &'static str,
    pub(crate) cells: Vec<(Case, Who)>,
}

const BOTH: [Who; 2] = [Who::Cold, Who::Learnt];

/// 120 ms, whatever the model.
fn clean(models: &[Model], rates: &[f64], headers: &[Header]) -> Vec<(Case, Who)> {
    let mut cells = Vec::new();
    for model in models {
        for rate in rates {
            for header in headers {
                let case = Case::new(*model, *rate, *header, 0.12);
                cells.extend(BOTH.map(|who| (case, who)));
            }
        }
    }
    cells
}

/// Refusals by chance, first run and the run after it.
fn chance(
    model: Model,
    rows: &[u64],
    shares: &[f64],
    waits: &[f64],
    fails: bool,
    headers: &[Header],
) -> Vec<(Case, Who)> {
    let mut cells = Vec::new();
    for rows in rows {
        for share in shares {
            for wait in waits {
                for latency in [0.02, 0.12] {
                    for header in headers {
                        let chance = Some(Chance { share: *share, wait: *wait, fails });
                        let case = Case::new(model, 50.0, *header, latency);
                        let case = Case { rows: *rows, chance, ..case };
                        cells.extend(BOTH.map(|who| (case, who)));
                    }
                }
            }
        }
    }
    cells
}

/// Jobs of ten seconds: the start is a large part of them.
fn short(models: &[(Model, f64)]) -> Vec<(Case, Who)> {
    let mut cells = Vec::new();
    for (model, burst) in models {
        for rate in [10.0, 50.0, 150.0] {
            for latency in [0.001, 0.02, 0.1] {
                let case = Case::new(*model, rate, Header::Whole, latency);
                let rows = (10.0 * rate) as u64;
                cells.push((Case { rows, burst: *burst, ..case }, Who::Cold));
            }
        }
    }
    cells
}

/// The limit is changed in the middle of the job.
fn changed(factor: f64) -> Vec<(Case, Who)> {
    let mut cells = clean(&MODELS, &[0.5, 2.0, 10.0, 50.0, 150.0], &HEADERS[..2]);
    cells.retain(|(case, who)| *who == Who::Cold && (factor < 1.0 || case.rate < 100.0));
    for (case, _) in &mut cells {
        let at = if case.rate > 100.0 { 30.0 } else { 100.0 };
        case.change = Some((at, factor));
        if factor > 1.0 {
            // Rows enough for two minutes of the raised limit.
            case.rows = (case.rate * (100.0 + 130.0 * factor)) as u64;
        }
    }
    cells
}

fn stray() -> Vec<(Case, Who)> {
    let mut cells = Vec::new();
    for (model, rate, rows, call, wait) in [
        (Model::Free, 1.0, 2_000, 60, 15.0),
        (Model::Free, 1.0, 2_000, 1_500, 30.0),
        (Model::Free, 1.0, 500, 10, 20.0),
        (Model::Free, 1.0, 50, 10, 605.0),
        (Model::Free, 1.0, 100, 10, 20.0),
        (Model::Free, 1.0, 2_000, 60, 1.0),
        (Model::Free, 1.0, 500, 10, 2.0),
        (Model::Free, 1.0, 500, 400, 2.0),
        (Model::Free, 1.0, 100, 80, 2.0),
        (Model::Free, 1.0, 100, 10, 5.0),
        (Model::A, 10.0, 2_000, 60, 15.0),
        (Model::A, 50.0, 10_000, 3_000, 30.0),
        (Model::B, 10.0, 2_000, 60, 30.0),
        (Model::W(10.0), 10.0, 2_000, 60, 15.0),
        (Model::S(30.0), 10.0, 2_000, 60, 15.0),
    ] {
        let case = Case::new(model, rate, Header::Whole, 0.12);
        let case = Case { rows, stray: Some((call, wait)), ..case };
        cells.extend(BOTH.map(|who| (case, who)));
    }
    cells
}

fn back_to_back() -> Vec<(Case, Who)> {
    let mut cells = Vec::new();
    for model in [Model::A, Model::B] {
        for rate in [5.0, 20.0, 100.0] {
            for age in [0.0, 1.0, 5.0] {
                let case = Case::new(model, rate, Header::Whole, 0.06);
                let case = Case { rows: (25.0 * rate) as u64, age, ..case };
                cells.push((case, Who::Learnt));
            }
        }
    }
    cells
}

fn ceiling() -> Vec<(Case, Who)> {
    let mut cells = Vec::new();
    for model in [Model::W(30.0), Model::S(30.0)] {
        for chance in [None, Some(0.01), Some(0.05)] {
            let chance = chance.map(|share| Chance { share, wait: 5.0, fails: false });
            let ceiling = Some(Quota::EVENT_WRITES);
            let case = Case::new(model, 0.5, Header::Whole, 0.12);
            cells.push((Case { chance, ceiling, ..case }, Who::Cold));
        }
    }
    cells
}

/// All groups.
pub(crate) fn groups() -> Vec<Group> {
    use Model::{A, B, Free, S, W};
    let group = |name, aim, cells| Group { name, aim, cells };
    let long = [W(10.0), W(30.0), S(10.0), S(30.0)];
    let (named, shares, waits) = (&HEADERS[..1], [0.01, 0.05], [1.0, 5.0]);
    let large = [500, 1_000, 10_000];
    vec![
        group("under a ceiling that equals the limit", "1.01", ceiling()),
        group("A, R >= 2", "each 1.02; 1 %", clean(&[A], &RATES, &HEADERS)),
        group("B, R >= 2", "1.06, each 1.15", clean(&[B], &RATES, &HEADERS)),
        group("windows of 10 and 30 s, wait named", "1.03, each 1.08; 1.2 %", {
            clean(&long, &RATES, &HEADERS[..2])
        }),
        group("the same, wait absent", "1.12, each 1.5", clean(&long, &RATES, &HEADERS[2..])),
        group("windows of 1 s", "1.17, each 1.5", clean(&[W(1.0), S(1.0)], &RATES, &HEADERS)),
        group("(a) all clean limits, R >= 2", "1.06, p90 1.15, worst 1.4; 1.1 %", {
            clean(&MODELS, &RATES, &HEADERS)
        }),
        group("(b) R = 0.5", "1.06, worst 1.3", clean(&MODELS, &[0.5], &HEADERS)),
        group("(c) short jobs, buckets", "1.15", short(&[(A, 1.0), (A, 2.0), (B, 1.0), (B, 2.0)])),
        group("(c) short jobs, windows of 1 s", "2.0", short(&[(W(1.0), 1.0), (S(1.0), 1.0)])),
        group("503 by chance, no limit, from 500 rows", "1.5, 2 s beyond", {
            chance(Free, &large, &shares, &waits, true, named)
        }),
        group("503 by chance over A, R = 50", "", chance(A, &large, &shares, &waits, true, named)),
        group("429 by chance 1 %, 500 rows", "1.6", {
            chance(Free, &[500], &shares[..1], &waits, false, named)
        }),
        group("429 by chance 1 %, 1,000 rows", "1.25", {
            chance(Free, &[1_000], &shares[..1], &waits, false, named)
        }),
        group("429 by chance 5 %, 500 rows", "2.6", {
            chance(Free, &[500], &shares[1..], &waits, false, named)
        }),
        group("429 by chance 5 %, 1,000 rows", "1.7", {
            chance(Free, &[1_000], &shares[1..], &waits, false, named)
        }),
        group("429 by chance, 10,000 rows", "1.05", {
            chance(Free, &[10_000], &shares, &waits, false, named)
        }),
        group("429 by chance over A, R = 50", "1.35", {
            chance(A, &large, &shares, &waits, false, named)
        }),
        group("429 by chance, decimal or absent", "3.2", {
            chance(Free, &large, &shares, &waits, false, &HEADERS[1..])
        }),
        group("100 rows, any chance", "12 s beyond", {
            let mut cells = chance(Free, &[100], &shares, &waits, false, named);
            cells.extend(chance(Free, &[100], &shares, &waits, true, named));
            cells
        }),
        group("one stray refusal, and the run after it", "5 s beyond", stray()),
        group("back to back", "1.05, worst 1.15; 2 %", back_to_back()),
        group("cut to a fifth", "60 of 80 carry 0.9; 50 refused", changed(0.2)),
        group("raised five times", "0.8 within two minutes", changed(5.0)),
    ]
}

/// Measures on all processors; the order of the answers is that of the cells.
fn all(cells: &[(Case, Who)], seeds: &Range<u64>) -> Vec<Figures> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((index, (case, who))) = Some(next.fetch_add(1, Ordering::Relaxed))
                    .and_then(|i| Some((i, cells.get(i)?)))
                {
                    let figures = measure(case, *who, seeds.clone());
                    done.lock().expect("no measurement panics").push((index, figures));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no measurement panics");
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, figures)| figures).collect()
}

/// `no limit, 500 rows, 1 % 429 (5 s)`.
fn label(case: &Case, who: Who) -> String {
    let mut text = case.model.name();
    if case.model != Model::Free {
        let _ = write!(text, ", R = {}", case.rate);
    }
    let _ = write!(text, ", {} rows", case.rows);
    if let Some(Chance { share, wait, fails }) = case.chance {
        let status = if fails { 503 } else { 429 };
        let _ = write!(text, ", {:.0} % {status} ({wait} s)", share * 100.0);
    }
    if let Some((call, wait)) = case.stray {
        let _ = write!(text, ", call {call} ({wait} s)");
    }
    let header = match case.header {
        Header::Whole => "",
        Header::Decimal => ", decimal",
        Header::Absent => ", absent",
    };
    let learnt = if who == Who::Learnt { ", the run after" } else { "" };
    let _ = write!(text, "{header}, {:.0} ms{learnt}", case.latency * 1e3);
    text
}

/// Means and worst of a group's cells.
fn line(figures: &[Figures]) -> String {
    let cells = figures.len() as f64;
    let mean = |of: fn(&Figures) -> f64| figures.iter().map(of).sum::<f64>() / cells;
    let mut times: Vec<f64> = figures.iter().map(|figures| figures.time).collect();
    times.sort_by(f64::total_cmp);
    let ninth = times[(times.len() * 9 / 10).min(times.len() - 1)];
    let worst = times[times.len() - 1];
    let most = |of: fn(&Figures) -> f64| figures.iter().map(of).fold(0.0, f64::max);
    let never = figures.iter().map(|figures| figures.unfinished).sum::<u64>();
    let lost = most(|figures| figures.lost);
    let mut text = format!(
        "{:.3} | {ninth:.2} | {worst:.2} | {:.1} | {:.1} | {:.2} | {:.1}",
        mean(|figures| figures.time),
        mean(|figures| figures.beyond),
        most(|figures| figures.beyond),
        mean(|figures| figures.share) * 100.0,
        most(|figures| figures.share) * 100.0,
    );
    if never > 0 {
        let _ = write!(text, " ({never} runs never ended)");
    }
    if lost > 0.0 {
        let _ = write!(text, " (up to {:.0} % lost)", (lost * 100.0).max(1.0));
    }
    text
}

/// The table at the top: one line a group.
pub(crate) fn table(seeds: &Range<u64>, worst: usize) -> String {
    let mut text = String::from(
        "## The groups\n\nTime ÷ ideal (1 is an oracle's run), seconds beyond the ideal, and refused calls \
         in %: mean and worst cell of\neach group, 16 seeds a cell. A run of 20 times the ideal is called \
         off.\n\n| group | aim | time ÷ ideal, mean | 9 of 10 below | worst cell | seconds beyond, mean | worst \
         cell | refused, mean | worst cell |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let mut cells = String::new();
    let (mut early, mut lost, mut never) = (0, 0.0, 0);
    for group in groups() {
        let figures = all(&group.cells, seeds);
        early += figures.iter().map(|figures| figures.early).sum::<u64>();
        lost += figures.iter().map(|figures| figures.lost).sum::<f64>();
        never += figures.iter().map(|figures| figures.unfinished).sum::<u64>();
        let Group { name, aim, .. } = group;
        if group.cells[0].0.change.is_some() {
            let factor = group.cells[0].0.change.map_or(1.0, |change| change.1);
            let enough = if factor < 1.0 { 0.9 } else { 0.8 };
            let good = figures.iter().filter(|figures| figures.carried >= enough).count();
            let mean = figures.iter().map(|f| f.carried).sum::<f64>() / figures.len() as f64;
            let refused = figures.iter().map(|f| f.refusals).sum::<f64>() / figures.len() as f64;
            let _ = writeln!(
                text,
                "| {name} | {aim} | {good} of {} cells carry {enough} (mean {mean:.2}), {refused:.0} \
                 refused | | | | | | |",
                figures.len()
            );
            let mut order: Vec<usize> = (0..figures.len()).collect();
            order.sort_by(|a, b| figures[*a].carried.total_cmp(&figures[*b].carried));
            for index in order.into_iter().take(worst) {
                let (case, who) = &group.cells[index];
                let carried = figures[index].carried;
                let refused = figures[index].refusals;
                let _ = writeln!(
                    cells,
                    "| {name} | {} | {carried:.2} | | | {refused:.1} |",
                    label(case, *who)
                );
            }
            continue;
        }
        let _ = writeln!(text, "| {name} | {aim} | {} % |", line(&figures));
        let mut order: Vec<usize> = (0..figures.len()).collect();
        order.sort_by(|a, b| figures[*b].time.total_cmp(&figures[*a].time));
        for index in order.into_iter().take(worst) {
            let (case, who) = &group.cells[index];
            let Figures { time, worst, beyond, refusals, share, .. } = figures[index];
            let _ = writeln!(
                cells,
                "| {name} | {} | {time:.2} | {worst:.2} | {beyond:.1} | {refusals:.1} ({:.1} %) |",
                label(case, *who),
                share * 100.0
            );
        }
    }
    let _ = write!(
        text,
        "\nRuns that never ended: {never}. Rows lost: {lost}. Starts inside a wait: {early}.\n\n"
    );
    if worst > 0 {
        text += "## Where it loses: the worst cells of each group\n\n| group | cell | time ÷ ideal \
                 (changed limits: carried) | worst seed | seconds beyond | refused |\n\
                 | --- | --- | --- | --- | --- | --- |\n";
        text += &cells;
        text.push('\n');
    }
    text
}

/// The others in a few groups.
pub(crate) fn rivals(seeds: &Range<u64>) -> String {
    let mut text = String::from(
        "## The others\n\nTime ÷ ideal, mean and worst cell · refused calls, mean. First runs only.\n\n| \
         group | this program |",
    );
    for rival in RIVALS {
        let _ = write!(text, " {} |", rival.name());
    }
    text.push_str("\n| --- | --- |");
    text.push_str(&" --- |".repeat(RIVALS.len()));
    let wanted = [
        "(a) all",
        "(b) R",
        "(c) short jobs, buckets",
        "503 by chance, no",
        "429 by chance over A",
    ];
    for mut group in groups() {
        if !wanted.iter().any(|wanted| group.name.starts_with(wanted)) {
            continue;
        }
        group.cells.retain(|(_, who)| *who == Who::Cold);
        let _ = write!(text, "\n| {} |", group.name);
        for who in std::iter::once(Who::Cold).chain(RIVALS.map(Who::Rival)) {
            for cell in &mut group.cells {
                cell.1 = who;
            }
            let figures = all(&group.cells, seeds);
            let cells = figures.len() as f64;
            let time = figures.iter().map(|figures| figures.time).sum::<f64>() / cells;
            let worst = figures.iter().map(|figures| figures.time).fold(0.0, f64::max);
            let share = figures.iter().map(|figures| figures.share).sum::<f64>() / cells;
            let lost = figures.iter().map(|figures| figures.lost).fold(0.0, f64::max);
            let never = figures.iter().map(|figures| figures.unfinished).sum::<u64>();
            let _ = write!(text, " {time:.2}, {worst:.1} · {:.1} %", share * 100.0);
            if lost > 0.0 {
                let _ = write!(text, " · **{:.0} % of rows lost**", (lost * 100.0).max(1.0));
            }
            if never > 0 {
                let _ = write!(text, " · **{never} runs never ended**");
            }
            text.push_str(" |");
        }
    }
    text + "\n\n"
}
