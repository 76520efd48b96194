//! The parts of `cargo bench --bench import`.

pub(crate) mod bare;
pub(crate) mod program;
pub(crate) mod size;
pub(crate) mod speed;
pub(crate) mod start;
pub(crate) mod waits;
