//! Microsoft Graph: its targets' requests and answers, the hosts that may get a credential, and the
//! transport that sends one attempt and never loops.

pub mod event;
pub mod host;
pub mod http;
pub mod meeting;
pub mod target;
pub mod transport;
pub mod verdict;
pub mod wire;
