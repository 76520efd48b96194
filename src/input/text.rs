//! A window on a source's text that moves forward record by record and knows the physical line.

use super::{
    InputError,
    decode::{Decoder, Trouble},
    split::{Extent, Span, Split, Supply, count_lines, split},
};

/// The longest record: far above any real row, and small enough that a file without a single line
/// end (or with a quote that is never closed) is reported instead of filling the memory.
pub const MAX_ROW: usize = 16 * 1024 * 1024;

/// Text that is read piece by piece.
pub(super) struct Text {
    /// What errors call the source.
    name: String,
    decoder: Decoder,
    buffer: String,
    /// Where the next record begins in `buffer`.
    at: usize,
    /// The physical line of that place in the original file, counted from 1.
    line: u64,
    ended: bool,
    /// Whether a place is marked that must stay in the buffer.
    marked: bool,
}

impl Text {
    pub(super) fn new(name: String, decoder: Decoder, line: u64) -> Self {
        Self { name, decoder, buffer: String::new(), at: 0, line, ended: false, marked: false }
    }

    pub(super) fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// What is at hand from the next record on.
    pub(super) fn at_hand(&self) -> &str {
        &self.buffer[self.at..]
    }

    pub(super) fn slice(&self, length: usize) -> &str {
        &self.buffer[self.at..self.at + length]
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Takes in more text, as much again as is at hand, so that a long record is not scanned over
    /// and over; `false` if there is none.
    pub(super) fn fill(&mut self) -> Result<bool, InputError> {
        if self.ended {
            return Ok(false);
        }
        if self.at > 0 && !self.marked {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        let before = self.buffer.len();
        let wanted = (before * 2 - self.at).max(1);
        while !self.ended && self.buffer.len() < wanted {
            match self.decoder.read(&mut self.buffer) {
                Ok(more) => self.ended = !more,
                Err(trouble) => {
                    let line = self.line + count_lines(self.buffer.as_bytes());
                    return Err(self.explain(trouble, line));
                }
            }
        }
        Ok(self.buffer.len() > before)
    }

    /// Splits the next record, which stays the next one until [`Self::advance`]; `false` at the end.
    pub(super) fn record(
        &mut self,
        delimiter: u8,
        cells: &mut Vec<Span>,
        extent: &mut Extent,
    ) -> Result<bool, InputError> {
        loop {
            let text = &self.buffer[self.at..];
            if text.is_empty() && self.ended {
                return Ok(false);
            }
            let supply = match (self.ended, text.len() > MAX_ROW) {
                (true, false) => Supply::End,
                (false, false) => Supply::More,
                (_, true) => Supply::Full,
            };
            let text = if supply == Supply::Full { &text[..cut(text, MAX_ROW)] } else { text };
            match split(text, delimiter, supply, cells, extent) {
                Split::Record => return Ok(true),
                Split::Unfinished => {
                    self.fill()?;
                }
                Split::TooLong => {
                    return Err(InputError::RowTooLong {
                        name: self.name.clone(),
                        line: self.line,
                        megabytes: MAX_ROW / (1024 * 1024),
                    });
                }
            }
        }
    }

    /// Steps over bytes that hold this many line ends.
    pub(super) fn advance(&mut self, bytes: usize, lines: u64) {
        self.at += bytes;
        self.line += lines;
    }

    /// The place of the next record, to come back to with [`Self::reset`].
    pub(super) fn mark(&mut self) -> (usize, u64) {
        self.marked = true;
        (self.at, self.line)
    }

    pub(super) fn reset(&mut self, (at, line): (usize, u64)) {
        self.marked = false;
        (self.at, self.line) = (at, line);
    }

    /// Hands the rest to `sink`, piece by piece.
    pub(super) fn drain(
        mut self,
        mut sink: impl FnMut(&str) -> Result<(), InputError>,
    ) -> Result<(), InputError> {
        loop {
            let piece = &self.buffer[self.at..];
            sink(piece)?;
            self.line += count_lines(piece.as_bytes());
            self.at = self.buffer.len();
            if !self.fill()? && self.ended {
                return Ok(());
            }
        }
    }

    pub(super) fn explain(&self, trouble: Trouble, line: u64) -> InputError {
        InputError::from_trouble(
            &self.name,
            trouble,
            self.decoder.encoding,
            self.decoder.gzip,
            line,
        )
    }
}

/// The last character boundary at or before `at`.
pub(super) fn cut(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&place| text.is_char_boundary(place)).unwrap_or(0)
}
