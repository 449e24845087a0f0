//! What is measured from the outside: this tool as a process, and many tests.
//!
//! Neighbours: `machines` asks; `floor` is what a machine costs at least.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use mayfly::SnapshotUse;
use mayfly::prelude::*;
use tempfile::TempDir;

use super::lab::options;

/// Tests of which the time is taken together.
const TESTS: u32 = 100;

/// Size of a page, and of its entry in a page map, in bytes.
const PAGE: usize = 4096;
const ENTRY: usize = 8;

/// How a program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Not at all: what a process of this tool takes.
    Not,
    /// In a copy of a machine that is on disk.
    Cached,
    /// In a machine that boots.
    Cold,
}

/// From exec to exit of this tool.
pub(super) fn run(way: Way, cache: &TempDir) -> anyhow::Result<Duration> {
    let this = std::env::current_exe().context("this program's file is not known")?;
    let mut command = Command::new(this);
    match way {
        Way::Not => command.arg("--version"),
        Way::Cached => command.args(["run", "patchwork-hello"]),
        Way::Cold => command.args(["run", "--no-snapshot", "patchwork-hello"]),
    };
    command
        .env("MAYFLY_BACKEND", "kvm")
        .env("MAYFLY_SNAPSHOT", "disk")
        .env("MAYFLY_CACHE_DIR", cache.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status().context("this program cannot be run")?;
    let time = start.elapsed();
    anyhow::ensure!(status.success(), "{command:?}: {status}");
    Ok(time)
}

/// A hundred tests that make one call each, on a thread each, as many at a time
/// as there are processors: how `cargo test` runs them.
pub(super) fn tests() -> anyhow::Result<Duration> {
    let start = Instant::now();
    let at_once = u32::try_from(available_parallelism()?.get())?;
    let next = AtomicU32::new(0);
    let test = || {
        while next.fetch_add(1, Ordering::Relaxed) < TESTS {
            let body = || mayfly::runner::run("trivial", options(), |vm| call(&vm));
            thread::scope(|scope| scope.spawn(body).join()).ok()?;
        }
        Some(())
    };
    let done = thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(test)).collect();
        let ends = threads.into_iter().map(|it| it.join().ok().flatten());
        ends.collect::<Option<Vec<()>>>()
    });
    done.context("a test has failed")?;
    Ok(start.elapsed())
}

/// The first call in a machine.
pub(super) fn call(vm: &Vm) -> Result<()> {
    vm.probe(Abi::Patchwork)?.call(patchwork::GETPID, args![])?;
    Ok(())
}

/// Bytes of memory that a process with one machine holds beyond the machine's
/// own: asked of a process that does nothing else.
pub(super) fn footprint(cache: &TempDir) -> anyhow::Result<u64> {
    let this = std::env::current_exe().context("this program's file is not known")?;
    let output = Command::new(this)
        .arg(FOOTPRINT)
        .env("MAYFLY_CACHE_DIR", cache.path())
        .stderr(Stdio::inherit())
        .output()
        .context("this program cannot be run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let number = text.trim().parse();
    number.with_context(|| format!("`mayfly {FOOTPRINT}` says {text:?}"))
}

/// The command that [`footprint`] asks.
pub(crate) const FOOTPRINT: &str = "footprint";

/// Makes a machine, lets it make a call, and says what this process holds beyond
/// the machine's memory.
pub(crate) fn tell_footprint() -> anyhow::Result<u64> {
    let vm = options().snapshot(SnapshotUse::Disk).boot()?;
    call(&vm)?;
    let bundle = present_bytes(mayfly::image::bundle())?;
    let text = std::fs::read_to_string("/proc/self/smaps")?;
    drop(vm);
    Ok(beyond_guest(&text).saturating_sub(bundle))
}

/// Resident bytes of what the guest has as a module. Format: Linux,
/// admin-guide/mm/pagemap.
fn present_bytes(module: &[u8]) -> anyhow::Result<u64> {
    let mut entries = vec![0; module.len() / PAGE * ENTRY];
    let first = (module.as_ptr().addr() / PAGE * ENTRY) as u64;
    File::open("/proc/self/pagemap")?.read_exact_at(&mut entries, first)?;
    let present = entries
        .chunks_exact(ENTRY)
        .filter(|entry| entry[7] >> 7 == 1);
    Ok((present.count() * PAGE) as u64)
}

/// Resident bytes of mappings that are not guest memory.
fn beyond_guest(smaps: &str) -> u64 {
    let (mut total, mut is_guest) = (0, false);
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("Rss:") if !is_guest => {
                let kibibytes: u64 = words.next().and_then(|it| it.parse().ok()).unwrap_or(0);
                total += kibibytes << 10;
            }
            // A mapping begins with its range.
            Some(range) if !range.ends_with(':') => {
                is_guest = line.contains("/memfd:mayfly-") || line.ends_with(".snapshot");
            }
            _ => {}
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_guest_memory_does_not_count() {
        let smaps = "\
5500-5600 r--p 00000000 fe:00 7   /usr/bin/mayfly
Size:  16 kB
Rss:    8 kB
7f00-7f80 rw-p 00000000 00:01 9   /memfd:mayfly-ram (deleted)
Rss:  512 kB
7f90-7fa0 rw-p 00000000 fe:00 8   /cache/0123.snapshot
Rss:   64 kB
7fff-8000 rw-p 00000000 00:00 0   [stack]
Rss:    4 kB
VmFlags: rd wr
";
        assert_eq!(beyond_guest(smaps), 12 << 10);
    }
}
