//! What the guest tells.

use serde::{Deserialize, Serialize};

/// Most return addresses in a panic's backtrace.
pub const BACKTRACE_MAX: usize = 16;

/// Guest to host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event<'a> {
    /// The kernel is up and takes requests. Sent once, first.
    Ready(#[serde(borrow)] Ready<'a>),
    /// A process exists and will run.
    Started {
        /// Request id.
        id: u32,
        /// Process.
        pid: u64,
        /// Page-table root, by which a meter tells processes apart.
        root: u64,
        /// ABI code.
        abi: u8,
    },
    /// A request cannot be served.
    Refused {
        /// Request id.
        id: u32,
        /// Kind of refusal.
        reason: Refusal,
        /// Detail in words.
        message: &'a str,
    },
    /// A process that the host started ended, or a descendant of one which is
    /// traced or did not simply exit.
    Exited(Exited),
    /// A probe's call returned.
    Returned {
        /// Request id.
        id: u32,
        /// The result.
        #[serde(borrow)]
        returned: Returned<'a>,
    },
    /// Bytes that a process wrote to a standard stream.
    Output {
        /// Process.
        pid: u64,
        /// 1 is standard output, 2 is standard error.
        stream: u8,
        /// The bytes. Last field: see [`crate::output`].
        bytes: &'a [u8],
    },
    /// A line of the kernel's log.
    Log {
        /// The line, without its newline.
        line: &'a str,
    },
    /// The kernel panicked; the machine ends next.
    Panic(#[serde(borrow)] Panic<'a>),
    /// Counts of kernel objects.
    Stats {
        /// Request id.
        id: u32,
        /// The counts.
        stats: Stats,
    },
    /// Which rows are served.
    Served {
        /// Request id.
        id: u32,
        /// Call numbers, as a bit set: bit n of word n / 64.
        numbers: [u64; 2],
    },
    /// Answer to `Ping`.
    Pong {
        /// Request id.
        id: u32,
    },
    /// The guest's protocol version differs from the `Hello`.
    WrongVersion {
        /// The guest's version.
        version: u16,
    },
    /// A request could not be decoded; nothing was done.
    BadRequest {
        /// What was wrong.
        message: &'a str,
    },
    /// A traced process made another one, which is traced too: sent before the
    /// first record of it. Or one that no traced process made dies of a fault:
    /// sent before its `Exited`.
    Child {
        /// Process.
        pid: u64,
        /// Who made it.
        parent: u64,
        /// Page-table root, by which a meter tells processes apart.
        root: u64,
        /// ABI code.
        abi: u8,
        /// Its argv\[0\], at most 256 bytes.
        program: &'a [u8],
    },
    /// The guest has room for more of a process's standard input. Comes after
    /// `Started`, and again as programs read; the host may send as many bytes
    /// as all of these together say, so that input that nobody reads stays
    /// with the host and is in the way of nothing else.
    InputRoom {
        /// Process.
        pid: u64,
        /// Bytes more.
        bytes: u32,
    },
    /// Nobody is left to read that standard input: the process was started
    /// without one, or all who had it open have closed it or ended.
    InputClosed {
        /// Process.
        pid: u64,
    },
    /// Answer to `Stop`.
    Stopped {
        /// Request id.
        id: u32,
    },
    /// Answer to `Await`: the machine stands still, and goes on when it is run.
    Awaiting {
        /// Request id.
        id: u32,
        /// Guest-physical address of the probe's mailbox.
        mailbox: u64,
    },
    /// The call that was put into the mailbox has returned; its result is there.
    /// Comes as the bytes of [`crate::CALLED`].
    Called,
}

/// First message of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready<'a> {
    /// [`crate::VERSION`] of the guest.
    pub version: u16,
    /// Name and version of the kernel.
    pub kernel: &'a str,
    /// How it was entered: direct or PVH.
    pub direct: bool,
    /// TSC at its first instructions.
    pub entered_tsc: u64,
    /// TSC when it was ready.
    pub ready_tsc: u64,
    /// TSC rate, in kHz.
    pub tsc_khz: u32,
    /// Protections in force: NX, WP, SMEP, SMAP, UMIP, FSGSBASE (bits 0 to 5).
    pub protections: u32,
    /// Frames of memory that programs can have.
    pub frames_free: u64,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// No bundle holds a program of that name.
    NoProgram,
    /// The file is not an executable this kernel can load.
    BadExecutable,
    /// Memory or a table is full.
    NoResources,
    /// No such process, or it is not a probe, or it is busy with a call.
    BadProcess,
    /// An argument of the request is wrong.
    BadArgument,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exited {
    /// Process.
    pub pid: u64,
    /// What ended it.
    pub cause: Cause,
    /// Exit status as its ABI has it.
    pub status: i64,
    /// System calls it made.
    pub calls: u64,
    /// Trace records of it on `mayfly.trace`; all are sent before this message.
    pub records: u64,
    /// TSC between its first instruction and its end.
    pub ran_tsc: u64,
}

/// What ended a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// It asked.
    Exit,
    /// A processor exception in ring 3.
    Fault(Fault),
    /// Another process or the host asked.
    Killed,
    /// No memory was left for a page it touched.
    OutOfMemory,
    /// Its executable could not be loaded.
    LoadFailed,
}

/// A processor exception in ring 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Exception vector.
    pub vector: u8,
    /// Error code the processor pushed, or 0.
    pub error_code: u32,
    /// Address that was accessed (page faults), or 0.
    pub address: u64,
    /// Instruction pointer.
    pub rip: u64,
    /// Stack pointer.
    pub rsp: u64,
}

/// Result of a raw call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned<'a> {
    /// The result register.
    pub value: u64,
    /// Error code as the ABI counts them, 0 for success.
    pub error: u32,
    /// TSC in ring 3 just before the instruction.
    pub before_tsc: u64,
    /// TSC in ring 3 just after it.
    pub after_tsc: u64,
    /// The probe's buffer after the call.
    pub buffer: &'a [u8],
}

/// Last words of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Panic<'a> {
    /// What.
    pub message: &'a str,
    /// Source file, empty if not known.
    pub file: &'a str,
    /// Line in it.
    pub line: u32,
    /// Return addresses, innermost first; 0 ends the list.
    pub backtrace: [u64; BACKTRACE_MAX],
    /// Process and thread that were running, 0 and 0 for none.
    pub pid: u64,
    /// Thread.
    pub tid: u64,
    /// ABI code of the system call in flight, 0 for none.
    pub abi: u8,
    /// Its number.
    pub number: u64,
    /// Its first six argument words.
    pub arguments: [u64; 6],
}

/// Counts of kernel objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Frames of memory that are free.
    pub frames_free: u64,
    /// Frames of memory in all.
    pub frames: u64,
    /// Bytes of the kernel heap in use.
    pub heap_used: u64,
    /// Processes, dead and uncollected ones included.
    pub processes: u64,
    /// Threads.
    pub threads: u64,
    /// Objects of all other kinds: tokens, endpoints, records among them.
    pub objects: u64,
}
