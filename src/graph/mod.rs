//! Microsoft Graph: wire types apart from the domain, transports that send one attempt and never
//! loop, and the targets.

pub mod meeting;
pub mod transport;
pub mod wire;
