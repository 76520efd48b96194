//! Microsoft Graph: wire types apart from the domain, one client that sends one attempt and never
//! loops, the targets, and the join link.

pub mod host;
pub mod http;
pub mod transport;
