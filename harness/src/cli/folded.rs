//! Where a program's kernel instructions went, as folded stacks.
//!
//! Purpose: `mayfly trace --folded` prints a line for each place, as flame graph
//! tools read them: process, call, functions from the outermost to the innermost
//! inlined one, and how many instructions. The counts are exact. Neighbours:
//! `trace` prints them, `run` has the options of the machine.

use std::collections::BTreeMap;

use mayfly::symbols::Kernel;
use mayfly::{Abi, Output, Visit};

/// The lines, in the order of their text.
pub(super) fn lines(output: &Output) -> Vec<String> {
    let mut kernel = Kernel::new();
    let mut stacks: BTreeMap<String, u64> = BTreeMap::new();
    for visit in output.visits() {
        let begun = format!("{};{}", process(output, visit), cause(output.abi(), visit));
        for address in &visit.path {
            let mut stack = begun.clone();
            for frame in kernel.frames(*address).iter().rev() {
                stack.push(';');
                let name = frame.function.split("+0x").next().unwrap_or_default();
                stack.push_str(&name.replace(';', ","));
            }
            *stacks.entry(stack).or_default() += 1;
        }
    }
    let line = |(stack, count): (String, u64)| format!("{stack} {count}");
    stacks.into_iter().map(line).collect()
}

/// Whose stay it was.
fn process<'a>(output: &'a Output, visit: &Visit) -> &'a str {
    match visit.root == output.root() {
        true => output.program(),
        false => "others",
    }
}

/// What the stay began with.
fn cause(abi: Option<Abi>, visit: &Visit) -> String {
    match (visit.is_call, abi, visit.vector) {
        (true, Some(abi), _) => {
            let number = visit.number(abi);
            let row = abi.row(number);
            row.map_or_else(|| format!("call {number}"), |row| row.name.into())
        }
        (_, _, Some(14)) => "page fault".into(),
        (_, _, Some(vector)) => format!("vector {vector}"),
        _ => "kernel".into(),
    }
}
