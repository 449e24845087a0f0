//! Raw system calls, made from ring 3 by a process that has no program.
//!
//! Purpose: tests of one call need no guest program: a [`Probe`] makes calls
//! with words and buffers of the test's choice and brings back result, buffers
//! and cost. Key types: [`Arg`], [`CallResult`]. Neighbours: `microvm` opens
//! probes, [`crate::args!`] writes arguments, [`crate::budget!`] checks costs.

use mayfly_abi::Abi;
use mayfly_wire::message::{Exited, RawCall, Request};

use crate::arguments::Prepared;
pub use crate::arguments::{Arg, inout, input, out, text};
use crate::backend::Counting;
use crate::cause::Cause;
use crate::error::{Error, Result, unexpected};
use crate::journal::{Answer, Returned};
use crate::metering::{self, Spent};
use crate::microvm::Vm;
use crate::near::nearest;
use crate::notation;

/// A process that makes the system calls it is told.
pub struct Probe<'vm> {
    vm: &'vm Vm,
    abi: Abi,
    pid: u64,
    root: u64,
}

impl<'vm> Probe<'vm> {
    pub(crate) fn new(vm: &'vm Vm, abi: Abi, pid: u64, root: u64) -> Self {
        Self { vm, abi, pid, root }
    }

    /// The same probe in a sibling of its machine ([`Vm::fork`]).
    pub fn in_vm<'other>(&self, sibling: &'other Vm) -> Probe<'other> {
        Probe::new(sibling, self.abi, self.pid, self.root)
    }

    /// Its process id.
    pub fn pid(&self) -> u64 {
        self.pid
    }

    /// Interface whose calls it makes.
    pub fn abi(&self) -> Abi {
        self.abi
    }

    /// What its calls wrote to its standard output so far.
    pub fn stdout_so_far(&self) -> Vec<u8> {
        self.vm.client().journal.process(self.pid).stdout.clone()
    }

    /// What its calls wrote to its standard error so far.
    pub fn stderr_so_far(&self) -> Vec<u8> {
        self.vm.client().journal.process(self.pid).stderr.clone()
    }

    /// Makes one system call. The call's failure is no error of this function:
    /// see [`CallResult::result`].
    ///
    /// # Errors
    /// When the call ends the probe, the machine ends, or the time is over.
    pub fn call(&self, number: u64, arguments: impl Into<Vec<Arg>>) -> Result<CallResult> {
        let arguments = arguments.into();
        let prepared = Prepared::new(&arguments)?;
        let options = self.vm.options();
        let counting = Counting {
            record: true,
            ..options.counting()
        };
        let metered = options.meter && self.vm.client().meter(Some(counting))?;
        let returned = self.returned(number, &prepared);
        let spent = metered.then(|| -> Result<Option<Spent>> {
            self.vm.client().meter(None)?;
            let visits = self.vm.client().take_visits();
            Ok(metering::of_call(&visits, self.abi, self.root, number))
        });
        // How the machine ended says more than that a meter cannot be asked now.
        let returned = returned?;
        let spent = spent.transpose()?.flatten();
        Ok(CallResult {
            value: returned.value,
            result: self.result(&returned),
            ticks: returned.after_tsc.saturating_sub(returned.before_tsc),
            kernel_instr: spent.as_ref().map(|spent| spent.instructions),
            spent,
            buffers: prepared.buffers(&arguments, &returned.buffer),
        })
    }

    /// Makes the call of that name, however its letters are cased.
    ///
    /// # Errors
    /// When the interface has none, and as [`Probe::call`].
    pub fn call_name(&self, name: &str, arguments: impl Into<Vec<Arg>>) -> Result<CallResult> {
        self.call(number_of(self.abi, name)?, arguments)
    }

    /// Ends it.
    ///
    /// # Errors
    /// When it is gone already.
    pub fn close(self) -> Result<()> {
        self.vm.kill(self.pid)
    }

    fn returned(&self, number: u64, prepared: &Prepared) -> Result<Returned> {
        let (abi, pid) = (self.abi, self.pid);
        let name = abi.row(number).map_or("call", |row| row.name);
        let what = format!("make {} {name} ({number}) in probe {pid}", abi.name());
        let timeout = self.vm.options().run_timeout;
        let mut client = self.vm.client();
        if let Some(call) = prepared.in_registers(abi, number)
            && let Some(mailbox) = client.begin_with_call(&what, timeout, pid, &call)?
        {
            let mailbox = mailbox.map_err(|exited| self.ended(name, exited))?;
            return Ok(Returned::from(&mailbox));
        }
        let id = client.next_id();
        let call = RawCall {
            number,
            arguments: prepared.words,
            count: prepared.count,
            buffer: &prepared.bytes,
            buffer_len: prepared.length,
        };
        client.send("make a call", &Request::Call { id, pid, call })?;
        let answer = client.wait(&what, timeout, |journal| {
            let answer = journal.answers.remove(&id).map(Ok);
            answer.or_else(|| journal.process(pid).exited.map(Err))
        })?;
        match answer {
            Ok(Answer::Returned(returned)) => Ok(returned),
            Ok(Answer::Refused { reason, message }) => Err(Error::Refused {
                what,
                reason,
                message,
            }),
            Ok(answer) => Err(unexpected(&what, &answer)),
            Err(exited) => Err(self.ended(name, exited)),
        }
    }

    /// The error of a call that ended the probe.
    fn ended(&self, name: &str, exited: Exited) -> Error {
        Error::ProbeEnded {
            pid: self.pid,
            call: format!("{} {name}", self.abi.name()),
            cause: match exited.cause.into() {
                Cause::Exited => format!("it exited with status {}", exited.status),
                cause => cause.to_string(),
            },
        }
    }

    fn result(&self, returned: &Returned) -> Result<u64, &'static str> {
        match returned.error {
            0 => Ok(returned.value),
            code => Err(self.abi.error_name(code).unwrap_or("unnamed error")),
        }
    }
}

/// What a raw call brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallResult {
    /// The result register.
    pub value: u64,
    /// Result word, or the name of the error.
    pub result: Result<u64, &'static str>,
    /// TSC cycles in ring 3 around the instruction. While kernel instructions
    /// are counted they say nothing: counting takes time.
    pub ticks: u64,
    /// Exact number of kernel instructions until it was back in the probe, those
    /// of other processes included; `None` when not metered.
    pub kernel_instr: Option<u64>,
    /// The same in parts, by process.
    pub spent: Option<Spent>,
    /// Buffers of `out` and `inout` arguments after the call, in their order.
    pub buffers: Vec<Vec<u8>>,
}

impl CallResult {
    /// The little-endian word at index `word` of returned buffer `buffer`.
    pub fn word(&self, buffer: usize, word: usize) -> Option<u64> {
        let bytes = self.buffers.get(buffer)?.get(word * 8..word * 8 + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// This call, with the costs of another one added.
    #[must_use]
    pub fn with_costs_of(mut self, other: &CallResult) -> Self {
        self.ticks += other.ticks;
        let counts = self.kernel_instr.zip(other.kernel_instr);
        self.kernel_instr = counts.map(|(one, other)| one + other);
        if let (Some(spent), Some(other)) = (&mut self.spent, &other.spent) {
            spent.add(other);
        }
        self
    }

    /// The cost in words, for messages.
    pub fn cost(&self) -> String {
        let parts = self.spent.as_ref().map_or(&[][..], |spent| &spent.parts);
        let parts: Vec<u64> = parts.iter().map(|part| part.instructions).collect();
        notation::cost(self.ticks, self.kernel_instr, &parts)
    }
}

/// Number of the call of that name.
///
/// # Errors
/// When the interface has none; the error names a close one.
pub fn number_of(abi: Abi, name: &str) -> Result<u64> {
    let rows = abi.rows();
    if let Some(row) = rows.iter().find(|row| row.name.eq_ignore_ascii_case(name)) {
        return Ok(row.number);
    }
    Err(Error::UnknownCall {
        abi,
        name: name.into(),
        near: nearest(name, rows.iter().map(|row| row.name)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BackendKind, VmOptions};
    use mayfly_abi::patchwork::nr as patchwork;

    #[test]
    fn calls_are_found_by_name_and_near_names_are_told() {
        assert_eq!(number_of(Abi::Patchwork, "write").unwrap(), 13);
        let error = number_of(Abi::Veridian, "YELD").unwrap_err().to_string();
        assert!(error.contains("YIELD is close"), "{error}");
    }

    #[test]
    fn a_panic_in_a_call_that_is_counted_is_told_whole() {
        let options = VmOptions::default().backend(BackendKind::Kvm).meter(true);
        let vm = options.boot().unwrap();
        let probe = vm.probe(Abi::Patchwork).unwrap();
        vm.panic_for_test(probe.pid()).unwrap();
        let error = probe.call(patchwork::GETPID, []).unwrap_err();
        let death = error.death().expect("a report, and not that it has ended");
        assert_eq!(death.kind(), "panic");
    }
}
