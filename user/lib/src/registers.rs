//! Every register a program has, as data.
//!
//! Purpose: patterns to fill the registers with, so that whatever changes one
//! of them shows. Neighbours: `exchange.rs` loads and stores them,
//! `programs/registers.rs` and `programs/preempt.rs` compare.

use mayfly_abi::convention::Register;

/// Flags that a program may set and that nothing it does here changes: carry,
/// parity, adjust, zero, sign, direction, overflow.
pub const FLAGS: u64 = 0xcd5;
/// Value of MXCSR at the start of a process; bits 13 and 14 are the rounding mode.
pub const MXCSR: u64 = 0x1f80;
const MXCSR_ROUNDING: u64 = 0x6000;
/// Value of the x87 control word after FNINIT; bits 10 and 11 are the rounding mode.
const CONTROL: u64 = 0x037f;
const CONTROL_ROUNDING: u64 = 0x0c00;

/// The registers of a thread in ring 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(16))]
#[expect(missing_docs, reason = "each field is named as its register")]
pub struct Frame {
    pub vector: [[u64; 2]; 16],
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub flags: u64,
    pub mxcsr: u64,
    pub control: u64,
}

impl Frame {
    /// All of them zero.
    pub const ZERO: Frame = Frame {
        vector: [[0; 2]; 16],
        rax: 0,
        rbx: 0,
        rcx: 0,
        rdx: 0,
        rsi: 0,
        rdi: 0,
        rbp: 0,
        rsp: 0,
        r8: 0,
        r9: 0,
        r10: 0,
        r11: 0,
        r12: 0,
        r13: 0,
        r14: 0,
        r15: 0,
        flags: 0,
        mxcsr: 0,
        control: 0,
    };

    /// Registers that all differ, by a seed; the stack pointer is not set.
    pub fn pattern(seed: u64) -> Self {
        let mut noise = Noise(seed);
        let mut frame = Self::ZERO;
        for (_, register) in frame.general_mut() {
            *register = noise.draw();
        }
        for vector in &mut frame.vector {
            *vector = [noise.draw(), noise.draw()];
        }
        frame.flags = noise.draw() & FLAGS;
        frame.mxcsr = MXCSR | noise.draw() & MXCSR_ROUNDING;
        frame.control = CONTROL | noise.draw() & CONTROL_ROUNDING;
        frame
    }

    /// Sets one of the registers that carry calls.
    pub fn set(&mut self, register: Register, value: u64) {
        *match register {
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
        } = value;
    }

    /// The general registers but RSP, by name.
    pub fn general(mut self) -> [(&'static str, u64); 15] {
        self.general_mut().map(|(name, value)| (name, *value))
    }

    fn general_mut(&mut self) -> [(&'static str, &mut u64); 15] {
        [
            ("RAX", &mut self.rax),
            ("RBX", &mut self.rbx),
            ("RCX", &mut self.rcx),
            ("RDX", &mut self.rdx),
            ("RSI", &mut self.rsi),
            ("RDI", &mut self.rdi),
            ("RBP", &mut self.rbp),
            ("R8", &mut self.r8),
            ("R9", &mut self.r9),
            ("R10", &mut self.r10),
            ("R11", &mut self.r11),
            ("R12", &mut self.r12),
            ("R13", &mut self.r13),
            ("R14", &mut self.r14),
            ("R15", &mut self.r15),
        ]
    }
}

/// Numbers that look random, the same for the same seed (splitmix64).
#[derive(Clone, Copy, Debug)]
pub struct Noise(pub u64);

impl Noise {
    /// The next one.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_no_value_twice() {
        let frame = Frame::pattern(1);
        let general = frame.general().map(|(_, value)| value);
        let other = Frame::pattern(2).general().map(|(_, value)| value);
        for (at, value) in general.iter().enumerate() {
            assert!(!general[at + 1..].contains(value));
            assert!(!other.contains(value));
        }
    }

    #[test]
    fn patterns_mask_every_floating_point_exception() {
        for seed in 0..64 {
            let frame = Frame::pattern(seed);
            assert_eq!(frame.mxcsr & !MXCSR_ROUNDING, MXCSR);
            assert_eq!(frame.control & !CONTROL_ROUNDING, CONTROL);
            assert_eq!(frame.flags & !FLAGS, 0);
        }
    }
}
