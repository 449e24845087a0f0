//! Messages: what the host asks and what the guest tells.
//!
//! Enum variants are numbered by their order (postcard): append, never
//! reorder. An ABI travels as the code of `mayfly_abi::Abi`. Times are raw TSC
//! values of the guest; `Ready` gives their rate.

mod event;
mod request;

pub use event::*;
pub use request::*;
