//! SIGINT and SIGTERM: the first drains the run, a second SIGINT ends the process at once.
//!
//! A thread of its own listens, so that the second one is heard while the files are being written,
//! too. Ending at once loses nothing: what was promised is on disk, and a file is there whole or
//! not at all.

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::job::stop::Stop;

/// The signals of this process, as causes to stop.
pub(super) struct Signals(UnboundedReceiver<Stop>);

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
                    let stop = signals.next().await;
                    if stop == Stop::Interrupted && std::mem::replace(&mut interrupted, true) {
                        end_at_once(&stop);
                    }
                    if sender.send(stop).is_err() {
                        // Nobody drains any more: the default action.
                        end_at_once(&Stop::Interrupted);
                    }
                }
            });
        });
        drop(listening);
        Self(receiver)
    }

    /// The next signal; never, where none can be heard.
    pub(super) async fn next(&mut self) -> Stop {
        match self.0.recv().await {
            Some(stop) => stop,
            None => std::future::pending().await,
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
}

#[cfg(unix)]
impl Incoming {
    fn install() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Stop {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Stop::Interrupted,
            Some(()) = self.terminate.recv() => Stop::Terminated,
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

    async fn next(&mut self) -> Stop {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Stop::Interrupted,
            Err(_) => std::future::pending().await,
        }
    }
}
