//! What a caller may choose about a microVM.
//!
//! Purpose: plain data with defaults that suit a test. Neighbours:
//! [`crate::Vm::with_options`] takes it, the attribute `#[mayfly::test]` and
//! the command line fill it.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mayfly_abi::Abi;

use crate::backend::{BackendKind, Counting};
use crate::error::Result;
use crate::snapshot::SnapshotUse;

/// Guest memory of a microVM unless said otherwise, in bytes.
pub const MEMORY_DEFAULT: u64 = 32 << 20;

/// How much slower time passes for a guest that is counted: two seconds, for which
/// the kernel remembers an ended process, are half an hour. The rate, in kHz, has
/// to fit 32 bits.
const SLOW_CLOCK: u32 = 800;

/// How the kernel is entered (see `vmm/machine`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Entry {
    /// The fastest way that the kernel offers.
    #[default]
    Auto,
    /// 64-bit mode, everything in place.
    Direct,
    /// 32-bit protected mode, as other VMMs do it.
    Pvh,
}

/// A file beside the bundled programs, found by its name like one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraFile {
    /// Name.
    pub name: String,
    /// Contents.
    pub bytes: Vec<u8>,
}

/// What a caller may choose about a microVM.
///
/// ```
/// use std::time::Duration;
/// let options = mayfly::VmOptions {
///     run_timeout: Duration::from_secs(2),
///     ..Default::default()
/// };
/// assert_eq!(options.memory_bytes, 32 << 20);
/// ```
#[derive(Clone, Debug)]
pub struct VmOptions {
    /// Machine; `None` asks `MAYFLY_BACKEND`, and is KVM when that is not set.
    pub backend: Option<BackendKind>,
    /// Guest memory, in bytes.
    pub memory_bytes: u64,
    /// Number of processors.
    pub cpus: u32,
    /// Longest time from start to ready.
    pub setup_timeout: Duration,
    /// Longest time that one wait (for an exit, a call, an answer) may take.
    pub run_timeout: Duration,
    /// Files beside the bundled programs.
    pub files: Vec<ExtraFile>,
    /// Folder whose files are added to those: the programs of a package of one's
    /// own, which `#[mayfly::test]` names, and `env!("MAYFLY_PROGRAMS")` elsewhere.
    pub programs: Option<PathBuf>,
    /// Way into the kernel (KVM only; QEMU always enters by PVH).
    pub entry: Entry,
    /// Count kernel instructions of probe calls (KVM only). The machine is one
    /// whose counts are the same on every host: its kernel leaves SMAP off.
    pub meter: bool,
    /// So many times slower does time pass for the guest, in which case it boots
    /// (KVM only): a guest that is counted is not to see how long that takes.
    pub clock_divisor: u32,
    /// While counting, hold interrupts back in ring 3 too: then no time slice
    /// ends, and what processes do together is the same each time. A program
    /// that waits for an interrupt without a call waits for ever.
    pub meter_hold: bool,
    /// While counting, keep the addresses of the instructions
    /// ([`crate::Visit::path`]).
    pub meter_path: bool,
    /// Count from breakpoints at the kernel's entries on, as on hosts with VT-x or
    /// SVM, on any host: the counts are the same.
    pub meter_at_entries: bool,
    /// Count kernel instructions from the first one on, the boot included (KVM only).
    pub meter_boot: bool,
    /// Interface that [`crate::Vm::spawn`] asks for; `None` lets the program say.
    pub abi: Option<Abi>,
    /// Words for the kernel's command line.
    pub command_line: String,
    /// More arguments of QEMU's, behind those that it gets anyway (QEMU only).
    pub qemu_arguments: Vec<String>,
    /// Whether it may begin as a copy of a machine that has booted (KVM only).
    pub snapshot: SnapshotUse,
    /// It can be brought back to its beginning: [`crate::Vm::reset`] (KVM only).
    pub reset: bool,
}

impl Default for VmOptions {
    fn default() -> Self {
        Self {
            backend: None,
            memory_bytes: MEMORY_DEFAULT,
            cpus: 1,
            setup_timeout: Duration::from_secs(5),
            run_timeout: Duration::from_secs(10),
            files: Vec::new(),
            programs: None,
            entry: Entry::Auto,
            meter: false,
            clock_divisor: 1,
            meter_hold: false,
            meter_path: false,
            meter_at_entries: false,
            meter_boot: false,
            abi: None,
            command_line: String::new(),
            qemu_arguments: Vec::new(),
            snapshot: SnapshotUse::Auto,
            reset: false,
        }
    }
}

impl VmOptions {
    /// How to count.
    pub(crate) fn counting(&self) -> Counting {
        Counting {
            hold: self.meter_hold,
            record: self.meter_path,
            at_entries: self.meter_at_entries,
        }
    }

    /// It is made to be counted.
    pub(crate) fn is_counted(&self) -> bool {
        self.meter || self.meter_path || self.meter_boot
    }

    /// The kernel's command line: the caller's words and the time of day, which
    /// a machine without a clock chip learns this way.
    pub(crate) fn full_command_line(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let epoch = format!("mayfly.epoch={}", now.map_or(0, |now| now.as_secs()));
        match self.command_line.as_str() {
            "" => epoch,
            words => format!("{words} {epoch}"),
        }
    }

    /// Adds a file beside the bundled programs.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push(ExtraFile {
            name: name.into(),
            bytes: bytes.into(),
        });
        self
    }

    /// Adds the programs of a folder: `env!("MAYFLY_PROGRAMS")`, in a package whose
    /// build script is `mayfly_build::programs()`.
    #[must_use]
    pub fn programs(mut self, folder: impl Into<PathBuf>) -> Self {
        self.programs = Some(folder.into());
        self
    }

    /// Sets the longest time that one wait may take.
    #[must_use]
    pub fn run_timeout(mut self, timeout: Duration) -> Self {
        self.run_timeout = timeout;
        self
    }

    /// Sets the guest memory, in bytes.
    #[must_use]
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// Sets the machine.
    #[must_use]
    pub fn backend(mut self, backend: BackendKind) -> Self {
        self.backend = Some(backend);
        self
    }

    /// Sets the way into the kernel.
    #[must_use]
    pub fn entry(mut self, entry: Entry) -> Self {
        self.entry = entry;
        self
    }

    /// Counts kernel instructions of probe calls.
    #[must_use]
    pub fn meter(mut self, meter: bool) -> Self {
        self.meter = meter;
        self
    }

    /// Counts so that the same happens each time, whatever time passes and
    /// whatever processes do together, and keeps the addresses of instructions.
    #[must_use]
    pub fn meter_path(mut self) -> Self {
        (self.meter, self.meter_hold, self.meter_path) = (true, true, true);
        self.clock_divisor = SLOW_CLOCK;
        self
    }

    /// Sets whether it may begin as a copy of a machine that has booted.
    #[must_use]
    pub fn snapshot(mut self, usage: SnapshotUse) -> Self {
        self.snapshot = usage;
        self
    }

    /// Sets whether [`crate::Vm::reset`] can bring it back to its beginning.
    #[must_use]
    pub fn reset(mut self, reset: bool) -> Self {
        self.reset = reset;
        self
    }

    /// Boots a microVM with these options.
    ///
    /// # Errors
    /// When the host cannot run it, or the kernel does not become ready.
    pub fn boot(self) -> Result<crate::Vm> {
        crate::Vm::with_options(self)
    }
}
