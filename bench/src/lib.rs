//! Benchmarks of the kernel and of the way to it.
//!
//! Purpose: the figures that the project's goals are stated in, measured by
//! code that anyone can run (`cargo bench -p mayfly-bench`). Counts of
//! kernel instructions are exact; times are of this host and this moment.
//! Neighbour: `harness`, whose public face is all that is used here.
//!
//! - [`suite`]: what is measured. [`sample`]: how samples become figures.

pub mod sample;
pub mod suite;

pub use sample::{Benchmark, Times};
