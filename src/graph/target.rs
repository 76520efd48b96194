//! What registrants are enrolled in: a meeting or a virtual event, and what their lists have in
//! common.

use super::{
    event::VirtualEvent,
    meeting::Meeting,
    transport::{GraphRequest, Response},
    wire::ListPage,
};
use crate::registrant::{EventKind, Registrant, RegistrantId};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An online meeting with external registration.
    Meeting(Meeting),
    /// A webinar or a town hall.
    Event(VirtualEvent),
}

/// Which of Graph's two APIs a target belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `externalMeetingRegistration` (beta).
    Meeting,
    /// `virtualEventRegistration` (v1.0).
    Event(EventKind),
}

impl Api {
    /// `meeting`, `webinar` or `townhall`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Meeting => "meeting",
            Self::Event(kind) => kind.word(),
        }
    }

    /// The one of this [`Api::word`].
    pub fn of_word(word: &str) -> Option<Self> {
        let all =
            [Self::Meeting, Self::Event(EventKind::Webinar), Self::Event(EventKind::TownHall)];
        all.into_iter().find(|api| api.word() == word)
    }

    /// As sentences call it.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Meeting => "meeting",
            Self::Event(kind) => kind.noun(),
        }
    }

    pub fn is_event(self) -> bool {
        matches!(self, Self::Event(_))
    }
}

impl Target {
    /// The API that it belongs to.
    pub fn api(&self) -> Api {
        match self {
            Self::Meeting(_) => Api::Meeting,
            Self::Event(event) => Api::Event(event.kind()),
        }
    }

    pub fn id(&self) -> &str {
        match self {
            Self::Meeting(meeting) => meeting.id(),
            Self::Event(event) => event.id(),
        }
    }

    /// A meeting's organizer, where one was named.
    pub fn organizer(&self) -> Option<&str> {
        match self {
            Self::Meeting(meeting) => meeting.organizer(),
            Self::Event(_) => None,
        }
    }

    /// POST of one registrant.
    pub fn enrol(&self, registrant: &Registrant) -> GraphRequest {
        match self {
            Self::Meeting(meeting) => meeting.enrol(registrant),
            Self::Event(event) => event.enrol(registrant),
        }
    }

    /// What cancels a registration; `None` where it cannot be named. `registrant_id` is the server's own.
    pub fn cancel(&self, id: &RegistrantId, registrant_id: Option<&str>) -> Option<GraphRequest> {
        match self {
            Self::Meeting(meeting) => meeting.remove(id),
            Self::Event(event) => registrant_id.map(|id| event.cancel(id)),
        }
    }

    /// GET of the first page of the list.
    pub fn list(&self) -> GraphRequest {
        match self {
            Self::Meeting(meeting) => meeting.list(),
            Self::Event(event) => event.list(),
        }
    }

    /// Reads a page of [`Target::list`]; `None` when it is none.
    pub fn read_page(&self, response: &Response) -> Option<ListPage> {
        match self {
            Self::Meeting(_) => Meeting::read_page(response),
            Self::Event(_) => VirtualEvent::read_page(response),
        }
    }
}
