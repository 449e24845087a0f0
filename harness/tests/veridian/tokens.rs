//! The tokens that a probe starts with.
//!
//! Purpose: nobody tells a probe its tokens, for it runs no program that could
//! read its StartInfo. They are found as their layout allows (`specs/veridian.md`
//! §4.1): low slots, low serial numbers, and the kind and rights in the clear.
//! Neighbours: the tests beside this file.

use mayfly::prelude::*;

/// Object types (§4.2).
pub(crate) mod kind {
    pub(crate) const MEMORY: u64 = 0;
    pub(crate) const PROCESS: u64 = 1;
    pub(crate) const DEVICE: u64 = 5;
    pub(crate) const SPACE: u64 = 9;
}

/// Rights (§4.3).
pub(crate) mod right {
    pub(crate) const READ: u64 = 1;
    pub(crate) const WRITE: u64 = 2;
    pub(crate) const EXECUTE: u64 = 4;
    pub(crate) const GRANT: u64 = 8;
    pub(crate) const REVOKE: u64 = 0x10;
    pub(crate) const MODIFY: u64 = 0x40;
    pub(crate) const CREATE: u64 = 0x80;
}

/// Slots and serial numbers that are tried.
const SLOTS: u64 = 8;
const SERIALS: u64 = 64;

/// Finds the token of a kind that has exactly those of READ, WRITE and EXECUTE.
pub(crate) fn find(probe: &Probe<'_>, kind: u64, rights: u64) -> Result<u64> {
    for serial in 1..SERIALS {
        for slot in 1..SLOTS {
            let token = slot | serial << 16 | kind << 56 | (rights & 7) << 60;
            let call = probe.call(veridian::CAPABILITY_VALIDATE, args![token, rights])?;
            if call.result == Ok(0) {
                return Ok(token);
            }
        }
    }
    panic!("the probe has no token of kind {kind}");
}

/// The token of the probe's own capability space.
pub(crate) fn space(probe: &Probe<'_>) -> Result<u64> {
    find(probe, kind::SPACE, right::CREATE)
}

/// The console's token.
pub(crate) fn console(probe: &Probe<'_>) -> Result<u64> {
    find(probe, kind::DEVICE, right::READ | right::WRITE)
}

/// The probe's token for itself.
pub(crate) fn process(probe: &Probe<'_>) -> Result<u64> {
    find(probe, kind::PROCESS, right::READ)
}
