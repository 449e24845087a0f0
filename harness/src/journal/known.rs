//! What is known of one process.
//!
//! Neighbours: the parent fills it in; `guest` makes an output of it.

use std::ops::ControlFlow;

use mayfly_abi::Abi;
use mayfly_wire::message::Exited;

use crate::transcript::Call;

/// What is known of one process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) abi: Option<Abi>,
    pub(crate) program: String,
    /// Who made it, unless the host did.
    pub(crate) parent: Option<u64>,
    pub(crate) root: u64,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) calls: Vec<Call>,
    pub(crate) exited: Option<Exited>,
    /// Bytes of standard input that the guest has room for.
    pub(crate) input_room: u64,
    /// Nobody is left to read its standard input.
    pub(crate) input_closed: bool,
}

impl Known {
    /// Why it takes no standard input any more.
    pub(crate) fn takes_no_input(&self) -> Option<&'static str> {
        match self {
            Known {
                exited: Some(_), ..
            } => Some("it has ended"),
            Known {
                input_closed: true, ..
            } => Some("it has closed its standard input"),
            _ => None,
        }
    }

    /// Its exit, once all its trace records are here too.
    pub(crate) fn finished(&self) -> Option<Exited> {
        self.exited
            .filter(|exited| self.calls.len() as u64 >= exited.records)
    }

    /// Bytes that are kept of what it has written.
    pub(super) fn written(&self) -> usize {
        self.stdout.len() + self.stderr.len()
    }

    /// Hands on what it has written since `told`, bytes of each stream, and forgets
    /// what is beyond the last `kept`, when that is as much again.
    pub(crate) fn hand_on<B>(
        &mut self,
        told: &mut [usize; 2],
        kept: usize,
        mut written: impl FnMut(u8, &[u8]) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let streams = [(1, &mut self.stdout), (2, &mut self.stderr)];
        for ((stream, bytes), told) in streams.into_iter().zip(told) {
            if bytes.len() == *told {
                continue;
            }
            written(stream, &bytes[*told..])?;
            if bytes.len() / 2 > kept {
                bytes.drain(..bytes.len() - kept);
            }
            *told = bytes.len();
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_handed_on_is_forgotten_but_for_its_end() {
        let mut known = Known::default();
        let (mut told, mut heard) = ([0; 2], Vec::new());
        for round in 0..100_u8 {
            known.stdout.extend([round; 3]);
            let listen = |stream, bytes: &[u8]| {
                assert_eq!(stream, 1);
                heard.extend_from_slice(bytes);
                ControlFlow::<()>::Continue(())
            };
            assert!(known.hand_on(&mut told, 4, listen).is_continue());
            assert!(known.stdout.len() < 4 + 4 + 2);
        }
        let all: Vec<u8> = (0..100).flat_map(|round| [round; 3]).collect();
        assert_eq!(heard, all);
        assert!(all.ends_with(&known.stdout) && known.stdout.len() >= 4);
    }

    #[test]
    fn whoever_wants_all_of_it_has_all_of_it() {
        let mut known = Known::default();
        known.stderr.extend([7; 1000]);
        let mut told = [0; 2];
        let all = |_, _: &[u8]| ControlFlow::<()>::Continue(());
        assert!(known.hand_on(&mut told, usize::MAX, all).is_continue());
        assert_eq!((known.stderr.len(), told), (1000, [0, 1000]));
    }
}
