//! Which column, or which fixed value, each field of a registrant comes from.

use std::str::FromStr;

use serde::ser::SerializeMap;

use super::{
    Header, InputError,
    header::find,
    names::{NameOrder, UnknownOrder},
    preset::Preset,
};
use crate::registrant::{Field, UnknownField};

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
    #[must_use]
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

    /// What fills a field, as [`Mapping::iter`] shows it.
    #[must_use]
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

#[cfg(test)]
mod tests {
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
}
