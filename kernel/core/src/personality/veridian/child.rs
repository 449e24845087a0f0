//! PROCESS_CREATE, START and WAIT of VeridianOS (specs/veridian.md §5, §7).

use alloc::vec::Vec;

use mayfly_abi::Abi;
use mayfly_abi::table::{Duration, Handle, Input, Load, Store};
use mayfly_abi::veridian::{ProcessExitInfo, exit_reason};

use super::error::answer;
use crate::error::KernelError;
use crate::kernel::{Child, Flow, Kernel, LoadError, Running, Source};
use crate::loader::ImageError;
use crate::object::capability::{Object, Rights, SLOTS_MAX};
use crate::object::collect::Ended;
use crate::object::memory::Touch;
use crate::object::namespace::View;
use crate::object::process::{Cause, ProcessKey};
use crate::object::thread::Wait;
use crate::personality::append;
use crate::port::Port;
use crate::user;

/// Limits of a new process (§7.2, §16).
const BINARY_MAX: u64 = 256 << 20;
const ARGUMENTS_MAX: u64 = 32768;
const TEXT_MAX: usize = 128 << 10;
const STRING_MAX: usize = 4096;
/// Words that are read at a time.
const WORDS: usize = 32;

/// PROCESS_CREATE.
#[expect(clippy::too_many_arguments, reason = "the call has six")]
pub(crate) fn create<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Input(binary): Input,
    binary_len: u64,
    Load(arguments): Load,
    argument_count: u64,
    Load(tokens): Load,
    token_count: u64,
) -> Flow {
    let lists = Lists {
        binary: (binary, binary_len),
        arguments: (arguments, argument_count),
        tokens: (tokens, token_count),
    };
    answer(create_checked(kernel, running, &lists))
}

/// Addresses and lengths of what a process is made of.
struct Lists {
    binary: (u64, u64),
    arguments: (u64, u64),
    tokens: (u64, u64),
}

fn create_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    lists: &Lists,
) -> Result<u64, KernelError> {
    let (address, length) = lists.binary;
    if length == 0
        || length > BINARY_MAX
        || lists.arguments.1 > ARGUMENTS_MAX
        || lists.tokens.1 >= SLOTS_MAX as u64
    {
        return Err(KernelError::InvalidArgument);
    }
    let mut tokens = Vec::new();
    read_words(kernel, running, lists.tokens, |_, _, token| {
        tokens.push(token);
        Ok(())
    })?;
    for token in &tokens {
        running.process.capabilities.find(*token)?;
    }
    for token in &tokens {
        let capability = running.process.capabilities.find(*token)?;
        capability.need(Rights::GRANT)?;
    }
    let arguments = read_arguments(kernel, running, lists.arguments)?;
    user::check_range(address, length)?;
    if kernel.records.is_full() {
        return Err(KernelError::NoRoom);
    }
    let child = Child {
        arguments,
        handles: kernel.standard_handles(&running.process),
        view: View::default(),
    };
    let (key, id) = kernel.create_child(running, child)?;
    let made = grant_all(kernel, running, key, &tokens).and_then(|()| {
        let source = &mut Source::Memory {
            space: &mut running.process.space,
            address,
            length,
        };
        kernel.load_child(key, source).map_err(load_error)
    });
    if let Err(error) = made {
        // Nobody has heard of it; one that failed to load is gone already.
        kernel.kill(key);
        return Err(error);
    }
    kernel.records.add(id, running.process.key, key);
    Ok(id)
}

/// Grants tokens of the running process to a child, in their order (§7.3).
fn grant_all<P: Port>(
    kernel: &mut Kernel<P>,
    running: &Running<P>,
    child: ProcessKey,
    tokens: &[u64],
) -> Result<(), KernelError> {
    for token in tokens {
        let capability = running.process.capabilities.find(*token)?;
        kernel.grant_to(child, capability)?;
    }
    Ok(())
}

/// What is wrong with an executable, as the call says it.
fn load_error(error: LoadError) -> KernelError {
    match error {
        LoadError::Image(ImageError::Interpreter) => KernelError::NotSupported,
        LoadError::Image(_) | LoadError::Arguments => KernelError::InvalidArgument,
        LoadError::Kernel(error) => error,
    }
}

/// Gives `each` the words of an array in user memory, in turn.
fn read_words<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    (address, count): (u64, u64),
    mut each: impl FnMut(&mut Kernel<P>, &mut Running<P>, u64) -> Result<(), KernelError>,
) -> Result<(), KernelError> {
    let mut done = 0;
    let mut bytes = [0; WORDS * 8];
    while done < count {
        let at = address
            .checked_add(done * 8)
            .ok_or(KernelError::BadAddress)?;
        let words = usize::try_from(count - done).map_or(WORDS, |left| left.min(WORDS));
        let bytes = &mut bytes[..words * 8];
        user::read(&mut kernel.machine, &mut running.process.space, at, bytes)?;
        for word in bytes.as_chunks().0 {
            each(kernel, running, u64::from_le_bytes(*word))?;
        }
        done += words as u64;
    }
    Ok(())
}

/// Copies the strings of an array of pointers, each with its NUL (§7.2).
fn read_arguments<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    array: (u64, u64),
) -> Result<Vec<u8>, KernelError> {
    let mut text = Vec::new();
    let mut string = [0; STRING_MAX];
    read_words(kernel, running, array, |kernel, running, address| {
        let space = &mut running.process.space;
        let length = user::read_string(&mut kernel.machine, space, address, &mut string)?;
        if text.len() + length + 1 > TEXT_MAX {
            return Err(KernelError::InvalidArgument);
        }
        // The terminator follows: `read_string` found it there.
        append(&kernel.machine, &mut text, &string[..=length])
    })?;
    Ok(text)
}

/// Whether the running process may do something to a process: it created it,
/// or has a token for it with a right.
fn has_authority<P: Port>(
    kernel: &Kernel<P>,
    running: &Running<P>,
    id: u64,
    right: Rights,
) -> Result<(), KernelError> {
    let record = kernel.records.find(id);
    if record.is_some_and(|record| record.creator == Some(running.process.key)) {
        return Ok(());
    }
    let known = record.is_some() || kernel.process_by_id(Abi::Veridian, id).is_some();
    let mut tokens = running.process.capabilities.iter();
    let allowed = tokens.any(|capability| {
        let names = matches!(capability.object, Object::Process { id: other, .. } if other == id);
        names && capability.rights.contain(right)
    });
    match known && !allowed {
        true => Err(KernelError::NotPermitted),
        false => Ok(()),
    }
}

/// PROCESS_START.
pub(crate) fn start<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Handle(id): Handle,
) -> Flow {
    answer(start_checked(kernel, running, id).map(|()| 0))
}

fn start_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    id: u64,
) -> Result<(), KernelError> {
    if id == running.process.id {
        return Err(KernelError::Busy);
    }
    has_authority(kernel, running, id, Rights::EXECUTE)?;
    let record = kernel.records.find(id).map(|record| record.process);
    let process = record.or_else(|| kernel.process_by_id(Abi::Veridian, id));
    let process = process.ok_or(KernelError::NotFound)?;
    // What is no child that waits for its start has had it.
    kernel.start_child(process).map_err(|_| KernelError::Busy)
}

/// PROCESS_WAIT.
pub(crate) fn wait<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Handle(id): Handle,
    Duration(timeout): Duration,
    Store(result): Store,
) -> Flow {
    wait_checked(kernel, running, id, timeout, result).unwrap_or_else(|error| answer(Err(error)))
}

fn wait_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    id: u64,
    timeout: u64,
    result: u64,
) -> Result<Flow, KernelError> {
    if id == running.process.id {
        return Err(KernelError::InvalidArgument);
    }
    let thread = running.thread.key;
    let told = kernel.records.look(id, thread);
    if !matches!(told, Ok(Some(_))) || !kernel.records.is_waiting(id, thread) {
        has_authority(kernel, running, id, Rights::READ)?;
    }
    let end = result.checked_add(ProcessExitInfo::SIZE as u64);
    let place = result..end.ok_or(KernelError::BadAddress)?;
    if !result.is_multiple_of(8) || !running.process.space.allows(place, Touch::Write) {
        return Err(KernelError::BadAddress);
    }
    match told? {
        None if timeout == 0 || running.thread.timed_out => {
            kernel.records.give_up(id, thread);
            Err(KernelError::TimedOut)
        }
        None => {
            // Somebody is going to read its times.
            if let Some(process) = kernel.records.find(id).map(|record| record.process) {
                kernel.time_calls(process);
            }
            running.give_up_after(&kernel.machine, timeout);
            let flow = running.park(Wait::Retry, running.thread.deadline);
            kernel.records.wait(id, running.entry());
            Ok(flow)
        }
        Some(ended) => {
            let info = exit_info(id, &ended).to_bytes();
            let space = &mut running.process.space;
            user::write(&mut kernel.machine, space, result, &info)?;
            kernel.records.collect(id, thread);
            Ok(Flow::Return(0))
        }
    }
}

/// How a process ended, as the call tells it (§3).
fn exit_info(id: u64, ended: &Ended) -> ProcessExitInfo {
    let (reason, address) = match ended.cause {
        Cause::Exit => (exit_reason::EXITED, 0),
        Cause::Fault(fault) => (exit_reason::FAULT, fault.address),
        Cause::Killed | Cause::OutOfMemory | Cause::LoadFailed => (exit_reason::KILLED, 0),
    };
    ProcessExitInfo {
        process_id: id,
        // Another interface's status may be longer; its low half is told.
        exit_code: i32::from_le_bytes(*ended.status.to_le_bytes().first_chunk().expect("8 bytes")),
        exit_reason: reason,
        user_time_ns: ended.user_time,
        kernel_time_ns: ended.kernel_time,
        peak_memory_bytes: ended.memory,
        fault_address: address,
    }
}
