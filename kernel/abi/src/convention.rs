//! How registers carry a system call: number, arguments, result.
//!
//! All three interfaces trap with `SYSCALL` and return in `RAX`; they differ
//! in which register holds the number and where the arguments are.

/// General register that can carry a number or an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// RAX.
    Rax,
    /// RDI.
    Rdi,
    /// RSI.
    Rsi,
    /// RDX.
    Rdx,
    /// R8.
    R8,
    /// R9.
    R9,
    /// R10.
    R10,
    /// R12.
    R12,
    /// R13.
    R13,
    /// R14.
    R14,
    /// R15.
    R15,
}

/// Where one argument word is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// In a register.
    Register(Register),
    /// In user memory, this many bytes above the user's stack pointer.
    Stack(u64),
}

/// Calling convention of one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convention {
    /// Register with the call's number.
    pub number: Register,
    /// Bits of that register that count; the rest is ignored.
    pub number_bits: u32,
    /// Places of the argument words, first to sixth.
    pub arguments: [Slot; 6],
    /// A call with more than six words passes words six and up in user memory
    /// at the address in the sixth slot (`specs/veridian.md` 1.1). Without it
    /// no call has more than six words.
    pub extension_block: bool,
}

/// Place of argument `index` of a call that has `words` argument words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a register.
    Register(Register),
    /// In user memory, this many bytes above the user's stack pointer.
    Stack(u64),
    /// In user memory, this many bytes above the address in the sixth slot.
    Extension(u64),
}

impl Convention {
    /// Finds argument `index` (from 0) of a call with `words` argument words.
    ///
    /// # Panics
    /// If the convention has no such place; rows are checked against this at
    /// compile time by the table macro.
    pub const fn place(&self, index: usize, words: usize) -> Place {
        if self.extension_block && words > 6 && index >= 5 {
            return Place::Extension((index as u64 - 5) * 8);
        }
        match self.arguments[index] {
            Slot::Register(register) => Place::Register(register),
            Slot::Stack(offset) => Place::Stack(offset),
        }
    }
}
