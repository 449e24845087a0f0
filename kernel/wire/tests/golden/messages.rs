//! One message of each kind.

use mayfly_wire::VERSION;
use mayfly_wire::message::{
    ARGUMENTS_MAX, Arg, BACKTRACE_MAX, Cause, Event, Exited, Fault, Input, Panic, RawCall, Ready,
    Refusal, Request, Resume, Returned, Spawn, Stats, Window,
};

/// What the fields of messages are filled with: no field of a message has the
/// value of another one.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    pub(crate) number: u64,
    pub(crate) flag: bool,
    pub(crate) text: String,
    pub(crate) file: String,
    pub(crate) bytes: Vec<u8>,
}

impl Values {
    fn byte(&self, n: u64) -> u8 {
        self.long(n).to_le_bytes()[0]
    }

    fn word(&self, n: u64) -> u32 {
        let [a, b, c, d, ..] = self.long(n).to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    fn long(&self, n: u64) -> u64 {
        self.number.wrapping_add(n)
    }
}

/// Every kind of request. A new one is missed by [`request_name`] first.
pub(crate) fn requests(values: &Values) -> Vec<Request<'_>> {
    let mut arguments = [Arg::Value(0); ARGUMENTS_MAX];
    arguments[0] = Arg::Value(values.long(3));
    arguments[ARGUMENTS_MAX - 1] = Arg::Buffer(values.word(4));
    let id = values.word(0);
    let pid = values.long(1);
    let abi = values.byte(2);
    vec![
        Request::Hello { version: VERSION },
        Request::Spawn {
            id,
            spawn: Spawn {
                abi,
                program: &values.text,
                argv: &values.bytes,
                trace: values.flag,
                frames_max: values.word(3),
                input: match values.flag {
                    true => Input::Empty,
                    false => Input::Serial,
                },
            },
        },
        Request::OpenProbe { id, abi },
        Request::Call {
            id,
            pid,
            call: RawCall {
                number: values.long(2),
                arguments,
                count: values.byte(5),
                buffer: &values.bytes,
                buffer_len: values.word(6),
            },
        },
        Request::Kill { id, pid },
        Request::Input {
            pid,
            bytes: &values.bytes,
        },
        Request::Stats { id },
        Request::Served { id, abi },
        Request::Ping { id },
        Request::Panic { pid },
        Request::Shutdown,
        Request::Stop { id },
        Request::Resume(Resume {
            epoch: values.long(1),
            bundle: values.long(2),
            bundle_size: values.long(3),
        }),
        Request::Reseed {
            seed: values.long(1),
        },
        Request::Await { id, pid },
        Request::Terminal(Window {
            columns: u16::from(values.byte(1)),
            rows: u16::from(values.byte(2)),
            machine: u16::from(values.byte(3)),
        }),
        Request::Trace { id, process: pid },
    ]
}

/// Every kind of event, with every refusal and cause. A new one is missed by
/// [`event_name`] first.
pub(crate) fn events(values: &Values) -> Vec<Event<'_>> {
    let id = values.word(0);
    let pid = values.long(1);
    let abi = values.byte(2);
    let message = values.text.as_str();
    let mut backtrace = [0; BACKTRACE_MAX];
    backtrace[0] = values.long(3);
    backtrace[BACKTRACE_MAX - 1] = values.long(4);
    let mut events = vec![
        Event::Ready(Ready {
            version: VERSION,
            kernel: message,
            direct: values.flag,
            entered_tsc: values.long(0),
            ready_tsc: values.long(1),
            tsc_khz: values.word(2),
            protections: values.word(3),
            frames_free: values.long(4),
        }),
        Event::Started {
            id,
            pid,
            root: values.long(3),
            abi,
        },
        Event::Returned {
            id,
            returned: Returned {
                value: values.long(1),
                error: values.word(2),
                before_tsc: values.long(3),
                after_tsc: values.long(4),
                buffer: &values.bytes,
            },
        },
        Event::Output {
            pid,
            stream: values.byte(2),
            bytes: &values.bytes,
        },
        Event::Log { line: message },
        Event::Panic(Panic {
            message,
            file: &values.file,
            line: values.word(0),
            backtrace,
            pid,
            tid: values.long(5),
            abi,
            number: values.long(6),
            arguments: [7, 8, 9, 10, 11, 12].map(|n| values.long(n)),
        }),
        Event::Stats {
            id,
            stats: Stats {
                frames_free: values.long(1),
                frames: values.long(2),
                heap_used: values.long(3),
                processes: values.long(4),
                threads: values.long(5),
                objects: values.long(6),
            },
        },
        Event::Served {
            id,
            numbers: [values.long(1), values.long(2)],
        },
        Event::Pong { id },
        Event::WrongVersion { version: VERSION },
        Event::BadRequest { message },
        Event::Child {
            pid,
            parent: values.long(1),
            root: values.long(2),
            abi,
            program: &values.bytes,
        },
        Event::InputRoom {
            pid,
            bytes: values.word(2),
        },
        Event::InputClosed { pid },
        Event::Stopped { id },
        Event::Awaiting {
            id,
            mailbox: values.long(1),
        },
        Event::Called,
    ];
    let refusals = [
        Refusal::NoProgram,
        Refusal::BadExecutable,
        Refusal::NoResources,
        Refusal::BadProcess,
        Refusal::BadArgument,
    ];
    events.extend(refusals.map(|reason| Event::Refused {
        id,
        reason,
        message,
    }));
    let causes = [
        Cause::Exit,
        Cause::Fault(Fault {
            vector: values.byte(2),
            error_code: values.word(3),
            address: values.long(4),
            rip: values.long(5),
            rsp: values.long(6),
        }),
        Cause::Killed,
        Cause::OutOfMemory,
        Cause::LoadFailed,
    ];
    events.extend(causes.map(|cause| {
        Event::Exited(Exited {
            pid,
            cause,
            status: values.long(7).cast_signed(),
            calls: values.long(8),
            records: values.long(9),
            ran_tsc: values.long(10),
        })
    }));
    events
}

/// Kind of a request.
pub(crate) fn request_name(request: &Request<'_>) -> &'static str {
    match request {
        Request::Hello { .. } => "Hello",
        Request::Spawn { .. } => "Spawn",
        Request::OpenProbe { .. } => "OpenProbe",
        Request::Call { .. } => "Call",
        Request::Kill { .. } => "Kill",
        Request::Input { .. } => "Input",
        Request::Stats { .. } => "Stats",
        Request::Served { .. } => "Served",
        Request::Ping { .. } => "Ping",
        Request::Panic { .. } => "Panic",
        Request::Shutdown => "Shutdown",
        Request::Stop { .. } => "Stop",
        Request::Resume(_) => "Resume",
        Request::Reseed { .. } => "Reseed",
        Request::Await { .. } => "Await",
        Request::Terminal(_) => "Terminal",
        Request::Trace { .. } => "Trace",
    }
}

/// Kind of an event.
pub(crate) fn event_name(event: &Event<'_>) -> &'static str {
    match event {
        Event::Ready(_) => "Ready",
        Event::Started { .. } => "Started",
        Event::Refused { reason, .. } => match reason {
            Refusal::NoProgram => "Refused NoProgram",
            Refusal::BadExecutable => "Refused BadExecutable",
            Refusal::NoResources => "Refused NoResources",
            Refusal::BadProcess => "Refused BadProcess",
            Refusal::BadArgument => "Refused BadArgument",
        },
        Event::Exited(exited) => match exited.cause {
            Cause::Exit => "Exited Exit",
            Cause::Fault(_) => "Exited Fault",
            Cause::Killed => "Exited Killed",
            Cause::OutOfMemory => "Exited OutOfMemory",
            Cause::LoadFailed => "Exited LoadFailed",
        },
        Event::Returned { .. } => "Returned",
        Event::Output { .. } => "Output",
        Event::Log { .. } => "Log",
        Event::Panic(_) => "Panic",
        Event::Stats { .. } => "Stats",
        Event::Served { .. } => "Served",
        Event::Pong { .. } => "Pong",
        Event::WrongVersion { .. } => "WrongVersion",
        Event::BadRequest { .. } => "BadRequest",
        Event::Child { .. } => "Child",
        Event::InputRoom { .. } => "InputRoom",
        Event::InputClosed { .. } => "InputClosed",
        Event::Stopped { .. } => "Stopped",
        Event::Awaiting { .. } => "Awaiting",
        Event::Called => "Called",
    }
}
