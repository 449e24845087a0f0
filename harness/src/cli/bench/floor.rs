//! The least that a microVM can cost on this host: bare KVM, no devices.
//!
//! Purpose: figures for machines are compared with these of the same run.
//! [`once`] makes a VM with memory and a local APIC, runs an instruction in real
//! mode, and takes all of it down. [`instruction`] says what one of ring 0 takes
//! that does next to nothing: as many as a kernel runs take so long at least.

use std::time::{Duration, Instant};

use anyhow::Context;
use kvm_bindings::{KVM_CAP_SPLIT_IRQCHIP, kvm_enable_cap, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

/// Memory of the machine, in bytes: as much as a microVM has by default.
const MEMORY: u64 = 32 << 20;
/// Where its code lies.
const CODE: u64 = 0x1000;
/// `out 0x10, al; hlt`.
const INSTRUCTIONS: [u8; 3] = [0xe6, 0x10, 0xf4];

/// `inc eax`, so often that the exit behind the last does not show.
const INCREMENTS: usize = 10_000;
const INCREMENT: [u8; 2] = [0xff, 0xc0];

/// Page tables of a guest in 64-bit mode, one a level: 2 MiB, where they lie.
const TABLES: [u64; 3] = [0x2_0000, 0x2_1000, 0x2_2000];
/// Entries present and writable; of a large page; accessed and dirty.
const TABLE: u64 = 0b11 | 1 << 5;
const LARGE: u64 = TABLE | 1 << 6 | 1 << 7;
/// CR0: protection, paging; CR4: physical address extension; EFER: long mode,
/// which is on; a code segment's L.
const CR0: u64 = 1 | 1 << 31;
const CR4: u64 = 1 << 5;
const EFER: u64 = 1 << 8 | 1 << 10;

/// Makes, runs and destroys one; the time of all three.
pub(super) fn once() -> anyhow::Result<Duration> {
    with(|kvm| {
        let start = Instant::now();
        let (memory, vm, mut vcpu) = machine(kvm)?;
        memory.write_slice(&INSTRUCTIONS, GuestAddress(CODE))?;
        run(&mut vcpu)?;
        drop((vcpu, vm, memory));
        Ok(start.elapsed())
    })
}

/// The time of an instruction of ring 0 in 64-bit mode, on which nothing waits
/// but the next one.
pub(super) fn instruction() -> anyhow::Result<Duration> {
    with(|kvm| {
        let (memory, _vm, mut vcpu) = machine(kvm)?;
        let all = [INCREMENT; INCREMENTS];
        let code = [&INSTRUCTIONS[..2], all.as_flattened(), &INSTRUCTIONS].concat();
        memory.write_slice(&code, GuestAddress(CODE))?;
        for (table, entry) in TABLES
            .into_iter()
            .zip([TABLES[1] | TABLE, TABLES[2] | TABLE, LARGE])
        {
            memory.write_obj(entry, GuestAddress(table))?;
        }
        let mut special = vcpu.get_sregs()?;
        (special.cr0, special.cr3, special.cr4, special.efer) = (CR0, TABLES[0], CR4, EFER);
        (special.cs.l, special.cs.db) = (1, 0);
        vcpu.set_sregs(&special)?;
        run(&mut vcpu)?;
        let start = Instant::now();
        run(&mut vcpu)?;
        Ok(start.elapsed() / u32::try_from(INCREMENTS)?)
    })
}

fn with<T>(work: impl FnOnce(&Kvm) -> anyhow::Result<T>) -> anyhow::Result<T> {
    thread_local! {
        static KVM: Option<Kvm> = Kvm::new().ok();
    }
    KVM.with(|kvm| work(kvm.as_ref().context("/dev/kvm cannot be used")?))
}

/// A machine that is about to run what lies at [`CODE`], in real mode.
fn machine(kvm: &Kvm) -> anyhow::Result<(GuestMemoryMmap, VmFd, VcpuFd)> {
    let size = usize::try_from(MEMORY)?;
    let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), size)])?;
    let vm = kvm.create_vm()?;
    let mut split = kvm_enable_cap {
        cap: KVM_CAP_SPLIT_IRQCHIP,
        ..kvm_enable_cap::default()
    };
    split.args[0] = 24;
    vm.enable_cap(&split)?;
    let region = kvm_userspace_memory_region {
        memory_size: MEMORY,
        userspace_addr: memory.get_host_address(GuestAddress(0))? as u64,
        ..kvm_userspace_memory_region::default()
    };
    // SAFETY: the memory is mapped for as long as whoever has it has the VM, and
    // the VM has no other region.
    unsafe { vm.set_user_memory_region(region) }?;
    let vcpu = vm.create_vcpu(0)?;
    let mut special = vcpu.get_sregs()?;
    (special.cs.base, special.cs.selector) = (0, 0);
    vcpu.set_sregs(&special)?;
    let mut registers = vcpu.get_regs()?;
    (registers.rip, registers.rflags) = (CODE, 2);
    vcpu.set_regs(&registers)?;
    Ok((memory, vm, vcpu))
}

/// Runs it to the next `out`.
fn run(vcpu: &mut VcpuFd) -> anyhow::Result<()> {
    match vcpu.run()? {
        VcpuExit::IoOut(0x10, _) => Ok(()),
        other => anyhow::bail!("the floor's guest did something else: {other:?}"),
    }
}
