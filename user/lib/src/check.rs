//! Comparisons that a program makes of the kernel's answers.
//!
//! Purpose: print what differs, and one line "NAME ok" with status 0 when
//! nothing does; otherwise the status is 1. Neighbours: the programs in
//! `programs/` and those that check answers of their own.

use core::fmt;

use mayfly_abi::Abi;

use crate::entry::Process;
use crate::say;
use crate::system::System;

/// Differences that are printed; the rest is only counted.
const PRINTED: u32 = 8;

/// Comparisons under one name.
pub struct Checks<'a, S> {
    process: &'a Process<S>,
    name: &'static str,
    differences: u32,
}

impl<'a, S: System> Checks<'a, S> {
    /// None yet.
    pub fn new(process: &'a Process<S>, name: &'static str) -> Self {
        Self {
            process,
            name,
            differences: 0,
        }
    }

    /// `found` should be `wanted`.
    pub fn equal(&mut self, what: fmt::Arguments<'_>, found: u64, wanted: u64) {
        if found != wanted {
            self.differ(format_args!("{what}: {found:#x}, not {wanted:#x}"));
        }
    }

    /// `fact` should be so.
    pub fn holds(&mut self, what: fmt::Arguments<'_>, fact: bool) {
        if !fact {
            self.differ(format_args!("not so: {what}"));
        }
    }

    /// The error code `found` should be `wanted`; both are shown by name.
    pub fn error(&mut self, what: fmt::Arguments<'_>, found: u32, wanted: u32) {
        if found != wanted {
            let (found, wanted) = (Named(S::ABI, found), Named(S::ABI, wanted));
            self.differ(format_args!("{what}: {found}, not {wanted}"));
        }
    }

    /// Says how it went; the program's exit status.
    pub fn finish(self) -> i32 {
        if self.differences == 0 {
            say!(self.process, "{} ok", self.name);
        }
        self.status()
    }

    /// The program's exit status; says nothing when nothing differed.
    pub fn status(self) -> i32 {
        if self.differences == 0 {
            return 0;
        }
        say!(self.process, "{}: {} differ", self.name, self.differences);
        1
    }

    fn differ(&mut self, difference: fmt::Arguments<'_>) {
        self.differences += 1;
        if self.differences <= PRINTED {
            say!(self.process, "{}: {difference}", self.name);
        }
    }
}

/// An error code with its name.
struct Named(Abi, u32);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.error_name(self.1) {
            Some(name) => f.write_str(name),
            None if self.1 == 0 => f.write_str("success"),
            None => write!(f, "error {}", self.1),
        }
    }
}
