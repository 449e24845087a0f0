//! User memory: pointers are allegations, only these checked copies believe them.
//!
//! All of it concerns the running address space. Pages that a region promises
//! are brought in on the way; what no region promises is [`BadAddress`].

use crate::error::KernelError::{self, BadAddress, TooLong};
use crate::object::memory::{Space, Touch};
use crate::port::{Access, CopyFault, Machine, PAGE_SIZE, USER_END};

/// Checks that `address..address + length` lies in the user half.
///
/// # Errors
/// [`KernelError::Overflow`] when it wraps, [`KernelError::BadAddress`] when it reaches beyond.
#[inline]
pub fn check_range(address: u64, length: u64) -> Result<(), KernelError> {
    let end = address.checked_add(length).ok_or(KernelError::Overflow)?;
    if end > USER_END {
        return Err(BadAddress);
    }
    Ok(())
}

/// Copies from user memory.
///
/// # Errors
/// [`KernelError`] as for [`check_range`], and [`KernelError::BadAddress`] or
/// [`KernelError::NoMemory`] for a page that cannot be had.
pub fn read<M: Machine>(
    machine: &mut M,
    space: &mut Space<M>,
    address: u64,
    buffer: &mut [u8],
) -> Result<(), KernelError> {
    read_short(machine, space, address, buffer)
}

/// As [`read`], where it is called: for a few bytes, of which the call would
/// be most.
///
/// # Errors
/// As [`read`].
#[inline(always)]
pub fn read_short<M: Machine>(
    machine: &mut M,
    space: &mut Space<M>,
    address: u64,
    buffer: &mut [u8],
) -> Result<(), KernelError> {
    check_range(address, buffer.len() as u64)?;
    match machine.read_user(address, buffer) {
        Ok(()) => Ok(()),
        Err(fault) => read_on(machine, space, address, buffer, fault),
    }
}

/// Goes on after a fault: a page that is not there yet, or none.
#[cold]
#[inline(never)]
fn read_on<M: Machine>(
    machine: &mut M,
    space: &mut Space<M>,
    address: u64,
    buffer: &mut [u8],
    mut fault: CopyFault,
) -> Result<(), KernelError> {
    let mut done = 0;
    loop {
        done += fault.copied;
        space.touch(machine, fault.address, Touch::Read)?;
        match machine.read_user(address + done as u64, &mut buffer[done..]) {
            Ok(()) => return Ok(()),
            Err(next) => fault = next,
        }
    }
}

/// Copies to user memory.
///
/// # Errors
/// As [`read`].
pub fn write<M: Machine>(
    machine: &mut M,
    space: &mut Space<M>,
    address: u64,
    bytes: &[u8],
) -> Result<(), KernelError> {
    write_short(machine, space, address, bytes)
}

/// As [`read_short`], to user memory.
///
/// # Errors
/// As [`read`].
#[inline(always)]
pub fn write_short<M: Machine>(
    machine: &mut M,
    space: &mut Space<M>,
    address: u64,
    bytes: &[u8],
) -> Result<(), KernelError> {
    check_range(address, bytes.len() as u64)?;
    match machine.write_user(address, bytes) {
        Ok(()) => Ok(()),
        Err(fault) => write_on(machine, space, address, bytes, fault),
    }
}

/// As [`read_on`].
#[cold]
#[inline(never)]
fn write_on<M: Machine>(
    machine: &mut M,
    space: &mut Space<M>,
    address: u64,
    bytes: &[u8],
    mut fault: CopyFault,
) -> Result<(), KernelError> {
    let mut done = 0;
    loop {
        done += fault.copied;
        space.touch(machine, fault.address, Touch::Write)?;
        match machine.write_user(address + done as u64, &bytes[done..]) {
            Ok(()) => return Ok(()),
            Err(next) => fault = next,
        }
    }
}

/// Copies four little-endian words from user memory.
///
/// # Errors
/// As [`read`].
#[inline(always)]
pub fn read_four<M: Machine>(
    machine: &mut M,
    space: &mut Space<M>,
    address: u64,
) -> Result<[u64; 4], KernelError> {
    check_range(address, 4 * 8)?;
    match machine.read_user_four(address) {
        [.., u64::MAX] => read_four_on(machine, space, address),
        words => Ok(words),
    }
}

/// Reads words again that met a fault: now as bytes, with their pages.
#[cold]
#[inline(never)]
fn read_four_on<M: Machine>(
    machine: &mut M,
    space: &mut Space<M>,
    address: u64,
) -> Result<[u64; 4], KernelError> {
    let mut words = [0; 4];
    for (word, at) in words.iter_mut().zip((address..).step_by(8)) {
        let mut bytes = [0; 8];
        read(machine, space, at, &mut bytes)?;
        *word = u64::from_le_bytes(bytes);
    }
    Ok(words)
}

/// Copies words to user memory, little-endian.
///
/// # Errors
/// As [`read`].
#[inline(always)]
pub fn write_words<M: Machine, const N: usize>(
    machine: &mut M,
    space: &mut Space<M>,
    address: u64,
    words: &[u64; N],
) -> Result<(), KernelError> {
    check_range(address, 8 * N as u64)?;
    match machine.write_user_words(address, words) {
        Ok(()) => Ok(()),
        Err(_) => write_words_on(machine, space, address, words),
    }
}

/// As [`read_four_on`].
#[cold]
#[inline(never)]
fn write_words_on<M: Machine>(
    machine: &mut M,
    space: &mut Space<M>,
    address: u64,
    words: &[u64],
) -> Result<(), KernelError> {
    for (word, at) in words.iter().zip((address..).step_by(8)) {
        write(machine, space, at, &word.to_le_bytes())?;
    }
    Ok(())
}

/// Checks that a range of user memory can be read or written, as `touch` says,
/// and brings its pages in. Most are short, and the processor looks faster than
/// its tables are looked through.
///
/// # Errors
/// As [`read`].
#[inline]
pub fn check<M: Machine>(
    machine: &mut M,
    space: &mut Space<M>,
    address: u64,
    length: u64,
    touch: Touch,
) -> Result<(), KernelError> {
    if length == 0 {
        // A buffer of no length has no address.
        return Ok(());
    }
    check_range(address, length)?;
    let last = address + (length - 1);
    if (address ^ last) >= PAGE_SIZE {
        return check_pages(machine, space, address, last, touch);
    }
    if machine.probe_user(address, touch == Touch::Write) {
        return Ok(());
    }
    check_missing(machine, space, address, touch)
}

/// Brings in the page of an address, which the processor has said is not there.
#[inline(never)]
fn check_missing<M: Machine>(
    machine: &mut M,
    space: &mut Space<M>,
    address: u64,
    touch: Touch,
) -> Result<(), KernelError> {
    space.touch(machine, address, touch).map(drop)
}

/// Checks all pages from `at` to `last`, both of which lie in the user half.
#[inline(never)]
fn check_pages<M: Machine>(
    machine: &mut M,
    space: &mut Space<M>,
    mut at: u64,
    last: u64,
    touch: Touch,
) -> Result<(), KernelError> {
    let write = touch == Touch::Write;
    while at <= last && machine.probe_user(at, write) {
        at = (at | (PAGE_SIZE - 1)) + 1;
    }
    // The processor has told of one that is not there, at the price of a fault.
    while at <= last {
        let present = machine.lookup(space.tables(), at);
        let may = |access: Access| if write { access.write } else { access.read };
        if !present.is_some_and(|(_, access)| may(access)) {
            space.touch(machine, at, touch)?;
        }
        at = (at | (PAGE_SIZE - 1)) + 1;
    }
    Ok(())
}

/// Which side of a copy between two address spaces cannot be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where the bytes come from.
    Source(KernelError),
    /// Where they go.
    Destination(KernelError),
}

/// Copies from the running space to another one, or to another place of the
/// same, through the frames there: once. `destination..+length` lies in the
/// user half.
///
/// # Errors
/// [`Side`], with errors as of [`read`] and [`write()`]. Some bytes may have been
/// copied.
pub fn carry<M: Machine>(
    machine: &mut M,
    source: &mut Space<M>,
    address: u64,
    mut other: Option<&mut Space<M>>,
    destination: u64,
    length: u64,
) -> Result<(), Side> {
    check_range(address, length).map_err(Side::Source)?;
    let mut done = 0;
    while done < length {
        let at = destination + done;
        let space = other.as_deref_mut().unwrap_or(&mut *source);
        let frame = match machine.lookup(space.tables(), at) {
            Some((frame, access)) if access.write => frame,
            _ => space
                .touch(machine, at, Touch::Write)
                .map_err(Side::Destination)?,
        };
        let offset = (at % PAGE_SIZE) as usize;
        let part = (length - done).min(PAGE_SIZE - at % PAGE_SIZE);
        match machine.read_user_to_frame(
            address + done,
            frame,
            offset,
            part.min(PAGE_SIZE) as usize,
        ) {
            Ok(()) => done += part,
            Err(fault) => {
                done += fault.copied as u64;
                source
                    .touch(machine, fault.address, Touch::Read)
                    .map_err(Side::Source)?;
            }
        }
    }
    Ok(())
}

/// Reads one little-endian word. Never inlined: argument fetching, which is,
/// must stay small.
///
/// # Errors
/// As [`read`].
#[inline(never)]
pub fn read_word<M: Machine>(
    machine: &mut M,
    space: &mut Space<M>,
    address: u64,
) -> Result<u64, KernelError> {
    let mut word = [0; 8];
    read(machine, space, address, &mut word)?;
    Ok(u64::from_le_bytes(word))
}

/// Reads a NUL-terminated string into `buffer`; says how long it is without
/// its terminator.
///
/// # Errors
/// As [`read`], and [`KernelError::TooLong`] when no terminator is in as many
/// bytes as the buffer has.
pub fn read_string<M: Machine>(
    machine: &mut M,
    space: &mut Space<M>,
    address: u64,
    buffer: &mut [u8],
) -> Result<usize, KernelError> {
    let mut done = 0;
    while done < buffer.len() {
        let at = address
            .checked_add(done as u64)
            .ok_or(KernelError::Overflow)?;
        // Never past a page that the string may end in, nor far past its end.
        let to_page_end = (PAGE_SIZE - at % PAGE_SIZE).min(STRING_CHUNK);
        let length =
            usize::try_from(to_page_end).map_or(1, |length| length.min(buffer.len() - done));
        let chunk = &mut buffer[done..done + length];
        read(machine, space, at, chunk)?;
        if let Some(end) = find_zero(chunk) {
            return Ok(done + end);
        }
        done += length;
    }
    Err(TooLong)
}

/// Place of the first zero byte. Eight bytes are looked at together: where
/// ring 0 is emulated, a loop over bytes is what a short call spends most on.
#[inline]
pub fn find_zero(bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        if let Some(at) = zero_in(u64::from_le_bytes(*word)) {
            return Some(index * 8 + at);
        }
    }
    let at = rest.iter().position(|byte| *byte == 0)?;
    Some(words.len() * 8 + at)
}

/// Index of the first zero of the eight bytes in `word`, the lowest first.
#[inline(always)]
pub fn zero_in(word: u64) -> Option<usize> {
    const LOW: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    // The lowest bit that is set is the first zero's; higher ones may lie.
    let zeros = word.wrapping_sub(LOW) & !word & HIGH;
    (zeros != 0).then(|| zeros.trailing_zeros() as usize / 8)
}

/// Bytes of a string that are read at once.
const STRING_CHUNK: u64 = 32;

#[cfg(test)]
mod tests;
