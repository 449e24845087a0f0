//! COM1: a 16550 whose far end is the caller.
//!
//! The register model is `vm-superio`'s. Output gathers here until the caller
//! takes it; a newline or a page of bytes is worth a stop, a byte is not, unless
//! the caller sends to it: then somebody is talking. Neighbour: `bus`.

use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;

use mayfly_machine::device::SERIAL_GSI;
use serde::{Deserialize, Serialize};
use vm_superio::serial::NoEvents;
use vm_superio::{Serial as Uart, SerialState as UartState, Trigger};

use crate::device::{Device, Effects, GuestError};
use crate::memory::Memory;

/// Unreported bytes that make the machine stop without a newline.
const REPORT_AFTER: usize = 4096;

/// Remembers that the 16550 asked for its interrupt.
#[derive(Debug, Default)]
struct Line(Cell<bool>);

impl Trigger for Line {
    type E = Infallible;

    fn trigger(&self) -> Result<(), Infallible> {
        self.0.set(true);
        Ok(())
    }
}

/// COM1 and what waits on either side of it.
#[derive(Debug)]
pub(crate) struct Serial {
    uart: Uart<Line, NoEvents, Vec<u8>>,
    /// Bytes for the guest that its FIFO has no room for yet.
    waiting: VecDeque<u8>,
    unreported: usize,
    output_max: usize,
    /// The caller has sent something: each byte is worth a stop.
    in_talk: bool,
}

/// COM1 at one moment, for a snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SerialState {
    /// Divisor, IER, IIR, LCR, LSR, MCR, MSR, SCR: in the order of
    /// [`vm_superio::SerialState`].
    registers: [u8; 9],
    fifo: Vec<u8>,
    written: Vec<u8>,
    waiting: VecDeque<u8>,
    unreported: usize,
    output_max: usize,
}

impl Serial {
    /// What it is at this moment.
    pub(crate) fn state(&self) -> SerialState {
        let uart = self.uart.state();
        SerialState {
            registers: [
                uart.baud_divisor_low,
                uart.baud_divisor_high,
                uart.interrupt_enable,
                uart.interrupt_identification,
                uart.line_control,
                uart.line_status,
                uart.modem_control,
                uart.modem_status,
                uart.scratch,
            ],
            fifo: uart.in_buffer,
            written: self.uart.writer().clone(),
            waiting: self.waiting.clone(),
            unreported: self.unreported,
            output_max: self.output_max,
        }
    }

    /// A device that goes on from `state`.
    pub(crate) fn restore(state: &SerialState) -> Result<Self, GuestError> {
        let [dll, dlh, ier, iir, lcr, lsr, mcr, msr, scr] = state.registers;
        let uart = UartState {
            baud_divisor_low: dll,
            baud_divisor_high: dlh,
            interrupt_enable: ier,
            interrupt_identification: iir,
            line_control: lcr,
            line_status: lsr,
            modem_control: mcr,
            modem_status: msr,
            scratch: scr,
            in_buffer: state.fifo.clone(),
        };
        let restored = Uart::from_state(&uart, Line::default(), NoEvents, state.written.clone());
        Ok(Self {
            uart: restored.map_err(|error| GuestError {
                device: "COM1",
                queue: None,
                problem: format!("{error:?}"),
            })?,
            waiting: state.waiting.clone(),
            unreported: state.unreported,
            output_max: state.output_max,
            in_talk: false,
        })
    }

    pub(crate) fn new(output_max: usize) -> Self {
        Self {
            uart: Uart::new(Line::default(), Vec::new()),
            waiting: VecDeque::new(),
            unreported: 0,
            output_max,
            in_talk: false,
        }
    }

    /// Takes what the guest wrote.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.unreported = 0;
        std::mem::take(self.uart.writer_mut())
    }

    /// Queues bytes for the guest.
    pub(crate) fn send(&mut self, bytes: &[u8], effects: &mut Effects) {
        self.in_talk = true;
        self.waiting.extend(bytes);
        self.feed(effects);
    }

    /// Moves waiting bytes into the FIFO and passes its interrupt on.
    fn feed(&mut self, effects: &mut Effects) {
        let room = self.uart.fifo_capacity().min(self.waiting.len());
        if room > 0 {
            let (head, _) = self.waiting.as_slices();
            let bytes = head[..room.min(head.len())].to_vec();
            // Fails only without room; takes nothing in loopback mode.
            let taken = self.uart.enqueue_raw_bytes(&bytes).unwrap_or(0);
            self.waiting.drain(..taken);
        }
        if self.uart.interrupt_evt().0.take() {
            effects.raise(SERIAL_GSI);
        }
    }

    fn put(&mut self, offset: u8, value: u8, effects: &mut Effects) {
        let before = self.uart.writer().len();
        // Writing to a vector cannot fail, and neither can `Line`.
        let _ = self.uart.write(offset, value);
        let written = self.uart.writer().len() - before;
        self.unreported += written;
        let is_worth_it = value == b'\n' || self.in_talk;
        if written > 0 && is_worth_it || self.unreported >= REPORT_AFTER {
            self.unreported = 0;
            effects.output = true;
        }
    }
}

impl Device for Serial {
    fn read(
        &mut self,
        offset: u64,
        data: &mut [u8],
        effects: &mut Effects,
    ) -> Result<(), GuestError> {
        for (register, byte) in (offset..8).zip(data) {
            *byte = self.uart.read(u8::try_from(register).unwrap_or(7));
        }
        self.feed(effects);
        Ok(())
    }

    fn write(
        &mut self,
        offset: u64,
        data: &[u8],
        _: &Memory,
        effects: &mut Effects,
    ) -> Result<(), GuestError> {
        for (register, byte) in (offset..8).zip(data) {
            self.put(u8::try_from(register).unwrap_or(7), *byte, effects);
        }
        self.feed(effects);
        if self.uart.writer().len() > self.output_max {
            return Err(GuestError {
                device: "COM1",
                queue: None,
                problem: format!("more than {} unread bytes of output", self.output_max),
            });
        }
        Ok(())
    }
}
