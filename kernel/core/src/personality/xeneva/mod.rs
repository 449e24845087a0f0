//! XenevaOS (`specs/xeneva.md`): results are sign-extended integers, -1 or
//! NULL on failure, and there is no error number.

pub(crate) mod child;
pub mod error;
pub(crate) mod file;
pub(crate) mod memory;
pub(crate) mod process;
pub(crate) mod start;
pub(crate) mod text;
pub(crate) mod thread;

use mayfly_abi::xeneva::{CONVENTION, Call, FAILED, LIMIT, nr};

use super::fetch;
use crate::kernel::{Flow, Kernel, Running};
use crate::port::{Machine, Port};
use crate::trace::number;

/// Services with an adaptor.
pub const SERVED: &[u64] = &[
    nr::null_call,
    nr::SeTextOut,
    nr::PauseThread,
    nr::GetThreadID,
    nr::GetProcessID,
    nr::ProcessExit,
    nr::ProcessWaitForTermination,
    nr::CreateProcess,
    nr::ProcessLoadExec,
    nr::CreateSharedMem,
    nr::ObtainSharedMem,
    nr::UnmapSharedMem,
    nr::OpenFile,
    nr::CreateMemMapping,
    nr::UnmapMemMapping,
    nr::GetProcessHeapMem,
    nr::ReadFile,
    nr::WriteFile,
    nr::CloseFile,
    nr::ProcessSleep,
    nr::CreateUserThread,
    nr::SetFileToProcess,
    nr::SendSignal,
];

/// Serves one service.
#[inline(always)]
pub(crate) fn serve<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>) -> Flow {
    let Running {
        context, process, ..
    } = running;
    let frame = P::Machine::registers(context);
    let number = number(frame, &CONVENTION);
    let machine = &mut kernel.machine;
    let call = Call::decode(number, |place| {
        fetch(machine, &mut process.space, frame, place)
    });
    match call {
        Ok(Some(call)) => serve_call(kernel, running, call),
        Ok(None) if number < LIMIT => Flow::Return(0),
        _ => Flow::Return(FAILED),
    }
}

#[inline(always)]
fn serve_call<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>, call: Call) -> Flow {
    match call {
        Call::NullCall {} => Flow::Return(0),
        Call::SeTextOut { format, .. } => text::out(kernel, running, format),
        Call::GetThreadId {} => Flow::Return(running.thread.id),
        Call::GetProcessId {} => Flow::Return(running.process.id),
        Call::ProcessExit {} => process::exit(kernel, running),
        Call::ProcessWaitForTermination { pid } => child::wait(kernel, running, pid),
        Call::CreateProcess { name, .. } => child::create(kernel, running, name),
        Call::ProcessLoadExec {
            pid,
            file,
            argc,
            argv,
        } => child::load(kernel, running, pid, file, argc, argv),
        Call::SetFileToProcess { fd, dest, pid } => child::set_file(kernel, running, fd, dest, pid),
        Call::ProcessSleep { milliseconds } => process::sleep(kernel, running, milliseconds),
        Call::OpenFile { path, mode } => file::open(kernel, running, path, mode),
        Call::ReadFile { fd, buffer, count } => file::read(kernel, running, fd, buffer, count),
        Call::WriteFile { fd, buffer, count } => file::write(kernel, running, fd, buffer, count),
        Call::CloseFile { fd } => file::close(kernel, running, fd),
        Call::PauseThread {} => thread::pause(running),
        Call::CreateUserThread { entry, name } => thread::create(kernel, running, entry, name),
        Call::SendSignal { pid, signal } => thread::signal(kernel, running, pid, signal),
        Call::CreateSharedMem { key, size, .. } => {
            memory::create_shared(kernel, running, key, size)
        }
        Call::ObtainSharedMem { id, .. } => memory::obtain(kernel, running, id),
        Call::UnmapSharedMem { key } => memory::unmap_shared(kernel, running, key),
        Call::CreateMemMapping {
            address,
            length,
            prot,
            flags,
            fd,
            offset,
        } => memory::map(
            kernel,
            running,
            (address, length),
            (prot, flags),
            (fd, offset),
        ),
        Call::UnmapMemMapping { address, length } => {
            memory::unmap(kernel, running, address, length)
        }
        Call::GetProcessHeapMem { size } => memory::heap(kernel, running, size),
    }
}
