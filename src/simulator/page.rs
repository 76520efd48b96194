//! Lists in pages: `value` and, where there is more, an absolute `@odata.nextLink` whose token
//! says nothing to anybody else.

use std::fmt::Write as _;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::{chance, config::Config, problem::Problem, route};

/// One page.
#[derive(Serialize)]
pub(super) struct Page<T> {
    #[serde(rename = "@odata.context", skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    #[serde(rename = "@odata.nextLink", skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    value: Vec<T>,
}

impl<T> Page<T> {
    pub(super) fn with_context(self, context: String) -> Self {
        Self { context: Some(context), ..self }
    }
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { context: None, next: None, value: Vec::new() }
    }
}

/// Cuts the page that the query asks for out of what `items` gives from a position on.
pub(super) fn cut<T, I: Iterator<Item = (u32, T)>>(
    config: &Config,
    base: &str,
    path: &str,
    query: &str,
    items: impl FnOnce(u32) -> I,
) -> Result<Page<T>, Problem> {
    let start = match route::parameter(query, "$skiptoken") {
        None => 0,
        Some(token) => unseal(config.seed, &token)
            .ok_or_else(|| Problem::bad_request("The $skiptoken is invalid."))?,
    };
    let mut items = items(start).peekable();
    let value = items.by_ref().take(config.page_size.max(1)).map(|(_, item)| item).collect();
    let next = items.peek().map(|(number, _)| {
        let mut next = format!("{}{path}?", config.next_link_base.as_deref().unwrap_or(base));
        // The other parameters come along, as Graph does it.
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if name != "$skiptoken" {
                let value = utf8_percent_encode(&value, NON_ALPHANUMERIC);
                write!(next, "{name}={value}&").expect("a String takes everything");
            }
        }
        next + "$skiptoken=" + &seal(config.seed, *number)
    });
    Ok(Page { context: None, next, value })
}

/// A position in a form that nobody is tempted to count on.
fn seal(seed: u64, number: u32) -> String {
    let number = u64::from(number) ^ (chance::mix(seed) >> 32);
    format!("R{:08x}{:08x}", number, chance::pair(seed, number) >> 32)
}

fn unseal(seed: u64, token: &str) -> Option<u32> {
    let number = u64::from_str_radix(token.strip_prefix('R')?.get(..8)?, 16).ok()?;
    let number = u32::try_from(number ^ (chance::mix(seed) >> 32)).ok()?;
    (seal(seed, number) == token).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_opaque_and_only_its_own() {
        for number in [0, 1, 99, 100_000, u32::MAX] {
            let token = seal(3, number);
            assert_eq!(unseal(3, &token), Some(number));
            assert_eq!(unseal(4, &token), None);
            assert!(!token.contains(&number.to_string()) || number < 100);
        }
        for bad in ["", "R", "100", "Rzzzzzzzz00000000", "R0000000000000000"] {
            assert_eq!(unseal(3, bad), None, "{bad}");
        }
    }

    #[test]
    fn pages_follow_one_another_to_the_end() {
        let config = Config { page_size: 4, ..Config::default() };
        let (mut seen, mut pages) = (Vec::new(), 0);
        let mut query = "$filter=a+b".to_owned();
        loop {
            let page = cut(&config, "http://h", "/list", &query, |start| {
                (start..10).map(|number| (number, number))
            })
            .expect("a page");
            seen.extend(page.value);
            pages += 1;
            let Some(next) = page.next else { break };
            let (path, rest) = next.split_once('?').expect("a query");
            assert_eq!(path, "http://h/list");
            assert!(rest.starts_with("$filter=a%20b&$skiptoken="), "{rest}");
            query = rest.to_owned();
        }
        assert_eq!((seen, pages), ((0..10).collect(), 3));
    }
}
