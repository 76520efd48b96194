//! Which columns tell who a row is about, whether or not they are mapped: names and e-mail address.
//!
//! Two questions are answered by them: whether two rows with one id are two people ([`person_columns`]),
//! and whether a row is about the same person as an earlier run's ([`PersonColumns`]). A meeting is sent the
//! id alone, so its names and addresses are found here by what presets and people call them.

use super::{Header, Mapping, header::normal, mapping::Slot, preset::Preset};
use crate::registrant::{Field, Fingerprinter, PersonFingerprint};

/// What columns of names are called in other languages, as [`normal`] has them.
const NAME_WORDS: [&str; 11] = [
    "nom",
    "prénom",
    "prenom",
    "nombre",
    "apellido",
    "apellidos",
    "nome",
    "cognome",
    "氏名",
    "お名前",
    "名前",
];

/// The columns of names and e-mail: two rows with one id and other people in these are what an
/// order number looks like when it is taken for an id.
pub(super) fn person_columns(mapping: &Mapping, header: &Header) -> Vec<usize> {
    let mapped = |field: &Field| match mapping.slot(field) {
        Some(Slot::Column(column) | Slot::Name(column, _)) => Some(*column),
        _ => None,
    };
    let names = [mapped(&Field::FirstName), mapped(&Field::LastName)];
    let has_names = names.iter().any(Option::is_some);
    let mut columns: Vec<usize> =
        names.into_iter().chain([mapped(&Field::Email)]).flatten().collect();
    if !has_names {
        // The mail may be the buyer's in all rows of an order.
        let calls_people = |name: &str| {
            let name = normal(name);
            name.ends_with("name")
                || NAME_WORDS.contains(&name.as_str())
                || columns.is_empty() && name.contains("mail")
        };
        let found = header.names.iter().enumerate().filter(|(_, name)| calls_people(name));
        let found: Vec<usize> = found.map(|(column, _)| column).collect();
        columns.extend(found);
    }
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// The columns that a person's mark is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PersonColumns {
    email: Option<usize>,
    /// First name, last name, or the whole of it.
    name: Vec<usize>,
}

/// What columns are called, as [`normal`] has it, the surest first.
const EMAILS: [&str; 15] = [
    "attendeeemail",
    "participantemail",
    "guestemail",
    "ticketemail",
    "useremail",
    "email",
    "emailaddress",
    "workemail",
    "emailadresse",
    "mail",
    "courriel",
    "adressemail",
    "adresseemail",
    "correoelectrónico",
    "メールアドレス",
];
const FIRST_NAMES: [&str; 14] = [
    "attendeefirstname",
    "ticketfirstname",
    "firstname",
    "givenname",
    "forename",
    "first",
    "vorname",
    "prénom",
    "prenom",
    "nombre",
    "nome",
    "voornaam",
    "名",
    "名前(名)",
];
const LAST_NAMES: [&str; 17] = [
    "attendeelastname",
    "ticketlastname",
    "lastname",
    "surname",
    "familyname",
    "last",
    "nachname",
    "familienname",
    "nom",
    "nomdefamille",
    "apellido",
    "apellidos",
    "cognome",
    "achternaam",
    "姓",
    "名前(姓)",
    "sobrenome",
];
const WHOLE_NAMES: [&str; 13] = [
    "attendeename",
    "attendee",
    "participantname",
    "participant",
    "guestname",
    "ticketfullname",
    "fullname",
    "name",
    "displayname",
    "nomcomplet",
    "nombrecompleto",
    "氏名",
    "お名前",
];

impl PersonColumns {
    /// What the mapping names, else what the preset knows, else what is called so.
    pub(super) fn find(
        mapping: &Mapping,
        preset: Option<&'static Preset>,
        header: &Header,
    ) -> Self {
        let names: Vec<String> = header.names.iter().map(|name| normal(name)).collect();
        let called = |name: &str| names.iter().position(|other| other == name);
        let mapped = |field: &Field| match mapping.slot(field) {
            Some(Slot::Column(column) | Slot::Name(column, _)) => Some(*column),
            _ => None,
        };
        let known = |choices: fn(&'static Preset) -> &'static [&'static str]| {
            preset.and_then(|preset| choices(preset).iter().find_map(|name| called(&normal(name))))
        };
        let usual = |usual: &[&str]| usual.iter().find_map(|name| called(name));
        let email = mapped(&Field::Email)
            .or_else(|| known(|preset| preset.email))
            .or_else(|| usual(&EMAILS))
            .or_else(|| the_only(&names, |name| name.contains("email")));
        let first = mapped(&Field::FirstName)
            .or_else(|| known(|preset| preset.first_name))
            .or_else(|| usual(&FIRST_NAMES));
        let last = mapped(&Field::LastName)
            .or_else(|| known(|preset| preset.last_name))
            .or_else(|| usual(&LAST_NAMES));
        // Beside one of the two it may hold the other one: `Vorname`, `Name`. Words that stand in
        // both count once.
        let whole = (first.is_none() || last.is_none())
            .then(|| known(|preset| preset.full_name).or_else(|| usual(&WHOLE_NAMES)))
            .flatten();
        let mut name: Vec<usize> = [first, last, whole].into_iter().flatten().collect();
        name.sort_unstable();
        name.dedup();
        Self { email, name }
    }

    /// Whether it can tell anything.
    pub(super) fn is_mute(&self) -> bool {
        self.email.is_none() && self.name.is_empty()
    }

    /// Whether it knows a column of addresses, and one of names.
    pub(super) fn knows(&self) -> (bool, bool) {
        (self.email.is_some(), !self.name.is_empty())
    }

    /// The mark of a row whose cells these are.
    pub(super) fn mark<'a>(
        &self,
        marker: &mut Fingerprinter,
        cell: impl Fn(usize) -> &'a str,
    ) -> PersonFingerprint {
        if self.is_mute() {
            return PersonFingerprint::UNKNOWN;
        }
        let email = self.email.map_or("", &cell);
        marker.fingerprint(email, self.name.iter().map(|&column| cell(column)))
    }
}

/// The only column of this kind.
fn the_only(names: &[String], kind: impl Fn(&str) -> bool) -> Option<usize> {
    let mut of_it = names.iter().enumerate().filter(|(_, name)| kind(name));
    of_it.next().map(|(column, _)| column).filter(|_| of_it.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Delimiter;

    fn found(names: &str) -> (Option<usize>, Vec<usize>) {
        let names: Vec<String> = names.split(',').map(str::to_owned).collect();
        let header = Header {
            raw: names.join(","),
            line: 1,
            delimiter: Delimiter::USUAL[0],
            line_ending: "\n",
            names,
        };
        let preset = Preset::recognise(&header.names);
        let mapping =
            Mapping::resolve(&[], &[], preset, &header, &mut Vec::new()).expect("it fits");
        let PersonColumns { email, name } = PersonColumns::find(&mapping, preset, &header);
        (email, name)
    }

    #[test]
    fn names_and_address_are_found_unmapped() {
        for (names, email, name) in [
            ("id,name,email", Some(2), vec![1]),
            ("id,E-Mail,First Name,Last Name,Full Name", Some(1), vec![2, 3]),
            ("Nr,Vorname,Name,E-Mail-Adresse", Some(3), vec![1, 2]),
            ("id,Prénom,Nom,Courriel", Some(3), vec![1, 2]),
            ("id,Buyer email,Attendee Email", Some(2), vec![]),
            ("id,Your best e-mail", Some(1), vec![]),
            ("id,Private email 1,Private email 2", None, vec![]),
            ("id,tenantId,userId,note", None, vec![]),
            (
                "Ticket Reference,Order Reference,Order Email,Ticket Email,Ticket Full Name",
                Some(3),
                vec![4],
            ),
            ("受付番号,姓,名,メールアドレス", Some(3), vec![1, 2]),
        ] {
            assert_eq!(found(names), (email, name), "{names}");
        }
    }
}
