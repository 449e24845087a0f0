//! Two PatchworkOS processes, of which one may wait for the other.

use std::collections::VecDeque;

use mayfly_abi::{Abi, patchwork};
use patchwork::nr;

use crate::fake::bench::{Bench, pause};
use crate::fake::image::DATA;
use crate::object::process::ProcessKey;

/// Where paths lie.
const TEXT: u64 = DATA + 0x1000;
/// Where descriptors and what is asked about them lie.
pub(super) const FDS: u64 = DATA + 0x2000;
/// Where bytes lie.
pub(super) const BUFFER: u64 = DATA + 0x3000;

/// Two processes.
pub(super) struct Duo {
    pub(super) bench: Bench,
    /// Who could run, in turn.
    pub(super) ready: VecDeque<ProcessKey>,
    pub(super) one: ProcessKey,
    pub(super) other: ProcessKey,
}

impl Duo {
    pub(super) fn new() -> Self {
        let mut bench = Bench::new();
        let (one, other) = (bench.spawn(Abi::Patchwork), bench.spawn(Abi::Patchwork));
        let ready = VecDeque::from([one, other]);
        Self {
            bench,
            ready,
            one,
            other,
        }
    }

    pub(super) fn open2(&mut self, key: ProcessKey, path: &str) -> [u64; 2] {
        self.poke(key, TEXT, path.as_bytes());
        assert_eq!(self.call(key, nr::OPEN2, &[TEXT, FDS]), 0);
        self.until(key);
        [FDS, FDS + 8].map(|address| {
            self.until(key);
            let word = self.bench.peek_word(key, address);
            self.ready.rotate_left(1);
            word
        })
    }

    pub(super) fn share(&mut self, key: ProcessKey, fd: u64, timeout: u64) -> Vec<u8> {
        assert_eq!(self.call(key, nr::SHARE, &[BUFFER, fd, timeout]), 0);
        self.peek(key, BUFFER, 16)
    }

    pub(super) fn poke(&mut self, key: ProcessKey, address: u64, bytes: &[u8]) {
        self.until(key);
        self.bench.poke(key, address, bytes);
        self.ready.rotate_left(1);
    }

    pub(super) fn peek(&mut self, key: ProcessKey, address: u64, length: usize) -> Vec<u8> {
        self.until(key);
        let bytes = self.bench.peek(key, address, length);
        self.ready.rotate_left(1);
        bytes
    }

    /// Lets others have their turn until it is that of `key`.
    pub(super) fn until(&mut self, key: ProcessKey) {
        while self.ready[0] != key {
            self.bench.script(self.ready[0], [pause()]);
            assert!(self.bench.turn());
            self.ready.rotate_left(1);
        }
    }

    pub(super) fn call(&mut self, key: ProcessKey, number: u64, arguments: &[u64]) -> u64 {
        self.until(key);
        let result = self.bench.call(key, number, arguments);
        self.ready.rotate_left(1);
        result
    }

    /// Makes a call that waits.
    pub(super) fn park(&mut self, key: ProcessKey, number: u64, arguments: &[u64]) {
        self.until(key);
        self.bench.begin(key, number, arguments);
        assert_eq!(self.bench.returned(), None, "call {number} does not wait");
        self.ready.pop_front();
    }

    /// The thread was woken, before the one that did so had to wait its turn
    /// again: its call is made again.
    pub(super) fn again(&mut self, key: ProcessKey) -> Option<u64> {
        self.bench.kernel.machine.seen.clear();
        assert!(self.bench.turn(), "nobody was woken");
        let result = self.bench.returned();
        if result.is_some() {
            self.ready.push_back(key);
        }
        result
    }

    pub(super) fn errno(&mut self, key: ProcessKey) -> u64 {
        self.call(key, nr::ERRNO, &[])
    }
}
