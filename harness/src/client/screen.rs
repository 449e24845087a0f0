//! The part of a client that looks at a terminal.

use std::time::{Duration, Instant};

use mayfly_wire::message::{Input, Request, Spawn};
use mayfly_wire::terminal::Message;

use super::Client;
use crate::backend::{Keyboard, Stop, Stream, Waker};
use crate::error::{Error, Result, unexpected};
use crate::journal::Answer;
use crate::terminal::Line;

/// How often a machine is looked at that is to come to rest.
const LOOK: Duration = Duration::from_millis(2);
/// Looks in a row at which a machine waits and shows nothing new, until it is
/// taken for one that waits for keys without a prompt.
const LOOKS_MAX: u32 = 250;

impl Client {
    /// Starts a program on the terminal; its answer.
    pub(crate) fn begin_on_terminal(
        &mut self,
        line: Line,
        program: &str,
        timeout: Duration,
    ) -> Result<Answer> {
        let what = format!("start {program} on the terminal");
        let argv = [program.as_bytes(), b"\0"].concat();
        let input = match line {
            Line::Console => Input::Console,
            Line::Serial => Input::Serial,
        };
        self.look_at(line, Vec::new());
        self.type_on(&[])?;
        let id = self.next_id();
        let spawn = Spawn {
            abi: 0,
            program,
            argv: &argv,
            trace: false,
            frames_max: 0,
            input,
        };
        self.send("start a program", &Request::Spawn { id, spawn })?;
        match self.answer(&what, timeout, id)? {
            answer @ Answer::Started { .. } => Ok(answer),
            answer => Err(unexpected(&what, &answer)),
        }
    }

    /// Runs the machine until the program on its terminal has drawn its prompt
    /// and all wait for keys; what the terminal shows then. It is over when
    /// process `pid` ends, or waits for something else.
    pub(crate) fn until_prompt(&mut self, pid: u64, timeout: Duration) -> Result<Vec<u8>> {
        let what = "see a prompt";
        let prompt = Message::Prompt.to_string().into_bytes();
        let drawn = Message::Drawn.to_string().into_bytes();
        let deadline = Instant::now() + timeout;
        let mut screen = Vec::new();
        let mut has_prompt = false;
        let mut looks = 0;
        while Instant::now() < deadline {
            self.feed()?;
            let stop = self.step(what, deadline.min(Instant::now() + LOOK))?;
            self.drain()?;
            let shown = self.take_screen();
            looks = if shown.is_empty() { looks + 1 } else { 0 };
            // It may have begun in what was there before.
            let from = screen.len().saturating_sub(prompt.len() - 1);
            screen.extend(shown);
            has_prompt |= screen[from..].windows(prompt.len()).any(|it| it == prompt);
            match stop {
                Stop::Deadline(Some(at)) if at.halted => {
                    if has_prompt && screen.ends_with(&drawn) {
                        return Ok(screen);
                    }
                    if looks >= LOOKS_MAX {
                        break;
                    }
                }
                Stop::Output | Stop::Deadline(_) => looks = 0,
                Stop::Ended(end) => {
                    let cause = self.end(end);
                    return Err(self.died(what, cause));
                }
            }
            if self.journal.process(pid).exited.is_some() {
                break;
            }
        }
        Err(Error::Ended {
            what,
            how: "it shows none".into(),
        })
    }

    /// Takes what came out on the lines of text.
    pub(super) fn take_texts(&mut self) {
        let Some(backend) = self.backend.as_mut() else {
            return;
        };
        for stream in [Stream::Serial, Stream::Console] {
            let bytes = backend.take(stream);
            match &mut self.screen {
                Some((line, screen)) if *line == stream => screen.extend(bytes),
                _ if stream == Stream::Serial => self.journal.serial(&bytes),
                _ => self.journal.console(&bytes),
            }
        }
    }

    /// Keeps what the terminal on that line shows from now on, behind what it
    /// shows already.
    pub(crate) fn look_at(&mut self, line: Line, shown: Vec<u8>) {
        self.screen = Some((line.stream(), shown));
    }

    /// Types on the terminal.
    pub(crate) fn type_on(&mut self, bytes: &[u8]) -> Result<()> {
        let line = self.screen.as_ref().map_or(Stream::Console, |it| it.0);
        self.running("type on the terminal")?.type_on(line, bytes)
    }

    /// Takes what the terminal showed.
    pub(crate) fn take_screen(&mut self) -> Vec<u8> {
        let screen = self.screen.as_mut();
        screen.map_or_else(Vec::new, |it| std::mem::take(&mut it.1))
    }

    /// What wakes whoever waits for the machine.
    pub(crate) fn waker(&mut self) -> Result<Waker> {
        // A copy that has not run yet is made now: it could not be woken.
        self.type_on(&[])?;
        Ok(self.running("wait")?.waker())
    }

    /// What types while the machine runs, if there is such a thing.
    pub(crate) fn keyboard(&mut self) -> Result<Option<Keyboard>> {
        // As above.
        self.type_on(&[])?;
        let line = self.screen.as_ref().map_or(Stream::Console, |it| it.0);
        Ok(self.running("type on the terminal")?.keyboard(line))
    }

    /// Runs the machine until it has told something, somebody has woken it, or
    /// `deadline` has passed.
    pub(crate) fn turn(&mut self, doing: &str, deadline: Instant) -> Result<()> {
        self.feed()?;
        let stop = self.step(doing, deadline)?;
        self.drain()?;
        match stop {
            Stop::Output | Stop::Deadline(_) => Ok(()),
            Stop::Ended(end) => {
                let cause = self.end(end);
                Err(self.died(doing, cause))
            }
        }
    }
}
