//! SIGINT and SIGTERM: the first drains the run, a second SIGINT ends the process at once. SIGUSR1
//! asks how the run stands.
//!
//! A thread of its own listens, so that the second one is heard while the files are being written,
//! too. Ending at once loses nothing: what was promised is on disk, and a file is there whole or
//! not at all.

use tokio::sync::mpsc::{UnboundedReceiver, error::SendError, unbounded_channel};

use crate::job::stop::Stop;

/// What a signal asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// The end, for this cause.
    Stop(Stop),
    /// The state of the run.
    Tell,
}

/// The signals of this process.
pub(super) struct Signals(UnboundedReceiver<Signal>);

impl Signals {
    /// Begins to listen. Where the system gives no thread or handler, signals keep their default.
    pub(super) fn listen() -> Self {
        let (sender, receiver) = unbounded_channel();
        let listening = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build()
            else {
                return;
            };
            runtime.block_on(async {
                let Ok(mut signals) = Incoming::install() else { return };
                let mut interrupted = false;
                loop {
                    let signal = signals.next().await;
                    if let Signal::Stop(stop @ Stop::Interrupted) = &signal
                        && std::mem::replace(&mut interrupted, true)
                    {
                        end_at_once(stop);
                    }
                    if let Err(SendError(Signal::Stop(stop))) = sender.send(signal) {
                        // Nobody drains any more: the default action.
                        end_at_once(&stop);
                    }
                }
            });
        });
        drop(listening);
        Self(receiver)
    }

    /// The next signal; never, where none can be heard.
    pub(super) async fn next(&mut self) -> Signal {
        match self.0.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }

    /// The next signal that ends; whoever asks meanwhile is told nothing.
    pub(super) async fn stop(&mut self) -> Stop {
        loop {
            if let Signal::Stop(stop) = self.next().await {
                return stop;
            }
        }
    }
}

#[expect(clippy::exit, reason = "a second SIGINT must not wait for anything")]
fn end_at_once(stop: &Stop) -> ! {
    std::process::exit(i32::from(stop.exit_code()))
}

#[cfg(unix)]
struct Incoming {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    tell: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Incoming {
    fn install() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            tell: signal(SignalKind::user_defined1())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Signal::Stop(Stop::Interrupted),
            Some(()) = self.terminate.recv() => Signal::Stop(Stop::Terminated),
            Some(()) = self.tell.recv() => Signal::Tell,
            else => std::future::pending().await,
        }
    }
}

#[cfg(not(unix))]
struct Incoming;

#[cfg(not(unix))]
impl Incoming {
    fn install() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Stop(Stop::Interrupted),
            Err(_) => std::future::pending().await,
        }
    }
}
