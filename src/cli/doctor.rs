//! `doctor`: would `run`, with these options, work here and now?
//!
//! Looks at everything that a run needs, in the order in which a run needs it, and goes on after
//! the first fault. Every line says ok, or what to do. Nothing is changed: no ledger is made, no
//! lock is held, and Graph is only read. A sign-in by code is the one exception, because its
//! issuer may replace the kept refresh token by a newer one.

mod finding;
mod offline;
mod online;
mod permissions;

use finding::Findings;

use super::{args::RunArgs, failure::Failure, print::print};
use crate::output::harmless;

pub(super) fn doctor(args: &RunArgs) -> Result<u8, Failure> {
    let mut findings = Findings::default();
    let ground = offline::look(args, &mut findings);
    match ground.reach {
        Some(reach) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| Failure::internal("no runtime", &error))?;
            runtime.block_on(online::look(args, reach, ground.input.as_ref(), &mut findings));
        }
        None => {
            for name in online::NAMES {
                findings.skipped(name, "not tried, because of the settings above");
            }
        }
    }
    print(&if args.files.json { findings.json() } else { harmless(&findings.text()).into_owned() });
    Ok(findings.exit_code())
}
