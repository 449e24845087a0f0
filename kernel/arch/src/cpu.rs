//! Descriptor tables, control registers, and the protections in force.
//!
//! GDT as `specs/patchwork.md` §1 has it: kernel code 0x08, kernel data 0x10,
//! user data 0x18, user code 0x20. Everything that can be constant is.

use core::arch::x86_64::__cpuid_count;
use core::cell::UnsafeCell;
use core::mem::offset_of;

use x86_64::PrivilegeLevel;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::Segment;
use x86_64::instructions::tables::{lgdt, lidt, load_tss};
use x86_64::registers::control::{Cr4, Cr4Flags, Efer, EferFlags};
use x86_64::registers::model_specific::{KernelGsBase, LStar, Msr, SFMask};
use x86_64::registers::rflags::RFlags;
use x86_64::registers::segmentation::SS;
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::gdt::SegmentSelector;
use x86_64::structures::tss::TaskStateSegment;

use crate::bases;
use crate::field;
use crate::user::UserContext;

/// Selector of user code, with RPL 3.
pub const USER_CS: u16 = 0x23;
/// Selector of user data, with RPL 3.
pub const USER_SS: u16 = 0x1b;
const KERNEL_SS: SegmentSelector = SegmentSelector::new(2, PrivilegeLevel::Ring0);
const TSS_SELECTOR: SegmentSelector = SegmentSelector::new(5, PrivilegeLevel::Ring0);

/// Vector of page faults.
const PAGE_FAULT: usize = 14;

/// What the entry stubs need to find; KERNEL_GS_BASE points here.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct CpuLocal {
    /// Kernel stack pointer inside `user_enter`.
    pub(crate) kernel_rsp: u64,
    /// End of the running thread's frame; also TSS.RSP0.
    pub(crate) frame_end: u64,
    /// User stack pointer during the first instructions of a system call.
    pub(crate) scratch: u64,
}

/// A static that only this one processor's kernel touches.
#[repr(transparent)]
pub(crate) struct Owned<T>(pub(crate) UnsafeCell<T>);

// SAFETY: the machine has one processor, and trap handlers do not reach into
// what the code they interrupt is changing: kernel code runs with interrupts
// off except in `apic::wait` and `apic::admit`, and what handles an interrupt that
// comes there, `trap::kernel_trap`, marks it and touches none of these.
unsafe impl<T> Sync for Owned<T> {}

impl<T> Owned<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }
}

#[unsafe(export_name = "cpu_local")]
static CPU: Owned<CpuLocal> = Owned::new(CpuLocal {
    kernel_rsp: 0,
    frame_end: 0,
    scratch: 0,
});

static TSS: Owned<TaskStateSegment> = Owned::new(TaskStateSegment::new());

static GDT: Owned<[u64; 7]> = Owned::new([
    0,
    0x00af_9b00_0000_ffff,
    0x00cf_9300_0000_ffff,
    0x00cf_f300_0000_ffff,
    0x00af_fb00_0000_ffff,
    0,
    0,
]);

const FATAL_STACK_SIZE: usize = 16 << 10;
#[repr(align(16))]
struct FatalStack(
    #[expect(dead_code, reason = "only the processor uses it")] [u8; FATAL_STACK_SIZE],
);
static FATAL_STACK: Owned<FatalStack> = Owned::new(FatalStack([0; FATAL_STACK_SIZE]));

unsafe extern "C" {
    static trap_idt: [u8; 0];
    static trap_idt_end: [u8; 0];
    static trap_gate_page_fault: [u64; 2];
    fn syscall_first();
    fn syscall_entry();
}

/// Protections that this processor offers and the kernel switched on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protections {
    /// Supervisor mode execution prevention.
    pub smep: bool,
    /// Supervisor mode access prevention.
    pub smap: bool,
    /// User mode instruction prevention.
    pub umip: bool,
    /// RDFSBASE and its kin in ring 3.
    pub fsgsbase: bool,
}

impl Protections {
    /// As the wire has them: NX, WP, SMEP, SMAP, UMIP, FSGSBASE from bit 0.
    pub fn bits(self) -> u32 {
        0b11 | u32::from(self.smep) << 2
            | u32::from(self.smap) << 3
            | u32::from(self.umip) << 4
            | u32::from(self.fsgsbase) << 5
    }
}

/// Loads the descriptor tables and switches on what the processor offers, SMAP
/// only where it is `allowed`.
pub fn initialise(smap_allowed: bool) -> Protections {
    load_tables();
    let protections = protect(smap_allowed);
    enable_syscall();
    protections
}

fn load_tables() {
    let tss = TSS.0.get();
    let stack_end = (FATAL_STACK.0.get() as u64) + FATAL_STACK_SIZE as u64;
    let slot: *mut u64 = field(tss, offset_of!(TaskStateSegment, interrupt_stack_table));
    // SAFETY: a field of the TSS; boot, one processor: nothing refers to it.
    unsafe { slot.write_unaligned(stack_end) };
    let base = tss as u64;
    let low = 0x0000_8900_0000_0067 | (base & 0xff_ffff) << 16 | (base >> 24 & 0xff) << 56;
    let gdt = GDT.0.get();
    // SAFETY: an entry of the GDT; boot, one processor: nothing refers to it.
    unsafe { field::<_, u64>(gdt, 5 * 8).write(low) };
    // SAFETY: as above.
    unsafe { field::<_, u64>(gdt, 6 * 8).write(base >> 32) };
    let gdt = DescriptorTablePointer {
        limit: 55,
        base: VirtAddr::new(gdt as u64),
    };
    // SAFETY: the table is a static with valid descriptors.
    unsafe { lgdt(&gdt) };
    // SAFETY: descriptor 2 is kernel data.
    unsafe { SS::set_reg(KERNEL_SS) };
    // SAFETY: descriptor 5 is the TSS just described.
    unsafe { load_tss(TSS_SELECTOR) };
    let start = (&raw const trap_idt) as u64;
    let end = (&raw const trap_idt_end) as u64;
    let idt = DescriptorTablePointer {
        limit: u16::try_from(end - start - 1).expect("the IDT has 35 entries"),
        base: VirtAddr::new(start),
    };
    // SAFETY: trap.s builds the table as constant data with valid gates.
    unsafe { lidt(&idt) };
}

fn protect(smap_allowed: bool) -> Protections {
    let leaf = __cpuid_count(7, 0);
    let protections = Protections {
        smep: leaf.ebx >> 7 & 1 == 1,
        smap: smap_allowed && leaf.ebx >> 20 & 1 == 1,
        umip: leaf.ecx >> 2 & 1 == 1,
        fsgsbase: leaf.ebx & 1 == 1,
    };
    let mut flags = Cr4Flags::PHYSICAL_ADDRESS_EXTENSION
        | Cr4Flags::PAGE_GLOBAL
        | Cr4Flags::OSFXSR
        | Cr4Flags::OSXMMEXCPT_ENABLE;
    flags.set(
        Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION,
        protections.smep,
    );
    flags.set(
        Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION,
        protections.smap,
    );
    flags.set(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION, protections.umip);
    flags.set(Cr4Flags::FSGSBASE, protections.fsgsbase);
    // SAFETY: only adds protections that CPUID offers; the kernel is built for
    // them (usercopy.rs brackets user accesses for SMAP).
    unsafe { Cr4::write(flags) };
    crate::usercopy::set_smap(protections.smap);
    if protections.fsgsbase {
        bases::set_available();
    }
    protections
}

fn enable_syscall() {
    const STAR: u32 = 0xc000_0081;
    let efer = EferFlags::SYSTEM_CALL_EXTENSIONS
        | EferFlags::LONG_MODE_ENABLE
        | EferFlags::LONG_MODE_ACTIVE
        | EferFlags::NO_EXECUTE_ENABLE;
    // SAFETY: keeps the mode we are in and adds SYSCALL and NX.
    unsafe { Efer::write(efer) };
    // SAFETY: SYSCALL takes 0x08/0x10, SYSRET 0x13+16 = 0x23 and 0x13+8 = 0x1b,
    // which are the GDT's kernel and user segments.
    unsafe { Msr::new(STAR).write(0x0013_0008 << 32) };
    LStar::write(VirtAddr::new(syscall_first as *const () as u64));
    SFMask::write(
        RFlags::TRAP_FLAG
            | RFlags::INTERRUPT_FLAG
            | RFlags::DIRECTION_FLAG
            | RFlags::IOPL_LOW
            | RFlags::IOPL_HIGH
            | RFlags::NESTED_TASK
            | RFlags::ALIGNMENT_CHECK,
    );
    KernelGsBase::write(VirtAddr::new(CPU.0.get() as u64));
}

/// A system call came by the architecture's own way: no page fault is one.
#[cold]
pub(crate) fn syscall_is_native() {
    LStar::write(VirtAddr::new(syscall_entry as *const () as u64));
    // SAFETY: constant data of trap.s.
    let [gate, _] = unsafe { trap_gate_page_fault };
    let entry = (&raw const trap_idt)
        .cast_mut()
        .cast::<u64>()
        .wrapping_add(2 * PAGE_FAULT);
    // SAFETY: the gate's first half, in writable memory, on the one processor
    // with interrupts off; the second half is the same.
    unsafe { entry.write_volatile(gate) };
}

/// Makes `context` the frame that the next trap from ring 3 is stored in.
///
/// # Safety
/// `context` stays where it is until another one is installed or no more ring-3
/// code runs.
pub(crate) unsafe fn install(context: &UserContext) {
    let end = context.frame_end();
    let cpu = field::<_, u64>(CPU.0.get(), offset_of!(CpuLocal, frame_end));
    // SAFETY: one processor, and interrupts are off: nothing else touches it.
    unsafe { cpu.write(end) };
    let offset = offset_of!(TaskStateSegment, privilege_stack_table);
    // SAFETY: as above; the TSS is packed, so the field may be unaligned.
    unsafe { field::<_, u64>(TSS.0.get(), offset).write_unaligned(end) };
}

/// End of the frame of the thread that ran last; 0 before the first.
pub(crate) fn current_frame_end() -> u64 {
    // SAFETY: a plain read of a word that only this processor writes.
    unsafe { field::<_, u64>(CPU.0.get(), offset_of!(CpuLocal, frame_end)).read() }
}
