//! Hands a token around in memory that programs of several interfaces share.
//!
//! Purpose: whoever's turn it is finds what the one before it left, and leaves
//! more. Arguments: the place in the ring, how many there are, how many rounds,
//! and where the memory is. Neighbours: each interface's `ring.rs` maps the
//! memory and gives the processor away.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::arguments::Arguments;
use crate::check::Checks;
use crate::entry::Process;
use crate::system::System;

/// What the ring needs of an interface.
pub trait Member {
    /// The interface.
    type System: System;

    /// Maps the memory that the fourth argument names.
    fn memory(arguments: &Arguments) -> Option<&'static Token>;

    /// Lets others go on.
    fn give_way();
}

/// What lies in the memory.
#[repr(C)]
pub struct Token {
    /// How often the token was handed on.
    turn: AtomicU64,
    /// The sum of all turns so far.
    sum: AtomicU64,
}

/// The program: says `ring ok` when it always found what it should.
pub fn run<M: Member>(process: &Process<M::System>) -> i32 {
    let mut checks = Checks::new(process, "ring");
    let arguments = process.arguments();
    match M::memory(arguments) {
        Some(token) => go_round::<M>(&mut checks, token, arguments),
        None => checks.holds(format_args!("the memory is mapped"), false),
    }
    checks.finish()
}

fn go_round<M: Member>(checks: &mut Checks<'_, M::System>, token: &Token, arguments: &Arguments) {
    let number = |index| arguments.number(index).unwrap_or(0);
    let (place, members, rounds) = (number(1), number(2), number(3));
    for round in 0..rounds {
        let turn = round * members + place;
        while token.turn.load(Acquire) != turn {
            M::give_way();
        }
        let sum = turn * (turn + 1) / 2;
        let found = token.sum.load(Relaxed);
        checks.equal(format_args!("sum of turn {turn}"), found, sum);
        token.sum.store(found + turn + 1, Relaxed);
        token.turn.store(turn + 1, Release);
    }
}
