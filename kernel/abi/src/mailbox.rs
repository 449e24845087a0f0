//! The page that a probe shares with whoever tells it its calls.
//!
//! A probe makes the calls that the host asks for (`user/common/probe.rs`). The
//! kernel puts a call here and into the probe's registers; or the host itself
//! puts all of it here, while the machine stands still just before the probe
//! looks. Neighbours: `kernel/core/src/kernel/probe.rs`, `harness/src/probe.rs`.

use crate::convention::Register;

/// Address of the page in the probe's memory.
pub const ADDRESS: u64 = 0x10_0000_0000;
/// Address of the buffer that its calls' pointers lead into.
pub const BUFFER: u64 = 0x10_0001_0000;
/// Bytes from the undefined instruction that a probe stops at to its entry.
pub const STOP_BEFORE_ENTRY: u64 = 2;
/// Bytes from its entry to the one that takes all registers from the mailbox.
pub const LOADING_ENTRY: u64 = 128;

/// A structure of words that lie one behind the other, and the same as an array.
macro_rules! words {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $word:ident,)* }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[repr(C)]
        pub struct $name {
            $($(#[$inner])* pub $word: u64,)*
        }

        impl $name {
            /// Its words, in their order.
            pub fn words(&self) -> [u64; WORDS] {
                [$(self.$word),*]
            }

            /// One of such words.
            pub fn from_words([$($word),*]: [u64; WORDS]) -> Self {
                Self { $($word),* }
            }
        }
    };
}

words! {
    /// What lies at the beginning of the page.
    Mailbox {
        /// RAX of the call.
        rax,
        /// RDX of the call.
        rdx,
        /// RAX after it.
        result,
        /// Time stamp before it.
        before_tsc,
        /// Time stamp after it.
        after_tsc,
        /// Error code of the call as its ABI counts them, 0 for success. This word
        /// and those below are used only if the host puts the call here.
        error,
        /// Number of the call.
        number,
        /// Unix time now, in seconds; 0 if the host has put no call here.
        epoch,
        /// RDI of the call.
        rdi,
        /// RSI of the call.
        rsi,
        /// R8 of the call.
        r8,
        /// R9 of the call.
        r9,
        /// R10 of the call.
        r10,
        /// R12 of the call.
        r12,
        /// R13 of the call.
        r13,
        /// R14 of the call.
        r14,
        /// R15 of the call.
        r15,
    }
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
}
