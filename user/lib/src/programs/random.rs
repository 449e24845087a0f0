//! Makes calls with random arguments, as many as it is told.
//!
//! Purpose: a kernel that believes what a program says falls over. Arguments
//! are made by what their row says they are, with a bias to values at which
//! something changes. The program checks that every failure is one its
//! interface has, and that the kernel writes only where it was told to.
//! Arguments: a seed, and a count; the same seed makes the same calls.
//! Neighbours: each interface's `random.rs` says what is peculiar to it.

use core::ffi::CStr;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use mayfly_abi::table::{Argument, Kind, Row};

use crate::check::Checks;
use crate::entry::Process;
use crate::registers::Noise;
use crate::system::System;

/// What random calls need to know of an interface.
pub trait Callable {
    /// The interface.
    type System: System;
    /// Numbers that are not called: they end the program or wait for ever.
    const LEFT_OUT: &'static [u64];
    /// Strings that text arguments point at.
    const TEXTS: &'static [&'static CStr];
    /// Durations that calls are given.
    const DURATIONS: &'static [u64];

    /// Prepares the process for what may come.
    fn prepare() {}

    /// A word for an argument whose kind does not say enough.
    fn word(_row: &Row, _argument: &Argument, _random: &mut Random) -> Option<u64> {
        None
    }

    /// A call may be made now: it would not wait, or somebody would end that.
    fn is_safe(_number: u64, _words: &[u64; 6], _random: &mut Random) -> bool {
        true
    }

    /// Looks after what random calls run into in the end, such as full tables.
    fn after(_error: u32, _random: &mut Random) {}
}

/// Words of memory that calls may read and write.
const ARENA: usize = 8192;
/// Addresses given to calls lie in so many bytes of it...
const GIVEN: u64 = 32 << 10;
/// ...and lengths that fit are no longer than this.
const FITS: u64 = 8192;
/// From this word on nobody was told to write.
const GUARDED: usize = 6 << 10;
const GUARD: u64 = 0x6d61_7966_6c79_2121;
static MEMORY: Memory = Memory([const { AtomicU64::new(0) }; ARENA]);

/// Whole pages.
#[repr(align(4096))]
struct Memory([AtomicU64; ARENA]);

/// Address of the memory that calls may use.
fn memory() -> u64 {
    MEMORY.0.as_ptr().expose_provenance() as u64
}

/// Addresses that are bad, or at the end of something.
const ADDRESSES: [u64; 12] = [
    0,
    8,
    0xfff,
    0x40_0000,
    0x1234_5678_9000,
    0x7fff_ffff_eff8,
    0x7fff_ffff_f000,
    0x7fff_ffff_ffff,
    0x8000_0000_0000,
    0xffff_8000_0000_0000,
    0xffff_ffff_8000_0000,
    u64::MAX - 7,
];
/// Numbers at which something may change; lengths among them.
const NUMBERS: [u64; 26] = [
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    15,
    16,
    17,
    63,
    64,
    168,
    255,
    256,
    271,
    272,
    273,
    544,
    4095,
    4096,
    4097,
    FITS - 1,
    FITS,
    1 << 47,
    u64::MAX,
];

/// Calls made so far, for whoever looks after this thread.
pub static PROGRESS: AtomicU64 = AtomicU64::new(0);

/// Numbers that look random, and what calls have answered.
#[derive(Debug)]
pub struct Random {
    noise: Noise,
    answers: [u64; 8],
}

impl Random {
    /// Those of a seed.
    pub fn new(seed: u64) -> Self {
        Self {
            noise: Noise(seed),
            answers: [0; 8],
        }
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.noise.draw()
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.any() % limit
    }

    /// One of several.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let index = self.below(choices.len() as u64);
        choices[usize::try_from(index).unwrap_or(0)]
    }

    /// An address in the memory that calls may use.
    pub fn memory(&mut self) -> u64 {
        let start = memory();
        match self.below(4) {
            0 => start + self.below(GIVEN),
            1 => start + self.below(GIVEN / 4096) * 4096 + 4095,
            _ => start + self.below(GIVEN / 16) * 16,
        }
    }

    /// What a call has answered not long ago.
    pub fn answer(&mut self) -> u64 {
        let answers = self.answers;
        self.one_of(&answers)
    }

    fn note(&mut self, answer: u64) {
        self.answers.rotate_right(1);
        self.answers[0] = answer;
    }

    fn word<C: Callable>(&mut self, row: &Row, argument: &Argument) -> u64 {
        if let Some(word) = C::word(row, argument, self) {
            return word;
        }
        match argument.kind {
            Kind::Handle => match self.below(10) {
                0..=4 => self.below(12),
                5..=7 => self.answer(),
                8 => self.one_of(&[63, 64, 1 << 32, u64::MAX]),
                _ => self.any(),
            },
            Kind::Text if self.below(8) > 0 => {
                let text = self.one_of(C::TEXTS);
                text.as_ptr().expose_provenance() as u64
            }
            Kind::Text | Kind::Input | Kind::Output | Kind::Load | Kind::Store | Kind::Address => {
                match self.below(16) {
                    0 => 0,
                    1 => self.one_of(&ADDRESSES),
                    2 => self.answer(),
                    3 => self.any(),
                    _ => self.memory(),
                }
            }
            Kind::Duration => self.one_of(C::DURATIONS),
            Kind::Flags => match self.below(8) {
                0 => self.any(),
                1 => 1 << self.below(64),
                _ => self.below(8),
            },
            Kind::Signed(_) | Kind::Unsigned(_) => match self.below(16) {
                0 => self.any(),
                1 => u64::from(u32::MAX) << self.below(32),
                2..=5 => self.below(4),
                6 | 7 => self.below(FITS),
                _ => self.one_of(&NUMBERS),
            },
        }
    }

    /// The words of a call. Those that no register has lie in memory, and the
    /// last register says where.
    fn words<C: Callable>(&mut self, row: &Row) -> [u64; 6] {
        let mut words = [0; 6];
        for (index, argument) in row.arguments.iter().enumerate() {
            let word = self.word::<C>(row, argument);
            match words.get_mut(index) {
                Some(place) if index < 5 || row.arguments.len() <= 6 => *place = word,
                _ => {
                    words[5] = memory();
                    MEMORY.0[index - 5].store(word, Relaxed);
                }
            }
        }
        words
    }
}

/// The program. Status 0 when nothing was found.
pub fn run<C: Callable>(process: &Process<C::System>) -> i32 {
    let seed = process.arguments().number(1).unwrap_or(1);
    let count = process.arguments().number(2).unwrap_or(1000);
    let mut checks = Checks::new(process, "random");
    let mut random = Random::new(seed);
    for word in &MEMORY.0[GUARDED..] {
        word.store(GUARD, Relaxed);
    }
    C::prepare();
    let mut made = 0;
    while made < count {
        let row = random.one_of(C::System::ABI.rows());
        let words = random.words::<C>(&row);
        if C::LEFT_OUT.contains(&row.number) || !C::is_safe(row.number, &words, &mut random) {
            continue;
        }
        made += 1;
        PROGRESS.store(made, Relaxed);
        // SAFETY: addresses are those of memory that is there for this, or
        // nobody's; a call that writes elsewhere is what this program is for.
        let result = unsafe { C::System::call(row.number, words) };
        let error = C::System::error(result);
        if error == 0 {
            random.note(result);
        } else {
            let known = C::System::ABI.error_name(error).is_some();
            checks.holds(
                format_args!("call {made}, {row}({words:#x?}), has a known error: {error}"),
                known,
            );
        }
        C::after(error, &mut random);
    }
    let mut guards = MEMORY.0[GUARDED..].iter();
    let kept = guards.all(|word| word.load(Relaxed) == GUARD);
    checks.holds(format_args!("nothing else was written to"), kept);
    checks.finish()
}
