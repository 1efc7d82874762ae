//! moto: what Python programs are tested with in the place of AWS. Everything is in memory.

use super::processes::{Processes, free_ports, installed};

/// Starts it; returns its port.
pub fn start(processes: &mut Processes) -> u16 {
    let [port] = free_ports();
    let mut moto = installed("moto_server");
    moto.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    processes.spawn(&mut moto);
    port
}
