//! One port of the virtio console: what waits on either side of it.
//!
//! Neighbours: `console` moves bytes between a port and its queues; callers
//! name ports with [`Port`].

use std::collections::VecDeque;
use std::io::Write;

use mayfly_machine::device::{PORT_COUNT, PORT_NAMES};
use serde::{Deserialize, Serialize};
use virtio_queue::{Queue, Reader, Writer};

use crate::device::virtio::queue::{self, Direction, QueueError};
use crate::memory::Memory;

/// A port of the virtio console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Port {
    /// The guest's terminal.
    Console,
    /// Requests and answers.
    Control,
    /// Bulk records.
    Trace,
}

impl Port {
    /// Every port, in the order of their numbers.
    pub const ALL: [Self; PORT_COUNT] = [Self::Console, Self::Control, Self::Trace];

    /// Number of the port on the virtio console.
    pub fn index(self) -> usize {
        match self {
            Self::Console => 0,
            Self::Control => 1,
            Self::Trace => 2,
        }
    }

    /// Name by which the guest finds the port.
    pub fn name(self) -> &'static str {
        PORT_NAMES[self.index()]
    }
}

/// State of one port.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PortState {
    /// The guest has opened its side.
    pub(crate) open: bool,
    /// Bytes for the guest that it has no buffer for yet.
    pub(crate) waiting: VecDeque<u8>,
    /// Bytes of the guest that the caller has not taken yet.
    pub(crate) output: Vec<u8>,
}

impl PortState {
    /// Takes in everything the guest has queued for sending; whether there was
    /// any.
    pub(crate) fn receive(
        &mut self,
        queue: &mut Queue,
        memory: &Memory,
        output_max: usize,
    ) -> Result<bool, QueueError> {
        let mut any = false;
        while let Some(chain) = queue::take(queue, Direction::ToDevice, memory)? {
            if self.output.len() + chain.bytes > output_max {
                let problem = format!("more than {output_max} unread bytes of output");
                return Err(QueueError::Other(problem));
            }
            let mut reader = Reader::new(memory, chain.descriptors).map_err(other)?;
            std::io::Read::read_to_end(&mut reader, &mut self.output).map_err(other)?;
            queue::give_back(queue, chain.head, 0, memory)?;
            any = true;
        }
        Ok(any)
    }

    /// Fills the guest's buffers with what waits; whether any was used.
    pub(crate) fn deliver(
        &mut self,
        queue: &mut Queue,
        memory: &Memory,
    ) -> Result<bool, QueueError> {
        let mut any = false;
        while !self.waiting.is_empty() {
            let Some(chain) = queue::take(queue, Direction::ToDriver, memory)? else {
                // Without buffers, new ones are worth a doorbell.
                if queue::want_doorbell(queue, true, memory)? {
                    continue;
                }
                return Ok(any);
            };
            if chain.bytes == 0 {
                // Taking them would let a guest keep us here for ever.
                return Err(QueueError::Other("a receive buffer is empty".into()));
            }
            let mut writer = Writer::new(memory, chain.descriptors).map_err(other)?;
            let room = chain.bytes.min(self.waiting.len());
            let bytes: Vec<u8> = self.waiting.drain(..room).collect();
            writer.write_all(&bytes).map_err(other)?;
            queue::give_back(queue, chain.head, room, memory)?;
            any = true;
        }
        queue::want_doorbell(queue, false, memory)?;
        Ok(any)
    }
}

pub(crate) fn other(error: impl std::fmt::Display) -> QueueError {
    QueueError::Other(error.to_string())
}
