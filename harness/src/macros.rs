//! The macros that a test body uses.
//!
//! Purpose: [`args!`](crate::args) writes the arguments of a raw call,
//! [`budget!`](crate::budget) checks its cost. Neighbours: `probe` has the
//! types that they make and read.

/// Arguments of a raw call: numbers, and the pointers that
/// [`input`](crate::probe::input), [`text`](crate::probe::text),
/// [`out`](crate::probe::out) and [`inout`](crate::probe::inout) make.
///
/// ```
/// use mayfly::prelude::*;
/// assert_eq!(args![1, input("hi"), 2].len(), 3);
/// assert!(args![].is_empty());
/// ```
#[macro_export]
macro_rules! args {
    ($($argument:expr),* $(,)?) => {
        ::std::vec::Vec::<$crate::probe::Arg>::from([
            $( $crate::probe::Arg::from($argument) ),*
        ])
    };
}

/// Fails the test when a call cost more than it may, and names the functions that
/// grew since they were agreed on ([`mod@crate::budget`]).
///
/// A machine that cannot count (QEMU) gives no number; where `MAYFLY_BACKEND`
/// says so, the check says on standard error that it is not applicable, and
/// passes. On KVM it fails without a number: nothing was metered.
///
/// ```
/// # let call = mayfly::probe::CallResult {
/// #     value: 0, result: Ok(0), ticks: 0, kernel_instr: Some(61), spent: None, buffers: vec![],
/// # };
/// mayfly::budget!(call, kernel_instr <= 64);
/// ```
#[macro_export]
macro_rules! budget {
    ($result:expr, kernel_instr <= $most:expr) => {
        if let ::std::result::Result::Err(report) = $crate::budget::check(
            $crate::budget::Place {
                package: ::std::env!("CARGO_MANIFEST_DIR"),
                module: ::std::module_path!(),
                what: ::std::stringify!($result),
                file: ::std::file!(),
                line: ::std::line!(),
            },
            $result.kernel_instr,
            $most,
            $result.spent.as_ref(),
        ) {
            ::std::panic!("{report}");
        }
    };
}
