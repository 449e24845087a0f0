//! A run in the formats that other tools read, and as a page.
//!
//! - [`exchange`]: Bencher metric format, github-action-benchmark, CSV for Otava.
//! - [`markdown`]: the summary of a CI step.
//! - [`html`]: one page with plots and tables that sort, without a network.

pub mod exchange;
pub mod html;
pub mod markdown;
mod plot;
