//! `mayfly call`: one system call.
//!
//! Purpose: makes it from ring 3 in a probe process and shows result, buffers
//! and cost. Neighbours: `words` reads the arguments.

use clap::Args;
use mayfly::prelude::Arg;
use mayfly::probe::{CallResult, number_of};
use mayfly::{Abi, BackendKind, Error, Spent, Vm, notation};

use super::exit::Exit;
use super::say::{GOOD, Say, WRONG, styled};
use super::target::{self, Target};
use super::{json, waiting, words};

pub(crate) const EXAMPLES: &str = "\
Arguments:
  42  -1  0x1000           a number
  text:/tmp/a  @/tmp/a     address of a NUL-terminated string
  in:68690a                address of these bytes, in hexadecimal
  inout:00000000           the same; shown again after the call
  out:16                   address of 16 zero bytes; shown after the call

Examples:
  mayfly call patchwork GETPID
  mayfly call patchwork write 1 text:hello 5
  mayfly call veridian IPC_ENDPOINT_CREATE out:16
  mayfly call xeneva 4";

/// Options of `mayfly call`.
#[derive(Args, Debug)]
#[group(skip)]
pub(crate) struct Options {
    /// Interface.
    #[arg(value_name = "xeneva|patchwork|veridian", value_parser = target::abi)]
    abi: Abi,
    /// Name of the call, in any case, or its number.
    call: String,
    /// Arguments: numbers, text:STRING, in:HEX, inout:HEX, out:LENGTH.
    #[arg(value_name = "ARGS", value_parser = words::parse, allow_hyphen_values = true)]
    arguments: Vec<Arg>,
    /// Count kernel instructions; this is what is done on KVM, unless --no-meter.
    #[arg(long)]
    meter: bool,
    /// Do not count kernel instructions.
    #[arg(long, conflicts_with = "meter")]
    no_meter: bool,
    #[command(flatten)]
    target: Target,
}

/// Makes the call.
pub(crate) fn run(options: &Options, say: &mut Say) -> anyhow::Result<Exit> {
    let number = match words::number(&options.call) {
        Ok(number) => number,
        Err(_) => number_of(options.abi, &options.call)?,
    };
    check_count(options.abi, number, options.arguments.len())?;
    let vm = waiting::during(say, "booting", || {
        Vm::with_options(options.target.options())
    })?;
    if say.is_json() {
        say.json("ready", json::ready(&vm))?;
    }
    let probe = vm.probe(options.abi)?;
    let mut result = probe.call(number, options.arguments.clone())?;
    say.kernel(&vm);
    if !options.no_meter && vm.backend() == BackendKind::Kvm {
        result.spent = counted(options, number)?;
        result.kernel_instr = result.spent.as_ref().map(|spent| spent.instructions);
    }
    if say.is_json() {
        let value = json::probe_call(probe.pid(), options.abi, number, &result);
        say.json("call", value)?;
        return Ok(Exit::Success);
    }
    print(options.abi, number, &result, say)?;
    if options.meter && vm.backend() != BackendKind::Kvm {
        say.note("this back end does not count instructions: --meter needs kvm");
    }
    if result.kernel_instr.is_none() && vm.backend() == BackendKind::Kvm && !options.no_meter {
        say.note("the meter did not see this call, so its instructions are not known");
    }
    Ok(Exit::Success)
}

/// Counts the call's kernel instructions on a machine of its own: counting
/// takes time, and the ticks shown should be those of the call.
fn counted(options: &Options, number: u64) -> anyhow::Result<Option<Spent>> {
    let vm = Vm::with_options(options.target.options().meter(true))?;
    let probe = vm.probe(options.abi)?;
    Ok(probe.call(number, options.arguments.clone())?.spent)
}

/// Words that the call has and the caller did not give are 0: worth an error,
/// since a call with too few arguments is rarely meant.
fn check_count(abi: Abi, number: u64, count: usize) -> anyhow::Result<()> {
    let Some(row) = abi.row(number) else {
        return Ok(());
    };
    // A Xeneva service may take fewer: text without directives has no values.
    let least = if abi == Abi::Xeneva && row.name == "SeTextOut" {
        1
    } else {
        row.arguments.len()
    };
    if count >= least {
        return Ok(());
    }
    let names: Vec<&str> = row.arguments.iter().map(|argument| argument.name).collect();
    Err(Error::Usage {
        what: format!("make {} {}", abi.name(), row.name),
        why: format!("it takes {least} arguments, not {count}"),
        remedy: format!(
            "mayfly call {} {} {}",
            abi.name(),
            row.name,
            names.join(" ").to_uppercase()
        ),
    }
    .into())
}

fn print(abi: Abi, number: u64, result: &CallResult, say: &mut Say) -> anyhow::Result<()> {
    let name = abi
        .row(number)
        .map_or_else(|| format!("call {number}"), |row| row.name.into());
    let outcome = match result.result {
        Ok(value) => styled(GOOD, notation::word(value)),
        Err(error) => styled(WRONG, error),
    };
    say.line(&format!(
        "{} {name} = {outcome}  <{}>",
        abi.name(),
        result.cost()
    ))?;
    for (index, buffer) in result.buffers.iter().enumerate() {
        for (row, bytes) in buffer.chunks(16).enumerate() {
            let title = if row == 0 {
                format!("out {index}")
            } else {
                String::new()
            };
            say.line(&format!("  {title:<6} {}", notation::dump(row * 16, bytes)))?;
        }
    }
    Ok(())
}
