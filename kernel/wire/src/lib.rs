//! The protocol between a guest kernel and the host that tests it.
//!
//! Purpose: everything that crosses `mayfly.control` and `mayfly.trace`.
//! Messages are `postcard`, in frames of a 32-bit little-endian length and a
//! body ([`frame`]); the guest needs no allocation to read or write one. The
//! host speaks first with [`message::Request::Hello`] only to check versions;
//! the guest announces itself with [`message::Event::Ready`] unasked. All that
//! either side sends is small or was asked for; only standard input is as long
//! as it likes, and flows as the guest gives room ([`message::Event::InputRoom`]).
//! Neighbours: the kernel's agent below, `harness` above. Another kernel can
//! embed the same side: nothing here names a system call or an object of ours.

#![no_std]
#![forbid(unsafe_code)]

pub mod frame;
pub mod message;
pub mod output;
pub mod terminal;
pub mod trace;

/// Version of the protocol; both sides must have the same.
pub const VERSION: u16 = 4;

/// Largest body of a frame on the control port, in bytes. A longer one is a
/// protocol error on either side.
pub const BODY_MAX: usize = 64 << 10;

/// The frame of [`message::Event::Called`].
pub const CALLED: [u8; 5] = [1, 0, 0, 0, 18];
