//! Last words: what, where, and which call, on the wire and on COM1.
//!
//! A panic can come at any place, so nothing here allocates or trusts the state
//! of anything but the virtio-console; if that fails too, COM1 has the message.

use core::fmt::Write;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use mayfly_abi::Abi;
use mayfly_abi::convention::Slot;
use mayfly_arch::serial::Serial;
use mayfly_arch::virtio::console::last_words;
use mayfly_arch::{backtrace, exit, trap};
use mayfly_core::frame::TrapFrame;
use mayfly_core::trace;
use mayfly_machine::exit::{EXIT_FAULT, EXIT_PANIC};
use mayfly_wire::frame;
use mayfly_wire::message::{BACKTRACE_MAX, Event, Panic};

use crate::link::Text;

/// A panic inside the report must not report again.
static PANICKING: AtomicBool = AtomicBool::new(false);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut message = Text::default();
    // A message that is too long is cut.
    let _ = write!(message, "{}", info.message());
    let (file, line) = info
        .location()
        .map_or(("", 0), |location| (location.file(), location.line()));
    let mut trace = [0; BACKTRACE_MAX];
    backtrace::here(&mut trace);
    report(message.as_str(), file, line, trace);
    exit::exit(EXIT_PANIC)
}

/// A processor exception inside the kernel.
pub(crate) fn fatal_trap(frame: &TrapFrame, address: u64) -> ! {
    let mut message = Text::default();
    let _ = write!(
        message,
        "processor exception {} in the kernel, error code {:#x}, accessing {:#x}, RIP {:#x}",
        frame.vector, frame.error, address, frame.rip
    );
    let mut trace = [0; BACKTRACE_MAX];
    trace[0] = frame.rip;
    backtrace::from(frame.rbp, &mut trace[1..]);
    report(message.as_str(), "", 0, trace);
    exit::exit(EXIT_FAULT)
}

fn report(message: &str, file: &str, line: u32, backtrace: [u64; BACKTRACE_MAX]) {
    if PANICKING.swap(true, Ordering::Relaxed) {
        let _ = writeln!(Serial, "mayfly-kernel: panic during a panic: {message}");
        exit::exit(EXIT_PANIC);
    }
    let _ = writeln!(Serial, "mayfly-kernel: panic: {message} at {file}:{line}");
    let owner = trap::last_owner();
    let (process, thread) = owner.map_or((0, 0), |owner| (owner.process, owner.thread));
    let abi = owner.and_then(|owner| Abi::from_code(owner.abi));
    let call = abi.and_then(call_in_flight);
    let (abi, number, arguments) = call.unwrap_or((0, 0, [0; 6]));
    let panic = Panic {
        message,
        file,
        line,
        backtrace,
        pid: process,
        tid: thread,
        abi,
        number,
        arguments,
    };
    let mut buffer = [0; 1024];
    if let Ok(length) = frame::encode(&Event::Panic(panic), &mut buffer) {
        last_words(&buffer[..length]);
    }
}

/// The system call that the running thread trapped with, if it did.
fn call_in_flight(abi: Abi) -> Option<(u8, u64, [u64; 6])> {
    let frame = trap::last_frame()?;
    if !trap::is_syscall(frame.vector) {
        return None;
    }
    let convention = abi.convention();
    let arguments = convention.arguments.map(|slot| match slot {
        Slot::Register(name) => trace::register(&frame, name),
        Slot::Stack(_) => 0,
    });
    Some((abi.code(), trace::number(&frame, convention), arguments))
}
