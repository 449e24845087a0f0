//! A machine at rest: what others like it are made from.
//!
//! [`crate::Vm::snapshot`] takes one between two runs. A fork maps its memory
//! copy-on-write and goes on at the instruction where the first machine stood;
//! two forks share nothing that either can write. The time stamp counter is not
//! part of it. Neighbours: `cpu` below moves the vCPU's state, `file` keeps a
//! snapshot on disk, `ram` copies memory; `vm` makes and takes them.

mod cpu;
mod file;
mod ram;
mod reset;

use std::fs::File;
use std::sync::Arc;

use kvm_ioctls::VcpuFd;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::bus::{Bus, BusState};
use crate::host::Host;
use crate::memory::{Memory, Sharing};
use crate::module::Module;
use crate::vcpu::Vcpu;
use crate::vm::{Parts, Vm};
use cpu::CpuState;

/// A machine at rest. Clones share its memory, which never changes.
#[derive(Clone, Debug)]
pub struct Snapshot {
    ram: Arc<File>,
    modules: Vec<Module>,
    state: Arc<State>,
}

/// Everything but memory.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    ram_bytes: u64,
    /// Sizes of the modules that the memory was laid out with.
    modules: Vec<u64>,
    cpu: CpuState,
    devices: BusState,
    output_max: usize,
}

impl Snapshot {
    pub(crate) fn new(
        vcpu: &VcpuFd,
        devices: BusState,
        ram: Arc<File>,
        memory: &Memory,
        modules: &[Module],
        output_max: usize,
    ) -> Result<Self, Error> {
        let sizes = memory.modules().iter().map(|(_, size)| *size);
        Ok(Self {
            ram,
            modules: modules.to_vec(),
            state: Arc::new(State {
                ram_bytes: memory.ram_bytes(),
                modules: sizes.collect(),
                cpu: CpuState::read(vcpu)?,
                devices,
                output_max,
            }),
        })
    }

    /// A machine that goes on from here, with further modules behind those that
    /// are there: [`Vm::modules`] says where; the guest must be told.
    pub fn fork(&self, more: &[Module]) -> Result<Vm, Error> {
        self.fork_with(Sharing::Own, more)
    }

    /// The same, for a machine that [`Vm::reset`] is to bring back here often.
    /// Writing to its memory takes longer.
    pub fn fork_to_reset(&self, more: &[Module]) -> Result<Vm, Error> {
        self.fork_with(Sharing::OwnNoted, more)
    }

    fn fork_with(&self, sharing: Sharing, more: &[Module]) -> Result<Vm, Error> {
        let host = Host::get()?;
        let modules = [self.modules.as_slice(), more].concat();
        let ram = Arc::clone(&self.ram);
        let memory = Memory::over(ram, self.state.ram_bytes, sharing, &modules)?;
        let (vm, vcpu) = host.create()?;
        memory.register(&vm)?;
        let mut vcpu = Vcpu::new(vcpu);
        self.state.cpu.write_new(&mut vcpu)?;
        let bus = Bus::restore(&self.state.devices, &memory);
        Ok(Vm::of(Parts {
            vcpu,
            vm,
            memory,
            bus: bus.map_err(|error| Error::Snapshot(error.to_string()))?,
            modules,
            output_max: self.state.output_max,
        }))
    }
}
