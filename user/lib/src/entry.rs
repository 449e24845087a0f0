//! From the kernel's first instruction of a program to its `run` function.
//!
//! Purpose: one entry for all interfaces: it keeps the registers that the
//! kernel set, lets the interface find the arguments, runs the program and
//! exits with what it returned. A panic is printed and ends the program.
//! Neighbours: each program names its interface and its `run` with
//! [`program!`](crate::program); `System::begin` reads the registers.

use core::fmt::{self, Write};
use core::marker::PhantomData;
use core::panic::PanicInfo;

use crate::arguments::Arguments;
use crate::console::Console;
use crate::system::System;

/// Exit status of a program that panicked.
pub const PANICKED: i32 = 101;

/// Registers at the first instruction of a process that an interface gives a
/// meaning to.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    /// First register that PatchworkOS and VeridianOS use.
    pub rdi: u64,
    /// Second register that PatchworkOS uses.
    pub rsi: u64,
    /// Stack pointer: XenevaOS puts words there.
    pub rsp: u64,
}

/// This process: what its `run` function is given.
pub struct Process<S> {
    arguments: Arguments,
    system: PhantomData<S>,
}

impl<S: System> Process<S> {
    /// Its arguments.
    pub fn arguments(&self) -> &Arguments {
        &self.arguments
    }

    /// Prints a line; see [`say!`](crate::say).
    pub fn say(&self, line: fmt::Arguments<'_>) {
        let mut console = Console::<S>::new();
        // Writing to a console does not fail; a `Display` that does is a defect
        // of the program which shows in its output.
        let _ = console.write_fmt(line);
        console.push(b"\n");
        console.flush();
    }
}

/// Prints a formatted line to a process's standard output.
#[macro_export]
macro_rules! say {
    ($process:expr, $($line:tt)*) => {
        $process.say(core::format_args!($($line)*))
    };
}

/// Runs the program. Not for programs themselves: the entry code calls it.
///
/// # Safety
/// `registers` are those with which the kernel started this process.
pub unsafe fn start<S: System>(registers: &Registers, run: fn(&Process<S>) -> i32) -> ! {
    // SAFETY: the caller's promise is the one asked for.
    let arguments = unsafe { S::begin(registers) };
    let process = Process {
        arguments,
        system: PhantomData,
    };
    S::exit(run(&process))
}

/// Prints a panic and ends the program, with a status where there is one.
pub fn panic<S: System>(info: &PanicInfo<'_>) -> ! {
    let mut console = Console::<S>::new();
    // Nothing is left to do if even this cannot be printed.
    let _ = writeln!(console, "{info}");
    console.flush();
    S::exit(PANICKED)
}

/// Makes a program of a `run` function for one interface: entry, panic
/// handler, ELF note. On a host the program only says what it is.
#[macro_export]
macro_rules! program {
    ($system:ident, $run:expr) => {
        #[cfg(any(target_os = "none", target_os = "uefi"))]
        const _: () = {
            /// First instructions: the stack is brought into the shape that a
            /// function expects, and no frame lies below this one.
            // SAFETY: the symbol is the entry point, which nothing else defines.
            #[unsafe(no_mangle)]
            #[unsafe(naked)]
            unsafe extern "sysv64" fn _start() -> ! {
                core::arch::naked_asm!(
                    "mov rdx, rsp",
                    "xor ebp, ebp",
                    "and rsp, -16",
                    "call {started}",
                    "ud2",
                    started = sym started,
                )
            }

            unsafe extern "sysv64" fn started(rdi: u64, rsi: u64, rsp: u64) -> ! {
                let registers = $crate::entry::Registers { rdi, rsi, rsp };
                // SAFETY: `_start` passes on what the kernel left in them.
                unsafe { $crate::entry::start::<$crate::$system>(&registers, $run) }
            }

            #[panic_handler]
            fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
                $crate::entry::panic::<$crate::$system>(info)
            }
        };

        #[cfg(target_os = "none")]
        #[used]
        // SAFETY: a note section holds notes, and this is one.
        #[unsafe(link_section = ".note.mayfly")]
        static NOTE: $crate::note::Note =
            $crate::note::Note::new(<$crate::$system as $crate::System>::ABI);

        #[cfg(not(any(target_os = "none", target_os = "uefi")))]
        fn main() -> std::process::ExitCode {
            // The program is compiled, and so checked, on the host too.
            let _: fn(&$crate::Process<$crate::$system>) -> i32 = $run;
            $crate::not_here!()
        }
    };
}

/// What a guest program does on a host: says what it is, with the exit status
/// of a program that cannot be executed.
#[macro_export]
macro_rules! not_here {
    () => {{
        let name = env!("CARGO_BIN_NAME");
        // Where `mayfly_build::programs` has put it, unless it is a bundled one.
        let folder = option_env!("MAYFLY_PROGRAMS");
        let path = folder.map_or(name.into(), |folder| std::format!("{folder}/{name}"));
        eprintln!("{name} is a guest program: `mayfly run {path}` runs it in a microVM");
        std::process::ExitCode::from(126)
    }};
}
