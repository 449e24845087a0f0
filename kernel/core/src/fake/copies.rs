//! User memory of the running space, on the fake machine.

use super::{FakeMachine, Ram};
use crate::port::{CopyFault, PAGE_BYTES, PAGE_SIZE, PageFrame, USER_END};

impl FakeMachine {
    /// The frame behind a user page, if the running space lets ring 3 do so.
    fn user_page(&self, address: u64, write: bool) -> Option<PageFrame> {
        let running = self
            .running
            .as_ref()
            .expect("user memory needs a loaded space");
        let state = running.borrow();
        let (frame, access) = state.pages.get(&(address & !(PAGE_SIZE - 1)))?;
        (access.write || (access.read && !write)).then_some(*frame)
    }

    /// Goes through a user range page by page: frame, offset in it, and range of the copy.
    pub(super) fn user_copy(
        &mut self,
        address: u64,
        length: usize,
        write: bool,
        mut page: impl FnMut(&mut Ram, PageFrame, usize, core::ops::Range<usize>),
    ) -> Result<(), CopyFault> {
        assert!(
            address + length as u64 <= USER_END,
            "a copy leaves the user half"
        );
        let mut done = 0;
        while done < length {
            let at = address + done as u64;
            let Some(frame) = self.user_page(at, write) else {
                let copied = if self.whole_words { done & !7 } else { done };
                return Err(CopyFault {
                    address: at,
                    copied,
                });
            };
            let offset = (at % PAGE_SIZE) as usize;
            let end = length.min(done + PAGE_BYTES - offset);
            page(&mut self.ram.borrow_mut(), frame, offset, done..end);
            done = end;
        }
        Ok(())
    }
}
