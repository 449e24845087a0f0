//! Frames of the fake machine: numbers that never come again.
//!
//! Neighbours: the parent gives them to tables, `objects` to objects.

use super::FakeMachine;
use super::tables::TablesState;
use crate::port::{NoFrames, PAGE_BYTES, PageFrame};

impl FakeMachine {
    /// Frames in use.
    pub fn frames_used(&self) -> u64 {
        self.ram.borrow().pages.len() as u64 - self.objects.dead.count()
    }

    pub(super) fn allocate(
        &mut self,
        state: &mut TablesState,
        fill: u8,
    ) -> Result<PageFrame, NoFrames> {
        let frame = self.new_frame(fill)?;
        state.owned.insert(frame);
        Ok(frame)
    }

    pub(super) fn new_frame(&mut self, fill: u8) -> Result<PageFrame, NoFrames> {
        if self.frames_used() >= self.total || self.allocations_left == 0 {
            return Err(NoFrames);
        }
        self.allocations_left -= 1;
        let mut ram = self.ram.borrow_mut();
        ram.last += 1;
        let frame = PageFrame(ram.last);
        ram.pages.insert(frame, Box::new([fill; PAGE_BYTES]));
        Ok(frame)
    }
}
