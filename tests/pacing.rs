//! A small part of the pacing bench with fixed seeds: the real pacing code against models of
//! throttling servers, in virtual time. The bounds are the aims, with a little slack where a few seeds
//! are all that is measured; the whole table is in `docs/pacing.md`.

#[path = "../benches/pacing/mod.rs"]
#[expect(dead_code, reason = "the bench uses the rest")]
mod models;

use models::cell::{Case, Figures, Who, measure, once};
use models::rivals::RIVALS;
use models::server::{Chance, MODELS, Model};
use models::world::Header;
use registrant_import::pacing::Quota;

const SEEDS: std::ops::Range<u64> = 1..9;

fn cold(case: &Case) -> Figures {
    measure(case, Who::Cold, SEEDS)
}

fn learnt(case: &Case) -> Figures {
    measure(case, Who::Learnt, SEEDS)
}

fn case(model: Model, rate: f64) -> Case {
    Case::new(model, rate, Header::Whole, 0.12)
}

/// The cells that matter most: buckets, and windows of 10 s and 30 s, from two calls a second on.
#[test]
fn buckets_and_long_windows_are_within_a_twelfth() {
    for model in MODELS.into_iter().filter(|model| !matches!(model, Model::W(1.0) | Model::S(1.0)))
    {
        for (rate, header) in [
            (2.0, Header::Whole),
            (2.0, Header::Decimal),
            (10.0, Header::Whole),
            (10.0, Header::Decimal),
            (50.0, Header::Whole),
        ] {
            let case = Case { header, ..case(model, rate) };
            let (cold, learnt) = (cold(&case), learnt(&case));
            for figures in [cold, learnt] {
                assert!(figures.time < 1.08 && figures.share < 0.03, "{case:?}: {figures:?}");
                assert_eq!(figures.early, 0, "no start inside a wait");
            }
            assert!(learnt.time < cold.time + 0.02, "{case:?}: {learnt:?} after {cold:?}");
        }
    }
    for rate in [2.0, 10.0, 50.0] {
        let cold = cold(&case(Model::A, rate));
        assert!(cold.time < 1.02, "a bucket is measured exactly: {cold:?}");
    }
}

/// Everywhere else: no row lost, no start inside a wait, and an end.
#[test]
fn no_row_is_lost_and_every_run_ends() {
    for model in MODELS {
        for (rate, header, latency, bound) in [
            (0.5, Header::Whole, 0.12, 1.15),
            (0.5, Header::Absent, 0.12, 1.33),
            (2.0, Header::Absent, 0.12, 1.4),
            (10.0, Header::Absent, 1.5, 2.2),
            (10.0, Header::Decimal, 1.5, 1.75),
        ] {
            let case = Case::new(model, rate, header, latency);
            let cold = cold(&case);
            assert!(cold.unfinished == 0 && cold.lost == 0.0 && cold.early == 0, "{case:?}");
            assert!(cold.time < bound && cold.share < 0.12, "{case:?}: {cold:?}");
        }
    }
}

/// Whoever loses no row and is as quick has more calls refused, and the other way round.
#[test]
fn no_rival_is_better() {
    for model in [Model::A, Model::B, Model::W(30.0), Model::S(10.0)] {
        let case = case(model, 10.0);
        let own = cold(&case);
        for rival in RIVALS {
            let theirs = measure(&case, Who::Rival(rival), SEEDS);
            let better = theirs.unfinished == 0
                && theirs.lost == 0.0
                && theirs.time < own.time + 0.03
                && theirs.share < own.share + 0.005;
            assert!(!better, "{case:?}: {} {theirs:?}, own {own:?}", rival.name());
        }
    }
}

#[test]
fn a_changed_limit_is_followed() {
    for model in [Model::A, Model::W(10.0), Model::S(10.0), Model::W(30.0)] {
        let cut = Case { change: Some((100.0, 0.2)), ..case(model, 10.0) };
        let figures = cold(&cut);
        assert!(figures.carried > 0.9, "{cut:?}: {figures:?}");
        let raised = Case { change: Some((100.0, 5.0)), rows: 7_500, ..case(model, 10.0) };
        let figures = cold(&raised);
        assert!(figures.carried > 0.8, "{raised:?}: {figures:?}");
    }
}

/// A 503 rests its own row: the run hardly notices, and remembers nothing.
#[test]
fn failures_by_chance_cost_their_own_row_its_wait() {
    for (share, wait, latency, beyond) in [
        (0.01, 1.0, 0.02, 1.0),
        (0.05, 1.0, 0.02, 1.0),
        (0.05, 5.0, 0.02, 3.0),
        (0.01, 1.0, 0.12, 2.0),
    ] {
        let chance = Some(Chance { share, wait, fails: true });
        let case = Case::new(Model::Free, 50.0, Header::Whole, latency);
        let case = Case { rows: 500, chance, ..case };
        let own = cold(&case);
        assert!(own.beyond < beyond && own.refusals == 0.0, "{case:?}: {own:?}");
        assert_eq!(once(&case, Who::Cold, 1).1, None, "no limit has shown itself");
    }
}

/// A 429 by chance costs its wait and no more, and the next run does not remember it.
#[test]
fn refusals_by_chance_cost_their_wait_and_no_more() {
    for (rows, share, bound) in [(1_000, 0.01, 1.25), (1_000, 0.05, 1.7), (10_000, 0.05, 1.05)] {
        for wait in [1.0, 5.0] {
            let chance = Some(Chance { share, wait, fails: false });
            let case = Case { rows, chance, ..case(Model::Free, 50.0) };
            let (own, next) = (cold(&case), learnt(&case));
            assert!(own.unfinished == 0 && own.early == 0 && own.time < bound, "{case:?}: {own:?}");
            assert!(next.time < bound, "{case:?}: {next:?}");
            assert_eq!(once(&case, Who::Cold, 3).1, None, "no limit has shown itself");
        }
    }
}

/// Under a ceiling that equals the limit nothing is refused but by chance.
#[test]
fn a_ceiling_that_equals_the_limit_is_all_that_binds() {
    let case = Case { ceiling: Some(Quota::EVENT_WRITES), ..case(Model::S(30.0), 0.5) };
    let own = cold(&case);
    assert!(own.time < 1.01 && own.refusals == 0.0, "{own:?}");
}

/// A job of a few seconds ends before a slow climb would: 500 rows at 50 a second, of which the
/// bucket gives 50 at once. And what was learnt of the bucket makes the next such job no slower.
#[test]
fn a_short_job_is_not_over_before_its_pace_is_found() {
    for (latency, bound) in [(0.001, 1.04), (0.02, 1.04), (0.1, 1.08)] {
        let case = Case::new(Model::A, 50.0, Header::Whole, latency);
        let case = Case { rows: 500, burst: 1.0, ..case };
        let (cold, learnt) = (cold(&case), learnt(&case));
        assert!(cold.time < bound && cold.refusals <= 15.0, "{case:?}: {cold:?}");
        assert!(learnt.time < bound && learnt.refusals <= 15.0, "{case:?}: {learnt:?}");
    }
}

/// Waits in whole seconds leave a second of doubt, which must not turn three seconds into two.
#[test]
fn windows_of_three_seconds_are_found() {
    for model in [Model::W(3.0), Model::S(3.0)] {
        let case = Case::new(model, 5.0, Header::Whole, 0.02);
        let cold = cold(&case);
        assert!(cold.time < 1.12 && cold.share < 0.02, "{case:?}: {cold:?}");
    }
}

/// A run right after the one that taught it finds the bucket empty, and is not much slower for that.
#[test]
fn a_run_right_after_another_keeps_its_pace() {
    for (model, rate, rows) in
        [(Model::A, 5.0, 125), (Model::A, 100.0, 2_500), (Model::B, 20.0, 500)]
    {
        for age in [0.0, 1.0, 5.0] {
            let case = Case::new(model, rate, Header::Whole, 0.06);
            let case = Case { rows, age, ..case };
            let again = learnt(&case);
            assert!(again.time < 1.12 && again.refusals < 6.0 + 0.2 * rate, "{case:?}: {again:?}");
        }
    }
}

/// One refusal with a long wait is no window until a second one agrees with it: neither this run nor
/// the next keeps to such a pace.
#[test]
fn a_stray_refusal_does_not_pin_the_pace() {
    for (rows, call, wait) in
        [(2_000, 60, 15.0), (2_000, 100, 30.0), (500, 10, 20.0), (100, 10, 20.0), (50, 10, 605.0)]
    {
        let case = Case { rows, stray: Some((call, wait)), ..case(Model::Free, 1.0) };
        let own = cold(&case);
        assert!(own.beyond < 5.0 && own.refusals < 1.01 && own.early == 0, "{case:?}: {own:?}");
        assert_eq!(once(&case, Who::Cold, 1).1, None, "no limit has shown itself");
    }
    for model in [Model::A, Model::B, Model::W(10.0)] {
        let case = Case { stray: Some((60, 15.0)), ..case(model, 10.0) };
        let (own, next) = (cold(&case), learnt(&case));
        assert!(own.time < 1.08 && own.share < 0.02, "{case:?}: {own:?}");
        assert!(next.time < 1.08 && next.share < 0.02, "{case:?}: {next:?}");
    }
}
