//! Faults in ring 3 in the way its arguments say.
//!
//! Purpose: shows that a fault ends its process alone and is reported.
//! Neighbours: `overflow.rs` faults on the stack.

use core::arch::asm;

use crate::entry::Process;
use crate::say;
use crate::system::System;

/// The ways.
const USAGE: &str = "fault: read ADDRESS | write ADDRESS | jump ADDRESS | ud | div | gp";

/// The program. The kernel ends it; a fault that does nothing is status 1, and
/// wrong arguments are status 2.
pub fn run<S: System>(process: &Process<S>) -> i32 {
    let arguments = process.arguments();
    let (way, address) = (arguments.get(1), arguments.number(2));
    let Some(fault) = way.and_then(|way| fault(way, address)) else {
        say!(process, "{USAGE}");
        return 2;
    };
    say!(process, "about to fault");
    fault.happen();
    say!(process, "nothing happened");
    1
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Read(u64),
    Write(u64),
    Jump(u64),
    Invalid,
    Divide,
    Privileged,
}

fn fault(way: &[u8], address: Option<u64>) -> Option<Fault> {
    Some(match way {
        b"read" => Fault::Read(address?),
        b"write" => Fault::Write(address?),
        b"jump" => Fault::Jump(address?),
        b"ud" => Fault::Invalid,
        b"div" => Fault::Divide,
        b"gp" => Fault::Privileged,
        _ => return None,
    })
}

impl Fault {
    fn happen(self) {
        match self {
            Fault::Read(address) => {
                // SAFETY: the value is dropped; an address that cannot be read
                // ends the process, as it should.
                unsafe { asm!("mov {0}, [{0}]", inout(reg) address => _, options(nostack)) }
            }
            Fault::Write(address) => {
                // SAFETY: none can be given: an address that can be written is
                // a mistake of who started this program, and it ends at once.
                unsafe { asm!("mov [{0}], {0}", in(reg) address, options(nostack)) }
            }
            Fault::Jump(address) => {
                // SAFETY: none can be given: what is executed there ends the
                // process, or it never comes back.
                unsafe { asm!("jmp {0}", in(reg) address, options(noreturn)) }
            }
            Fault::Invalid => {
                // SAFETY: the instruction has no other effect than #UD.
                unsafe { asm!("ud2", options(nomem, nostack)) }
            }
            Fault::Divide => {
                // SAFETY: the division has no other effect than #DE.
                unsafe {
                    asm!(
                        "div {zero:e}",
                        zero = in(reg) 0,
                        inout("rax") 1_u64 => _,
                        inout("rdx") 0_u64 => _,
                        options(nomem, nostack),
                    );
                }
            }
            Fault::Privileged => {
                // SAFETY: the instruction has no other effect in ring 3 than #GP.
                unsafe { asm!("hlt", options(nomem, nostack)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_read_from_arguments() {
        assert_eq!(fault(b"read", Some(16)), Some(Fault::Read(16)));
        assert_eq!(fault(b"read", None), None);
        assert_eq!(fault(b"gp", None), Some(Fault::Privileged));
        assert_eq!(fault(b"", Some(1)), None);
    }
}
