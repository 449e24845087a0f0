//! A bounded queue of messages: each comes out as it went in, or cut short.

use alloc::collections::VecDeque;
use alloc::rc::Rc;

use crate::error::KernelError;
use crate::object::memory::Space;
use crate::object::store::{Quota, Store};
use crate::port::Machine;

/// Bytes that a queue holds, with [`HEADER`] for each message.
pub const CAPACITY: u64 = 0x4000;
/// What a message takes beside its bytes.
pub const HEADER: u64 = 8;
/// Longest message.
pub const MESSAGE_MAX: u64 = CAPACITY - HEADER;

/// Messages on their way from one side to the other.
#[derive(Debug)]
pub struct MessageQueue {
    /// The bytes of the messages, one after the other, round and round.
    ring: Store,
    /// Where the bytes of the oldest message begin.
    start: u64,
    /// Bytes of all messages.
    bytes: u64,
    /// Length of each, oldest first.
    lengths: VecDeque<u16>,
    /// Most messages that were ever in it: so much room was paid for.
    paid: u64,
    quota: Rc<Quota>,
}

impl MessageQueue {
    /// An empty queue.
    pub fn new(quota: &Rc<Quota>) -> Self {
        Self {
            ring: Store::new(&[], quota),
            start: 0,
            bytes: 0,
            lengths: VecDeque::new(),
            paid: 0,
            quota: Rc::clone(quota),
        }
    }

    /// No message is in it.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// A message of that length finds room.
    pub fn has_room(&self, length: u64) -> bool {
        let used = self.bytes + HEADER * self.lengths.len() as u64;
        length <= MESSAGE_MAX && used + HEADER + length <= CAPACITY
    }

    /// Copies a message in that has room; all of it or nothing.
    ///
    /// # Errors
    /// Those of user memory, and [`KernelError::NoMemory`].
    pub fn push<M: Machine>(
        &mut self,
        machine: &mut M,
        space: &mut Space<M>,
        address: u64,
        length: u64,
    ) -> Result<(), KernelError> {
        if self.lengths.len() as u64 == self.paid {
            if machine.heap_low() {
                return Err(KernelError::NoMemory);
            }
            self.quota.take(HEADER)?;
            self.paid += 1;
        }
        let end = self.start + self.bytes;
        for (at, done, part) in parts(end, length) {
            let ring = &mut self.ring;
            if ring.write(machine, space, address + done, at, part)? < part {
                // What was copied lies beyond the end.
                return Err(KernelError::NoMemory);
            }
        }
        self.bytes += length;
        let length = u16::try_from(length).map_err(|_| KernelError::TooLarge)?;
        self.lengths.push_back(length);
        Ok(())
    }

    /// Copies the oldest message out, at most `count` bytes of it; what is left
    /// of it goes too. Says how many bytes, `None` when there is no message.
    ///
    /// # Errors
    /// Those of user memory: the message stays.
    pub fn pop<M: Machine>(
        &mut self,
        machine: &mut M,
        space: &mut Space<M>,
        address: u64,
        count: u64,
    ) -> Result<Option<u64>, KernelError> {
        let Some(length) = self.lengths.front().copied().map(u64::from) else {
            return Ok(None);
        };
        let copied = length.min(count);
        for (at, done, part) in parts(self.start, copied) {
            self.ring.read(machine, space, address + done, at, part)?;
        }
        self.lengths.pop_front();
        self.bytes -= length;
        // An empty queue begins again where it has memory already.
        self.start = match self.bytes {
            0 => 0,
            _ => (self.start + length) % CAPACITY,
        };
        Ok(Some(copied))
    }
}

impl Drop for MessageQueue {
    fn drop(&mut self) {
        self.quota.give(HEADER * self.paid);
    }
}

/// A range of the ring in parts that lie together: where each begins, how much
/// was before it, and its length.
fn parts(start: u64, length: u64) -> impl Iterator<Item = (u64, u64, u64)> {
    let at = start % CAPACITY;
    let first = length.min(CAPACITY - at);
    [(at, 0, first), (0, first, length - first)]
        .into_iter()
        .filter(|(_, _, part)| *part > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::bench::Bench;
    use crate::fake::image::{DATA, pattern};
    use mayfly_abi::Abi;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in(
            steps in proptest::collection::vec((any::<bool>(), 0..=MESSAGE_MAX + 1, 0..9_u32), 1..60),
        ) {
            let mut bench = Bench::new();
            let key = bench.spawn(Abi::Patchwork);
            let quota = Quota::new(1 << 20);
            let mut queue = MessageQueue::new(&quota);
            let mut model = VecDeque::<Vec<u8>>::new();
            for (pushes, size, small) in steps {
                // Small ones mostly, so that there are many at a time.
                let size = size >> small;
                let used: usize = model.iter().map(|message| message.len() + 8).sum();
                let room = used as u64 + 8 + size <= CAPACITY;
                prop_assert_eq!(queue.is_empty(), model.is_empty());
                prop_assert_eq!(queue.has_room(size), room);
                if pushes && room {
                    let bytes: Vec<u8> = (0..size).map(|n| pattern(n + used as u64)).collect();
                    bench.poke(key, DATA, &bytes);
                    bench.with_process(key, |kernel, running| {
                        let space = &mut running.process.space;
                        queue.push(&mut kernel.machine, space, DATA, size).unwrap();
                    });
                    model.push_back(bytes);
                } else if !pushes {
                    let mut popped = None;
                    bench.with_process(key, |kernel, running| {
                        let space = &mut running.process.space;
                        popped = queue.pop(&mut kernel.machine, space, DATA, size).unwrap();
                    });
                    let expected = model.pop_front();
                    let length = popped.map(|length| usize::try_from(length).unwrap());
                    let cut = expected.map(|mut message| {
                        message.truncate(usize::try_from(size).unwrap());
                        message
                    });
                    prop_assert_eq!(length, cut.as_ref().map(Vec::len));
                    let bytes = bench.peek(key, DATA, length.unwrap_or(0));
                    prop_assert_eq!(bytes, cut.unwrap_or_default());
                }
            }
            drop(queue);
            prop_assert_eq!(quota.left(), 1 << 20);
        }
    }

    #[test]
    fn a_message_that_cannot_be_copied_leaves_the_queue_as_it_was() {
        let mut bench = Bench::new();
        let key = bench.spawn(Abi::Patchwork);
        let quota = Quota::new(3000);
        let mut queue = MessageQueue::new(&quota);
        bench.poke(key, DATA, b"first");
        bench.with_process(key, |kernel, running| {
            let (machine, space) = (&mut kernel.machine, &mut running.process.space);
            queue.push(machine, space, DATA, 5).unwrap();
            let full = queue.push(machine, space, DATA, 5000);
            assert_eq!(full, Err(KernelError::NoMemory));
            assert_eq!(
                queue.push(machine, space, 8, 5),
                Err(KernelError::BadAddress)
            );
            assert_eq!(
                queue.pop(machine, space, 8, 5),
                Err(KernelError::BadAddress)
            );
            assert_eq!(queue.pop(machine, space, DATA + 100, 9), Ok(Some(5)));
            assert_eq!(queue.pop(machine, space, DATA, 9), Ok(None));
        });
        assert_eq!(bench.peek(key, DATA + 100, 5), b"first");
    }
}
