//! Puts the parts together: makes a machine, runs it, moves its bytes.
//!
//! The vCPU runs on the caller's thread, inside [`Vm::run`]. Neighbours: every
//! module of the package is below this one.

use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use kvm_ioctls::VmFd;
use vm_memory::{Bytes, GuestAddress};

use crate::Error;
use crate::boot;
use crate::bus::Bus;
use crate::config::Config;
use crate::cpu::{self, Registers};
use crate::device::virtio::port::Port;
use crate::host::Host;
use crate::memory::{Memory, Sharing};
use crate::meter;
use crate::module::Module;
use crate::probe::Metering;
use crate::sender::{self, Interrupter, Sender};
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::stop::{Crash, CrashKind, Stop};
use crate::vcpu::{Event, ExitStats, Vcpu};

/// Exits after which the clock is read, whether or not a signal came.
const EXITS_PER_LOOK: u32 = 16;
/// Size of a page, in bytes.
const PAGE: u64 = mayfly_machine::layout::PAGE_SIZE;

/// A virtual machine; it is gone when this is dropped.
pub struct Vm {
    // Dropped before `shared`: the VM lives until its last vCPU is closed.
    vcpu: Vcpu,
    shared: Arc<Shared>,
    modules: Vec<Module>,
    output_max: usize,
    ended: Option<Stop>,
    metering: Option<Metering>,
    /// Instructions that earlier meters counted.
    counted: u64,
}

/// What a machine is made of.
pub(crate) struct Parts {
    pub(crate) vcpu: Vcpu,
    pub(crate) vm: VmFd,
    pub(crate) memory: Memory,
    pub(crate) bus: Bus,
    pub(crate) modules: Vec<Module>,
    pub(crate) output_max: usize,
}

impl std::fmt::Debug for Vm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vm")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl Vm {
    /// Makes a machine with `kernel`, an ELF64 file, ready for its first
    /// instruction.
    pub fn new(config: &Config, kernel: &[u8], modules: &[Module]) -> Result<Self, Error> {
        config.validate()?;
        let host = Host::get()?;
        let memory = Memory::new(config.memory_bytes, modules)?;
        let start = boot::load(config, kernel, &memory)?;
        let (vm, vcpu) = host.create()?;
        memory.register(&vm)?;
        if config.clock_divisor != 1 {
            host.slow_clock(&vcpu, config.clock_divisor)?;
        }
        cpu::set_start(&vcpu, start)?;
        Ok(Self::of(Parts {
            vcpu: Vcpu::new(vcpu),
            vm,
            memory,
            bus: Bus::new(config),
            modules: modules.to_vec(),
            output_max: config.output_max,
        }))
    }

    /// Puts a machine together.
    pub(crate) fn of(parts: Parts) -> Self {
        Self {
            vcpu: parts.vcpu,
            shared: Arc::new(Shared::new(parts.bus, parts.vm, parts.memory)),
            modules: parts.modules,
            output_max: parts.output_max,
            ended: None,
            metering: None,
            counted: 0,
        }
    }

    /// What this machine is now, to make others from; it goes on unchanged.
    /// Its memory is copied, as far as it was written.
    pub fn snapshot(&mut self) -> Result<Snapshot, Error> {
        self.rest()?;
        // Nobody sends meanwhile: devices and memory are of one moment.
        let shared = Arc::clone(&self.shared);
        let devices = shared.devices();
        let ram = Arc::new(shared.memory.copy_of_ram()?);
        self.snapshot_with(&devices.bus, ram)
    }

    /// The same, and the end of this machine: its memory becomes the
    /// snapshot's, which saves the copy.
    pub fn into_snapshot(mut self) -> Result<Snapshot, Error> {
        self.rest()?;
        match self.shared.memory.file() {
            (file, Sharing::File) => {
                self.snapshot_with(&self.shared.devices().bus, Arc::clone(file))
            }
            (_, Sharing::Own | Sharing::OwnNoted) => self.snapshot(),
        }
    }

    /// Makes this machine, which [`Snapshot::fork_to_reset`] made, what
    /// `snapshot` is, as it was then: only what was written since is copied.
    /// Handles for other threads stay good. A meter is switched off.
    pub fn reset(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        // What KVM owes an instruction is paid to the state that goes.
        if self.ended.is_none() {
            self.vcpu.settle()?;
        }
        if self.metering.is_some() {
            self.meter(None)?;
        }
        snapshot.restore(&mut self.vcpu, &self.shared)?;
        // An interruption was of the run that is no more.
        self.shared.kick.take_request();
        self.ended = None;
        Ok(())
    }

    /// Brings the processor to a point between two instructions.
    fn rest(&mut self) -> Result<(), Error> {
        let why = match (&self.ended, &self.metering) {
            (Some(_), _) => "the machine has ended",
            (None, Some(_)) => "its instructions are being counted: switch the meter off first",
            (None, None) => return self.vcpu.settle(),
        };
        Err(Error::Snapshot(why.into()))
    }

    fn snapshot_with(&self, bus: &Bus, ram: Arc<File>) -> Result<Snapshot, Error> {
        Snapshot::new(
            self.vcpu.fd()?,
            bus.state(),
            ram,
            &self.shared.memory,
            &self.modules,
            self.output_max,
        )
    }

    /// Guest-physical address and size of the modules, in the order given.
    pub fn modules(&self) -> &[(u64, u64)] {
        self.shared.memory.modules()
    }

    /// Runs until something needs the caller or `deadline` passes.
    ///
    /// After a final [`Stop`] the machine is over: the same one is returned
    /// again.
    pub fn run(&mut self, deadline: Instant) -> Result<Stop, Error> {
        if let Some(ended) = &self.ended {
            return Ok(ended.clone());
        }
        let stop = self.run_to_stop(deadline)?;
        if stop.is_final() {
            self.ended = Some(stop.clone());
        }
        Ok(stop)
    }

    fn run_to_stop(&mut self, deadline: Instant) -> Result<Stop, Error> {
        let shared = Arc::clone(&self.shared);
        let armed = shared.kick.arm(deadline)?;
        let mut exits = 0_u32;
        loop {
            if shared.kick.take_request() {
                return Ok(shared
                    .take_fault()
                    .map_or(Stop::Interrupted, Stop::GuestError));
            }
            if exits.is_multiple_of(EXITS_PER_LOOK) && Instant::now() >= deadline {
                return Ok(Stop::Deadline(self.vcpu.position()?));
            }
            exits = exits.wrapping_add(1);
            match self.vcpu.enter(&shared)? {
                Event::Served { effects, stored } => {
                    if let (true, Some(metering)) = (stored, &mut self.metering) {
                        metering.stored(self.vcpu.fd()?, &shared.memory)?;
                    }
                    if let Some(code) = effects.exit {
                        return Ok(Stop::Exit(code));
                    }
                    if effects.output {
                        return Ok(Stop::Output);
                    }
                }
                Event::Nothing => {}
                Event::Fault(error) => return Ok(Stop::GuestError(error)),
                Event::Step(rip) => {
                    if let Some(metering) = &mut self.metering {
                        metering.stepped(rip, self.vcpu.fd()?, &shared.memory)?;
                        if metering.meter.is_halting() {
                            self.vcpu.halt()?;
                            metering.tell(self.vcpu.fd()?)?;
                        }
                    }
                }
                Event::Crash(what) => return self.crash(what),
                Event::Signal => {
                    if let Some(stop) = self.look(deadline)? {
                        return Ok(stop);
                    }
                    armed.aim_again(deadline);
                }
            }
        }
    }

    /// After a signal: is time up, or is the processor asleep for ever?
    fn look(&self, deadline: Instant) -> Result<Option<Stop>, Error> {
        let position = self.vcpu.position()?;
        if position.halted && !position.interrupts_enabled {
            return self.crash(CrashKind::DeadHalt).map(Some);
        }
        Ok((Instant::now() >= deadline).then_some(Stop::Deadline(position)))
    }

    fn crash(&self, what: CrashKind) -> Result<Stop, Error> {
        let registers = self.registers()?;
        Ok(Stop::Crash(Crash { what, registers }))
    }

    /// Queues `bytes` for the guest on `port`.
    pub fn send(&mut self, port: Port, bytes: &[u8]) -> Result<(), Error> {
        sender::send(&self.shared, port, bytes, self.output_max)
    }

    /// A handle that sends from other threads, while the machine runs.
    pub fn sender(&self) -> Sender {
        Sender::new(&self.shared, self.output_max)
    }

    /// A handle that interrupts [`Vm::run`] from other threads.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter::new(self.sender())
    }

    /// Takes what the guest wrote to `port`.
    pub fn take_output(&mut self, port: Port) -> Vec<u8> {
        self.shared.devices().bus.console.take(port)
    }

    /// Takes what the guest wrote to COM1.
    pub fn take_serial(&mut self) -> Vec<u8> {
        self.shared.devices().bus.serial.take()
    }

    /// Queues `bytes` for the guest on COM1. From the first time on, if only with
    /// no bytes, each byte that the guest writes there makes [`Vm::run`] stop.
    pub fn send_serial(&mut self, bytes: &[u8]) {
        // Nothing can be wrong: COM1 takes bytes whatever the guest does.
        let _ = self.shared.access(|bus, _, effects| {
            bus.serial.send(bytes, effects);
            Ok(true)
        });
    }

    /// The processor's registers.
    pub fn registers(&self) -> Result<Registers, Error> {
        Registers::read(self.vcpu.fd()?)
    }

    /// Reads guest-physical memory.
    pub fn read_memory(&self, guest_physical: u64, bytes: &mut [u8]) -> Result<(), Error> {
        let count = bytes.len();
        self.shared
            .memory
            .read_slice(bytes, GuestAddress(guest_physical))
            .map_err(|_| Error::Physical {
                address: guest_physical,
                bytes: count,
            })
    }

    /// Writes guest-physical memory, while the machine does not run.
    pub fn write_memory(&mut self, guest_physical: u64, bytes: &[u8]) -> Result<(), Error> {
        self.shared.memory.write(guest_physical, bytes)
    }

    /// Reads memory at a virtual address, as the processor would now.
    pub fn read_virtual(&self, address: u64, bytes: &mut [u8]) -> Result<(), Error> {
        let mut done = 0;
        while done < bytes.len() {
            let at = address
                .checked_add(done as u64)
                .ok_or(Error::Virtual { address })?;
            let left_in_page = usize::try_from(PAGE - at % PAGE).unwrap_or(1);
            let count = left_in_page.min(bytes.len() - done);
            let physical = self.translate(at)?;
            self.read_memory(physical, &mut bytes[done..done + count])?;
            done += count;
        }
        Ok(())
    }

    fn translate(&self, address: u64) -> Result<u64, Error> {
        let translation = self
            .vcpu
            .fd()?
            .translate_gva(address)
            .map_err(Error::kvm("KVM_TRANSLATE"))?;
        if translation.valid == 0 {
            return Err(Error::Virtual { address });
        }
        Ok(translation.physical_address)
    }

    /// Switches counting by single-step on or off; visits that were not taken
    /// are lost, the count of [`Vm::instructions`] is kept.
    pub fn meter(&mut self, config: Option<meter::Config>) -> Result<(), Error> {
        if let Some(metering) = self.metering.take() {
            self.counted += metering.meter.total();
        }
        match config {
            Some(config) => self.metering = Some(Metering::start(config, self.vcpu.fd()?)?),
            None => Metering::stop(self.vcpu.fd()?)?,
        }
        Ok(())
    }

    /// Takes the visits to ring 0 that ended since the last time.
    pub fn take_visits(&mut self) -> Vec<meter::Visit> {
        self.metering
            .as_mut()
            .map(Metering::take_visits)
            .unwrap_or_default()
    }

    /// Takes the boot, counted from its first instruction until now; `None` if
    /// it was not, or is over. To be followed by switching the meter off.
    pub fn take_boot(&mut self) -> Option<meter::Visit> {
        self.metering.as_mut().and_then(Metering::take_boot)
    }

    /// Ring-0 instructions counted while metering.
    pub fn instructions(&self) -> u64 {
        self.counted + self.metering.as_ref().map_or(0, |m| m.meter.total())
    }

    /// How often the guest came back to the VMM, and why.
    pub fn stats(&self) -> ExitStats {
        self.vcpu.stats
    }
}
