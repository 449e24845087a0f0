//! What came out of a machine, as events and records.
//!
//! Neighbours: the parent runs the machine; `kernel/wire` has the formats.

use mayfly_wire::BODY_MAX;
use mayfly_wire::frame::{self, FrameError};
use mayfly_wire::message::Event;
use mayfly_wire::trace::{self, Record};

use super::Client;
use crate::backend::Stream;
use crate::error::{Error, Result};
use crate::transcript::Call;

impl Client {
    /// Takes in everything that came out of the machine.
    pub(super) fn drain(&mut self) -> Result<()> {
        self.take_texts();
        let Some(backend) = self.backend.as_mut() else {
            return Ok(());
        };
        self.frames.extend(backend.take(Stream::Control));
        self.records.extend(backend.take(Stream::Trace));
        self.cut_frames()?;
        self.cut_records();
        match self.journal.excess() {
            None => Ok(()),
            Some(error) => {
                self.ended = Some("it told more than is kept of it".into());
                Err(error)
            }
        }
    }

    fn cut_frames(&mut self) -> Result<()> {
        let mut rest = self.frames.as_slice();
        let broken = loop {
            let (body, following) = match frame::split(rest) {
                Ok(Some(parts)) => parts,
                Ok(None) => break None,
                Err(error) => break Some(in_words(error)),
            };
            match frame::decode::<Event<'_>>(body) {
                Ok(event) => self.journal.apply(event),
                Err(error) => {
                    break Some(format!("{}, {} bytes long", in_words(error), body.len()));
                }
            }
            rest = following;
        };
        let used = self.frames.len() - rest.len();
        self.frames.drain(..used);
        let Some(why) = broken else {
            return Ok(());
        };
        // Nothing behind that can be understood.
        self.ended = Some("it does not keep to the wire protocol".into());
        Err(Error::broken(
            "the guest does not keep to the wire protocol",
            why,
            "rebuild kernel and harness together; they share kernel/wire",
        ))
    }

    fn cut_records(&mut self) {
        let mut rest = self.records.as_slice();
        while let Some((fixed, following)) = rest.split_first_chunk::<{ trace::FIXED }>() {
            let record = Record::from_bytes(fixed);
            let Some((detail, following)) = following.split_at_checked(record.detail.into()) else {
                break;
            };
            self.journal.record(Call::new(record, detail.into()));
            rest = following;
        }
        let used = self.records.len() - rest.len();
        self.records.drain(..used);
    }
}

/// What is wrong with a frame.
fn in_words(error: FrameError) -> String {
    match error {
        FrameError::TooLong(length) => {
            format!("a frame of {length} bytes came; {BODY_MAX} are most")
        }
        FrameError::Malformed | FrameError::NoRoom => {
            "a message came that this version does not know".into()
        }
    }
}
