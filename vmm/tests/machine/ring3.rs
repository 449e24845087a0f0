//! A guest with a ring 3: descriptor tables, a user page, fault handlers.
//!
//! The user program enters the kernel with `UD2`, which works on every host;
//! the test supplies the handler of that fault and the program.

use std::collections::BTreeMap;

use iced_x86::BlockEncoderOptions;
use iced_x86::code_asm::{CodeAssembler, CodeLabel, cx, ptr, qword_ptr, rax, rsp};
use mayfly_machine::layout;

use crate::common::{CODE, DATA, DATA_PHYSICAL, Kernel, STACK, poke};

/// Where the user program lies.
pub(crate) const USER: u64 = 0x40_0000;
/// Top of its stack.
pub(crate) const USER_STACK: u64 = USER + 0x2000;
const USER_CS: u64 = 0x23;
const USER_SS: u64 = 0x1b;
const TSS: u64 = 0x28;
// Offsets in the data segment.
const GDT: u64 = 0x0;
const TSS_AT: u64 = 0x100;
const GDTR: u64 = 0x200;
const IDTR: u64 = 0x210;
const IDT: u64 = 0x1000;
const TABLES: u64 = 0x8000;
const USER_PAGE: u64 = 0x1_0000;
/// Data that tests may use.
pub(crate) const SCRATCH: u64 = DATA + 0x2_0000;

/// Names of places in the kernel that a test wants to know.
pub(crate) type Places = BTreeMap<&'static str, u64>;

/// A kernel under construction: code, and labels that are handlers or places.
pub(crate) struct Builder {
    pub(crate) a: CodeAssembler,
    handlers: Vec<(u8, CodeLabel)>,
    places: Vec<(&'static str, CodeLabel)>,
}

impl Builder {
    /// Begins with code that sets everything up and goes to ring 3; the place
    /// `enter` is the `IRETQ` that does.
    pub(crate) fn new() -> Self {
        let mut this = Self {
            a: CodeAssembler::new(64).unwrap(),
            handlers: Vec::new(),
            places: Vec::new(),
        };
        this.set_up();
        let a = &mut this.a;
        for word in [USER_SS, USER_STACK, 2, USER_CS, USER] {
            a.push(word as i32).unwrap();
        }
        this.place("enter");
        this.a.iretq().unwrap();
        this
    }

    /// Only sets the descriptor tables up; stays in ring 0.
    pub(crate) fn in_ring_0() -> Self {
        let mut this = Self {
            a: CodeAssembler::new(64).unwrap(),
            handlers: Vec::new(),
            places: Vec::new(),
        };
        this.set_up();
        this
    }

    /// 9 instructions.
    fn set_up(&mut self) {
        let a = &mut self.a;
        a.mov(rsp, STACK).unwrap();
        poke(a, layout::PAGE_TABLES, (DATA_PHYSICAL + TABLES + 7) as u32);
        a.mov(rax, DATA).unwrap();
        a.lgdt(ptr(rax + GDTR as i32)).unwrap();
        a.lidt(ptr(rax + IDTR as i32)).unwrap();
        a.mov(iced_x86::code_asm::ecx, TSS as u32).unwrap();
        a.ltr(cx).unwrap();
        a.nop().unwrap();
    }

    /// Instructions that [`Builder::in_ring_0`] begins with.
    pub(crate) const SET_UP: u64 = 9;

    /// Gives the next instruction a name.
    pub(crate) fn place(&mut self, name: &'static str) {
        let mut label = self.a.create_label();
        self.a.set_label(&mut label).unwrap();
        // Two labels may not be at one instruction: keep a zero-length gap.
        self.a.zero_bytes().unwrap();
        self.places.push((name, label));
    }

    /// Makes the next instruction the handler of `vector`.
    pub(crate) fn handler(&mut self, vector: u8) {
        let mut label = self.a.create_label();
        self.a.set_label(&mut label).unwrap();
        self.a.zero_bytes().unwrap();
        self.handlers.push((vector, label));
    }

    /// The ELF file, and where the places are.
    pub(crate) fn build(mut self, user: impl FnOnce(&mut CodeAssembler)) -> (Vec<u8>, Places) {
        let options = BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS;
        let code = self.a.assemble_options(CODE, options).unwrap();
        let places = self.places.iter();
        let places = places
            .map(|(n, l)| (*n, code.label_ip(l).unwrap()))
            .collect();
        let mut data = vec![0; USER_PAGE as usize + 0x2000];
        let mut put = |at: u64, bytes: &[u8]| {
            data[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
        };
        let tss = DATA + TSS_AT;
        let gdt = [
            0,
            0x00af_9b00_0000_ffff,
            0x00cf_9300_0000_ffff,
            0x00cf_f300_0000_ffff,
            0x00af_fb00_0000_ffff,
            0x67 | (tss & 0xff_ffff) << 16 | 0x89 << 40 | (tss >> 24 & 0xff) << 56,
            tss >> 32,
        ];
        put(GDT, &gdt.map(u64::to_le_bytes).concat());
        put(TSS_AT + 4, &STACK.to_le_bytes());
        put(GDTR, &0x37_u16.to_le_bytes());
        put(GDTR + 2, &(DATA + GDT).to_le_bytes());
        put(IDTR, &0xfff_u16.to_le_bytes());
        put(IDTR + 2, &(DATA + IDT).to_le_bytes());
        for (vector, label) in &self.handlers {
            let to = code.label_ip(label).unwrap();
            // Interrupt gate in kernel code, from any ring.
            let low = to & 0xffff | 0x08 << 16 | 0xee << 40 | (to >> 16 & 0xffff) << 48;
            let gate = [low, to >> 32].map(u64::to_le_bytes).concat();
            put(IDT + 16 * u64::from(*vector), &gate);
        }
        let at = |offset| DATA_PHYSICAL + offset;
        put(TABLES, &(at(TABLES + 0x1000) | 7).to_le_bytes());
        put(
            TABLES + 0x1000 + 8 * 2,
            &(at(TABLES + 0x2000) | 7).to_le_bytes(),
        );
        put(TABLES + 0x2000, &(at(USER_PAGE) | 7).to_le_bytes());
        put(TABLES + 0x2008, &(at(USER_PAGE + 0x1000) | 7).to_le_bytes());
        let mut program = CodeAssembler::new(64).unwrap();
        user(&mut program);
        put(USER_PAGE, &program.assemble(USER).unwrap());
        let mut kernel = Kernel::new(code.inner.code_buffer);
        kernel.segments[1].bytes = data;
        (kernel.to_elf(), places)
    }
}

/// Handler code: steps over the `UD2` that faulted. One instruction.
pub(crate) fn skip_ud2(a: &mut CodeAssembler) {
    a.add(qword_ptr(rsp), 2).unwrap();
}
