//! The event systems whose exports are known: one table, one row a system.
//!
//! A preset is data. It is recognised by its signature (columns that no other system's header has
//! together), says which columns are the id, the names and the e-mail, and which status values
//! leave a row out. Values that a table does not list stay in, and are told: nobody is left
//! out by a status that was not known here, and nobody is enrolled by it unseen. Header words come
//! from public exports and from the systems' own sources and help pages; where a system translates its headers, a language is known only if such a source
//! was at hand, and adding one is adding words to the system's row.

use std::{collections::HashSet, str::FromStr, sync::LazyLock};

use super::header::{find, normal};

/// What is known of one system's export.
#[derive(Debug)]
pub struct Preset {
    /// What `--preset` calls it.
    pub name: &'static str,
    /// The system and the export's name in it.
    pub title: &'static str,
    /// The columns that tell it from all others, for each of its versions and languages.
    pub(super) signatures: &'static [&'static [&'static str]],
    /// The id, the best choice first; `A+B` composes. Empty: the export has none.
    pub(super) id: &'static [&'static str],
    /// Choices for `firstName`.
    pub(super) first_name: &'static [&'static str],
    /// Choices for `lastName`.
    pub(super) last_name: &'static [&'static str],
    /// Choices for a column with whole names, for an export without the two.
    pub(super) full_name: &'static [&'static str],
    /// Choices for `email`.
    pub(super) email: &'static [&'static str],
    /// Which rows are left out: one for each signature, in their order, or one for all of them.
    pub(super) status: &'static [Status],
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
    /// Values that are known to be a person who comes.
    pub(super) taken: &'static [&'static str],
}

/// Left out, and yet nobody who cancelled: the seat may still come, or come again.
const NOT_CANCELLED: &[&str] = &[
    "Expired",
    "abgelaufen",
    "expiré",
    "expirado",
    "pending_approval",
    "invited",
    "waitlist",
    "Waitlist",
    "Waitlisted",
    "On waitlist",
    "補欠",
];

impl Status {
    /// The values that say that a person cancelled, was refunded or turned down.
    pub(super) fn cancelled(&self) -> impl Iterator<Item = &'static str> {
        self.left_out.iter().copied().filter(|value| !NOT_CANCELLED.contains(value))
    }
}

const fn status(
    column: &'static str,
    left_out: &'static [&'static str],
    taken: &'static [&'static str],
) -> Status {
    Status { column, left_out, taken }
}

/// pretix writes header and values in the languages of two settings, which may differ.
const PRETIX_OUT: &[&str] = &[
    "Canceled",
    "Cancelled",
    "Canceled (paid fee)",
    "Expired",
    "storniert",
    "abgelaufen",
    "annulé",
    "expiré",
    "cancelado",
    "Cancelada (tarifa pagada)",
    "expirado",
];
const PRETIX_IN: &[&str] =
    &["Paid", "Pending", "bezahlt", "ausstehend", "payé", "en attente", "pagado", "pendiente"];

const EMAIL: &[&str] = &["Email"];

/// A system of which nothing is known yet.
const NOTHING: Preset = Preset {
    name: "",
    title: "",
    signatures: &[],
    id: &[],
    first_name: &[],
    last_name: &[],
    full_name: &[],
    email: &[],
    status: &[],
    traps: &[],
    advice: None,
};

/// One that calls names and address as most do.
const NAMES_AND_EMAIL: Preset =
    Preset { first_name: &["First Name"], last_name: &["Last Name"], email: EMAIL, ..NOTHING };

/// Every known export. Adding a system is adding a row.
pub(super) static PRESETS: &[Preset] = &[
    Preset {
        name: "eventbrite",
        title: "Eventbrite attendee summary",
        signatures: &[&["Order #", "Attendee #"]],
        id: &["Attendee #"],
        status: &[status(
            "Attendee Status",
            &["Not Attending", "Refunded", "Deleted", "Cancelled", "Canceled"],
            &["Attending", "Checked In"],
        )],
        traps: &["Order #"],
        ..NAMES_AND_EMAIL
    },
    // German, French and Spanish: pretix' own translations (`src/pretix/locale`), in which the
    // header is written for a user of that language.
    Preset {
        name: "pretix",
        title: "pretix order data, sheet “Order positions”",
        signatures: &[
            &["Order code", "Position ID"],
            &["Bestellnummer", "Position", "Pseudonyme ID"],
            &["Position ID", "ID pseudonyme"],
            &["Código de la orden", "ID de posición"],
        ],
        id: &[
            "Order code+Position ID",
            "Bestellnummer+Position",
            "Code de commande+Position ID",
            "Código de la orden+ID de posición",
            "Pseudonymization ID",
            "Pseudonyme ID",
            "ID pseudonyme",
            "ID Seudónimo",
        ],
        first_name: &[
            "Attendee name: Given name",
            "Name Teilnehmer*in: Vorname",
            "Nom du participant: Prénom",
        ],
        last_name: &[
            "Attendee name: Family name",
            "Name Teilnehmer*in: Nachname",
            "Nom du participant: Nom de famille",
        ],
        full_name: &["Attendee name", "Name Teilnehmer*in", "Nom du participant"],
        email: &[
            "Attendee email",
            "E-Mail Teilnehmer*in",
            "Adresse mail du participant",
            "Correo electrónico del participante",
            "Email",
            "Correo electrónico",
        ],
        status: &[
            status("Status", PRETIX_OUT, PRETIX_IN),
            status("Status", PRETIX_OUT, PRETIX_IN),
            status("Statut", PRETIX_OUT, PRETIX_IN),
            status("Estado", PRETIX_OUT, PRETIX_IN),
        ],
        traps: &[
            "Order code",
            "Position ID",
            "Bestellnummer",
            "Position",
            "Code de commande",
            "Código de la orden",
            "ID de posición",
        ],
        ..NOTHING
    },
    Preset {
        name: "zoom",
        title: "Zoom registration or attendee report",
        signatures: &[
            &["First Name", "Last Name", "Email", "Registration Time", "Approval Status"],
            &["Name (Original Name)", "User Email"],
        ],
        email: &["Email", "User Email"],
        status: &[status("Approval Status", &["denied", "cancelled", "canceled"], &["approved"])],
        advice: Some(
            "Zoom exports no id; the e-mail can serve, but reports of attendees and participants repeat it for each join: prefer the registration report",
        ),
        ..NAMES_AND_EMAIL
    },
    Preset {
        name: "luma",
        title: "Luma guests",
        signatures: &[
            &["approval_status", "qr_code_url"],
            &["api_id", "approval_status"],
            &["guest_id", "approval_status"],
        ],
        id: &["guest_id", "api_id"],
        full_name: &["name"],
        status: &[status(
            "approval_status",
            &["pending_approval", "declined", "invited", "waitlist", "rejected"],
            &["approved"],
        )],
        ..NAMES_AND_EMAIL
    },
    Preset {
        name: "tito",
        title: "Tito tickets",
        signatures: &[&["Ticket Reference", "Order Reference"]],
        id: &["Ticket Reference"],
        first_name: &["Ticket First Name"],
        last_name: &["Ticket Last Name"],
        full_name: &["Ticket Full Name"],
        email: &["Ticket Email"],
        status: &[status(
            "Void Status",
            &["void", "voided", "true", "yes", "1"],
            &["", "false", "no", "0"],
        )],
        traps: &["Order Reference", "Number"],
        ..NOTHING
    },
    Preset {
        name: "meetup",
        title: "Meetup attendees",
        signatures: &[&["User ID", "RSVP"]],
        id: &["User ID"],
        full_name: &["Name"],
        status: &[status("RSVP", &["No", "Waitlist", "Waitlisted"], &["Yes"])],
        advice: Some("Meetup exports no e-mail, so it can fill a meeting and no webinar"),
        ..NOTHING
    },
    Preset {
        name: "connpass",
        title: "connpass participants",
        signatures: &[&["受付番号", "ユーザー名", "参加ステータス"]],
        id: &["受付番号"],
        status: &[status("参加ステータス", &["参加キャンセル", "キャンセル", "補欠"], &["参加"])],
        advice: Some("connpass exports no e-mail, so it can fill a meeting and no webinar"),
        ..NOTHING
    },
    Preset {
        name: "teams",
        title: "Microsoft Teams attendance report",
        signatures: &[&["Participant ID (UPN)", "First Join"]],
        full_name: &["Name"],
        email: EMAIL,
        advice: Some(
            "Teams exports no id; try --map id='Participant ID (UPN)' (guests may have none)",
        ),
        ..NOTHING
    },
    Preset {
        name: "indico",
        title: "Indico registrations",
        signatures: &[&["ID", "Name", "Registration state"]],
        id: &["ID"],
        full_name: &["Name"],
        email: &["Email Address", "Email"],
        status: &[status("Registration state", &["Withdrawn", "Rejected"], &["Completed"])],
        advice: Some(
            "Indico numbers the registrations of every event from 1: give --id-prefix when several events share a target",
        ),
        ..NAMES_AND_EMAIL
    },
    Preset {
        name: "google-forms",
        title: "Google Forms responses",
        signatures: &[
            &["Timestamp", "Email Address"],
            &["Zeitstempel", "E-Mail-Adresse"],
            &["Horodateur", "Adresse e-mail"],
            &["Marca temporal", "Dirección de correo electrónico"],
            &["タイムスタンプ", "メールアドレス"],
        ],
        email: &[
            "Email Address",
            "E-Mail-Adresse",
            "Adresse e-mail",
            "Dirección de correo electrónico",
            "メールアドレス",
        ],
        traps: &["Timestamp", "Zeitstempel", "Horodateur", "Marca temporal", "タイムスタンプ"],
        advice: Some("Google Forms exports no id; the e-mail can serve"),
        ..NAMES_AND_EMAIL
    },
    Preset {
        name: "hubspot",
        title: "HubSpot contacts",
        signatures: &[&["Record ID", "First Name", "Last Name", "Email"]],
        id: &["Record ID"],
        ..NAMES_AND_EMAIL
    },
    Preset {
        name: "salesforce",
        title: "Salesforce campaign members report",
        signatures: &[&["Campaign Member ID", "Member Status"]],
        id: &["Campaign Member ID"],
        traps: &["Campaign ID"],
        ..NAMES_AND_EMAIL
    },
    Preset {
        name: "ringcentral",
        title: "RingCentral Events (Hopin) registrants",
        signatures: &[&["ExternalBarcode", "FirstName", "LastName", "Email"]],
        id: &["ExternalBarcode"],
        ..NAMES_AND_EMAIL
    },
    Preset {
        name: "cvent",
        title: "Cvent registrations",
        signatures: &[&["Registration ID", "Reg Type", "Registration Status"]],
        id: &["Registration ID"],
        email: &["Email", "Email Address"],
        status: &[status(
            "Registration Status",
            &["Cancelled", "Canceled", "Declined", "Waitlisted"],
            &["Accepted"],
        )],
        traps: &["Confirmation Number"],
        ..NAMES_AND_EMAIL
    },
    Preset {
        name: "wild-apricot",
        title: "Wild Apricot registrations",
        signatures: &[&["Registration ID", "Registration status"]],
        id: &["Registration ID"],
        status: &[status(
            "Registration status",
            &["Cancelled", "Canceled", "On waitlist", "Waitlisted"],
            &["Confirmed"],
        )],
        ..NAMES_AND_EMAIL
    },
];

impl Preset {
    /// Whether every column of a signature stands in this header.
    pub(super) fn matches(&self, names: &[String]) -> bool {
        self.signatures.iter().any(|signature| holds(names, signature))
    }

    /// Which rows of an export with this header are left out.
    pub(super) fn status(&self, names: &[String]) -> Option<&'static Status> {
        let signature = self.signatures.iter().position(|signature| holds(names, signature));
        signature.and_then(|place| self.status.get(place)).or(self.status.first())
    }

    /// The known export that this header belongs to, the most telling signature first.
    pub(super) fn recognise(names: &[String]) -> Option<&'static Self> {
        let known: HashSet<String> = names.iter().map(|name| normal(name)).collect();
        let merit = |signature: &Vec<String>| {
            let holds = signature.iter().all(|column| known.contains(column));
            if holds { signature.len() } else { 0 }
        };
        let merits = SIGNATURES.iter().map(|all| all.iter().map(merit).max().unwrap_or(0));
        // Of equals the first one.
        let best = PRESETS.iter().zip(merits).rev().max_by_key(|&(_, merit)| merit);
        best.filter(|&(_, merit)| merit > 0).map(|(preset, _)| preset)
    }
}

/// The signatures of each preset as names are compared: each row at a file's head is held against
/// all of them.
static SIGNATURES: LazyLock<Vec<Vec<Vec<String>>>> = LazyLock::new(|| {
    let normalised = |signature: &&[&str]| signature.iter().map(|name| normal(name)).collect();
    PRESETS.iter().map(|preset| preset.signatures.iter().map(normalised).collect()).collect()
});

fn holds(names: &[String], signature: &[&str]) -> bool {
    signature.iter().all(|column| !find(names, column).is_empty())
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
#[error("`{0}` is no preset; there are none, {list}", list = preset_names().join(", "))]
pub struct UnknownPreset(pub String);

/// The names that `--preset` takes, beside `none`.
pub fn preset_names() -> Vec<&'static str> {
    PRESETS.iter().map(|preset| preset.name).collect()
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
            for signature in preset.signatures {
                let names: Vec<String> = signature.iter().map(|&n| n.to_owned()).collect();
                let found = Preset::recognise(&names).expect(preset.name);
                assert_eq!(found.name, preset.name);
            }
            assert!(
                matches!(preset.name.parse(), Ok(PresetChoice::Named(p)) if p.name == preset.name)
            );
        }
        assert!(Preset::recognise(&["id".into(), "name".into(), "Email".into()]).is_none());
        assert!("eventbright".parse::<PresetChoice>().is_err());
        assert!(matches!("none".parse(), Ok(PresetChoice::Nothing)));
    }
}
