//! The proofs of "never twice, never lost": nobody is enrolled a second time, and each row of the
//! input ends in exactly one of the two files, whatever breaks.
//!
//! Each proof breaks something, lets the program run again until it is done, and then holds the
//! files against the simulator's books: everybody there once, each link the person's own and the
//! very one that the server holds now, every row accounted for, nobody else's registrant touched.
//!
//! | module | what is broken |
//! | --- | --- |
//! | [`paused`] | answers, lists, tokens and the process itself, in one thread under paused time: exact replay of a seed |
//! | [`histories`] | the list: who is cancelled by ten thousand histories of it |
//! | [`kills`] | the real binary, by SIGKILL, among faults on sockets |
//! | [`store`] | each write, sync and rename of the disk |
//! | [`damage`] | the ledger's bytes |
//! | [`answers`] | one answer, in every way, over sockets |
//! | [`conduct`] | the surroundings: locks, signals, closed pipes, folders |
//!
//! The everyday run is small. The large one:
//!
//! ```text
//! REGISTRANT_IMPORT_SEEDS=10000 REGISTRANT_IMPORT_KILLS=2000 REGISTRANT_IMPORT_DAMAGES=1000 \
//! REGISTRANT_IMPORT_LATE=1000 REGISTRANT_IMPORT_NIGHTS=1000 REGISTRANT_IMPORT_STORE=1 cargo test --release --test proof
//! ```
//!
//! `REGISTRANT_IMPORT_SEED=n` replays one seed of a proof: a failure prints it. With
//! `REGISTRANT_IMPORT_STORY=1` the paused proof tells each call as it happens.

mod answers;
mod conduct;
mod crowd;
mod damage;
mod histories;
mod kills;
mod paused;
#[path = "../it/program.rs"]
mod program;
mod seeds;
mod stage;
mod store;
mod verify;
