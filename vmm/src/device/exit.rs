//! The exit port: a write ends the machine with a code.
//!
//! Contract: [`mayfly_machine::exit`]. Narrower writes than 32 bits count too:
//! a guest that is ending should not have to be careful.

use crate::device::{Device, Effects, GuestError};
use crate::memory::Memory;

/// The exit port; it has no state.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ExitPort;

impl Device for ExitPort {
    fn read(&mut self, _: u64, _: &mut [u8], _: &mut Effects) -> Result<(), GuestError> {
        Ok(())
    }

    fn write(
        &mut self,
        _: u64,
        data: &[u8],
        _: &Memory,
        effects: &mut Effects,
    ) -> Result<(), GuestError> {
        let mut code = [0; 4];
        for (to, from) in code.iter_mut().zip(data) {
            *to = *from;
        }
        effects.exit = Some(u32::from_le_bytes(code));
        Ok(())
    }
}
