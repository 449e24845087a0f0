//! The kernel loop: programs, the clock and the host take turns.

use mayfly_arch::hardware::Hardware;
use mayfly_arch::{apic, clock};
use mayfly_core::kernel::Kernel;
use mayfly_core::object::usage::Activity;
use mayfly_core::port::Port;

use crate::agent::Agent;
use crate::link::Link;

/// The kernel's parts on a PC.
pub(crate) enum Pc {}

impl Port for Pc {
    type Machine = Hardware;
    type Host = Link;
}

/// Runs for ever; a request or a defect ends the machine.
pub(crate) fn run(kernel: &mut Kernel<Pc>, agent: &mut Agent) -> ! {
    loop {
        let pending = apic::take();
        if pending.timer || pending.device {
            enter(kernel, Activity::Interrupt);
            if pending.timer {
                kernel.timer_fired();
            }
            if pending.device {
                kernel.host.interrupted();
                agent.serve(kernel);
                // A program that spins alone may run for as long as it likes.
                agent.answer(kernel);
            }
            enter(kernel, Activity::Active);
        }
        match kernel.dispatch() {
            Some(running) => {
                kernel.run_on(running);
                // The end of one thread's slice is not to be the next one's.
                if kernel.took_long() {
                    apic::admit();
                }
            }
            // What a request led to is told before the processor sleeps.
            None if kernel.host.events.is_empty() => {
                // Whoever looks on sees what was done, not only what is over.
                kernel.host.flush_trace();
                enter(kernel, Activity::Idle);
                apic::wait();
                enter(kernel, Activity::Active);
            }
            None => {}
        }
        agent.answer(kernel);
    }
}

/// The processor does something else from now on.
fn enter(kernel: &mut Kernel<Pc>, activity: Activity) {
    kernel.clocks.enter(activity, clock::ticks());
}
