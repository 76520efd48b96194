//! From what was typed to what the rooms take.

use super::args::{ConductArgs, InputArgs, OnUnknownArg, PaceArgs};
use crate::{
    input::{Keep, Options},
    job::conduct::{Conduct, OnUnknown},
};

impl InputArgs {
    /// The options of the input room.
    pub(super) fn options(&self) -> Options {
        let keep = if self.keep_all {
            Keep::All
        } else {
            let columns = self.keep.iter().flat_map(|keep| match keep {
                Keep::Columns(columns) => columns.clone(),
                Keep::Nothing | Keep::All => Vec::new(),
            });
            let columns: Vec<String> = columns.collect();
            if columns.is_empty() { Keep::Nothing } else { Keep::Columns(columns) }
        };
        Options {
            delimiter: self.delimiter,
            encoding: self.encoding,
            skip_lines: self.skip_lines,
            map: self.map.clone(),
            set: self.set.clone(),
            preset: self.preset,
            filters: self.filters.clone(),
            keep,
            id_prefix: self.id_prefix.clone(),
            ..Options::default()
        }
    }
}

impl ConductArgs {
    /// The conduct of a run.
    pub(super) fn conduct(&self, pace: &PaceArgs) -> Conduct {
        Conduct {
            strict: self.strict,
            max_rejects: self.max_rejects,
            on_unknown: match self.on_unknown {
                OnUnknownArg::Reconcile => OnUnknown::Reconcile,
                OnUnknownArg::Hold => OnUnknown::Hold,
            },
            settle: self.settle,
            trust_ledger: self.trust_ledger,
            trust_ids: self.trust_ids,
            max_attempts: pace.max_attempts,
            concurrency: pace.concurrency.max(1),
        }
    }
}
