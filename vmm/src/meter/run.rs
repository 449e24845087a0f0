//! Instructions in a row, executed without a stop between them.
//!
//! Neighbours: `count` follows the rules with them.

use super::{Guest, Kind};

/// Most unstopped instructions in a row that are followed: no kernel has more,
/// and a guest must not keep us reading its code for ever.
pub(super) const UNSTOPPED_MAX: u64 = 8;
/// Most instructions of a handler before it jumps to the junction.
const LEAD_MAX: u64 = 8;

/// Instructions in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) from: u64,
    pub(super) instructions: u64,
}

impl Run {
    /// Those from an address to a jump to another one, the jump included; `None`
    /// if none is near.
    pub(super) fn to_jump(from: u64, to: u64, guest: &mut impl Guest) -> Option<Self> {
        let mut at = from;
        for instructions in 1..=LEAD_MAX {
            let instruction = guest.instruction(at);
            if instruction.kind == Kind::Jump(to) {
                return Some(Self { from, instructions });
            }
            at = at.wrapping_add(instruction.bytes);
        }
        None
    }
}

/// The first instruction from `at` on that is stopped after, and the number of
/// those before it.
pub(super) fn skip_unstopped(mut at: u64, guest: &mut impl Guest) -> (u64, u64) {
    let mut before = 0;
    while before < UNSTOPPED_MAX {
        let instruction = guest.instruction(at);
        if instruction.kind != Kind::Unstopped {
            break;
        }
        at = at.wrapping_add(instruction.bytes);
        before += 1;
    }
    (at, before)
}
