//! The rows of an input, one after another, and where they end.
//!
//! Not rows: blank lines; the header once more (exports glued together); lines of nothing but
//! delimiters at the very end, which spreadsheets leave behind. In the midst of the data such a
//! line is a row without an id, and is reported as one. A footer or another table ends the rows.
//! Whatever is passed over is counted and said aloud.

use std::sync::{Arc, OnceLock};

use super::{
    InputError, Row,
    ending::{self, Ending},
    layout::Layout,
    split::Extent,
    text::{MAX_ROW, Text},
};

/// What a whole pass found out.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    ending: Option<(Ending, u64)>,
    padding_from: Option<u64>,
    repeated_headers: Vec<u64>,
    excluded: Vec<u64>,
    rows: u64,
}

impl Findings {
    pub(super) fn notes(&self, layout: &Layout) -> Vec<String> {
        let mut notes = Vec::new();
        for (gate, &count) in layout.gates.iter().zip(&self.excluded) {
            if count > 0 {
                let rows = if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
                notes.push(format!("{rows} left out by {}", gate.label));
            }
        }
        match self.repeated_headers.as_slice() {
            [] => {}
            [line] => notes.push(format!("line {line} repeats the header and is passed over")),
            [line, ..] => notes.push(format!(
                "{} lines repeat the header and are passed over, the first is line {line}",
                self.repeated_headers.len()
            )),
        }
        if let Some((ending, line)) = self.ending {
            notes.push(format!(
                "the data ends before line {line}: {ending}; what follows is not read"
            ));
        }
        if let Some(line) = self.padding_from {
            notes.push(format!("from line {line} on there are only delimiters: not rows"));
        }
        notes
    }
}

/// A pass over the data rows.
pub struct Rows {
    layout: Arc<Layout>,
    text: Text,
    after_blank: bool,
    /// Whether the delimiters-only lines at hand are known not to be the last ones.
    within_data: bool,
    ended: bool,
    findings: Findings,
    /// Filled by the first pass that reaches the end.
    shared: Arc<OnceLock<Findings>>,
}

impl Rows {
    pub(super) fn new(layout: Arc<Layout>, text: Text, shared: Arc<OnceLock<Findings>>) -> Self {
        let excluded = vec![0; layout.gates.len()];
        Self {
            layout,
            text,
            after_blank: false,
            within_data: false,
            ended: false,
            findings: Findings { excluded, ..Findings::default() },
            shared,
        }
    }

    pub(super) fn into_text(self) -> Text {
        self.text
    }

    /// Whether there is a row at all; the next one stays the next.
    pub(super) fn is_empty(&mut self) -> Result<bool, InputError> {
        let mark = self.text.mark();
        let empty = !self.read(&mut Row::new())?;
        self.text.reset(mark);
        if !empty {
            self.findings =
                Findings { excluded: vec![0; self.layout.gates.len()], ..Findings::default() };
            (self.after_blank, self.within_data) = (false, false);
        }
        Ok(empty)
    }

    /// What must be said aloud; complete once the last row has been read.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.layout.notes.clone();
        notes.extend(self.findings.notes(&self.layout));
        notes
    }

    /// Reads the next row into `row`, whose buffers are used again; `false` at the end.
    ///
    /// # Errors
    /// When the source cannot be read on, or a row is longer than [`MAX_ROW`].
    pub fn read(&mut self, row: &mut Row) -> Result<bool, InputError> {
        let delimiter = self.layout.header.delimiter.byte();
        let mut extent = Extent::default();
        while !self.ended && self.text.record(delimiter, &mut row.spans, &mut extent)? {
            let raw = self.text.slice(extent.length);
            if is_blank(raw, delimiter) {
                self.text.advance(extent.next, extent.lines);
                self.after_blank = true;
                continue;
            }
            if raw.len() == self.layout.whole_header.len() && *raw == self.layout.whole_header
                || raw.strip_prefix('\u{feff}').is_some_and(|raw| *raw == self.layout.whole_header)
            {
                self.findings.repeated_headers.push(self.text.line());
                self.text.advance(extent.next, extent.lines);
                continue;
            }
            if row.spans.iter().all(|span| span.start == span.end) && extent.defect.is_none() {
                if !self.within_data && self.only_padding_follows(delimiter)? {
                    self.findings.padding_from = Some(self.text.line());
                    break;
                }
                self.within_data = true;
            } else {
                self.within_data = false;
                let width = self.layout.width();
                if extent.defect.is_none()
                    && (row.spans.len() != width
                        || self.after_blank
                        || ending::may_be_title(raw, delimiter))
                    && let Some(ending) = ending::at(
                        &mut self.text,
                        &self.layout,
                        &extent,
                        &row.spans,
                        self.after_blank,
                    )?
                {
                    self.findings.ending = Some((ending, self.text.line()));
                    break;
                }
            }
            let raw = self.text.slice(extent.length);
            row.take(&self.layout, raw, &extent, self.text.line());
            self.text.advance(extent.next, extent.lines);
            self.after_blank = false;
            self.findings.rows += 1;
            if let Some(gate) = row.excluded_by() {
                self.findings.excluded[gate] += 1;
            }
            return Ok(true);
        }
        if !self.ended {
            self.ended = true;
            let _ = self.shared.set(self.findings.clone());
        }
        Ok(false)
    }

    /// Whether nothing but delimiters, quotes, blanks and line ends follows.
    fn only_padding_follows(&mut self, delimiter: u8) -> Result<bool, InputError> {
        let mut from = 0;
        loop {
            let at_hand = self.text.at_hand().as_bytes();
            let padding = |&b: &u8| b == delimiter || matches!(b, b'"' | b' ' | b'\r' | b'\n');
            if !at_hand[from..].iter().all(padding) || at_hand.len() > MAX_ROW {
                return Ok(false);
            }
            from = at_hand.len();
            if !self.text.fill()? && self.text.has_ended() {
                return Ok(true);
            }
        }
    }
}

/// A line without anything in it; a line of delimiters is not blank.
fn is_blank(raw: &str, delimiter: u8) -> bool {
    raw.bytes().all(|b| b != delimiter && matches!(b, b' ' | b'\t'))
}
