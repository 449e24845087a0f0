//! The kernel as a whole, directed through the fake machine.
//!
//! - `spawn`: new processes, and what cannot become one.
//! - `children`: processes that processes make.
//! - `ends`: every way a process ends gives back all it had.
//! - `turns`: whose turn it is; sleeping and waking.
//! - `ipc`: messages between processes.
//! - `probes`: raw calls that the host asks for. `mailbox`: those that it puts
//!   in place itself.

mod children;
mod ends;
mod ipc;
mod mailbox;
mod probes;
mod spawn;
mod turns;
