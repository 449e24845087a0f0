//! The virtio console with its ports (virtio 1.2, 5.3).
//!
//! Multiport: queues 0 and 1 belong to port 0, 2 and 3 carry control messages,
//! 4 and 5 belong to port 1, and so on (5.3.2). Neighbours: `mmio` calls it
//! with the queue that was notified, `port` keeps each port's bytes.

use std::collections::VecDeque;
use std::io::{Read, Write};

use mayfly_machine::device::PORT_COUNT;
use serde::{Deserialize, Serialize};
use virtio_queue::{Queue, Reader, Writer};

use crate::device::virtio::port::{Port, PortState, other};
use crate::device::virtio::queue::{self, Direction, QueueError};
use crate::memory::Memory;

/// Device type (5.3.1).
pub(crate) const DEVICE_ID: u32 = 3;
/// `VIRTIO_CONSOLE_F_MULTIPORT` (5.3.3).
pub(crate) const F_MULTIPORT: u64 = 1 << 1;
/// Two queues a port, two for control.
pub(crate) const QUEUES: usize = 2 * PORT_COUNT + 2;
/// Queue of messages to the guest.
const CONTROL_TO_DRIVER: usize = 2;
/// Queue of messages from the guest.
const CONTROL_TO_DEVICE: usize = 3;
/// Size of `struct virtio_console_control`.
const MESSAGE_BYTES: usize = 8;
/// Messages to the guest that may wait; a driver needs a few for each port.
const MESSAGES_MAX: usize = 256;

/// Control events (5.3.6.2).
mod event {
    pub(super) const DEVICE_READY: u16 = 0;
    pub(super) const PORT_ADD: u16 = 1;
    pub(super) const PORT_READY: u16 = 3;
    pub(super) const CONSOLE_PORT: u16 = 4;
    pub(super) const PORT_OPEN: u16 = 6;
    pub(super) const PORT_NAME: u16 = 7;
}

/// State of the device behind the transport.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Console {
    ports: [PortState; PORT_COUNT],
    messages: VecDeque<Vec<u8>>,
    output_max: usize,
}

impl Console {
    pub(crate) fn new(output_max: usize) -> Self {
        Self {
            ports: Default::default(),
            messages: VecDeque::new(),
            output_max,
        }
    }

    /// The driver reset the device: the ports have to be opened anew. What
    /// waits on either side stays.
    pub(crate) fn reset(&mut self) {
        self.messages.clear();
        for port in &mut self.ports {
            port.open = false;
        }
    }

    /// State of `port`.
    pub(crate) fn port(&mut self, port: Port) -> &mut PortState {
        &mut self.ports[port.index()]
    }

    /// Device configuration (5.3.4): columns and rows are not offered.
    pub(crate) fn config() -> [u8; 12] {
        let mut config = [0; 12];
        let ports = u32::try_from(PORT_COUNT).unwrap_or(0);
        config[4..8].copy_from_slice(&ports.to_le_bytes());
        config
    }

    /// What queue `index` is for, for people.
    pub(crate) fn purpose(index: usize) -> &'static str {
        const PURPOSES: [&str; QUEUES] = [
            "mayfly.console to the guest",
            "mayfly.console from the guest",
            "control messages to the guest",
            "control messages from the guest",
            "mayfly.control to the guest",
            "mayfly.control from the guest",
            "mayfly.trace to the guest",
            "mayfly.trace from the guest",
        ];
        PURPOSES.get(index).copied().unwrap_or("no such queue")
    }

    /// Serves a queue that the driver notified.
    pub(crate) fn serve(
        &mut self,
        index: usize,
        queue: &mut Queue,
        memory: &Memory,
    ) -> Result<Served, QueueError> {
        match (index, port_of(index)) {
            (CONTROL_TO_DRIVER, _) => self.send_messages(queue, memory),
            (CONTROL_TO_DEVICE, _) => self.take_messages(queue, memory),
            (_, Some((port, Direction::ToDevice))) => {
                let used = self.ports[port].receive(queue, memory, self.output_max)?;
                Ok(Served { used, output: used })
            }
            (_, Some((port, Direction::ToDriver))) => {
                // Before the guest opens a port, it would drop the bytes.
                let state = &mut self.ports[port];
                let used = state.open && state.deliver(queue, memory)?;
                Ok(Served {
                    used,
                    ..Served::default()
                })
            }
            (_, None) => Err(QueueError::Other("no such queue".into())),
        }
    }

    fn send_messages(&mut self, queue: &mut Queue, memory: &Memory) -> Result<Served, QueueError> {
        let mut used = false;
        while let Some(message) = self.messages.front() {
            let Some(chain) = queue::take(queue, Direction::ToDriver, memory)? else {
                if queue::want_doorbell(queue, true, memory)? {
                    continue;
                }
                break;
            };
            if chain.bytes < message.len() {
                return Err(QueueError::Other(format!(
                    "a buffer of {} bytes cannot hold a message of {}",
                    chain.bytes,
                    message.len()
                )));
            }
            let mut writer = Writer::new(memory, chain.descriptors).map_err(other)?;
            writer.write_all(message).map_err(other)?;
            queue::give_back(queue, chain.head, message.len(), memory)?;
            self.messages.pop_front();
            used = true;
        }
        if self.messages.is_empty() {
            queue::want_doorbell(queue, false, memory)?;
        }
        Ok(Served {
            used,
            ..Served::default()
        })
    }

    fn take_messages(&mut self, queue: &mut Queue, memory: &Memory) -> Result<Served, QueueError> {
        let mut used = false;
        while let Some(chain) = queue::take(queue, Direction::ToDevice, memory)? {
            let mut message = [0; MESSAGE_BYTES];
            let mut reader = Reader::new(memory, chain.descriptors).map_err(other)?;
            reader
                .read_exact(&mut message)
                .map_err(|_| QueueError::Other("a control message is too short".into()))?;
            queue::give_back(queue, chain.head, 0, memory)?;
            used = true;
            self.handle(message)?;
        }
        Ok(Served {
            used,
            ..Served::default()
        })
    }

    /// One message from the driver (5.3.6.2).
    fn handle(&mut self, message: [u8; MESSAGE_BYTES]) -> Result<(), QueueError> {
        let [a, b, c, d, e, f, g, h] = message;
        let id = u32::from_le_bytes([a, b, c, d]);
        let value = u16::from_le_bytes([g, h]);
        let port = Port::ALL.into_iter().find(|p| number(*p) == id);
        match (u16::from_le_bytes([e, f]), port) {
            (event::DEVICE_READY, _) if value == 1 => {
                for port in Port::ALL {
                    self.post(number(port), event::PORT_ADD, 1, &[])?;
                }
            }
            (event::PORT_READY, Some(port)) if value == 1 => {
                if port == Port::Console {
                    self.post(id, event::CONSOLE_PORT, 1, &[])?;
                }
                self.post(id, event::PORT_NAME, 1, port.name().as_bytes())?;
                self.post(id, event::PORT_OPEN, 1, &[])?;
            }
            (event::PORT_OPEN, Some(port)) => self.port(port).open = value == 1,
            (event::DEVICE_READY | event::PORT_READY, _) => {
                let problem = format!("the driver refused port {id}");
                return Err(QueueError::Other(problem));
            }
            (event, _) => {
                let problem = format!("unknown control event {event} for port {id}");
                return Err(QueueError::Other(problem));
            }
        }
        Ok(())
    }

    fn post(&mut self, id: u32, event: u16, value: u16, name: &[u8]) -> Result<(), QueueError> {
        if self.messages.len() >= MESSAGES_MAX {
            let problem = "control messages are asked for but not taken";
            return Err(QueueError::Other(problem.into()));
        }
        let mut message = Vec::with_capacity(MESSAGE_BYTES + name.len());
        message.extend(id.to_le_bytes());
        message.extend(event.to_le_bytes());
        message.extend(value.to_le_bytes());
        message.extend(name);
        self.messages.push_back(message);
        Ok(())
    }
}

/// What serving a queue did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Served {
    /// Buffers were given back: the driver may want an interrupt.
    pub(crate) used: bool,
    /// The caller has something to read.
    pub(crate) output: bool,
}

/// Number of the queue that carries bytes to `port`.
pub(crate) fn queue_to(port: Port) -> usize {
    match port {
        Port::Console => 0,
        other => 2 + 2 * other.index(),
    }
}

/// Queue of control messages to the driver.
pub(crate) const MESSAGE_QUEUE: usize = CONTROL_TO_DRIVER;

/// Port and direction of a queue (5.3.2); `None` for control and beyond.
fn port_of(index: usize) -> Option<(usize, Direction)> {
    let port = match index {
        0 | 1 => 0,
        CONTROL_TO_DRIVER | CONTROL_TO_DEVICE => return None,
        _ => (index - 2) / 2,
    };
    let direction = match index % 2 {
        0 => Direction::ToDriver,
        _ => Direction::ToDevice,
    };
    (port < PORT_COUNT).then_some((port, direction))
}

fn number(port: Port) -> u32 {
    u32::try_from(port.index()).unwrap_or(u32::MAX)
}
