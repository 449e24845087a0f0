//! Makes kernels out of a few instructions and runs them.
//!
//! A guest's code lies at [`CODE`], its zeroed data at [`DATA`]; both are at
//! their physical address plus `KERNEL_BASE`.

use std::time::{Duration, Instant};

use iced_x86::code_asm::{CodeAssembler, dword_ptr, eax, edx, r15};
use mayfly_machine::{exit, layout};
use mayfly_vmm::{Config, Crash, Stop, Vm};

/// Physical address of a guest's code.
pub(crate) const CODE_PHYSICAL: u64 = layout::KERNEL_LOAD;
/// Virtual address of a guest's code.
pub(crate) const CODE: u64 = layout::KERNEL_BASE + CODE_PHYSICAL;
/// Physical address of a guest's data.
pub(crate) const DATA_PHYSICAL: u64 = 0x20_0000;
/// Virtual address of a guest's data.
pub(crate) const DATA: u64 = layout::KERNEL_BASE + DATA_PHYSICAL;
/// Size of a guest's data.
pub(crate) const DATA_BYTES: u64 = 0x4_0000;
/// End of the data, where guests put their stack.
pub(crate) const STACK: u64 = DATA + DATA_BYTES;

/// Segment flags.
pub(crate) const READ: u32 = 4;
/// Segment flags.
pub(crate) const WRITE: u32 = 2;
/// Segment flags.
pub(crate) const EXECUTE: u32 = 1;

/// One program header and its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) virt: u64,
    pub(crate) phys: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) memory: u64,
    pub(crate) flags: u32,
}

/// An ELF file under construction.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    pub(crate) machine: u16,
    pub(crate) segments: Vec<Segment>,
    /// Version, entry and direct map base of the direct entry note.
    pub(crate) direct: Option<[u64; 3]>,
    pub(crate) pvh: Option<u32>,
}

impl Kernel {
    /// A kernel with the direct entry at the start of `code`.
    pub(crate) fn new(code: Vec<u8>) -> Self {
        let memory = code.len() as u64;
        let code = Segment {
            virt: CODE,
            phys: CODE_PHYSICAL,
            bytes: code,
            memory,
            flags: READ | EXECUTE,
        };
        let data = Segment {
            virt: DATA,
            phys: DATA_PHYSICAL,
            bytes: Vec::new(),
            memory: DATA_BYTES,
            flags: READ | WRITE,
        };
        Self {
            machine: 62,
            segments: vec![code, data],
            direct: Some([1, CODE, layout::DIRECT_MAP_BASE]),
            pvh: None,
        }
    }

    /// The ELF file: header, program headers, then every segment's bytes.
    pub(crate) fn to_elf(&self) -> Vec<u8> {
        let notes = self.notes();
        let count = self.segments.len() as u64 + 1;
        let mut body: Vec<u8> = Vec::new();
        let mut headers: Vec<u8> = Vec::new();
        let mut add = |kind: u32, flags: u32, virt: u64, phys: u64, bytes: &[u8], memory: u64| {
            let offset = 64 + 56 * count + body.len() as u64;
            headers.extend(kind.to_le_bytes());
            headers.extend(flags.to_le_bytes());
            for word in [offset, virt, phys, bytes.len() as u64, memory, 4] {
                headers.extend(word.to_le_bytes());
            }
            body.extend(bytes);
        };
        for s in &self.segments {
            add(1, s.flags, s.virt, s.phys, &s.bytes, s.memory);
        }
        add(4, READ, 0, 0, &notes, notes.len() as u64);
        let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        file.extend(2_u16.to_le_bytes());
        file.extend(self.machine.to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        for word in [CODE, 64, 0] {
            file.extend(word.to_le_bytes());
        }
        file.extend([0; 4]);
        for half in [64, 56, count as u16, 64, 0, 0] {
            file.extend(half.to_le_bytes());
        }
        file.extend(headers);
        file.extend(body);
        file
    }

    fn notes(&self) -> Vec<u8> {
        let mut notes: Vec<u8> = Vec::new();
        let mut add = |owner: &[u8], kind: u32, desc: &[u8]| {
            notes.extend((owner.len() as u32).to_le_bytes());
            notes.extend((desc.len() as u32).to_le_bytes());
            notes.extend(kind.to_le_bytes());
            notes.extend(owner);
            notes.resize(notes.len().next_multiple_of(4), 0);
            notes.extend(desc);
            notes.resize(notes.len().next_multiple_of(4), 0);
        };
        if let Some(pvh) = self.pvh {
            add(b"Xen\0", 18, &pvh.to_le_bytes());
        }
        if let Some(direct) = self.direct {
            add(b"Mayfly\0", 2, &direct.map(u64::to_le_bytes).concat());
        }
        notes
    }
}

/// Assembles 64-bit code at [`CODE`].
pub(crate) fn code(build: impl FnOnce(&mut CodeAssembler)) -> Vec<u8> {
    let mut a = CodeAssembler::new(64).unwrap();
    build(&mut a);
    a.assemble(CODE).unwrap()
}

/// A kernel of the given instructions.
pub(crate) fn kernel(build: impl FnOnce(&mut CodeAssembler)) -> Vec<u8> {
    Kernel::new(code(build)).to_elf()
}

/// Ends the machine with `code`.
pub(crate) fn exit(a: &mut CodeAssembler, code: u32) {
    a.mov(edx, u32::from(exit::EXIT_PORT)).unwrap();
    a.mov(eax, code).unwrap();
    a.out(iced_x86::code_asm::dx, eax).unwrap();
}

/// Stores `value` at a physical address, through the direct map; changes R15.
pub(crate) fn poke(a: &mut CodeAssembler, physical: u64, value: u32) {
    a.mov(r15, layout::DIRECT_MAP_BASE + physical).unwrap();
    a.mov(dword_ptr(r15), value).unwrap();
}

/// A machine that is small and quick to make.
pub(crate) fn small() -> Config {
    Config {
        memory_bytes: 4 << 20,
        ..Config::default()
    }
}

/// A machine of the given instructions.
pub(crate) fn vm(build: impl FnOnce(&mut CodeAssembler)) -> Vm {
    Vm::new(&small(), &kernel(build), &[]).unwrap()
}

/// A deadline that no working test reaches.
pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// Runs to the first stop that is not output.
pub(crate) fn run(vm: &mut Vm) -> Stop {
    let deadline = soon();
    loop {
        match vm.run(deadline).unwrap() {
            Stop::Output => {}
            stop => return stop,
        }
    }
}

/// Runs and expects a crash.
pub(crate) fn crash(vm: &mut Vm) -> Crash {
    match run(vm) {
        Stop::Crash(crash) => crash,
        stop => panic!("expected a crash, got {stop}"),
    }
}

/// The processor has VT-x or SVM: KVM does not emulate ring 0.
pub(crate) fn runs_ring_0_itself() -> bool {
    let vmx = std::arch::x86_64::__cpuid(1).ecx >> 5 & 1 == 1;
    vmx || std::arch::x86_64::__cpuid(0x8000_0001).ecx >> 2 & 1 == 1
}
