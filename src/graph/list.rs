//! What the lists of both kinds of target have in common.

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
    /// First and last name; only a webinar's.
    pub names: Option<(String, String)>,
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
