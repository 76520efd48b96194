//! The whole list of a target's registrants, page by page, or nothing: a part of a list would let
//! a row be taken for absent.

use std::collections::HashSet;

use super::{client::GraphClient, refusal::Refusal};
use crate::{
    graph::{
        draft::Draft,
        host::GraphHost,
        list::{ListPage, Member},
        target::Target,
        transport::Transport,
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
    client: &GraphClient<T>,
    target: &Target,
    host: &GraphHost,
    mut page: impl FnMut(Vec<Member>),
) -> Result<(), NoList> {
    let mut next = target.list();
    let mut visited = HashSet::new();
    loop {
        let ListPage { members, next_link } = one(client, target, &next).await?;
        page(members);
        let Some(further) = next_link else { return Ok(()) };
        let place = host.next_target(&further).map_err(|error| NoList::Odd(error.to_string()))?;
        if !visited.insert(place.clone()) {
            return Err(NoList::Odd("the list's pages run in a circle".to_owned()));
        }
        next = Draft { target: place, ..next };
    }
}

/// The list's first page.
///
/// # Errors
/// [`NoList`] when it could not be had.
pub async fn first_page<T: Transport>(
    client: &GraphClient<T>,
    target: &Target,
) -> Result<ListPage, NoList> {
    one(client, target, &target.list()).await
}

async fn one<T: Transport>(
    client: &GraphClient<T>,
    target: &Target,
    draft: &Draft,
) -> Result<ListPage, NoList> {
    for _ in 0..UNREADABLE {
        let response = client.ask(Call::Read, draft).await.map_err(NoList::Refused)?;
        if let Some(page) = target.read_page(&response) {
            return Ok(page);
        }
    }
    Err(NoList::Odd("a page of the list cannot be read".to_owned()))
}
