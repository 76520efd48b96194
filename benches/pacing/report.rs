//! The tables, as Markdown.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use registrant_import::pacing::{Rule, Rules};

use super::cell::{Case, Figures, Who, cut, measure};
use super::rivals::RIVALS;
use super::server::{MODELS, Model};
use super::world::Header;

/// Rates in the tables, in calls per second.
pub(crate) const RATES: [f64; 5] = [0.5, 2.0, 10.0, 50.0, 150.0];

/// Seeds of the published tables. The controller was tuned with seeds from 1000 on.
pub(crate) const SEEDS: std::ops::Range<u64> = 1..17;

/// Fewer of them for the ablation, which measures every cell once a rule.
const ABLATION_SEEDS: std::ops::Range<u64> = 1..7;

/// The short jobs: models with a bucket's burst in seconds, rates, latencies in seconds.
const SHORT_MODELS: [(&str, Model, f64); 6] = [
    ("A1", Model::A, 1.0),
    ("A2", Model::A, 2.0),
    ("B1", Model::B, 1.0),
    ("B2", Model::B, 2.0),
    ("W1", Model::W(1.0), 1.0),
    ("S1", Model::S(1.0), 1.0),
];
const SHORT_RATES: [f64; 3] = [10.0, 50.0, 150.0];
const SHORT_LATENCIES: [f64; 3] = [0.001, 0.02, 0.1];

/// The 40 cells of one surrounding.
fn cells(header: Header, latency: f64) -> Vec<Case> {
    MODELS
        .into_iter()
        .flat_map(|model| RATES.map(|rate| Case::new(model, rate, header, latency)))
        .collect()
}

/// Measures on all processors; the order of the answers is that of the cases.
fn all<T: Send>(cases: &[Case], each: impl Fn(&Case) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((index, case)) = Some(next.fetch_add(1, Ordering::Relaxed))
                    .and_then(|i| Some((i, cases.get(i)?)))
                {
                    let value = each(case);
                    done.lock().expect("no measurement panics").push((index, value));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no measurement panics");
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, value)| value).collect()
}

fn figures(who: Who, header: Header, latency: f64) -> Vec<Figures> {
    all(&cells(header, latency), |case| measure(case, who, SEEDS))
}

/// `1.04 · 2.3`, with the rows lost where there are any.
pub(crate) fn show(figures: &Figures) -> String {
    if figures.unfinished > 0 {
        return format!("never · {:.0}", figures.share * 100.0);
    }
    let lost = if figures.lost > 0.0 {
        format!(" · **{:.0} % lost**", (figures.lost * 100.0).max(1.0))
    } else {
        String::new()
    };
    format!("{:.2} · {:.1}{lost}", figures.time, figures.share * 100.0)
}

/// A table of the 40 cells, models down, rates across.
fn table<T>(cells: &[T], show: impl Fn(&T) -> String) -> String {
    let mut text = String::from("| model |");
    for rate in RATES {
        let _ = write!(text, " R = {rate} |");
    }
    text.push_str("\n| --- |");
    text.push_str(&" --- |".repeat(RATES.len()));
    for (model, row) in MODELS.iter().zip(cells.chunks(RATES.len())) {
        let _ = write!(text, "\n| {} |", model.name());
        for cell in row {
            let _ = write!(text, " {} |", show(cell));
        }
    }
    text.push_str("\n\n");
    text
}

fn surroundings(header: Header, latency: f64) -> String {
    let header = match header {
        Header::Whole => "whole seconds",
        Header::Decimal => "decimal",
        Header::Absent => "absent",
    };
    let latency =
        if latency < 1.0 { format!("{:.0} ms", latency * 1e3) } else { format!("{latency} s") };
    format!("Retry-After {header}, latency {latency}")
}

/// Whether a cell keeps within so many times the ideal and so large a share, with no row lost.
fn within(figures: &Figures, time: f64, share: f64) -> bool {
    figures.unfinished == 0
        && figures.lost == 0.0
        && figures.time <= time + 5e-3
        && figures.share <= share + 5e-4
}

fn tally(figures: &[Figures]) -> String {
    let count = |time, share| figures.iter().filter(|f| within(f, time, share)).count();
    format!("{} | {} | {}", count(1.02, 0.01), count(1.05, 0.02), count(1.10, 0.03))
}

/// Our own tables, cold and learnt, for every surrounding.
pub(crate) fn own() -> String {
    let mut text =
        String::from("## Measured: this program\n\nTime ÷ ideal · refused calls in %.\n\n");
    let mut lost = 0.0;
    let mut early = 0;
    for latency in [0.12, 1.5] {
        for header in [Header::Whole, Header::Decimal, Header::Absent] {
            for (name, who) in
                [("cold", Who::Cold(Rules::default())), ("learnt", Who::Learnt(Rules::default()))]
            {
                let figures = figures(who, header, latency);
                lost += figures.iter().map(|f| f.lost).sum::<f64>();
                early += figures.iter().map(|f| f.early).sum::<u64>();
                let _ = write!(text, "### {}: {name}\n\n", surroundings(header, latency));
                text.push_str(&table(&figures, show));
            }
        }
    }
    let _ =
        write!(text, "Rows lost in all of these runs: {lost}. Starts inside a wait: {early}.\n\n");
    text
}

/// The rivals in the same cells.
pub(crate) fn rivals() -> String {
    let (header, latency) = (Header::Whole, 0.12);
    let mut text = format!("## Measured: the others\n\n{}.\n\n", surroundings(header, latency));
    let mut tallies = String::from(
        "## Cells of 40 that hold a bound\n\nNo row lost, every run ended, and at most so many times \
         the ideal and so large a share refused.\n\n\
         | surroundings | strategy | 1.02 × and 1 % | 1.05 × and 2 % | 1.10 × and 3 % |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for header in [Header::Whole, Header::Decimal, Header::Absent] {
        let name = surroundings(header, latency);
        for (own, who) in [
            ("**this program, cold**", Who::Cold(Rules::default())),
            ("**this program, learnt**", Who::Learnt(Rules::default())),
        ] {
            let tally = tally(&figures(who, header, latency));
            let _ = writeln!(tallies, "| {name} | {own} | {tally} |");
        }
        for rival in RIVALS {
            let figures = figures(Who::ContestedRow(rival), header, latency);
            if header == Header::Whole {
                let _ = write!(text, "### {}\n\n{}", rival.name(), table(&figures, show));
            }
            let _ = writeln!(tallies, "| {name} | {} | {} |", rival.name(), tally(&figures));
        }
    }
    text + &tallies + "\n"
}

/// The sudden cut to a fifth.
pub(crate) fn cuts() -> String {
    let mut text = String::from(
        "## A sudden cut to a fifth\n\nShare of the new limit that is carried in the minute from ten \
         seconds after the cut on (W30, S30: forty) · calls refused before · calls refused in that \
         minute. Cold, 120 ms.\n\n",
    );
    for header in [Header::Whole, Header::Decimal] {
        let cells = all(&cells(header, 0.12), |case| cut(case, Rules::default(), SEEDS));
        let _ = write!(text, "### {}\n\n", surroundings(header, 0.12));
        text.push_str(&table(&cells, |cut| {
            format!("{:.2} · {:.1} · {:.1}", cut.carried, cut.at_first, cut.later)
        }));
    }
    text
}

/// Jobs of ten seconds: the start is a large part of them.
pub(crate) fn short() -> String {
    let mut text = String::from(
        "## Short jobs\n\nTime ÷ ideal · refused calls in %, cold, of jobs of ten seconds: at R = 10 \
         100 rows, at R = 50 500, at R = 150 1,500. Retry-After in whole seconds. A1 and B1 are \
         buckets of one second's burst, A2 and B2 of two.\n\n| model |",
    );
    for rate in SHORT_RATES {
        for latency in SHORT_LATENCIES {
            let _ = write!(text, " R = {rate}, {:.0} ms |", latency * 1e3);
        }
    }
    text.push_str("\n| --- |");
    text.push_str(&" --- |".repeat(SHORT_RATES.len() * SHORT_LATENCIES.len()));
    let cells = short_cells();
    let figures = all(&cells, |case| measure(case, Who::Cold(Rules::default()), SEEDS));
    let across = SHORT_RATES.len() * SHORT_LATENCIES.len();
    for ((name, ..), row) in SHORT_MODELS.iter().zip(figures.chunks(across)) {
        let _ = write!(text, "\n| {name} |");
        for cell in row {
            let _ = write!(text, " {} |", show(cell));
        }
    }
    text + "\n\n"
}

fn short_cells() -> Vec<Case> {
    let mut cells = Vec::new();
    for (_, model, burst) in SHORT_MODELS {
        for rate in SHORT_RATES {
            for latency in SHORT_LATENCIES {
                let case = Case::new(model, rate, Header::Whole, latency);
                cells.push(Case { rows: (10.0 * rate) as u64, burst, ..case });
            }
        }
    }
    cells
}

/// Refusals by chance: this program, without its rule for them, and the others.
pub(crate) fn noise() -> String {
    let mut text = String::from(
        "## Refusals by chance\n\nTime ÷ ideal · refused calls in %. A share of the calls is refused \
         whatever the pace, with a wait of 1 s: N1 1 %, N5 5 %, without a limit or over a bucket of \
         R = 50. *Ideal* stops all calls for each wait and has 64 in flight outside them.\n\n\
         | strategy | N1, 1,000 rows | N1, 10,000 | N5, 1,000 | N5, 10,000 | N5 over A, 10,000 |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    let cases = [
        (Model::N(0.01), 5.0),
        (Model::N(0.01), 50.0),
        (Model::N(0.05), 5.0),
        (Model::N(0.05), 50.0),
        (Model::NA(0.05), 50.0),
    ]
    .map(|(model, rate)| Case::new(model, rate, Header::Whole, 0.12));
    let own = [
        ("**this program, cold**", Who::Cold(Rules::default())),
        ("**this program, learnt**", Who::Learnt(Rules::default())),
        ("without Noise, cold", Who::Cold(Rules::without(Rule::Noise))),
    ];
    let others = RIVALS.map(|rival| (rival.name(), Who::ContestedRow(rival)));
    for (name, who) in own.into_iter().chain(others) {
        let _ = write!(text, "| {name} |");
        for figures in all(&cases, |case| measure(case, who, SEEDS)) {
            let _ = write!(text, " {} |", show(&figures));
        }
        text.push('\n');
    }
    text + "\n"
}

/// Each rule switched off in turn.
pub(crate) fn ablation() -> String {
    let mut text = String::from(
        "## Each rule switched off in turn\n\nOver the 240 cells of 120 ms latency (whole, decimal, \
         absent; cold and learnt): cells within 1.05 × and 2 %, means of time ÷ ideal and of the \
         refused share, and the cell that changes most. Over the 80 cells of the cut (whole, decimal): \
         cells that carry at least nine tenths of the new limit, and calls refused in all. Over the \
         short jobs: mean of time ÷ ideal. What Trial is for, the table of stray refusals shows.\n\n\
         | rules | of 240 | time | refused | worst change | cut: of 80 | refused | short |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let run = |rules: Rules| -> Vec<(String, Figures)> {
        let mut measured = Vec::new();
        for header in [Header::Whole, Header::Decimal, Header::Absent] {
            for (name, who) in [("cold", Who::Cold(rules)), ("learnt", Who::Learnt(rules))] {
                let cases = cells(header, 0.12);
                let figures = all(&cases, |case| measure(case, who, ABLATION_SEEDS));
                for (case, figures) in cases.iter().zip(figures) {
                    measured.push((label(case, name), figures));
                }
            }
        }
        measured
    };
    let base = run(Rules::default());
    let after_cut = |rules: Rules| {
        let mut cuts = Vec::new();
        for header in [Header::Whole, Header::Decimal] {
            cuts.extend(all(&cells(header, 0.12), |case| cut(case, rules, ABLATION_SEEDS)));
        }
        let good = cuts.iter().filter(|cut| cut.carried >= 0.9).count();
        let refused = cuts.iter().map(|cut| cut.at_first + cut.later).sum::<f64>();
        format!("{good} | {:.1}", refused / cuts.len() as f64)
    };
    let of_short = |rules: Rules| {
        let cells = all(&short_cells(), |case| measure(case, Who::Cold(rules), ABLATION_SEEDS));
        cells.iter().map(|cell| cell.time).sum::<f64>() / cells.len() as f64
    };
    let none = Rules::default();
    let short = of_short(none);
    let _ = writeln!(text, "| all | {} | | {} | {short:.3} |", line(&base), after_cut(none));
    for rule in Rule::ALL {
        let without = run(Rules::without(rule));
        let cost = |f: &Figures| f.time + 3.0 * f.share + 10.0 * f.unfinished as f64;
        let worst = base
            .iter()
            .zip(&without)
            .max_by(|a, b| (cost(&a.1.1) - cost(&a.0.1)).total_cmp(&(cost(&b.1.1) - cost(&b.0.1))));
        let worst = worst.map_or(String::new(), |(base, without)| {
            format!("{}: {} → {}", base.0, show(&base.1), show(&without.1))
        });
        let after_cut = after_cut(Rules::without(rule));
        let line = line(&without);
        let short = of_short(Rules::without(rule));
        let _ =
            writeln!(text, "| without {rule:?} | {line} | {worst} | {after_cut} | {short:.3} |");
    }
    text.push('\n');
    text
}

fn label(case: &Case, who: &str) -> String {
    let header = match case.header {
        Header::Whole => "whole",
        Header::Decimal => "decimal",
        Header::Absent => "absent",
    };
    format!("{} R = {} {header} {who}", Model::name(case.model), case.rate)
}

fn line(measured: &[(String, Figures)]) -> String {
    let runs = measured.len() as f64;
    let good = measured.iter().filter(|(_, f)| within(f, 1.05, 0.02)).count();
    let time = measured.iter().map(|(_, f)| f.time).sum::<f64>() / runs;
    let share = measured.iter().map(|(_, f)| f.share).sum::<f64>() / runs;
    format!("{good} | {time:.3} | {:.2} %", share * 100.0)
}
