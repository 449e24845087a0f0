//! The running program as an executable that a child can run.
//!
//! Purpose: programs have no files (`specs/veridian.md` §9), so one that makes
//! children makes them of itself: the linker script says where its segments
//! lie, and their bytes are there. A child begins with the data of that moment.
//! Neighbours: `process.rs` makes the child, `user/build/link.ld` has the symbols.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};

/// Room for a program's image.
const ROOM_BYTES: usize = 128 << 10;
/// States of the room, beside the length of what lies in it.
const EMPTY: u64 = 0;
const TAKEN: u64 = u64::MAX;

struct Room {
    bytes: UnsafeCell<[u8; ROOM_BYTES]>,
    state: AtomicU64,
}

// SAFETY: the bytes are written by whoever takes the empty room, and only read
// once their length is there.
unsafe impl Sync for Room {}

static ROOM: Room = Room {
    bytes: UnsafeCell::new([0; ROOM_BYTES]),
    state: AtomicU64::new(EMPTY),
};

/// This program as an executable, made at the first call; empty when that is
/// under way in another thread, or the program is too large.
pub fn this_program() -> &'static [u8] {
    let taken = ROOM
        .state
        .compare_exchange(EMPTY, TAKEN, Ordering::Acquire, Ordering::Acquire);
    let length = match taken {
        Ok(_) => {
            // SAFETY: the room was empty, and nobody else takes it any more.
            let room = unsafe { &mut *ROOM.bytes.get() };
            let length = of_this_program(room).map_or(0, <[u8]>::len) as u64;
            ROOM.state.store(length, Ordering::Release);
            length
        }
        Err(TAKEN) => 0,
        Err(length) => length,
    };
    // SAFETY: nobody writes there any more.
    let bytes = unsafe { &*ROOM.bytes.get() };
    let length = usize::try_from(length).unwrap_or(0);
    bytes.get(..length).unwrap_or(&[])
}

/// Bytes of an ELF header and of a program header.
const HEADER: usize = 64;
const SEGMENT: usize = 56;
const SEGMENTS: u16 = 3;
/// ET_EXEC and EM_X86_64.
const EXECUTABLE: u16 = 2;
const MACHINE: u16 = 62;
/// Segment flags: execute, write, read.
const TEXT: u32 = 5;
const CONSTANT: u32 = 4;
const DATA: u32 = 6;

/// A segment of this program: where it lies, what of it is in the file.
struct Segment {
    flags: u32,
    start: u64,
    file_end: u64,
    end: u64,
}

/// Makes an executable of this program in `buffer`; `None` when it is too small.
fn of_this_program(buffer: &mut [u8]) -> Option<&[u8]> {
    let (entry, segments) = layout();
    let mut offset = HEADER + SEGMENT * usize::from(SEGMENTS);
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    header[16..18].copy_from_slice(&EXECUTABLE.to_le_bytes());
    header[18..20].copy_from_slice(&MACHINE.to_le_bytes());
    header[20] = 1;
    header[24..32].copy_from_slice(&entry.to_le_bytes());
    header[32] = 64;
    header[52] = 64;
    header[54] = 56;
    header[56..58].copy_from_slice(&SEGMENTS.to_le_bytes());
    buffer.get_mut(..HEADER)?.copy_from_slice(&header);
    for (index, segment) in segments.iter().enumerate() {
        let length = usize::try_from(segment.file_end - segment.start).ok()?;
        // File offsets equal addresses modulo the page size.
        offset = offset.next_multiple_of(4096);
        let at = HEADER + index * SEGMENT;
        let words = [
            u64::from(segment.flags) << 32 | 1,
            offset as u64,
            segment.start,
            segment.start,
            length as u64,
            segment.end - segment.start,
            4096,
        ];
        for (place, word) in buffer
            .get_mut(at..at + SEGMENT)?
            .chunks_exact_mut(8)
            .zip(words)
        {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let room = buffer.get_mut(offset..offset + length)?;
        // SAFETY: the linker script says that the segment lies there; what
        // changes meanwhile belongs to threads that a caller has none of.
        let bytes = unsafe { core::slice::from_raw_parts(segment.start as *const u8, length) };
        room.copy_from_slice(bytes);
        offset += length;
    }
    buffer.get(..offset)
}

/// Where this program begins, and where its segments lie.
fn layout() -> (u64, [Segment; 3]) {
    #[cfg(target_os = "none")]
    {
        unsafe extern "C" {
            static text_start: u8;
            static text_end: u8;
            static constant_start: u8;
            static constant_end: u8;
            static data_start: u8;
            static data_end: u8;
            static image_end: u8;
            fn _start();
        }
        let at = |symbol: *const u8| symbol.expose_provenance() as u64;
        let segment = |flags, start, file_end, end| Segment {
            flags,
            start: at(start),
            file_end: at(file_end),
            end: at(end),
        };
        let text = segment(
            TEXT,
            &raw const text_start,
            &raw const text_end,
            &raw const text_end,
        );
        let constant = segment(
            CONSTANT,
            &raw const constant_start,
            &raw const constant_end,
            &raw const constant_end,
        );
        let data = segment(
            DATA,
            &raw const data_start,
            &raw const data_end,
            &raw const image_end,
        );
        (at(_start as *const u8), [text, constant, data])
    }
    #[cfg(not(target_os = "none"))]
    {
        (
            0,
            [TEXT, CONSTANT, DATA].map(|flags| Segment {
                flags,
                start: 0,
                file_end: 0,
                end: 0,
            }),
        )
    }
}
