//! Which counted stays in ring 0 belong to a call.
//!
//! Purpose: the meter counts every stay in ring 0; this picks the ones that
//! are system calls, by the page-table root and the number register that they
//! began with. Neighbours: `backend` counts, `probe` and `mayfly run --meter`
//! ask here.

use mayfly_abi::Abi;
use mayfly_abi::convention::Register;

use crate::backend::Visit;
use crate::transcript::Call;

/// Kernel instructions of the probe's call of `number`; `None` when the meter
/// did not see it.
pub(crate) fn of_call(visits: &[Visit], abi: Abi, root: u64, number: u64) -> Option<u64> {
    let mut of_probe = visits
        .iter()
        .filter(|visit| visit.root == root && visit.is_call);
    of_probe
        .find(|visit| number_in(visit, abi) == number)
        .map(|visit| visit.instructions)
}

/// Gives each call of a process its stay. Both are in order; a stay that is no
/// call (a page fault, an interrupt) is passed over, and a call whose stay the
/// meter did not see (it switched to another process) stays without a count.
pub(crate) fn assign<'a>(
    visits: &[Visit],
    root: u64,
    calls: impl IntoIterator<Item = &'a mut Call>,
) {
    let mut visits = visits
        .iter()
        .filter(|visit| visit.root == root && visit.is_call);
    for call in calls {
        let Some(abi) = call.abi() else {
            continue;
        };
        let mut ahead = visits.clone();
        if let Some(visit) = ahead.find(|visit| number_in(visit, abi) == call.number()) {
            call.kernel_instr = Some(visit.instructions);
            visits = ahead;
        }
    }
}

/// Kernel instructions of all stays of a process; `None` without any.
pub(crate) fn total(visits: &[Visit], root: u64) -> Option<u64> {
    let of_process = visits.iter().filter(|visit| visit.root == root);
    of_process
        .map(|visit| visit.instructions)
        .reduce(|sum, count| sum + count)
}

/// The call number that a stay began with.
fn number_in(visit: &Visit, abi: Abi) -> u64 {
    let convention = abi.convention();
    let word = match convention.number {
        Register::R12 => visit.number_r12,
        _ => visit.number_rax,
    };
    word & (u64::MAX >> (64 - convention.number_bits.clamp(1, 64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VISIT: Visit = Visit {
        instructions: 60,
        number_rax: 13,
        number_r12: 0xffff_0000_0000_0003,
        root: 0x1000,
        is_call: true,
    };

    #[test]
    fn a_call_is_found_by_its_number_and_process() {
        let other = Visit {
            root: 0x2000,
            instructions: 1,
            ..VISIT
        };
        let visits = [other, VISIT];
        assert_eq!(of_call(&visits, Abi::Patchwork, 0x1000, 13), Some(60));
        assert_eq!(of_call(&visits, Abi::Xeneva, 0x1000, 3), Some(60));
        assert_eq!(of_call(&visits, Abi::Patchwork, 0x1000, 14), None);
    }

    #[test]
    fn stays_that_are_no_calls_are_passed_over() {
        let fault = Visit {
            is_call: false,
            instructions: 900,
            ..VISIT
        };
        let record = mayfly_wire::trace::Record {
            abi: Abi::Patchwork.code(),
            number: 13,
            ..Default::default()
        };
        let mut calls = [Call::new(record, Vec::new()), Call::new(record, Vec::new())];
        assign(&[fault, VISIT, fault], 0x1000, &mut calls);
        assert_eq!(calls.map(|call| call.kernel_instr), [Some(60), None]);
        assert_eq!(total(&[fault, VISIT], 0x1000), Some(960));
        assert_eq!(total(&[fault, VISIT], 0x3000), None);
    }
}
