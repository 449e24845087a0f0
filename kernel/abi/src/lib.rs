//! The system-call interfaces that the kernel serves, as data.
//!
//! Purpose: one row declares a call ([`table`]); its number, name, decoder,
//! user stub, trace line and coverage entry derive from that row. How registers
//! carry a call is data too ([`convention`]). Neighbours: `kernel/core` serves
//! these calls, `user` makes them, `harness` names them in traces.
//!
//! - [`xeneva`]: XenevaOS services (`specs/xeneva.md`).
//! - [`patchwork`]: PatchworkOS system calls (`specs/patchwork.md`).
//! - [`veridian`]: VeridianOS system calls (`specs/veridian.md`).
//! - [`mailbox`]: how a probe is told its calls.

#![no_std]
#![forbid(unsafe_code)]

pub mod convention;
pub mod mailbox;
pub mod patchwork;
mod structure;
pub mod table;
pub mod veridian;
pub mod xeneva;

use convention::Convention;
use table::Row;

/// A number that no interface has: programs that are measured mark places with
/// it, by a call that does nothing.
pub const MARK: u64 = 0x6d61_7266;

/// System-call interface of a process. The discriminant is its code on the
/// wire and in the `Mayfly` ELF note of type 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Abi {
    /// XenevaOS service calls.
    Xeneva = 1,
    /// PatchworkOS system calls.
    Patchwork = 2,
    /// VeridianOS system calls.
    Veridian = 3,
}

impl Abi {
    /// All interfaces, in the order that folders and tables use.
    pub const ALL: [Abi; 3] = [Abi::Xeneva, Abi::Patchwork, Abi::Veridian];

    /// Name on the command line, in folders and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Abi::Xeneva => "xeneva",
            Abi::Patchwork => "patchwork",
            Abi::Veridian => "veridian",
        }
    }

    /// Code on the wire and in the ELF note.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Interface with the given code.
    pub const fn from_code(code: u8) -> Option<Abi> {
        match code {
            1 => Some(Abi::Xeneva),
            2 => Some(Abi::Patchwork),
            3 => Some(Abi::Veridian),
            _ => None,
        }
    }

    /// Interface with the given [`name`](Abi::name).
    pub fn from_name(name: &str) -> Option<Abi> {
        Abi::ALL.into_iter().find(|abi| abi.name() == name)
    }

    /// Rows of this interface, in the order of their numbers.
    pub const fn rows(self) -> &'static [Row] {
        match self {
            Abi::Xeneva => xeneva::Call::ROWS,
            Abi::Patchwork => patchwork::Call::ROWS,
            Abi::Veridian => veridian::Call::ROWS,
        }
    }

    /// Row with the given call number.
    pub fn row(self, number: u64) -> Option<&'static Row> {
        self.rows().iter().find(|row| row.number == number)
    }

    /// How registers carry a call of this interface.
    pub const fn convention(self) -> &'static Convention {
        match self {
            Abi::Xeneva => &xeneva::CONVENTION,
            Abi::Patchwork => &patchwork::CONVENTION,
            Abi::Veridian => &veridian::CONVENTION,
        }
    }

    /// Name of an error code as the kernel reports it beside a call's result
    /// (0 is no error).
    pub fn error_name(self, code: u32) -> Option<&'static str> {
        match self {
            Abi::Xeneva => xeneva::error_name(code),
            Abi::Patchwork => patchwork::error_name(code),
            Abi::Veridian => veridian::error_name(code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_come_back() {
        for abi in Abi::ALL {
            assert_eq!(Abi::from_code(abi.code()), Some(abi));
            assert_eq!(Abi::from_name(abi.name()), Some(abi));
        }
        assert_eq!(Abi::ALL.map(Abi::code), [1, 2, 3]);
    }

    #[test]
    fn other_codes_and_names_are_none() {
        assert!(
            (4..=u8::MAX)
                .chain([0])
                .all(|code| Abi::from_code(code).is_none())
        );
        assert_eq!(Abi::from_name("Xeneva"), None);
    }

    #[test]
    fn error_codes_have_names() {
        assert_eq!(Abi::Xeneva.error_name(1), Some("FAILED"));
        assert_eq!(Abi::Patchwork.error_name(38), Some("ENOSYS"));
        assert_eq!(Abi::Veridian.error_name(14), Some("InvalidSyscall"));
        assert!(Abi::ALL.iter().all(|abi| abi.error_name(0).is_none()));
    }
}
