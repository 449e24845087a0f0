//! Which functions instructions were in.
//!
//! Purpose: folds the addresses that the meter kept by function, with a file and
//! the line that ran most. Neighbours: [`crate::symbols`] knows addresses;
//! [`mod@crate::budget`] and the benchmarks compare what comes out.

use std::collections::BTreeMap;

use mayfly_bench::Function;

use crate::symbols::{Frame, Kernel};

/// Instructions by function; of inlined ones, the innermost that is ours.
pub fn of_path(kernel: &mut Kernel, path: &[u64]) -> Vec<(Function, u64)> {
    let mut functions: BTreeMap<(String, String), (u64, BTreeMap<u32, u64>)> = BTreeMap::new();
    for address in path {
        let frame = kernel.function(*address);
        let key = frame.map_or_else(
            || ("unknown".into(), String::new()),
            |frame| (name(frame), frame.file.clone().unwrap_or_default()),
        );
        let line = frame.and_then(|frame| frame.line).unwrap_or(0);
        let (count, lines) = functions.entry(key).or_default();
        *count += 1;
        *lines.entry(line).or_default() += 1;
    }
    let function = |((name, file), (count, lines)): (_, (u64, BTreeMap<u32, u64>))| {
        let line = lines.into_iter().max_by_key(|(_, count)| *count);
        let line = line.map_or(0, |(line, _)| line);
        (Function { name, file, line }, count)
    };
    functions.into_iter().map(function).collect()
}

/// The name of a function, without what it is generic over. What is only a symbol
/// has an offset behind it.
fn name(frame: &Frame) -> String {
    let whole = frame.function.split("+0x").next().unwrap_or_default();
    mayfly_bench::report::flame::short(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::kernel_symbol;

    #[test]
    fn names_are_short() {
        let frame = |function: &str| Frame {
            function: function.into(),
            file: None,
            line: None,
        };
        assert_eq!(name(&frame("find<a::B, C<&[u8]>>")), "find");
        assert_eq!(name(&frame("user_enter+0x3f")), "user_enter");
    }

    #[test]
    fn addresses_are_folded_by_function() {
        let entry = kernel_symbol("syscall_entry").expect("the kernel has it");
        let found = of_path(&mut Kernel::new(), &[entry, entry, 0x10]);
        let counts: Vec<_> = found.iter().map(|(it, n)| (it.name.as_str(), *n)).collect();
        assert_eq!(counts, [("syscall_entry", 2), ("unknown", 1)]);
    }
}
