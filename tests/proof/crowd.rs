//! Random people in random rows, and the reference model: where each row must end.
//!
//! The model is written from what is promised of rows, files and exit codes (README), and shares
//! no code with the program.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fastrand::Rng;
use registrant_import::registrant::Mode;

/// One row of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) tenant: String,
    pub(crate) user: String,
    pub(crate) note: String,
    /// Who it is, whatever the id: each has an address of their own.
    pub(crate) who: usize,
    /// How often the name was corrected.
    pub(crate) spelling: usize,
}

/// What the rows are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A meeting in this mode.
    Meeting(Mode),
    /// A webinar: `tenant` is the last name, `user` the e-mail address.
    Event,
}

impl Person {
    fn cells(&self) -> [&str; 4] {
        [&self.id, &self.tenant, &self.user, &self.note]
    }

    /// What follows the cells: whom the row is about, which a meeting is not sent.
    fn tail(&self, kind: Kind) -> String {
        match kind {
            Kind::Event => ",Ada".to_owned(),
            Kind::Meeting(_) => {
                let Self { who, spelling, .. } = self;
                format!(",Guest{who}x{spelling},guest{who}@example.org")
            }
        }
    }

    /// Who it is to the target: what is sent tells more than a name.
    pub(crate) fn identity(&self, kind: Kind) -> String {
        match kind {
            Kind::Meeting(Mode::Everyone) => self.who.to_string(),
            Kind::Meeting(Mode::Organization) => uuid::Uuid::try_parse(self.user.trim())
                .map_or_else(|_| self.user.clone(), |user| user.to_string()),
            Kind::Event => self.email(),
        }
    }

    /// A webinar's address.
    pub(crate) fn email(&self) -> String {
        self.user.trim().to_lowercase()
    }
}

/// An export as it is written: rows with their lines.
pub(crate) struct Export {
    pub(crate) text: String,
    pub(crate) rows: Vec<(u64, Person)>,
}

/// Where a row must end, once nothing is in the way any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Must {
    /// In the enrolled file.
    Enrolled,
    /// In the rejects file, with one of these codes.
    Invalid(BTreeSet<&'static str>),
    /// The target held this id before the first run.
    ExistsOnServer,
    /// Rows of one id differ in what is sent, or in whom they are about, so whoever came first was
    /// enrolled.
    EnrolledOrChanged,
    /// Rows of this export have one id and differ: it is that of whoever was enrolled with it, else of
    /// the first one. The others are invalid, or for a fault of their own.
    Contested(BTreeSet<&'static str>),
}

fn guid(random: &mut Rng) -> String {
    let hex = format!("{:032x}", random.u128(..));
    let hyphens = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
    match random.u8(..4) {
        0 => hyphens.to_uppercase(),
        1 => hex,
        2 => format!("{{{hyphens}}}"),
        _ => hyphens,
    }
}

fn id(random: &mut Rng, number: usize) -> String {
    match random.u8(..12) {
        0 => format!("a/b?{number}#%2e"),
        1 => format!("Żółć {number} \"x\""),
        2 => format!(" blank {number} "),
        3 => format!("comma,{number};"),
        4 => format!("{number}+&=%20'"),
        5 => format!("e\u{301}-{number}-\u{1f600}"),
        6 => format!("00{number}"),
        _ => format!("guest-{number:04}"),
    }
}

/// So many different people, and among them rows that are no people: faulty ones, repeats.
pub(crate) fn crowd(random: &mut Rng, people: usize, kind: Kind) -> Vec<Person> {
    let mut rows: Vec<Person> = Vec::new();
    let user = |random: &mut Rng, number: usize| match (kind, random.u8(..4)) {
        (Kind::Meeting(_), _) => guid(random),
        (Kind::Event, 0) => format!(" O'Hara+{number}@Example.ORG"),
        (Kind::Event, _) => format!("guest{number}@example.org"),
    };
    for number in 0..people {
        let note = if random.u8(..3) == 0 { "a \"b\", c".to_owned() } else { number.to_string() };
        let person = Person {
            id: id(random, number),
            tenant: guid(random),
            user: user(random, number),
            note,
            who: number,
            spelling: 0,
        };
        rows.push(person);
    }
    // Few enough that the id column is not taken for an order number.
    for number in 0..random.usize(..=people / 8) {
        let mut row = rows[random.usize(..people)].clone();
        match random.u8(..6) {
            0 => row.id = String::new(),
            1 => row.id = "1.84416E+10".into(),
            // A webinar's rows tell nobody apart but by what is sent.
            2 if kind == Kind::Event => row.note = "another person".into(),
            2 => (row.note, row.who) = ("another person".into(), 2_000 + number),
            3 => (row.user, row.who) = (user(random, 1_000 + number), 1_000 + number),
            _ => {}
        }
        rows.push(row);
    }
    for row in &mut rows {
        match random.u8(..40) {
            0 => row.tenant = String::new(),
            1 => row.user = "no-guid".into(),
            _ => {}
        }
    }
    rows
}

/// Has the person of the row at `at` told otherwise, in all rows that are equal to it but for their
/// faults; gives back who it was.
pub(crate) fn retell(rows: &mut [Person], at: usize, who: usize, spelling: usize) -> Person {
    let before = rows[at].clone();
    for row in rows.iter_mut().filter(|row| row.id == before.id && row.who == before.who) {
        (row.who, row.spelling) = (who, spelling);
    }
    before
}

/// Writes rows as an export; blank lines stand between some.
pub(crate) fn export(random: &mut Rng, rows: &[Person], kind: Kind) -> Export {
    let header = match kind {
        Kind::Meeting(_) => "id,tenantId,userId,note,name,email\n",
        Kind::Event => "id,lastName,email,note,firstName\n",
    };
    let mut text = header.to_owned();
    let mut lined = Vec::new();
    let mut line = 2;
    for row in rows {
        if random.u8(..30) == 0 {
            text.push('\n');
            line += 1;
        }
        let cells = row.cells().map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")));
        text.push_str(&cells.join(","));
        text.push_str(&row.tail(kind));
        text.push('\n');
        lined.push((line, row.clone()));
        line += 1;
    }
    Export { text, rows: lined }
}

fn is_guid(text: &str) -> bool {
    uuid::Uuid::try_parse(text.trim()).is_ok()
}

fn faults(row: &Person, kind: Kind) -> BTreeSet<&'static str> {
    let mut codes = BTreeSet::new();
    if row.id.trim().is_empty() {
        codes.insert("missing-id");
    } else if row.id == "1.84416E+10" {
        codes.insert("spreadsheet-id");
    }
    if kind == Kind::Event {
        if row.tenant.trim().is_empty() {
            codes.insert("missing-last-name");
        }
        if !row.user.contains('@') {
            codes.insert("bad-email");
        }
    }
    if kind == Kind::Meeting(Mode::Organization) {
        for (cell, missing, bad) in [
            (&row.tenant, "missing-tenant-id", "bad-tenant-id"),
            (&row.user, "missing-user-id", "bad-user-id"),
        ] {
            if cell.trim().is_empty() {
                codes.insert(missing);
            } else if !is_guid(cell) {
                codes.insert(bad);
            }
        }
    }
    codes
}

/// Where each row of an export must end. `everybody` are all rows of all exports, `strangers` the
/// ids that the target held before: a webinar's are taken over.
pub(crate) fn model(
    rows: &[(u64, Person)],
    kind: Kind,
    everybody: &[Person],
    strangers: &BTreeMap<String, String>,
) -> Vec<Must> {
    let mut sent: HashMap<&str, BTreeSet<(String, String)>> = HashMap::new();
    for row in everybody.iter().filter(|row| faults(row, kind).is_empty()) {
        let plain = |text: &str| uuid::Uuid::try_parse(text.trim()).map(|u| u.to_string());
        let fields = match kind {
            Kind::Meeting(Mode::Everyone) => (row.who.to_string(), String::new()),
            Kind::Event => (row.email(), String::new()),
            Kind::Meeting(Mode::Organization) => {
                (plain(&row.tenant).unwrap_or_default(), plain(&row.user).unwrap_or_default())
            }
        };
        sent.entry(&row.id).or_default().insert(fields);
    }
    let mut claimed: HashMap<&str, &Person> = HashMap::new();
    let mut contested: BTreeSet<&str> = BTreeSet::new();
    for (_, row) in rows.iter().filter(|(_, row)| !row.id.trim().is_empty()) {
        if *claimed.entry(&row.id).or_insert(row) != row {
            contested.insert(&row.id);
        }
    }
    rows.iter()
        .map(|(_, row)| {
            let codes = faults(row, kind);
            if contested.contains(row.id.as_str()) {
                Must::Contested(codes)
            } else if !codes.is_empty() {
                Must::Invalid(codes)
            } else if kind != Kind::Event && strangers.contains_key(&row.id) {
                Must::ExistsOnServer
            } else if sent[row.id.as_str()].len() > 1 {
                Must::EnrolledOrChanged
            } else {
                Must::Enrolled
            }
        })
        .collect()
}
