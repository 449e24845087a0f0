//! The multiport virtio-console (virtio 1.2 §5.3).
//!
//! Ports are found by name (`vmm/machine/src/device.rs`), as their numbers
//! differ between machines. Transmission waits until the device has taken the
//! bytes, so that they can be sent from where they lie.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use mayfly_machine::device::{
    CONSOLE_PLACE, CONTROL_PLACE, PORT_CONTROL, PORT_COUNT, PORT_NAMES, TRACE_PLACE,
};
use mayfly_machine::layout::KERNEL_BASE;

use super::mmio::{DeviceError, Registers};
use super::queue::{Memory, Queue, SIZE};
use crate::cpu::Owned;
use crate::{clock, physical};

/// Virtio device id of a console.
const DEVICE_ID: u32 = 3;
/// VIRTIO_CONSOLE_F_MULTIPORT.
const MULTIPORT: u32 = 1 << 1;
/// Queues of the device that the driver uses: two for each port, two for control.
const QUEUES: usize = 2 * (PORT_COUNT + 1);
const CONTROL_RECEIVE: usize = 2;
const CONTROL_TRANSMIT: usize = 3;

/// Buffers for control messages and their size; a port's name is the longest.
const CONTROL_BUFFERS: u16 = 12;
const CONTROL_BUFFER: u32 = 64;
/// Buffers of the request port and their size.
const RECEIVE_BUFFERS: u16 = 4;
const RECEIVE_BUFFER: u32 = 4096;
/// The same of the terminal, whose bytes come few at a time.
const TYPED_BUFFERS: u16 = 4;
const TYPED_BUFFER: u32 = 512;
/// Queue of a port that was not found yet.
const UNKNOWN: usize = usize::MAX;
/// How long set-up waits for the device, in TSC ticks: some seconds.
const PATIENCE: u64 = 1 << 34;

/// Control events (§5.3.6.2).
mod event {
    pub(super) const DEVICE_READY: u16 = 0;
    pub(super) const DEVICE_ADD: u16 = 1;
    pub(super) const PORT_READY: u16 = 3;
    pub(super) const PORT_OPEN: u16 = 6;
    pub(super) const PORT_NAME: u16 = 7;
}

static MEMORY: [Memory; QUEUES] = [const { Memory::new() }; QUEUES];
static CONTROL: Owned<[[u8; CONTROL_BUFFER as usize]; CONTROL_BUFFERS as usize]> =
    Owned::new([[0; CONTROL_BUFFER as usize]; CONTROL_BUFFERS as usize]);
static RECEIVE: Owned<[[u8; RECEIVE_BUFFER as usize]; RECEIVE_BUFFERS as usize]> =
    Owned::new([[0; RECEIVE_BUFFER as usize]; RECEIVE_BUFFERS as usize]);
static TYPED: Owned<[[u8; TYPED_BUFFER as usize]; TYPED_BUFFERS as usize]> =
    Owned::new([[0; TYPED_BUFFER as usize]; TYPED_BUFFERS as usize]);

/// Where [`last_words`] go: the device, and the control port's transmit queue.
static LAST_WORDS_BASE: AtomicU64 = AtomicU64::new(0);
static LAST_WORDS_QUEUE: AtomicUsize = AtomicUsize::new(0);
/// How long last words wait for the device, in TSC ticks.
const LAST_PATIENCE: u64 = 1 << 32;

/// Sends bytes of the kernel's own memory on the control port from a state that
/// may be broken: nothing of [`Console`] is used. Nobody sends after this.
pub fn last_words(bytes: &[u8]) {
    let base = LAST_WORDS_BASE.load(Ordering::Relaxed);
    let index = LAST_WORDS_QUEUE.load(Ordering::Relaxed);
    let (Some(memory), true) = (MEMORY.get(index), base != 0) else {
        return;
    };
    let length = u32::try_from(bytes.len()).unwrap_or(0);
    let mut queue = Queue::resume(memory);
    queue.offer([(physical(bytes), length)].into_iter());
    Registers::at(base).notify(index);
    let end = clock::ticks() + LAST_PATIENCE;
    while !queue.take_offered() && clock::ticks() < end {
        core::hint::spin_loop();
    }
}

/// A named port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The terminal.
    Console,
    /// Requests and answers.
    Control,
    /// Bulk records.
    Trace,
}

impl Port {
    /// Its place in `PORT_NAMES`.
    #[inline(always)]
    fn index(self) -> usize {
        match self {
            Port::Console => CONSOLE_PLACE,
            Port::Control => CONTROL_PLACE,
            Port::Trace => TRACE_PLACE,
        }
    }
}

/// Typed bytes that were taken from the device, in a buffer of its.
#[derive(Clone, Copy, Debug)]
pub struct Typed {
    buffer: u16,
    from: u32,
    end: u32,
}

/// The device, set up, with its three ports found.
pub struct Console {
    registers: Registers,
    queues: [Queue; QUEUES],
    /// Receive queue of each port, in the order of `PORT_NAMES`; the next one is
    /// where it transmits.
    receive: [usize; PORT_COUNT],
}

impl Console {
    /// Sets the device at physical `base` up and finds its ports.
    ///
    /// # Errors
    /// [`DeviceError`] says what is missing.
    ///
    /// # Panics
    /// If called twice: the queues' memory is static.
    pub fn start(base: u64) -> Result<Self, DeviceError> {
        let registers = Registers::start(base, DEVICE_ID, MULTIPORT)?;
        let mut index = 0;
        let queues = MEMORY.each_ref().map(|memory| {
            let queue = Queue::new(memory, is_receive(index));
            index += 1;
            queue
        });
        for (index, queue) in (0..).zip(&queues) {
            registers.set_queue(index, SIZE, queue.addresses())?;
        }
        registers.go();
        let mut this = Self {
            registers,
            queues,
            receive: [UNKNOWN; PORT_COUNT],
        };
        this.find_ports()?;
        Ok(this)
    }

    fn find_ports(&mut self) -> Result<(), DeviceError> {
        let buffers = physical(CONTROL.0.get());
        self.queues[CONTROL_RECEIVE].lend(CONTROL_BUFFERS, buffers, CONTROL_BUFFER);
        self.registers.notify(CONTROL_RECEIVE);
        self.send_control(0, event::DEVICE_READY, 1);
        let end = clock::ticks() + PATIENCE;
        while self.receive.contains(&UNKNOWN) {
            if !self.take_control() && clock::ticks() > end {
                return Err(DeviceError::Silent);
            }
        }
        Ok(())
    }

    /// Handles one message of the device, if there is one.
    fn take_control(&mut self) -> bool {
        let Some(received) = self.queues[CONTROL_RECEIVE].take() else {
            return false;
        };
        let buffer = usize::from(received.buffer) % usize::from(CONTROL_BUFFERS);
        let length = received.length.min(CONTROL_BUFFER) as usize;
        // SAFETY: the device gave this buffer back; it is lent again below,
        // after the last use of the reference.
        let message = unsafe { &(*CONTROL.0.get())[buffer] };
        if let Some((&[id, _, _, _, low, high, _, _], name)) = message[..length].split_first_chunk()
        {
            match u16::from_le_bytes([low, high]) {
                event::DEVICE_ADD if usize::from(id) < PORT_COUNT => {
                    self.send_control(id, event::PORT_READY, 1);
                }
                event::PORT_NAME => self.name_port(id, name),
                _ => {}
            }
        }
        self.queues[CONTROL_RECEIVE].lend_again(received.buffer);
        true
    }

    fn name_port(&mut self, id: u8, name: &[u8]) {
        let name = name.strip_suffix(b"\0").unwrap_or(name);
        let known = PORT_NAMES
            .iter()
            .position(|candidate| candidate.as_bytes() == name);
        let Some(index) = known else { return };
        let queue = receive_queue(id);
        self.receive[index] = queue;
        // First open, then buffers: QEMU looks for them when they come, and
        // only if the port is open.
        self.send_control(id, event::PORT_OPEN, 1);
        if PORT_NAMES[index] == PORT_CONTROL {
            self.lend_receive_buffers(queue);
            LAST_WORDS_BASE.store(self.registers.base(), Ordering::Relaxed);
            LAST_WORDS_QUEUE.store(queue + 1, Ordering::Relaxed);
        }
    }

    fn lend_receive_buffers(&mut self, queue: usize) {
        let buffers = physical(RECEIVE.0.get());
        self.queues[queue].lend(RECEIVE_BUFFERS, buffers, RECEIVE_BUFFER);
        self.registers.notify(queue);
    }

    fn send_control(&mut self, id: u8, event: u16, value: u16) {
        let [event_low, event_high] = event.to_le_bytes();
        let [value_low, value_high] = value.to_le_bytes();
        let message = [id, 0, 0, 0, event_low, event_high, value_low, value_high];
        self.transmit(
            CONTROL_TRANSMIT,
            [(physical(&raw const message), 8)].into_iter(),
        );
    }

    /// Sends pieces of memory (physical address, length) as one stretch of
    /// bytes; at most 15 pieces.
    pub fn send_pieces(&mut self, port: Port, pieces: impl Iterator<Item = (u64, u32)>) {
        self.transmit(self.transmit_queue(port), pieces);
    }

    /// Sends one piece of memory (physical address, length).
    #[inline(always)]
    pub fn send_piece(&mut self, port: Port, (address, length): (u64, u32)) {
        let queue = self.transmit_queue(port);
        self.queues[queue].offer_one(address, length);
        self.await_transmission(queue);
    }

    /// Sends bytes of the kernel's own memory.
    #[inline(always)]
    pub fn send(&mut self, port: Port, bytes: &[u8]) {
        self.send_on(self.transmit_queue(port), bytes);
    }

    #[inline(never)]
    fn send_on(&mut self, queue: usize, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).expect("messages are shorter than 4 GiB");
        self.queues[queue].offer_one(physical(bytes), length);
        self.await_transmission(queue);
    }

    /// Queue on which a port's bytes go to the host.
    #[inline(always)]
    fn transmit_queue(&self, port: Port) -> usize {
        self.receive[port.index()] + 1
    }

    /// Sends bytes of the kernel's image, in as few instructions as can be.
    #[inline(always)]
    pub fn send_known(&mut self, port: Port, bytes: &'static [u8]) {
        let length = u32::try_from(bytes.len()).expect("messages are shorter than 4 GiB");
        self.send_piece(port, (bytes.as_ptr() as u64 - KERNEL_BASE, length));
    }

    /// Sends a header of the kernel's own memory, then pieces.
    pub fn send_with_header(
        &mut self,
        port: Port,
        header: &[u8],
        pieces: impl Iterator<Item = (u64, u32)>,
    ) {
        let length = u32::try_from(header.len()).expect("headers are shorter than 4 GiB");
        self.send_pieces(port, [(physical(header), length)].into_iter().chain(pieces));
    }

    fn transmit(&mut self, queue: usize, pieces: impl Iterator<Item = (u64, u32)>) {
        self.queues[queue].offer(pieces);
        self.await_transmission(queue);
    }

    #[inline(always)]
    fn await_transmission(&mut self, queue: usize) {
        if self.queues[queue].wants_notice() {
            self.registers.notify(queue);
        }
        // The device takes the bytes while it serves the notice; only a host
        // that does not read makes this wait, and then everything waits.
        while !self.queues[queue].take_offered() {
            core::hint::spin_loop();
        }
    }

    /// Lets the device send what is typed on the terminal: once.
    pub fn listen_to_terminal(&mut self) {
        let queue = self.receive[Port::Console.index()];
        self.queues[queue].lend(TYPED_BUFFERS, physical(TYPED.0.get()), TYPED_BUFFER);
        self.registers.notify(queue);
    }

    /// Takes the next buffer of typed bytes from the device, if there is one.
    pub fn typed(&mut self) -> Option<Typed> {
        let received = self.queues[self.receive[Port::Console.index()]].take()?;
        Some(Typed {
            buffer: received.buffer % TYPED_BUFFERS,
            from: 0,
            end: received.length.min(TYPED_BUFFER),
        })
    }

    /// Hands up to `room` of taken bytes to `consume`; what is left of them, and
    /// whether there may be more bytes.
    pub fn consume_typed(
        &mut self,
        typed: Typed,
        room: usize,
        consume: impl FnOnce(&[u8]),
    ) -> (Option<Typed>, bool) {
        let (from, end) = (typed.from as usize, typed.end as usize);
        let part = from..end.min(from.saturating_add(room));
        let left = part.end;
        // SAFETY: the device gave this buffer back; it is lent again below,
        // after the last use of the reference.
        let buffer = unsafe { &(*TYPED.0.get())[usize::from(typed.buffer)] };
        consume(&buffer[part]);
        if left < end {
            let from = u32::try_from(left).unwrap_or(typed.end);
            return (Some(Typed { from, ..typed }), true);
        }
        let queue = self.receive[Port::Console.index()];
        self.queues[queue].lend_again(typed.buffer);
        if self.queues[queue].wants_notice() {
            self.registers.notify(queue);
        }
        (None, self.queues[queue].has_more())
    }

    /// Acknowledges the device's interrupt.
    pub fn interrupted(&mut self) {
        self.registers.acknowledge_interrupt();
        while self.take_control() {}
    }

    /// The next stretch of received request bytes.
    pub fn receive(&mut self) -> Option<Letter> {
        let received = self.queues[self.receive[Port::Control.index()]].take()?;
        Some(Letter {
            buffer: received.buffer % RECEIVE_BUFFERS,
            length: received.length.min(RECEIVE_BUFFER),
        })
    }

    /// Lends the buffer of received bytes to the device again.
    pub fn give_back(&mut self, letter: Letter) {
        let queue = self.receive[Port::Control.index()];
        self.queues[queue].lend_again(letter.buffer);
        if self.queues[queue].wants_notice() {
            self.registers.notify(queue);
        }
    }
}

/// Received bytes, in a buffer that the device does not have.
#[must_use = "the device needs its buffer back"]
pub struct Letter {
    buffer: u16,
    length: u32,
}

impl Letter {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the device gave this buffer back, and gets it again only from
        // `give_back`, which takes the letter.
        let buffer = unsafe { &(*RECEIVE.0.get())[usize::from(self.buffer)] };
        &buffer[..self.length as usize]
    }
}

/// Receive queue of a port: 0, then 4, 6, 8 and so on (§5.3.2).
fn receive_queue(id: u8) -> usize {
    match usize::from(id) {
        0 => 0,
        id => 2 * id + 2,
    }
}

/// Queues that the device may interrupt for: the receive queues of ports.
fn is_receive(index: usize) -> bool {
    index.is_multiple_of(2) && index != CONTROL_RECEIVE
}
