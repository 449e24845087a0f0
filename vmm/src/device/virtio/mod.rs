//! Virtio 1.2: queues of guest memory that the guest may fill with anything.
//!
//! - [`mmio`]: the transport's registers, 4.2.2.
//! - [`queue`]: taking checked descriptor chains from a virtqueue, 2.7.
//! - [`console`]: the console device with its ports, 5.3.
//! - [`port`]: what waits on either side of one port.

pub(crate) mod console;
pub(crate) mod mmio;
pub(crate) mod port;
pub(crate) mod queue;

#[cfg(test)]
mod tests;
