//! The kernel as a whole, directed through the fake machine.
//!
//! - `ends`: every way a process ends gives back all it had.
//! - `turns`: whose turn it is; sleeping and waking.

mod ends;
mod turns;
