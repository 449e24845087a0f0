//! Futexes: threads that wait on a word of their process's memory.
//!
//! A futex is an address of a process; it exists while somebody waits there.
//! A wake-up wakes all of them: PatchworkOS's mutex is lost otherwise
//! (specs/patchwork.md §7).

use alloc::vec::Vec;

use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::thread::{ThreadKey, Wait};
use crate::object::wait::Entry;
use crate::port::{Machine, Port};
use crate::user;

/// Lists that the waiters of a process are spread over.
const LISTS: usize = 16;
/// Waiters that an empty list keeps room for.
const KEPT: usize = 8;

/// The threads of a process that wait on addresses.
#[derive(Debug, Default)]
pub struct Futexes {
    /// None until somebody waits; then as many as [`LISTS`].
    lists: Vec<Vec<Waiter>>,
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    address: u64,
    entry: Entry,
}

impl Futexes {
    /// Enters a thread that waits at an address.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub fn enter(&mut self, address: u64, entry: Entry) -> Result<(), KernelError> {
        if self.lists.is_empty() {
            self.lists.resize_with(LISTS, Vec::new);
        }
        let list = &mut self.lists[list_of(address)];
        list.try_reserve(1)?;
        list.push(Waiter { address, entry });
        Ok(())
    }

    /// Takes everyone who waits at an address, first come first.
    pub fn take(&mut self, address: u64, mut each: impl FnMut(Entry)) {
        self.retain(address, |waiter| {
            let stays = waiter.address != address;
            if !stays {
                each(waiter.entry);
            }
            stays
        });
    }

    /// Takes out a thread that waits at an address no more.
    pub fn leave(&mut self, address: u64, thread: ThreadKey) {
        self.retain(address, |waiter| waiter.entry.thread != thread);
    }

    fn retain(&mut self, address: u64, stays: impl FnMut(&Waiter) -> bool) {
        let Some(list) = self.lists.get_mut(list_of(address)) else {
            return;
        };
        list.retain(stays);
        if list.is_empty() && list.capacity() > KEPT {
            *list = Vec::new();
        }
    }
}

/// The list for an address: words that are near each other have different ones.
fn list_of(address: u64) -> usize {
    (address >> 3) as usize % LISTS
}

/// Waits until the word at `address` is woken, if it still is `value`, for
/// `timeout` nanoseconds; for ever with `u64::MAX`.
///
/// # Errors
/// [`KernelError::Changed`], and those of [`user::read_word`].
pub fn wait<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    address: u64,
    value: u64,
    timeout: u64,
) -> Result<Flow, KernelError> {
    let machine = &mut kernel.machine;
    let word = user::read_word(machine, &mut running.process.space, address)?;
    if word != value {
        return Err(KernelError::Changed);
    }
    let end = machine.now().checked_add(timeout);
    let deadline = end.filter(|_| timeout != u64::MAX);
    let flow = running.park(Wait::Futex { address }, deadline);
    let entry = running.entry();
    if let Err(error) = running.process.futexes.enter(address, entry) {
        running.thread.wait = None;
        return Err(error);
    }
    Ok(flow)
}

/// The end of a wait.
///
/// # Errors
/// [`KernelError::TimedOut`], [`KernelError::Interrupted`].
pub fn woken<P: Port>(running: &mut Running<P>, address: u64) -> Result<(), KernelError> {
    let thread = &mut running.thread;
    let error = if core::mem::take(&mut thread.timed_out) {
        KernelError::TimedOut
    } else if core::mem::take(&mut thread.interrupted) {
        KernelError::Interrupted
    } else {
        return Ok(());
    };
    running.process.futexes.leave(address, thread.key);
    Err(error)
}

/// Wakes everyone who waits at an address of the running process; says how
/// many that were.
pub fn wake<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>, address: u64) -> u64 {
    let mut count = 0;
    running.process.futexes.take(address, |entry| {
        count += u64::from(kernel.wake_entry(entry));
    });
    count
}
