//! What registrants are enrolled in: a meeting or a webinar, and what their lists have in common.

use super::{draft::Draft, meeting::Meeting, transport::Response, webinar::Webinar};
use crate::registrant::Registrant;

/// One target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An online meeting with external registration.
    Meeting(Meeting),
    /// A webinar.
    Webinar(Webinar),
}

/// Which of Graph's two APIs a target belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `externalMeetingRegistration` (beta).
    Meeting,
    /// `virtualEventRegistration` (v1.0).
    Webinar,
}

impl Api {
    /// `meeting` or `webinar`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Meeting => "meeting",
            Self::Webinar => "webinar",
        }
    }
}

/// How a registration stands at the server. A meeting's is always [`Standing::Registered`].
///
/// Source: Microsoft Graph reference, `virtualEventAttendeeRegistrationStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In, and there is a link.
    Registered,
    /// The organizer has not decided yet.
    PendingApproval,
    /// The webinar was full.
    Waitlisted,
    /// A word that this program does not know.
    Other,
    /// The organizer said no.
    RejectedByOrganizer,
    /// Cancelled, by the person or the organizer.
    Canceled,
}

impl Standing {
    /// Reads Graph's word.
    #[must_use]
    pub fn read(word: Option<&str>) -> Self {
        match word {
            Some("registered") => Self::Registered,
            Some("pendingApproval") => Self::PendingApproval,
            Some("waitlisted") => Self::Waitlisted,
            Some("rejectedByOrganizer") => Self::RejectedByOrganizer,
            Some("canceled") => Self::Canceled,
            _ => Self::Other,
        }
    }

    /// Whether this registration has come to its end: a person holds no place by it.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::RejectedByOrganizer | Self::Canceled)
    }
}

/// One member of a target's list.
#[derive(Clone, PartialEq, Eq)]
pub struct Member {
    /// The id that was posted with it, where one was.
    pub posted: Option<String>,
    /// The e-mail address, in lower case; only a webinar's.
    pub email: Option<String>,
    /// The server's own id of it, under which it is looked up; only a webinar's.
    pub server_id: Option<String>,
    /// How it stands.
    pub standing: Standing,
}

/// One page of a target's list.
#[derive(Clone, PartialEq, Eq)]
pub struct ListPage {
    /// The members on this page.
    pub members: Vec<Member>,
    /// The absolute URL of the next page.
    pub next_link: Option<String>,
}

impl Target {
    /// The API that it belongs to.
    #[must_use]
    pub fn api(&self) -> Api {
        match self {
            Self::Meeting(_) => Api::Meeting,
            Self::Webinar(_) => Api::Webinar,
        }
    }

    /// The target's id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Meeting(meeting) => meeting.id(),
            Self::Webinar(webinar) => webinar.id(),
        }
    }

    /// A meeting's organizer, where one was named.
    #[must_use]
    pub fn organizer(&self) -> Option<&str> {
        match self {
            Self::Meeting(meeting) => meeting.organizer(),
            Self::Webinar(_) => None,
        }
    }

    /// POST of one registrant.
    #[must_use]
    pub fn enrol(&self, registrant: &Registrant) -> Draft {
        match self {
            Self::Meeting(meeting) => meeting.enrol(registrant),
            Self::Webinar(webinar) => webinar.enrol(registrant),
        }
    }

    /// GET of the first page of the list.
    #[must_use]
    pub fn list(&self) -> Draft {
        match self {
            Self::Meeting(meeting) => meeting.list(),
            Self::Webinar(webinar) => webinar.list(),
        }
    }

    /// Reads a page of [`Target::list`]; `None` when it is none.
    #[must_use]
    pub fn read_page(&self, response: &Response) -> Option<ListPage> {
        match self {
            Self::Meeting(_) => Meeting::read_page(response),
            Self::Webinar(_) => Webinar::read_page(response),
        }
    }
}
