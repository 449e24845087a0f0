//! What the processor and memory have been used for, as text and as numbers.
//!
//! Time is cut where it is cheap to cut it: the kernel loop knows when it goes
//! idle and when it looks after interrupts, and says so ([`Clocks::enter`]).
//! All other time is active, programs' and kernel's alike, so that entering and
//! leaving a system call costs nothing.

use alloc::format;
use alloc::string::String;
use core::cell::OnceCell;
use core::fmt::Write as _;

use crate::error::KernelError;
use crate::kernel::{Kernel, Running};
use crate::object::file::OpenFile;
use crate::personality;
use crate::port::{Machine, Port};
use crate::user;

/// Longest list of capabilities, in bytes.
const CAPABILITIES_MAX: usize = 32 << 10;

/// What the processor does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// Programs, and the kernel for them.
    #[default]
    Active,
    /// It waits for an interrupt.
    Idle,
    /// Timers, devices, and what the host asks for.
    Interrupt,
}

/// Ticks of each activity.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clocks {
    sums: [u64; 3],
    now: Activity,
    /// Ticks when it began.
    since: u64,
}

impl Clocks {
    /// Another activity begins.
    pub fn enter(&mut self, activity: Activity, ticks: u64) {
        let passed = ticks.wrapping_sub(self.since);
        let sum = &mut self.sums[self.now as usize];
        *sum = sum.wrapping_add(passed);
        (self.now, self.since) = (activity, ticks);
    }

    /// The same after a time that nobody is to notice, which ends at `ticks`.
    #[must_use]
    pub fn resumed(self, ticks: u64) -> Self {
        Self {
            since: ticks,
            ..self
        }
    }

    /// A time has passed that nobody is to notice.
    pub(crate) fn skip(&mut self, ticks: u64) {
        self.since = self.since.wrapping_add(ticks);
    }

    /// Ticks of an activity that is not the present one.
    fn sum(&self, activity: Activity) -> u64 {
        self.sums[activity as usize]
    }
}

/// Which part of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Time of the processor.
    Processor,
    /// Pages of memory.
    Memory,
    /// Capabilities that processes hold.
    Capabilities,
}

/// An open file that tells one: whoever reads it in parts reads one text.
#[derive(Debug)]
pub struct UsageFile {
    of: Usage,
    text: OnceCell<String>,
}

impl UsageFile {
    /// A file nobody has read.
    pub fn new(of: Usage) -> Self {
        let text = OnceCell::new();
        Self { of, text }
    }

    /// Copies the part of the text from the file's position on, and moves
    /// that. The text is as old as the first read.
    ///
    /// # Errors
    /// As [`user::write`].
    pub fn read<P: Port>(
        &self,
        kernel: &mut Kernel<P>,
        running: &mut Running<P>,
        file: &OpenFile,
        address: u64,
        count: u64,
    ) -> Result<u64, KernelError> {
        let text = self.text.get_or_init(|| self.of.text(kernel));
        let at = usize::try_from(file.position.get()).unwrap_or(usize::MAX);
        let rest = text.as_bytes().get(at..).unwrap_or_default();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let part = &rest[..rest.len().min(count)];
        let space = &mut running.process.space;
        user::write(&mut kernel.machine, space, address, part)?;
        file.position.update(|at| at + part.len() as u64);
        Ok(part.len() as u64)
    }
}

/// A line for each capability that a process holds, the running one apart: the
/// process, what it names, and what it allows.
fn capabilities<P: Port>(kernel: &Kernel<P>) -> String {
    const RIGHTS: &[u8; 8] = b"rwxgrdmc";
    let mut text = String::from("process kind id rights");
    for process in kernel.all_processes() {
        let number = personality::process_id(process).unwrap_or(process.number);
        for capability in process.capabilities.iter() {
            let (kind, id) = (capability.object.kind(), capability.object.id());
            let _written = write!(text, "\n{number} {kind:?} {id} ");
            let bits = capability.rights.bits();
            text.extend((0..8).map(|bit| match bits >> bit & 1 {
                1 => char::from(RIGHTS[bit]),
                _ => '-',
            }));
            if text.len() > CAPABILITIES_MAX {
                return text;
            }
        }
    }
    text
}

impl Usage {
    /// What it says now: the lines of specs/patchwork.md §12, without a final newline.
    fn text<P: Port>(self, kernel: &Kernel<P>) -> String {
        let machine = &kernel.machine;
        match self {
            Usage::Processor => {
                let of = |activity| machine.nanoseconds(kernel.clocks.sum(activity));
                let (idle, interrupt) = (of(Activity::Idle), of(Activity::Interrupt));
                let active = machine.now().saturating_sub(idle + interrupt);
                format!(
                    "cpu idle_clocks active_clocks interrupt_clocks\n0 {idle} {active} {interrupt}"
                )
            }
            Usage::Memory => {
                let (total, free) = (machine.frames(), machine.frames_free());
                let used = total - free;
                format!("total_pages {total}\nfree_pages {free}\nused_pages {used}")
            }
            Usage::Capabilities => capabilities(kernel),
        }
    }
}
