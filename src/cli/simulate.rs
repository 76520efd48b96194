//! `simulate`: serves the simulated Graph on this machine.

use std::net::Ipv4Addr;

use super::{
    failure::{Failure, runtime},
    logging::print,
    settings::SimulateSettings,
    signals::Signals,
};
use crate::{
    output::{AtomicFile, Console},
    simulator::{Served, Simulator, Tls},
};

pub(super) fn simulate(settings: &SimulateSettings, console: &Console) -> Result<u8, Failure> {
    let simulator = Simulator::new(settings.simulator.clone());
    let address = (Ipv4Addr::LOCALHOST, settings.port).into();
    let served = match &settings.tls {
        None => Served::start_on(&simulator, address),
        Some(path) => {
            let tls =
                Tls::generate().map_err(|error| Failure::internal("no certificate", &error))?;
            let mut file = AtomicFile::create_public(path, "--tls")?;
            file.write(tls.authority().as_bytes())?;
            file.commit()?;
            Served::start_tls(&simulator, address, &tls)
        }
    };
    let served =
        served.map_err(|error| Failure::usage(format!("--port {}: {error}", settings.port)))?;
    print(&format!("{}\n", served.url()));
    let runtime = runtime()?;
    let mut signals = Signals::listen(console.teller("serving the simulated Graph"));
    signals.drain("");
    let stop = runtime.block_on(signals.stop());
    drop(served);
    Ok(stop.exit_code())
}
