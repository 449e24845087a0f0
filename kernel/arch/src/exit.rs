//! The exit port: the end of the machine.

use x86_64::instructions::{hlt, interrupts, port::Port};

use mayfly_machine::exit::EXIT_PORT;

/// Ends the machine with `code`. Where no exit device is, the processor stops.
pub fn exit(code: u32) -> ! {
    // SAFETY: the machine's exit device takes any code there; elsewhere nobody listens.
    unsafe { Port::<u32>::new(EXIT_PORT).write(code) };
    interrupts::disable();
    loop {
        hlt();
    }
}
