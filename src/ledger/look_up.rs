//! What the ledger holds of an id: one look-up, or many in one go.

use std::{
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, OpenFlags, Transaction, params};

use super::{
    Entry, Ledger, LedgerError, State,
    block::{Block, select},
};
use crate::registrant::RegistrantId;

/// The most rows that are read ahead; once so many came in the ledger's order, another thread reads
/// on, for to read and to check them is half of the work of a run that has nobody to post.
const AHEAD: u32 = 256;

/// How many blocks that thread may be ahead.
const BLOCKS: usize = 4;

/// Rows that another thread reads, in blocks.
struct Feed {
    blocks: Option<Receiver<Result<Block, LedgerError>>>,
    /// Blocks to be filled again.
    spent: Option<Sender<Block>>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    /// The next rows for those that were taken; none after the last one.
    fn next(&self, spent: Block) -> Result<Block, LedgerError> {
        if let Some(to) = &self.spent {
            // The reader has gone once it has sent the last block.
            let _ = to.send(spent);
        }
        self.blocks
            .as_ref()
            .and_then(|blocks| blocks.recv().ok())
            .unwrap_or_else(|| Ok(Block::default()))
    }
}

/// Waits for the thread, which ends at once when nobody listens: its connection must be closed before
/// the ledger's own, or SQLite would leave the log in place as if the run had died.
impl Drop for Feed {
    fn drop(&mut self) {
        drop(self.blocks.take());
        if let Some(thread) = self.thread.take() {
            // A panic over there was reported over there.
            let _ = thread.join();
        }
    }
}

/// Look-ups that belong together: they share one lock on the file, and where they come in the
/// order in which the ledger got its ids, which is that of most inputs, rows are read ahead in that
/// order and no index is searched.
///
/// Each row that is given was held against its seal.
pub struct LookUps<'a> {
    ledger: &'a Ledger,
    /// Where it is not another one's already.
    _transaction: Option<Transaction<'a>>,
    /// Rows that come next in the ledger's order.
    ahead: Block,
    /// A row that was searched for.
    found: Block,
    /// And those after the ones that are read ahead.
    feed: Option<Feed>,
    /// The number of the row that was found last.
    last: i64,
    /// How many rows to read ahead; none, while ids come in another order.
    reach: u32,
}

impl Ledger {
    /// What the ledger holds of `id`.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] when the row's seal does not fit: a link is given as it was
    /// written, or not at all.
    pub fn find(&self, id: &RegistrantId) -> Result<Option<Entry>, LedgerError> {
        self.look_ups()?.find(id)
    }

    /// Whether the target holds `id`, or may, by this ledger's doing.
    ///
    /// # Errors
    /// As [`Ledger::find`].
    pub fn holds(&self, id: &str) -> Result<bool, LedgerError> {
        self.look_ups()?.holds(id)
    }

    /// Begins a row of look-ups. Nothing can be written while they last.
    ///
    /// # Errors
    /// [`LedgerError`], with the path, when the file cannot be read.
    pub fn look_ups(&self) -> Result<LookUps<'_>, LedgerError> {
        let connection = self.connection();
        let transaction = connection.is_autocommit().then(|| connection.unchecked_transaction());
        let transaction = transaction.transpose();
        let transaction = transaction.map_err(|error| LedgerError::from(error).at(self.path()))?;
        Ok(LookUps {
            ledger: self,
            _transaction: transaction,
            ahead: Block::default(),
            found: Block::default(),
            feed: None,
            last: 0,
            reach: 0,
        })
    }
}

impl LookUps<'_> {
    /// What the ledger holds of `id`.
    ///
    /// # Errors
    /// As [`Ledger::find`].
    pub fn find(&mut self, id: &RegistrantId) -> Result<Option<Entry>, LedgerError> {
        self.look_up(id.as_str()).map_err(|error| error.at(self.ledger.path()))
    }

    /// See [`Ledger::holds`].
    ///
    /// # Errors
    /// As [`Ledger::find`].
    pub fn holds(&mut self, id: &str) -> Result<bool, LedgerError> {
        let entry = self.find(&RegistrantId::trusted(id))?;
        Ok(entry.is_some_and(|entry| !entry.state.may_be_posted() && entry.state != State::Foreign))
    }

    fn look_up(&mut self, id: &str) -> Result<Option<Entry>, LedgerError> {
        if self.ahead.is_empty() && self.reach > 0 {
            self.read_ahead()?;
        }
        if let Some(entry) = self.ahead.take(id) {
            self.last = entry.seq.0;
            if self.ahead.is_empty() {
                self.reach = (self.reach * 2).min(AHEAD);
            }
            return Ok(Some(entry));
        }
        let Some(entry) = self.search(id)? else { return Ok(None) };
        let seq = entry.seq.0;
        self.ahead.skip_to(seq);
        if seq < self.last || self.ahead.is_empty() {
            self.ahead.clear();
            self.feed = None;
            self.reach = if seq == self.last + 1 { 4 } else { 0 };
        }
        self.last = seq;
        Ok(Some(entry))
    }

    /// Finds a row by the index of ids.
    fn search(&mut self, id: &str) -> Result<Option<Entry>, LedgerError> {
        let mut statement = self.ledger.connection().prepare_cached(select!("WHERE id = ?"))?;
        let mut rows = statement.query([id])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        if row.get_ref(1)?.as_str().ok() != Some(id) {
            return Err(LedgerError::Damaged("an index points to another row".to_owned()));
        }
        self.found.clear();
        self.found.push(row)?;
        Ok(self.found.take(id))
    }

    /// Reads the rows that follow the last one.
    fn read_ahead(&mut self) -> Result<(), LedgerError> {
        if self.reach == AHEAD && self.feed.is_none() {
            self.feed = Some(self.start_feed()?);
        }
        if let Some(feed) = &self.feed {
            self.ahead = feed.next(std::mem::take(&mut self.ahead))?;
        } else {
            self.ahead.clear();
            let mut statement = self
                .ledger
                .connection()
                .prepare_cached(select!("WHERE seq > ? ORDER BY seq LIMIT ?"))?;
            let mut rows = statement.query(params![self.last, self.reach])?;
            while let Some(row) = rows.next()? {
                self.ahead.push(row)?;
            }
        }
        if self.ahead.is_empty() {
            self.feed = None;
            self.reach = 0;
        }
        Ok(())
    }

    /// Has the rows that follow the last one read by a thread with a connection of its own. It sees
    /// what this one sees: nobody writes, as long as the look-ups hold the ledger.
    fn start_feed(&self) -> Result<Feed, LedgerError> {
        let path = self.ledger.connection().path().unwrap_or_default();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        let (full, blocks) = sync_channel(BLOCKS);
        let (spent, empty) = channel();
        let last = self.last;
        let thread = thread::Builder::new().name("look-ups".to_owned()).spawn(move || {
            if let Err(error) = send_rows(&connection, last, &empty, &full) {
                let _ = full.send(Err(error));
            }
        })?;
        Ok(Feed { blocks: Some(blocks), spent: Some(spent), thread: Some(thread) })
    }
}

/// Sends all rows after `last`, as long as somebody takes them.
fn send_rows(
    connection: &Connection,
    last: i64,
    empty: &Receiver<Block>,
    to: &SyncSender<Result<Block, LedgerError>>,
) -> Result<(), LedgerError> {
    let mut statement = connection.prepare(select!("WHERE seq > ? ORDER BY seq"))?;
    let mut rows = statement.query([last])?;
    let mut block = Block::default();
    while let Some(row) = rows.next()? {
        block.push(row)?;
        if block.is_full() {
            let mut next = empty.try_recv().unwrap_or_default();
            next.clear();
            if to.send(Ok(std::mem::replace(&mut block, next))).is_err() {
                return Ok(());
            }
        }
    }
    let _ = to.send(Ok(block));
    Ok(())
}
