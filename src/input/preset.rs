//! The event systems whose exports are known: one table, one row a system.
//!
//! A preset is data. It is recognised by its signature (columns that no other system's header has
//! together), says which columns are the id, the names and the e-mail, and which status values
//! leave a row out. Values that a table does not list stay in: nobody is left out by a status that
//! was not known here. Header words come from public exports and from the systems' own sources and
//! help pages; systems that translate their headers are recognised in English only.

use std::{collections::HashSet, str::FromStr};

use super::header::{find, normal};

/// What is known of one system's export.
#[derive(Debug)]
pub struct Preset {
    /// What `--preset` calls it.
    pub name: &'static str,
    /// The system and the export's name in it.
    pub title: &'static str,
    /// The columns that tell it from all others.
    pub(super) signature: &'static [&'static str],
    /// The id, the best choice first; `A+B` composes. Empty: the export has none.
    pub(super) id: &'static [&'static str],
    /// Choices for `firstName`.
    pub(super) first_name: &'static [&'static str],
    /// Choices for `lastName`.
    pub(super) last_name: &'static [&'static str],
    /// The column with the whole name, for an export without the two, or with them empty.
    pub(super) full_name: Option<&'static str>,
    /// Choices for `email`.
    pub(super) email: &'static [&'static str],
    /// Which rows are left out.
    pub(super) status: Option<Status>,
    /// Columns that look like an id and are shared by several people.
    pub(super) traps: &'static [&'static str],
    /// What a user of this export must know.
    pub(super) advice: Option<&'static str>,
}

/// A column that says whether a person comes.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) column: &'static str,
    pub(super) left_out: &'static [&'static str],
}

const fn status(column: &'static str, left_out: &'static [&'static str]) -> Status {
    Status { column, left_out }
}

const FIRST: &[&str] = &["First Name"];
const LAST: &[&str] = &["Last Name"];
const EMAIL: &[&str] = &["Email"];

/// Every known export. Adding a system is adding a row.
pub(super) static PRESETS: &[Preset] = &[
    Preset {
        name: "eventbrite",
        title: "Eventbrite attendee summary",
        signature: &["Order #", "Attendee #"],
        id: &["Attendee #"],
        first_name: FIRST,
        last_name: LAST,
        full_name: None,
        email: EMAIL,
        status: Some(status("Attendee Status", &["Not Attending", "Refunded", "Deleted"])),
        traps: &["Order #"],
        advice: None,
    },
    Preset {
        name: "pretix",
        title: "pretix order data, sheet “Order positions”",
        signature: &["Order code", "Position ID"],
        id: &["Order code+Position ID", "Pseudonymization ID"],
        first_name: &["Attendee name: Given name"],
        last_name: &["Attendee name: Family name"],
        full_name: Some("Attendee name"),
        email: &["Attendee email", "Email"],
        status: Some(status("Status", &["Canceled", "Cancelled", "Expired"])),
        traps: &["Order code", "Position ID"],
        advice: None,
    },
    Preset {
        name: "zoom",
        title: "Zoom registration or attendee report",
        signature: &["First Name", "Last Name", "Email", "Registration Time", "Approval Status"],
        id: &[],
        first_name: FIRST,
        last_name: LAST,
        full_name: None,
        email: EMAIL,
        status: Some(status("Approval Status", &["denied", "cancelled", "canceled"])),
        traps: &[],
        advice: Some(
            "Zoom exports no id; the e-mail can serve (--map id=Email), but an attendee report repeats it for each join: prefer the registration report",
        ),
    },
    Preset {
        name: "luma",
        title: "Luma guests",
        signature: &["approval_status", "qr_code_url"],
        id: LUMA_ID,
        first_name: FIRST,
        last_name: LAST,
        full_name: Some("name"),
        email: EMAIL,
        status: Some(LUMA_STATUS),
        traps: &[],
        advice: None,
    },
    Preset {
        name: "luma",
        title: "Luma guests",
        signature: &["api_id", "approval_status"],
        id: LUMA_ID,
        first_name: FIRST,
        last_name: LAST,
        full_name: Some("name"),
        email: EMAIL,
        status: Some(LUMA_STATUS),
        traps: &[],
        advice: None,
    },
    Preset {
        name: "luma",
        title: "Luma guests",
        signature: &["guest_id", "approval_status"],
        id: LUMA_ID,
        first_name: FIRST,
        last_name: LAST,
        full_name: Some("name"),
        email: EMAIL,
        status: Some(LUMA_STATUS),
        traps: &[],
        advice: None,
    },
    Preset {
        name: "tito",
        title: "Tito tickets",
        signature: &["Ticket Reference", "Order Reference"],
        id: &["Ticket Reference"],
        first_name: &["Ticket First Name"],
        last_name: &["Ticket Last Name"],
        full_name: Some("Ticket Full Name"),
        email: &["Ticket Email"],
        status: Some(status("Void Status", &["void", "voided", "true", "yes"])),
        traps: &["Order Reference", "Number"],
        advice: None,
    },
    Preset {
        name: "meetup",
        title: "Meetup attendees",
        signature: &["User ID", "RSVP"],
        id: &["User ID"],
        first_name: &[],
        last_name: &[],
        full_name: Some("Name"),
        email: &[],
        status: Some(status("RSVP", &["No", "Waitlist"])),
        traps: &[],
        advice: Some("Meetup exports no e-mail, so it can fill a meeting and no webinar"),
    },
    Preset {
        name: "teams",
        title: "Microsoft Teams attendance report",
        signature: &["Participant ID (UPN)", "First Join"],
        id: &[],
        first_name: &[],
        last_name: &[],
        full_name: Some("Name"),
        email: EMAIL,
        status: None,
        traps: &[],
        advice: Some(
            "Teams exports no id; try --map id='Participant ID (UPN)' (guests may have none)",
        ),
    },
    Preset {
        name: "indico",
        title: "Indico registrations",
        signature: &["ID", "Name", "Registration state"],
        id: &["ID"],
        first_name: FIRST,
        last_name: LAST,
        full_name: Some("Name"),
        email: &["Email Address", "Email"],
        status: Some(status("Registration state", &["Withdrawn", "Rejected"])),
        traps: &[],
        advice: Some(
            "Indico numbers the registrations of every event from 1: give --id-prefix when several events share a target",
        ),
    },
    Preset {
        name: "google-forms",
        title: "Google Forms responses",
        signature: &["Timestamp", "Email Address"],
        id: &[],
        first_name: FIRST,
        last_name: LAST,
        full_name: None,
        email: &["Email Address"],
        status: None,
        traps: &["Timestamp"],
        advice: Some("Google Forms exports no id; try --map id='Email Address'"),
    },
    Preset {
        name: "hubspot",
        title: "HubSpot contacts",
        signature: &["Record ID", "First Name", "Last Name", "Email"],
        id: &["Record ID"],
        first_name: FIRST,
        last_name: LAST,
        full_name: None,
        email: EMAIL,
        status: None,
        traps: &[],
        advice: None,
    },
    Preset {
        name: "salesforce",
        title: "Salesforce campaign members report",
        signature: &["Campaign Member ID", "Member Status"],
        id: &["Campaign Member ID"],
        first_name: FIRST,
        last_name: LAST,
        full_name: None,
        email: EMAIL,
        status: None,
        traps: &["Campaign ID"],
        advice: None,
    },
    Preset {
        name: "ringcentral",
        title: "RingCentral Events (Hopin) registrants",
        signature: &["ExternalBarcode", "FirstName", "LastName", "Email"],
        id: &["ExternalBarcode"],
        first_name: FIRST,
        last_name: LAST,
        full_name: None,
        email: EMAIL,
        status: None,
        traps: &[],
        advice: None,
    },
    Preset {
        name: "cvent",
        title: "Cvent registrations",
        signature: &["Registration ID", "Reg Type", "Registration Status"],
        id: &["Registration ID"],
        first_name: FIRST,
        last_name: LAST,
        full_name: None,
        email: &["Email", "Email Address"],
        status: Some(status("Registration Status", &["Cancelled", "Canceled", "Declined"])),
        traps: &["Confirmation Number"],
        advice: None,
    },
    Preset {
        name: "wild-apricot",
        title: "Wild Apricot registrations",
        signature: &["Registration ID", "Registration status"],
        id: &["Registration ID"],
        first_name: FIRST,
        last_name: LAST,
        full_name: None,
        email: EMAIL,
        status: Some(status("Registration status", &["Cancelled", "Canceled"])),
        traps: &[],
        advice: None,
    },
];

const LUMA_ID: &[&str] = &["guest_id", "api_id"];
const LUMA_STATUS: Status =
    status("approval_status", &["pending_approval", "declined", "invited", "waitlist"]);

impl Preset {
    /// Whether every column of the signature stands in this header.
    pub(super) fn matches(&self, names: &[String]) -> bool {
        self.signature.iter().all(|column| !find(names, column).is_empty())
    }

    /// The known export that this header belongs to, the most telling signature first.
    pub(super) fn recognise(names: &[String]) -> Option<&'static Self> {
        let known: HashSet<String> = names.iter().map(|name| normal(name)).collect();
        let matching = PRESETS
            .iter()
            .filter(|preset| preset.signature.iter().all(|column| known.contains(&normal(column))));
        matching.reduce(
            |best, next| {
                if next.signature.len() > best.signature.len() { next } else { best }
            },
        )
    }
}

/// `--preset NAME`, or `none` for no preset at all.
#[derive(Clone, Copy, Debug)]
pub enum PresetChoice {
    /// Take none, even if the header is known.
    Nothing,
    /// Take this one.
    Named(&'static Preset),
}

/// A name that is no preset's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no preset; there are none, {list}", list = names().join(", "))]
pub struct UnknownPreset(pub String);

/// The names that `--preset` takes, beside `none`.
#[must_use]
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
    names.dedup();
    names
}

impl FromStr for PresetChoice {
    type Err = UnknownPreset;

    fn from_str(text: &str) -> Result<Self, UnknownPreset> {
        let wanted = text.trim();
        if wanted.eq_ignore_ascii_case("none") {
            return Ok(Self::Nothing);
        }
        PRESETS
            .iter()
            .find(|preset| preset.name.eq_ignore_ascii_case(wanted))
            .map(Self::Named)
            .ok_or_else(|| UnknownPreset(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signature_is_recognised_as_its_own() {
        for preset in PRESETS {
            let names: Vec<String> = preset.signature.iter().map(|&n| n.to_owned()).collect();
            let found = Preset::recognise(&names).expect(preset.name);
            assert_eq!(found.name, preset.name);
            assert!(
                matches!(preset.name.parse(), Ok(PresetChoice::Named(p)) if p.name == preset.name)
            );
        }
        assert!(Preset::recognise(&["id".into(), "name".into(), "Email".into()]).is_none());
        assert!("eventbright".parse::<PresetChoice>().is_err());
        assert!(matches!("none".parse(), Ok(PresetChoice::Nothing)));
    }
}
