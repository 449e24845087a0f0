//! The least that a microVM can cost on this host: bare KVM, no devices.
//!
//! Purpose: figures for machines are compared with this one of the same run. It
//! makes a VM with memory and a local APIC, runs two instructions in real mode,
//! and takes all of it down.

use std::time::{Duration, Instant};

use anyhow::Context;
use kvm_bindings::{KVM_CAP_SPLIT_IRQCHIP, kvm_enable_cap, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

/// Memory of the machine, in bytes: as much as a microVM has by default.
const MEMORY: u64 = 32 << 20;
/// Where its code lies.
const CODE: u64 = 0x1000;
/// `out 0x10, al; hlt`.
const INSTRUCTIONS: [u8; 3] = [0xe6, 0x10, 0xf4];

/// Makes, runs and destroys one; the time of all three.
pub(super) fn once() -> anyhow::Result<Duration> {
    thread_local! {
        static KVM: Option<Kvm> = Kvm::new().ok();
    }
    KVM.with(|kvm| machine(kvm.as_ref().context("/dev/kvm cannot be used")?))
}

fn machine(kvm: &Kvm) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let size = usize::try_from(MEMORY)?;
    let memory = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), size)])?;
    memory.write_slice(&INSTRUCTIONS, GuestAddress(CODE))?;
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
    // SAFETY: the memory is mapped until the end of this function, and the VM,
    // which is dropped before it, has no other region.
    unsafe { vm.set_user_memory_region(region) }?;
    let mut vcpu = vm.create_vcpu(0)?;
    let mut special = vcpu.get_sregs()?;
    (special.cs.base, special.cs.selector) = (0, 0);
    vcpu.set_sregs(&special)?;
    let mut registers = vcpu.get_regs()?;
    (registers.rip, registers.rflags) = (CODE, 2);
    vcpu.set_regs(&registers)?;
    match vcpu.run()? {
        VcpuExit::IoOut(0x10, _) => {}
        other => anyhow::bail!("the floor's guest did something else: {other:?}"),
    }
    drop((vcpu, vm, memory));
    Ok(start.elapsed())
}
