//! The state of a vCPU, read from KVM and written to another one.
//!
//! The time stamp counter is left alone: it runs on, and whoever uses a snapshot
//! tells its guest so. Neighbour: the parent, which reads a stopped vCPU.

use kvm_bindings::{
    KVM_MP_STATE_HALTED, KVM_MP_STATE_RUNNABLE, KVM_VCPUEVENT_VALID_NMI_PENDING,
    KVM_VCPUEVENT_VALID_SHADOW, Msrs, kvm_debugregs, kvm_lapic_state, kvm_mp_state, kvm_msr_entry,
    kvm_regs, kvm_sregs, kvm_sync_regs, kvm_vcpu_events, kvm_xsave,
};
use kvm_ioctls::VcpuFd;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::vcpu::{Vcpu, write_registers};

/// Model-specific registers that a guest may set and that no other request
/// carries, in the numbers of the Intel SDM, volume 4.
const MSRS: [u32; 13] = [
    0x1b,        // IA32_APIC_BASE
    0x174,       // IA32_SYSENTER_CS
    0x175,       // IA32_SYSENTER_ESP
    0x176,       // IA32_SYSENTER_EIP
    0x1a0,       // IA32_MISC_ENABLE
    0x277,       // IA32_PAT
    0x2ff,       // IA32_MTRR_DEF_TYPE
    0xc000_0081, // IA32_STAR
    0xc000_0082, // IA32_LSTAR
    0xc000_0083, // IA32_CSTAR
    0xc000_0084, // IA32_FMASK
    0xc000_0102, // IA32_KERNEL_GS_BASE
    0xc000_0103, // IA32_TSC_AUX
];

/// Everything that makes a vCPU the same one elsewhere.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CpuState {
    regs: kvm_regs,
    sregs: kvm_sregs,
    /// x87 and vector registers.
    vectors: kvm_xsave,
    debug: kvm_debugregs,
    msrs: Vec<kvm_msr_entry>,
    lapic: kvm_lapic_state,
    events: kvm_vcpu_events,
    run_state: kvm_mp_state,
}

impl CpuState {
    /// Reads a vCPU that owes KVM nothing.
    pub(super) fn read(vcpu: &VcpuFd) -> Result<Self, Error> {
        Ok(Self {
            regs: vcpu.get_regs().map_err(Error::kvm("KVM_GET_REGS"))?,
            sregs: vcpu.get_sregs().map_err(Error::kvm("KVM_GET_SREGS"))?,
            vectors: vcpu.get_xsave().map_err(Error::kvm("KVM_GET_XSAVE"))?,
            debug: vcpu
                .get_debug_regs()
                .map_err(Error::kvm("KVM_GET_DEBUGREGS"))?,
            msrs: read_msrs(vcpu)?,
            lapic: vcpu.get_lapic().map_err(Error::kvm("KVM_GET_LAPIC"))?,
            events: vcpu
                .get_vcpu_events()
                .map_err(Error::kvm("KVM_GET_VCPU_EVENTS"))?,
            run_state: vcpu
                .get_mp_state()
                .map_err(Error::kvm("KVM_GET_MP_STATE"))?,
        })
    }

    /// Makes a vCPU that was just made like the one that was read. Each request
    /// takes microseconds, so it is not told what it is like anyway.
    pub(super) fn write_new(&self, vcpu: &mut Vcpu) -> Result<(), Error> {
        self.write_registers(vcpu)?;
        // A new one has no breakpoints, and no addresses for any.
        if self.debug.dr7 & 0xff != 0 || self.debug.db != [0; 4] {
            self.write_debug(vcpu.fd()?)?;
        }
        match self.run_state.mp_state {
            KVM_MP_STATE_RUNNABLE => Ok(()),
            _ => self.write_run_state(vcpu.fd()?),
        }
    }

    /// Makes any other vCPU like the one that was read.
    pub(super) fn write(&self, vcpu: &mut Vcpu) -> Result<(), Error> {
        let is_runnable = vcpu.is_awake && self.run_state.mp_state == KVM_MP_STATE_RUNNABLE;
        // Whatever the guest has put there since.
        self.write_debug(vcpu.fd()?)?;
        if !is_runnable {
            self.write_run_state(vcpu.fd()?)?;
        }
        self.write_registers(vcpu)
    }

    fn write_registers(&self, vcpu: &mut Vcpu) -> Result<(), Error> {
        let fd = vcpu.fd()?;
        // They say whether the local APIC is an x2APIC.
        write_msrs(fd, &self.msrs)?;
        // SAFETY: KVM must not have been asked for state components that are
        // larger than this structure; nothing here ever asks for any.
        unsafe { fd.set_xsave(&self.vectors) }.map_err(Error::kvm("KVM_SET_XSAVE"))?;
        fd.set_lapic(&self.lapic)
            .map_err(Error::kvm("KVM_SET_LAPIC"))?;
        let mut registers = kvm_sync_regs {
            regs: self.regs,
            sregs: self.sregs,
            events: self.events,
        };
        registers.events.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
        match self.run_state.mp_state {
            KVM_MP_STATE_RUNNABLE | KVM_MP_STATE_HALTED => vcpu.load(&registers),
            // Entering it would not load them before it is started.
            _ => write_registers(vcpu.fd()?, &registers),
        }
    }

    fn write_debug(&self, vcpu: &VcpuFd) -> Result<(), Error> {
        vcpu.set_debug_regs(&self.debug)
            .map_err(Error::kvm("KVM_SET_DEBUGREGS"))
    }

    fn write_run_state(&self, vcpu: &VcpuFd) -> Result<(), Error> {
        vcpu.set_mp_state(self.run_state)
            .map_err(Error::kvm("KVM_SET_MP_STATE"))
    }
}

/// Reads those of [`MSRS`] that this KVM has.
fn read_msrs(vcpu: &VcpuFd) -> Result<Vec<kvm_msr_entry>, Error> {
    let mut found = Vec::with_capacity(MSRS.len());
    let mut rest = &MSRS[..];
    while !rest.is_empty() {
        let mut msrs = list(rest.iter().map(|index| kvm_msr_entry {
            index: *index,
            ..kvm_msr_entry::default()
        }))?;
        // KVM stops at the first one that it does not have.
        let read = vcpu
            .get_msrs(&mut msrs)
            .map_err(Error::kvm("KVM_GET_MSRS"))?;
        found.extend(msrs.as_slice().iter().take(read));
        rest = rest.get(read + 1..).unwrap_or_default();
    }
    Ok(found)
}

fn write_msrs(vcpu: &VcpuFd, entries: &[kvm_msr_entry]) -> Result<(), Error> {
    let msrs = list(entries.iter().copied())?;
    let written = vcpu.set_msrs(&msrs).map_err(Error::kvm("KVM_SET_MSRS"))?;
    match entries.get(written) {
        None => Ok(()),
        Some(refused) => Err(Error::Snapshot(format!(
            "this KVM refuses model-specific register {:#x}",
            refused.index
        ))),
    }
}

fn list(entries: impl Iterator<Item = kvm_msr_entry>) -> Result<Msrs, Error> {
    let entries: Vec<_> = entries.collect();
    Msrs::from_entries(&entries)
        .map_err(|_| Error::Snapshot("too many model-specific registers".into()))
}
