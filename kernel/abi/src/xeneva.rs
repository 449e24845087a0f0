//! XenevaOS services (`specs/xeneva.md` §1, §3).

#![expect(
    non_upper_case_globals,
    reason = "call numbers carry the published spelling of their names"
)]

use crate::convention::{Convention, Register, Slot};
use crate::table::{Address, Flags, Input, Load, Output, Text, calls};

/// `R12` = number (its low 32 bits); `R13 R14 R15 RDI` and the user stack at
/// +40 and +48 = arguments (spec §1.1).
pub const CONVENTION: Convention = Convention {
    number: Register::R12,
    number_bits: 32,
    arguments: [
        Slot::Register(Register::R13),
        Slot::Register(Register::R14),
        Slot::Register(Register::R15),
        Slot::Register(Register::Rdi),
        Slot::Stack(40),
        Slot::Stack(48),
    ],
    extension_block: false,
};

/// Numbers from here on are out of range and answer -1; below it a number
/// without a row is an empty slot and answers 0 (spec §1.2; the later limit).
pub const LIMIT: u64 = 82;
/// Result of a failed service.
pub const FAILED: u64 = u64::MAX;

calls! {
    /// Does nothing.
    0 null_call = NullCall {} -> Nothing;
    /// Formats text to the console; the stack words are variadic and read only
    /// when a directive asks for them.
    1 SeTextOut = SeTextOut { format: Text, first: u64, second: u64, third: u64 } -> Nothing;
    /// Blocks the calling thread until it is woken.
    2 PauseThread = PauseThread {} -> Number;
    /// Thread id, 16 bits.
    3 GetThreadID = GetThreadId {} -> Handle;
    /// Process id.
    4 GetProcessID = GetProcessId {} -> Handle;
    /// Ends the process; it has no status.
    5 ProcessExit = ProcessExit {} -> Number;
    /// Waits for a process to end; -1 reaps.
    6 ProcessWaitForTermination = ProcessWaitForTermination { pid: i32 } -> Nothing;
    /// Makes an empty process slot.
    7 CreateProcess = CreateProcess { parent: i32, name: Text } -> Handle;
    /// Loads and starts an executable in a slot.
    8 ProcessLoadExec = ProcessLoadExec { pid: i32, file: Text, argc: i32, argv: Load } -> Nothing;
    /// Makes or finds a shared memory segment by key.
    9 CreateSharedMem = CreateSharedMem { key: u16, size: u64, flags: u8 } -> Handle;
    /// Maps a shared memory segment by id.
    10 ObtainSharedMem = ObtainSharedMem { id: u16, address: Address, flags: Flags } -> Address;
    /// Unmaps a shared memory segment by key.
    11 UnmapSharedMem = UnmapSharedMem { key: u16 } -> Nothing;
    /// Opens a file.
    12 OpenFile = OpenFile { path: Text, mode: Flags } -> Handle;
    /// Maps memory, or a file.
    13 CreateMemMapping = CreateMemMapping {
        address: Address, length: u64, prot: Flags, flags: Flags, fd: i32, offset: u64,
    } -> Address;
    /// Unmaps memory.
    14 UnmapMemMapping = UnmapMemMapping { address: Address, length: u64 } -> Nothing;
    /// Makes the heap larger; the address of what is new.
    15 GetProcessHeapMem = GetProcessHeapMem { size: u64 } -> Number;
    /// Reads; 0 is the end, or any failure.
    16 ReadFile = ReadFile { fd: i32, buffer: Output, count: u64 } -> Number;
    /// Writes; 0 is any failure.
    17 WriteFile = WriteFile { fd: i32, buffer: Input, count: u64 } -> Number;
    /// Closes a file.
    20 CloseFile = CloseFile { fd: i32 } -> Nothing;
    /// Sleeps for milliseconds.
    23 ProcessSleep = ProcessSleep { milliseconds: u64 } -> Number;
    /// Makes a thread; its index in the process.
    32 CreateUserThread = CreateUserThread { entry: Address, name: Text } -> Handle;
    /// Gives a process an open file.
    33 SetFileToProcess = SetFileToProcess { fd: i32, dest: i32, pid: i32 } -> Nothing;
    /// Sends a process's main thread a signal, which wakes it.
    35 SendSignal = SendSignal { pid: i32, signal: i32 } -> Nothing;
}

/// Name of an error code; a failed service says no more than that it failed.
pub fn error_name(code: u32) -> Option<&'static str> {
    (code == 1).then_some("FAILED")
}
