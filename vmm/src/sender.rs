//! Handles for other threads: bytes into a machine, and its run to an end.
//!
//! Both may outlive the machine; they then do nothing. Neighbours: `shared`
//! does the work, [`crate::Vm`] hands them out.

use std::sync::{Arc, Weak};

use crate::Error;
use crate::device::virtio::port::Port;
use crate::shared::Shared;

/// Sends to a machine's ports while its vCPU runs or sleeps.
#[derive(Clone)]
pub struct Sender {
    shared: Weak<Shared>,
    input_max: usize,
}

impl Sender {
    pub(crate) fn new(shared: &Arc<Shared>, input_max: usize) -> Self {
        Self {
            shared: Arc::downgrade(shared),
            input_max,
        }
    }

    /// Queues `bytes` for the guest and interrupts it.
    pub fn send(&self, port: Port, bytes: &[u8]) -> Result<(), Error> {
        let shared = self.shared.upgrade().ok_or(Error::Gone)?;
        send(&shared, port, bytes, self.input_max)
    }

    /// Makes the run that is under way, or the next, return
    /// [`crate::Stop::Interrupted`].
    pub fn wake(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.kick.request();
        }
    }
}

/// Makes [`crate::Vm::run`] return [`crate::Stop::Interrupted`].
#[derive(Clone)]
pub struct Interrupter(Sender);

impl Interrupter {
    pub(crate) fn new(sender: Sender) -> Self {
        Self(sender)
    }

    /// Interrupts the run that is under way, or else the next.
    pub fn interrupt(&self) {
        self.0.wake();
    }
}

/// Queues bytes, unless the guest leaves too many untaken.
pub(crate) fn send(shared: &Shared, port: Port, bytes: &[u8], max: usize) -> Result<(), Error> {
    let waiting = shared.devices().bus.console.waiting(port) + bytes.len();
    if waiting > max {
        return Err(Error::InputFull {
            bytes: waiting,
            max,
        });
    }
    shared.send(port, bytes);
    Ok(())
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Interrupter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interrupter").finish_non_exhaustive()
    }
}
