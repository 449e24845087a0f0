//! VeridianOS (`specs/veridian.md`): bit 63 of the result says error, and
//! authority comes from tokens.

pub(crate) mod capability;
pub(crate) mod child;
pub mod error;
pub(crate) mod file;
pub(crate) mod ipc;
pub(crate) mod memory;
mod populate;
pub(crate) mod process;
pub(crate) mod start;
pub(crate) mod thread;

use mayfly_abi::convention::Place;
use mayfly_abi::table::Words;
use mayfly_abi::veridian::{CONVENTION, Call, SyscallError, nr};

use crate::error::KernelError;
use crate::frame::TrapFrame;
use crate::kernel::{Flow, Kernel, Running, Short};
use crate::object::memory::Space;
use crate::port::{Machine, Port};
use crate::trace::{number, register};
use crate::user;

/// Calls with an adaptor.
pub const SERVED: &[u64] = &[
    nr::EXIT,
    nr::READ,
    nr::WRITE,
    nr::MMAP,
    nr::MUNMAP,
    nr::MPROTECT,
    nr::IPC_ENDPOINT_CREATE,
    nr::IPC_CHANNEL_CREATE,
    nr::IPC_SEND,
    nr::IPC_RECEIVE,
    nr::IPC_CALL,
    nr::IPC_REPLY,
    nr::PROCESS_CREATE,
    nr::PROCESS_START,
    nr::PROCESS_WAIT,
    nr::THREAD_CREATE,
    nr::THREAD_EXIT,
    nr::THREAD_JOIN,
    nr::CAPABILITY_CREATE,
    nr::CAPABILITY_DERIVE,
    nr::CAPABILITY_REVOKE,
    nr::CAPABILITY_VALIDATE,
    nr::CLOCK_GET,
    nr::NANOSLEEP,
    nr::YIELD,
];

/// Words of the longest extension block: IPC_CALL's.
const EXTENSION_WORDS: usize = 4;

/// Reads an extension block (§1.1). By itself: one call has one.
#[inline(never)]
fn extension_block<M: Machine>(
    machine: &mut M,
    space: &mut Space<M>,
    address: u64,
) -> Result<[u64; EXTENSION_WORDS], KernelError> {
    if !address.is_multiple_of(8) {
        return Err(KernelError::BadAddress);
    }
    user::read_four(machine, space, address)
}

/// How a call was served.
pub(crate) enum Served {
    /// By its short way.
    AtOnce(Short),
    /// By the general way.
    InFull(Flow),
}

/// Serves one call of a process that nobody watches: messages have short ways.
#[inline(always)]
pub(crate) fn serve<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>) -> Served {
    let number = number(P::Machine::registers(&running.context), &CONVENTION);
    match number {
        nr::IPC_RECEIVE => Served::AtOnce(ipc::receive_at_once(kernel, running)),
        nr::IPC_CALL => Served::AtOnce(ipc::call_at_once(kernel, running)),
        nr::IPC_REPLY => Served::AtOnce(ipc::reply_at_once(kernel, running)),
        number => Served::InFull(serve_number(kernel, running, number)),
    }
}

/// Serves one call by its general way.
#[inline(never)]
pub(crate) fn serve_in_full<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>) -> Flow {
    let number = number(P::Machine::registers(&running.context), &CONVENTION);
    serve_number(kernel, running, number)
}

/// Where a call finds its words.
struct FrameWords<'a, M: Machine> {
    machine: &'a mut M,
    space: &'a mut Space<M>,
    frame: &'a TrapFrame,
    block: [u64; EXTENSION_WORDS],
}

impl<M: Machine> Words for FrameWords<'_, M> {
    type Error = KernelError;
    #[inline(always)]
    fn fetch(&mut self, place: Place) -> Result<u64, KernelError> {
        match place {
            Place::Register(name) => Ok(register(self.frame, name)),
            Place::Extension(offset) => {
                if offset == 0 {
                    // The first word fetches all of them, once (§1.1).
                    self.block = extension_block(self.machine, self.space, self.frame.r9)?;
                }
                Ok(self.block[(offset / 8 % EXTENSION_WORDS as u64) as usize])
            }
            Place::Stack(_) => Err(KernelError::BadAddress),
        }
    }
}

#[inline(always)]
pub(crate) fn serve_number<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    number: u64,
) -> Flow {
    let Running {
        context, process, ..
    } = running;
    let frame = P::Machine::registers(context);
    let mut words = FrameWords {
        machine: &mut kernel.machine,
        space: &mut process.space,
        frame,
        block: [0; EXTENSION_WORDS],
    };
    let call = Call::decode_from(number, &mut words);
    match call {
        Ok(Some(call)) => serve_call(kernel, running, call),
        Ok(None) => Flow::Return(SyscallError::InvalidSyscall.word()),
        Err(_) => Flow::Return(SyscallError::InvalidAddress.word()),
    }
}

#[inline(always)]
fn serve_call<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>, call: Call) -> Flow {
    match call {
        Call::Exit { exit_code } => process::exit(running, exit_code),
        Call::Read {
            capability,
            buffer,
            count,
            offset,
        } => file::read(kernel, running, capability, buffer, count, offset),
        Call::Mmap {
            address,
            length,
            prot,
            flags,
            capability,
            offset,
        } => {
            let how = (prot, flags);
            memory::mmap(kernel, running, address, length, how, capability, offset)
        }
        Call::Munmap { address, length } => memory::munmap(kernel, running, address, length),
        Call::Mprotect {
            address,
            length,
            prot,
        } => memory::mprotect(kernel, running, address, length, prot),
        Call::Write {
            capability,
            buffer,
            count,
            offset,
        } => file::write(kernel, running, capability, buffer, count, offset),
        Call::ProcessCreate {
            binary,
            binary_len,
            args,
            args_len,
            capabilities,
            capability_count,
        } => child::create(
            kernel,
            running,
            binary,
            binary_len,
            args,
            args_len,
            capabilities,
            capability_count,
        ),
        Call::ProcessStart { process } => child::start(kernel, running, process),
        Call::ProcessWait {
            process,
            timeout,
            result,
        } => child::wait(kernel, running, process, timeout, result),
        Call::ThreadCreate {
            entry,
            stack_base,
            stack_size,
            argument,
        } => thread::create(kernel, running, entry, stack_base, stack_size, argument),
        Call::ThreadExit { exit_code } => running.end_thread(exit_code),
        Call::ThreadJoin { thread, timeout } => thread::join(kernel, running, thread, timeout),
        Call::IpcEndpointCreate { result } => ipc::endpoint_create(kernel, running, result),
        Call::IpcChannelCreate {
            endpoint1,
            endpoint2,
            capability1,
            capability2,
        } => {
            let endpoints = [endpoint1, endpoint2];
            ipc::channel_create(kernel, running, endpoints, [capability1, capability2])
        }
        Call::IpcSend {
            channel,
            message,
            message_len,
            capability,
            channel_capability,
        } => {
            let message = (message, message_len);
            ipc::send(
                kernel,
                running,
                channel,
                message,
                capability,
                channel_capability,
            )
        }
        Call::IpcReceive {
            endpoint,
            buffer,
            buffer_len,
            timeout,
            endpoint_capability,
            result,
        } => {
            let (buffer, token) = ((buffer, buffer_len), endpoint_capability);
            ipc::receive(kernel, running, endpoint, buffer, timeout, token, result)
        }
        Call::IpcCall {
            channel,
            request,
            request_len,
            response,
            response_len,
            timeout,
            capability,
            channel_capability,
            result,
        } => {
            let words = ipc::CallWords {
                channel,
                response: (response, response_len),
                timeout,
                channel_capability,
                result,
            };
            ipc::call(kernel, running, (request, request_len), capability, words)
        }
        Call::IpcReply {
            reply_token,
            response,
            response_len,
            capability,
        } => {
            let response = (response, response_len);
            ipc::reply(kernel, running, reply_token, response, capability)
        }
        Call::CapabilityCreate {
            object_type,
            object,
            rights,
            parent,
        } => capability::create(kernel, running, object_type, object, rights, parent),
        Call::CapabilityDerive { parent, rights } => {
            capability::derive(kernel, running, parent, rights)
        }
        Call::CapabilityRevoke { capability } => capability::revoke(kernel, running, capability),
        Call::CapabilityValidate { capability, rights } => {
            capability::validate(running, capability, rights)
        }
        Call::ClockGet { clock, result } => process::clock_get(kernel, running, clock, result),
        Call::Nanosleep { duration } => process::nanosleep(kernel, running, duration),
        Call::Yield {} => Flow::Yield(0),
    }
}
