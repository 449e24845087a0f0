//! A machine's client, which its handles have in common.
//!
//! One thread at a time has it, and the others wait. Whoever is called back while
//! a machine is waited on would wait for itself: that is told, and does not hang.
//! Neighbours: `microvm` and `terminal` have one.

use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Client;

/// No thread.
const NOBODY: usize = 0;

/// A client for one thread at a time.
pub(crate) struct Shared {
    client: Mutex<Client>,
    /// The thread that has it.
    holder: AtomicUsize,
}

/// The client, until this is dropped.
pub(crate) struct Held<'a> {
    client: MutexGuard<'a, Client>,
    holder: &'a AtomicUsize,
}

impl Shared {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client: Mutex::new(client),
            holder: AtomicUsize::new(NOBODY),
        }
    }

    /// The client, also when a panic came in between: it is plain data.
    ///
    /// # Panics
    /// When this thread has it.
    pub(crate) fn lock(&self) -> Held<'_> {
        let this = this_thread();
        // Only this thread writes its own number.
        assert!(
            self.holder.load(Ordering::Relaxed) != this,
            "a machine was asked by what it calls back while it is waited on: \
             keep there what you need, and ask when the wait is over"
        );
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        self.holder.store(this, Ordering::Relaxed);
        Held {
            client,
            holder: &self.holder,
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.holder.store(NOBODY, Ordering::Relaxed);
    }
}

impl Deref for Held<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

/// A number that no other thread has while this one lives.
fn this_thread() -> usize {
    thread_local! {
        static PLACE: u8 = const { 0 };
    }
    PLACE.with(|place| ptr::from_ref(place).addr())
}
