//! The controller's rules by name, so that the bench can switch each off and show what it is for.

/// Which rules are in force; all, outside the bench.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
pub struct Rules {
    /// A long Retry-After means a window.
    pub windows: bool,
    /// Climb from the first estimate until a second refusal gives a measure.
    pub climb: bool,
    /// A measure is at least the best trailing span of its cycle.
    pub trailing_bound: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { windows: true, climb: true, trailing_bound: true }
    }
}
