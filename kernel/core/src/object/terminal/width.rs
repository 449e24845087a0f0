//! How many columns a typed character takes on the screen.
//!
//! The kernel's only use for it is to take a character back that was echoed,
//! so the ranges are coarse: East Asian and emoji blocks as a whole are wide,
//! combining marks take no column. The shell, which draws lines, asks a table
//! of every character.

/// Ranges of wide characters.
const WIDE: [(u32, u32); 10] = [
    (0x1100, 0x115f),
    (0x2e80, 0x303e),
    (0x3041, 0xa4cf),
    (0xa960, 0xa97c),
    (0xac00, 0xd7a3),
    (0xf900, 0xfaff),
    (0xfe30, 0xfe6f),
    (0xff00, 0xff60),
    (0x1f300, 0x1faff),
    (0x20000, 0x3fffd),
];
/// Ranges of marks that are drawn over the character before them.
const MARKS: [(u32, u32); 4] = [
    (0x0300, 0x036f),
    (0x200b, 0x200d),
    (0x20d0, 0x20ff),
    (0xfe00, 0xfe0f),
];

/// Columns of one character as it was echoed; bytes that are none take one each.
pub(super) fn columns(character: &[u8]) -> usize {
    let text = core::str::from_utf8(character).ok();
    let Some(character) = text.and_then(|text| text.chars().next()) else {
        return character.len();
    };
    let code = u32::from(character);
    let within = |(first, last): &(u32, u32)| (*first..=*last).contains(&code);
    match code {
        0x09 => 1,
        0..=0x1f | 0x7f => 2,
        _ if WIDE.iter().any(within) => 2,
        _ if MARKS.iter().any(within) => 0,
        _ => 1,
    }
}
