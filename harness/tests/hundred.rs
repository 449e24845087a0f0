//! A hundred tests that do next to nothing: what a microVM for each costs.
//!
//! `cargo test -p mayfly --test hundred` says at its end how long they took
//! together. Neighbours: `mayfly bench machine/tests` does the same without the
//! test harness.

use mayfly::prelude::*;

/// Modules by those names, with ten tests in each.
macro_rules! tens {
    ($($ten:ident)*) => {
        $(mod $ten {
            tests!(a b c d e f g h i j);
        })*
    };
}

/// Tests by those names.
macro_rules! tests {
    ($($name:ident)*) => {
        $(#[mayfly::test]
        fn $name(vm: mayfly::Vm) -> mayfly::Result<()> {
            crate::trivial(&vm)
        })*
    };
}

tens!(a b c d e f g h i j);

/// A machine of its own answers a call.
fn trivial(vm: &Vm) -> Result<()> {
    let call = vm.probe(Abi::Patchwork)?.call(patchwork::GETPID, args![])?;
    assert!(call.result.is_ok(), "{:?}", call.result);
    Ok(())
}
