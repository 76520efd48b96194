//! The scribe: many tasks write, one commit makes a whole group durable.
//!
//! A thread owns the ledger. It takes whatever has been asked since its last commit, does it in one
//! transaction and answers all of it after the sync, so the price of a sync is shared by everybody
//! who waits for it. After a failed commit it takes nothing more: what is on disk is the truth, and
//! the next run starts from there.

use std::{
    cell::RefCell,
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
};

use tokio::sync::oneshot;

use super::{SendPermit, Intent, Ledger, LedgerError, Transition, batch::Batch};

/// The most requests in one transaction: enough that the disk does not set the pace (measured:
/// the gain ends at some hundreds), few enough that nobody waits long.
const GROUP: usize = 512;

/// Writes to the ledger for many tasks.
pub struct LedgerWriter(Place);

enum Place {
    Thread {
        orders: Option<Sender<Order>>,
        thread: Option<JoinHandle<Ledger>>,
    },
    /// In the caller's own thread: for deterministic tests under paused time, where waiting for
    /// another thread would let the clock run away.
    Here(RefCell<Ledger>),
}

enum Order {
    Intend(Intent, oneshot::Sender<Result<SendPermit, LedgerError>>),
    Settle(Transition, oneshot::Sender<Result<(), LedgerError>>),
}

impl LedgerWriter {
    /// Hands the ledger to a thread of its own.
    ///
    /// # Errors
    /// [`LedgerError::Io`] when the system gives no thread.
    pub fn start(ledger: Ledger) -> Result<Self, LedgerError> {
        let (orders, inbox) = channel();
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || write_groups(ledger, &inbox))?;
        Ok(Self(Place::Thread { orders: Some(orders), thread: Some(thread) }))
    }

    /// Keeps the ledger in this thread; each request is its own commit.
    #[must_use]
    pub fn here(ledger: Ledger) -> Self {
        Self(Place::Here(RefCell::new(ledger)))
    }

    /// Asks for the right to send. When it is granted, the intent is on disk.
    ///
    /// # Errors
    /// [`LedgerError`] when it could not be written: nothing may be sent.
    pub async fn intend(&self, intent: Intent) -> Result<SendPermit, LedgerError> {
        match &self.0 {
            Place::Here(ledger) => {
                tokio::task::yield_now().await;
                ledger.borrow_mut().commit(|batch| batch.intend(&intent))
            }
            Place::Thread { orders, .. } => {
                let (reply, answer) = oneshot::channel();
                order(orders.as_ref(), Order::Intend(intent, reply), answer).await
            }
        }
    }

    /// Makes an outcome durable.
    ///
    /// # Errors
    /// [`LedgerError`] when it could not be written: the row does not count as done.
    pub async fn settle(&self, settlement: Transition) -> Result<(), LedgerError> {
        match &self.0 {
            Place::Here(ledger) => {
                tokio::task::yield_now().await;
                ledger.borrow_mut().commit(|batch| batch.settle(&settlement))
            }
            Place::Thread { orders, .. } => {
                let (reply, answer) = oneshot::channel();
                order(orders.as_ref(), Order::Settle(settlement, reply), answer).await
            }
        }
    }

    /// Waits until everything that was asked is done, and gives the ledger back.
    ///
    /// # Panics
    /// When the scribe's thread panicked, with the same panic.
    #[must_use]
    pub fn finish(mut self) -> Ledger {
        match std::mem::replace(&mut self.0, Place::Thread { orders: None, thread: None }) {
            Place::Here(ledger) => ledger.into_inner(),
            Place::Thread { orders, thread } => {
                drop(orders);
                let thread = thread.expect("a scribe is finished once");
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
        }
    }
}

async fn order<R>(
    orders: Option<&Sender<Order>>,
    order: Order,
    answer: oneshot::Receiver<Result<R, LedgerError>>,
) -> Result<R, LedgerError> {
    let gone = || LedgerError::FailedBefore("its thread has ended".to_owned());
    orders.ok_or_else(gone)?.send(order).map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

fn write_groups(mut ledger: Ledger, inbox: &Receiver<Order>) -> Ledger {
    let mut failed: Option<String> = None;
    let mut group = Vec::with_capacity(GROUP);
    while let Ok(first) = inbox.recv() {
        group.push(first);
        group.extend(inbox.try_iter().take(GROUP - 1));
        match &failed {
            Some(why) => group.drain(..).for_each(|order| order.refuse(why)),
            None => failed = write_group(&mut ledger, &mut group),
        }
    }
    ledger
}

/// Answers every order of the group; returns the words of the failure, if it failed.
fn write_group(ledger: &mut Ledger, group: &mut Vec<Order>) -> Option<String> {
    let done = ledger.commit(|batch| {
        group.iter().map(|order| order.write(batch)).collect::<Result<Vec<_>, _>>()
    });
    match done {
        Ok(outcomes) => {
            for (order, outcome) in group.drain(..).zip(outcomes) {
                order.confirm(outcome);
            }
            None
        }
        Err(error) => {
            let why = error.to_string();
            group.drain(..).for_each(|order| order.refuse(&why));
            Some(why)
        }
    }
}

impl Order {
    fn write(&self, batch: &Batch<'_>) -> Result<Option<SendPermit>, LedgerError> {
        match self {
            Self::Intend(intent, _) => batch.intend(intent).map(Some),
            Self::Settle(settlement, _) => batch.settle(settlement).map(|()| None),
        }
    }

    // A receiver that is gone belongs to a task that was dropped: nobody waits for the answer.
    fn confirm(self, outcome: Option<SendPermit>) {
        match (self, outcome) {
            (Self::Intend(_, reply), Some(granted)) => drop(reply.send(Ok(granted))),
            (Self::Settle(_, reply), _) => drop(reply.send(Ok(()))),
            (Self::Intend(..), None) => {}
        }
    }

    fn refuse(self, why: &str) {
        let error = LedgerError::FailedBefore(why.to_owned());
        match self {
            Self::Intend(_, reply) => drop(reply.send(Err(error))),
            Self::Settle(_, reply) => drop(reply.send(Err(error))),
        }
    }
}
