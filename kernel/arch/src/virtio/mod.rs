//! The virtio-console driver: transport, queues, ports.
//!
//! Mirrors `vmm/src/device/virtio`; also drives QEMU's `virtio-serial-device`.

pub mod console;
pub use mmio::DeviceError;

mod mmio;
mod queue;
