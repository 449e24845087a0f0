//! SeTextOut: the formatter behind XenevaOS's text service (specs/xeneva.md §3.1).
//!
//! `%d` unsigned decimal, `%x` lower hexadecimal, `%c`, `%s`, `%f` with two
//! decimals, `%%` prints a full stop, any other letter is echoed with its `%`.
//! At most five values: R14, R15, RDI, and two from the user stack, which is
//! read only when a directive asks for it. Text goes out in pieces; a pointer
//! that cannot be read ends it with -1.

use core::fmt::{self, Write};

use mayfly_abi::table::Text;
use mayfly_abi::xeneva::FAILED;

use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Running};
use crate::object::file::Node;
use crate::object::stream::Stream;
use crate::port::{Host, Machine, Port};
use crate::user;

/// Longest format and longest `%s` string, in bytes.
const TEXT_MAX: u64 = 64 << 10;
/// Offset above the user's stack pointer of the first value that is there.
const STACK_VALUES: u64 = 40;

/// Formats and prints.
pub(crate) fn out<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Text(format): Text,
) -> Flow {
    let mut printer = Printer {
        kernel,
        running,
        buffer: [0; 128],
        used: 0,
        values: 0,
    };
    let result = printer.format(format);
    printer.flush();
    match result {
        Ok(()) => Flow::Return(0),
        Err(_) => Flow::Return(FAILED),
    }
}

struct Printer<'a, P: Port> {
    kernel: &'a mut Kernel<P>,
    running: &'a mut Running<P>,
    buffer: [u8; 128],
    used: usize,
    values: u64,
}

impl<P: Port> Printer<'_, P> {
    fn format(&mut self, format: u64) -> Result<(), KernelError> {
        let mut at = format;
        loop {
            match self.byte(format, &mut at)? {
                0 => return Ok(()),
                b'%' => {}
                byte => {
                    self.put(byte);
                    continue;
                }
            }
            let mut directive = self.byte(format, &mut at)?;
            if directive == b'.' {
                directive = self.byte(format, &mut at)?;
                while directive.is_ascii_digit() {
                    directive = self.byte(format, &mut at)?;
                }
            }
            if directive == 0 {
                self.put(b'%');
                return Ok(());
            }
            self.directive(directive)?;
        }
    }

    fn directive(&mut self, directive: u8) -> Result<(), KernelError> {
        match directive {
            b'%' => self.put(b'.'),
            b'd' | b'x' | b'c' | b's' | b'f' => match self.value()? {
                Some(value) => return self.conversion(directive, value),
                None => {
                    self.put(b'%');
                    self.put(directive);
                }
            },
            other => {
                self.put(b'%');
                self.put(other);
            }
        }
        Ok(())
    }

    fn conversion(&mut self, directive: u8, value: u64) -> Result<(), KernelError> {
        // Writing to the printer itself cannot fail.
        let _ = match directive {
            b'd' => write!(self, "{value}"),
            b'x' => write!(self, "{value:x}"),
            b'f' => self.float(f64::from_bits(value)),
            b'c' => {
                self.put(value.to_le_bytes()[0]);
                Ok(())
            }
            _ => return self.string(value),
        };
        Ok(())
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the formatter cuts the fraction off, and saturates"
    )]
    fn float(&mut self, value: f64) -> fmt::Result {
        if value < 0.0 {
            self.put(b'-');
        }
        let value = if value < 0.0 { -value } else { value };
        let whole = value as u64;
        // What is too large for `whole` must not spill into the decimals.
        let hundredths = (((value - whole as f64) * 100.0) as u64).min(99);
        write!(self, "{whole}.{hundredths:02}")
    }

    fn string(&mut self, address: u64) -> Result<(), KernelError> {
        let mut at = address;
        loop {
            match self.byte(address, &mut at)? {
                0 => return Ok(()),
                byte => self.put(byte),
            }
        }
    }

    /// The byte at `*at`, which then moves on. `start` bounds the text.
    fn byte(&mut self, start: u64, at: &mut u64) -> Result<u8, KernelError> {
        if at.wrapping_sub(start) >= TEXT_MAX {
            return Err(KernelError::TooLong);
        }
        let mut byte = [0];
        let space = &mut self.running.process.space;
        user::read(&mut self.kernel.machine, space, *at, &mut byte)?;
        *at = at.wrapping_add(1);
        Ok(byte[0])
    }

    /// The next value, or `None` after the fifth.
    fn value(&mut self) -> Result<Option<u64>, KernelError> {
        let frame = P::Machine::registers(&self.running.context);
        let index = self.values;
        self.values += 1;
        Ok(Some(match index {
            0 => frame.r14,
            1 => frame.r15,
            2 => frame.rdi,
            3 | 4 => {
                let at = frame.rsp.wrapping_add(STACK_VALUES + 8 * (index - 3));
                let space = &mut self.running.process.space;
                user::read_word(&mut self.kernel.machine, space, at)?
            }
            _ => return Ok(None),
        }))
    }

    fn put(&mut self, byte: u8) {
        if self.used == self.buffer.len() {
            self.flush();
        }
        self.buffer[self.used] = byte;
        self.used += 1;
    }

    fn flush(&mut self) {
        let process = &self.running.process;
        let on_terminal = process.handles.get(1);
        let stream = match on_terminal.map(|file| &file.node) {
            Ok(Node::Terminal(_)) => Stream::Terminal,
            _ => Stream::Output,
        };
        let number = process.console;
        let bytes = &self.buffer[..self.used];
        if !bytes.is_empty() {
            self.kernel.host.output_bytes(number, stream as u8, bytes);
        }
        self.used = 0;
    }
}

impl<P: Port> Write for Printer<'_, P> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.put(byte);
        }
        Ok(())
    }
}
