//! The console behind its transport, driven by a hand-made driver.
//!
//! - [`driver`]: the driver: registers, rings and buffers in guest memory.
//! - [`well_behaved`]: start-up, control messages, bytes both ways.
//! - [`garbage`]: everything a guest can put into rings and registers.

#![expect(
    clippy::cast_possible_truncation,
    reason = "registers and rings take halves and words of constants"
)]

mod driver;
mod garbage;
mod well_behaved;
