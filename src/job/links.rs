//! From a registration that a virtual event holds to its link.
//!
//! Nothing is posted here but the cancelling of a registration too many, and that only of a row
//! that this ledger had in doubt: nobody holds a link of it.

use tracing::Instrument as _;

use super::{
    client::{Exchange, Refusal},
    remote::RemoteMatch,
    row::{RowEnd, RowSender, Work, doubted, is_removed, link_pending, record, span},
    stop::{Stop, systemic},
};
use crate::{
    graph::{
        event::VirtualEvent,
        target::Target,
        transport::Transport,
        verdict::{Call, Systemic, Verdict},
        wire::{Member, MemberStanding},
    },
    ledger::{LinkOwner, NextState, Over, Purpose, SendPermit, Transition},
    registrant::JoinLink,
};

const TAKEN: &str = "the event holds this e-mail address under another id of this list or ledger, and Teams keeps one registration for an address: give the row that id back, or the person an address of their own";
const REUSED: &str = "the event holds this id with other names and another e-mail address, so it is somebody else's: give the row an id of its own";

/// Whether this reason of a refusal is this program's own word, and not a server's. Ledgers of older
/// versions call the event a webinar.
pub fn is_own_reason(reason: &str) -> bool {
    let bare = |reason| str::trim_start_matches(reason, "the event ");
    let reason = bare(reason).trim_start_matches("the webinar ");
    [TAKEN, REUSED].map(bare).contains(&reason)
}

/// Leads one row that a webinar holds to its link, and gives it back with its end.
pub(super) async fn fetch_link<T: Transport>(
    sender: &RowSender<'_, T>,
    mut work: Work,
    sight: RemoteMatch,
) -> (Work, RowEnd) {
    let span = span(&work);
    let Target::Event(event) = sender.target else { return (work, RowEnd::InDoubt) };
    let end = LinkFetcher { sender, event }.run(&mut work, sight).instrument(span).await;
    (work, end)
}

/// What leads a row from its registration to its link.
struct LinkFetcher<'a, T> {
    sender: &'a RowSender<'a, T>,
    event: &'a VirtualEvent,
}

impl<T: Transport> LinkFetcher<'_, T> {
    async fn run(&self, work: &mut Work, sight: RemoteMatch) -> RowEnd {
        if work.seq.is_none() {
            // Never sent by this ledger, and there already: taken over.
            work.adopted = true;
            let request = self.sender.client.fresh_id();
            match self.sender.intend(work, Purpose::Adopt, request).await {
                Ok(SendPermit::Go(seq)) => work.seq = Some(seq),
                Ok(SendPermit::Held(state)) => return RowEnd::Held(state),
                Err(error) => return self.sender.ledger_failed(&error),
            }
        }
        if sight.taken {
            let code = "exists-on-server".to_owned();
            let by_id = sight.member.posted.as_deref() == Some(work.registrant.id.as_str());
            let reason = if by_id { REUSED } else { TAKEN };
            let becomes = NextState::Refused { code, reason: reason.to_owned() };
            return self.settle(work, None, becomes, RowEnd::TurnedAway).await;
        }
        work.server_id.clone_from(&sight.member.server_id);
        if work.doubted
            && let Err(end) = self.cancel(work, &sight.extra).await
        {
            return end;
        }
        let member = sight.member;
        let Member { standing, server_id, .. } = member.clone();
        let awaiting = |code: &str, reason: &str| NextState::Awaiting {
            code: code.to_owned(),
            reason: reason.to_owned(),
            registrant_id: server_id.clone(),
            adopted: work.adopted,
        };
        let (becomes, end) = match standing {
            MemberStanding::Registered => {
                return match server_id {
                    Some(server_id) => self.fetch(work, &member, &server_id).await,
                    None => {
                        self.settle(
                            work,
                            None,
                            link_pending(None, work.adopted),
                            RowEnd::Accepted(None),
                        )
                        .await
                    }
                };
            }
            MemberStanding::PendingApproval => (
                awaiting("pending-approval", "the organizer has not approved it yet"),
                RowEnd::Awaiting,
            ),
            MemberStanding::Waitlisted => (
                awaiting("waitlisted", "the event is full; it is on the waiting list"),
                RowEnd::Awaiting,
            ),
            MemberStanding::Other => (
                awaiting(
                    "unknown-status",
                    "its registration has a status that this program does not know",
                ),
                RowEnd::Awaiting,
            ),
            MemberStanding::RejectedByOrganizer => {
                (NextState::Gone(Over::Rejected), RowEnd::TurnedAway)
            }
            MemberStanding::Canceled => (NextState::Gone(Over::Canceled), RowEnd::TurnedAway),
        };
        self.settle(work, None, becomes, end).await
    }

    /// Cancels the registrations that a lost answer made too many.
    async fn cancel(&self, work: &mut Work, extra: &[Member]) -> Result<(), RowEnd> {
        for member in extra {
            let Some(server_id) = &member.server_id else { return Err(doubted(work)) };
            let asked = self
                .sender
                .client
                .send_until_answered(Call::Remove, &self.event.cancel(server_id))
                .await;
            match asked {
                Ok(exchange) if is_removed(&exchange) => {}
                Err(Refusal::Stopped) => return Err(RowEnd::NotAttempted),
                // The next list tells whether it stands.
                Ok(_) | Err(Refusal::Unknown | Refusal::Unreadable | Refusal::Failing(_)) => {
                    return Err(doubted(work));
                }
                Err(Refusal::Answered { status, error, verdict }) => {
                    if matches!(verdict, Verdict::Systemic(_) | Verdict::SignIn) {
                        self.stop(systemic(status, error, verdict, self.sender.target.api()));
                    }
                    return Err(doubted(work));
                }
            }
        }
        Ok(())
    }

    /// Fetches the link of a registration that stands.
    async fn fetch(&self, work: &mut Work, member: &Member, server_id: &str) -> RowEnd {
        let asked = self.ask(server_id).await;
        let pending = |code: &str, reason: &str, adopted| NextState::Awaiting {
            code: code.to_owned(),
            reason: reason.to_owned(),
            registrant_id: Some(server_id.to_owned()),
            adopted,
        };
        let (exchange, becomes, end) = match asked {
            Ok(exchange) => {
                let read = match &exchange.result {
                    Ok(answer) => VirtualEvent::read_link(answer, &work.registrant.id, member),
                    Err(_) => Err(None),
                };
                let registrant_id = Some(server_id.to_owned());
                if let Ok(link) = &read
                    && let Some(other) = self.other_owner(work, link, server_id)
                {
                    return self.shared(work, &exchange, server_id, other).await;
                }
                let (becomes, end) = match read {
                    Ok(link) => (
                        NextState::Enrolled { link, registrant_id, adopted: work.adopted },
                        RowEnd::Enrolled,
                    ),
                    Err(bad) => {
                        let (code, reason) = match bad {
                            Some(bad) => (bad.code(), bad.to_string()),
                            None => {
                                ("link-pending", "the answer with its link cannot be read".into())
                            }
                        };
                        (pending(code, &reason, work.adopted), RowEnd::Accepted(None))
                    }
                };
                (Some(exchange), becomes, end)
            }
            // What the ledger holds of it stands: the next run fetches it.
            Err(Refusal::Stopped) => return RowEnd::NotAttempted,
            Err(Refusal::Unknown | Refusal::Unreadable | Refusal::Failing(_)) => {
                let reason = "Graph fails when asked for its link";
                (None, pending("link-pending", reason, work.adopted), RowEnd::Accepted(None))
            }
            // One registration that cannot be found is not the whole webinar: it was cancelled
            // since it was listed, or one of Graph's servers is late.
            Err(Refusal::Answered { verdict, .. })
                if !matches!(
                    verdict,
                    Verdict::SignIn | Verdict::Systemic(Systemic::Forbidden | Systemic::Retired)
                ) =>
            {
                let reason = "Graph does not find its registration";
                (None, pending("link-pending", reason, work.adopted), RowEnd::Accepted(None))
            }
            Err(Refusal::Answered { status, error, verdict }) => {
                self.stop(systemic(status, error, verdict, self.sender.target.api()));
                return RowEnd::NotAttempted;
            }
        };
        self.settle(work, exchange.as_ref(), becomes, end).await
    }

    /// Asks for the link in the way that works; where that one is forbidden, in the other.
    async fn ask(&self, server_id: &str) -> Result<Exchange, Refusal> {
        let forbidden = |asked: &Result<Exchange, Refusal>| {
            let forbidden = Verdict::Systemic(Systemic::Forbidden);
            matches!(asked, Err(Refusal::Answered { verdict, .. }) if *verdict == forbidden)
        };
        let way = self.sender.links.request.get();
        let send = async |way| {
            let request = self.event.sessions(server_id, way);
            self.sender.client.send_until_answered(Call::Read, &request).await
        };
        let asked = send(way).await;
        if !forbidden(&asked) {
            return asked;
        }
        let other = send(way.other()).await;
        if other.is_ok() {
            self.sender.links.request.set(way.other());
        }
        if forbidden(&other) { asked } else { other }
    }

    /// Who else has this link, where that is not allowed.
    fn other_owner(&self, work: &Work, link: &JoinLink, server_id: &str) -> Option<LinkOwner> {
        let (seq, server_id) = (work.seq?, Some(server_id.to_owned()));
        let owner = LinkOwner { seq, server_id, adopted: work.adopted };
        let other = self.sender.links.take(&work.registrant.id, link, owner);
        other.filter(|_| !self.sender.shared_link)
    }

    /// Two people have one link: neither's is their own, and nobody else is registered.
    async fn shared(
        &self,
        work: &Work,
        exchange: &Exchange,
        server_id: &str,
        other: LinkOwner,
    ) -> RowEnd {
        self.stop(Stop::SharedLink);
        let awaiting = |registrant_id, adopted| NextState::Awaiting {
            code: "shared-link".to_owned(),
            reason: "Graph gives another person the same join link".to_owned(),
            registrant_id,
            adopted,
        };
        let clock = &self.sender.client.clock;
        let becomes = awaiting(other.server_id, other.adopted);
        let at = clock.stamp(clock.now());
        let first = Transition { seq: other.seq, attempt: None, becomes, at };
        if let Err(error) = self.sender.writer.settle(first).await {
            return self.sender.ledger_failed(&error);
        }
        let becomes = awaiting(Some(server_id.to_owned()), work.adopted);
        self.settle(work, Some(exchange), becomes, RowEnd::Awaiting).await
    }

    fn stop(&self, stop: Stop) {
        self.sender.client.stop.raise(stop);
    }

    async fn settle(
        &self,
        work: &Work,
        exchange: Option<&Exchange>,
        becomes: NextState,
        end: RowEnd,
    ) -> RowEnd {
        let clock = &self.sender.client.clock;
        let Some(seq) = work.seq else { return RowEnd::NotAttempted };
        let at = clock.stamp(exchange.map_or_else(|| clock.now(), |exchange| exchange.answered));
        let attempt = exchange.map(|exchange| record(*clock, Call::Read, exchange));
        match self.sender.writer.settle(Transition { seq, attempt, becomes, at }).await {
            Ok(()) => end,
            Err(error) => self.sender.ledger_failed(&error),
        }
    }
}
