//! Why there was no connection, by the types of what went wrong.
//!
//! What a run does follows from types alone; words are read for nothing but other words.

use std::{error::Error, io};

use tokio_rustls::rustls::{CertificateError, Error as TlsError};

use crate::graph::transport::{Distrust, TransportFailure};

/// What hyper-util's connector calls a name that it could not resolve. Its type is private.
const UNRESOLVED: &str = "dns error";

/// What kept a request from being sent.
pub(super) fn unconnected(error: &reqwest::Error) -> TransportFailure {
    if let Some(distrust) = causes(error).find_map(distrust) {
        TransportFailure::Untrusted(distrust)
    } else if error.is_timeout() {
        TransportFailure::TimedOut
    } else if causes(error).any(|cause| cause.to_string() == UNRESOLVED) {
        TransportFailure::NoName
    } else if causes(error).any(is_refused) {
        TransportFailure::Refused
    } else {
        TransportFailure::Connect
    }
}

/// The errors behind an error, each once. An [`io::Error`] gives what it wraps as its own words and
/// never as its source, so it is opened.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| {
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match wrapped {
            Some(wrapped) => Some(wrapped),
            None => cause.source(),
        }
    })
}

fn is_refused(cause: &(dyn Error + 'static)) -> bool {
    cause
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// What is wrong with the server's certificate, where that is what is wrong.
fn distrust(cause: &(dyn Error + 'static)) -> Option<Distrust> {
    let Some(TlsError::InvalidCertificate(fault)) = cause.downcast_ref() else { return None };
    Some(match fault {
        CertificateError::UnknownIssuer => Distrust::UnknownAuthority,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Distrust::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Distrust::NotYet
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Distrust::AnotherHost
        }
        _ => Distrust::Other,
    })
}
