//! Which column, or which fixed value, each field of a registrant comes from; and which columns tell
//! who a row is about, mapped or not.

use std::{collections::HashSet, str::FromStr};

use serde::ser::SerializeMap;

use super::{
    Header, InputError,
    csv::Cells,
    header::{find, normal},
    presets::Preset,
};
use crate::registrant::{Field, Fingerprinter, PersonFingerprint, UnknownField};

/// What stands between the parts of a composed id: `QXK3C` and `1` become `QXK3C-1`, as pretix
/// itself writes a position.
///
/// `A-B`+`C` and `A`+`B-C` compose to the same text. Then the rows differ and the second is
/// invalid (`duplicate-id`), so that two people never share a link.
pub const JOINER: char = '-';

/// `--map FIELD=COLUMN`; an id may be composed: `--map id='Order code+Position ID'`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapOption {
    /// The field to fill.
    pub field: Field,
    /// The column's name, or several with `+` between.
    pub column: String,
}

/// `--set`: what is the same for every row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetOption {
    /// `--set FIELD=VALUE`.
    Field {
        /// The field to fill.
        field: Field,
        /// What to fill it with.
        value: String,
    },
    /// `--set name-order=ORDER`: how a column that holds whole names is split.
    NameOrder(NameOrder),
}

/// A text that is no assignment to a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAssignment {
    /// There is no `=`, or nothing behind it.
    #[error("`{0}` has no value; write FIELD=COLUMN for --map, FIELD=VALUE for --set")]
    NoValue(String),
    /// The field is not known.
    #[error(transparent)]
    Field(#[from] UnknownField),
    /// The order of names is not known.
    #[error(transparent)]
    Order(#[from] UnknownOrder),
}

fn assignment(text: &str) -> Result<(&str, &str), BadAssignment> {
    let (field, value) =
        text.split_once('=').ok_or_else(|| BadAssignment::NoValue(text.to_owned()))?;
    if value.trim().is_empty() {
        return Err(BadAssignment::NoValue(text.to_owned()));
    }
    Ok((field, value))
}

impl FromStr for MapOption {
    type Err = BadAssignment;

    fn from_str(text: &str) -> Result<Self, BadAssignment> {
        let (field, column) = assignment(text)?;
        Ok(Self { field: field.parse()?, column: column.trim().to_owned() })
    }
}

impl FromStr for SetOption {
    type Err = BadAssignment;

    fn from_str(text: &str) -> Result<Self, BadAssignment> {
        let (field, value) = assignment(text)?;
        if field.trim().eq_ignore_ascii_case(NameOrder::OPTION) {
            return Ok(Self::NameOrder(value.parse()?));
        }
        Ok(Self::Field { field: field.parse()?, value: value.to_owned() })
    }
}

/// `--set name-order=…`: which word of a whole name is the last name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameOrder {
    /// `Ada King Lovelace`: the last word, all others are the first name.
    FirstLast,
    /// `Lovelace Ada King`: the first word.
    LastFirst,
}

impl NameOrder {
    /// The option's name, as it stands behind `--set`.
    pub const OPTION: &'static str = "name-order";

    /// The option's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstLast => "first-last",
            Self::LastFirst => "last-first",
        }
    }
}

/// An order that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no order of names; write name-order=first-last or name-order=last-first")]
pub struct UnknownOrder(pub String);

impl FromStr for NameOrder {
    type Err = UnknownOrder;

    fn from_str(text: &str) -> Result<Self, UnknownOrder> {
        [Self::FirstLast, Self::LastFirst]
            .into_iter()
            .find(|order| order.as_str().eq_ignore_ascii_case(text.trim()))
            .ok_or_else(|| UnknownOrder(text.to_owned()))
    }
}

/// What may stand behind a comma and is no given name; dots do not count.
const SUFFIXES: [&str; 12] =
    ["Jr", "JR", "jr", "Sr", "SR", "sr", "II", "III", "IV", "PhD", "MD", "Esq"];

/// First and last name of a whole name; of a single word the first name is all there is. Which word
/// of `Maria Garcia Lopez` is the family name cannot be seen: the order must be told. A comma tells
/// it: `Lopez, Maria` has the family name first wherever people write it so. What stands behind the
/// comma may also be no given name (`Martin Luther King, Jr.`); it then belongs to the last name.
pub(super) fn split_name(whole: &str, order: NameOrder) -> (&str, &str) {
    let whole = whole.trim();
    let mut named = whole;
    if let Some((before, after)) = whole.split_once(',') {
        let (before, after) = (before.trim(), after.trim());
        if !is_suffix(after) || !before.contains(char::is_whitespace) {
            return (after, before);
        }
        named = before;
    }
    // The suffix, where there is one, stays with what it follows.
    match order {
        NameOrder::FirstLast => match named.rfind(char::is_whitespace) {
            Some(at) => (named[..at].trim_end(), whole[at..].trim_start()),
            None => (whole, ""),
        },
        NameOrder::LastFirst => match named.split_once(char::is_whitespace) {
            Some((last, _)) => (whole[last.len()..].trim_start(), last),
            None => (whole, ""),
        },
    }
}

fn is_suffix(text: &str) -> bool {
    SUFFIXES.contains(&text.replace('.', "").as_str())
}

/// Where a field comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Column(usize),
    /// First or last name, of a column that holds both.
    Name(usize, NameOrder),
    Composed(Vec<usize>),
    Value(String),
}

/// Every field that can be filled, and from what.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    /// In the order of [`Field::NAMED`]; answers follow in the order given.
    pub(super) slots: Vec<(Field, Slot)>,
    /// What is shown for each slot.
    shown: Vec<String>,
    /// How a column of whole names is split, if one is.
    pub(super) name_order: Option<NameOrder>,
}

impl Mapping {
    /// The fields and the columns that fill them; a value of `--set` is shown as `=VALUE`.
    pub fn iter(&self) -> impl Iterator<Item = (&Field, &str)> {
        self.slots.iter().zip(&self.shown).map(|((field, _), shown)| (field, shown.as_str()))
    }

    /// The questions that have an answer: what `answer:QUESTION` was called.
    pub fn questions(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().filter_map(|(field, _)| match field {
            Field::Answer(question) => Some(question.as_str()),
            _ => None,
        })
    }

    /// Whether anything fills a field.
    pub fn fills(&self, field: &Field) -> bool {
        self.slot(field).is_some()
    }

    pub(super) fn slot(&self, field: &Field) -> Option<&Slot> {
        self.slots.iter().find(|(other, _)| other == field).map(|(_, slot)| slot)
    }

    /// The columns that the id is made of.
    pub(super) fn id_columns(&self) -> &[usize] {
        match self.slot(&Field::Id) {
            Some(Slot::Column(column)) => std::slice::from_ref(column),
            Some(Slot::Composed(columns)) => columns,
            _ => &[],
        }
    }

    /// Every column that fills a field.
    pub(super) fn columns(&self) -> Vec<usize> {
        let of_slot = |(_, slot): &(Field, Slot)| match slot {
            Slot::Column(column) | Slot::Name(column, _) => vec![*column],
            Slot::Composed(columns) => columns.clone(),
            Slot::Value(_) => Vec::new(),
        };
        self.slots.iter().flat_map(of_slot).collect()
    }

    /// What fills a field, as [`Mapping::iter`] shows it.
    pub fn shown(&self, field: &Field) -> String {
        let found = self.iter().find(|(other, _)| *other == field);
        found.map_or_else(String::new, |(_, shown)| shown.to_owned())
    }

    /// Settings first, then the preset, then columns that are called as the field is.
    pub(super) fn resolve(
        map: &[MapOption],
        set: &[SetOption],
        preset: Option<&'static Preset>,
        header: &Header,
        notes: &mut Vec<String>,
    ) -> Result<Self, InputError> {
        let mut mapping = Self::default();
        for option in map {
            let slot = mapped(option, header)?;
            mapping.add(&option.field, slot, header)?;
        }
        for option in set {
            match option {
                SetOption::Field { field: Field::Id, .. } => return Err(InputError::SetId),
                SetOption::Field { field, value } => {
                    mapping.add(field, Slot::Value(value.clone()), header)?;
                }
                SetOption::NameOrder(_) if mapping.name_order.is_some() => {
                    return Err(InputError::FieldTwice { field: NameOrder::OPTION.to_owned() });
                }
                SetOption::NameOrder(order) => mapping.name_order = Some(*order),
            }
        }
        for field in Field::NAMED {
            if mapping.slot(&field).is_some() {
                continue;
            }
            if let Some(slot) = preset.and_then(|preset| preset.slot(&field, header)) {
                notes.extend(slot.choices(&field, header));
                mapping.add(&field, slot, header)?;
                continue;
            }
            let columns = find(&header.names, field.name());
            if field == Field::Id && columns.len() > 1 {
                header.column(field.name(), "id")?;
            }
            // Meetup's `User ID` is the id, and no user of Entra.
            let taken = preset.is_some_and(|preset| !preset.id.is_empty())
                && map.iter().all(|option| option.field != Field::Id);
            if let Some(&column) = columns.first()
                && !(taken && mapping.id_columns().contains(&column))
            {
                let slot = Slot::Column(column);
                notes.extend(slot.choices(&field, header));
                mapping.add(&field, slot, header)?;
            }
        }
        mapping.split_names(preset, header)?;
        mapping.sort();
        Ok(mapping)
    }

    /// Has one column fill both names if, and only if, an order was told.
    fn split_names(
        &mut self,
        preset: Option<&'static Preset>,
        header: &Header,
    ) -> Result<(), InputError> {
        let names = [Field::FirstName, Field::LastName];
        if self.name_order.is_some() && names.iter().all(|name| self.slot(name).is_none()) {
            // The order was told for this export: the column with whole names is known in some.
            let whole = preset.and_then(|preset| {
                let mut names = preset.full_name.iter();
                names.find_map(|name| find(&header.names, name).first().copied())
            });
            for name in whole.iter().flat_map(|_| &names) {
                self.add(name, Slot::Column(whole.unwrap_or_default()), header)?;
            }
        }
        let [first, last] = names.map(|name| match self.slot(&name) {
            Some(Slot::Column(column)) => Some(*column),
            _ => None,
        });
        match (first.filter(|_| first == last), self.name_order) {
            (None, None) => {}
            (Some(column), None) => {
                return Err(InputError::WholeName { column: header.unique_name(column) });
            }
            (None, Some(order)) => {
                return Err(InputError::NothingToSplit { order: order.as_str() });
            }
            (Some(column), Some(order)) => {
                for (field, slot) in &mut self.slots {
                    if matches!(field, Field::FirstName | Field::LastName) {
                        *slot = Slot::Name(column, order);
                    }
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, field: &Field, slot: Slot, header: &Header) -> Result<(), InputError> {
        if self.slot(field).is_some() {
            return Err(InputError::FieldTwice { field: field.to_string() });
        }
        self.shown.push(slot.shown(header));
        self.slots.push((field.clone(), slot));
        Ok(())
    }

    fn sort(&mut self) {
        let place = |field: &Field| {
            Field::NAMED.iter().position(|named| named == field).unwrap_or(Field::NAMED.len())
        };
        let mut both: Vec<_> = self.slots.drain(..).zip(self.shown.drain(..)).collect();
        both.sort_by_key(|((field, _), _)| place(field));
        (self.slots, self.shown) = both.into_iter().unzip();
    }
}

impl serde::Serialize for Mapping {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (field, shown) in self.iter() {
            map.serialize_entry(&field.to_string(), shown)?;
        }
        if let Some(order) = self.name_order {
            map.serialize_entry(NameOrder::OPTION, &format!("={}", order.as_str()))?;
        }
        map.end()
    }
}

/// The parts of a composed id, unless one column is called exactly so.
pub(super) fn parts(names: &[String], column: &str) -> Vec<String> {
    if column.contains('+') && find(names, column).is_empty() {
        column.split('+').map(|part| part.trim().to_owned()).collect()
    } else {
        vec![column.to_owned()]
    }
}

fn mapped(option: &MapOption, header: &Header) -> Result<Slot, InputError> {
    let setting = format!("--map '{}={}'", option.field, option.column);
    let parts = parts(&header.names, &option.column);
    if let [column] = parts.as_slice() {
        return Ok(Slot::Column(header.column(column, &setting)?));
    }
    if option.field != Field::Id {
        return Err(InputError::Composed { field: option.field.to_string() });
    }
    let columns: Result<_, _> = parts.iter().map(|part| header.column(part, &setting)).collect();
    Ok(Slot::Composed(columns?))
}

impl Slot {
    /// What must be said of columns that were chosen unasked, and have namesakes.
    fn choices(&self, field: &Field, header: &Header) -> Vec<String> {
        let columns = match self {
            Self::Column(column) | Self::Name(column, _) => std::slice::from_ref(column),
            Self::Composed(columns) => columns,
            Self::Value(_) => &[],
        };
        let said = columns.iter().filter_map(|&column| {
            let (which, other) = header.alike(column)?;
            let parts = columns.iter().map(|&part| if part == column { other } else { part });
            let names: Vec<String> = parts.map(|part| header.unique_name(part)).collect();
            Some(format!("{which}; choose with --map '{field}={}'", names.join("+")))
        });
        said.collect()
    }

    /// The names by which `--map` finds these columns again.
    pub(super) fn shown(&self, header: &Header) -> String {
        match self {
            Self::Column(column) | Self::Name(column, _) => header.unique_name(*column),
            Self::Composed(columns) => {
                let names: Vec<_> = columns.iter().map(|&c| header.unique_name(c)).collect();
                names.join("+")
            }
            // No log holds an address, not even one that was typed.
            Self::Value(value) if value.contains('@') => "=…".to_owned(),
            Self::Value(value) => format!("={value}"),
        }
    }
}

impl Preset {
    /// Where this preset takes a field from in this header.
    pub(super) fn slot(&self, field: &Field, header: &Header) -> Option<Slot> {
        let choices = match field {
            Field::Id => self.id,
            Field::FirstName => self.first_name,
            Field::LastName => self.last_name,
            Field::Email => self.email,
            _ => &[],
        };
        let first = |name: &str| find(&header.names, name).first().copied();
        choices.iter().find_map(|choice| {
            let columns: Option<Vec<usize>> = choice.split('+').map(first).collect();
            match columns?.as_slice() {
                [column] => Some(Slot::Column(*column)),
                columns => Some(Slot::Composed(columns.to_vec())),
            }
        })
    }
}

/// What columns are called that tell people, as [`normal`] has it, the surest first.
const EMAILS: &str = "attendeeemail participantemail guestemail ticketemail useremail email emailaddress \
    workemail emailadresse mail courriel adressemail adresseemail correoelectrónico \
    メールアドレス";
const FIRST_NAMES: &str = "attendeefirstname ticketfirstname firstname givenname forename first vorname prénom \
    prenom nombre nome voornaam 名 名前(名)";
const LAST_NAMES: &str = "attendeelastname ticketlastname lastname surname familyname last nachname \
    familienname nom nomdefamille apellido apellidos cognome achternaam 姓 名前(姓) \
    sobrenome";
const WHOLE_NAMES: &str = "attendeename attendee participantname participant guestname ticketfullname fullname \
    name displayname nomcomplet nombrecompleto 氏名 お名前";

/// The columns that tell who a row is about: whether two rows with one id are two people, and whether
/// a row is about the same person as an earlier run's. A meeting is sent the id alone, so its names
/// and addresses are found here by what presets and people call them, else by their cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PersonColumns {
    email: Option<usize>,
    /// First name, last name, or the whole of it.
    name: Vec<usize>,
}

impl PersonColumns {
    /// What the mapping names, else what the preset knows, else what is called so, else what looks
    /// so in these rows of the list.
    pub(super) fn find(
        mapping: &Mapping,
        preset: Option<&'static Preset>,
        header: &Header,
        rows: &[Cells],
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
        let usual = |words: &str| words.split(' ').find_map(called);
        let only_email = || {
            let mut mails = (0..names.len()).filter(|&column| names[column].contains("email"));
            mails.next().filter(|_| mails.next().is_none())
        };
        let sample = Sample { rows, width: names.len() };
        let email = mapped(&Field::Email)
            .or_else(|| known(|preset| preset.email))
            .or_else(|| usual(EMAILS))
            .or_else(only_email)
            .or_else(|| (0..names.len()).find(|&column| sample.holds_addresses(column)));
        let first = mapped(&Field::FirstName)
            .or_else(|| known(|preset| preset.first_name))
            .or_else(|| usual(FIRST_NAMES));
        let last = mapped(&Field::LastName)
            .or_else(|| known(|preset| preset.last_name))
            .or_else(|| usual(LAST_NAMES));
        // Beside one of the two it may hold the other one: `Vorname`, `Name`. Words that stand in
        // both count once.
        let whole = (first.is_none() || last.is_none())
            .then(|| known(|preset| preset.full_name).or_else(|| usual(WHOLE_NAMES)))
            .flatten();
        let mut name: Vec<usize> = [first, last, whole].into_iter().flatten().collect();
        if name.is_empty() {
            let mut taken = mapping.columns();
            taken.extend(email);
            name.extend(sample.names(&taken));
        }
        name.sort_unstable();
        name.dedup();
        Self { email, name }
    }

    /// All of them, in the header's order.
    pub(super) fn all(&self) -> Vec<usize> {
        let mut all = self.name.clone();
        all.extend(self.email.filter(|email| !all.contains(email)));
        all.sort_unstable();
        all
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
        if self.knows() == (false, false) {
            return PersonFingerprint::UNKNOWN;
        }
        let email = self.email.map_or("", &cell);
        marker.fingerprint(email, self.name.iter().map(|&column| cell(column)))
    }
}

/// The first rows of a list, by which columns are told whose names say nothing.
struct Sample<'a> {
    rows: &'a [Cells],
    width: usize,
}

impl Sample<'_> {
    /// The filled cells of a column.
    fn filled(&self, column: usize) -> Vec<&str> {
        let rows = self.rows.iter().filter(|row| row.len() == self.width);
        let cells = rows.filter_map(|row| row.get(column)).map(str::trim);
        cells.filter(|cell| !cell.is_empty()).collect()
    }

    /// Nearly all hold an `@`.
    fn holds_addresses(&self, column: usize) -> bool {
        let cells = self.filled(column);
        let addresses = cells.iter().filter(|cell| cell.contains('@')).count();
        addresses > 0 && addresses * 10 >= cells.len() * 9
    }

    /// The column of words that differs most from row to row; rather one of words without digits,
    /// and of equals the first.
    fn names(&self, taken: &[usize]) -> Option<usize> {
        let judged =
            (0..self.width).filter(|column| !taken.contains(column)).filter_map(|column| {
                let cells = self.filled(column);
                let words = cells.iter().filter(|cell| reads_like_a_name(cell)).count();
                let plain = cells.iter().filter(|cell| !cell.contains(char::is_numeric)).count();
                let distinct = cells.iter().collect::<HashSet<_>>().len();
                let varies = distinct * 2 >= cells.len();
                let fits = varies && !cells.is_empty() && words * 10 >= cells.len() * 9;
                fits.then_some(((plain * 10 >= cells.len() * 9, distinct), column))
            });
        // Of equals `max_by_key` takes the last.
        let judged: Vec<_> = judged.collect();
        judged.into_iter().rev().max_by_key(|&(merit, _)| merit).map(|(_, column)| column)
    }
}

/// Letters for the most part, and neither an address nor a sentence: `Ada King`, `Guest 12`.
fn reads_like_a_name(cell: &str) -> bool {
    let letters = cell.chars().filter(|c| c.is_alphabetic()).count();
    let digits = cell.chars().filter(|c| c.is_numeric()).count();
    letters > digits
        && !cell.contains('@')
        && !cell.contains("://")
        && cell.split_whitespace().count() <= 6
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_assignment_names_a_field_and_something_for_it() {
        let map: MapOption = "ID = Order code+Position ID ".parse().expect("a mapping");
        assert_eq!((map.field, map.column.as_str()), (Field::Id, "Order code+Position ID"));
        let set: SetOption = "tenantId=a=b".parse().expect("a value");
        let wanted = SetOption::Field { field: Field::TenantId, value: "a=b".into() };
        assert_eq!(set, wanted);
        assert_eq!(
            "Name-Order= last-first".parse(),
            Ok(SetOption::NameOrder(NameOrder::LastFirst))
        );
        assert!("name-order=both".parse::<SetOption>().is_err());
        assert!("name-order=first-last".parse::<MapOption>().is_err());
        assert!("id".parse::<MapOption>().is_err());
        assert!("id= ".parse::<MapOption>().is_err());
        assert!("surname=Last".parse::<MapOption>().is_err());
    }

    #[test]
    fn an_order_or_a_comma_decides() {
        for (whole, first_last, last_first) in [
            ("Ada Lovelace", ("Ada", "Lovelace"), ("Lovelace", "Ada")),
            (
                "  Ada\u{a0}King   Lovelace ",
                ("Ada\u{a0}King", "Lovelace"),
                ("King   Lovelace", "Ada"),
            ),
            ("Lovelace, Ada King", ("Ada King", "Lovelace"), ("Ada King", "Lovelace")),
            ("van der Berg , Jo", ("Jo", "van der Berg"), ("Jo", "van der Berg")),
            ("Plato", ("Plato", ""), ("Plato", "")),
            ("Plato,", ("", "Plato"), ("", "Plato")),
            (", Ada", ("Ada", ""), ("Ada", "")),
            ("", ("", ""), ("", "")),
            ("山田 太郎", ("山田", "太郎"), ("太郎", "山田")),
            (
                "Martin Luther King, Jr.",
                ("Martin Luther", "King, Jr."),
                ("Luther King, Jr.", "Martin"),
            ),
            ("Jane Doe, Ph.D.", ("Jane", "Doe, Ph.D."), ("Doe, Ph.D.", "Jane")),
            ("Rahman, MD", ("MD", "Rahman"), ("MD", "Rahman")),
        ] {
            assert_eq!(split_name(whole, NameOrder::FirstLast), first_last, "{whole}");
            assert_eq!(split_name(whole, NameOrder::LastFirst), last_first, "{whole}");
        }
    }

    #[test]
    fn an_order_is_one_of_two() {
        assert_eq!(" Last-First".parse(), Ok(NameOrder::LastFirst));
        assert_eq!("first-last".parse(), Ok(NameOrder::FirstLast));
        assert!("first".parse::<NameOrder>().is_err());
    }

    proptest! {
        /// Nothing of a name is lost, added or moved across the other part.
        #[test]
        fn the_parts_are_the_whole(words in proptest::collection::vec("[\\PC&&[^,\\s]]{1,6}", 2..5)) {
            let (whole, last) = (words.join(" "), words.len() - 1);
            let (front, back) = (words[..last].join(" "), words[1..].join(" "));
            let first_last = split_name(&whole, NameOrder::FirstLast);
            prop_assert_eq!(first_last, (front.as_str(), words[last].as_str()));
            let last_first = (back.as_str(), words[0].as_str());
            prop_assert_eq!(split_name(&whole, NameOrder::LastFirst), last_first);
            let comma = format!("{}, {back}", words[0]);
            prop_assert_eq!(split_name(&comma, NameOrder::FirstLast), last_first);
        }
    }

    fn found(names: &str, rows: &[&[&str]]) -> (Option<usize>, Vec<usize>) {
        let header = Header::of(&names.split(',').collect::<Vec<_>>());
        let preset = Preset::recognise(&header.names);
        let mapping =
            Mapping::resolve(&[], &[], preset, &header, &mut Vec::new()).expect("it fits");
        let rows: Vec<Cells> = rows.iter().map(|cells| Cells::of(cells)).collect();
        let PersonColumns { email, name } = PersonColumns::find(&mapping, preset, &header, &rows);
        (email, name)
    }

    #[test]
    fn names_and_address_are_found_by_what_they_are_called() {
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
            assert_eq!(found(names, &[]), (email, name), "{names}");
        }
    }

    #[test]
    fn names_and_address_are_found_by_their_cells() {
        let rows: &[&[&str]] = &[
            &["1", "paid", "2026-05-01", "Ada King", "https://x.org/1", "a@x.org", "Acme 1"],
            &["2", "paid", "2026-05-02", "Bob", "https://x.org/2", "b@x.org", "Acme 2"],
            &["3", "free", "2026-05-03", "Cleo", "https://x.org/3", "", "Acme 3"],
            &["4", "paid", "2026-05-04", "", "https://x.org/4", "d@x.org", "Acme 4"],
            &["5", "paid", "2026-05-05", "Eve", "https://x.org/5", "e@x.org", "Acme 5"],
        ];
        assert_eq!(found("id,a,b,c,d,e,f", rows), (Some(5), vec![3]));
        // A column of a known name goes before one that looks so.
        assert_eq!(found("id,a,b,c,d,mail,name", rows), (Some(5), vec![6]));
        let rows: &[&[&str]] = &[&["1", "Guest 1", "3"], &["2", "Guest 2", "3"]];
        assert_eq!(found("id,a,b", rows), (None, vec![1]));
        let rows: &[&[&str]] = &[&["1", "7", "3"], &["2", "8", "3"]];
        assert_eq!(found("id,a,b", rows), (None, vec![]));
    }
}
