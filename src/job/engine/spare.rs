//! How far rows are prepared ahead of their turn.

use crate::{graph::transport::Transport, job::client::GraphClient};

/// How many rows are prepared ahead of their turn: enough that a free slot does not wait for an
/// intent to reach the disk, few enough that a crash leaves few in doubt that were never sent. So
/// it follows the need: twice as many when a slot waits, half when rows wait.
pub(super) struct Spare(usize);

impl Spare {
    /// A row that is prepared now and not ahead of anything.
    pub(super) const ONE: Self = Self(1);

    /// Whether one more may be prepared.
    pub(super) fn admits<T: Transport>(&mut self, client: &GraphClient<T>) -> bool {
        let unsent = client.unsent();
        if client.waiting() > self.0.div_ceil(2) {
            self.0 = (self.0 / 2).max(1);
        } else if unsent >= self.0 && client.is_starved() {
            self.0 = (self.0 * 2).min(Self::most(client.view().per_second));
        }
        unsent < self.0
    }

    fn most(per_second: Option<f64>) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rows")]
        let a_second = per_second.map_or(usize::MAX, |rate| rate.ceil() as usize);
        a_second.max(4)
    }
}
