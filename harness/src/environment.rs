//! Variables of the environment; one that is empty is as good as none.
//!
//! Neighbours: everybody who reads a `MAYFLY_` variable.

use std::env;
use std::ffi::OsString;

/// The value of a variable.
pub(crate) fn value(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// The same as text. What is no UTF-8 is seen to be none, and refused as any
/// other wrong word.
pub(crate) fn text(name: &str) -> Option<String> {
    value(name).map(|value| value.to_string_lossy().into_owned())
}
