//! The fields that a target understands, by the names that people type.

use std::{fmt, str::FromStr};

/// A field of a registrant, as `--map FIELD=COLUMN` and `--set FIELD=VALUE` name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// The external system's unique id.
    Id,
    /// The Entra tenant of the person (meeting, mode `organization`).
    TenantId,
    /// The Entra object id of the person (meeting, mode `organization`).
    UserId,
    /// The given name (webinar).
    FirstName,
    /// The family name (webinar).
    LastName,
    /// The e-mail address (webinar).
    Email,
    /// The language of Teams' mails, such as `en-us` (webinar).
    PreferredLanguage,
    /// The time zone by its Windows name, such as `Pacific Standard Time` (webinar).
    PreferredTimezone,
    /// Where the person came from: a text or an address (webinar).
    Referrer,
    /// The answer to a question of the registration form, by its display name or id (webinar).
    Answer(String),
}

impl Field {
    /// The fields without an argument, in the order in which they are documented.
    pub const NAMED: [Self; 9] = [
        Self::Id,
        Self::TenantId,
        Self::UserId,
        Self::FirstName,
        Self::LastName,
        Self::Email,
        Self::PreferredLanguage,
        Self::PreferredTimezone,
        Self::Referrer,
    ];

    /// The name without an answer's question.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::TenantId => "tenantId",
            Self::UserId => "userId",
            Self::FirstName => "firstName",
            Self::LastName => "lastName",
            Self::Email => "email",
            Self::PreferredLanguage => "preferredLanguage",
            Self::PreferredTimezone => "preferredTimezone",
            Self::Referrer => "referrer",
            Self::Answer(_) => "answer",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(question) => write!(f, "answer:{question}"),
            named => f.pad(named.name()),
        }
    }
}

/// A name that is no field's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no field; the fields are id, tenantId, userId (meeting) and id, firstName, lastName, email, preferredLanguage, preferredTimezone, referrer, answer:QUESTION (webinar, town hall)"
)]
pub struct UnknownField(pub String);

impl FromStr for Field {
    type Err = UnknownField;

    fn from_str(text: &str) -> Result<Self, UnknownField> {
        if let Some((prefix, question)) = text.split_once(':')
            && prefix.trim().eq_ignore_ascii_case("answer")
            && !question.trim().is_empty()
        {
            return Ok(Self::Answer(question.trim().to_owned()));
        }
        let wanted = text.trim();
        Self::NAMED
            .into_iter()
            .find(|field| field.name().eq_ignore_ascii_case(wanted))
            .ok_or_else(|| UnknownField(text.to_owned()))
    }
}

/// The mapped cells of one row. `None`: the field has no column; `Some("")`: the cell is empty.
#[derive(Clone, Default)]
pub struct Fields<'a> {
    /// See [`Field::Id`].
    pub id: Option<&'a str>,
    /// See [`Field::TenantId`].
    pub tenant_id: Option<&'a str>,
    /// See [`Field::UserId`].
    pub user_id: Option<&'a str>,
    /// See [`Field::FirstName`].
    pub first_name: Option<&'a str>,
    /// See [`Field::LastName`].
    pub last_name: Option<&'a str>,
    /// See [`Field::Email`].
    pub email: Option<&'a str>,
    /// See [`Field::PreferredLanguage`].
    pub preferred_language: Option<&'a str>,
    /// See [`Field::PreferredTimezone`].
    pub preferred_timezone: Option<&'a str>,
    /// See [`Field::Referrer`].
    pub referrer: Option<&'a str>,
    /// Question and answer, in the order of the mapping.
    pub answers: Vec<(&'a str, &'a str)>,
}

/// A name as it is compared: case, blanks, `_` and `-` do not count.
pub(crate) fn normal(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-' | '\u{feff}' | '\u{200b}'))
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_without_regard_to_case_and_written_as_documented() {
        for field in Field::NAMED {
            assert_eq!(field.name().to_uppercase().parse::<Field>(), Ok(field.clone()));
            assert_eq!(field.to_string(), field.name());
        }
        let answer: Field = "answer:T-shirt size".parse().expect("a question");
        assert_eq!(answer, Field::Answer("T-shirt size".into()));
        assert_eq!(answer.to_string(), "answer:T-shirt size");
        assert!("answer:".parse::<Field>().is_err());
        assert!("e-mail".parse::<Field>().is_err());
    }
}
