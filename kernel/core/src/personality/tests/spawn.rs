//! SPAWN of PatchworkOS: what a child starts with, and what cannot be one.
//!
//! - `inherit`: what it takes over. `image`: where its executable comes from.

mod image;
mod inherit;

use mayfly_abi::Abi;
use mayfly_abi::patchwork::{ERR, nr};

use super::errno;
use crate::fake::bench::{Bench, interrupt, pause};
use crate::fake::image::{DATA, ENTRY, Elf};
use crate::frame::TrapFrame;
use crate::object::process::{Cause, ProcessKey};

/// Where the parent keeps argv, its strings, and what calls write.
const ARGV: u64 = DATA + 0x1000;
const STRINGS: u64 = DATA + 0x2000;
const BUFFER: u64 = DATA + 0x3000;
/// Top of the main stack.
const STACK_TOP: u64 = 0x7fff_ffff_f000;

const SUSPEND: u64 = 1;
const EMPTY_FDS: u64 = 2;
const STDIO_FDS: u64 = 4;
const EMPTY_NS: u64 = 8;
const EMPTY_CWD: u64 = 32;

/// Puts an argv array into a process whose turn it is.
fn arguments(bench: &mut Bench, key: ProcessKey, strings: &[&str]) {
    let (mut array, mut text) = (Vec::new(), Vec::new());
    for string in strings {
        array.extend((STRINGS + text.len() as u64).to_le_bytes());
        text.extend(string.bytes());
        text.push(0);
    }
    array.extend([0; 8]);
    bench.poke(key, ARGV, &array);
    bench.poke(key, STRINGS, &text);
}

/// A kernel with one PatchworkOS process that makes children.
struct Family {
    bench: Bench,
    parent: ProcessKey,
}

impl Family {
    fn new() -> Self {
        Self::of(Bench::new())
    }

    fn of(mut bench: Bench) -> Self {
        let parent = bench.spawn(Abi::Patchwork);
        Self { bench, parent }
    }

    fn call(&mut self, number: u64, arguments: &[u64]) -> u64 {
        self.bench.call(self.parent, number, arguments)
    }

    fn path_call(&mut self, number: u64, path: &str) -> u64 {
        self.bench
            .poke(self.parent, STRINGS, format!("{path}\0").as_bytes());
        self.call(number, &[STRINGS])
    }

    /// SPAWN; says the id. The child has the next turn, if it was not suspended.
    fn spawn(&mut self, strings: &[&str], flags: u64) -> u64 {
        arguments(&mut self.bench, self.parent, strings);
        self.call(nr::SPAWN, &[ARGV, flags])
    }

    /// SPAWN of a child that is not to fail.
    fn child(&mut self, strings: &[&str], flags: u64) -> ProcessKey {
        let id = self.spawn(strings, flags);
        assert_ne!(id, ERR);
        self.bench.kernel.process_by_id(Abi::Patchwork, id).unwrap()
    }

    /// The child's first turn: its registers.
    fn start(&mut self, child: ProcessKey) -> TrapFrame {
        self.bench.kernel.machine.seen.clear();
        self.bench.registers(child)
    }

    /// A turn of a process in which it does nothing.
    fn pass(&mut self, key: ProcessKey) {
        self.bench.script(key, [interrupt()]);
        assert!(self.bench.turn());
    }

    /// A child that cannot be loaded has its first turn: its exit status.
    fn fails(&mut self, path: &str, flags: u64) -> i64 {
        let id = self.spawn(&[path], flags);
        assert!(self.bench.turn());
        assert_eq!(self.bench.kernel.process_count(), 1, "{path}");
        let exit = self.bench.kernel.exit_of(Abi::Patchwork, id).unwrap();
        let (_, cause, status) = *self.bench.ends().last().unwrap();
        assert_eq!(
            (cause, Some(status)),
            (Cause::LoadFailed, exit.status.get())
        );
        status
    }
}

#[test]
fn a_child_starts_as_a_program_does() {
    let mut family = Family::new();
    let strings = ["/bin/patchwork", "", "two words"];
    let child = family.child(&strings, 0);
    assert_eq!(family.bench.process(child).id, 3);
    assert!(!family.bench.process(child).loaded);
    let frame = family.start(child);
    assert_eq!((frame.rip, frame.rdi), (ENTRY, 3));
    let text = b"/bin/patchwork\0\0two words\0";
    let bottom = STACK_TOP - text.len() as u64;
    let mut at = bottom;
    for (index, string) in (0..).zip(strings) {
        family.pass(family.parent);
        assert_eq!(family.bench.peek_word(child, frame.rsi + index * 8), at);
        at += string.len() as u64 + 1;
    }
    family.pass(family.parent);
    assert_eq!(family.bench.peek(child, bottom, text.len()), text);
    assert_eq!(family.bench.process(child).arguments, text);
}

#[test]
fn an_argv_that_cannot_be_is_refused() {
    let mut family = Family::new();
    let (parent, last) = (family.parent, STACK_TOP - 8);
    let long = "x".repeat(255);
    let longer = "x".repeat(256);
    let refused = |family: &mut Family, argv: u64, error: u64| {
        assert_eq!(family.call(nr::SPAWN, &[argv, 0]), ERR);
        assert_eq!(errno(&mut family.bench, parent), error, "{argv:#x}");
        assert_eq!(family.bench.kernel.process_count(), 1);
    };
    for (argv, error) in [(0, 22), (8, 14), (u64::MAX - 3, 14), (1 << 63, 14)] {
        refused(&mut family, argv, error);
    }
    // No argv[0].
    family.bench.poke(parent, ARGV, &[0; 8]);
    refused(&mut family, ARGV, 22);
    // A string nowhere; at the end of everything; without its terminator.
    for (string, error) in [(8_u64, 14), (u64::MAX, 14), (last + 4, 14)] {
        let array = [string.to_le_bytes(), [0; 8]].concat();
        family.bench.poke(parent, ARGV, &array);
        family.bench.poke(parent, last, b"12345678");
        refused(&mut family, ARGV, error);
    }
    arguments(&mut family.bench, parent, &["/bin/patchwork", &longer]);
    refused(&mut family, ARGV, 36);
    // An array that runs out of memory, and one that has no end.
    family.bench.poke(parent, last, &STRINGS.to_le_bytes());
    refused(&mut family, last, 14);
    family
        .bench
        .poke(parent, ARGV, &STRINGS.to_le_bytes().repeat(512));
    family.bench.poke(parent, STRINGS, b"/bin/patchwork\0");
    refused(&mut family, ARGV, 7);
    // One entry fewer, and one letter fewer, are not too many.
    family.bench.poke(parent, ARGV + 511 * 8, &[0; 8]);
    assert_ne!(family.call(nr::SPAWN, &[ARGV, SUSPEND]), ERR);
    family.child(&["/bin/patchwork", &long], SUSPEND);
}

#[test]
fn nothing_is_made_when_memory_is_low() {
    let mut family = Family::new();
    let parent = family.parent;
    arguments(&mut family.bench, parent, &["/bin/patchwork"]);
    let before = family.bench.usage();
    family.bench.kernel.machine.heap_low = true;
    assert_eq!(family.call(nr::SPAWN, &[ARGV, 0]), ERR);
    family.bench.kernel.machine.heap_low = false;
    assert_eq!(errno(&mut family.bench, parent), 12);
    let free = family.bench.kernel.machine.total;
    family.bench.kernel.machine.total = before.0 + 63;
    assert_eq!(family.call(nr::SPAWN, &[ARGV, 0]), ERR);
    family.bench.kernel.machine.total = free;
    assert_eq!(errno(&mut family.bench, parent), 12);
    assert_eq!(family.bench.usage(), before);
    family.child(&["/bin/patchwork"], 0);
}

#[test]
fn a_child_that_finds_no_frame_ends_with_enomem_and_leaves_nothing() {
    let mut family = Family::new();
    arguments(&mut family.bench, family.parent, &["x"]);
    let before = family.bench.usage();
    for allocations in 0.. {
        let id = family.spawn(&["/bin/patchwork"], 0);
        family.bench.kernel.machine.allocations_left = allocations;
        let child = family
            .bench
            .kernel
            .process_by_id(Abi::Patchwork, id)
            .unwrap();
        family.bench.script(child, [pause()]);
        assert!(family.bench.turn());
        family.bench.kernel.machine.allocations_left = u64::MAX;
        if family.bench.kernel.process_count() == 2 {
            assert!(allocations > 3, "it needs tables and a stack");
            break;
        }
        let exit = family.bench.kernel.exit_of(Abi::Patchwork, id).unwrap();
        assert_eq!(exit.status.get(), Some(12));
        assert_eq!(family.bench.usage(), before, "{allocations}");
    }
}

#[test]
fn what_is_wrong_with_the_executable_is_the_childs_status() {
    let mut low = Elf::program(Some(Abi::Patchwork));
    low.programs[0].vaddr = 0x10_0000;
    let mut high = Elf::program(Some(Abi::Patchwork));
    high.programs[1].vaddr = STACK_TOP - 0x10000;
    let mut family = Family::of(Bench::with_files(&[
        ("patchwork", Elf::program(Some(Abi::Patchwork)).build()),
        ("text", b"#!/bin/sh".to_vec()),
        ("low", low.build()),
        ("high", high.build()),
    ]));
    for (path, status) in [
        ("/bin/none", 2),
        ("/none/none", 2),
        ("", 21),
        ("/bin", 21),
        ("/bin:directory", 21),
        ("/bin/patchwork:directory", 20),
        ("/bin/patchwork:unknown", 135),
        ("/bin/patchwork:write", 9),
        ("/bin/patchwork:append", 9),
        ("/bin/a*b", 22),
        ("/bin/a-name-that-is-longer-than-31-letters", 36),
        ("/bin/text", 138),
        ("/dev/null", 138),
        ("/dev/zero", 138),
        ("/bin/low", 14),
        ("/bin/high", 12),
    ] {
        assert_eq!(family.fails(path, 0), status, "{path}");
    }
    // Flags that allow reading are as good as none.
    let child = family.child(&["/bin/patchwork:rx"], 0);
    assert_eq!(family.start(child).rip, ENTRY);
}
