//! `KVM_RUN`, once: the exit becomes a device access or an [`Event`].
//!
//! Neighbours: `vm` calls [`Vcpu::enter`] in a loop and decides about events;
//! `shared` serves the accesses.

use kvm_bindings::{
    KVM_INTERNAL_ERROR_EMULATION, KVM_MP_STATE_HALTED, KVM_VCPUEVENT_VALID_SHADOW, kvm_mp_state,
    kvm_run, kvm_sync_regs,
};
use kvm_ioctls::{SyncReg, VcpuExit, VcpuFd};
use nix::libc;

use crate::Error;
use crate::cpu::Registers;
use crate::device::{Effects, GuestError};
use crate::host::Host;
use crate::shared::Shared;
use crate::stop::{CrashKind, Position};

/// What one entry into the guest ended with.
#[derive(Debug)]
pub(crate) enum Event {
    /// A device access was served.
    Served {
        /// What it leads to.
        effects: Effects,
        /// It was a store or an `OUT`.
        stored: bool,
    },
    /// A device access broke the device's contract.
    Fault(GuestError),
    /// A signal came.
    Signal,
    /// Nothing that concerns anybody else.
    Nothing,
    /// Single-stepping: the next instruction is at this address.
    Step(u64),
    /// The processor cannot go on.
    Crash(CrashKind),
}

/// How often KVM returned, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExitStats {
    /// `IN` and `OUT`, those to nobody included.
    pub ports: u64,
    /// `IN` and `OUT` at ports where nothing is.
    pub unknown_ports: u64,
    /// Loads and stores at device addresses.
    pub mmio: u64,
    /// Ends of level-triggered interrupts.
    pub end_of_interrupts: u64,
    /// Single steps.
    pub steps: u64,
    /// Signals: deadlines, interruptions, looks at a long run.
    pub signals: u64,
}

/// The processor.
#[derive(Debug)]
pub(crate) struct Vcpu {
    fd: VcpuFd,
    pub(crate) stats: ExitStats,
    /// Its registers lie in `kvm_run` still, for the next entry to load.
    due: bool,
    /// It came back from an instruction: it neither sleeps nor waits to be started.
    pub(crate) is_awake: bool,
}

impl Vcpu {
    pub(crate) fn new(fd: VcpuFd) -> Self {
        Self {
            fd,
            stats: ExitStats::default(),
            due: false,
            is_awake: false,
        }
    }

    /// The vCPU, with KVM knowing its registers.
    pub(crate) fn fd(&self) -> Result<&VcpuFd, Error> {
        if self.due {
            // The next entry loads the same once more.
            write_registers(&self.fd, &self.fd.sync_regs())?;
        }
        Ok(&self.fd)
    }

    /// Sets the registers of a vCPU that is runnable: with the next entry, as a
    /// request of their own for each kind takes microseconds.
    pub(crate) fn load(&mut self, registers: &kvm_sync_regs) -> Result<(), Error> {
        if !Host::get()?.can_load_at_entry {
            return write_registers(&self.fd, registers);
        }
        *self.fd.sync_regs_mut() = *registers;
        for kind in [
            SyncReg::Register,
            SyncReg::SystemRegister,
            SyncReg::VcpuEvents,
        ] {
            self.fd.set_sync_dirty_reg(kind);
        }
        self.due = true;
        Ok(())
    }

    /// Runs the guest until KVM returns.
    pub(crate) fn enter(&mut self, shared: &Shared) -> Result<Event, Error> {
        (self.due, self.is_awake) = (false, false);
        let exit = match self.fd.run() {
            Ok(exit) => exit,
            Err(errno) if matches!(errno.errno(), libc::EINTR | libc::EAGAIN) => {
                self.stats.signals += 1;
                return Ok(Event::Signal);
            }
            Err(errno) => return Err(Error::kvm("KVM_RUN")(errno)),
        };
        let event = match exit {
            VcpuExit::IoOut(port, data) => {
                let data: *const [u8] = data;
                let width = io_width(self.fd.get_kvm_run());
                // SAFETY: the bytes lie in the vCPU's mapping, behind `kvm_run`,
                // and nobody else uses them until the next KVM_RUN.
                let data = unsafe { &*data };
                self.is_awake = true;
                self.port_write(shared, port, data, width)
            }
            VcpuExit::IoIn(port, data) => {
                let data: *mut [u8] = data;
                let width = io_width(self.fd.get_kvm_run());
                // SAFETY: as for writes, and the slice was mutable.
                let data = unsafe { &mut *data };
                self.port_read(shared, port, data, width)
            }
            VcpuExit::MmioRead(address, data) => {
                self.stats.mmio += 1;
                let size = data.len();
                let answer = shared.access(|bus, _, effects| bus.read(address, data, effects));
                mmio_event(answer, address, size, false)
            }
            VcpuExit::MmioWrite(address, data) => {
                self.stats.mmio += 1;
                self.is_awake = true;
                let answer =
                    shared.access(|bus, memory, effects| bus.write(address, data, memory, effects));
                mmio_event(answer, address, data.len(), true)
            }
            VcpuExit::Debug(debug) => {
                self.stats.steps += 1;
                Event::Step(debug.pc)
            }
            VcpuExit::IoapicEoi(vector) => {
                self.stats.end_of_interrupts += 1;
                shared.end_of_interrupt(vector);
                Event::Nothing
            }
            VcpuExit::Intr | VcpuExit::IrqWindowOpen => Event::Nothing,
            VcpuExit::Shutdown => Event::Crash(CrashKind::TripleFault),
            VcpuExit::FailEntry(reason, _) => Event::Crash(CrashKind::EntryFailure { reason }),
            VcpuExit::InternalError => Event::Crash(internal_error(self.fd.get_kvm_run())),
            other => Event::Crash(CrashKind::UnexpectedExit {
                reason: format!("{other:?}"),
            }),
        };
        Ok(event)
    }

    /// `OUT`; a string instruction brings several values of `width` at once.
    fn port_write(&mut self, shared: &Shared, port: u16, data: &[u8], width: usize) -> Event {
        let mut total = Effects::default();
        for value in data.chunks(width) {
            self.stats.ports += 1;
            match shared.access(|bus, memory, effects| bus.port_write(port, value, memory, effects))
            {
                Ok((answered, effects)) => {
                    self.stats.unknown_ports += u64::from(!answered);
                    total.output |= effects.output;
                    total.exit = total.exit.or(effects.exit);
                }
                Err(fault) => return Event::Fault(fault),
            }
        }
        Event::Served {
            effects: total,
            stored: true,
        }
    }

    fn port_read(&mut self, shared: &Shared, port: u16, data: &mut [u8], width: usize) -> Event {
        for value in data.chunks_mut(width) {
            self.stats.ports += 1;
            match shared.access(|bus, _, effects| bus.port_read(port, value, effects)) {
                Ok((answered, _)) => self.stats.unknown_ports += u64::from(!answered),
                Err(fault) => return Event::Fault(fault),
            }
        }
        Event::Served {
            effects: Effects::default(),
            stored: false,
        }
    }

    /// Lets KVM finish the instruction that it last returned for, so that the
    /// registers are whole; the guest does not run.
    pub(crate) fn settle(&mut self) -> Result<(), Error> {
        self.due = false;
        self.fd.set_kvm_immediate_exit(1);
        let exit = self.fd.run().map(|_| ());
        self.fd.set_kvm_immediate_exit(0);
        match exit {
            Err(errno) if errno.errno() == libc::EINTR => Ok(()),
            Err(errno) => Err(Error::kvm("KVM_RUN")(errno)),
            // An instruction with several accesses would be in its midst.
            Ok(()) => Err(Error::Snapshot(
                "the processor is in the middle of a device access".into(),
            )),
        }
    }

    /// Where the processor is.
    pub(crate) fn position(&self) -> Result<Position, Error> {
        let registers = Registers::read(self.fd()?)?;
        Ok(Position {
            rip: registers.rip,
            cpl: registers.cpl(),
            halted: self.is_halted()?,
            interrupts_enabled: registers.interrupts_enabled(),
        })
    }

    /// Executes the `HLT` that is next in the processor's stead. Stepped over by
    /// KVM, it would sleep in the shadow of the `STI` before it, and no
    /// interrupt that is pending already would wake it.
    pub(crate) fn halt(&mut self) -> Result<(), Error> {
        let mut registers = self.fd.get_regs().map_err(Error::kvm("KVM_GET_REGS"))?;
        registers.rip += 1;
        self.fd
            .set_regs(&registers)
            .map_err(Error::kvm("KVM_SET_REGS"))?;
        let events = self.fd.get_vcpu_events();
        let mut events = events.map_err(Error::kvm("KVM_GET_VCPU_EVENTS"))?;
        events.interrupt.shadow = 0;
        events.flags = KVM_VCPUEVENT_VALID_SHADOW;
        self.fd
            .set_vcpu_events(&events)
            .map_err(Error::kvm("KVM_SET_VCPU_EVENTS"))?;
        let asleep = kvm_mp_state {
            mp_state: KVM_MP_STATE_HALTED,
        };
        self.fd
            .set_mp_state(asleep)
            .map_err(Error::kvm("KVM_SET_MP_STATE"))
    }

    /// Whether it waits in `HLT`.
    pub(crate) fn is_halted(&self) -> Result<bool, Error> {
        let state = self.fd.get_mp_state();
        let state = state.map_err(Error::kvm("KVM_GET_MP_STATE"))?;
        Ok(state.mp_state == KVM_MP_STATE_HALTED)
    }
}

/// Sets registers at once. The special ones first: they say how the others are
/// to be understood.
pub(crate) fn write_registers(vcpu: &VcpuFd, registers: &kvm_sync_regs) -> Result<(), Error> {
    vcpu.set_sregs(&registers.sregs)
        .map_err(Error::kvm("KVM_SET_SREGS"))?;
    vcpu.set_regs(&registers.regs)
        .map_err(Error::kvm("KVM_SET_REGS"))?;
    vcpu.set_vcpu_events(&registers.events)
        .map_err(Error::kvm("KVM_SET_VCPU_EVENTS"))
}

fn mmio_event(
    answer: Result<(bool, Effects), GuestError>,
    address: u64,
    size: usize,
    write: bool,
) -> Event {
    match answer {
        Ok((true, effects)) => Event::Served {
            effects,
            stored: write,
        },
        Ok((false, _)) => Event::Crash(CrashKind::UnknownMmio {
            address,
            size,
            write,
        }),
        Err(fault) => Event::Fault(fault),
    }
}

/// Width of one value of the port access that KVM returned for.
fn io_width(run: &kvm_run) -> usize {
    // SAFETY: the exit reason was KVM_EXIT_IO, whose variant this is.
    let io = unsafe { run.__bindgen_anon_1.io };
    usize::from(io.size).max(1)
}

fn internal_error(run: &kvm_run) -> CrashKind {
    // SAFETY: the exit reason was KVM_EXIT_INTERNAL_ERROR; this variant begins
    // like the general one, and all of it is plain data.
    let failure = unsafe { run.__bindgen_anon_1.emulation_failure };
    let mut instruction = Vec::new();
    // Flags, and two words of size and bytes: KVM API, 5 (kvm_run).
    if failure.suberror == KVM_INTERNAL_ERROR_EMULATION && failure.ndata >= 3 {
        // SAFETY: both variants of this union are plain data.
        let detail = unsafe { failure.__bindgen_anon_1.__bindgen_anon_1 };
        let size = usize::from(detail.insn_size).min(detail.insn_bytes.len());
        if failure.flags & 1 != 0 {
            instruction = detail.insn_bytes[..size].to_vec();
        }
    }
    CrashKind::InternalError {
        suberror: failure.suberror,
        instruction,
    }
}
