//! `registrant-import` enrols the people of a CSV export in a Microsoft Teams meeting or webinar:
//! each exactly once, each with a join link of their own.
//!
//! A row walks down this list of rooms once, from CSV to file, and never turns back.

pub mod registrant;

pub mod graph;

pub mod simulator;
