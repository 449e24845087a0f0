//! Boots a kernel file, prints what it says on COM1, and how it ends.

use std::error::Error;
use std::io::{Write as _, stdout};
use std::time::{Duration, Instant};

use mayfly_vmm::{Config, Stop, Vm};

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: boot KERNEL")?;
    let kernel = std::fs::read(file)?;
    let mut vm = Vm::new(&Config::default(), &kernel, &[])?;
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        let stop = vm.run(deadline)?;
        stdout().write_all(&vm.take_serial())?;
        match stop {
            Stop::Output => {}
            Stop::Exit(code) => {
                let words = mayfly_machine::exit::describe(code);
                writeln!(stdout(), "ended with {code:#x}: {words}")?;
                return Ok(());
            }
            stop => return Err(stop.to_string().into()),
        }
    }
}
