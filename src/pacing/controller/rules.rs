//! The controller's rules by name, so that the bench can switch each off and show what it is for.

/// One rule of the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Rule {
    /// Concurrency begins low and grows with successes.
    Ramp,
    /// A long Retry-After means a window.
    Windows,
    /// A first round under a guessed window is followed by a lone call that tells fixed windows
    /// from sliding ones.
    Probe,
    /// A window that one event alone speaks for is tried with a call beyond its quota.
    Trial,
    /// A window's length is taken to the nearest usual one.
    UsualLength,
    /// A calm window's quota is tried higher.
    Raise,
    /// Refusals on the edge widen the margin instead of cutting the quota.
    Margin,
    /// After a refusal a window's first calls go in small number.
    Wary,
    /// After the first estimate the pace climbs until a second refusal gives a measure.
    Climb,
    /// The measure after the climb is not below the bound that it began with.
    Bound,
    /// What a bucket gained while the gate was closed goes at once, in short jobs.
    Refill,
    /// The pace recovers fast up to the rate that was refused.
    Recover,
    /// Cycles that beat the measure mean windows of about a second.
    ShortWindows,
    /// Refusals that use quota count in the measure.
    CountedRefusals,
    /// A refusal soon after an opening only holds the pace.
    Hold,
    /// Refusals that no bucket explains put a faster pace on trial.
    Noise,
    /// Near the end of the job the pace grows no more.
    Ending,
    /// A learnt start whose first refusal comes too early for what was learnt begins anew.
    Anew,
    /// A learnt window that others have used in part is not taken for a smaller one.
    Shared,
    /// What an earlier run learnt counts in the measures.
    Known,
    /// Growth almost ends once refusals reach their share of the rows.
    Budget,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Ramp,
        Self::Windows,
        Self::Probe,
        Self::Trial,
        Self::UsualLength,
        Self::Raise,
        Self::Margin,
        Self::Wary,
        Self::Climb,
        Self::Bound,
        Self::Refill,
        Self::Recover,
        Self::ShortWindows,
        Self::CountedRefusals,
        Self::Hold,
        Self::Noise,
        Self::Ending,
        Self::Anew,
        Self::Shared,
        Self::Known,
        Self::Budget,
    ];
}

/// Which rules are in force; all, outside the bench.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    off: Option<Rule>,
}

impl Rules {
    /// All rules but one.
    #[must_use]
    pub fn without(rule: Rule) -> Self {
        Self { off: Some(rule) }
    }

    /// Whether a rule is in force.
    #[must_use]
    pub(super) fn has(self, rule: Rule) -> bool {
        self.off != Some(rule)
    }
}
