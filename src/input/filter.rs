//! Which rows are left out, by which statuses, and which columns are carried along.

use std::{collections::BTreeMap, convert::Infallible, fmt, str::FromStr};

use super::{
    Header, InputError,
    csv::list,
    header::{ENROLLED_COLUMNS, find},
    presets::Preset,
};

/// `--where COLUMN=VALUE[,VALUE…]`: only rows whose cell is one of the values are enrolled.
///
/// Blanks around a cell and its case do not count. Several filters must all hold. A value with a
/// comma, or a column with `=` in its name, is put in double quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The column's name.
    pub column: String,
    /// What its cell may be.
    pub values: Vec<String>,
}

/// A filter without a column or a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no filter; write COLUMN=VALUE or COLUMN=VALUE,VALUE")]
pub struct BadFilter(pub String);

impl FromStr for Filter {
    type Err = BadFilter;

    fn from_str(text: &str) -> Result<Self, BadFilter> {
        let quoted = text.strip_prefix('"').and_then(|rest| rest.split_once("\"="));
        let (column, values) =
            quoted.or_else(|| text.split_once('=')).ok_or_else(|| BadFilter(text.to_owned()))?;
        if column.trim().is_empty() {
            return Err(BadFilter(text.to_owned()));
        }
        let values = list(values).into_iter().map(|value| value.trim().to_owned()).collect();
        Ok(Self { column: column.trim().to_owned(), values })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As it can be typed again, but for an address, which no log may hold.
        let quoted = |text: &str, when: bool| {
            if when { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
        };
        let column = quoted(&self.column, self.column.contains('='));
        let value = |value: &String| {
            if value.contains('@') {
                "…".to_owned()
            } else {
                quoted(value, value.contains([',', '"']))
            }
        };
        let values: Vec<String> = self.values.iter().map(value).collect();
        write!(f, "--where '{column}={}'", values.join(","))
    }
}

/// Which columns of the input the enrolled file keeps beside its own four.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// None.
    #[default]
    Nothing,
    /// `--keep-all`: every column, in the file's order.
    All,
    /// `--keep COLUMN[,COLUMN…]`: these, in the order given.
    Columns(Vec<String>),
}

impl FromStr for Keep {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let names: Vec<String> =
            list(text).into_iter().map(|name| name.trim().to_owned()).collect();
        Ok(if names.iter().all(String::is_empty) { Self::Nothing } else { Self::Columns(names) })
    }
}

impl Keep {
    /// The columns that are kept. One that bears the name of an enrolled file's own column is not:
    /// who reads that file by names would take an old link for the new one.
    pub(super) fn resolve(
        &self,
        header: &Header,
        notes: &mut Vec<String>,
    ) -> Result<Vec<usize>, InputError> {
        let mut kept = self.columns(header)?;
        let own = |&column: &usize| ENROLLED_COLUMNS.contains(&header.names[column].trim());
        let left_out: Vec<String> = kept
            .iter()
            .filter(|column| own(column))
            .map(|&column| format!("`{}`", header.names[column].trim()))
            .collect();
        if !left_out.is_empty() {
            let columns = if left_out.len() == 1 { "column" } else { "columns" };
            notes.push(format!(
                "not kept: {columns} {}, for the enrolled file has columns of its own with such names; to keep one, give it another name in the export",
                left_out.join(", ")
            ));
        }
        kept.retain(|column| !own(column));
        Ok(kept)
    }

    fn columns(&self, header: &Header) -> Result<Vec<usize>, InputError> {
        match self {
            Self::Nothing => Ok(Vec::new()),
            Self::All => Ok((0..header.names.len()).collect()),
            Self::Columns(names) => names
                .iter()
                .filter(|name| !name.is_empty())
                .map(|name| header.column(name, &format!("--keep '{name}'")))
                .collect(),
        }
    }
}

/// A filter whose column is found.
#[derive(Clone, Debug)]
pub(super) struct ColumnFilter {
    column: usize,
    /// Lower case, without blanks around.
    values: Vec<String>,
    /// Whether a row with one of the values stays, or goes.
    stays: bool,
    /// Of a preset: the values that stay knowingly, in lower case, and how to choose by them.
    taken: Vec<String>,
    advice: String,
    /// How messages name it.
    pub(super) label: String,
}

impl ColumnFilter {
    pub(super) fn lets_pass(&self, cell: &str) -> bool {
        is_listed(&self.values, cell.trim()) == self.stays
    }

    /// Whether a cell that passes is known to stand for a person who comes.
    fn knows(&self, cell: &str) -> bool {
        self.stays || is_listed(&self.taken, cell.trim())
    }

    /// Whether it names the rows that stay, or those that go.
    pub(super) fn stays(&self) -> bool {
        self.stays
    }

    /// Whether it is a preset's own, which knows more values than those that it leaves out.
    pub(super) fn is_presets(&self) -> bool {
        !self.advice.is_empty()
    }

    pub(super) fn column(&self) -> usize {
        self.column
    }
}

fn is_listed(values: &[String], cell: &str) -> bool {
    values.iter().any(|value| {
        if cell.is_ascii() {
            value.eq_ignore_ascii_case(cell)
        } else {
            *value == cell.to_lowercase()
        }
    })
}

/// The filters of the user, and the preset's own unless the user filters that column.
pub(super) fn column_filters(
    filters: &[Filter],
    preset: Option<&'static Preset>,
    header: &Header,
    notes: &mut Vec<String>,
) -> Result<Vec<ColumnFilter>, InputError> {
    let lower = |value: &str| value.trim().to_lowercase();
    let mut found: Vec<ColumnFilter> = Vec::new();
    for filter in filters {
        found.push(ColumnFilter {
            column: header.column(&filter.column, &filter.to_string())?,
            values: filter.values.iter().map(|value| lower(value)).collect(),
            stays: true,
            taken: Vec::new(),
            advice: String::new(),
            label: filter.to_string(),
        });
    }
    if let Some(preset) = preset
        && let Some(status) = preset.status(&header.names)
        && let Some(&column) = find(&header.names, status.column).first()
        && found.iter().all(|other| other.column != column)
    {
        if let Some((which, other)) = header.alike(column) {
            notes.push(format!(
                "{which}; choose with --where '{}=VALUE'",
                header.unique_name(other)
            ));
        }
        let advice = Filter {
            column: header.unique_name(column),
            values: status.taken.iter().map(|&value| value.to_owned()).collect(),
        };
        found.push(ColumnFilter {
            column,
            taken: status.taken.iter().map(|value| lower(value)).collect(),
            advice: advice.to_string(),
            values: status.left_out.iter().map(|value| lower(value)).collect(),
            stays: false,
            label: format!(
                "preset {}: `{}` is {}",
                preset.name,
                header.names[column],
                status.left_out.join(", ")
            ),
        });
    }
    Ok(found)
}

/// The marks of people who cancelled: the user's, and the preset's unless the user marks by that column.
/// A row with any of them is left out.
pub(super) fn marks(
    cancel_where: &[Filter],
    preset: Option<&'static Preset>,
    header: &Header,
) -> Result<Vec<ColumnFilter>, InputError> {
    let mark = |column, values: Vec<String>, label| ColumnFilter {
        column,
        values: values.iter().map(|value| value.trim().to_lowercase()).collect(),
        stays: false,
        taken: Vec::new(),
        advice: String::new(),
        label,
    };
    let mut marks = Vec::new();
    for filter in cancel_where {
        let label = filter.to_string().replacen("--where", "--cancel-where", 1);
        marks.push(mark(header.column(&filter.column, &label)?, filter.values.clone(), label));
    }
    if let Some(preset) = preset
        && let Some(status) = preset.status(&header.names)
        && let Some(&column) = find(&header.names, status.column).first()
        && marks.iter().all(|other: &ColumnFilter| other.column != column)
    {
        let values = status.cancelled().map(str::to_owned).collect();
        let label = format!("preset {}: `{}` says cancelled", preset.name, header.names[column]);
        marks.push(mark(column, values, label));
    }
    Ok(marks)
}

/// The values with which rows were taken that no filter leaves out and the preset does not know.
#[derive(Clone, Debug, Default)]
pub(super) struct UnknownStatuses {
    values: BTreeMap<String, u64>,
    /// Rows whose value is not to be shown.
    others: u64,
}

impl UnknownStatuses {
    pub(super) fn note_cell(&mut self, filter: &ColumnFilter, cell: &str) {
        /// More values than this help nobody.
        const SHOWN: usize = 8;
        /// What is longer is no status, and might be anything.
        const LONGEST: usize = 40;
        let cell = cell.trim();
        if filter.knows(cell) {
            return;
        }
        let shown = cell.chars().count() <= LONGEST
            && !cell.contains(|c: char| c == '@' || c.is_control())
            && (self.values.len() < SHOWN || self.values.contains_key(cell));
        if shown {
            *self.values.entry(cell.to_owned()).or_default() += 1;
        } else {
            self.others += 1;
        }
    }

    pub(super) fn note(
        &self,
        filter: &ColumnFilter,
        preset: &Preset,
        header: &Header,
    ) -> Option<String> {
        let count = self.others + self.values.values().sum::<u64>();
        let shown = self.values.iter().map(|(value, count)| match value.as_str() {
            "" => format!("empty ({count})"),
            value => format!("`{value}` ({count})"),
        });
        let others = (self.others > 0).then(|| format!("others ({})", self.others));
        let values: Vec<String> = shown.chain(others).collect();
        let rows = if count == 1 { "1 row is".to_owned() } else { format!("{count} rows are") };
        (count > 0).then(|| {
            format!(
                "{rows} taken whose `{}` preset {} does not know: {}; if only those who come shall be taken, pass {}",
                header.unique_name(filter.column),
                preset.name,
                values.join(", "),
                filter.advice
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_column_and_its_values() {
        let filter: Filter = "Status=Paid, Pending".parse().expect("a filter");
        assert_eq!((filter.column.as_str(), filter.values.len()), ("Status", 2));
        let filter: Filter = "\"a=b\"=\"x,y\",z".parse().expect("quoted");
        assert_eq!(
            (filter.column.as_str(), filter.values),
            ("a=b", vec!["x,y".into(), "z".into()])
        );
        for text in ["Status=Paid,Pending", "\"a=b\"=\"x,y\",z", "a=\"say \"\"yes\"\"\""] {
            let filter: Filter = text.parse().expect("a filter");
            assert_eq!(filter.to_string(), format!("--where '{text}'"));
        }
        let filter: Filter = "Email=ada@example.org,none".parse().expect("a filter");
        assert_eq!(filter.to_string(), "--where 'Email=…,none'");
        assert!("Status".parse::<Filter>().is_err());
        assert!("=x".parse::<Filter>().is_err());
    }

    #[test]
    fn case_and_blanks_of_a_cell_do_not_count() {
        let filter = |stays| ColumnFilter {
            column: 0,
            values: vec!["paid".into(), "größe".into()],
            stays,
            taken: vec!["ja".into()],
            advice: String::new(),
            label: String::new(),
        };
        for cell in ["paid", " PAID ", "GRÖßE"] {
            assert!(filter(true).lets_pass(cell) && !filter(false).lets_pass(cell), "{cell}");
        }
        assert!(filter(false).knows(" JA") && !filter(false).knows("unpaid"));
        for cell in ["", "unpaid"] {
            assert!(!filter(true).lets_pass(cell) && filter(false).lets_pass(cell), "{cell}");
        }
    }
}
