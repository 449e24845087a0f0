//! Threads of XenevaOS for programs (`specs/xeneva.md` §3.2, services 32, 35).
//!
//! Neighbours: `../xeneva.rs` has the services that every program uses.

use core::ffi::CStr;

use mayfly_abi::xeneva::nr;

use super::{Failed, call, outcome, word};

/// Waits for a signal, which may have come already; answers 1.
pub fn pause() -> u64 {
    call(nr::PauseThread, [0; 6])
}

/// Sends a process's main thread a signal.
///
/// # Errors
/// When there is no such process or signal.
pub fn send_signal(pid: i32, signal: i32) -> Result<u64, Failed> {
    let words = [word(pid), word(signal), 0, 0, 0, 0];
    outcome(call(nr::SendSignal, words))
}

/// Starts a thread at an entry that [`sub_thread!`](crate::sub_thread) made;
/// says its index in the process, from 1 on.
///
/// # Errors
/// When there are too many, or no memory is left.
pub fn create(entry: unsafe extern "sysv64" fn() -> !, name: &CStr) -> Result<u64, Failed> {
    let entry = (entry as *const ()).expose_provenance() as u64;
    let name = name.as_ptr().expose_provenance() as u64;
    outcome(call(nr::CreateUserThread, [entry, name, 0, 0, 0, 0]))
}

/// Makes an entry for threads: `fn $body(argc: u64, argv: u64)` runs with what
/// lies on the stack; then the thread pauses for ever, as none can end.
#[macro_export]
macro_rules! sub_thread {
    ($entry:ident, $body:ident) => {
        /// First instructions of a thread: there is no return address.
        #[unsafe(naked)]
        unsafe extern "sysv64" fn $entry() -> ! {
            unsafe extern "sysv64" fn started(argc: u64, argv: u64) -> ! {
                $body(argc, argv);
                loop {
                    $crate::xeneva::thread::pause();
                }
            }
            core::arch::naked_asm!(
                "mov rdi, [rsp]",
                "mov rsi, [rsp + 8]",
                "and rsp, -16",
                "call {started}",
                "ud2",
                started = sym started,
            )
        }
    };
}
