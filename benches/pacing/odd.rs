//! Tables beside those of the models: runs right after each other, and a stray refusal.

use std::fmt::Write as _;

use registrant_import::pacing::{Rule, Rules};

use super::cell::{Case, Who, measure};
use super::report::{SEEDS, show};
use super::server::Model;
use super::world::Header;

/// Runs right after each other: what the one before left of a bucket is not there.
pub(crate) fn back_to_back() -> String {
    let mut text = String::from(
        "## Back to back\n\nTime ÷ ideal · refused calls in % · rate kept for the next run ÷ R. Jobs \
         of 25 s, 60 ms, Retry-After in whole seconds; the run before ended so many seconds ago and \
         left the bucket empty. *Third*: the run before was such a learnt start itself.\n\n\
         | model | cold | 0 s | 0 s, third | 1 s | 1 s, third | 5 s | 5 s, third |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for case in back_to_back_cells() {
        let rules = Rules::default();
        let mut runs = vec![(case, Who::Cold(rules))];
        for age in [0.0, 1.0, 5.0] {
            let case = Case { age, ..case };
            runs.extend([(case, Who::Learnt(rules)), (case, Who::Again(rules))]);
        }
        let _ = write!(text, "| {}, R = {} |", case.model.name(), case.rate);
        for (case, who) in runs {
            let figures = measure(&case, who, SEEDS);
            let _ = write!(text, " {} · {:.2} |", show(&figures), figures.kept);
        }
        text.push('\n');
    }
    text + "\n"
}

pub(crate) fn back_to_back_cells() -> Vec<Case> {
    let mut cells = Vec::new();
    for model in [Model::A, Model::B] {
        for rate in [5.0, 20.0, 100.0] {
            let case = Case::new(model, rate, Header::Whole, 0.06);
            cells.push(Case { rows: (25.0 * rate) as u64, ..case });
        }
    }
    cells
}

/// One refusal that has nothing to do with the client, and the run after it.
pub(crate) fn stray() -> String {
    let mut text = String::from(
        "## A stray refusal\n\nTime ÷ ideal · refused calls. One call of the job is refused for no \
         reason of the client's and names a long wait, which counts as part of the ideal; the next \
         run meets none. 120 ms, Retry-After in whole seconds. N0 has no limit.\n\n\
         | model | rows | refused call | wait | cold | without Trial | the next run | without Trial |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let (all_rules, without) = (Rules::default(), Rules::without(Rule::Trial));
    for case in stray_cells() {
        let (call, wait) = case.stray.unwrap_or_default();
        let rate = if case.model == Model::N(0.0) {
            String::new()
        } else {
            format!(", R = {}", case.rate)
        };
        let name = case.model.name();
        let _ = write!(text, "| {name}{rate} | {} | {call} | {wait} s |", case.rows);
        for who in
            [Who::Cold(all_rules), Who::Cold(without), Who::Learnt(all_rules), Who::Learnt(without)]
        {
            let figures = measure(&case, who, SEEDS);
            if figures.unfinished > 0 {
                let _ = write!(text, " never · {:.1} |", figures.refusals);
            } else {
                let _ = write!(text, " {:.2} · {:.1} |", figures.time, figures.refusals);
            }
        }
        text.push('\n');
    }
    text + "\n"
}

pub(crate) fn stray_cells() -> Vec<Case> {
    [
        (Model::N(0.0), 1.0, 2_000, 60, 15.0),
        (Model::N(0.0), 1.0, 2_000, 100, 30.0),
        (Model::N(0.0), 1.0, 2_000, 1_500, 30.0),
        (Model::N(0.0), 1.0, 500, 10, 20.0),
        (Model::N(0.0), 1.0, 50, 10, 605.0),
        (Model::N(0.0), 1.0, 100, 10, 20.0),
        (Model::N(0.0), 1.0, 2_000, 60, 1.0),
        (Model::N(0.0), 1.0, 500, 10, 2.0),
        (Model::N(0.0), 1.0, 500, 400, 2.0),
        (Model::N(0.0), 1.0, 100, 80, 2.0),
        (Model::N(0.0), 1.0, 100, 10, 5.0),
        (Model::A, 10.0, 2_000, 60, 15.0),
        (Model::A, 50.0, 10_000, 60, 15.0),
        (Model::A, 50.0, 10_000, 3_000, 30.0),
        (Model::B, 10.0, 2_000, 60, 30.0),
        (Model::B, 10.0, 2_000, 1_000, 30.0),
        (Model::W(10.0), 10.0, 2_000, 60, 15.0),
        (Model::S(30.0), 10.0, 2_000, 60, 15.0),
    ]
    .into_iter()
    .map(|(model, rate, rows, call, wait)| {
        let case = Case::new(model, rate, Header::Whole, 0.12);
        Case { rows, stray: Some((call, wait)), ..case }
    })
    .collect()
}
