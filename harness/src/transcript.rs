//! System calls that a process made, with names, types and results.
//!
//! Purpose: gives a trace record its meaning by the row of its call, and
//! prints it on one line as strace does. Key type: [`Call`]. Neighbours:
//! `journal` makes these of trace records, `guest::Output` hands them out,
//! [`crate::notation`] spells the words.

use std::fmt;

use mayfly_abi::Abi;
use mayfly_abi::table::{Outcome, Row};
use mayfly_wire::trace::Record;

use crate::notation;

/// One system call, as the kernel saw it.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    record: Record,
    detail: Vec<u8>,
    /// Result word, or the name of the error.
    pub result: Result<u64, &'static str>,
    /// Exact number of kernel instructions, when the machine was metered.
    pub kernel_instr: Option<u64>,
    /// The same in parts, by process; the caller's is the first.
    pub parts: Vec<u64>,
}

impl Call {
    /// Call of a trace record and the bytes that came with it.
    pub fn new(record: Record, detail: Vec<u8>) -> Self {
        let result = match (Abi::from_code(record.abi), record.error) {
            (_, 0) => Ok(record.result),
            (Some(abi), code) => Err(abi.error_name(code).unwrap_or("unnamed error")),
            (None, _) => Err("unnamed error"),
        };
        Self {
            record,
            detail,
            result,
            kernel_instr: None,
            parts: Vec::new(),
        }
    }

    /// Process that made it.
    pub fn pid(&self) -> u64 {
        self.record.pid
    }

    /// Thread that made it.
    pub fn tid(&self) -> u32 {
        self.record.tid
    }

    /// TSC when the kernel had it.
    pub(crate) fn entered_tsc(&self) -> u64 {
        self.record.entered_tsc
    }

    /// Interface it belongs to; `None` is a record this library cannot read.
    pub fn abi(&self) -> Option<Abi> {
        Abi::from_code(self.record.abi)
    }

    /// Call number.
    pub fn number(&self) -> u64 {
        self.record.number
    }

    /// Row that declares it; `None` is a number without a call.
    pub fn row(&self) -> Option<&'static Row> {
        self.abi()?.row(self.record.number)
    }

    /// Published name, or `call N` for a number without one.
    pub fn name(&self) -> String {
        self.row()
            .map_or_else(|| format!("call {}", self.number()), |row| row.name.into())
    }

    /// Argument words; those beyond the call's own mean nothing.
    pub fn arguments(&self) -> [u64; 6] {
        self.record.arguments
    }

    /// First bytes of what its pointer argument pointed at: a path, or data.
    pub fn detail(&self) -> &[u8] {
        &self.detail
    }

    /// The result register.
    pub fn value(&self) -> u64 {
        self.record.result
    }

    /// The call did not return: it ended its thread.
    pub fn ended(&self) -> bool {
        self.record.ended
    }

    /// TSC cycles from the kernel having the call to its being done with it.
    pub fn ticks(&self) -> u64 {
        self.record.left_tsc.saturating_sub(self.record.entered_tsc)
    }

    /// TSC when the kernel was done with it.
    pub fn left_tsc(&self) -> u64 {
        self.record.left_tsc
    }

    /// `NAME(arguments)`, without the result.
    pub fn signature(&self) -> String {
        let words = &self.record.arguments;
        match self.row() {
            Some(row) => notation::call(row, words, &self.detail),
            None => notation::unknown_call(self.number(), words),
        }
    }

    /// The result, in the notation of traces: `2`, `-1 ENOENT`, `?`.
    pub fn outcome(&self) -> String {
        let kind = self.row().map_or(Outcome::Number, |row| row.result);
        notation::result(kind, self.ended(), self.value(), self.result)
    }
}

/// `[pid tid] abi NAME(arguments) = result  <ticks>`.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let abi = self.abi().map_or("?", Abi::name);
        write!(
            f,
            "[{} {}] {abi} {} = {}  <{}>",
            self.pid(),
            self.tid(),
            self.signature(),
            self.outcome(),
            notation::cost(self.ticks(), self.kernel_instr, &self.parts)
        )
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patchwork(number: u64, arguments: [u64; 6], result: u64, error: u32) -> Record {
        Record {
            pid: 2,
            tid: 0,
            abi: Abi::Patchwork.code(),
            number,
            arguments,
            result,
            error,
            entered_tsc: 1000,
            left_tsc: 2234,
            ..Default::default()
        }
    }

    #[test]
    fn a_line_reads_as_strace_does() {
        let record = patchwork(13, [1, 0x7000, 2, 9, 9, 9], 2, 0);
        let call = Call::new(record, b"hi".into());
        assert_eq!(
            call.to_string(),
            r#"[2 0] patchwork WRITE(1, "hi", 2) = 2  <1,234 ticks>"#
        );
    }

    #[test]
    fn an_error_has_its_name() {
        let record = patchwork(9, [0x7000, 0, 0, 0, 0, 0], u64::MAX, 2);
        let call = Call::new(record, b"/none".into());
        assert_eq!(call.result, Err("ENOENT"));
        assert_eq!(call.outcome(), "-1 ENOENT");
        assert_eq!(call.signature(), r#"OPEN("/none")"#);
    }

    #[test]
    fn a_call_that_ends_its_thread_has_no_result() {
        let record = Record {
            ended: true,
            ..patchwork(0, [3, 0, 0, 0, 0, 0], 0, 0)
        };
        let call = Call::new(record, Vec::new());
        assert_eq!(call.signature(), "PROCESS_EXIT(3)");
        assert_eq!(call.outcome(), "?");
    }

    #[test]
    fn a_number_without_a_row_keeps_its_number() {
        let call = Call::new(patchwork(999, [1, 2, 3, 4, 5, 6], u64::MAX, 38), Vec::new());
        assert_eq!(call.name(), "call 999");
        assert_eq!(call.signature(), "call 999(0x1, 0x2, 0x3, 0x4, 0x5, 0x6)");
        assert_eq!(call.result, Err("ENOSYS"));
    }
}
