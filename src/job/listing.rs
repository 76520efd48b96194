//! The whole list of a target's registrants, page by page, or nothing: a part of a list would let
//! a row be taken for absent.

use std::collections::HashSet;

use super::{line::Line, refusal::Refusal};
use crate::{
    graph::{
        host::GraphHost,
        target::Target,
        transport::{GraphRequest, Transport},
        wire::{ListPage, Member},
    },
    pacing::Call,
};

/// An answer that cannot be read is asked for this often: gateways cut answers short.
pub(super) const UNREADABLE: u32 = 5;

/// Why there is no list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoList {
    /// The request was refused or the run was stopped.
    Refused(Refusal),
    /// In words.
    Odd(String),
}

/// Lists all registrants and gives each page's members to `page`.
///
/// # Errors
/// [`NoList`] when any page could not be had; nothing may be judged then.
pub async fn list<T: Transport>(
    line: &Line<T>,
    target: &Target,
    host: &GraphHost,
    mut page: impl FnMut(Vec<Member>),
) -> Result<(), NoList> {
    let mut next = target.list();
    let mut visited = HashSet::new();
    loop {
        let ListPage { members, next_link } = one(line, target, &next).await?;
        page(members);
        let Some(further) = next_link else { return Ok(()) };
        let place = host.next_target(&further).map_err(|error| NoList::Odd(error.to_string()))?;
        if !visited.insert(place.clone()) {
            return Err(NoList::Odd("the list's pages run in a circle".to_owned()));
        }
        next = GraphRequest { target: place, ..next };
    }
}

/// The list's first page.
///
/// # Errors
/// [`NoList`] when it could not be had.
pub async fn first_page<T: Transport>(line: &Line<T>, target: &Target) -> Result<ListPage, NoList> {
    one(line, target, &target.list()).await
}

async fn one<T: Transport>(
    line: &Line<T>,
    target: &Target,
    draft: &GraphRequest,
) -> Result<ListPage, NoList> {
    for _ in 0..UNREADABLE {
        let response = line.ask(Call::Read, draft).await.map_err(NoList::Refused)?;
        if let Some(page) = target.read_page(&response) {
            return Ok(page);
        }
    }
    Err(NoList::Odd("a page of the list cannot be read".to_owned()))
}
