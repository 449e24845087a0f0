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

/// A number with its thousands apart: `1,234`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
