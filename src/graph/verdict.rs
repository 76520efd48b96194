//! The verdict on an attempt: what its answer, or the lack of one, says about the request.
//!
//! One pure function for every request that the program sends. What decides is whether the server
//! may have acted on it: a POST that may have been processed is never simply sent again.

/// What was asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// A GET: may be repeated freely.
    Read,
    /// A POST: processed twice, it may enrol twice.
    Create,
    /// A DELETE: may be repeated; a 404 means that nothing is left to delete.
    Remove,
}

/// What was heard of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A complete answer.
    Answer {
        /// The HTTP status.
        status: u16,
        /// Whether it carries `Retry-After`.
        retry_after: bool,
    },
    /// No byte of the request can have reached the server.
    NotSent,
    /// The request may have reached the server; its answer was lost.
    Lost,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx: the body decides.
    Done,
    /// Refused by the limit, not processed: all wait as long as the server asks, then it is sent again,
    /// as often as it takes.
    Throttled,
    /// Not processed, or harmless to repeat: this request alone rests, then is sent again.
    Again,
    /// The token is not accepted: refresh it once, then send again.
    SignIn,
    /// The server may have processed a POST: look at what it holds before doing anything else.
    Unknown,
    /// 409 on a POST: the server holds this id already.
    Exists,
    /// The server's word about this one request; the next row may fare better.
    Refused,
    /// Every other request would fare the same: stop the run.
    Systemic(Systemic),
}

/// A fault of the whole target, not of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Systemic {
    /// 403: permission or policy.
    Forbidden,
    /// 404 on the target: no such meeting, or registration was switched off.
    TargetGone,
    /// 410 or 501: Microsoft has switched the API off.
    Retired,
}

impl Verdict {
    /// The word for the ledger and the log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Throttled => "throttled",
            Self::Again => "again",
            Self::SignIn => "sign-in",
            Self::Unknown => "unknown",
            Self::Exists => "exists",
            Self::Refused => "refused",
            Self::Systemic(Systemic::Forbidden) => "forbidden",
            Self::Systemic(Systemic::TargetGone) => "target-gone",
            Self::Systemic(Systemic::Retired) => "retired",
        }
    }
}

/// Judges one attempt.
///
/// Sources: Microsoft Graph, "Throttling" and "Error responses"; RFC 9110, section 15. 503 counts
/// as "not processed" only with `Retry-After`; without it a gateway may be speaking for a server
/// that did the work.
pub fn verdict(call: Call, heard: Heard) -> Verdict {
    let lost = if call == Call::Create { Verdict::Unknown } else { Verdict::Again };
    let (status, retry_after) = match heard {
        Heard::NotSent => return Verdict::Again,
        Heard::Lost => return lost,
        Heard::Answer { status, retry_after } => (status, retry_after),
    };
    match status {
        200..=299 => Verdict::Done,
        429 | 509 => Verdict::Throttled,
        503 if retry_after => Verdict::Again,
        401 => Verdict::SignIn,
        403 => Verdict::Systemic(Systemic::Forbidden),
        404 | 410 if call == Call::Remove => Verdict::Done,
        404 => Verdict::Systemic(Systemic::TargetGone),
        410 | 501 => Verdict::Systemic(Systemic::Retired),
        409 if call == Call::Create => Verdict::Exists,
        // The server gave up waiting for the request, or a gateway for the server.
        408 | 500 | 502..=599 => lost,
        // The client errors that RFC 9110 (section 15.5), RFC 6585, RFC 4918, RFC 7725 and RFC 8470 know:
        // the request was not carried out.
        400..=407 | 411..=417 | 421..=426 | 428 | 431 | 451 => Verdict::Refused,
        // A redirect says that the work is done elsewhere, and whoever invents a code (nginx' 499, 600
        // and up) says nothing of what became of a POST.
        _ if call == Call::Create => Verdict::Unknown,
        _ => Verdict::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(call: Call, status: u16) -> Verdict {
        verdict(call, Heard::Answer { status, retry_after: false })
    }

    #[test]
    fn a_post_that_may_have_been_processed_is_unknown() {
        for status in [101, 300, 302, 303, 307, 399, 449, 418, 444, 460, 499, 600, 999] {
            assert_eq!(on(Call::Create, status), Verdict::Unknown, "{status}");
            assert_eq!(on(Call::Read, status), Verdict::Refused, "{status}");
        }
        for status in [408, 500, 502, 503, 504, 507, 599] {
            assert_eq!(on(Call::Create, status), Verdict::Unknown, "{status}");
            assert_eq!(on(Call::Read, status), Verdict::Again, "{status}");
            assert_eq!(on(Call::Remove, status), Verdict::Again, "{status}");
        }
        assert_eq!(verdict(Call::Create, Heard::Lost), Verdict::Unknown);
        assert_eq!(verdict(Call::Read, Heard::Lost), Verdict::Again);
    }

    #[test]
    fn a_post_that_was_surely_not_processed_is_sent_again() {
        assert_eq!(verdict(Call::Create, Heard::NotSent), Verdict::Again);
        assert_eq!(on(Call::Create, 429), Verdict::Throttled);
        let asked = Heard::Answer { status: 503, retry_after: true };
        assert_eq!(verdict(Call::Create, asked), Verdict::Again);
        assert_eq!(on(Call::Create, 401), Verdict::SignIn);
    }

    #[test]
    fn what_is_the_same_for_every_row_stops_the_run() {
        for call in [Call::Read, Call::Create] {
            assert_eq!(on(call, 403), Verdict::Systemic(Systemic::Forbidden));
            assert_eq!(on(call, 404), Verdict::Systemic(Systemic::TargetGone));
            assert_eq!(on(call, 410), Verdict::Systemic(Systemic::Retired));
        }
    }

    #[test]
    fn deleting_what_is_gone_is_done() {
        assert_eq!(on(Call::Remove, 204), Verdict::Done);
        assert_eq!(on(Call::Remove, 404), Verdict::Done);
        assert_eq!(on(Call::Remove, 410), Verdict::Done);
    }

    #[test]
    fn every_status_has_a_verdict_and_no_error_passes_for_success() {
        for status in 100..=999 {
            for call in [Call::Read, Call::Create, Call::Remove] {
                let done = on(call, status) == Verdict::Done;
                let may_be = (200..300).contains(&status)
                    || (call == Call::Remove && matches!(status, 404 | 410));
                assert_eq!(done, may_be, "{call:?} {status}");
            }
        }
        for status in [400, 402, 405, 406, 412, 413, 415, 417, 422, 423, 424, 428, 431, 451] {
            assert_eq!(on(Call::Create, status), Verdict::Refused, "{status}");
        }
        assert_eq!(on(Call::Create, 409), Verdict::Exists);
    }
}
