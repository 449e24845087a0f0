//! QEMU's monitor: where is the processor?
//!
//! Purpose: one question, asked when a wait timed out. An answer that does not
//! come, or cannot be read, is `None`: the timeout is reported all the same.
//! Neighbours: [`super::qemu`] owns the socket.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::Position;

/// Longest that one line of the monitor may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Lines read before the answer is given up: greeting, events, answers.
const LINES_MAX: usize = 64;

/// Flag of RFLAGS that says that interrupts are on.
const INTERRUPTS_ON: u64 = 1 << 9;

/// A connection to QEMU's monitor.
pub(crate) struct Qmp {
    lines: BufReader<UnixStream>,
    greeted: bool,
}

impl Qmp {
    /// Takes over the connection; nothing is said yet.
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self {
            lines: BufReader::new(stream),
            greeted: false,
        }
    }

    /// Where the processor is.
    pub(crate) fn position(&mut self) -> Option<Position> {
        self.greet()?;
        let question = json!({
            "execute": "human-monitor-command",
            "arguments": {"command-line": "info registers"},
        });
        parse(self.execute(&question)?.as_str()?)
    }

    fn greet(&mut self) -> Option<()> {
        if !self.greeted {
            let stream = self.lines.get_ref();
            stream.set_read_timeout(Some(TIMEOUT)).ok()?;
            self.execute(&json!({"execute": "qmp_capabilities"}))?;
            self.greeted = true;
        }
        Some(())
    }

    /// Says one command and reads its answer.
    fn execute(&mut self, command: &Value) -> Option<Value> {
        let stream = self.lines.get_mut();
        stream.write_all(format!("{command}\n").as_bytes()).ok()?;
        for _ in 0..LINES_MAX {
            let mut line = String::new();
            if self.lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let message: Value = serde_json::from_str(&line).ok()?;
            if let Some(answer) = message.get("return") {
                return Some(answer.clone());
            }
            if message.get("error").is_some() {
                return None;
            }
        }
        None
    }
}

/// Finds the instruction pointer and the privilege level in QEMU's listing.
fn parse(registers: &str) -> Option<Position> {
    let field = |name: &str| {
        let (_, rest) = registers.split_once(name)?;
        rest.split_whitespace().next()
    };
    Some(Position {
        rip: u64::from_str_radix(field("RIP=")?, 16).ok()?,
        ring: field("CPL=")?.parse().ok()?,
        halted: field("HLT=") == Some("1"),
        interrupts: u64::from_str_radix(field("RFL=")?, 16).ok()? & INTERRUPTS_ON != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_found_in_the_listing() {
        let listing =
            "R15=0 \nRIP=ffffffff80100010 RFL=00000202 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=1\n";
        let position = parse(listing).unwrap();
        assert_eq!((position.rip, position.ring), (0xffff_ffff_8010_0010, 0));
        assert!(position.halted && position.interrupts);
        assert_eq!(parse("EIP=1 CPL=0"), None);
    }
}
