//! Microsoft Graph: wire types apart from the domain, transports that send one attempt and never
//! loop, the hosts that may get a credential, and the targets.

pub mod host;
pub mod http;
pub mod meeting;
pub mod target;
pub mod transport;
pub mod webinar;
pub mod wire;
