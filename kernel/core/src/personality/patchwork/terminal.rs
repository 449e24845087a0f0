//! `/dev/tty/ctl`: commands to the terminal, and what is known of it.
//!
//! PatchworkOS has no terminal; these words are this kernel's own, in the form
//! of its other control files. Written: `raw`, `lines`, and `foreground PID...`,
//! which without a process makes bytes raw again. Read: one fact a line.

use alloc::vec::Vec;

use mayfly_abi::Abi;

use super::control::Commands;
use super::proc::number;
use crate::error::KernelError;
use crate::kernel::{Kernel, Running};
use crate::object::file::OpenFile;
use crate::object::terminal::TerminalRef;
use crate::port::Port;
use crate::user;

/// Obeys what is written.
pub(crate) fn write<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    terminal: &TerminalRef,
    address: u64,
    count: u64,
) -> Result<u64, KernelError> {
    let commands = Commands::read(kernel, running, address, count)?;
    let writer = running.process.key;
    for command in commands.each() {
        let command = command?;
        match (command.name, &command.words[..]) {
            (b"raw", []) => kernel.set_raw(terminal, Some(writer)),
            (b"lines", []) => kernel.set_raw(terminal, None),
            (b"foreground", words) => {
                let mut processes = Vec::with_capacity(words.len());
                for word in words {
                    let id = number(word)?.cast_unsigned();
                    let key = match running.process.is(Abi::Patchwork, id) {
                        true => Some(running.process.key),
                        false => kernel.process_by_id(Abi::Patchwork, id),
                    };
                    // One that has ended already is nowhere.
                    processes.extend(key);
                }
                let editor = words.is_empty().then_some(writer);
                kernel.set_foreground(terminal, processes, editor);
            }
            (b"raw" | b"lines", _) => return Err(KernelError::BadCommand),
            _ => return Err(KernelError::NotFound),
        }
    }
    // What was typed while there was no room.
    kernel.typing_on();
    Ok(count)
}

/// Tells what is known from the file's position on.
pub(crate) fn read<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    file: &OpenFile,
    terminal: &TerminalRef,
    address: u64,
    count: u64,
) -> Result<u64, KernelError> {
    let window = terminal.window();
    let mut text = Vec::with_capacity(48);
    for (name, value) in [
        (&b"columns "[..], window.columns),
        (b"\nrows ", window.rows),
        (b"\nmachine ", window.machine),
    ] {
        text.extend_from_slice(name);
        push_decimal(&mut text, value);
    }
    let at = usize::try_from(file.position.get()).unwrap_or(usize::MAX);
    let rest = text.get(at..).unwrap_or_default();
    let part = &rest[..rest.len().min(usize::try_from(count).unwrap_or(usize::MAX))];
    let space = &mut running.process.space;
    user::write(&mut kernel.machine, space, address, part)?;
    // At its end it begins anew: whoever keeps it open reads again.
    let at = if part.is_empty() { 0 } else { at + part.len() };
    file.position.set(at as u64);
    Ok(part.len() as u64)
}

/// Digits by hand: a shell reads this before its first prompt, and formatting
/// takes thousands of instructions.
fn push_decimal(text: &mut Vec<u8>, mut value: u16) {
    let start = text.len();
    loop {
        text.push(b'0' + u8::try_from(value % 10).unwrap_or(0));
        value /= 10;
        if value == 0 {
            break;
        }
    }
    text[start..].reverse();
}
