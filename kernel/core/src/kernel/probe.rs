//! Probes: processes that make the raw calls the host asks for.
//!
//! A probe runs `user/common/probe.rs`: it loads RAX and RDX from a mailbox,
//! makes the call, stores RAX and the time stamps around it, and stops at an
//! undefined instruction just before its entry point. All other registers are
//! set here, by the convention of its interface.

use core::mem::offset_of;

use mayfly_abi::Abi;
use mayfly_abi::convention::{Place, Register};
use mayfly_abi::mailbox::{ADDRESS as MAILBOX, BUFFER, LOADING_ENTRY, Mailbox, STOP_BEFORE_ENTRY};

use super::{Flow, Input, Kernel, Running, SpawnError, SpawnRequest};
use crate::error::KernelError;
use crate::event::Event;
use crate::object::memory::{Backing, Region};
use crate::object::process::{Probe, ProcessKey};
use crate::object::thread::Wait;
use crate::personality;
use crate::port::{Access, Host, Machine, PAGE_SIZE, PageFrame, Port};
use crate::trace::set_register;

/// Program that probes run.
const PROGRAM: &str = "probe";
/// The mailbox page has the extension block at its middle.
const EXTENSION: u64 = MAILBOX + 0x800;
/// Words of the mailbox: RAX, RDX in; result, time before and after out.
const MAILBOX_WORDS: usize = 5;
/// Largest buffer of a call, in bytes.
const BUFFER_MAX: u64 = 1 << 20;
/// Room above the stack pointer that stack arguments are written to.
const STACK_ARGUMENTS: u64 = 128;

/// One call for a probe.
#[derive(Clone, Copy, Debug)]
pub struct ProbeCall<'a> {
    /// Call number.
    pub number: u64,
    /// Argument words; where `in_buffer` says so, offsets into the buffer.
    pub arguments: &'a [(bool, u64)],
    /// First contents of the buffer.
    pub buffer: &'a [u8],
}

/// What a probe's call gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeResult {
    /// Result register.
    pub value: u64,
    /// Error code as the ABI counts them, 0 for success.
    pub error: u32,
    /// Time stamp before the call.
    pub before: u64,
    /// Time stamp after it.
    pub after: u64,
}

impl<P: Port> Kernel<P> {
    /// Makes a probe process.
    ///
    /// # Errors
    /// [`SpawnError`].
    pub fn open_probe(&mut self, abi: Abi) -> Result<ProcessKey, SpawnError> {
        let request = SpawnRequest {
            abi: Some(abi),
            program: PROGRAM,
            arguments: b"probe\0",
            traced: false,
            frames_max: 0,
            input: Input::Empty,
        };
        let regions = [(MAILBOX, PAGE_SIZE), (BUFFER, BUFFER_MAX)].map(|(start, size)| Region {
            start,
            end: start + size,
            access: Access::READ_WRITE,
            backing: Backing::Zero,
        });
        let key = self.create(&request, &regions)?;
        let process = self.processes.get_mut(key).ok_or(SpawnError::NoRoom)?;
        // There from the beginning, so that memory does not tell how its calls
        // come. If there is none, the first call says so.
        let _brought_in = process.space.poke(&mut self.machine, MAILBOX, &[0]);
        let thread = process.threads.first().copied();
        let thread = thread.and_then(|key| self.threads.get_mut(key));
        let thread = thread.ok_or(SpawnError::NoRoom)?;
        thread.park(Wait::Request);
        let context = thread.context.as_ref().ok_or(SpawnError::NoRoom)?;
        let frame = P::Machine::registers(context);
        process.probe = Some(Probe {
            entry: frame.rip,
            stop: frame.rip.wrapping_sub(STOP_BEFORE_ENTRY),
            stack: frame.rsp - STACK_ARGUMENTS,
            number: 0,
            request: 0,
            room: 0,
            mailbox: None,
        });
        Ok(key)
    }

    /// Lets a probe make a call. [`crate::event::Event::ProbeReturned`] says when it is back.
    ///
    /// # Errors
    /// [`KernelError::BadHandle`] when that is no idle probe,
    /// [`KernelError::InvalidArgument`] for a buffer or an argument list that is too long.
    pub fn probe_call(&mut self, key: ProcessKey, call: &ProbeCall<'_>) -> Result<(), KernelError> {
        let process = self.processes.get_mut(key).ok_or(KernelError::BadHandle)?;
        let probe = process.probe.as_mut().ok_or(KernelError::BadHandle)?;
        let thread = process.threads.first().copied();
        let thread_key = thread.ok_or(KernelError::BadHandle)?;
        let thread = self
            .threads
            .get_mut(thread_key)
            .ok_or(KernelError::BadHandle)?;
        if thread.wait != Some(Wait::Request) {
            return Err(KernelError::BadHandle);
        }
        let convention = process.abi.convention();
        let most = if convention.extension_block {
            usize::MAX
        } else {
            6
        };
        if call.buffer.len() as u64 > BUFFER_MAX || call.arguments.len() > most {
            return Err(KernelError::InvalidArgument);
        }
        let machine = &mut self.machine;
        process.space.poke(machine, BUFFER, call.buffer)?;
        let context = thread.context.as_mut().ok_or(KernelError::BadHandle)?;
        let mut frame = *P::Machine::registers(context);
        frame.rsp = probe.stack;
        let words = call.arguments.len();
        for (index, (in_buffer, word)) in call.arguments.iter().enumerate() {
            let word = if *in_buffer {
                BUFFER.wrapping_add(*word)
            } else {
                *word
            };
            match convention.place(index, words) {
                Place::Register(register) => set_register(&mut frame, register, word),
                Place::Stack(offset) => {
                    process
                        .space
                        .poke(machine, frame.rsp + offset, &word.to_le_bytes())?;
                }
                Place::Extension(offset) => {
                    process
                        .space
                        .poke(machine, EXTENSION + offset, &word.to_le_bytes())?;
                }
            }
        }
        if words > 6 {
            set_register(&mut frame, Register::R9, EXTENSION);
        }
        set_register(&mut frame, convention.number, call.number);
        let mut mailbox = [0; MAILBOX_WORDS * 8];
        mailbox[..8].copy_from_slice(&frame.rax.to_le_bytes());
        mailbox[8..16].copy_from_slice(&frame.rdx.to_le_bytes());
        process.space.poke(machine, MAILBOX, &mailbox)?;
        frame.rbp = MAILBOX;
        frame.rip = probe.entry;
        frame.vector = 0;
        probe.number = call.number;
        *P::Machine::registers_mut(context) = frame;
        thread.wait = None;
        self.wake(thread_key);
        Ok(())
    }

    /// Lets a probe go to where it makes a call that the host puts into its
    /// mailbox; the machine stands still there ([`Host::awaiting`]).
    ///
    /// # Errors
    /// [`KernelError::BadHandle`] when that is no idle probe.
    pub fn probe_await(&mut self, key: ProcessKey) -> Result<(), KernelError> {
        let process = self.processes.get_mut(key).ok_or(KernelError::BadHandle)?;
        let probe = process.probe.ok_or(KernelError::BadHandle)?;
        let thread = process.threads.first().copied();
        let thread_key = thread.ok_or(KernelError::BadHandle)?;
        let thread = self.threads.get_mut(thread_key);
        let thread = thread.filter(|thread| thread.wait == Some(Wait::Request));
        let thread = thread.ok_or(KernelError::BadHandle)?;
        let empty = [0; size_of::<Mailbox>()];
        process.space.poke(&mut self.machine, MAILBOX, &empty)?;
        let context = thread.context.as_mut().ok_or(KernelError::BadHandle)?;
        let frame = P::Machine::registers_mut(context);
        (frame.rsp, frame.rbp) = (probe.stack, MAILBOX);
        (frame.rip, frame.vector) = (probe.entry + LOADING_ENTRY, 0);
        thread.wait = Some(Wait::Mailbox);
        self.wake(thread_key);
        Ok(())
    }

    /// Stands still, until the machine or a copy of it goes on: to ring 3 if a
    /// call is in the mailbox by then.
    #[inline(never)]
    pub(super) fn await_call(&mut self, running: &mut Running<P>) -> Flow {
        let tables = running.process.space.tables();
        let Some((mailbox, _)) = self.machine.lookup(tables, MAILBOX) else {
            return running.park(Wait::Request, None);
        };
        let armed = self.armed.is_some();
        if armed {
            self.machine.arm_timer(None);
        }
        let since = self.machine.ticks();
        self.host.awaiting(mailbox);
        let epoch = word(&self.machine, mailbox, offset_of!(Mailbox, epoch));
        let skipped = self.machine.stood_still(since, epoch);
        self.clocks.skip(skipped);
        self.dispatched = self.dispatched.wrapping_add(skipped);
        running.process.started = running.process.started.wrapping_add(skipped);
        if armed {
            self.timer_fired();
        }
        match &mut running.process.probe {
            Some(probe) if epoch != 0 => {
                probe.mailbox = Some(mailbox);
                Flow::Resume
            }
            _ => {
                self.host.event(Event::Uncalled);
                running.park(Wait::Request, None)
            }
        }
    }

    /// A probe is back from its call.
    pub(super) fn probe_stopped(&mut self, running: &mut Running<P>) -> Flow {
        let process = &mut running.process;
        let told = process
            .probe
            .as_mut()
            .and_then(|probe| probe.mailbox.take());
        let Some(mailbox) = told else {
            let process = process.key;
            self.host.event(Event::ProbeReturned { process });
            return running.park(Wait::Request, None);
        };
        let number = word(&self.machine, mailbox, offset_of!(Mailbox, number));
        let result = word(&self.machine, mailbox, offset_of!(Mailbox, result));
        let errno = running.thread.errno;
        // No interface spells a failure as a positive number.
        let error = match result.cast_signed() {
            1.. => 0,
            _ => personality::error_code(process.abi, number, result, errno),
        };
        if error != 0 {
            // The call itself may have put another page there.
            let now = self.machine.lookup(process.space.tables(), MAILBOX);
            if now.is_some_and(|(frame, _)| frame == mailbox) {
                let error = u64::from(error).to_le_bytes();
                self.machine
                    .write_frame(mailbox, offset_of!(Mailbox, error), &error);
            }
        }
        self.host.called();
        running.park(Wait::Request, None)
    }

    /// What the last call of a probe gave; `buffer` receives the probe's buffer.
    ///
    /// # Errors
    /// [`KernelError::BadHandle`] when that is no idle probe.
    pub fn probe_result(
        &mut self,
        key: ProcessKey,
        buffer: &mut [u8],
    ) -> Result<ProbeResult, KernelError> {
        let process = self.processes.get_mut(key).ok_or(KernelError::BadHandle)?;
        let number = process.probe.ok_or(KernelError::BadHandle)?.number;
        let thread = process.threads.first().copied();
        let thread = thread.and_then(|key| self.threads.get(key));
        let thread = thread.ok_or(KernelError::BadHandle)?;
        if thread.wait != Some(Wait::Request) {
            return Err(KernelError::BadHandle);
        }
        let errno = thread.errno;
        let mut mailbox = [0; MAILBOX_WORDS * 8];
        process
            .space
            .peek(&mut self.machine, MAILBOX, &mut mailbox)?;
        process.space.peek(&mut self.machine, BUFFER, buffer)?;
        let word = |index: usize| {
            let bytes = mailbox[index * 8..].first_chunk();
            bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        Ok(ProbeResult {
            value: word(2),
            error: personality::error_code(process.abi, number, word(2), errno),
            before: word(3),
            after: word(4),
        })
    }
}

/// The word at `offset` of a frame.
fn word<M: Machine>(machine: &M, frame: PageFrame, offset: usize) -> u64 {
    let mut bytes = [0; 8];
    machine.read_frame(frame, offset, &mut bytes);
    u64::from_le_bytes(bytes)
}
