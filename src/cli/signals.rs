//! SIGINT, SIGTERM and SIGHUP (a terminal that closes): the first drains the run, a second SIGINT
//! ends the process at once. Before there is anything to drain the first one ends it, and so does the
//! deadline of the run: reading may wait for ever. SIGUSR1 asks how the run stands.
//!
//! A thread of its own listens and answers, so that both are heard while the input is read and while
//! the files are written, too. Ending at once loses nothing: what was promised is on disk, and a
//! file is there whole or not at all.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{
    input::Source,
    job::stop::Stop,
    output::{Console, StatusLine},
};

/// What a signal asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Signal {
    /// The end, for this cause.
    Stop(Stop),
    /// The state of the run.
    Tell,
}

/// The signals of this process.
pub(super) struct Signals {
    stops: UnboundedReceiver<Stop>,
    drains: Arc<OnceLock<&'static str>>,
}

impl Signals {
    /// Begins to listen, and to answer through `status`. Where the system gives no thread or
    /// handler, signals keep their default. A deadline is a time from now on and the option that
    /// set it.
    pub(super) fn listen(status: StatusLine, deadline: Option<(Duration, &'static str)>) -> Self {
        let (sender, stops) = unbounded_channel();
        let drains = Arc::<OnceLock<&'static str>>::default();
        let (ready, installed) = std::sync::mpsc::channel();
        let listener = Listener { sender, drains: drains.clone(), status, interrupted: false };
        let listening = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build()
            else {
                return;
            };
            runtime.block_on(async {
                let Ok(signals) = Incoming::install() else { return };
                let _ = ready.send(());
                listener.listen(signals, deadline).await;
            });
        });
        if listening.is_ok() {
            // Either it is installed, or the thread is gone: nothing that follows is unheard.
            let _ = installed.recv();
        }
        Self { stops, drains }
    }

    /// Begins to listen where a command gives the input, which ends with the process; a file is left
    /// to the system's defaults.
    pub(super) fn listen_for(source: &Source, console: &Console) -> Option<Self> {
        let command = matches!(source, Source::Command(..));
        command.then(|| Self::listen(console.status_line("reading the input"), None))
    }

    /// From now on the first one is handed to [`Signals::stop`] instead of ending the process.
    /// `words` say what is done before the end; nothing is said where there are none.
    pub(super) fn drain(&self, words: &'static str) {
        let _ = self.drains.set(words);
    }

    /// The next signal that ends; never, where none can be heard.
    pub(super) async fn stop(&mut self) -> Stop {
        match self.stops.recv().await {
            Some(stop) => stop,
            None => std::future::pending().await,
        }
    }
}

/// What the thread has in hand.
struct Listener {
    sender: UnboundedSender<Stop>,
    /// What is done before the end, once there is anything to do.
    drains: Arc<OnceLock<&'static str>>,
    status: StatusLine,
    interrupted: bool,
}

impl Listener {
    async fn listen(mut self, mut signals: Incoming, deadline: Option<(Duration, &'static str)>) {
        let over = async {
            let Some((after, option)) = deadline else { return std::future::pending().await };
            tokio::time::sleep(after).await;
            option
        };
        let mut over = std::pin::pin!(over);
        let mut is_over = false;
        loop {
            let signal = tokio::select! {
                signal = signals.next() => signal,
                option = &mut over, if !is_over => Signal::Stop(Stop::Deadline(option)),
            };
            match signal {
                Signal::Tell => self.status.tell_state(),
                // Whatever drains keeps the deadline itself.
                Signal::Stop(Stop::Deadline(_)) if self.drains.get().is_some() => is_over = true,
                Signal::Stop(stop) => self.stop(&stop),
            }
        }
    }

    fn stop(&mut self, stop: &Stop) {
        let word = stop.word();
        let Some(words) = self.drains.get() else {
            let why = match stop {
                Stop::Deadline(option) => format!("the time set by {option} is over"),
                _ => word.to_owned(),
            };
            self.status.say(&format!("{why}: ended before anything was sent"));
            end_at_once(stop);
        };
        if *stop == Stop::Interrupted && std::mem::replace(&mut self.interrupted, true) {
            self.status.say("ended at once: nothing is lost; run the same command again");
            end_at_once(stop);
        }
        if !words.is_empty() {
            let again = if *stop == Stop::Interrupted { "; Ctrl-C again ends at once" } else { "" };
            self.status.say(&format!("{word}: {words}{again}"));
        }
        if self.sender.send(stop.clone()).is_err() {
            // Nobody drains any more: the default action.
            end_at_once(stop);
        }
    }
}

#[expect(clippy::exit, reason = "a second SIGINT must not wait for anything")]
fn end_at_once(stop: &Stop) -> ! {
    crate::input::end_command();
    std::process::exit(i32::from(stop.exit_code()))
}

#[cfg(unix)]
struct Incoming {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// None where whoever started the program wants it to outlive its terminal (`nohup`).
    hang_up: Option<tokio::signal::unix::Signal>,
    tell: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Incoming {
    fn install() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: heeds_hang_up().then(|| signal(SignalKind::hangup())).transpose()?,
            tell: signal(SignalKind::user_defined1())?,
        })
    }

    async fn next(&mut self) -> Signal {
        let hung_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => None,
            }
        };
        tokio::select! {
            Some(()) = self.interrupt.recv() => Signal::Stop(Stop::Interrupted),
            Some(()) = self.terminate.recv() => Signal::Stop(Stop::Terminated),
            Some(()) = hung_up => Signal::Stop(Stop::Terminated),
            Some(()) = self.tell.recv() => Signal::Tell,
            else => std::future::pending().await,
        }
    }
}

/// Whether SIGHUP was not ignored when the program began: the lowest bit of the mask that Linux
/// tells (proc(5), `SigIgn`). Where it is not told, the signal keeps its default.
#[cfg(unix)]
fn heeds_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 == 0)
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
