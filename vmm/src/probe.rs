//! What metering reads of a stopped guest: code, stack words, registers.
//!
//! Translations of kernel code pages are kept, because code is looked at after
//! every single step. Neighbours: `meter` asks, `vm` owns it.

use std::collections::HashMap;

use kvm_bindings::{
    KVM_GUESTDBG_BLOCKIRQ, KVM_GUESTDBG_ENABLE, KVM_GUESTDBG_SINGLESTEP, KVM_GUESTDBG_USE_HW_BP,
    kvm_guest_debug,
};
use kvm_ioctls::VcpuFd;
use mayfly_machine::layout::PAGE_SIZE;
use vm_memory::{Bytes, GuestAddress};

use crate::Error;
use crate::cpu::Registers;
use crate::host::Host;
use crate::memory::Memory;
use crate::meter::{Config, Guest, Meter, Mode, Visit};

/// The meter and what it needs to be fed.
#[derive(Debug)]
pub(crate) struct Metering {
    pub(crate) meter: Meter,
    /// Mode that KVM was told last.
    mode: Mode,
    /// Physical address of kernel code pages, by virtual address.
    pages: HashMap<u64, u64>,
}

impl Metering {
    /// Switches stepping on.
    pub(crate) fn start(config: Config, vcpu: &VcpuFd) -> Result<Self, Error> {
        if config.entries.len() > 4 {
            return Err(Error::MeterEntries {
                asked: config.entries.len(),
            });
        }
        let meter = Meter::new(config, Registers::read(vcpu)?);
        let mode = meter.mode();
        set_mode(vcpu, mode, meter.entries())?;
        Ok(Self {
            meter,
            mode,
            pages: HashMap::new(),
        })
    }

    /// Switches stepping off.
    pub(crate) fn stop(vcpu: &VcpuFd) -> Result<(), Error> {
        vcpu.set_guest_debug(&kvm_guest_debug::default())
            .map_err(Error::kvm("KVM_SET_GUEST_DEBUG"))
    }

    /// Feeds a single step in.
    pub(crate) fn stepped(
        &mut self,
        rip: u64,
        vcpu: &VcpuFd,
        memory: &Memory,
    ) -> Result<(), Error> {
        self.feed(vcpu, memory, |meter, probe| meter.stop(rip, probe))
    }

    /// Feeds a device store in.
    pub(crate) fn stored(&mut self, vcpu: &VcpuFd, memory: &Memory) -> Result<(), Error> {
        self.feed(vcpu, memory, Meter::stored)
    }

    pub(crate) fn take_visits(&mut self) -> Vec<Visit> {
        self.meter.take_visits()
    }

    fn feed<'a>(
        &'a mut self,
        vcpu: &'a VcpuFd,
        memory: &'a Memory,
        feed: impl FnOnce(&mut Meter, &mut Probe<'a>),
    ) -> Result<(), Error> {
        let mut probe = Probe {
            vcpu,
            memory,
            pages: &mut self.pages,
            error: None,
        };
        feed(&mut self.meter, &mut probe);
        if let Some(error) = probe.error {
            return Err(error);
        }
        let mode = self.meter.mode();
        if mode != self.mode {
            set_mode(vcpu, mode, self.meter.entries())?;
            self.mode = mode;
        }
        Ok(())
    }
}

fn set_mode(vcpu: &VcpuFd, mode: Mode, entries: &[u64]) -> Result<(), Error> {
    let mut debug = kvm_guest_debug {
        control: KVM_GUESTDBG_ENABLE,
        ..kvm_guest_debug::default()
    };
    if mode.step {
        debug.control |= KVM_GUESTDBG_SINGLESTEP;
    } else {
        debug.control |= KVM_GUESTDBG_USE_HW_BP;
        for (index, entry) in entries.iter().enumerate() {
            debug.arch.debugreg[index] = *entry;
            // Local enable of breakpoint `index`, on execution (SDM 3B, 19.2.4).
            debug.arch.debugreg[7] |= 1 << (2 * index);
        }
    }
    if mode.block_interrupts && Host::get()?.can_block_interrupts {
        debug.control |= KVM_GUESTDBG_BLOCKIRQ;
    }
    vcpu.set_guest_debug(&debug)
        .map_err(Error::kvm("KVM_SET_GUEST_DEBUG"))
}

/// Reads a stopped guest; the first failure of KVM is kept.
struct Probe<'a> {
    vcpu: &'a VcpuFd,
    memory: &'a Memory,
    pages: &'a mut HashMap<u64, u64>,
    error: Option<Error>,
}

impl Probe<'_> {
    fn translate(&self, address: u64) -> Option<u64> {
        let translation = self.vcpu.translate_gva(address).ok()?;
        (translation.valid != 0).then_some(translation.physical_address)
    }
}

impl Guest for Probe<'_> {
    fn code(&mut self, address: u64) -> [u8; 4] {
        let page = address & !(PAGE_SIZE - 1);
        let physical = match self.pages.get(&page) {
            Some(physical) => *physical,
            None => {
                let Some(physical) = self.translate(page) else {
                    return [0; 4];
                };
                self.pages.insert(page, physical);
                physical
            }
        };
        let mut code = [0; 4];
        let left = usize::try_from(PAGE_SIZE - address % PAGE_SIZE).unwrap_or(4);
        let wanted = &mut code[..left.min(4)];
        // Code outside memory was never executed: zeros say nothing special.
        let _ = self
            .memory
            .read_slice(wanted, GuestAddress(physical + address % PAGE_SIZE));
        code
    }

    fn word(&mut self, address: u64) -> u64 {
        let physical = self.translate(address);
        physical
            .and_then(|physical| self.memory.read_obj(GuestAddress(physical)).ok())
            .unwrap_or(0)
    }

    fn registers(&mut self) -> Registers {
        Registers::read(self.vcpu).unwrap_or_else(|error| {
            self.error.get_or_insert(error);
            Registers::default()
        })
    }
}
