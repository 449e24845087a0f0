//! What the host asks.

use serde::{Deserialize, Serialize};

/// Most arguments of a raw call, the words of an extension block included.
pub const ARGUMENTS_MAX: usize = 9;

/// Host to guest. `id` is chosen by the host; the answer repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Checks that both sides speak [`crate::VERSION`]. No answer if they do.
    Hello {
        /// The host's version.
        version: u16,
    },
    /// Starts a program. Answer: `Started` or `Refused`; later `Exited`.
    Spawn {
        /// Request id.
        id: u32,
        /// What to start.
        #[serde(borrow)]
        spawn: Spawn<'a>,
    },
    /// Makes a probe process: ring 3, no program, makes the calls it is told.
    /// Answer: `Started` or `Refused`; `Exited` if a call of its ends it.
    OpenProbe {
        /// Request id.
        id: u32,
        /// ABI code.
        abi: u8,
    },
    /// Makes one raw system call in a probe process. Answer: `Returned`, or
    /// `Refused`, or the probe's `Exited`.
    Call {
        /// Request id.
        id: u32,
        /// Probe process.
        pid: u64,
        /// The call.
        #[serde(borrow)]
        call: RawCall<'a>,
    },
    /// Ends a process with cause [`Killed`](super::Cause::Killed), and everything that came of
    /// it if the host started it. Answer: `Exited` of each, or `Refused`.
    Kill {
        /// Request id.
        id: u32,
        /// Process.
        pid: u64,
    },
    /// Bytes for the standard input of a process that was started with
    /// [`Spawn::input`]; none at all are its end, and nothing may follow. No
    /// answer if they are taken, `InputClosed` if nobody is left to read them,
    /// `BadRequest` if they are more than the guest gave room for.
    Input {
        /// Process.
        pid: u64,
        /// The bytes.
        #[serde(borrow)]
        bytes: &'a [u8],
    },
    /// Counts of kernel objects. Answer: `Stats`.
    Stats {
        /// Request id.
        id: u32,
    },
    /// Which rows of an ABI's table are served. Answer: `Served`.
    Served {
        /// Request id.
        id: u32,
        /// ABI code.
        abi: u8,
    },
    /// Answered by `Pong`.
    Ping {
        /// Request id.
        id: u32,
    },
    /// Test only: the kernel panics inside the agent, or inside the next
    /// system call of process `pid` when that is not 0.
    Panic {
        /// Process, or 0.
        pid: u64,
    },
    /// Ends the machine in order.
    Shutdown,
    /// Programs and the clock stand still, so that the machine can be copied.
    /// Answer: `Stopped`; nothing but a `Resume` may follow.
    Stop {
        /// Request id.
        id: u32,
    },
    /// Programs and the clock go on where `Stop` found them, on this machine or
    /// a copy of it. No answer.
    Resume(Resume),
    /// What random numbers are made of from now on. No answer.
    Reseed {
        /// Any number; equal ones give equal random numbers.
        seed: u64,
    },
    /// A probe that is idle goes to where it would make its next call, and the
    /// machine stands still there. Answer: `Awaiting` or `Refused`; then, when
    /// the machine or a copy of it runs again, what the mailbox asks for: its
    /// call is made and answered by `Called`, or without one `Resume` follows,
    /// as after `Stop`.
    Await {
        /// Request id.
        id: u32,
        /// Probe process.
        pid: u64,
    },
    /// What the guest's terminal looks like now. Whoever edits a line on it is
    /// to draw that anew. No answer.
    Terminal(Window),
    /// Records the system calls of a process, and of those that come of it,
    /// from now on. Answer: `Started`, which says its number, or `Refused`.
    Trace {
        /// Request id.
        id: u32,
        /// Its id as programs of PatchworkOS know it.
        process: u64,
    },
}

/// The window of a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Characters in a row.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
    /// Number of the machine among those that one person looks at.
    pub machine: u16,
}

/// Where a program's standard input comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// It is at its end.
    #[default]
    Empty,
    /// The host sends it: `Request::Input`.
    Sent,
    /// It is the terminal on `mayfly.console`, and so are the outputs.
    Console,
    /// It is the terminal on COM1, and so are the outputs.
    Serial,
}

/// What is different when a stopped machine goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// Unix time, in seconds; 0 goes on counting.
    pub epoch: u64,
    /// Guest-physical address of a further bundle; 0 is none.
    pub bundle: u64,
    /// Size of that bundle, in bytes.
    pub bundle_size: u64,
}

/// A program to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spawn<'a> {
    /// ABI code; 0 lets the executable say.
    pub abi: u8,
    /// Name of the executable in a bundle.
    pub program: &'a str,
    /// Arguments, each NUL-terminated, the program's own name (argv\[0\]) first.
    pub argv: &'a [u8],
    /// Record every system call on `mayfly.trace`.
    pub trace: bool,
    /// Most frames the process may use; 0 is no limit of its own.
    pub frames_max: u32,
    /// Its standard input.
    pub input: Input,
}

/// One raw system call for a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawCall<'a> {
    /// Call number.
    pub number: u64,
    /// Arguments, first to last; the rest is ignored.
    pub arguments: [Arg; ARGUMENTS_MAX],
    /// How many of them count.
    pub count: u8,
    /// Contents of the probe's buffer before the call. `Arg::Buffer` offsets
    /// point into it; bytes up to `buffer_len` that are not given are zero.
    #[serde(borrow)]
    pub buffer: &'a [u8],
    /// Size of the buffer; its contents after the call come back.
    pub buffer_len: u32,
}

/// One argument of a raw call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arg {
    /// The word itself.
    Value(u64),
    /// The address of the probe's buffer plus an offset.
    Buffer(u32),
}
