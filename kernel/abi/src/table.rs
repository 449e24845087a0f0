//! The row that declares a call, and the macro that derives the rest from it.

use core::fmt;

use crate::convention::{Convention, Place};

/// One system call of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Number in the call-number register.
    pub number: u64,
    /// Published name, without the interface's common prefix.
    pub name: &'static str,
    /// Arguments, first to last; hidden result pointers included.
    pub arguments: &'static [Argument],
    /// What the result word is.
    pub result: Outcome,
}

/// One argument of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Name, as the specification gives it.
    pub name: &'static str,
    /// What the word is.
    pub kind: Kind,
}

/// What an argument word is: how a trace prints it and what a probe may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Signed integer of so many bits.
    Signed(u32),
    /// Unsigned integer of so many bits.
    Unsigned(u32),
    /// Bit set, printed in hexadecimal.
    Flags,
    /// Descriptor, token or id, printed in decimal.
    Handle,
    /// Nanoseconds.
    Duration,
    /// Address that is not dereferenced by the call.
    Address,
    /// Address of a NUL-terminated string that the kernel reads.
    Text,
    /// Address of bytes that the kernel reads; the next argument is the length.
    Input,
    /// Address of bytes that the kernel writes; the next argument is the length.
    Output,
    /// Address of one structure that the kernel reads.
    Load,
    /// Address of one structure that the kernel writes.
    Store,
}

/// What the result word of a call is when the call succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: the word is 0.
    Nothing,
    /// Unsigned number.
    Number,
    /// Descriptor, token or id.
    Handle,
    /// Address.
    Address,
    /// The call does not return.
    Never,
}

/// A type that one argument word decodes to. Bits beyond the type's width are
/// dropped, as the interfaces with narrow arguments ask; an interface that
/// must refuse them declares the argument as `u64` or [`Bits`].
pub trait Word {
    /// What the word is.
    const KIND: Kind;
    /// Decodes the word.
    fn from_word(word: u64) -> Self;
}

macro_rules! integer_words {
    ($($type:ty => $kind:expr;)*) => { $(
        impl Word for $type {
            const KIND: Kind = $kind;
            #[inline(always)]
            fn from_word(word: u64) -> Self {
                let low = *word.to_le_bytes().first_chunk().expect("no word type is wider than 64 bits");
                <$type>::from_le_bytes(low)
            }
        }
    )* };
}

macro_rules! newtype_words {
    ($($(#[$doc:meta])* $name:ident($inner:ty) => $kind:expr;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name(pub $inner);

        impl Word for $name {
            const KIND: Kind = $kind;
            #[inline(always)]
            fn from_word(word: u64) -> Self { Self(<$inner as Word>::from_word(word)) }
        }
    )* };
}

integer_words! {
    i32 => Kind::Signed(32);
    i64 => Kind::Signed(64);
    u8 => Kind::Unsigned(8);
    u16 => Kind::Unsigned(16);
    u32 => Kind::Unsigned(32);
    u64 => Kind::Unsigned(64);
}

newtype_words! {
    /// Bit set of 32 bits; higher bits are dropped.
    Flags(u32) => Kind::Flags;
    /// Bit set or small number whose high bits must be zero: the whole word is
    /// kept, so that the call can refuse it.
    Bits(u64) => Kind::Flags;
    /// Descriptor, token, process or thread id.
    Handle(u64) => Kind::Handle;
    /// Nanoseconds.
    Duration(u64) => Kind::Duration;
    /// Address that the call does not dereference (a mapping, an entry point).
    Address(u64) => Kind::Address;
    /// Address of a NUL-terminated string. An allegation: only a checked copy reads it.
    Text(u64) => Kind::Text;
    /// Address of bytes to read. An allegation: only a checked copy reads it.
    Input(u64) => Kind::Input;
    /// Address of bytes to write. An allegation: only a checked copy writes it.
    Output(u64) => Kind::Output;
    /// Address of one structure to read. An allegation.
    Load(u64) => Kind::Load;
    /// Address of one structure to write. An allegation.
    Store(u64) => Kind::Store;
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Where a decoder finds the words of a call.
pub trait Words {
    /// Why one cannot be read.
    type Error;
    /// The word in a place, each of which is asked for once.
    ///
    /// # Errors
    /// When it cannot be read.
    fn fetch(&mut self, place: Place) -> Result<u64, Self::Error>;
}

/// Words that a function fetches.
pub(crate) struct By<F>(pub(crate) F);

impl<E, F: FnMut(Place) -> Result<u64, E>> Words for By<F> {
    type Error = E;
    #[inline(always)]
    fn fetch(&mut self, place: Place) -> Result<u64, E> {
        (self.0)(place)
    }
}

/// Declares the calls of one interface: the decoded `enum Call`, its `ROWS`,
/// its decoder, and one constant per number in `nr`.
macro_rules! calls {
    (
        $(
            $(#[$doc:meta])*
            $number:literal $name:ident = $variant:ident {
                $( $argument:ident : $type:ty ),* $(,)?
            } -> $outcome:ident;
        )*
    ) => {
        /// Call numbers by name.
        pub mod nr {
            $(
                $(#[$doc])*
                pub const $name: u64 = $number;
            )*
        }

        /// A decoded call: which one, with typed arguments.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "argument names are those of the specification")]
        pub enum Call {
            $(
                $(#[$doc])*
                $variant { $( $argument: $type, )* },
            )*
        }

        impl Call {
            /// Every row, in the order of the numbers.
            pub const ROWS: &'static [$crate::table::Row] = &[
                $( $crate::table::Row {
                    number: $number,
                    name: stringify!($name),
                    arguments: &[
                        $( $crate::table::Argument {
                            name: stringify!($argument),
                            kind: <$type as $crate::table::Word>::KIND,
                        }, )*
                    ],
                    result: $crate::table::Outcome::$outcome,
                }, )*
            ];

            /// Decodes call `number`, fetching each argument once by its place.
            /// `None` is a number without a row.
            ///
            /// # Errors
            /// Whatever `fetch` answers for an argument that cannot be read.
            #[inline(always)]
            pub fn decode<E>(
                number: u64,
                fetch: impl FnMut($crate::convention::Place) -> Result<u64, E>,
            ) -> Result<Option<Self>, E> {
                Self::decode_from(number, &mut $crate::table::By(fetch))
            }

            /// As [`decode`](Self::decode), from words that know their places: that
            /// can be made part of the decoder whatever it does.
            ///
            /// # Errors
            /// As [`decode`](Self::decode).
            #[inline(always)]
            pub fn decode_from<W: $crate::table::Words>(
                number: u64,
                words: &mut W,
            ) -> Result<Option<Self>, W::Error> {
                Ok(Some(match number {
                    $(
                        $number => Self::$variant {
                            $( $argument: <$type as $crate::table::Word>::from_word(words.fetch(const {
                                $crate::table::place(
                                    &CONVENTION, Self::ROWS, $number, stringify!($argument),
                                )
                            })?), )*
                        },
                    )*
                    _ => return Ok(None),
                }))
            }
        }
    };
}
pub(crate) use calls;

/// Place of one argument of a row, for the table macro: evaluated while
/// compiling, so that a decoder holds registers and offsets, not a search.
pub(crate) const fn place(
    convention: &Convention,
    rows: &[Row],
    number: u64,
    argument: &str,
) -> Place {
    let mut at = 0;
    while rows[at].number != number {
        at += 1;
    }
    let arguments = rows[at].arguments;
    let mut index = 0;
    while !same(arguments[index].name, argument) {
        index += 1;
    }
    convention.place(index, arguments.len())
}

/// String equality, which `core` does not offer in constants.
const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A word with another value in its low 8, 16, 32 and 64 bits.
    const WORD: u64 = 0xfedc_ba98_8765_43c1;

    #[test]
    fn narrow_words_drop_high_bits() {
        assert_eq!(u8::from_word(WORD), 0xc1);
        assert_eq!(u16::from_word(WORD), 0x43c1);
        assert_eq!(u32::from_word(WORD), 0x8765_43c1);
        assert_eq!(u64::from_word(WORD), WORD);
        assert_eq!(Flags::from_word(WORD), Flags(0x8765_43c1));
    }

    #[test]
    fn signed_words_take_their_sign_from_their_width() {
        assert_eq!(i32::from_word(0x0000_0000_ffff_ffff), -1);
        assert_eq!(i32::from_word(0xffff_ffff_0000_0001), 1);
        assert_eq!(i64::from_word(0x0000_0000_ffff_ffff), 0xffff_ffff);
        assert_eq!(i64::from_word(u64::MAX), -1);
    }

    #[test]
    fn words_that_may_be_refused_are_kept_whole() {
        assert_eq!(Bits::from_word(WORD), Bits(WORD));
        assert_eq!(Handle::from_word(WORD), Handle(WORD));
        assert_eq!(Output::from_word(WORD), Output(WORD));
    }

    #[test]
    fn strings_are_compared_whole() {
        assert!(same("capability", "capability"));
        assert!(!same("capability", "capability1"));
        assert!(!same("old", "new"));
    }
}
