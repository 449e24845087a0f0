//! Interrupts: the local APIC with its timer, and the IOAPIC.
//!
//! Handlers only mark ([`take`]); the kernel loop acts. The kernel runs with
//! interrupts off but in [`wait`] and [`admit`], and in ring 3.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use x86_64::instructions::interrupts;
use x86_64::registers::model_specific::{ApicBase, Msr};

use mayfly_machine::layout;

use crate::direct;

/// Vector of the timer.
const TIMER: u32 = 32;
/// Vector of device interrupts.
const DEVICE: u32 = 33;
/// Vector of interrupts that were withdrawn.
const SPURIOUS: u32 = 34;

/// What came in since [`take`] was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// The timer fired.
    pub timer: bool,
    /// A device interrupted.
    pub device: bool,
}

static PENDING: AtomicU32 = AtomicU32::new(0);
static X2APIC: AtomicBool = AtomicBool::new(false);

/// Registers of the local APIC: offset in the xAPIC page; MSR 0x800 + offset / 16.
mod register {
    pub(super) const EOI: u32 = 0xb0;
    pub(super) const SPURIOUS: u32 = 0xf0;
    /// Requests of vectors 32 to 63.
    pub(super) const REQUESTED: u32 = 0x210;
    pub(super) const TIMER: u32 = 0x320;
    pub(super) const INITIAL: u32 = 0x380;
    pub(super) const CURRENT: u32 = 0x390;
    pub(super) const DIVIDE: u32 = 0x3e0;
}

/// Switches the local APIC on.
pub fn initialise() {
    let x2apic = core::arch::x86_64::__cpuid(1).ecx >> 21 & 1 == 1;
    if x2apic {
        X2APIC.store(true, Ordering::Relaxed);
        let (frame, flags) = ApicBase::read();
        let on = flags
            | x86_64::registers::model_specific::ApicBaseFlags::LAPIC_ENABLE
            | x86_64::registers::model_specific::ApicBaseFlags::X2APIC_ENABLE;
        // SAFETY: keeps the base and enables x2APIC, which CPUID offers.
        unsafe { ApicBase::write(frame, on) };
    }
    write(register::SPURIOUS, 0x100 | SPURIOUS);
    write(register::DIVIDE, 0b1011);
    write(register::TIMER, TIMER);
}

/// Counts the timer down from `count` (its own clock), then interrupts; 0 stops it.
pub(crate) fn arm(count: u32) {
    write(register::INITIAL, count);
}

/// What is left of the timer's count.
pub(crate) fn remaining() -> u32 {
    read(register::CURRENT)
}

/// Routes an interrupt line (GSI) to the device vector, edge-triggered.
pub fn route(gsi: u32) {
    let select = direct::<u32>(layout::IOAPIC_BASE);
    let window = direct::<u32>(layout::IOAPIC_BASE + 0x10);
    for (index, value) in [(0x11 + 2 * gsi, 0), (0x10 + 2 * gsi, DEVICE)] {
        // SAFETY: the IOAPIC's select register, mapped uncached in the direct map.
        unsafe { select.write_volatile(index) };
        // SAFETY: the IOAPIC's data window; the entry gets a valid redirection.
        unsafe { window.write_volatile(value) };
    }
}

/// Marks what interrupt `vector` says and ends it; false if it is none of ours.
pub(crate) fn acknowledge(vector: u64) -> bool {
    let mark = match u32::try_from(vector).unwrap_or(0) {
        TIMER => 1,
        DEVICE => 2,
        SPURIOUS => return true,
        _ => return false,
    };
    // Plain load and store: nothing else runs in between on one processor.
    PENDING.store(PENDING.load(Ordering::Relaxed) | mark, Ordering::Relaxed);
    write(register::EOI, 0);
    true
}

/// What came in since the last time.
pub fn take() -> Pending {
    let marks = PENDING.load(Ordering::Relaxed);
    PENDING.store(0, Ordering::Relaxed);
    Pending {
        timer: marks & 1 != 0,
        device: marks & 2 != 0,
    }
}

/// Lets interrupts come in that wait; they are marked.
pub fn admit() {
    // A processor that is emulated may look at them only when it sleeps.
    while read(register::REQUESTED) != 0 {
        interrupts::enable_and_hlt();
        interrupts::disable();
    }
}

/// Sleeps until an interrupt came in, unless one is marked already.
pub fn wait() {
    while PENDING.load(Ordering::Relaxed) == 0 {
        interrupts::enable_and_hlt();
        interrupts::disable();
    }
}

fn write(register: u32, value: u32) {
    if X2APIC.load(Ordering::Relaxed) {
        // SAFETY: an x2APIC register that this file knows; see `initialise`.
        unsafe { Msr::new(0x800 + (register >> 4)).write(u64::from(value)) };
    } else {
        let address = direct::<u32>(layout::LAPIC_BASE + u64::from(register));
        // SAFETY: the xAPIC page, mapped uncached in the direct map.
        unsafe { address.write_volatile(value) };
    }
}

fn read(register: u32) -> u32 {
    if X2APIC.load(Ordering::Relaxed) {
        // SAFETY: an x2APIC register that this file knows; reading changes nothing.
        let value = unsafe { Msr::new(0x800 + (register >> 4)).read() };
        (value & 0xffff_ffff) as u32
    } else {
        let address = direct::<u32>(layout::LAPIC_BASE + u64::from(register));
        // SAFETY: the xAPIC page, mapped uncached in the direct map.
        unsafe { address.read_volatile() }
    }
}
