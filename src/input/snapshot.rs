//! A copy of the input that can be read many times, and stays when the export is overwritten.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    sync::{Arc, OnceLock},
};

use super::{
    Detected, Header, InputError, Mapping, Rows, decode::Decoder, describe, layout::Layout,
    rows::Findings, text::Text,
};
use crate::registrant::{Form, Rule};

/// The decoded rows of an input, in a file without a name.
pub struct Snapshot {
    layout: Arc<Layout>,
    file: Arc<File>,
    /// The physical line of the first byte of the copy in the original file.
    line: u64,
    shared: Arc<OnceLock<Findings>>,
}

impl Snapshot {
    pub(super) fn take(
        layout: Arc<Layout>,
        text: Text,
        shared: Arc<OnceLock<Findings>>,
        directory: &Path,
    ) -> Result<Self, InputError> {
        let failed = |cause| InputError::Copy { directory: directory.to_owned(), cause };
        // Unlinked at once where the system can do it, else on closing; never readable by others.
        let file = tempfile::tempfile_in(directory).map_err(failed)?;
        let line = text.line();
        let mut copy = BufWriter::with_capacity(1 << 16, &file);
        text.drain(|piece| copy.write_all(piece.as_bytes()).map_err(failed))?;
        copy.flush().map_err(failed)?;
        drop(copy);
        Ok(Self { layout, file: Arc::new(file), line, shared })
    }

    /// A new pass over all rows; several may go on at once.
    ///
    /// # Errors
    /// None today; the rows' own come from [`Rows::read`].
    pub fn rows(&self) -> Result<Rows, InputError> {
        tracing::debug!("the rows are read");
        let decoder = Decoder::copy(Arc::clone(&self.file));
        let text = Text::new(self.layout.name.clone(), decoder, self.line);
        Ok(Rows::new(Arc::clone(&self.layout), text, Arc::clone(&self.shared)))
    }

    /// See [`super::Input::detected`].
    #[must_use]
    pub fn detected(&self) -> &Detected {
        &self.layout.detected
    }

    /// See [`super::Input::mapping`].
    #[must_use]
    pub fn mapping(&self) -> &Mapping {
        &self.layout.mapping
    }

    /// Whether the rows tell people's addresses, and whether they tell names: what their marks are
    /// made of.
    #[must_use]
    pub fn tells_people(&self) -> (bool, bool) {
        self.layout.teller.knows()
    }

    /// See [`super::Input::header`].
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.layout.header
    }

    /// What must be said aloud; with what the rows bring to light (a footer, rows left out) as
    /// soon as one pass has reached the end.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.layout.notes.clone();
        notes.extend(self.row_notes());
        notes
    }

    /// What the rows brought to light alone; nothing before one pass has reached the end.
    #[must_use]
    pub fn row_notes(&self) -> Vec<String> {
        self.shared.get().map_or_else(Vec::new, |findings| findings.notes(&self.layout))
    }

    /// See [`super::Input::kept_names`].
    #[must_use]
    pub fn kept_names(&self) -> Vec<String> {
        self.layout.kept_names()
    }

    /// See [`super::Input::require`].
    ///
    /// # Errors
    /// [`InputError::MissingField`] for the first field that cannot be filled.
    pub fn require(&self, rule: &Rule) -> Result<(), InputError> {
        self.layout.require(rule)
    }

    /// See [`super::Input::suits`].
    ///
    /// # Errors
    /// [`InputError::Form`].
    pub fn suits(&self, form: &Form) -> Result<(), InputError> {
        self.layout.suits(form)
    }

    /// See [`super::Input::describe`].
    #[must_use]
    pub fn describe(&self) -> String {
        describe::describe(&self.layout)
    }
}
