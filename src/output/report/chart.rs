//! Charts as inline SVG. The drawing is stretched to the page's width and the words stand beside it
//! as text, so that they keep their size on a phone and on paper.

use maud::{Markup, html};

use crate::{
    ledger::{AnswerTimes, EDGES, RunTraffic, TrafficSlot},
    output::words::{grouped, length},
};

/// The drawing's own width and height; the page stretches both.
const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 100.0;

/// A line across the chart of the pace.
pub(super) struct Mark {
    /// Where it stands, a second.
    pub(super) per_second: f64,
    /// Over which time it counts, in seconds.
    pub(super) window: f64,
    /// Its class: `learnt` or `ceiling`.
    pub(super) class: &'static str,
}

/// Requests by what became of them, one column a slot of time.
pub(super) fn requests(traffic: &RunTraffic) -> Markup {
    let top = nice(traffic.slots.iter().map(TrafficSlot::sum).max().unwrap_or(0).max(1));
    let width = WIDTH / number(traffic.slots.len().max(1) as u64);
    let label = "Requests over time, each column a slot of time, by what became of them";
    let drawing = html! {
        @for (nth, slot) in traffic.slots.iter().enumerate() {
            @let parts = [
                ("accepted", slot.accepted),
                ("throttled", slot.throttled),
                ("failed", slot.failed),
                ("refused", slot.other),
            ];
            @for (place, (class, count)) in parts.iter().enumerate() {
                @if *count > 0 {
                    @let below: u64 = parts[..place].iter().map(|(_, count)| count).sum();
                    @let height = HEIGHT * number(*count) / number(top);
                    rect class=(class)
                        x=(short(number(nth as u64) * width + width * 0.08))
                        width=(short(width * 0.84))
                        y=(short(HEIGHT - HEIGHT * number(below) / number(top) - height))
                        height=(short(height)) {}
                }
            }
        }
    };
    framed(label, &drawing, &levels(top), &times(traffic))
}

/// Accepted requests in the unit of `per` seconds, and the limits beside them.
pub(super) fn pace(traffic: &RunTraffic, per: f64, marks: &[Mark]) -> Markup {
    let window = marks.iter().map(|mark| mark.window).fold(1.0, f64::max);
    let rates: Vec<f64> = rates(traffic, window).map(|rate| rate * per).collect();
    let highest = rates.iter().copied().chain(marks.iter().map(|mark| mark.per_second * per));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate")]
    let top = nice(highest.fold(1.0, f64::max).ceil() as u64);
    let height = |rate: f64| short(HEIGHT - HEIGHT * rate / number(top));
    let width = WIDTH / number(rates.len().max(1) as u64);
    let mut path = String::new();
    for (nth, rate) in rates.iter().enumerate() {
        let (from, to) = (number(nth as u64) * width, number(nth as u64 + 1) * width);
        path.push_str(&format!(
            " L{} {} L{} {}",
            short(from),
            height(*rate),
            short(to),
            height(*rate)
        ));
    }
    let label = "Accepted requests over time, against the limits";
    let drawing = html! {
        path.area d=(format!("M0 {HEIGHT}{path} L{WIDTH} {HEIGHT} Z")) {}
        path.line d=(path.replacen(" L", "M", 1)) {}
        @for mark in marks {
            @let y = height(mark.per_second * per);
            line class=(mark.class) x1="0" x2=(WIDTH) y1=(y) y2=(y) {}
        }
    };
    framed(label, &drawing, &levels(top), &times(traffic))
}

/// Accepted requests a second, slot by slot, each over the `window` seconds that end with it: in
/// anything shorter than a limit's own window, a burst that the limit allows looks like a breach.
fn rates(traffic: &RunTraffic, window: f64) -> impl Iterator<Item = f64> {
    let slots = &traffic.slots;
    let slot = number(traffic.slot.unsigned_abs().max(1)) / 1_000.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few slots")]
    let together = ((window / slot).ceil() as usize).clamp(1, slots.len().max(1));
    let span = number((traffic.last - traffic.first).unsigned_abs()) / 1_000.0;
    // The last slot counts as long as it lasted.
    let missing = (number(slots.len() as u64) * slot - span).clamp(0.0, slot / 2.0);
    (0..slots.len()).map(move |nth| {
        let from = (nth + 1).saturating_sub(together);
        let accepted: u64 = slots[from..=nth].iter().map(|slot| slot.accepted).sum();
        let lasted = number(together as u64) * slot;
        let lasted = if nth + 1 == slots.len() { lasted - missing } else { lasted };
        number(accepted) / lasted
    })
}

/// How long answers took.
pub(super) fn latency(latency: &AnswerTimes) -> Markup {
    let bins = &latency.histogram;
    let first = bins.iter().position(|count| *count > 0).unwrap_or(0);
    let last = bins.iter().rposition(|count| *count > 0).unwrap_or(0);
    // A column or two of nothing on each side show that it ends there.
    let (first, last) = (first.saturating_sub(1), (last + 1).min(bins.len() - 1));
    let shown = &bins[first..=last];
    let top = nice(shown.iter().copied().max().unwrap_or(0).max(1));
    let width = WIDTH / number(shown.len() as u64);
    let drawing = html! {
        @for (nth, count) in shown.iter().enumerate() {
            @let height = HEIGHT * number(*count) / number(top);
            rect.latency
                x=(short(number(nth as u64) * width + width * 0.04)) width=(short(width * 0.92))
                y=(short(HEIGHT - height)) height=(short(height)) {}
        }
    };
    let every = shown.len().div_ceil(6);
    let names = (first..last)
        .step_by(every)
        .filter_map(|bin| {
            let place = 100.0 * number((bin - first + 1) as u64) / number(shown.len() as u64);
            EDGES.get(bin).map(|edge| (place, milliseconds(*edge)))
        })
        .filter(|(place, _)| *place < 94.0);
    let names: Vec<(f64, String)> = names.collect();
    framed("How many answers took how long", &drawing, &levels(top), &names)
}

/// `90 ms`, `1.5 s`, `70 s`.
pub(super) fn milliseconds(length: i64) -> String {
    if length < 1_000 {
        return format!("{length} ms");
    }
    let seconds = number(length.unsigned_abs()) / 1_000.0;
    let text = if seconds < 10.0 { format!("{seconds:.1}") } else { format!("{seconds:.0}") };
    format!("{} s", text.trim_end_matches(".0"))
}

/// The drawing with its levels on the left and its places below, both in percent.
fn framed(
    label: &str,
    drawing: &Markup,
    levels: &[(f64, String)],
    places: &[(f64, String)],
) -> Markup {
    html! {
        div.chart {
            div.levels aria-hidden="true" {
                @for (percent, text) in levels {
                    span style=(format!("bottom:{}%", short(*percent))) { (text) }
                }
            }
            div.plot {
                svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none"
                    role="img" aria-label=(label) {
                    @for (percent, _) in levels {
                        @let y = short(HEIGHT - percent);
                        line.grid x1="0" x2=(WIDTH) y1=(y) y2=(y) {}
                    }
                    (*drawing)
                }
            }
            div.places aria-hidden="true" {
                @for (percent, text) in places {
                    span style=(format!("left:{}%", short(*percent))) { (text) }
                }
            }
        }
    }
}

/// Nothing, half, all.
fn levels(top: u64) -> Vec<(f64, String)> {
    let half = if top.is_multiple_of(2) { Some((50.0, grouped(top / 2))) } else { None };
    [Some((0.0, "0".to_owned())), half, Some((100.0, grouped(top)))].into_iter().flatten().collect()
}

/// Three to five times since the first request.
fn times(traffic: &RunTraffic) -> Vec<(f64, String)> {
    const STEPS: [u64; 20] = [
        1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200,
        86_400, 172_800, 604_800,
    ];
    let span = number(traffic.slots.len() as u64) * number(traffic.slot.unsigned_abs()) / 1_000.0;
    let step = STEPS.into_iter().find(|step| span / number(*step) <= 5.0).unwrap_or(604_800);
    (0..6)
        .map(|nth| nth * step)
        .map(|second| (100.0 * number(second) / span.max(0.1), whole(second)))
        .take_while(|(place, _)| *place <= 93.0)
        .collect()
}

/// `0`, `40 s`, `2 min`, `1 h 30 min`.
fn whole(seconds: u64) -> String {
    let text = length(std::time::Duration::from_secs(seconds));
    if seconds == 0 { "0".to_owned() } else { text.replace(" 0 s", "").replace(" 0 min", "") }
}

/// The next number above that a person likes to see on an axis.
fn nice(highest: u64) -> u64 {
    let mut unit = 1;
    loop {
        for step in [10, 12, 16, 20, 30, 40, 60, 80] {
            // Below ten there are no tenths.
            let number = step * unit / 10;
            if number >= highest && (step * unit).is_multiple_of(10) {
                return number;
            }
        }
        unit *= 10;
    }
}

/// Two decimals at most.
fn short(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "counts and milliseconds of a run")]
pub(super) fn number(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_with_a_number_that_a_person_likes() {
        for (highest, top) in [
            (0, 1),
            (1, 1),
            (3, 3),
            (5, 6),
            (9, 10),
            (11, 12),
            (47, 60),
            (107, 120),
            (6_500, 8_000),
        ] {
            assert_eq!(nice(highest), top);
        }
    }

    #[test]
    fn a_burst_that_a_limit_allows_is_no_breach() {
        let slot = |accepted| TrafficSlot { accepted, ..TrafficSlot::default() };
        let slots = vec![slot(8), slot(0), slot(4), slot(4)];
        let traffic = RunTraffic { slot: 500, last: 2_000, slots, ..RunTraffic::default() };
        assert_eq!(rates(&traffic, 1.0).collect::<Vec<_>>(), [8.0, 8.0, 4.0, 8.0]);
        assert_eq!(rates(&traffic, 0.1).collect::<Vec<_>>(), [16.0, 0.0, 8.0, 8.0]);
        assert_eq!(rates(&traffic, 60.0).last(), Some(8.0));
    }

    #[test]
    fn times_below_the_chart_are_few_and_round() {
        for (slots, slot, last) in [(3, 100, "0"), (70, 1_000, "1 min"), (60, 60_000, "45 min")] {
            let traffic = RunTraffic {
                slots: vec![TrafficSlot::default(); slots],
                slot,
                ..RunTraffic::default()
            };
            let times = times(&traffic);
            assert!((1..=5).contains(&times.len()), "{times:?}");
            assert_eq!(times.last().map(|(_, text)| text.as_str()), Some(last), "{times:?}");
        }
    }
}
