//! A standstill: the machine can be copied, and each copy goes on.
//!
//! Programs do not run and the clock does not go on, so that a copy that is
//! made now and resumed much later, or on another host, sees no gap. The time
//! stamp counter itself cannot be held; the kernel's clock gets a new base.

use mayfly_arch::boot;
use mayfly_core::kernel::Kernel;
use mayfly_core::object::usage::Clocks;
use mayfly_core::port::{Machine, PAGE_SIZE, PageFrame};
use mayfly_machine::layout::DIRECT_MAP_BASE;
use mayfly_wire::message::{Event, Resume};

use crate::runner::Pc;

/// Where the clock stands.
pub(crate) struct Standstill {
    elapsed: u64,
    /// What the processor had been used for.
    clocks: Clocks,
}

impl Standstill {
    /// Stops the clock and says so. The caller lets no program run.
    pub(crate) fn begin(kernel: &mut Kernel<Pc>, id: u32) -> Self {
        let this = Self::now(kernel);
        kernel.host.flush_trace();
        kernel.host.send(&Event::Stopped { id });
        this
    }

    /// Stops the clock. The caller lets no program run.
    pub(crate) fn now(kernel: &mut Kernel<Pc>) -> Self {
        let elapsed = kernel.machine.clock().elapsed();
        kernel.machine.arm_timer(None);
        let clocks = kernel.clocks;
        Self { elapsed, clocks }
    }

    /// Lets the clock go on, with what the host has for this copy.
    pub(crate) fn end(self, kernel: &mut Kernel<Pc>, resume: &Resume) {
        kernel.machine.resume_clock(self.elapsed, resume.epoch);
        kernel.clocks = self.clocks.resumed(kernel.machine.ticks());
        if resume.bundle_size != 0 {
            add_bundle(kernel, resume.bundle, resume.bundle_size);
        }
        // Sets the timer again; what was due is served now.
        kernel.timer_fired();
    }
}

/// Adds a bundle that the machine did not have when it was booted.
fn add_bundle(kernel: &mut Kernel<Pc>, address: u64, size: u64) {
    // SAFETY: the host names a module that it has added to this machine; like
    // those of the boot, nothing writes to it.
    let module = unsafe { boot::module(address, size) };
    let added = module.is_some_and(|module| {
        let first = PageFrame((module.as_ptr() as u64 - DIRECT_MAP_BASE) / PAGE_SIZE);
        kernel.add_bundle(module, first).is_ok()
    });
    if !added {
        let line = format_args!("what the host added at {address:#x} is not a bundle");
        kernel.host.log(line);
    }
}
