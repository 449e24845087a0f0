//! Rounds of an operation, marked or timed.
//!
//! Purpose: what a benchmark's program does around its operation. Marked, each
//! round begins with a call that no interface has ([`MARK`]), by which the host
//! tells rounds apart when it counts instructions. Timed, the TSC is read before
//! and after each round, and around nothing, which shows what reading it costs.
//! Of performance counters it knows nothing: for those it runs (`run`).
//! Times are printed when all is done: `empty` and `ticks`, a line each, the
//! first round's time first. A round that fails is the last one: nothing that
//! does less than it should is measured. Neighbours: the `costs` programs.

use core::arch::x86_64::{_mm_lfence, _rdtsc};
use core::fmt::Write as _;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use mayfly_abi::MARK;

use crate::console::Console;
use crate::entry::Process;
use crate::system::System;

/// Most rounds that are timed.
const TIMED_MAX: usize = 1024;
/// Times of nothing.
const EMPTY: usize = 64;
/// Status of a program that was asked for something else.
pub const NO_SUCH: i32 = 2;

static TICKS: [AtomicU64; TIMED_MAX] = [const { AtomicU64::new(0) }; TIMED_MAX];
static NOTHING: [AtomicU64; EMPTY] = [const { AtomicU64::new(0) }; EMPTY];

/// The rounds that a program was asked for: `OPERATION count|time|run ROUNDS`.
pub struct Rounds<'process, S> {
    process: &'process Process<S>,
    count: u64,
    timed: bool,
    marked: bool,
}

impl<'process, S: System> Rounds<'process, S> {
    /// Those that the arguments name.
    pub fn of(process: &'process Process<S>) -> Self {
        let arguments = process.arguments();
        Self {
            process,
            count: arguments.number(3).unwrap_or(8),
            timed: arguments.get(2) == Some(b"time"),
            marked: arguments.get(2) == Some(b"count"),
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Does all rounds; status 0.
    ///
    /// # Errors
    /// That of the first round that fails: no others are begun, no mark ends it,
    /// and no times are printed.
    pub fn run<T, E>(&self, mut round: impl FnMut() -> Result<T, E>) -> Result<i32, E> {
        if self.timed {
            self.time(round)?;
            return Ok(0);
        }
        for _ in 0..self.count {
            self.mark();
            round()?;
        }
        self.mark();
        Ok(0)
    }

    fn mark(&self) {
        if self.marked {
            mark::<S>();
        }
    }

    fn time<T, E>(&self, mut round: impl FnMut() -> Result<T, E>) -> Result<(), E> {
        // Its pages come now, and not in a round.
        TICKS.iter().for_each(|place| place.store(0, Relaxed));
        for place in &NOTHING {
            let before = now();
            place.store(now() - before, Relaxed);
        }
        let asked = usize::try_from(self.count).unwrap_or(TIMED_MAX);
        let places = &TICKS[..asked.min(TIMED_MAX)];
        for place in places {
            let before = now();
            round()?;
            place.store(now() - before, Relaxed);
        }
        self.print("empty", &NOTHING);
        self.print("ticks", places);
        Ok(())
    }

    fn print(&self, title: &str, places: &[AtomicU64]) {
        let mut console = Console::<S>::new();
        console.push(title.as_bytes());
        for place in places {
            // Writing to a console does not fail.
            let _ = write!(console, " {}", place.load(Relaxed));
        }
        console.push(b"\n");
        console.flush();
    }

    /// The operation that the arguments name.
    pub fn operation(&self) -> &'static [u8] {
        self.process.arguments().get(1).unwrap_or(b"")
    }
}

/// Makes the call by which the host tells rounds apart.
fn mark<S: System>() {
    // SAFETY: no interface has a call of that number.
    unsafe { S::call(MARK, [0; 6]) };
}

/// Reads the TSC, when everything before it is done and nothing after it begun.
fn now() -> u64 {
    // SAFETY: every x86_64 processor has this instruction.
    unsafe { _mm_lfence() };
    // SAFETY: as above; ring 3 may read the TSC.
    let ticks = unsafe { _rdtsc() };
    // SAFETY: as above.
    unsafe { _mm_lfence() };
    ticks
}
