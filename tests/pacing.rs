//! A small part of the pacing bench with fixed seeds: the real pacing code against models of
//! throttling servers, in virtual time. The bounds are what was reached, with a little slack; the
//! whole tables are in `docs/pacing.md`.

#[path = "../benches/pacing/mod.rs"]
#[expect(dead_code, reason = "the bench uses the rest")]
mod models;

use models::cell::{Case, Figures, Who, cut, measure, once};
use models::rivals::RIVALS;
use models::server::{MODELS, Model};
use models::world::Header;
use models::{odd, report};
use registrant_import::pacing::{Rule, Rules};

const SEEDS: std::ops::Range<u64> = 1..4;

fn cold(case: &Case) -> Figures {
    measure(case, Who::Cold(Rules::default()), SEEDS)
}

/// The cells that matter most: buckets, and windows of 10 s and 30 s, from two calls a second on.
#[test]
fn buckets_and_long_windows_are_within_a_twentieth_and_a_fiftieth() {
    for model in MODELS.into_iter().filter(|model| !matches!(model, Model::W(1.0) | Model::S(1.0)))
    {
        for (rate, header) in [
            (2.0, Header::Whole),
            (2.0, Header::Decimal),
            (10.0, Header::Whole),
            (10.0, Header::Decimal),
        ] {
            let case = Case::new(model, rate, header, 0.12);
            // All seeds of the tables: with few, one unlucky phase of a window decides.
            let cold = measure(&case, Who::Cold(Rules::default()), report::SEEDS);
            assert!(cold.time < 1.05 && cold.share < 0.02, "{case:?} cold: {cold:?}");
            let learnt = measure(&case, Who::Learnt(Rules::default()), report::SEEDS);
            assert!(learnt.time < 1.03 && learnt.share < 0.0075, "{case:?} learnt: {learnt:?}");
            assert!(learnt.time < cold.time + 0.015, "{case:?}: {learnt:?} after {cold:?}");
            assert_eq!(cold.early + learnt.early, 0, "no start inside a wait");
        }
    }
}

/// Everywhere else: no row lost, no start inside a wait, and an end.
#[test]
fn no_row_is_lost_and_every_run_ends() {
    for model in MODELS {
        for (rate, header, latency, bound) in [
            (0.5, Header::Whole, 0.12, 1.15),
            (0.5, Header::Absent, 0.12, 1.25),
            (2.0, Header::Absent, 0.12, 1.35),
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
        let case = Case::new(model, 10.0, Header::Whole, 0.12);
        let own = cold(&case);
        for rival in RIVALS {
            let theirs = measure(&case, Who::ContestedRow(rival), SEEDS);
            let better = theirs.unfinished == 0
                && theirs.lost == 0.0
                && theirs.time < own.time + 0.03
                && theirs.share < own.share + 0.005;
            assert!(!better, "{case:?}: {} {theirs:?}, own {own:?}", rival.name());
        }
    }
}

#[test]
fn a_sudden_cut_to_a_fifth_is_followed() {
    for model in [Model::A, Model::B, Model::W(10.0), Model::S(10.0), Model::W(30.0)] {
        let case = Case::new(model, 10.0, Header::Whole, 0.12);
        let cut = cut(&case, Rules::default(), SEEDS);
        assert!(cut.carried > 0.9 && cut.later < 60.0, "{case:?}: {cut:?}");
    }
}

/// A server that refuses a twentieth of the calls at random would make a pace that is measured from
/// refusal to refusal fall without end.
#[test]
fn refusals_by_chance_do_not_slow_the_pace_for_ever() {
    for model in [Model::N(0.05), Model::NA(0.05)] {
        let case = Case::new(model, 50.0, Header::Whole, 0.12);
        let own = measure(&case, Who::Cold(Rules::default()), 1..9);
        assert!(own.unfinished == 0 && own.early == 0 && own.time < 1.6, "{case:?}: {own:?}");
        let without = measure(&case, Who::Cold(Rules::without(Rule::Noise)), 1..3);
        assert!(without.time > 10.0, "the rule is what helps: {case:?}: {without:?}");
        let (_, learnt, _) = once(&case, Who::Cold(Rules::default()), 3, None);
        assert_eq!(learnt, None, "no limit has shown itself");
    }
}

/// A limit may look like chance for a while. The trial that finds out leaves no trace: these seeds
/// once ran at half of what a window of a second gives, to the end.
#[test]
fn a_wrong_suspicion_of_chance_is_got_over() {
    let case = Case::new(Model::W(1.0), 10.0, Header::Whole, 0.12);
    let cold = measure(&case, Who::Cold(Rules::default()), 2014..2016);
    assert!(cold.time < 1.15, "{cold:?}");
}

/// A job of a few seconds ends before a slow climb would: 500 rows at 50 a second, of which the
/// bucket gives 50 at once. And what was learnt of the bucket makes the next such job no slower.
#[test]
fn a_short_job_is_not_over_before_its_pace_is_found() {
    for (latency, bound) in [(0.001, 1.025), (0.02, 1.03), (0.1, 1.08)] {
        let case = Case::new(Model::A, 50.0, Header::Whole, latency);
        let case = Case { rows: 500, burst: 1.0, ..case };
        let cold = cold(&case);
        assert!(cold.time < bound && cold.refusals < 12.0, "{case:?}: {cold:?}");
        let learnt = measure(&case, Who::Learnt(Rules::default()), SEEDS);
        assert!(learnt.time < bound && learnt.refusals < 1.0, "{case:?}: {learnt:?}");
    }
    let case = Case::new(Model::A, 50.0, Header::Whole, 0.001);
    let case = Case { rows: 500, burst: 1.0, ..case };
    let with = measure(&case, Who::Cold(Rules::default()), report::SEEDS);
    let without = measure(&case, Who::Cold(Rules::without(Rule::Refill)), report::SEEDS);
    assert!(without.time > with.time + 0.01, "the rule is what helps: {with:?}, {without:?}");
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

/// A learnt start is no worse than a cold one, also where the first refusal is chance and where what
/// was learnt is wrong.
#[test]
fn a_learnt_start_is_no_worse_than_a_cold_one() {
    for (model, rate, header) in [
        (Model::W(1.0), 2.0, Header::Decimal),
        (Model::S(1.0), 2.0, Header::Whole),
        (Model::S(1.0), 2.0, Header::Decimal),
        (Model::S(1.0), 10.0, Header::Whole),
        (Model::W(10.0), 0.5, Header::Absent),
        (Model::W(30.0), 50.0, Header::Absent),
        (Model::A, 0.5, Header::Whole),
        (Model::B, 0.5, Header::Decimal),
    ] {
        let case = Case::new(model, rate, header, 0.12);
        let cold = measure(&case, Who::Cold(Rules::default()), report::SEEDS);
        let learnt = measure(&case, Who::Learnt(Rules::default()), report::SEEDS);
        assert!(learnt.time < cold.time + 0.02, "{case:?}: {learnt:?} after {cold:?}");
        assert!(learnt.share < 0.0125, "{case:?}: {learnt:?}");
    }
}

/// What was learnt of a window holds although the run before this one has just used more than half
/// of it.
#[test]
fn a_window_that_was_used_just_before_is_not_taken_for_a_smaller_one() {
    for (model, used) in
        [(Model::W(30.0), 180), (Model::S(30.0), 180), (Model::W(10.0), 60), (Model::S(10.0), 60)]
    {
        for header in [Header::Whole, Header::Decimal] {
            let case = Case { used, ..Case::new(model, 10.0, header, 0.12) };
            let again = measure(&case, Who::Learnt(Rules::default()), SEEDS);
            assert!(again.time < 1.03 && again.share < 0.02, "{case:?}: {again:?}");
        }
    }
    let case = Case { used: 180, ..Case::new(Model::S(30.0), 10.0, Header::Whole, 0.12) };
    let without = measure(&case, Who::Learnt(Rules::without(Rule::Shared)), SEEDS);
    assert!(without.time > 1.5, "the rule is what helps: {without:?}");
}

/// A run right after the one that taught it finds the bucket empty. It must not be much slower than
/// an oracle for that, nor hand a lower rate to the run after it.
#[test]
fn a_run_right_after_another_keeps_its_pace() {
    for case in odd::back_to_back_cells() {
        for (age, bound) in [(0.0, 1.07), (1.0, 1.05), (5.0, 1.05)] {
            let case = Case { age, ..case };
            let second = measure(&case, Who::Learnt(Rules::default()), report::SEEDS);
            let third = measure(&case, Who::Again(Rules::default()), report::SEEDS);
            assert!(second.time < bound && second.share < 0.01, "{case:?}: {second:?}");
            assert!(third.time < 1.10 && third.share < 0.01, "{case:?}: {third:?}");
            assert!(second.kept > 0.95 && third.kept > 0.95, "{case:?}: {second:?}, {third:?}");
        }
    }
}

/// One refusal with a long wait is no window until a second one agrees with it: neither this run nor
/// the next keeps to such a pace.
#[test]
fn a_stray_refusal_does_not_pin_the_pace() {
    for (rows, call, wait) in
        [(2_000, 60, 15.0), (2_000, 100, 30.0), (500, 10, 20.0), (50, 10, 605.0)]
    {
        let case = Case::new(Model::N(0.0), 1.0, Header::Whole, 0.12);
        let case = Case { rows, stray: Some((call, wait)), ..case };
        let own = cold(&case);
        assert!(own.time < 1.2 && own.refusals < 1.01 && own.early == 0, "{case:?}: {own:?}");
        let (_, learnt, _) = once(&case, Who::Cold(Rules::default()), 1, None);
        assert_eq!(learnt, None, "no limit has shown itself");
        let without = measure(&case, Who::Cold(Rules::without(Rule::Trial)), SEEDS);
        assert!(without.time > 4.0, "the rule is what helps: {case:?}: {without:?}");
    }
    for model in [Model::A, Model::B, Model::W(10.0)] {
        let case = Case::new(model, 10.0, Header::Whole, 0.12);
        let case = Case { stray: Some((60, 15.0)), ..case };
        let own = cold(&case);
        assert!(own.time < 1.06 && own.share < 0.02, "{case:?}: {own:?}");
        let next = measure(&case, Who::Learnt(Rules::default()), SEEDS);
        assert!(next.time < 1.05 && next.share < 0.01, "{case:?}: {next:?}");
    }
}
