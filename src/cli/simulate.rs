//! `simulate`: serves the simulated Graph on this machine.

use std::net::Ipv4Addr;

use super::{args::SimulateArgs, failure::Failure, print::print, signals::Signals};
use crate::{
    output::{AtomicFile, Console},
    simulator::{Served, Simulator, Tls},
};

pub(super) fn simulate(args: &SimulateArgs, console: &Console) -> Result<u8, Failure> {
    let config = args.simulator.config().map_err(Failure::usage)?;
    let simulator = Simulator::new(config);
    let address = (Ipv4Addr::LOCALHOST, args.port).into();
    let tls = match &args.tls {
        None => None,
        Some(path) => {
            let tls =
                Tls::generate().map_err(|error| Failure::internal("no certificate", &error))?;
            let mut file = AtomicFile::create_public(path, "--tls")?;
            file.write(tls.authority().as_bytes())?;
            file.commit()?;
            Some(tls)
        }
    };
    let served = Served::start_on(&simulator, address, tls)
        .map_err(|error| Failure::usage(format!("--port {}: {error}", args.port)))?;
    print(&format!("{}\n", served.url()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal("no runtime", &error))?;
    let mut signals = Signals::listen(console.teller("serving the simulated Graph"));
    signals.drain("");
    let stop = runtime.block_on(signals.stop());
    drop(served);
    Ok(stop.exit_code())
}
