//! A run in the formats that other tools read, and as a page.
//!
//! - [`exchange`]: Bencher metric format, github-action-benchmark, CSV for Otava.
//! - [`flame`]: where instructions went, as a picture.
//! - [`markdown`]: the summary of a CI step.
//! - [`html`]: one page with plots and tables that sort, without a network.

pub mod exchange;
pub mod flame;
pub mod html;
pub mod markdown;
mod plot;
