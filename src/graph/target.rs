//! What registrants are enrolled in: a meeting or a webinar, and what their lists have in common.

use super::{
    event::VirtualEvent,
    meeting::Meeting,
    transport::{GraphRequest, Response},
    wire::ListPage,
};
use crate::registrant::Registrant;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An online meeting with external registration.
    Meeting(Meeting),
    Event(VirtualEvent),
}

/// Which of Graph's two APIs a target belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `externalMeetingRegistration` (beta).
    Meeting,
    /// `virtualEventRegistration` (v1.0).
    Event,
}

impl Api {
    /// `meeting` or `webinar`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Meeting => "meeting",
            Self::Event => "webinar",
        }
    }
}

impl Target {
    /// The API that it belongs to.
    pub fn api(&self) -> Api {
        match self {
            Self::Meeting(_) => Api::Meeting,
            Self::Event(_) => Api::Event,
        }
    }

    pub fn id(&self) -> &str {
        match self {
            Self::Meeting(meeting) => meeting.id(),
            Self::Event(webinar) => webinar.id(),
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
            Self::Event(webinar) => webinar.enrol(registrant),
        }
    }

    /// GET of the first page of the list.
    pub fn list(&self) -> GraphRequest {
        match self {
            Self::Meeting(meeting) => meeting.list(),
            Self::Event(webinar) => webinar.list(),
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
