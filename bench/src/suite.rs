//! What is measured: a line for each benchmark.
//!
//! Names are those of lmbench (`lat_*`) and perf bench (`futex/wake`) where they
//! have one, behind the interface that is measured. Neighbours: [`crate::measure`]
//! runs these, the `costs` programs of `user` do the operations.

use crate::error::Error;
use crate::lab::Task;

/// A benchmark.
#[derive(Clone, Copy, Debug)]
pub struct Benchmark {
    /// Its name, `interface/group/operation`.
    pub name: &'static str,
    /// What is done.
    pub what: What,
    /// How often, for times of one boot.
    pub rounds: u32,
}

/// What a benchmark does.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// An operation of a guest program.
    Operation {
        /// The program.
        program: &'static str,
        /// Its first argument.
        operation: &'static str,
    },
    /// Something with a whole machine.
    Task(Task),
}

/// Rounds of what takes a fraction of a millisecond where ring 0 is emulated.
const QUICK: u32 = 60;
/// Rounds of what takes a few milliseconds there.
const SLOW: u32 = 12;
/// Machines made, for times of one boot.
const MACHINES: u32 = 8;
/// The same of what takes long.
const FEW: u32 = 3;

const fn guest(
    name: &'static str,
    program: &'static str,
    operation: &'static str,
    rounds: u32,
) -> Benchmark {
    Benchmark {
        name,
        what: What::Operation { program, operation },
        rounds,
    }
}

const fn xeneva(name: &'static str, operation: &'static str, rounds: u32) -> Benchmark {
    guest(name, "xeneva-costs", operation, rounds)
}

const fn patchwork(name: &'static str, operation: &'static str, rounds: u32) -> Benchmark {
    guest(name, "patchwork-costs", operation, rounds)
}

const fn veridian(name: &'static str, operation: &'static str, rounds: u32) -> Benchmark {
    guest(name, "veridian-costs", operation, rounds)
}

const fn machine(name: &'static str, task: Task) -> Benchmark {
    Benchmark {
        name,
        what: What::Task(task),
        rounds: MACHINES,
    }
}

const fn few(name: &'static str, task: Task) -> Benchmark {
    Benchmark {
        rounds: FEW,
        ..machine(name, task)
    }
}

/// What all times of machines are compared with: the least that the host can do.
pub const FLOOR: &str = "machine/fork/floor";

/// What is timed without a kernel of ours, to tell how the host is: times of these
/// are no verdict on a kernel.
const OF_HOST: [&str; 3] = [FLOOR, "machine/ring0/instruction", "machine/run/nothing"];

/// It has no kernel of ours in it, and tells how the host is.
pub fn is_of_host(name: &str) -> bool {
    OF_HOST.contains(&name)
}

/// What a benchmark's samples are.
pub fn unit(name: &str) -> &'static str {
    match name.starts_with("machine/memory/") {
        true => "bytes",
        false => "ticks",
    }
}

/// All of them, in the order in which they are run and shown.
pub const ALL: &[Benchmark] = &[
    machine("machine/ring0/instruction", Task::Instruction),
    machine("machine/boot/kernel", Task::Boot),
    machine("machine/boot/cold", Task::Cold),
    machine("machine/boot/hello", Task::ColdHello),
    machine("machine/boot/destroy", Task::Destroy),
    machine("machine/fork/floor", Task::Floor),
    machine("machine/fork/machine", Task::Fork),
    machine("machine/fork/ping", Task::ForkPing),
    machine("machine/fork/call", Task::ForkCall),
    machine("machine/fork/hello", Task::ForkHello),
    machine("machine/fork/sibling", Task::Sibling),
    machine("machine/fork/rate", Task::ForkRate),
    machine("machine/reset/ping", Task::Reset),
    machine("machine/reset/call", Task::ResetCall),
    machine("machine/reset/rate", Task::ResetRate),
    machine("machine/run/nothing", Task::Process),
    machine("machine/run/cached", Task::RunCached),
    machine("machine/run/cold", Task::RunCold),
    few("machine/tests/hundred", Task::Tests),
    few("machine/memory/process", Task::Footprint),
    xeneva("xeneva/lat_syscall/null", "null", QUICK),
    xeneva("xeneva/lat_syscall/getid", "getid", QUICK),
    xeneva("xeneva/lat_syscall/read", "read", QUICK),
    xeneva("xeneva/lat_syscall/write", "write", QUICK),
    xeneva("xeneva/lat_syscall/open", "open", QUICK),
    xeneva("xeneva/lat_fs/write_4k", "file", QUICK),
    xeneva("xeneva/lat_pagefault/anonymous", "fault", QUICK),
    xeneva("xeneva/lat_mmap/4k", "mmap-4k", QUICK),
    xeneva("xeneva/lat_mmap/1m", "mmap-1m", QUICK),
    xeneva("xeneva/lat_shm/attach", "shm", SLOW),
    xeneva("xeneva/lat_shm/attach_1m", "handover-1m", SLOW),
    xeneva("xeneva/lat_sig/wake", "wake", SLOW),
    xeneva("xeneva/lat_thread/create_join", "thread", SLOW),
    xeneva("xeneva/lat_proc/spawn", "spawn", SLOW),
    patchwork("patchwork/lat_syscall/null", "null", QUICK),
    patchwork("patchwork/lat_syscall/getid", "getid", QUICK),
    patchwork("patchwork/lat_syscall/clock", "clock", QUICK),
    patchwork("patchwork/lat_syscall/read", "read", QUICK),
    patchwork("patchwork/lat_syscall/write", "write", QUICK),
    patchwork("patchwork/lat_syscall/stat", "stat", QUICK),
    patchwork("patchwork/lat_syscall/open", "open", QUICK),
    patchwork("patchwork/lat_fs/rewrite_2k", "file", QUICK),
    patchwork("patchwork/lat_fs/getdents_16", "directory", QUICK),
    patchwork("patchwork/lat_ctx/threads", "yield-threads", QUICK),
    patchwork("patchwork/lat_ctx/processes", "yield-processes", QUICK),
    patchwork("patchwork/lat_pipe/1", "pipe-1", SLOW),
    patchwork("patchwork/lat_pipe/2048", "pipe-2048", SLOW),
    patchwork("patchwork/lat_unix/1", "socket-1", SLOW),
    patchwork("patchwork/lat_unix/4096", "socket-4096", SLOW),
    patchwork("patchwork/futex/wake", "futex", QUICK),
    patchwork("patchwork/lat_pagefault/anonymous", "fault", QUICK),
    patchwork("patchwork/lat_mmap/4k", "mmap-4k", QUICK),
    patchwork("patchwork/lat_mmap/1m", "mmap-1m", QUICK),
    patchwork("patchwork/lat_mprotect/4k", "mprotect", QUICK),
    patchwork("patchwork/lat_shm/attach", "shm", SLOW),
    patchwork("patchwork/lat_shm/handover_1m", "handover-1m", SLOW),
    patchwork("patchwork/lat_thread/create_join", "thread", SLOW),
    patchwork("patchwork/lat_proc/spawn", "spawn", SLOW),
    veridian("veridian/lat_syscall/null", "null", QUICK),
    veridian("veridian/lat_syscall/clock", "clock", QUICK),
    veridian("veridian/lat_ctx/threads", "yield-threads", QUICK),
    veridian("veridian/lat_ctx/processes", "yield-processes", QUICK),
    veridian("veridian/lat_ipc/send_8", "send-8", QUICK),
    veridian("veridian/lat_ipc/send_4096", "send-4096", QUICK),
    veridian("veridian/lat_ipc/call_threads", "call-threads", SLOW),
    veridian("veridian/lat_ipc/call_8", "call-8", SLOW),
    veridian("veridian/lat_ipc/call_64", "call-64", SLOW),
    veridian("veridian/lat_ipc/call_4096", "call-4096", SLOW),
    veridian("veridian/lat_pagefault/anonymous", "fault", QUICK),
    veridian("veridian/lat_mmap/4k", "mmap-4k", QUICK),
    veridian("veridian/lat_mmap/1m", "mmap-1m", QUICK),
    veridian("veridian/lat_mmap/page", "mmap-page", QUICK),
    veridian("veridian/lat_mprotect/4k", "mprotect", QUICK),
    veridian("veridian/lat_shm/attach", "shm", SLOW),
    veridian("veridian/lat_shm/handover_1m", "handover-1m", SLOW),
    veridian("veridian/capability/validate", "validate", QUICK),
    veridian("veridian/capability/derive_revoke", "derive-revoke", QUICK),
    veridian("veridian/capability/transfer", "transfer", QUICK),
    veridian("veridian/lat_thread/create_join", "thread", SLOW),
    veridian("veridian/lat_proc/spawn", "spawn", SLOW),
    veridian("veridian/lat_proc/spawn_small", "spawn-small", SLOW),
];

impl Benchmark {
    /// The interface that it measures; `machine` for none.
    pub fn interface(&self) -> &'static str {
        interface(self.name)
    }

    /// It has an exact count.
    pub fn is_counted(&self) -> bool {
        matches!(self.what, What::Operation { .. } | What::Task(Task::Boot))
    }
}

/// The first part of a name.
pub fn interface(name: &str) -> &str {
    name.split('/').next().unwrap_or_default()
}

/// Those whose names contain `filter`.
///
/// # Errors
/// When there is none.
pub fn chosen(filter: &str) -> Result<Vec<&'static Benchmark>, Error> {
    let fits = |benchmark: &&Benchmark| benchmark.name.contains(filter);
    let found: Vec<_> = ALL.iter().filter(fits).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    // A name with the same last word is what was meant, most of the time.
    let last = filter.rsplit('/').next().unwrap_or_default();
    let close = |benchmark: &&Benchmark| {
        let start = last.get(..last.len().min(4)).unwrap_or(last);
        !start.is_empty() && benchmark.name.contains(start)
    };
    Err(Error::Unknown {
        filter: filter.into(),
        near: ALL
            .iter()
            .find(close)
            .map(|benchmark| benchmark.name.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_have_an_interface() {
        let mut names: Vec<_> = ALL.iter().map(|benchmark| benchmark.name).collect();
        assert!(ALL.iter().all(|benchmark| {
            ["machine", "xeneva", "patchwork", "veridian"].contains(&benchmark.interface())
        }));
        assert!(OF_HOST.iter().all(|name| names.contains(name)));
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_filter_that_nothing_fits_is_an_error_with_a_close_name() {
        assert_eq!(chosen("veridian/lat_ctx").unwrap().len(), 2);
        let error = chosen("patchwork/lat_syscall/nulll")
            .unwrap_err()
            .to_string();
        assert!(error.contains("/null is close"), "{error}");
    }
}
