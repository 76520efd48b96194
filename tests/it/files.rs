//! The files of a run, read as a user's next program would read them.

use std::collections::BTreeMap;

use url::Url;

use crate::context::Context;

/// A row of an enrolled file.
pub(crate) struct Enrolled {
    pub(crate) id: String,
    pub(crate) link: String,
    pub(crate) status: String,
}

/// A row of a rejects file.
pub(crate) struct Rejected {
    pub(crate) outcome: String,
    pub(crate) code: String,
}

/// The rows of an enrolled file.
pub(crate) fn enrolled(context: &Context, name: &str) -> Vec<Enrolled> {
    let text = context.read(name);
    assert!(text.starts_with("id,joinWebUrl,registrantId,status"), "{name}: its header");
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    rows.records()
        .map(|row| {
            let row = row.expect("an enrolled file is a sound CSV");
            Enrolled { id: row[0].into(), link: row[1].into(), status: row[3].into() }
        })
        .collect()
}

/// The rows of a rejects file.
pub(crate) fn rejected(context: &Context, name: &str) -> Vec<Rejected> {
    let text = context.read(name);
    let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    assert!(text.lines().next().is_some_and(|l| l.ends_with("_line,_outcome,_code,_reason")));
    rows.records()
        .map(|row| {
            let row = row.expect("these rejects are sound CSV");
            // From the end: a row with a cell too few stands here as it was.
            let last = |nth: usize| row[row.len() - nth].to_owned();
            Rejected { outcome: last(3), code: last(2) }
        })
        .collect()
}

/// One column of a CSV file.
pub(crate) fn column(context: &Context, name: &str, column: &str) -> Vec<String> {
    let text = context.read(name);
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let header = rows.headers().expect("a header").clone();
    let at = header.iter().position(|name| name == column).expect("the column");
    rows.records().map(|row| row.expect("sound CSV")[at].to_owned()).collect()
}

/// The id that a join link was made for.
pub(crate) fn prid(link: &str) -> String {
    let url = Url::parse(link).expect("a join link is a URL");
    let (_, context) = url.query_pairs().find(|(name, _)| name == "context").expect("a context");
    let context: serde_json::Value = serde_json::from_str(&context).expect("a context is JSON");
    context["prid"].as_str().expect("a prid").to_owned()
}

/// Asserts that each link was made for its own row, and that two ids share none.
pub(crate) fn each_link_is_its_own(rows: &[Enrolled]) {
    let mut owners = BTreeMap::new();
    for row in rows {
        assert_eq!(prid(&row.link), row.id);
        assert_eq!(*owners.entry(&row.link).or_insert(&row.id), &row.id, "a link of two people");
    }
}
