//! What the kernel costs, and whether that changed.
//!
//! Purpose: the list of what is measured ([`suite`]), how samples become
//! figures ([`measure`]), and what two sets of figures say about a change:
//! exact counts by equality ([`baseline`]), times by statistics ([`compare`]). Nothing here
//! knows a virtual machine: whatever can run programs and count is a [`Lab`],
//! so that all of it is tested with one that is made up. Neighbour: `harness`,
//! whose command `mayfly bench` has the real one.

pub mod baseline;
pub mod compare;
pub mod error;
pub mod functions;
pub mod lab;
pub mod measure;
pub mod report;
pub mod run;
mod statistics;
pub mod suite;

pub use error::Error;
pub use lab::{Counters, Function, Lab, Round, Task, Ticks};
pub use measure::{Exact, Measured};
pub use run::{Run, Testbed};
pub use suite::Benchmark;
