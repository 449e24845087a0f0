//! How XenevaOS spells a failure (specs/xeneva.md §1.2, §8).

use mayfly_abi::table::Outcome;
use mayfly_abi::xeneva::{Call, FAILED};

/// 1 when a result stands for a failure, else 0.
pub fn code(number: u64, result: u64) -> u32 {
    let row = Call::ROWS.iter().find(|row| row.number == number);
    let failure = match row.map(|row| row.result) {
        // Arguments on the stack that cannot be read fail as elsewhere (§8).
        Some(Outcome::Address) => [0, FAILED],
        _ => [FAILED; 2],
    };
    u32::from(failure.contains(&result))
}
