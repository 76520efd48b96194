//! Signing in, against a token endpoint on loopback.

mod application;
mod endpoint;
mod fixed;
mod person;
mod settings;
