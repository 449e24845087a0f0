//! System calls that are traced or timed on their way.

use super::{Flow, Kernel, Running};
use crate::object::process::{Gate, Spent};
use crate::port::{Machine, Port};
use crate::{personality, trace};

impl<P: Port> Kernel<P> {
    /// A system call of a process that is timed or traced, or that a test
    /// wants to panic.
    #[cold]
    pub(super) fn watched_call(&mut self, running: &mut Running<P>) -> Flow {
        let begun = self.machine.ticks();
        let flow = match running.process.gate {
            Gate::Timed => personality::serve(self, running),
            _ => self.traced_call(running),
        };
        running.process.spent.calls += self.machine.ticks().wrapping_sub(begun);
        flow
    }

    fn traced_call(&mut self, running: &mut Running<P>) -> Flow {
        assert!(
            !running.process.panics,
            "a test asked for a panic in this system call"
        );
        trace::begin(self, running);
        let flow = personality::serve(self, running);
        match flow {
            Flow::Return(value) | Flow::Yield(value) => trace::end(self, running, Some(value)),
            Flow::End | Flow::EndThread => trace::end(self, running, None),
            _ => {}
        }
        flow
    }

    /// What the running process has spent until now.
    pub(crate) fn spent_by(&self, running: &Running<P>) -> Spent {
        let now = self.machine.ticks();
        let mut spent = running.process.spent;
        spent.running += now.wrapping_sub(self.dispatched);
        spent
    }
}
