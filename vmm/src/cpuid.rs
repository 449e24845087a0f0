//! The CPUID that the guest sees: what KVM offers, less what we do not keep.
//!
//! The kernel saves user state with FXSAVE, so nothing that needs XSAVE is
//! offered; there is one processor, so topology says so; the clock rates are in
//! the leaf that [`device::TIMING_LEAF`] names. Bits are those of the Intel SDM
//! volume 2A (CPUID) and the AMD APM volume 3, appendix E.

use std::arch::x86_64::__cpuid;
use std::sync::OnceLock;

use kvm_bindings::{CpuId, kvm_cpuid_entry2};
use mayfly_machine::device;

/// Leaves that describe what is not offered: performance counters, XSAVE,
/// processor trace, SGX, branch records, AMX, AVX10, AMD counters.
const EMPTY_LEAVES: [u32; 9] = [0xa, 0xd, 0x12, 0x14, 0x1c, 0x1d, 0x1e, 0x24, 0x8000_0022];

/// MONITOR, VMX, FMA, PDCM, XSAVE, OSXSAVE, AVX, F16C.
const LEAF_1_ECX_OFF: u32 = bits(&[3, 5, 12, 15, 26, 27, 28, 29]);
/// x2APIC, hypervisor present.
const LEAF_1_ECX_ON: u32 = bits(&[21, 31]);
/// Debug store, hyper-threading.
const LEAF_1_EDX_OFF: u32 = bits(&[21, 28]);
/// AVX2, MPX, AVX-512 of all kinds, processor trace, transactions, SGX.
const LEAF_7_EBX_OFF: u32 = bits(&[2, 4, 5, 11, 14, 16, 17, 21, 25, 26, 27, 28, 30, 31]);
/// AVX-512, protection keys, shadow stacks, VAES and VPCLMULQDQ, LA57.
const LEAF_7_ECX_OFF: u32 = bits(&[1, 3, 4, 6, 7, 9, 10, 11, 12, 14, 16, 30, 31]);
/// AVX-512, AMX, branch tracking and branch records.
const LEAF_7_EDX_OFF: u32 = bits(&[2, 3, 8, 19, 20, 22, 23, 24, 25]);
/// SVM, XOP, LWP, FMA4, topology and counter extensions.
const EXTENDED_1_ECX_OFF: u32 = bits(&[2, 11, 15, 16, 22, 23, 24, 27, 28]);

const fn bits(numbers: &[u32]) -> u32 {
    let mut mask = 0;
    let mut at = 0;
    while at < numbers.len() {
        mask |= 1 << numbers[at];
        at += 1;
    }
    mask
}

/// The host's KVM has VMX or SVM to run guests with. Without either it is a
/// software back end (PVM), which emulates ring 0: it lacks STAC and CLAC, and
/// answers leaf 7 with the host's own bits whatever it is told.
pub(crate) fn host_has_hardware() -> bool {
    // CPUID is slow where the host is itself a guest: ask once.
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let vmx = __cpuid(1).ecx >> 5 & 1 == 1;
        let has_leaf = __cpuid(0x8000_0000).eax > 0x8000_0000;
        let svm = has_leaf && __cpuid(0x8000_0001).ecx >> 2 & 1 == 1;
        vmx || svm
    })
}

/// Filters `supported` (`KVM_GET_SUPPORTED_CPUID`) for one vCPU.
pub(crate) fn guest_cpuid(supported: &CpuId, tsc_khz: u32) -> Vec<kvm_cpuid_entry2> {
    let mut entries: Vec<_> = supported.as_slice().to_vec();
    // One zero entry would do, but hardware also answers zero for no entry.
    entries.retain(|e| !EMPTY_LEAVES.contains(&e.function) && !is_topology(e.function));
    for entry in &mut entries {
        filter(entry);
    }
    for index in 0..2 {
        entries.push(kvm_cpuid_entry2 {
            function: 0xb,
            index,
            flags: kvm_bindings::KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
            ebx: 1,
            // Level number, and its type: 1 thread, 2 core.
            ecx: index | (index + 1) << 8,
            ..kvm_cpuid_entry2::default()
        });
    }
    entries.push(kvm_cpuid_entry2 {
        function: device::TIMING_LEAF,
        eax: tsc_khz,
        ebx: device::LAPIC_TIMER_KHZ,
        ..kvm_cpuid_entry2::default()
    });
    entries
}

/// Topology leaves, which we write ourselves (0xb) or leave out.
fn is_topology(function: u32) -> bool {
    matches!(function, 0xb | 0x1f | 0x8000_001e | 0x8000_0026)
}

fn filter(entry: &mut kvm_cpuid_entry2) {
    match entry.function {
        1 => {
            entry.ecx = entry.ecx & !LEAF_1_ECX_OFF | LEAF_1_ECX_ON;
            entry.edx &= !LEAF_1_EDX_OFF;
            // APIC id 0, one logical processor; the CLFLUSH size stays.
            entry.ebx = entry.ebx & 0xff00 | 1 << 16;
        }
        // Cores and threads that share a cache: one.
        4 => entry.eax &= 0x3fff,
        0x8000_001d => entry.eax &= 0x3fff,
        7 if entry.index == 0 => {
            entry.ebx &= !LEAF_7_EBX_OFF;
            entry.ecx &= !LEAF_7_ECX_OFF;
            entry.edx &= !LEAF_7_EDX_OFF;
            // Subleaves hold AVX kinds, AMX kinds and the like.
            entry.eax = 0;
        }
        7 => (entry.eax, entry.ebx, entry.ecx, entry.edx) = (0, 0, 0, 0),
        0x8000_0001 => entry.ecx &= !EXTENDED_1_ECX_OFF,
        // Number of cores and size of the APIC id field: one core.
        0x8000_0008 => entry.ecx = 0,
        0x4000_0000 => entry.eax = entry.eax.max(device::TIMING_LEAF),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(entries: &[kvm_cpuid_entry2]) -> Vec<kvm_cpuid_entry2> {
        guest_cpuid(&CpuId::from_entries(entries).unwrap(), 2_000_000)
    }

    fn full(function: u32) -> kvm_cpuid_entry2 {
        kvm_cpuid_entry2 {
            function,
            eax: u32::MAX,
            ebx: u32::MAX,
            ecx: u32::MAX,
            edx: u32::MAX,
            ..kvm_cpuid_entry2::default()
        }
    }

    #[test]
    fn nothing_that_needs_xsave_is_offered() {
        let leaf = filtered(&[full(1)])[0];
        assert_eq!(leaf.ecx & bits(&[12, 26, 27, 28, 29]), 0);
        assert_ne!(leaf.ecx & bits(&[21, 31]), 0);
    }

    #[test]
    fn the_counter_leaf_is_gone() {
        assert!(filtered(&[full(0xa)]).iter().all(|e| e.function != 0xa));
    }

    #[test]
    fn the_timing_leaf_is_there_and_covered() {
        let leaves = filtered(&[kvm_cpuid_entry2 {
            function: 0x4000_0000,
            eax: 0x4000_0001,
            ..kvm_cpuid_entry2::default()
        }]);
        assert_eq!(leaves[0].eax, device::TIMING_LEAF);
        let timing = leaves.last().unwrap();
        assert_eq!(timing.function, device::TIMING_LEAF);
        assert_eq!((timing.eax, timing.ebx), (2_000_000, 1_000_000));
    }
}
