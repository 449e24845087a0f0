//! Raw system calls, made from ring 3 by a process that has no program.
//!
//! Purpose: tests of one call need no guest program: a [`Probe`] makes calls
//! with words and buffers of the test's choice and brings back result, buffers
//! and cost. Key types: [`Arg`], [`CallResult`]. Neighbours: `microvm` opens
//! probes, [`crate::args!`] writes arguments, [`crate::budget!`] checks costs.

use mayfly_abi::Abi;
use mayfly_wire::message::{self, ARGUMENTS_MAX, RawCall, Request};

use crate::cause::Cause;
use crate::error::{Error, Result};
use crate::guest::unexpected;
use crate::journal::{Answer, Returned};
use crate::metering;
use crate::microvm::Vm;
use crate::notation;

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
        let metered = self.vm.options().meter && self.vm.client().meter(true)?;
        let returned = self.returned(number, &prepared);
        let kernel_instr = if metered {
            self.vm.client().meter(false)?;
            let visits = self.vm.client().take_visits();
            metering::of_call(&visits, self.abi, self.root, number)
        } else {
            None
        };
        let returned = returned?;
        Ok(CallResult {
            value: returned.value,
            result: self.result(&returned),
            ticks: returned.after_tsc.saturating_sub(returned.before_tsc),
            kernel_instr,
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
        let mut client = self.vm.client();
        let id = client.next_id();
        let call = RawCall {
            number,
            arguments: prepared.words,
            count: prepared.count,
            buffer: &prepared.bytes,
            buffer_len: prepared.length,
        };
        client.send("make a call", &Request::Call { id, pid, call })?;
        let timeout = self.vm.options().run_timeout;
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
            Err(exited) => Err(Error::ProbeEnded {
                pid,
                call: format!("{} {name}", abi.name()),
                cause: match exited.cause.into() {
                    Cause::Exited => format!("it exited with status {}", exited.status),
                    cause => cause.to_string(),
                },
            }),
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
    /// Exact number of kernel instructions; `None` when not metered.
    pub kernel_instr: Option<u64>,
    /// Buffers of `out` and `inout` arguments after the call, in their order.
    pub buffers: Vec<Vec<u8>>,
}

impl CallResult {
    /// The little-endian word at index `word` of returned buffer `buffer`.
    pub fn word(&self, buffer: usize, word: usize) -> Option<u64> {
        let bytes = self.buffers.get(buffer)?.get(word * 8..word * 8 + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// The cost in words, for messages.
    pub fn cost(&self) -> String {
        let ticks = notation::grouped(self.ticks);
        match self.kernel_instr {
            Some(count) => format!("{ticks} ticks, {} instr", notation::grouped(count)),
            None => format!("{ticks} ticks"),
        }
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
    let distance = |row: &mayfly_abi::table::Row| {
        strsim::damerau_levenshtein(&row.name.to_lowercase(), &name.to_lowercase())
    };
    let near = rows.iter().min_by_key(|row| distance(row));
    Err(Error::UnknownCall {
        abi,
        name: name.into(),
        near: near.filter(|row| distance(row) <= 3).map(|row| row.name),
    })
}

/// Arguments as the wire wants them: words, and one buffer for all pointers.
struct Prepared {
    words: [message::Arg; ARGUMENTS_MAX],
    count: u8,
    bytes: Vec<u8>,
    length: u32,
    offsets: Vec<Option<usize>>,
}

impl Prepared {
    fn new(arguments: &[Arg]) -> Result<Self> {
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
                    let base = u32::try_from(base).unwrap_or(u32::MAX);
                    *word = message::Arg::Buffer(base.saturating_add(*into));
                    offsets.push(None);
                    continue;
                }
                Arg::Input(contents) | Arg::InOut(contents) => (&contents[..], contents.len()),
                Arg::Out(size) => (&[][..], *size),
            };
            let offset = length.next_multiple_of(ALIGN);
            if !contents.is_empty() {
                bytes.resize(offset, 0);
                bytes.extend_from_slice(contents);
            }
            length = offset.saturating_add(size);
            let at = u32::try_from(offset).map_err(|_| too_much("buffers too long".into()))?;
            *word = message::Arg::Buffer(at);
            offsets.push(Some(offset));
        }
        let buffer_len = u32::try_from(length).ok();
        let length = buffer_len.filter(|length| *length as usize <= 60 << 10);
        Ok(Self {
            words,
            // At most ARGUMENTS_MAX, which fits.
            count: u8::try_from(arguments.len()).unwrap_or(u8::MAX),
            bytes,
            length: length.ok_or_else(|| too_much("the buffers are too long".into()))?,
            offsets,
        })
    }

    /// Contents of the returning buffers, cut out of the probe's buffer.
    fn buffers(&self, arguments: &[Arg], buffer: &[u8]) -> Vec<Vec<u8>> {
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
        assert!(Prepared::new(&[Arg::Out(1 << 20)]).is_err());
    }

    #[test]
    fn calls_are_found_by_name_and_near_names_are_told() {
        assert_eq!(number_of(Abi::Patchwork, "write").unwrap(), 13);
        let error = number_of(Abi::Veridian, "YELD").unwrap_err().to_string();
        assert!(error.contains("YIELD is close"), "{error}");
    }
}
