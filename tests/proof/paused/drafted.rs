//! The files that a run drafts while it plans: where it finds nothing to do, they must be those that
//! the ledger has to show at its end.

use std::path::Path;

use registrant_import::{
    input::Snapshot,
    job::{Ended, Event, engine::Tally, plan::Noted},
    output::{Draft, Projection},
};

/// What one run drafts.
pub(super) struct Drafted<'a> {
    input: &'a Snapshot,
    folder: &'a Path,
    draft: Option<Draft>,
    run: i64,
    answers_known: bool,
    whole: bool,
}

impl<'a> Drafted<'a> {
    pub(super) fn new(input: &'a Snapshot, folder: &'a Path) -> Self {
        Self { input, folder, draft: None, run: 0, answers_known: false, whole: false }
    }

    pub(super) fn hear(&mut self, event: &Event<'_>) {
        match event {
            Event::Drawing { rule, run } => {
                (self.run, self.answers_known, self.whole) = (*run, rule.knows_answers(), false);
                let [enrolled, rejects] = self.paths("drafted");
                let draft = Draft::begin(self.input, &enrolled, &rejects, false);
                self.draft = Some(draft.expect("a folder takes files"));
            }
            Event::Noted(Noted::Settled { row, sifted, entry, stranger }) => {
                let draft = self.draft.as_mut().expect("rows are told of in a plan");
                draft
                    .settled(row, sifted, *entry, self.run, self.answers_known, *stranger)
                    .expect("a folder takes files");
            }
            Event::Noted(Noted::Open) => self.draft = None,
            Event::Planned(planned) => {
                self.whole = planned.plan.is_idle();
                assert_eq!(self.whole, self.draft.is_some(), "a draft ends where work begins");
            }
            Event::Ruled(_) | Event::Going(_) => {}
        }
    }

    fn paths(&self, stem: &str) -> [std::path::PathBuf; 2] {
        ["enrolled", "rejects"].map(|kind| self.folder.join(format!("{stem}.{kind}.csv")))
    }

    /// Holds the draft of a run that had nothing to do against the ledger; whether it was one.
    pub(super) fn hold(mut self, ended: &Ended) -> bool {
        let Some(draft) = self.draft.take().filter(|_| self.whole) else { return false };
        assert_eq!(ended.tally, Tally::default(), "a run with nothing to do did something");
        let (rule, _) = ended.ruled.clone().expect("a plan has a rule");
        let projection = Projection {
            input: self.input,
            rule,
            ledger: &ended.ledger,
            judgement: ended.judgement.as_ref().expect("a plan was drawn"),
            stopped: ended.stop.as_ref().map(|stop| (stop.word(), stop.to_string())),
            formula_safe: false,
        };
        let [enrolled, rejects] = self.paths("projected");
        let projected = projection.write(&enrolled, &rejects).expect("the files are written");
        assert_eq!(draft.commit().expect("the files are put in their places"), projected);
        for (drafted, projected) in self.paths("drafted").iter().zip([enrolled, rejects]) {
            let read = |path: &Path| std::fs::read_to_string(path).expect("is there");
            assert_eq!(read(drafted), read(&projected));
        }
        true
    }
}
