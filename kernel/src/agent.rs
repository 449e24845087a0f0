//! The host's requests on `mayfly.control`, and the answers to them.

mod programs;

extern crate alloc;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use mayfly_abi::Abi;
use mayfly_arch::{apic, exit};
use mayfly_core::error::KernelError;
use mayfly_core::event::Event as CoreEvent;
use mayfly_core::kernel::{Kernel, ProbeCall};
use mayfly_core::object::process::{Gate, Probe, ProcessKey};
use mayfly_core::object::terminal;
use mayfly_core::personality;
use mayfly_core::port::Machine;
use mayfly_machine::exit::EXIT_DONE;
use mayfly_wire::frame::{self, FrameError};
use mayfly_wire::message::{Arg, Event, Exited, RawCall, Refusal, Request, Returned, Stats};
use mayfly_wire::{BODY_MAX, VERSION};

use crate::runner::Pc;
use crate::spelling::wire_cause;
use crate::standstill::Standstill;

/// The side of the kernel that talks to the host.
#[derive(Default)]
pub(crate) struct Agent {
    /// Received bytes of a frame that is not yet whole.
    begun: Vec<u8>,
    /// Programs and the clock stand still.
    standstill: Option<Standstill>,
}

impl Agent {
    /// Serves what has been received; in a standstill, until it is over.
    pub(crate) fn serve(&mut self, kernel: &mut Kernel<Pc>) {
        self.serve_received(kernel);
        while self.standstill.is_some() {
            // Nothing but the host can end it: the timer is off.
            apic::wait();
            let _host = apic::take();
            kernel.host.interrupted();
            self.serve_received(kernel);
        }
    }

    fn serve_received(&mut self, kernel: &mut Kernel<Pc>) {
        if kernel.host.has_terminal() {
            kernel.typing();
        }
        while let Some(letter) = kernel.host.receive() {
            if self.begun.is_empty() {
                let rest = self.requests(kernel, letter.bytes());
                self.begun.extend_from_slice(rest);
            } else {
                let mut bytes = core::mem::take(&mut self.begun);
                bytes.extend_from_slice(letter.bytes());
                let rest = self.requests(kernel, &bytes).len();
                bytes.drain(..bytes.len() - rest);
                // Its room is kept: requests may count what the heap has.
                self.begun = bytes;
            }
            kernel.host.give_back(letter);
        }
    }

    /// Serves the whole frames that `bytes` begin with; what follows them.
    fn requests<'a>(&mut self, kernel: &mut Kernel<Pc>, bytes: &'a [u8]) -> &'a [u8] {
        let mut rest = bytes;
        loop {
            match frame::split(rest) {
                Ok(Some((body, after))) => {
                    self.request(kernel, body);
                    rest = after;
                }
                Ok(None) => return rest,
                Err(error) => {
                    // The stream has lost its frames: nothing after this can be read.
                    bad_request(kernel, error);
                    return &[];
                }
            }
        }
    }

    fn request(&mut self, kernel: &mut Kernel<Pc>, body: &[u8]) {
        let request: Request<'_> = match frame::decode(body) {
            Ok(request) => request,
            Err(error) => return bad_request(kernel, error),
        };
        match request {
            Request::Hello { version: VERSION } => {}
            Request::Hello { .. } => kernel.host.send(&Event::WrongVersion { version: VERSION }),
            Request::Spawn { id, spawn } => programs::start(kernel, id, &spawn),
            Request::OpenProbe { id, abi } => programs::open_probe(kernel, id, abi),
            Request::Call { id, pid, call } => call_in_probe(kernel, id, pid, &call),
            Request::Kill { id, pid } => programs::kill(kernel, id, pid),
            Request::Input { pid, bytes } => programs::feed(kernel, pid, bytes),
            Request::Stats { id } => {
                let stats = stats(kernel);
                kernel.host.send(&Event::Stats { id, stats });
            }
            Request::Served { id, abi } => served(kernel, id, abi),
            Request::Ping { id } => kernel.host.send(&Event::Pong { id }),
            Request::Panic { pid: 0 } => panic!("the host asked for a panic"),
            Request::Panic { pid } => arm_panic(kernel, pid),
            Request::Shutdown => exit::exit(EXIT_DONE),
            Request::Stop { id } => self.standstill = Some(Standstill::begin(kernel, id)),
            Request::Resume(resume) => match self.standstill.take() {
                Some(standstill) => standstill.end(kernel, &resume),
                None => refuse(kernel, 0, Refusal::BadArgument, "nothing stands still"),
            },
            Request::Reseed { seed } => kernel.reseed(seed),
            Request::Await { id, pid } => await_call(kernel, id, pid),
            Request::Terminal(window) => kernel.set_window(terminal::Window {
                columns: window.columns,
                rows: window.rows,
                machine: window.machine,
            }),
            Request::Trace { id, process } => programs::trace(kernel, id, process),
        }
    }

    /// Tells the host what has happened since the last time.
    #[inline(always)]
    pub(crate) fn answer(&mut self, kernel: &mut Kernel<Pc>) {
        if !kernel.host.events.is_empty() {
            self.answer_events(kernel);
        }
    }

    #[inline(never)]
    fn answer_events(&mut self, kernel: &mut Kernel<Pc>) {
        while let Some(event) = kernel.host.events.pop_front() {
            match event {
                CoreEvent::Exited {
                    number,
                    cause,
                    status,
                    calls,
                    records,
                    ran_ticks,
                } => {
                    kernel.host.flush_trace();
                    kernel.host.send(&Event::Exited(Exited {
                        pid: number,
                        cause: wire_cause(cause),
                        status,
                        calls,
                        records,
                        ran_tsc: ran_ticks,
                    }));
                }
                CoreEvent::ProbeReturned { process } => returned(kernel, process),
                CoreEvent::Uncalled => {
                    self.standstill = Some(Standstill::now(kernel));
                    self.serve(kernel);
                }
            }
        }
    }
}

fn returned(kernel: &mut Kernel<Pc>, process: ProcessKey) {
    let known = kernel.process(process).and_then(|process| process.probe);
    let Some(Probe {
        request: id, room, ..
    }) = known
    else {
        return;
    };
    let buffer = room as usize;
    let mut contents = vec![0; buffer];
    let result = match kernel.probe_result(process, &mut contents) {
        Ok(result) => result,
        Err(_) => {
            return refuse(
                kernel,
                id,
                Refusal::BadProcess,
                "the probe unmapped its own mailbox",
            );
        }
    };
    let returned = Returned {
        value: result.value,
        error: result.error,
        before_tsc: result.before,
        after_tsc: result.after,
        buffer: &contents,
    };
    let event = Event::Returned { id, returned };
    if buffer < 256 {
        kernel.host.send(&event);
    } else {
        let mut room: Box<[u8]> = vec![0; buffer + 256].into();
        kernel.host.send_with(&event, &mut room);
    }
}

fn call_in_probe(kernel: &mut Kernel<Pc>, id: u32, pid: u64, call: &RawCall<'_>) {
    let Some(process) = kernel.process_by_number(pid) else {
        return refuse(kernel, id, Refusal::BadProcess, "no such process");
    };
    let count = usize::from(call.count);
    let (buffer, call_room) = (call.buffer_len as usize, call.buffer_len);
    if count > call.arguments.len() || buffer > BODY_MAX - 256 || call.buffer.len() > buffer {
        return refuse(
            kernel,
            id,
            Refusal::BadArgument,
            "too many arguments or too large a buffer",
        );
    }
    let arguments = call.arguments.map(|argument| match argument {
        Arg::Value(value) => (false, value),
        Arg::Buffer(offset) => (true, u64::from(offset)),
    });
    let mut contents = vec![0; buffer];
    contents[..call.buffer.len()].copy_from_slice(call.buffer);
    let call = ProbeCall {
        number: call.number,
        arguments: &arguments[..count],
        buffer: &contents,
    };
    match kernel.probe_call(process, &call) {
        Ok(()) => {
            let process = kernel.process_mut(process);
            if let Some(probe) = process.and_then(|process| process.probe.as_mut()) {
                (probe.request, probe.room) = (id, call_room);
            }
        }
        Err(KernelError::BadHandle) => {
            refuse(
                kernel,
                id,
                Refusal::BadProcess,
                "the process is no idle probe",
            );
        }
        Err(KernelError::InvalidArgument) => refuse(
            kernel,
            id,
            Refusal::BadArgument,
            "the interface has no place for so many arguments",
        ),
        Err(_) => refuse(kernel, id, Refusal::NoResources, "no memory for the call"),
    }
}

fn await_call(kernel: &mut Kernel<Pc>, id: u32, pid: u64) {
    kernel.host.await_id = id;
    let process = kernel.process_by_number(pid);
    if process.map(|process| kernel.probe_await(process)) != Some(Ok(())) {
        let message = "the process is no idle probe";
        refuse(kernel, id, Refusal::BadProcess, message);
    }
}

fn served(kernel: &mut Kernel<Pc>, id: u32, abi: u8) {
    let Some(abi) = Abi::from_code(abi) else {
        return refuse(kernel, id, Refusal::BadArgument, "unknown ABI code");
    };
    let mut numbers = [0; 2];
    for number in personality::served(abi) {
        if let Some(word) = numbers.get_mut((number / 64) as usize) {
            *word |= 1 << (number % 64);
        }
    }
    kernel.host.send(&Event::Served { id, numbers });
}

fn arm_panic(kernel: &mut Kernel<Pc>, pid: u64) {
    let key = kernel.process_by_number(pid);
    match key.and_then(|key| kernel.process_mut(key)) {
        Some(process) => {
            process.panics = true;
            process.gate = Gate::Watched;
        }
        None => refuse(kernel, 0, Refusal::BadProcess, "no such process"),
    }
}

fn stats(kernel: &Kernel<Pc>) -> Stats {
    Stats {
        frames_free: kernel.machine.frames_free(),
        frames: kernel.machine.frames(),
        heap_used: kernel.machine.heap_used(),
        processes: kernel.process_count() as u64,
        threads: kernel.thread_count() as u64,
        objects: kernel.object_count() as u64,
    }
}

fn refuse(kernel: &mut Kernel<Pc>, id: u32, reason: Refusal, message: &str) {
    kernel.host.send(&Event::Refused {
        id,
        reason,
        message,
    });
}

fn bad_request(kernel: &mut Kernel<Pc>, error: FrameError) {
    let message = match error {
        FrameError::TooLong(_) => "a frame is longer than the protocol allows",
        FrameError::Malformed => "a frame is not a request of this protocol version",
        FrameError::NoRoom => "a frame does not fit",
    };
    kernel.host.send(&Event::BadRequest { message });
}
