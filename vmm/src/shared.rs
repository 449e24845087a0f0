//! What the vCPU's thread and senders on other threads share.
//!
//! One lock around the devices; interrupt messages are sent while it is held,
//! so their order is that of the accesses. Neighbours: `vcpu` and `vm` on one
//! side, `sender` on the other.

use std::sync::{Mutex, MutexGuard, PoisonError};

use kvm_bindings::{KVM_IRQ_ROUTING_MSI, KvmIrqRouting, kvm_irq_routing_entry};
use kvm_ioctls::VmFd;

use crate::bus::{Answered, Bus};
use crate::device::ioapic::Message;
use crate::device::virtio::port::Port;
use crate::device::{Effects, GuestError};
use crate::kick::Kick;
use crate::memory::Memory;

/// The machine without its processor. Fields drop in order: the VM goes before
/// the memory that its slots name.
pub(crate) struct Shared {
    devices: Mutex<Devices>,
    pub(crate) kick: Kick,
    pub(crate) vm: VmFd,
    pub(crate) memory: Memory,
}

/// What the lock guards.
pub(crate) struct Devices {
    pub(crate) bus: Bus,
    /// What a sender found wrong with the guest's queues.
    fault: Option<GuestError>,
}

impl Shared {
    pub(crate) fn new(bus: Bus, vm: VmFd, memory: Memory) -> Self {
        let this = Self {
            devices: Mutex::new(Devices { bus, fault: None }),
            kick: Kick::default(),
            vm,
            memory,
        };
        let devices = this.devices();
        if devices.bus.ioapic.has_level_routes() {
            this.set_routes(&devices.bus);
        }
        drop(devices);
        this
    }

    /// Puts other devices in the place of those that `devices` guards.
    pub(crate) fn restore(&self, devices: &mut Devices, bus: Bus) {
        if devices.bus.ioapic.has_level_routes() || bus.ioapic.has_level_routes() {
            self.set_routes(&bus);
        }
        devices.bus = bus;
        devices.fault = None;
    }

    /// The devices, for reading out what they hold.
    pub(crate) fn devices(&self) -> MutexGuard<'_, Devices> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One device access, and the interrupts it causes.
    pub(crate) fn access(
        &self,
        access: impl FnOnce(&mut Bus, &Memory, &mut Effects) -> Answered,
    ) -> Result<(bool, Effects), GuestError> {
        let mut effects = Effects::default();
        let mut devices = self.devices();
        let answered = access(&mut devices.bus, &self.memory, &mut effects);
        self.interrupt(&mut devices.bus, effects);
        Ok((answered?, effects))
    }

    /// Queues bytes for the guest. What is wrong with the guest's queues stops
    /// the machine, not the sender.
    pub(crate) fn send(&self, port: Port, bytes: &[u8]) {
        let sent = self.access(|bus, memory, effects| {
            bus.console.send(port, bytes, memory, effects)?;
            Ok(true)
        });
        if let Err(fault) = sent {
            self.devices().fault = Some(fault);
            self.kick.request();
        }
    }

    /// What a sender found wrong, once.
    pub(crate) fn take_fault(&self) -> Option<GuestError> {
        self.devices().fault.take()
    }

    /// The guest ended the level-triggered interrupt of `vector`.
    pub(crate) fn end_of_interrupt(&self, vector: u8) {
        for message in self.devices().bus.ioapic.end_of_interrupt(vector) {
            self.signal(message);
        }
    }

    fn interrupt(&self, bus: &mut Bus, effects: Effects) {
        if effects.routes_changed {
            self.set_routes(bus);
        }
        let mut raised = effects.raised;
        while raised != 0 {
            let gsi = raised.trailing_zeros();
            raised &= raised - 1;
            if let Some(message) = bus.ioapic.raise(gsi as usize) {
                self.signal(message);
            }
        }
    }

    fn signal(&self, message: Message) {
        // KVM refuses only messages that no processor would take, which on
        // hardware go nowhere as well.
        let _ = self.vm.signal_msi(message.into());
    }

    /// Tells KVM which vectors are level-triggered, so that it reports their
    /// end. Rare: no guest of ours programs one.
    fn set_routes(&self, bus: &Bus) {
        let entries: Vec<_> = bus
            .ioapic
            .level_routes()
            .map(|(gsi, message)| {
                let mut entry = kvm_irq_routing_entry {
                    gsi,
                    type_: KVM_IRQ_ROUTING_MSI,
                    ..kvm_irq_routing_entry::default()
                };
                entry.u.msi.address_lo = message.address;
                entry.u.msi.data = message.data;
                entry
            })
            .collect();
        if let Ok(routing) = KvmIrqRouting::from_entries(&entries) {
            // A route that KVM refuses is one that cannot be delivered.
            let _ = self.vm.set_gsi_routing(&routing);
        }
    }
}
