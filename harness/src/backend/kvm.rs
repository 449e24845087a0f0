//! Mayfly's own VMM as a back end.
//!
//! Purpose: makes a `mayfly_vmm` machine of the options, with the bundle mapped
//! straight from this library's read-only data, and translates its stops and
//! errors. The processor runs on the calling thread. Neighbours: `vmm` below,
//! [`super::Backend`] above.

use std::ops::Range;
use std::sync::LazyLock;
use std::time::Instant;

use mayfly_vmm::{Config, Crash, Module, ModuleFile, Port, Snapshot, meter};

use super::{Backend, Counting, End, Keyboard, Position, Stop, Stream, Waker};
use crate::error::{Error, Result};
use crate::image;
use crate::metering::{Part, Visit};
use crate::options::{Entry, ExtraFile, VmOptions};
use crate::symbols;

/// Symbols of the instructions with which the kernel leaves ring 0.
const LEAVING: [&str; 2] = ["user_leave_iretq", "user_leave_sysretq"];
/// Symbols around the code of the ways that calls take into the kernel and out
/// of it, which depends on the host: the fault that they arrive as where ring 0
/// is emulated; `SYSCALL`; and what ends in `IRETQ` or `SYSRETQ`.
const STUBS: [(&str, &str); 2] = [
    ("page_fault", "trap_common"),
    ("syscall_first", "user_copy"),
];
/// Most addresses that are kept of a stay in ring 0.
const RECORD_MAX: usize = 1 << 20;
/// Symbols of the instructions at which the kernel is entered: by the first
/// `SYSCALL` of all, by every later one, by page faults before that.
const ENTERING: [&str; 3] = ["syscall_first", "syscall_entry", "page_fault"];
/// Symbol of the instruction that all other handlers jump to, and where RAX has
/// the vector there.
const JUNCTION: (&str, u32) = ("trap_common", 16);

/// A machine on `/dev/kvm`.
pub(crate) struct Kvm {
    vm: mayfly_vmm::Vm,
    /// Counted stays that a meter left behind when it was switched off.
    visits: Vec<meter::Visit>,
    /// What is counted, while something is.
    counting: Option<Counting>,
    /// It has run: a meter switched on now does not see the boot.
    started: bool,
}

impl Kvm {
    /// Makes the machine; it does not run yet.
    pub(crate) fn start(options: &VmOptions) -> Result<Self> {
        let config = Config {
            memory_bytes: options.memory_bytes,
            cpus: options.cpus,
            command_line: options.full_command_line(),
            clock_divisor: options.clock_divisor,
            no_smap: options.is_counted(),
            entry: match options.entry {
                Entry::Auto => mayfly_vmm::Entry::Auto,
                Entry::Direct => mayfly_vmm::Entry::Direct,
                Entry::Pvh => mayfly_vmm::Entry::Pvh,
            },
            ..Config::default()
        };
        let mut modules = vec![Module::Static(image::bundle())];
        // Last, so that the caller's files hide bundled ones.
        modules.extend(module_of(&options.files)?);
        let vm = mayfly_vmm::Vm::new(&config, image::kernel(), &modules)
            .map_err(|error| broken(&error))?;
        Ok(Self {
            vm,
            visits: Vec::new(),
            counting: None,
            started: false,
        })
    }

    /// A machine that begins as `snapshot`, and where in its memory a bundle of
    /// `files` lies, if there are any.
    /// `to_reset`: it is to be brought back there often.
    pub(crate) fn copy_of(
        snapshot: &Snapshot,
        files: &[ExtraFile],
        to_reset: bool,
    ) -> Result<(Self, Option<(u64, u64)>)> {
        let more: Vec<Module> = module_of(files)?.into_iter().collect();
        let vm = match to_reset {
            true => snapshot.fork_to_reset(&more),
            false => snapshot.fork(&more),
        };
        let vm = vm.map_err(|error| broken(&error))?;
        let bundle = vm.modules().last().copied().filter(|_| !more.is_empty());
        let this = Self {
            vm,
            visits: Vec::new(),
            counting: None,
            started: true,
        };
        Ok((this, bundle))
    }

    /// Makes the machine what `snapshot` is again, which it began as.
    pub(crate) fn reset(&mut self, snapshot: &Snapshot) -> Result<()> {
        // What was counted is of the life that is no more.
        self.visits.clear();
        self.counting = None;
        self.vm.reset(snapshot).map_err(|error| broken(&error))
    }

    /// Writes to guest memory at a physical address.
    pub(crate) fn write_memory(&mut self, address: u64, bytes: &[u8]) -> Result<()> {
        let written = self.vm.write_memory(address, bytes);
        written.map_err(|error| broken(&error))
    }

    /// Reads guest memory at a physical address.
    pub(crate) fn read_memory(&self, address: u64, bytes: &mut [u8]) -> Result<()> {
        let read = self.vm.read_memory(address, bytes);
        read.map_err(|error| broken(&error))
    }
}

/// A module of the caller's own files, if there are any.
fn module_of(files: &[ExtraFile]) -> Result<Option<Module>> {
    let Some(bundle) = image::extra_bundle(files)? else {
        return Ok(None);
    };
    let file = ModuleFile::from_bytes(&bundle).map_err(|error| broken(&error))?;
    Ok(Some(Module::Owned(file)))
}

impl Backend for Kvm {
    fn run(&mut self, deadline: Instant) -> Result<Stop> {
        self.started = true;
        Ok(
            match self.vm.run(deadline).map_err(|error| broken(&error))? {
                mayfly_vmm::Stop::Output | mayfly_vmm::Stop::Interrupted => Stop::Output,
                mayfly_vmm::Stop::Exit(code) => Stop::Ended(End::Exit(code)),
                mayfly_vmm::Stop::Deadline(at) => Stop::Deadline(Some(Position {
                    ring: at.cpl,
                    rip: at.rip,
                    halted: at.halted,
                    interrupts: at.interrupts_enabled,
                })),
                mayfly_vmm::Stop::Crash(crash) => Stop::Ended(crashed(&crash)),
                mayfly_vmm::Stop::GuestError(error) => Stop::Ended(End::Lost(error.to_string())),
            },
        )
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.vm
            .send(Port::Control, bytes)
            .map_err(|error| broken(&error))
    }

    fn type_on(&mut self, stream: Stream, bytes: &[u8]) -> Result<()> {
        match stream {
            Stream::Serial => self.vm.send_serial(bytes),
            _ => {
                let sent = self.vm.send(Port::Console, bytes);
                sent.map_err(|error| broken(&error))?;
            }
        }
        Ok(())
    }

    fn keyboard(&self, stream: Stream) -> Option<Keyboard> {
        // COM1 takes bytes between two runs only.
        let sender = (stream == Stream::Console).then(|| self.vm.sender())?;
        let send = move |bytes: &[u8]| sender.send(Port::Console, bytes).is_ok();
        Some(Keyboard::new(send))
    }

    fn waker(&self) -> Waker {
        let interrupter = self.vm.interrupter();
        Waker::new(move || interrupter.interrupt())
    }

    fn take(&mut self, stream: Stream) -> Vec<u8> {
        match stream {
            Stream::Control => self.vm.take_output(Port::Control),
            Stream::Trace => self.vm.take_output(Port::Trace),
            Stream::Console => self.vm.take_output(Port::Console),
            Stream::Serial => self.vm.take_serial(),
        }
    }

    fn meter(&mut self, counting: Option<Counting>) -> Result<bool> {
        // Switching a meter loses what it has.
        self.visits.extend(self.vm.take_visits());
        self.visits.extend(self.vm.take_boot());
        let config = counting.map(|counting| meter_config(counting, !self.started));
        self.vm.meter(config).map_err(|error| broken(&error))?;
        self.counting = counting;
        Ok(true)
    }

    fn take_visits(&mut self) -> Vec<Visit> {
        let mut visits = std::mem::take(&mut self.visits);
        visits.extend(self.vm.take_visits());
        visits.into_iter().map(visit).collect()
    }

    fn snapshot(&mut self) -> Result<Option<Snapshot>> {
        // No copy is made in the midst of counting.
        let counting = self.counting;
        if counting.is_some() {
            self.meter(None)?;
        }
        let snapshot = self.vm.snapshot().map_err(|error| broken(&error));
        if counting.is_some() {
            self.meter(counting)?;
        }
        snapshot.map(Some)
    }

    fn can_end_later(&self) -> bool {
        true
    }

    fn into_snapshot(self: Box<Self>) -> Result<Option<Snapshot>> {
        let snapshot = self.vm.into_snapshot().map_err(|error| broken(&error))?;
        Ok(Some(snapshot))
    }
}

/// What to count: everything from the first instruction, or stays of ring 3 in
/// ring 0.
fn meter_config(counting: Counting, boot: bool) -> meter::Config {
    // Where the processor runs ring 0 itself, steps begin at a breakpoint.
    let at_entries = counting.at_entries || has_hardware_virtualisation();
    let (junction, vector_shift) = JUNCTION;
    let junction = symbols::kernel_symbol(junction).filter(|_| at_entries);
    meter::Config {
        exits: addresses(&LEAVING),
        entries: match at_entries {
            true => addresses(&ENTERING),
            false => Vec::new(),
        },
        junction: junction.map(|address| meter::Junction {
            address,
            vector_shift,
        }),
        record: counting.record.then_some(RECORD_MAX),
        hold: counting.hold,
        stubs: STUBS.iter().filter_map(stub).collect(),
        boot,
    }
}

/// The addresses of these symbols.
fn addresses(names: &[&str]) -> Vec<u64> {
    let addresses = names.iter().map(|name| symbols::kernel_symbol(name));
    addresses.flatten().collect()
}

/// Whether the processor has VT-x or SVM: without, KVM interprets ring 0.
pub(crate) fn has_hardware_virtualisation() -> bool {
    static HAS: LazyLock<bool> = LazyLock::new(|| {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let flags = text.lines().find(|line| line.starts_with("flags"));
        flags.is_some_and(|flags| {
            flags
                .split_whitespace()
                .any(|flag| flag == "vmx" || flag == "svm")
        })
    });
    *HAS
}

/// The code between two symbols.
fn stub((from, to): &(&str, &str)) -> Option<Range<u64>> {
    Some(symbols::kernel_symbol(from)?..symbols::kernel_symbol(to)?)
}

fn visit(visit: meter::Visit) -> Visit {
    let enter = &visit.enter;
    let parts = visit.parts.iter().map(|part| Part {
        root: part.root,
        instructions: part.instructions,
    });
    // Where ring 0 is emulated a call arrives as a page fault at the kernel's entry.
    let is_call = match visit.vector {
        Some(14) => visit.user_rip >> 63 == 1,
        Some(_) => false,
        None => looks_like_a_call(enter.rcx, enter.r11),
    };
    Visit {
        instructions: visit.instructions,
        body: visit.instructions - visit.stubs,
        number_rax: enter.rax,
        number_r12: enter.r12,
        root: enter.cr3,
        is_call,
        vector: visit.vector,
        returns_to: (enter.rcx, visit.user_rsp),
        left_root: visit.cr3,
        left_to: visit.left_to,
        halts: visit.halts,
        parts: parts.collect(),
        path: visit.rips,
    }
}

/// SYSCALL leaves its return address in RCX and the flags in R11; what else begins
/// a stay finds both as the program left them, which is rarely like that.
fn looks_like_a_call(rcx: u64, r11: u64) -> bool {
    let (fixed_one, flags_end) = (1 << 1, 1 << 22);
    rcx != 0 && rcx >> 47 == 0 && r11 & fixed_one != 0 && r11 < flags_end
}

fn crashed(crash: &Crash) -> End {
    End::Crash {
        message: crash.what.to_string(),
        position: Some(Position {
            ring: crash.registers.cpl(),
            rip: crash.registers.rip,
            halted: false,
            interrupts: crash.registers.interrupts_enabled(),
        }),
    }
}

/// An error of the VMM, with what helps.
pub(crate) fn broken(error: &mayfly_vmm::Error) -> Error {
    use mayfly_vmm::Error as Vmm;
    let remedy = match error {
        Vmm::NoKvm(source) => no_kvm(source),
        Vmm::Capability(_) => "a newer Linux, or MAYFLY_BACKEND=qemu; `mayfly doctor` says more",
        Vmm::MemorySize { .. } => "a size within these bounds (--memory, VmOptions::memory_bytes)",
        Vmm::Cpus { .. } => "--cpus 1 (VmOptions::cpus), or --backend qemu, which has several",
        Vmm::CommandLineLong { .. } | Vmm::CommandLineNul => "a shorter, printable command line",
        _ => "`mayfly doctor` checks this host; MAYFLY_BACKEND=qemu does without KVM",
    };
    Error::broken("cannot run a microVM on KVM", error, remedy)
}

/// What helps when `/dev/kvm` cannot be opened.
fn no_kvm(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::NotFound => {
            "`modprobe kvm_intel` or `kvm_amd`, nested virtualisation if this is a VM, or \
             MAYFLY_BACKEND=qemu (slower, needs no KVM)"
        }
        std::io::ErrorKind::PermissionDenied => {
            "`sudo usermod -aG kvm $USER`, then log in again; or MAYFLY_BACKEND=qemu (slower)"
        }
        _ => "`mayfly doctor`; or MAYFLY_BACKEND=qemu (slower, needs no KVM)",
    }
}
