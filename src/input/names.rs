//! A whole name in one column, split only by an order that somebody told.
//!
//! Which word of `Maria Garcia Lopez` is the family name cannot be seen. A comma can: `Lopez, Maria`
//! has the family name first wherever people write it so. What stands behind the comma may also be
//! no given name (`Martin Luther King, Jr.`); it then belongs to the last name.

use std::str::FromStr;

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
    #[must_use]
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

/// First and last name of a whole name; of a single word the first name is all there is.
pub(super) fn split(whole: &str, order: NameOrder) -> (&str, &str) {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
            assert_eq!(split(whole, NameOrder::FirstLast), first_last, "{whole}");
            assert_eq!(split(whole, NameOrder::LastFirst), last_first, "{whole}");
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
            let first_last = split(&whole, NameOrder::FirstLast);
            prop_assert_eq!(first_last, (front.as_str(), words[last].as_str()));
            let last_first = (back.as_str(), words[0].as_str());
            prop_assert_eq!(split(&whole, NameOrder::LastFirst), last_first);
            let comma = format!("{}, {back}", words[0]);
            prop_assert_eq!(split(&comma, NameOrder::FirstLast), last_first);
        }
    }
}
