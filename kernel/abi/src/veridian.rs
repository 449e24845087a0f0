//! VeridianOS system calls (`specs/veridian.md` §1, §2, §5).

use crate::convention::{Convention, Register, Slot};
use crate::structure::structure;
use crate::table::{Address, Bits, Duration, Handle, Input, Load, Output, Store, calls};

/// `RAX` = number; `RDI RSI RDX R10 R8 R9` = arguments, more in an extension
/// block (spec §1, §1.1).
pub const CONVENTION: Convention = Convention {
    number: Register::Rax,
    number_bits: 64,
    arguments: [
        Slot::Register(Register::Rdi),
        Slot::Register(Register::Rsi),
        Slot::Register(Register::Rdx),
        Slot::Register(Register::R10),
        Slot::Register(Register::R8),
        Slot::Register(Register::R9),
    ],
    extension_block: true,
};

/// Bit of the result word that says "error" (spec §2.2).
pub const ERROR_BIT: u64 = 1 << 63;

/// A number that is unassigned on the published page (spec §2.6): its
/// `InvalidSyscall` is the empty call of the measurements (spec §11.5).
pub const UNASSIGNED: u64 = 0;

calls! {
    /// Ends the process.
    1 EXIT = Exit { exit_code: i32 } -> Never;
    /// Reads from a device, file or memory object at an offset.
    2 READ = Read { capability: Handle, buffer: Output, count: u64, offset: u64 } -> Number;
    /// Writes to a device, file or memory object at an offset.
    3 WRITE = Write { capability: Handle, buffer: Input, count: u64, offset: u64 } -> Number;
    /// Maps memory.
    4 MMAP = Mmap { address: Address, length: u64, prot: Bits, flags: Bits, capability: Handle, offset: u64 } -> Address;
    /// Unmaps memory.
    5 MUNMAP = Munmap { address: Address, length: u64 } -> Nothing;
    /// Changes the protection of mapped memory.
    6 MPROTECT = Mprotect { address: Address, length: u64, prot: Bits } -> Nothing;
    /// Makes an IPC endpoint.
    10 IPC_ENDPOINT_CREATE = IpcEndpointCreate { result: Store } -> Nothing;
    /// Connects two endpoints.
    11 IPC_CHANNEL_CREATE = IpcChannelCreate { endpoint1: Handle, endpoint2: Handle, capability1: Handle, capability2: Handle } -> Handle;
    /// Queues a message; never blocks.
    12 IPC_SEND = IpcSend { channel: Handle, message: Input, message_len: u64, capability: Handle, channel_capability: Handle } -> Nothing;
    /// Takes a message.
    13 IPC_RECEIVE = IpcReceive { endpoint: Handle, buffer: Output, buffer_len: u64, timeout: Duration, endpoint_capability: Handle, result: Store } -> Nothing;
    /// Sends a request and waits for its reply.
    14 IPC_CALL = IpcCall { channel: Handle, request: Input, request_len: u64, response: Output, response_len: u64, timeout: Duration, capability: Handle, channel_capability: Handle, result: Store } -> Nothing;
    /// Answers a request.
    15 IPC_REPLY = IpcReply { reply_token: Handle, response: Input, response_len: u64, capability: Handle } -> Nothing;
    /// Makes a process from an executable image.
    20 PROCESS_CREATE = ProcessCreate { binary: Input, binary_len: u64, args: Load, args_len: u64, capabilities: Load, capability_count: u64 } -> Handle;
    /// Starts a created process.
    21 PROCESS_START = ProcessStart { process: Handle } -> Nothing;
    /// Waits for a process to end and collects it.
    22 PROCESS_WAIT = ProcessWait { process: Handle, timeout: Duration, result: Store } -> Nothing;
    /// Starts a thread.
    25 THREAD_CREATE = ThreadCreate { entry: Address, stack_base: Address, stack_size: u64, argument: u64 } -> Handle;
    /// Ends the calling thread.
    26 THREAD_EXIT = ThreadExit { exit_code: i32 } -> Never;
    /// Waits for a thread to end and collects it.
    27 THREAD_JOIN = ThreadJoin { thread: Handle, timeout: Duration } -> Number;
    /// Mints a capability.
    30 CAPABILITY_CREATE = CapabilityCreate { object_type: Bits, object: u64, rights: Bits, parent: Handle } -> Handle;
    /// Makes a capability with fewer rights.
    31 CAPABILITY_DERIVE = CapabilityDerive { parent: Handle, rights: Bits } -> Handle;
    /// Removes a capability and all that derive from it.
    32 CAPABILITY_REVOKE = CapabilityRevoke { capability: Handle } -> Nothing;
    /// Checks a capability.
    33 CAPABILITY_VALIDATE = CapabilityValidate { capability: Handle, rights: Bits } -> Nothing;
    /// Reads a clock.
    40 CLOCK_GET = ClockGet { clock: Bits, result: Store } -> Nothing;
    /// Sleeps.
    41 NANOSLEEP = Nanosleep { duration: Load } -> Nothing;
    /// Gives the processor away.
    42 YIELD = Yield {} -> Nothing;
}

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// Error of a call (spec §2.1).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum SyscallError { $( $(#[$doc])* $name = $code, )* }

        impl SyscallError {
            /// Every error, in ascending order.
            pub const ALL: &'static [SyscallError] = &[ $( SyscallError::$name, )* ];

            /// Name, as the published page spells it.
            pub const fn name(self) -> &'static str {
                match self { $( SyscallError::$name => stringify!($name), )* }
            }

            /// Code in the low bits of the result word.
            pub const fn code(self) -> u32 {
                self as u32
            }

            /// The result word (spec §2.2).
            pub const fn word(self) -> u64 {
                ERROR_BIT | self as u64
            }

            /// Error with the given code.
            pub fn from_code(code: u32) -> Option<SyscallError> {
                SyscallError::ALL.iter().copied().find(|error| error.code() == code)
            }
        }
    };
}

errors! {
    /// An argument is out of range or has undefined bits.
    InvalidParameter = 1,
    /// A right is missing.
    PermissionDenied = 2,
    /// The object does not exist.
    NotFound = 3,
    /// The object exists already.
    AlreadyExists = 4,
    /// No memory is left.
    OutOfMemory = 5,
    /// The object cannot serve this now.
    Busy = 6,
    /// The time is over.
    Timeout = 7,
    /// A quota or table is full.
    ResourceExhausted = 8,
    /// The token names nothing, or something else.
    InvalidCapability = 9,
    /// The other side died or teardown ended the wait.
    Interrupted = 10,
    /// A pointer is not usable memory of the caller.
    InvalidAddress = 11,
    /// The result does not fit.
    BufferTooSmall = 12,
    /// The call is known and not available.
    NotSupported = 13,
    /// The number is unassigned.
    InvalidSyscall = 14,
}

/// Name of an error code.
pub fn error_name(code: u32) -> Option<&'static str> {
    SyscallError::from_code(code).map(SyscallError::name)
}

/// Value of [`StartInfo::magic`]: "VERIDIAN".
pub const START_MAGIC: u64 = 0x4E41_4944_4952_4556;
/// Value of [`StartInfo::version`].
pub const START_VERSION: u32 = 1;

structure! {
    /// What a process finds at the address in `RDI` when it starts (spec §7.4).
    StartInfo [128] {
        /// [`START_MAGIC`].
        0 magic: u64,
        /// [`START_VERSION`].
        8 version: u32,
        /// Size of this structure.
        12 size: u32,
        /// Process id.
        16 process_id: u64,
        /// Process id of the creator.
        24 parent_id: u64,
        /// Thread id of the main thread.
        32 thread_id: u64,
        /// How many arguments there are.
        40 argc: u64,
        /// Address of the array of their addresses.
        48 argv: u64,
        /// How many tokens were granted.
        56 granted_count: u64,
        /// Address of the array of granted tokens, in the creator's order.
        64 granted: u64,
        /// Token for the process itself.
        72 process_token: u64,
        /// Token for the default endpoint.
        80 endpoint_token: u64,
        /// Id of the default endpoint.
        88 endpoint_id: u64,
        /// Token for the process's own capability space.
        96 space_token: u64,
        /// Size of a page in bytes.
        104 page_size: u64,
        /// No flag is defined.
        112 flags: u64,
        /// Zero.
        120 reserved: u64,
    }
}

structure! {
    /// A time or a duration (spec §3).
    Timespec [16] {
        /// Seconds.
        0 seconds: i64,
        /// Nanoseconds, 0 to 999,999,999.
        8 nanoseconds: i64,
    }
}

structure! {
    /// Result of `IPC_ENDPOINT_CREATE` (spec §3).
    EndpointCreateResult [16] {
        /// Its id.
        0 endpoint_id: u64,
        /// Token for it.
        8 capability: u64,
    }
}

structure! {
    /// Result of `IPC_RECEIVE` (spec §3).
    IpcReceiveResult [32] {
        /// Id of the process that sent the message.
        0 sender: u64,
        /// Its length in bytes.
        8 message_len: u64,
        /// Token of the capability that came with it; 0 is none.
        16 capability: u64,
        /// Token for the reply; 0 is none.
        24 reply_token: u64,
    }
}

structure! {
    /// Result of `IPC_CALL` (spec §3).
    IpcCallResult [16] {
        /// Length of the reply in bytes.
        0 response_len: u64,
        /// Token of the capability that came with it; 0 is none.
        8 capability: u64,
    }
}

structure! {
    /// How a process ended (spec §3).
    ProcessExitInfo [48] {
        /// Its id.
        0 process_id: u64,
        /// Its exit code.
        8 exit_code: i32,
        /// One of [`exit_reason`].
        12 exit_reason: u32,
        /// Nanoseconds that it ran.
        16 user_time_ns: u64,
        /// Nanoseconds in its calls.
        24 kernel_time_ns: u64,
        /// Most memory that it had, in bytes.
        32 peak_memory_bytes: u64,
        /// Address of the access that faulted, or 0.
        40 fault_address: u64,
    }
}

/// Values of [`ProcessExitInfo::exit_reason`] (spec §3).
pub mod exit_reason {
    /// EXIT, or its last thread ended.
    pub const EXITED: u32 = 0;
    /// A processor exception.
    pub const FAULT: u32 = 1;
    /// Ended by the kernel.
    pub const KILLED: u32 = 2;
}

/// Clock ids of `CLOCK_GET` (spec §3).
pub mod clock {
    /// UTC since 1970.
    pub const REALTIME: u64 = 0;
    /// Time since boot.
    pub const MONOTONIC: u64 = 1;
    /// Processor time of the process.
    pub const PROCESS_CPU: u64 = 2;
    /// Processor time of the thread.
    pub const THREAD_CPU: u64 = 3;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_codes_are_1_to_14() {
        let codes = SyscallError::ALL.iter().map(|error| error.code());
        assert!(codes.eq(1..=14));
        assert_eq!(SyscallError::from_code(0), None);
        assert_eq!(SyscallError::from_code(15), None);
    }

    #[test]
    fn an_error_word_is_the_top_bit_and_the_code() {
        assert_eq!(SyscallError::InvalidSyscall.word(), 0x8000_0000_0000_000e);
        assert_eq!(error_name(9), Some("InvalidCapability"));
    }

    #[test]
    fn start_info_has_its_magic_first() {
        let info = StartInfo {
            magic: START_MAGIC,
            version: START_VERSION,
            size: 128,
            reserved: 0x0102_0304_0506_0708,
            ..StartInfo::default()
        };
        let bytes = info.to_bytes();
        assert_eq!(&bytes[..16], b"VERIDIAN\x01\0\0\0\x80\0\0\0");
        assert_eq!(bytes[120..], [8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(StartInfo::from_bytes(&bytes), info);
    }

    #[test]
    fn every_field_of_the_start_info_has_its_own_bytes() {
        let bytes: [u8; StartInfo::SIZE] = core::array::from_fn(|at| at.to_le_bytes()[0]);
        assert_eq!(StartInfo::from_bytes(&bytes).to_bytes(), bytes);
        assert_eq!(StartInfo::from_bytes(&bytes).argc, 0x2f2e_2d2c_2b2a_2928);
    }

    #[test]
    fn times_may_be_negative() {
        let time = Timespec {
            seconds: -1,
            nanoseconds: 999_999_999,
        };
        let bytes = time.to_bytes();
        assert_eq!(bytes[..8], [0xff; 8]);
        assert_eq!(bytes[8..], 999_999_999_u64.to_le_bytes());
        assert_eq!(Timespec::from_bytes(&bytes), time);
    }
}
