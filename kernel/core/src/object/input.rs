//! Standard input that the host sends, and that programs read as it comes.
//!
//! An input belongs to whoever holds its open file: the process it was made
//! for, and those that got the file from it. The host sends no more than it was
//! given room for, and is given room again as bytes are read ([`Queue`]): what
//! nobody reads stays with the host. When the last holder goes, it leaves that
//! in [`Hangups`], as pipes do.

use alloc::collections::VecDeque;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::file::Ready;
use crate::object::pipe::Hangups;
use crate::object::process::ProcessKey;
use crate::object::store::Quota;
use crate::object::wait::{Entry, WaitQueue};
use crate::personality;
use crate::port::{Host, Port};
use crate::user;

/// Bytes that an input holds.
pub const CAPACITY: usize = 16 << 10;
/// What an input costs, its contents included: they were promised.
const INPUT_COST: u64 = CAPACITY as u64 + 512;
/// Room that is worth telling the host of.
const ROOM_TOLD: usize = CAPACITY / 2;

/// Why the host's bytes are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedError {
    /// Nobody is left to read them, or they are for no input.
    NoReader,
    /// There are more than there was room for.
    NoRoom,
    /// They come after the end.
    Ended,
}

/// Bytes on their way, and the room that the host has. What it may send, what
/// is here and what was read untold are [`CAPACITY`] together, always.
#[derive(Debug)]
pub struct Queue {
    bytes: VecDeque<u8>,
    /// Bytes that the host may still send.
    room: usize,
    /// Bytes that were read, and that the host was not given room for again.
    untold: usize,
    ended: bool,
}

impl Queue {
    /// An empty one; the host may send [`CAPACITY`] bytes.
    pub fn new() -> Self {
        Self {
            bytes: VecDeque::new(),
            room: CAPACITY,
            untold: 0,
            ended: false,
        }
    }

    /// Bytes to read.
    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Nothing comes after the bytes that are here.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Takes in what the host sent; no bytes are the end.
    ///
    /// # Errors
    /// [`FeedError::NoRoom`], [`FeedError::Ended`]; nothing is taken then.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), FeedError> {
        if self.ended {
            return Err(FeedError::Ended);
        }
        self.room = self
            .room
            .checked_sub(bytes.len())
            .ok_or(FeedError::NoRoom)?;
        self.ended = bytes.is_empty();
        self.bytes.extend(bytes);
        Ok(())
    }

    /// The first bytes, at most `most`, in the two parts they lie in.
    pub fn front(&self, most: usize) -> (&[u8], &[u8]) {
        let (first, second) = self.bytes.as_slices();
        let in_first = most.min(first.len());
        let in_second = (most - in_first).min(second.len());
        (&first[..in_first], &second[..in_second])
    }

    /// Forgets the first bytes, which were read; says how much room the host
    /// is to be given again, when that is worth a message.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn take(&mut self, count: usize) -> Option<usize> {
        self.bytes.drain(..count);
        self.untold += count;
        if self.ended || self.untold < ROOM_TOLD {
            return None;
        }
        self.room += self.untold;
        Some(core::mem::take(&mut self.untold))
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self::new()
    }
}

/// Standard input that the host sends.
#[derive(Debug)]
pub struct Input {
    /// Number of the process it was made for; 0 while there is none.
    process: Cell<u64>,
    queue: RefCell<Queue>,
    readable: WaitQueue,
    hangups: Rc<Hangups>,
    quota: Rc<Quota>,
}

/// Inputs are shared by those who have the same open file.
pub type InputRef = Rc<Input>;

/// The inputs that somebody may read, for the host to name.
pub type Inputs = Vec<(u64, Weak<Input>)>;

impl Input {
    fn new(quota: &Rc<Quota>, hangups: &Rc<Hangups>) -> Result<InputRef, KernelError> {
        quota.take(INPUT_COST)?;
        Ok(Rc::new(Self {
            process: Cell::new(0),
            queue: RefCell::default(),
            readable: WaitQueue::default(),
            hangups: Rc::clone(hangups),
            quota: Rc::clone(quota),
        }))
    }

    /// What can be done without waiting: reading, at the end too.
    pub fn ready(&self) -> Ready {
        let queue = self.queue.borrow();
        match queue.length() > 0 || queue.has_ended() {
            true => Ready::IN,
            false => Ready::NONE,
        }
    }

    /// Enters a parked thread for any change.
    pub fn enter(&self, entry: Entry) {
        self.readable.enter(entry);
    }

    /// Reads what is there, at most `count` bytes; waits while there is nothing
    /// and the end has not come. 0 is the end.
    ///
    /// # Errors
    /// Those of the buffer.
    pub fn read<P: Port>(
        &self,
        kernel: &mut Kernel<P>,
        running: &mut Running<P>,
        address: u64,
        count: u64,
    ) -> Result<Flow, KernelError> {
        let mut queue = self.queue.borrow_mut();
        let length = queue
            .length()
            .min(usize::try_from(count).unwrap_or(usize::MAX));
        if length == 0 {
            let waits = count > 0 && !queue.has_ended();
            return Ok(if waits {
                running.wait_in(&self.readable)
            } else {
                Flow::Return(0)
            });
        }
        let (machine, space) = (&mut kernel.machine, &mut running.process.space);
        let (first, second) = queue.front(length);
        user::write(machine, space, address, first)?;
        user::write(machine, space, address + first.len() as u64, second)?;
        if let Some(room) = queue.take(length) {
            // At once: a program that polls without a pause lets no one else run.
            kernel.host.input_room(self.process.get(), room);
        }
        Ok(Flow::Return(length as u64))
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.quota.give(INPUT_COST);
        if self.process.get() != 0 {
            self.hangups.unread(self.process.get());
        }
    }
}

impl<P: Port> Kernel<P> {
    /// An input that is not yet any process's.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub(crate) fn input(&self) -> Result<InputRef, KernelError> {
        let files = self.files();
        Input::new(&files.quota, &files.hangups)
    }

    /// Makes an input a new process's standard input.
    pub(crate) fn connect(&mut self, process: ProcessKey, input: InputRef) {
        let files = self.files();
        if let Some(process) = self.process_mut(process) {
            input.process.set(process.number);
            let mut inputs = files.inputs.borrow_mut();
            inputs.push((process.number, Rc::downgrade(&input)));
            personality::connect(process, input);
        }
    }

    /// Takes in what the host sends as the standard input that process `number`
    /// was started with; no bytes are its end. Nothing runs now.
    ///
    /// # Errors
    /// [`FeedError`].
    pub fn feed(&mut self, number: u64, bytes: &[u8]) -> Result<(), FeedError> {
        let files = self.files.get().ok_or(FeedError::NoReader)?;
        let inputs = files.inputs.borrow();
        let mut all = inputs.iter();
        let found = all.find(|(process, _)| *process == number);
        let input = found.and_then(|(_, input)| input.upgrade());
        let input = input.ok_or(FeedError::NoReader)?;
        drop(inputs);
        input.queue.borrow_mut().put(bytes)?;
        self.wake_all_between_turns(&input.readable);
        Ok(())
    }

    /// Nobody is left to read an input: the host hears of it.
    pub(crate) fn unread(&mut self, number: u64) {
        if let Some(files) = self.files.get() {
            let mut inputs = files.inputs.borrow_mut();
            inputs.retain(|(process, _)| *process != number);
        }
        self.host.input_closed(number);
    }
}

#[cfg(test)]
mod tests;
