//! What the processor is: its CPUID, its first registers, its registers now.
//!
//! Neighbours: `host` asks KVM once for what it supports and calls
//! [`guest_cpuid`]; `vm` calls [`set_start`]; [`Registers`] is what callers see.

use kvm_bindings::{kvm_regs, kvm_segment, kvm_sregs};
use kvm_ioctls::VcpuFd;
use mayfly_machine::layout;

use crate::Error;
use crate::boot::Start;

const CR0_PE: u64 = 1 << 0;
const CR0_ET: u64 = 1 << 4;
const CR0_NE: u64 = 1 << 5;
const CR0_WP: u64 = 1 << 16;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const CR4_PGE: u64 = 1 << 7;
const CR4_OSFXSR: u64 = 1 << 9;
const CR4_OSXMMEXCPT: u64 = 1 << 10;
const EFER_SCE: u64 = 1 << 0;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
const EFER_NXE: u64 = 1 << 11;
/// `RFLAGS` bit that enables interrupts.
const RFLAGS_IF: u64 = 1 << 9;

/// The registers of a stopped processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the architecture's own names")]
pub struct Registers {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rsp: u64,
    pub rbp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rflags: u64,
    pub cr0: u64,
    pub cr2: u64,
    pub cr3: u64,
    pub cr4: u64,
    pub efer: u64,
    pub cs: u16,
    pub ss: u16,
    pub fs_base: u64,
    pub gs_base: u64,
}

impl Registers {
    /// Current privilege level: 0 in a kernel, 3 in a program.
    pub fn cpl(&self) -> u8 {
        u8::try_from(self.cs & 3).unwrap_or(3)
    }

    /// Whether maskable interrupts are enabled.
    pub fn interrupts_enabled(&self) -> bool {
        self.rflags & RFLAGS_IF != 0
    }

    /// Reads them all.
    pub(crate) fn read(vcpu: &VcpuFd) -> Result<Self, Error> {
        let regs = vcpu.get_regs().map_err(Error::kvm("KVM_GET_REGS"))?;
        let sregs = vcpu.get_sregs().map_err(Error::kvm("KVM_GET_SREGS"))?;
        Ok(Self::new(&regs, &sregs))
    }

    fn new(regs: &kvm_regs, sregs: &kvm_sregs) -> Self {
        Self {
            rax: regs.rax,
            rbx: regs.rbx,
            rcx: regs.rcx,
            rdx: regs.rdx,
            rsi: regs.rsi,
            rdi: regs.rdi,
            rsp: regs.rsp,
            rbp: regs.rbp,
            r8: regs.r8,
            r9: regs.r9,
            r10: regs.r10,
            r11: regs.r11,
            r12: regs.r12,
            r13: regs.r13,
            r14: regs.r14,
            r15: regs.r15,
            rip: regs.rip,
            rflags: regs.rflags,
            cr0: sregs.cr0,
            cr2: sregs.cr2,
            cr3: sregs.cr3,
            cr4: sregs.cr4,
            efer: sregs.efer,
            cs: sregs.cs.selector,
            ss: sregs.ss.selector,
            fs_base: sregs.fs.base,
            gs_base: sregs.gs.base,
        }
    }
}

/// Puts a fresh vCPU where `start` says.
pub(crate) fn set_start(vcpu: &VcpuFd, start: Start) -> Result<(), Error> {
    let mut sregs = vcpu.get_sregs().map_err(Error::kvm("KVM_GET_SREGS"))?;
    let rip = match start {
        Start::Direct { entry, gdt } => {
            enter_long_mode(&mut sregs, gdt);
            entry
        }
        Start::Pvh(entry) => {
            enter_protected_mode(&mut sregs);
            entry.into()
        }
    };
    vcpu.set_sregs(&sregs)
        .map_err(Error::kvm("KVM_SET_SREGS"))?;
    let regs = kvm_regs {
        rip,
        rbx: layout::START_INFO,
        rflags: 2,
        ..kvm_regs::default()
    };
    vcpu.set_regs(&regs).map_err(Error::kvm("KVM_SET_REGS"))
}

/// The direct entry's state (`mayfly_machine::boot`).
fn enter_long_mode(sregs: &mut kvm_sregs, gdt: u64) {
    sregs.gdt.base = gdt;
    sregs.gdt.limit = 3 * 8 - 1;
    sregs.idt.base = 0;
    sregs.idt.limit = 0;
    sregs.cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
    sregs.cr3 = layout::PAGE_TABLES;
    sregs.cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    sregs.efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
    sregs.cs = flat(0x08, 0xb);
    sregs.cs.l = 1;
    sregs.cs.db = 0;
    set_data(sregs, flat(0x10, 0x3));
    sregs.tr = task(0xb);
}

/// PVH's state: flat 32-bit segments, paging off (Xen `hvm_start_info`).
fn enter_protected_mode(sregs: &mut kvm_sregs) {
    sregs.gdt.limit = 0;
    sregs.idt.limit = 0;
    sregs.cr0 = CR0_PE | CR0_ET;
    sregs.cr4 = 0;
    sregs.efer = 0;
    sregs.cs = flat(0x08, 0xb);
    set_data(sregs, flat(0x10, 0x3));
    sregs.tr = task(0xb);
}

fn set_data(sregs: &mut kvm_sregs, data: kvm_segment) {
    sregs.ds = data;
    sregs.es = data;
    sregs.ss = data;
    sregs.fs = data;
    sregs.gs = data;
}

/// A flat ring-0 segment of the given descriptor type.
fn flat(selector: u16, type_: u8) -> kvm_segment {
    kvm_segment {
        base: 0,
        limit: u32::MAX,
        selector,
        type_,
        present: 1,
        dpl: 0,
        db: 1,
        s: 1,
        l: 0,
        g: 1,
        avl: 0,
        unusable: 0,
        padding: 0,
    }
}

/// A busy task state segment, which VT-x demands.
fn task(type_: u8) -> kvm_segment {
    kvm_segment {
        limit: 0x67,
        s: 0,
        db: 0,
        g: 0,
        ..flat(0, type_)
    }
}
