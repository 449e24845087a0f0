//! Requests about programs: start, trace, feed and end them.

use mayfly_abi::Abi;
use mayfly_core::kernel::{Input, Kernel, SpawnError, SpawnRequest};
use mayfly_core::object::input::{self, FeedError};
use mayfly_core::object::process::{Gate, ProcessKey};
use mayfly_core::port::{Host as _, Line, Machine};
use mayfly_wire::message::{Event, Input as WireInput, Refusal, Spawn};

use super::refuse;
use crate::runner::Pc;
use crate::spelling::describe;

pub(super) fn start(kernel: &mut Kernel<Pc>, id: u32, spawn: &Spawn<'_>) {
    let abi = match spawn.abi {
        0 => None,
        code => match Abi::from_code(code) {
            Some(abi) => Some(abi),
            None => return refuse(kernel, id, Refusal::BadArgument, "unknown ABI code"),
        },
    };
    let request = SpawnRequest {
        abi,
        program: spawn.program,
        arguments: spawn.argv,
        traced: spawn.trace,
        frames_max: u64::from(spawn.frames_max),
        input: match spawn.input {
            WireInput::Empty => Input::Empty,
            WireInput::Sent => Input::Sent,
            WireInput::Console => Input::Terminal(Line::Console),
            WireInput::Serial => Input::Terminal(Line::Serial),
        },
    };
    let result = kernel.spawn(&request);
    started(kernel, id, result);
    let process = result.ok().and_then(|key| kernel.process(key));
    if let (Some(process), WireInput::Sent) = (process, spawn.input) {
        let number = process.number;
        kernel.host.input_room(number, input::CAPACITY);
    }
}

pub(super) fn open_probe(kernel: &mut Kernel<Pc>, id: u32, abi: u8) {
    let Some(abi) = Abi::from_code(abi) else {
        return refuse(kernel, id, Refusal::BadArgument, "unknown ABI code");
    };
    let result = kernel.open_probe(abi);
    started(kernel, id, result);
}

fn started(kernel: &mut Kernel<Pc>, id: u32, result: Result<ProcessKey, SpawnError>) {
    let key = match result {
        Ok(key) => key,
        Err(error) => {
            let (reason, message) = describe(error);
            return refuse(kernel, id, reason, message);
        }
    };
    let Some(process) = kernel.process(key) else {
        return refuse(
            kernel,
            id,
            Refusal::NoResources,
            "the process ended at once",
        );
    };
    let event = Event::Started {
        id,
        pid: process.number,
        root: <mayfly_arch::hardware::Hardware as Machine>::root(process.space.tables()),
        abi: process.abi.code(),
    };
    kernel.host.send(&event);
}

pub(super) fn feed(kernel: &mut Kernel<Pc>, pid: u64, bytes: &[u8]) {
    let message = match kernel.feed(pid, bytes) {
        Ok(()) => return,
        // It may have closed it while the bytes were on their way.
        Err(FeedError::NoReader) => return kernel.host.input_closed(pid),
        Err(FeedError::NoRoom) => "more input than there was room for",
        Err(FeedError::Ended) => "input behind its end",
    };
    kernel.host.send(&Event::BadRequest { message });
}

pub(super) fn kill(kernel: &mut Kernel<Pc>, id: u32, pid: u64) {
    if !kernel.kill_program(pid) {
        refuse(kernel, id, Refusal::BadProcess, "no such process");
    }
}

/// Records the calls of a process that runs already.
pub(super) fn trace(kernel: &mut Kernel<Pc>, id: u32, process: u64) {
    let key = kernel.process_by_id(Abi::Patchwork, process);
    match key.and_then(|key| kernel.process_mut(key).map(|it| (key, it))) {
        Some((key, process)) => {
            process.gate = Gate::Watched;
            started(kernel, id, Ok(key));
        }
        None => refuse(kernel, id, Refusal::BadProcess, "no such process"),
    }
}
