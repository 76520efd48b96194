//! The command `registrant-import`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    registrant_import::cli::main(std::env::args_os())
}
