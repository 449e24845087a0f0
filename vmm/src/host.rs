//! What this process asks KVM once: its handle, its abilities, the CPUID.
//!
//! Making a VM is a product feature measured in microseconds, so that nothing
//! here is asked twice. Neighbour: `vm`, the only user.

use std::io;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use kvm_bindings::{
    CpuId, KVM_CAP_SET_GUEST_DEBUG2, KVM_CAP_SPLIT_IRQCHIP, KVM_GUESTDBG_BLOCKIRQ,
    KVM_MAX_CPUID_ENTRIES, KVM_SYNC_X86_EVENTS, KVM_SYNC_X86_REGS, KVM_SYNC_X86_SREGS,
    kvm_enable_cap,
};
use kvm_ioctls::{Cap, Kvm, VcpuFd, VmFd};
use mayfly_machine::device;

use crate::Error;
use crate::cpuid::guest_cpuid;

/// KVM as this process found it.
pub(crate) struct Host {
    kvm: Kvm,
    cpuid: OnceLock<CpuId>,
    /// A machine that was made to ask it something: the next one to be made.
    spare: Mutex<Option<(VmFd, VcpuFd)>>,
    /// Whether single-stepping can hold interrupts back.
    pub(crate) can_block_interrupts: bool,
    /// Whether entering a vCPU can load its registers.
    pub(crate) can_load_at_entry: bool,
}

static HOST: OnceLock<Host> = OnceLock::new();

/// A checksum of the CPUID that guests on this host see: a snapshot is good
/// where it is the same.
pub fn cpuid_digest() -> Result<u32, Error> {
    Host::get()?.cpuid_digest()
}

impl Host {
    /// Opens `/dev/kvm` the first time; a failure is not remembered.
    pub(crate) fn get() -> Result<&'static Self, Error> {
        if let Some(host) = HOST.get() {
            return Ok(host);
        }
        let host = Self::open()?;
        Ok(HOST.get_or_init(|| host))
    }

    fn open() -> Result<Self, Error> {
        let kvm = Kvm::new()
            .map_err(|errno| Error::NoKvm(io::Error::from_raw_os_error(errno.errno())))?;
        for (capability, name) in [
            (Cap::SplitIrqchip, "KVM_CAP_SPLIT_IRQCHIP"),
            (Cap::ReadonlyMem, "KVM_CAP_READONLY_MEM"),
            (Cap::SignalMsi, "KVM_CAP_SIGNAL_MSI"),
            (Cap::ImmediateExit, "KVM_CAP_IMMEDIATE_EXIT"),
        ] {
            if !kvm.check_extension(capability) {
                return Err(Error::Capability(name));
            }
        }
        let debug = kvm.check_extension_raw(KVM_CAP_SET_GUEST_DEBUG2.into());
        let can_block = debug.cast_unsigned() & KVM_GUESTDBG_BLOCKIRQ != 0;
        let synced = kvm.check_extension_int(Cap::SyncRegs).cast_unsigned();
        let wanted = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;
        Ok(Self {
            kvm,
            cpuid: OnceLock::new(),
            spare: Mutex::default(),
            can_block_interrupts: debug > 0 && can_block,
            can_load_at_entry: synced & wanted == wanted,
        })
    }

    /// A VM and its one vCPU.
    pub(crate) fn create(&self) -> Result<(VmFd, VcpuFd), Error> {
        let spare = self.spare().take();
        if let Some(spare) = spare {
            return Ok(spare);
        }
        let vm = self.create_vm()?;
        let vcpu = self.create_vcpu(&vm)?;
        Ok((vm, vcpu))
    }

    fn spare(&self) -> MutexGuard<'_, Option<(VmFd, VcpuFd)>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A VM with a local APIC in the kernel and an IOAPIC left to us.
    fn create_vm(&self) -> Result<VmFd, Error> {
        let vm = self.kvm.create_vm().map_err(Error::kvm("KVM_CREATE_VM"))?;
        let mut split = kvm_enable_cap {
            cap: KVM_CAP_SPLIT_IRQCHIP,
            ..kvm_enable_cap::default()
        };
        split.args[0] = device::IOAPIC_LINES as u64;
        vm.enable_cap(&split)
            .map_err(Error::kvm("KVM_CAP_SPLIT_IRQCHIP"))?;
        Ok(vm)
    }

    /// The one vCPU of `vm`, with its CPUID.
    fn create_vcpu(&self, vm: &VmFd) -> Result<VcpuFd, Error> {
        let vcpu = vm.create_vcpu(0).map_err(Error::kvm("KVM_CREATE_VCPU"))?;
        let cpuid = match self.cpuid.get() {
            Some(cpuid) => cpuid,
            None => {
                let cpuid = self.ask_cpuid(&vcpu)?;
                self.cpuid.get_or_init(|| cpuid)
            }
        };
        vcpu.set_cpuid2(cpuid)
            .map_err(Error::kvm("KVM_SET_CPUID2"))?;
        Ok(vcpu)
    }

    /// Tells a vCPU that did not run yet of a faster time stamp counter.
    pub(crate) fn slow_clock(&self, vcpu: &VcpuFd, divisor: u32) -> Result<(), Error> {
        let known = self.cpuid.get().map_or(&[][..], |cpuid| cpuid.as_slice());
        let mut entries = known.to_vec();
        for entry in &mut entries {
            if entry.function == device::TIMING_LEAF {
                entry.eax = entry.eax.saturating_mul(divisor);
            }
        }
        let cpuid = CpuId::from_entries(&entries);
        let cpuid = cpuid.map_err(|_| Error::Capability("room for the guest's CPUID"))?;
        vcpu.set_cpuid2(&cpuid)
            .map_err(Error::kvm("KVM_SET_CPUID2"))
    }

    /// A checksum of the CPUID that guests see.
    fn cpuid_digest(&self) -> Result<u32, Error> {
        // It is asked of a vCPU once, and then known.
        if self.cpuid.get().is_none() {
            let asked = self.create()?;
            *self.spare() = Some(asked);
        }
        let mut hasher = crc32fast::Hasher::new();
        for entry in self.cpuid.get().iter().flat_map(|cpuid| cpuid.as_slice()) {
            for word in [
                entry.function,
                entry.index,
                entry.eax,
                entry.ebx,
                entry.ecx,
                entry.edx,
            ] {
                hasher.update(&word.to_le_bytes());
            }
        }
        Ok(hasher.finalize())
    }

    fn ask_cpuid(&self, vcpu: &VcpuFd) -> Result<CpuId, Error> {
        let supported = self
            .kvm
            .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
            .map_err(Error::kvm("KVM_GET_SUPPORTED_CPUID"))?;
        let tsc_khz = vcpu.get_tsc_khz().map_err(Error::kvm("KVM_GET_TSC_KHZ"))?;
        CpuId::from_entries(&guest_cpuid(&supported, tsc_khz))
            .map_err(|_| Error::Capability("room for the guest's CPUID"))
    }
}
