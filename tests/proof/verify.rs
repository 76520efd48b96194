//! Holds what a run left behind against the books of the server.

use std::{collections::BTreeMap, path::Path};

use registrant_import::simulator::Simulator;

/// A row of the rejects file.
#[derive(Clone, Debug)]
pub(crate) struct Reject {
    pub(crate) outcome: String,
    pub(crate) code: String,
}

/// Both files, read back.
pub(crate) struct Written {
    /// Id, link and status, in the file's order.
    pub(crate) enrolled: Vec<(String, String, String)>,
    /// By line.
    pub(crate) rejects: BTreeMap<u64, Reject>,
}

impl Written {
    /// Reads both files.
    pub(crate) fn read(enrolled: &Path, rejects: &Path) -> Self {
        let mut reader = csv::Reader::from_path(enrolled).expect("the enrolled file is there");
        let enrolled = reader
            .records()
            .map(|record| {
                let record = record.expect("the enrolled file is CSV");
                (record[0].to_owned(), record[1].to_owned(), record[3].to_owned())
            })
            .collect();
        let mut reader = csv::Reader::from_path(rejects).expect("the rejects file is there");
        let mut lines = BTreeMap::new();
        for record in reader.records() {
            let record = record.expect("the rejects file is CSV");
            let from_the_end = |at: usize| record[record.len() - at].to_owned();
            let line = from_the_end(4).parse().expect("_line is a number");
            let reject = Reject { outcome: from_the_end(3), code: from_the_end(2) };
            let before = lines.insert(line, reject);
            assert!(before.is_none(), "line {line} is rejected twice");
        }
        Self { enrolled, rejects: lines }
    }

    /// Gives each row of the input its end: the reject, or the next line of the enrolled file,
    /// which must be its own. So every row ends exactly once, in the input's order.
    pub(crate) fn ends<'a>(
        &self,
        rows: impl Iterator<Item = (u64, &'a str)>,
    ) -> Vec<Result<(String, String), Reject>> {
        let mut enrolled = self.enrolled.iter();
        let mut rejected = 0;
        let ends = rows
            .map(|(line, id)| {
                if let Some(reject) = self.rejects.get(&line) {
                    rejected += 1;
                    return Err(reject.clone());
                }
                let found = enrolled.next();
                let (own, link, status) =
                    found.unwrap_or_else(|| panic!("line {line} is in neither file"));
                assert_eq!(own, id, "line {line} is missing from the enrolled file");
                Ok((link.clone(), status.clone()))
            })
            .collect();
        assert_eq!(enrolled.count(), 0, "the enrolled file has rows that the input has not");
        assert_eq!(
            rejected,
            self.rejects.len(),
            "the rejects file has rows that the input has not"
        );
        ends
    }
}

/// Who is on the server with which link; nobody may be there twice.
pub(crate) fn books(simulator: &Simulator) -> BTreeMap<String, String> {
    let mut links = BTreeMap::new();
    for enrolment in simulator.books().registrants {
        // A webinar's who is not approved yet has none.
        let link = enrolment.join_web_url.unwrap_or_default();
        let id = enrolment.id;
        let before = links.insert(id.clone(), link);
        assert!(before.is_none(), "`{id}` is enrolled twice");
    }
    links
}
