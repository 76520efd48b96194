//! What a run sent and what came back, counted from its attempts: for the report, the metrics and a
//! rehearsal's verdict on the pace.
//!
//! The database counts; what comes back does not grow with the run. Times are milliseconds.

use rusqlite::{Connection, params};

use super::{Ledger, LedgerError, schema};

/// The writes of one run: POSTs and DELETEs of registrants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunTraffic {
    /// When the first was sent, since 1970.
    pub first: i64,
    /// When the last answer was complete, since 1970.
    pub last: i64,
    /// By call and HTTP status (`None`: no answer), commonest first.
    pub answers: Vec<Answers>,
    /// How long a slot of `slots` is.
    pub slot: i64,
    /// From the first on, one after another: what was sent in each.
    pub slots: Vec<TrafficSlot>,
    /// How long answers took, throttled ones left out.
    pub latency: AnswerTimes,
}

/// Answers of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// `POST` or `DELETE`.
    pub call: String,
    /// The HTTP status.
    pub status: Option<u16>,
    /// How many.
    pub count: u64,
}

/// What became of the requests that were sent in one slot of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficSlot {
    /// Done, by the server's word.
    pub accepted: u64,
    /// Asked to come again later.
    pub throttled: u64,
    /// No answer, or a server error.
    pub failed: u64,
    /// Any other answer.
    pub other: u64,
}

impl TrafficSlot {
    /// All of them.
    pub fn sum(&self) -> u64 {
        self.accepted + self.throttled + self.failed + self.other
    }
}

/// How long answers took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerTimes {
    /// How many were measured.
    pub count: u64,
    /// `PERCENTILES` of them took at most so long.
    pub percentiles: [i64; PERCENTILES.len()],
    pub longest: i64,
    /// How many took less than each of `EDGES` and not less than the one before; the last is the
    /// rest.
    pub histogram: [u64; EDGES.len() + 1],
}

/// Which percentiles are told.
pub const PERCENTILES: [u8; 4] = [50, 90, 95, 99];

/// The upper edges of the histogram: six a decade.
pub const EDGES: [i64; 28] = [
    2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000,
    5_000, 7_000, 10_000, 15_000, 20_000, 30_000, 50_000, 70_000,
];

/// Lengths of a slot that a person can name.
const STEPS: [i64; 18] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000,
    1_200_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000,
];

impl Ledger {
    /// What this run sent, in at most about `slots` slots of time; `None` where it sent nothing.
    pub fn traffic(&self, slots: u16) -> Result<Option<RunTraffic>, LedgerError> {
        of_run(self.connection(), self.run()?, slots)
    }
}

fn of_run(db: &Connection, run: i64, slots: u16) -> Result<Option<RunTraffic>, LedgerError> {
    let span =
        "SELECT min(sent_at), max(coalesce(answered_at, sent_at)) FROM attempt WHERE run = ?";
    let span = db.query_row(span, [run], |row| Ok(row.get(0).ok().zip(row.get(1).ok())))?;
    let Some((first, last)): Option<(i64, i64)> = span else { return Ok(None) };
    let slot = step((last - first).max(0), slots);
    let mut traffic = RunTraffic { first, last, slot, ..RunTraffic::default() };
    let query = "SELECT call, status, count(*) FROM attempt WHERE run = ?
                 GROUP BY call, status ORDER BY 3 DESC, 1, 2";
    traffic.answers = schema::rows(db, query, [run], |row| {
        Ok(Answers { call: row.get(0)?, status: row.get(1)?, count: unsigned(row.get(2)?) })
    })?;
    traffic.slots = slots_of(db, run, first, slot)?;
    traffic.latency = latency(db, run)?;
    Ok(Some(traffic))
}

/// The shortest step in which the span fills at most so many slots.
fn step(span: i64, slots: u16) -> i64 {
    let fits = |step: &i64| span / step < i64::from(slots.max(1));
    STEPS.into_iter().find(fits).unwrap_or_else(|| span / i64::from(slots.max(1)) + 1)
}

fn slots_of(
    db: &Connection,
    run: i64,
    first: i64,
    slot: i64,
) -> Result<Vec<TrafficSlot>, LedgerError> {
    let mut statement = db.prepare(
        "SELECT (sent_at - ?2) / ?3, count(*) FILTER (WHERE verdict = 'done'),
                count(*) FILTER (WHERE verdict = 'throttled'),
                count(*) FILTER (WHERE verdict IN ('again', 'unknown', 'lost')), count(*)
         FROM attempt WHERE run = ?1 GROUP BY 1 ORDER BY 1",
    )?;
    let mut slots = Vec::new();
    let mut rows = statement.query(params![run, first, slot])?;
    while let Some(row) = rows.next()? {
        let count = |column: usize| row.get(column).map(unsigned);
        let (accepted, throttled, failed) = (count(1)?, count(2)?, count(3)?);
        let other = count(4)?.saturating_sub(accepted + throttled + failed);
        let place = usize::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
        slots.resize(slots.len().max(place + 1), TrafficSlot::default());
        slots[place] = TrafficSlot { accepted, throttled, failed, other };
    }
    Ok(slots)
}

/// Each distinct length once, with its count: there are no more of them than milliseconds in
/// `--timeout`, and they pass by one after another.
fn latency(db: &Connection, run: i64) -> Result<AnswerTimes, LedgerError> {
    const WHICH: &str =
        "FROM attempt WHERE run = ? AND status IS NOT NULL AND verdict <> 'throttled'";
    let mut latency = AnswerTimes::default();
    let query = format!("SELECT count(*) {WHICH}");
    latency.count = db.query_row(&query, [run], |row| row.get(0).map(unsigned))?;
    let query =
        format!("SELECT max(answered_at - sent_at, 0), count(*) {WHICH} GROUP BY 1 ORDER BY 1");
    let mut statement = db.prepare(&query)?;
    let mut rows = statement.query([run])?;
    let (mut seen, mut next) = (0, 0);
    while let Some(row) = rows.next()? {
        let (length, count) = (row.get(0)?, unsigned(row.get(1)?));
        let bin = EDGES.iter().position(|edge| length < *edge).unwrap_or(EDGES.len());
        latency.histogram[bin] += count;
        latency.longest = length;
        seen += count;
        while next < PERCENTILES.len() && seen * 100 >= latency.count * u64::from(PERCENTILES[next])
        {
            latency.percentiles[next] = length;
            next += 1;
        }
    }
    Ok(latency)
}

fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(attempts: &[(i64, i64, Option<u16>, &str)]) -> Connection {
        let db = Connection::open_in_memory().expect("a database");
        db.execute_batch(
            "CREATE TABLE attempt (run, call, sent_at, answered_at, status, verdict);
             INSERT INTO attempt VALUES (1, 'POST', 0, 1, 200, 'done')",
        )
        .expect("a table");
        for (sent, took, status, verdict) in attempts {
            db.execute(
                "INSERT INTO attempt VALUES (2, 'POST', ?, ?, ?, ?)",
                params![sent, sent + took, status, verdict],
            )
            .expect("inserts");
        }
        db
    }

    #[test]
    fn a_run_that_sent_nothing_has_no_traffic() {
        assert_eq!(of_run(&with(&[]), 2, 60).expect("reads"), None);
    }

    #[test]
    fn requests_are_counted_by_time_status_and_length() {
        let mut attempts: Vec<_> =
            (1..=100).map(|n| (10_000 + n * 100, n, Some(201), "done")).collect();
        attempts.push((12_000, 3, Some(429), "throttled"));
        attempts.push((12_050, 9_000, None, "unknown"));
        attempts.push((13_000, 5, Some(400), "refused"));
        let traffic = of_run(&with(&attempts), 2, 10).expect("reads").expect("sent");
        assert_eq!((traffic.first, traffic.last, traffic.slot), (10_100, 21_050, 2_000));
        assert_eq!(traffic.slots.len(), 5);
        assert_eq!(
            traffic.slots[0],
            TrafficSlot { accepted: 20, throttled: 1, failed: 1, other: 0 }
        );
        assert_eq!(traffic.slots[1].other, 1);
        assert_eq!(traffic.slots.iter().map(TrafficSlot::sum).sum::<u64>(), 103);
        let answers: Vec<_> = traffic.answers.iter().map(|a| (a.status, a.count)).collect();
        assert_eq!(answers, [(Some(201), 100), (None, 1), (Some(400), 1), (Some(429), 1)]);
        assert_eq!(traffic.latency.count, 101);
        assert_eq!(traffic.latency.percentiles, [50, 90, 95, 99]);
        assert_eq!(traffic.latency.longest, 100);
        assert_eq!(traffic.latency.histogram.iter().sum::<u64>(), 101);
        assert_eq!(traffic.latency.histogram[0], 1, "one took less than 2 ms");
    }

    #[test]
    fn a_long_run_has_no_more_slots_than_a_short_one() {
        for span in [0, 1, 59_999, 60_000, 3_600_000, 14 * 86_400_000] {
            assert!(span / step(span, 60) < 60, "{span}");
        }
    }
}
