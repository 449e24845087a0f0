//! Frames: a little-endian 32-bit length, then that many bytes of body.

use serde::{Deserialize, Serialize};

use crate::BODY_MAX;

/// Bytes of the length in front of a body.
pub const HEADER: usize = 4;

/// What can be wrong with a frame or its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The length says more than [`BODY_MAX`].
    TooLong(u32),
    /// The body is not a message of this protocol version.
    Malformed,
    /// The message does not fit the buffer given.
    NoRoom,
}

/// The body of a frame, and the bytes after the frame.
pub type BodyAndRest<'a> = (&'a [u8], &'a [u8]);

/// Writes `message` as one frame at the start of `buffer`; says how many bytes
/// that took.
///
/// # Errors
/// [`FrameError::NoRoom`] when `buffer` is too short, or the body would be
/// longer than [`BODY_MAX`].
pub fn encode<T: Serialize>(message: &T, buffer: &mut [u8]) -> Result<usize, FrameError> {
    let (header, body) = buffer
        .split_first_chunk_mut::<HEADER>()
        .ok_or(FrameError::NoRoom)?;
    let room = body.len().min(BODY_MAX);
    let body = &mut body[..room];
    let used = postcard::to_slice(message, body)
        .map_err(|_| FrameError::NoRoom)?
        .len();
    let length = u32::try_from(used).map_err(|_| FrameError::NoRoom)?;
    *header = length.to_le_bytes();
    Ok(HEADER + used)
}

/// Body of the first frame in `bytes` and what follows it; `None` while the
/// frame is incomplete.
///
/// # Errors
/// [`FrameError::TooLong`] when the length cannot be a frame of this protocol.
pub fn split(bytes: &[u8]) -> Result<Option<BodyAndRest<'_>>, FrameError> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*header);
    if length as usize > BODY_MAX {
        return Err(FrameError::TooLong(length));
    }
    Ok(rest.split_at_checked(length as usize))
}

/// Reads the message that is the whole of `body`.
///
/// # Errors
/// [`FrameError::Malformed`] when it is none, or has bytes left over.
pub fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, FrameError> {
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Ok(message),
        _ => Err(FrameError::Malformed),
    }
}
