//! The simulator as its clients meet it.

mod direct;
mod sockets;
