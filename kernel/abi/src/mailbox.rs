//! The page that a probe shares with whoever tells it its calls.
//!
//! A probe makes the calls that the host asks for (`user/common/probe.rs`). The
//! kernel puts a call here and into the probe's registers; or the host itself
//! puts all of it here, while the machine stands still just before the probe
//! looks. Neighbours: `kernel/core/src/kernel/probe.rs`, `harness/src/probe.rs`.

use crate::convention::Register;

/// Address of the page in the probe's memory.
pub const ADDRESS: u64 = 0x10_0000_0000;
/// Bytes from the undefined instruction that a probe stops at to its entry.
pub const STOP_BEFORE_ENTRY: u64 = 2;
/// Bytes from its entry to the one that takes all registers from the mailbox.
pub const LOADING_ENTRY: u64 = 128;

/// What lies at the beginning of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Mailbox {
    /// RAX of the call.
    pub rax: u64,
    /// RDX of the call.
    pub rdx: u64,
    /// RAX after it.
    pub result: u64,
    /// Time stamp before it.
    pub before_tsc: u64,
    /// Time stamp after it.
    pub after_tsc: u64,
    /// Error code of the call as its ABI counts them, 0 for success. This word
    /// and those below are used only if the host puts the call here.
    pub error: u64,
    /// Number of the call.
    pub number: u64,
    /// Unix time now, in seconds; 0 if the host has put no call here.
    pub epoch: u64,
    /// Registers of the call.
    pub rdi: u64,
    /// See above.
    pub rsi: u64,
    /// See above.
    pub r8: u64,
    /// See above.
    pub r9: u64,
    /// See above.
    pub r10: u64,
    /// See above.
    pub r12: u64,
    /// See above.
    pub r13: u64,
    /// See above.
    pub r14: u64,
    /// See above.
    pub r15: u64,
}

/// Words of a mailbox.
pub const WORDS: usize = size_of::<Mailbox>() / 8;

impl Mailbox {
    /// The word of a register.
    pub fn register(&mut self, register: Register) -> &mut u64 {
        match register {
            Register::Rax => &mut self.rax,
            Register::Rdi => &mut self.rdi,
            Register::Rsi => &mut self.rsi,
            Register::Rdx => &mut self.rdx,
            Register::R8 => &mut self.r8,
            Register::R9 => &mut self.r9,
            Register::R10 => &mut self.r10,
            Register::R12 => &mut self.r12,
            Register::R13 => &mut self.r13,
            Register::R14 => &mut self.r14,
            Register::R15 => &mut self.r15,
        }
    }

    /// Its words, in their order.
    pub fn words(&self) -> [u64; WORDS] {
        [
            self.rax,
            self.rdx,
            self.result,
            self.before_tsc,
            self.after_tsc,
            self.error,
            self.number,
            self.epoch,
            self.rdi,
            self.rsi,
            self.r8,
            self.r9,
            self.r10,
            self.r12,
            self.r13,
            self.r14,
            self.r15,
        ]
    }

    /// A mailbox of such words.
    pub fn from_words(words: [u64; WORDS]) -> Self {
        let [
            rax,
            rdx,
            result,
            before_tsc,
            after_tsc,
            error,
            number,
            epoch,
            rdi,
            rsi,
            r8,
            r9,
            r10,
            r12,
            r13,
            r14,
            r15,
        ] = words;
        Self {
            rax,
            rdx,
            result,
            before_tsc,
            after_tsc,
            error,
            number,
            epoch,
            rdi,
            rsi,
            r8,
            r9,
            r10,
            r12,
            r13,
            r14,
            r15,
        }
    }
}
