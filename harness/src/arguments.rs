//! Arguments of a raw call, and the memory that they point into.
//!
//! Purpose: a test says what a call's pointers point at; this lays it all out
//! in the one buffer that the wire carries to the probe, and cuts what comes
//! back. Neighbours: [`crate::probe`] makes the calls, [`crate::args!`] writes
//! the arguments.

use mayfly_abi::Abi;
use mayfly_abi::convention::Place;
use mayfly_abi::mailbox::Mailbox;
use mayfly_wire::message::{self, ARGUMENTS_MAX};

use crate::error::{Error, Result};

/// Longest that all buffers of a call may be together, in bytes.
const BUFFERS_MAX: usize = 60 << 10;
/// Buffers in a probe's memory start at multiples of this.
const ALIGN: usize = 16;

/// One argument of a raw call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arg {
    /// The word itself.
    Value(u64),
    /// Address of these bytes.
    Input(Vec<u8>),
    /// Address of so many zero bytes; they come back.
    Out(usize),
    /// Address of these bytes; they come back.
    InOut(Vec<u8>),
    /// Address so many bytes into the buffer of an earlier pointer argument,
    /// which is named by its place among the arguments.
    Inside(usize, u32),
}

/// Address of bytes that the call reads.
pub fn input(bytes: impl Into<Vec<u8>>) -> Arg {
    Arg::Input(bytes.into())
}

/// Address of a NUL-terminated string that the call reads.
pub fn text(text: &str) -> Arg {
    let mut bytes = Vec::from(text);
    bytes.push(0);
    Arg::Input(bytes)
}

/// Address of `length` zero bytes that the call may write; they come back.
pub fn out(length: usize) -> Arg {
    Arg::Out(length)
}

/// Address of bytes that the call may read and write; they come back.
pub fn inout(bytes: impl Into<Vec<u8>>) -> Arg {
    Arg::InOut(bytes.into())
}

macro_rules! values {
    ($($unsigned:ty),*; $($signed:ty),*) => {
        $( impl From<$unsigned> for Arg {
            fn from(value: $unsigned) -> Self {
                Arg::Value(value as u64)
            }
        } )*
        $( impl From<$signed> for Arg {
            fn from(value: $signed) -> Self {
                Arg::Value(i64::from(value).cast_unsigned())
            }
        } )*
    };
}

values!(u8, u16, u32, u64, usize; i8, i16, i32, i64);

/// Arguments as the wire wants them: words, and one buffer for all pointers.
pub(crate) struct Prepared {
    pub(crate) words: [message::Arg; ARGUMENTS_MAX],
    pub(crate) count: u8,
    pub(crate) bytes: Vec<u8>,
    pub(crate) length: u32,
    offsets: Vec<Option<usize>>,
}

impl Prepared {
    pub(crate) fn new(arguments: &[Arg]) -> Result<Self> {
        let too_much = |why: String| Error::Usage {
            what: "make a raw call".into(),
            why,
            remedy: format!("at most {ARGUMENTS_MAX} arguments and 60 KiB of buffers"),
        };
        if arguments.len() > ARGUMENTS_MAX {
            return Err(too_much(format!(
                "{} arguments are too many",
                arguments.len()
            )));
        }
        let mut words = [message::Arg::Value(0); ARGUMENTS_MAX];
        let mut bytes = Vec::new();
        let mut length = 0_usize;
        let mut offsets = Vec::new();
        for (word, argument) in words.iter_mut().zip(arguments) {
            let (contents, size) = match argument {
                Arg::Value(value) => {
                    *word = message::Arg::Value(*value);
                    offsets.push(None);
                    continue;
                }
                Arg::Inside(other, into) => {
                    let base: Option<usize> = offsets.get(*other).copied().flatten();
                    let base = base.ok_or_else(|| {
                        too_much(format!("argument {other} is no earlier pointer"))
                    })?;
                    *word = message::Arg::Buffer(short(base).saturating_add(*into));
                    offsets.push(None);
                    continue;
                }
                Arg::Input(contents) | Arg::InOut(contents) => (&contents[..], contents.len()),
                Arg::Out(size) => (&[][..], *size),
            };
            let offset = length.next_multiple_of(ALIGN);
            if size > BUFFERS_MAX || offset + size > BUFFERS_MAX {
                return Err(too_much("the buffers are too long".into()));
            }
            if !contents.is_empty() {
                bytes.resize(offset, 0);
                bytes.extend_from_slice(contents);
            }
            length = offset + size;
            *word = message::Arg::Buffer(short(offset));
            offsets.push(Some(offset));
        }
        Ok(Self {
            words,
            // At most ARGUMENTS_MAX, which fits.
            count: u8::try_from(arguments.len()).unwrap_or(u8::MAX),
            bytes,
            length: short(length),
            offsets,
        })
    }

    /// The call as a mailbox holds it, if all of it are words in registers.
    pub(crate) fn in_registers(&self, abi: Abi, number: u64) -> Option<Mailbox> {
        let convention = abi.convention();
        let words = &self.words[..self.count.into()];
        if self.length != 0 || words.len() > 6 {
            return None;
        }
        let mut call = Mailbox {
            number,
            ..Mailbox::default()
        };
        for (index, word) in words.iter().enumerate() {
            match (word, convention.place(index, words.len())) {
                (message::Arg::Value(word), Place::Register(register)) => {
                    *call.register(register) = *word;
                }
                _ => return None,
            }
        }
        *call.register(convention.number) = number;
        Some(call)
    }

    /// Contents of the returning buffers, cut out of the probe's buffer.
    pub(crate) fn buffers(&self, arguments: &[Arg], buffer: &[u8]) -> Vec<Vec<u8>> {
        let mut buffers = Vec::new();
        for (argument, offset) in arguments.iter().zip(&self.offsets) {
            let size = match argument {
                Arg::Out(size) => *size,
                Arg::InOut(contents) => contents.len(),
                _ => continue,
            };
            let bytes = offset.and_then(|offset| buffer.get(offset..offset + size));
            buffers.push(bytes.unwrap_or_default().into());
        }
        buffers
    }
}

/// A place in the buffers, which are at most [`BUFFERS_MAX`] bytes.
fn short(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_do_not_touch_and_come_back_in_order() {
        let arguments = [Arg::from(1_u64), input(*b"abc"), out(4), inout(*b"xy")];
        let prepared = Prepared::new(&arguments).unwrap();
        assert_eq!(prepared.words[0], message::Arg::Value(1));
        assert_eq!(prepared.words[2], message::Arg::Buffer(16));
        assert_eq!(prepared.length, 34);
        let mut memory = prepared.bytes.clone();
        memory.resize(34, 0);
        memory[16..20].copy_from_slice(b"done");
        assert_eq!(
            prepared.buffers(&arguments, &memory),
            [b"done".to_vec(), b"xy".to_vec()]
        );
    }

    #[test]
    fn negative_values_are_sign_extended() {
        assert_eq!(Arg::from(-1), Arg::Value(u64::MAX));
        assert_eq!(Arg::from(7_u8), Arg::Value(7));
    }

    #[test]
    fn too_many_arguments_are_refused() {
        let error = Prepared::new(&[const { Arg::Value(0) }; 10]).err().unwrap();
        assert_eq!(error.kind(), "usage");
    }

    #[test]
    fn buffers_that_are_too_long_are_refused_before_they_are_made() {
        let refused = |arguments: &[Arg]| Prepared::new(arguments).err().unwrap().kind();
        for first in [BUFFERS_MAX + 1, 1 << 40, usize::MAX] {
            assert_eq!(refused(&[out(first)]), "usage");
            assert_eq!(refused(&[out(first), out(1)]), "usage");
            assert_eq!(refused(&[out(first), input(*b"x")]), "usage");
        }
        assert_eq!(refused(&[out(BUFFERS_MAX), input(*b"x")]), "usage");
        assert!(Prepared::new(&[out(BUFFERS_MAX - 16), input(*b"x")]).is_ok());
    }
}
