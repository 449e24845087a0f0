//! Back to a snapshot: the pages that were written, the vCPU, the devices.
//!
//! KVM notes what the guest writes and `memory` what devices write; only those
//! pages are copied back. Neighbour: [`crate::Vm::reset`].

use std::os::unix::fs::FileExt;
use std::sync::Arc;

use mayfly_machine::layout::{PAGE_BYTES, PAGE_SIZE};
use vm_memory::{Bytes, GuestAddress};

use super::Snapshot;
use crate::Error;
use crate::bus::Bus;
use crate::memory::Sharing;
use crate::shared::Shared;
use crate::vcpu::Vcpu;

impl Snapshot {
    /// Makes a machine of this snapshot what it was at first.
    pub(crate) fn restore(&self, vcpu: &mut Vcpu, shared: &Shared) -> Result<(), Error> {
        let (file, sharing) = shared.memory.file();
        if !Arc::ptr_eq(file, &self.ram) || sharing != Sharing::OwnNoted {
            return Err(Error::Snapshot(
                "the machine was not made from it with `fork_to_reset`".into(),
            ));
        }
        // Senders on other threads wait, and find the devices as they were.
        let mut devices = shared.devices();
        self.restore_ram(shared)?;
        self.state.cpu.write(vcpu)?;
        let bus = Bus::restore(&self.state.devices, &shared.memory);
        let bus = bus.map_err(|error| Error::Snapshot(error.to_string()))?;
        shared.restore(&mut devices, bus);
        Ok(())
    }

    fn restore_ram(&self, shared: &Shared) -> Result<(), Error> {
        let size = usize::try_from(self.state.ram_bytes).unwrap_or(usize::MAX);
        let log = shared.vm.get_dirty_log(0, size);
        let log = log.map_err(Error::kvm("KVM_GET_DIRTY_LOG"))?;
        let written = shared.memory.take_written();
        let mut page = [0; PAGE_BYTES];
        for (index, (guest, devices)) in (0..).zip(log.iter().zip(&written)) {
            let mut dirty = guest | devices;
            while dirty != 0 {
                let at = (index * 64 + u64::from(dirty.trailing_zeros())) * PAGE_SIZE;
                dirty &= dirty - 1;
                self.ram
                    .read_exact_at(&mut page, at)
                    .map_err(Error::host("pread"))?;
                let copied = shared.memory.ram().write_slice(&page, GuestAddress(at));
                copied.map_err(|error| Error::Snapshot(error.to_string()))?;
            }
        }
        Ok(())
    }
}
