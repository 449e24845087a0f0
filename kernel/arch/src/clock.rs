//! Time: the TSC as nanoseconds, and deadlines for the timer.

use core::arch::x86_64::{__cpuid, _rdtsc};

use mayfly_machine::device::{LAPIC_TIMER_KHZ, TIMING_LEAF};

use crate::apic;

/// Hypervisor leaves start here.
const HYPERVISOR_LEAF: u32 = 0x4000_0000;
/// Timer counts that calibration takes: 2 ms.
const CALIBRATION: u32 = LAPIC_TIMER_KHZ * 2;

/// Readings of which one is chosen.
const READINGS: u32 = 8;

/// The time base.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    base_tsc: u64,
    /// Nanoseconds in a tick, in units of 2^-32.
    scale: u64,
    tsc_khz: u32,
    timer_khz: u32,
}

/// Raw time stamp counter.
pub fn ticks() -> u64 {
    // SAFETY: RDTSC has no side effects.
    unsafe { _rdtsc() }
}

impl Clock {
    /// A clock whose zero is the TSC value `base_tsc`. Rates come from the
    /// machine's timing leaf; without it the TSC is measured against the timer.
    pub fn new(base_tsc: u64) -> Self {
        let (tsc_khz, timer_khz) = timing_leaf().unwrap_or_else(calibrate);
        Self {
            base_tsc,
            scale: (1_000_000 << 32) / u64::from(tsc_khz),
            tsc_khz,
            timer_khz,
        }
    }

    /// Ticks since the base: what [`Clock::resume`] needs.
    pub fn elapsed(&self) -> u64 {
        self.elapsed_at(ticks())
    }

    /// Ticks from the base to the moment that is `ticks`.
    pub(crate) fn elapsed_at(&self, ticks: u64) -> u64 {
        ticks.wrapping_sub(self.base_tsc)
    }

    /// Goes on as if only `elapsed` ticks had passed since the base.
    pub fn resume(&mut self, elapsed: u64) {
        self.base_tsc = ticks().wrapping_sub(elapsed);
    }

    /// Goes on as if so many ticks had not passed.
    pub(crate) fn skip(&mut self, ticks: u64) {
        self.base_tsc = self.base_tsc.wrapping_add(ticks);
    }

    /// TSC rate.
    pub fn tsc_khz(&self) -> u32 {
        self.tsc_khz
    }

    /// Nanoseconds since the base.
    pub fn now(&self) -> u64 {
        self.nanoseconds(self.elapsed())
    }

    /// How long so many ticks are, in nanoseconds.
    pub fn nanoseconds(&self, ticks: u64) -> u64 {
        let nanoseconds = (u128::from(ticks) * u128::from(self.scale)) >> 32;
        u64::try_from(nanoseconds).unwrap_or(u64::MAX)
    }

    /// Sets the timer to `deadline`, or off. A deadline beyond the timer's
    /// range fires early; whoever asked then asks again.
    pub fn arm(&self, deadline: Option<u64>) {
        let Some(deadline) = deadline else {
            return apic::arm(0);
        };
        let ahead = deadline.saturating_sub(self.now()).min(1 << 32);
        let count = ahead * u64::from(self.timer_khz) / 1_000_000;
        apic::arm(u32::try_from(count).unwrap_or(u32::MAX).max(1));
    }
}

fn timing_leaf() -> Option<(u32, u32)> {
    let present = __cpuid(1).ecx >> 31 == 1 && __cpuid(HYPERVISOR_LEAF).eax >= TIMING_LEAF;
    let leaf = present.then(|| __cpuid(TIMING_LEAF))?;
    (leaf.eax != 0 && leaf.ebx != 0).then_some((leaf.eax, leaf.ebx))
}

/// Measures the TSC against the local APIC timer, whose rate KVM and QEMU fix.
#[cold]
fn calibrate() -> (u32, u32) {
    apic::arm(u32::MAX);
    let (start, first) = moment();
    while apic::remaining() > first.saturating_sub(CALIBRATION) {
        core::hint::spin_loop();
    }
    let (end, last) = moment();
    apic::arm(0);
    let counts = u64::from(first.saturating_sub(last).max(1));
    let khz = (end - start) * u64::from(LAPIC_TIMER_KHZ) / counts;
    (
        u32::try_from(khz).unwrap_or(u32::MAX).max(1),
        LAPIC_TIMER_KHZ,
    )
}

/// The TSC and the timer at one moment: of several readings that which took
/// least, because a host may run something else in the middle of one.
fn moment() -> (u64, u32) {
    let reading = || {
        let before = ticks();
        let remaining = apic::remaining();
        (ticks() - before, before, remaining)
    };
    let best = (0..READINGS).map(|_| reading()).min();
    best.map_or((0, 0), |(_, ticks, remaining)| (ticks, remaining))
}
