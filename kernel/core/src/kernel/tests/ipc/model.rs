//! Random exchanges between three processes, against a model of the queues.
//!
//! The model knows every message by a number that its bytes tell. What it
//! promises: first in, first out for each endpoint; whoever waits longest gets
//! the next message; nothing is lost, invented or told twice; nobody waits
//! where a message is queued; every call ends; a capability comes with its
//! message unless it was revoked on the way.

use std::collections::VecDeque;

use mayfly_abi::veridian::SyscallError;
use proptest::prelude::*;

use super::run::Run;

pub(super) const PARTIES: usize = 3;
/// Nanoseconds that timed waits last.
const SHORT: u64 = 1000;

/// What a process is asked to do when its turn comes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Send {
        to: usize,
        length: u64,
        /// A capability goes with it, as with the others.
        gives: bool,
    },
    Call {
        to: usize,
        length: u64,
        room: u64,
        timeout: u64,
        gives: bool,
    },
    /// From its own endpoint, or the first one's.
    Receive {
        own: bool,
        room: u64,
        timeout: u64,
    },
    /// To the oldest or the newest request that it owes a reply to.
    Reply {
        newest: bool,
        length: u64,
        gives: bool,
    },
    /// The capability that it gave first, or last.
    Revoke {
        newest: bool,
    },
    Exit,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) number: u64,
    pub(super) sender: usize,
    pub(super) length: u64,
    /// The process that called, and which of its calls that is.
    pub(super) caller: Option<(usize, u64)>,
    /// The sender's token for the capability that goes with it.
    pub(super) given: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Waits {
    Message { room: u64 },
    Reply { room: u64, call: u64 },
}

/// How a call ends: its error, or the message that it gets.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Error(SyscallError),
    Got(Message),
    TooSmall(Message),
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) queues: [VecDeque<Message>; PARTIES],
    pub(super) receivers: [VecDeque<usize>; PARTIES],
    /// What a process waits for, until when.
    pub(super) waits: [Option<(Waits, u64)>; PARTIES],
    /// How its wait ended.
    pub(super) ended: [Option<End>; PARTIES],
    /// Requests that it received: token, caller, which call.
    pub(super) owed: [VecDeque<(u64, usize, u64)>; PARTIES],
    pub(super) used: Vec<u64>,
    /// Tokens that it gave away and has not revoked; those that it has.
    pub(super) given: [VecDeque<u64>; PARTIES],
    pub(super) revoked: Vec<(usize, u64)>,
    pub(super) gone: [bool; PARTIES],
    pub(super) numbers: u64,
    pub(super) calls: u64,
}

impl Model {
    pub(super) fn finish(&mut self, party: usize, end: End) {
        assert!(self.waits[party].take().is_some());
        self.ended[party] = Some(end);
    }

    /// What a message does that is sent to an endpoint.
    pub(super) fn post(&mut self, to: usize, message: Message) -> Result<(), SyscallError> {
        if self.gone[to] {
            return Err(SyscallError::NotFound);
        }
        while let Some(receiver) = self.receivers[to].pop_front() {
            let Some((Waits::Message { room }, _)) = self.waits[receiver] else {
                unreachable!("receivers wait");
            };
            if message.length <= room {
                self.finish(receiver, End::Got(message));
                return Ok(());
            }
            self.finish(receiver, End::TooSmall(message));
        }
        if self.queues[to].len() == 64 {
            return Err(SyscallError::Busy);
        }
        self.queues[to].push_back(message);
        Ok(())
    }

    pub(super) fn receive(&mut self, from: usize, room: u64) -> Option<End> {
        if self.gone[from] {
            return Some(End::Error(SyscallError::NotFound));
        }
        let first = *self.queues[from].front()?;
        if first.length > room {
            return Some(End::TooSmall(first));
        }
        self.queues[from].pop_front();
        Some(End::Got(first))
    }

    /// A capability comes with a message; nobody says if its sender is gone.
    pub(super) fn brings(&self, message: &Message) -> Option<bool> {
        let Some(given) = message.given else {
            return Some(false);
        };
        let revoked = self.revoked.contains(&(message.sender, given));
        (revoked || !self.gone[message.sender]).then_some(!revoked)
    }

    /// A process stops waiting for anything but what `end` says.
    pub(super) fn cancel(&mut self, party: usize) {
        for receivers in &mut self.receivers {
            receivers.retain(|receiver| *receiver != party);
        }
        for queue in &mut self.queues {
            queue.retain(|message| message.caller.is_none_or(|(caller, _)| caller != party));
        }
    }

    pub(super) fn time_out(&mut self, now: u64) {
        for party in 0..PARTIES {
            if self.waits[party].is_some_and(|(_, until)| until <= now) {
                self.cancel(party);
                self.finish(party, End::Error(SyscallError::Timeout));
            }
        }
    }

    pub(super) fn waits_for_reply(&self, caller: usize, call: u64) -> Option<u64> {
        match self.waits[caller] {
            Some((Waits::Reply { room, call: other }, _)) if other == call => Some(room),
            _ => None,
        }
    }

    pub(super) fn exit(&mut self, party: usize) {
        self.gone[party] = true;
        self.cancel(party);
        for receiver in std::mem::take(&mut self.receivers[party]) {
            self.finish(receiver, End::Error(SyscallError::NotFound));
        }
        for message in std::mem::take(&mut self.queues[party]) {
            if let Some((caller, _)) = message.caller {
                self.finish(caller, End::Error(SyscallError::NotFound));
            }
        }
        for (_, caller, call) in std::mem::take(&mut self.owed[party]) {
            if self.waits_for_reply(caller, call).is_some() {
                self.finish(caller, End::Error(SyscallError::Interrupted));
            }
        }
    }
}

fn lengths() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0_u64),
        1..64_u64,
        Just(64),
        Just(65),
        60..200_u64,
        Just(4096)
    ]
}

fn timeouts() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0_u64), Just(SHORT), Just(u64::MAX), Just(u64::MAX)]
}

fn gives() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.3)
}

fn steps() -> impl Strategy<Value = Step> {
    let to = 0..PARTIES - 1;
    prop_oneof![
        8 => (to.clone(), lengths(), gives())
            .prop_map(|(to, length, gives)| Step::Send { to, length, gives }),
        8 => (to, lengths(), lengths(), timeouts(), gives()).prop_map(
            |(to, length, room, timeout, gives)| Step::Call { to, length, room, timeout, gives }
        ),
        16 => (any::<bool>(), lengths(), timeouts())
            .prop_map(|(own, room, timeout)| Step::Receive { own, room, timeout }),
        8 => (any::<bool>(), lengths(), gives())
            .prop_map(|(newest, length, gives)| Step::Reply { newest, length, gives }),
        3 => any::<bool>().prop_map(|newest| Step::Revoke { newest }),
        1 => Just(Step::Exit),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn messages_go_as_the_model_says(steps in proptest::collection::vec(steps(), 1..150)) {
        let mut run = Run::new();
        let mut steps = VecDeque::from(steps);
        while !steps.is_empty() {
            if !run.turn(&mut steps) && !run.pass_time() {
                break;
            }
        }
        // Whoever could go on does, and says what the model says.
        let mut none = VecDeque::new();
        for _ in 0..4 * PARTIES {
            run.turn(&mut none);
        }
        prop_assert!(run.model.ended.iter().all(Option::is_none), "a wake-up is lost");
        let waiting = run.model.waits.iter().flatten().count();
        let gone = run.model.gone.iter().filter(|gone| **gone).count();
        prop_assert_eq!(run.world.bench.kernel.process_count(), PARTIES - gone);
        prop_assert!(waiting <= PARTIES - gone);
    }
}
