//! Where a number was measured.
//!
//! Purpose: times compare only on one testbed; this names it: processor, back
//! end, TSC rate, guest hash, and whether the host runs ring 0 natively or
//! emulates it, which is measured and not guessed. Neighbours: `mayfly doctor`
//! and the JSON message `ready` print it.

use std::fs;

use crate::backend::BackendKind;
use crate::error::Result;
use crate::image;
use crate::microvm::Vm;
use crate::options::VmOptions;
use crate::probe::CallResult;
use crate::{Abi, patchwork};

/// Nanoseconds a ring-0 instruction takes at least where ring 0 is emulated.
/// Native hardware needs less than 5 and an emulator more than 100, so that
/// anything between tells the two apart.
const EMULATED_NS: f64 = 40.0;
/// Null calls timed; the fastest counts.
const SAMPLES: u32 = 24;

/// How a host runs the kernel's instructions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RingZero {
    /// Nanoseconds of the fastest null call.
    pub call_ns: f64,
    /// Kernel instructions of that call.
    pub call_instr: u64,
}

impl RingZero {
    /// Nanoseconds per kernel instruction.
    pub fn instruction_ns(self) -> f64 {
        // Counts of one call: far below where a float loses whole numbers.
        #[expect(clippy::cast_precision_loss, reason = "a call has few instructions")]
        let instructions = self.call_instr.max(1) as f64;
        self.call_ns / instructions
    }

    /// The host interprets the kernel's instructions in software.
    pub fn is_emulated(self) -> bool {
        self.instruction_ns() >= EMULATED_NS
    }
}

/// Measures how fast the host runs the kernel, by null calls of a probe.
///
/// # Errors
/// When no microVM can be booted on KVM; `Ok(None)` when it cannot count.
pub fn calibrate() -> Result<Option<RingZero>> {
    let timed = VmOptions::default().backend(BackendKind::Kvm).boot()?;
    let fastest = fastest_call(&timed)?;
    let counted = VmOptions::default()
        .backend(BackendKind::Kvm)
        .meter(true)
        .boot()?;
    let call = null_call(&counted)?;
    let khz = f64::from(timed.ready().tsc_khz.max(1));
    #[expect(clippy::cast_precision_loss, reason = "a call takes few ticks")]
    let call_ns = fastest as f64 * 1e6 / khz;
    Ok(call.kernel_instr.map(|call_instr| RingZero {
        call_ns,
        call_instr,
    }))
}

/// Names the testbed of a machine, without measuring: equal names, comparable
/// times.
pub fn testbed(vm: &Vm) -> String {
    format!(
        "{} · {} · TSC {} kHz · guest {:08x}",
        processor(),
        vm.backend(),
        vm.ready().tsc_khz,
        image::hash() >> 32
    )
}

/// Model name of the host's processor.
pub fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    field.and_then(|rest| rest.split_once(':')).map_or_else(
        || "unknown processor".into(),
        |(_, name)| name.trim().into(),
    )
}

fn fastest_call(vm: &Vm) -> Result<u64> {
    let probe = vm.probe(Abi::Patchwork)?;
    let mut fastest = u64::MAX;
    for _ in 0..SAMPLES {
        let call = probe.call(patchwork::nr::GETPID, [])?;
        fastest = fastest.min(call.ticks);
    }
    Ok(fastest)
}

fn null_call(vm: &Vm) -> Result<CallResult> {
    vm.probe(Abi::Patchwork)?.call(patchwork::nr::GETPID, [])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emulation_is_told_by_the_time_of_an_instruction() {
        for (call_ns, emulated) in [(120.0, false), (20_000.0, true)] {
            let ring_zero = RingZero {
                call_ns,
                call_instr: 64,
            };
            assert_eq!(ring_zero.is_emulated(), emulated);
        }
    }
}
