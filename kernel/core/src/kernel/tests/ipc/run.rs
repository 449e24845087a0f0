//! Steps made in the kernel and in the model, and what both say compared.

use std::collections::VecDeque;

use mayfly_abi::veridian::{SyscallError, nr};

use super::model::{End, Message, Model, PARTIES, Step, Waits};
use super::world::{IN, OUT, Outcome, TOLD, World};
use crate::object::capability::Rights;

/// The bytes of a message: its number again and again.
fn bytes(number: u64, length: u64) -> Vec<u8> {
    let word = number.to_le_bytes();
    word.into_iter()
        .cycle()
        .take(length.min(4096) as usize)
        .collect()
}

/// A kernel and its model.
pub(super) struct Run {
    pub(super) world: World,
    pub(super) model: Model,
    /// Channel between two processes.
    channels: [[u64; PARTIES]; PARTIES],
    /// Token of each process for the first one's endpoint.
    shared: [u64; PARTIES],
}

impl Run {
    pub(super) fn new() -> Self {
        let mut world = World::new(PARTIES);
        let mut channels = [[0; PARTIES]; PARTIES];
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let channel = world.connect(one, other);
            channels[one][other] = channel;
            channels[other][one] = channel;
        }
        let mut shared = [world.parties[0].token; PARTIES];
        for (at, token) in shared.iter_mut().enumerate().skip(1) {
            *token = world.lend(0, at, Rights::READ);
        }
        Self {
            world,
            model: Model::default(),
            channels,
            shared,
        }
    }

    /// One turn, with the next step for whoever needs one.
    pub(super) fn turn(&mut self, steps: &mut VecDeque<Step>) -> bool {
        let mut expected = None;
        let (model, channels, shared) = (&mut self.model, &self.channels, &self.shared);
        let mut made = None;
        let turn = self.world.turn(|world, at, running| {
            let step = steps.pop_front()?;
            made = Some(step);
            let now = world.bench.kernel.machine.now;
            let token = world.parties[at].token;
            let gives = match step {
                Step::Send { gives, .. } | Step::Call { gives, .. } | Step::Reply { gives, .. } => {
                    gives
                }
                _ => false,
            };
            let given = gives.then(|| world.derive(running, token));
            model.given[at].extend(given);
            let passed = given.unwrap_or(0);
            let mut poke = |address, bytes: &[u8]| {
                let space = &mut running.process.space;
                space
                    .poke(&mut world.bench.kernel.machine, address, bytes)
                    .unwrap();
            };
            poke(TOLD, &[0xee; 32]);
            let outcome;
            let made = match step {
                Step::Send { to, length, .. } => {
                    let to = (at + 1 + to) % PARTIES;
                    model.numbers += 1;
                    let message = Message {
                        number: model.numbers,
                        sender: at,
                        length,
                        caller: None,
                        given,
                    };
                    poke(OUT, &bytes(message.number, length));
                    outcome = Some(match model.post(to, message) {
                        Ok(()) => Ok(0),
                        Err(error) => Err(error),
                    });
                    let arguments = vec![channels[at][to], OUT, length, passed, token];
                    (nr::IPC_SEND, arguments)
                }
                Step::Call {
                    to,
                    length,
                    room,
                    timeout,
                    ..
                } => {
                    let to = (at + 1 + to) % PARTIES;
                    model.numbers += 1;
                    model.calls += 1;
                    let call = model.calls;
                    let caller = Some((at, call));
                    let message = Message {
                        number: model.numbers,
                        sender: at,
                        length,
                        caller,
                        given,
                    };
                    poke(OUT, &bytes(message.number, length));
                    let extension = super::world::EXTENSION;
                    let words = [timeout, passed, token, TOLD];
                    poke(extension, &words.map(u64::to_le_bytes).concat());
                    outcome = match timeout {
                        0 if model.gone[to] => Some(Err(SyscallError::NotFound)),
                        0 if model.queues[to].len() == 64 => Some(Err(SyscallError::Busy)),
                        0 => Some(Err(SyscallError::Timeout)),
                        _ => {
                            model.waits[at] =
                                Some((Waits::Reply { room, call }, now.saturating_add(timeout)));
                            let posted = model.post(to, message);
                            posted.err().map(|error| {
                                model.waits[at] = None;
                                Err(error)
                            })
                        }
                    };
                    (
                        nr::IPC_CALL,
                        vec![channels[at][to], OUT, length, IN, room, extension],
                    )
                }
                Step::Receive { own, room, timeout } => {
                    let from = if own { at } else { 0 };
                    let token = if own { token } else { shared[at] };
                    let end = model.receive(from, room);
                    outcome = match end {
                        Some(End::Error(error)) => Some(Err(error)),
                        Some(end) => {
                            expected = Some(end);
                            None
                        }
                        None if timeout == 0 => Some(Err(SyscallError::Timeout)),
                        None => {
                            let until = now.saturating_add(timeout);
                            model.waits[at] = Some((Waits::Message { room }, until));
                            model.receivers[from].push_back(at);
                            None
                        }
                    };
                    let endpoint = world.parties[from].endpoint;
                    (
                        nr::IPC_RECEIVE,
                        vec![endpoint, IN, room, timeout, token, TOLD],
                    )
                }
                Step::Reply { newest, length, .. } => {
                    let owed = &mut model.owed[at];
                    let chosen = if newest {
                        owed.pop_back()
                    } else {
                        owed.pop_front()
                    };
                    model.numbers += 1;
                    let number = model.numbers;
                    poke(OUT, &bytes(number, length));
                    let (token, result) = match chosen {
                        None => {
                            // One that was used, or never was.
                            let token = model.used.last().copied().unwrap_or(0x1_0000);
                            (token, Err(SyscallError::InvalidCapability))
                        }
                        Some((token, caller, call)) => {
                            model.used.push(token);
                            let room = model.waits_for_reply(caller, call);
                            let result = room.map(|room| {
                                let message = Message {
                                    number,
                                    sender: at,
                                    length,
                                    caller: None,
                                    given,
                                };
                                let end = if length <= room {
                                    End::Got(message)
                                } else {
                                    End::TooSmall(message)
                                };
                                model.finish(caller, end);
                                0
                            });
                            (token, result.ok_or(SyscallError::NotFound))
                        }
                    };
                    outcome = Some(result);
                    (nr::IPC_REPLY, vec![token, OUT, length, passed])
                }
                Step::Revoke { newest } => {
                    let given = &mut model.given[at];
                    let chosen = if newest {
                        given.pop_back()
                    } else {
                        given.pop_front()
                    };
                    outcome = Some(match chosen {
                        Some(token) => {
                            model.revoked.push((at, token));
                            Ok(0)
                        }
                        None => Err(SyscallError::InvalidCapability),
                    });
                    (nr::CAPABILITY_REVOKE, vec![chosen.unwrap_or(0)])
                }
                Step::Exit => {
                    model.exit(at);
                    outcome = None;
                    (nr::EXIT, vec![0])
                }
            };
            if let Some(outcome) = outcome {
                expected = Some(match outcome {
                    Ok(_) => End::Got(Message {
                        number: 0,
                        sender: at,
                        length: 0,
                        caller: None,
                        given: None,
                    }),
                    Err(error) => End::Error(error),
                });
            }
            Some(made)
        });
        let Some((at, outcome)) = turn else {
            return false;
        };
        match (made, expected) {
            // It goes on after a wait.
            (None, None) => {
                if let Some(end) = self.model.ended[at].take() {
                    let outcome = outcome.expect("its wait is over");
                    self.compare(at, outcome, end, true);
                }
            }
            (Some(Step::Exit), _) => {}
            (Some(_), None) => assert_eq!(outcome, None, "it should wait"),
            (Some(step), Some(end)) => {
                let outcome = outcome.expect("it should not wait");
                self.compare(at, outcome, end, matches!(step, Step::Receive { .. }));
            }
            (None, Some(_)) => unreachable!("nothing was expected"),
        }
        true
    }

    /// The kernel says what the model does.
    fn compare(&mut self, at: usize, (result, told): Outcome, end: End, tells: bool) {
        let untold = [0xeeee_eeee_eeee_eeee; 4];
        match end {
            End::Error(error) => {
                assert_eq!((result, told), (error.word(), untold), "{error:?}");
            }
            End::Got(_) if !tells => assert_eq!(result, 0),
            End::Got(message) => {
                assert_eq!(result, 0);
                let read = self.world.peek(at, IN, message.length.min(4096) as usize);
                assert_eq!(read, bytes(message.number, message.length));
                if told[2] == 0xeeee_eeee_eeee_eeee {
                    // A reply: its length and the capability.
                    assert_eq!(told[0], message.length);
                    self.compare_capability(at, &message, told[1]);
                    return;
                }
                let sender = self.world.parties[message.sender].id;
                assert_eq!(told[..2], [sender, message.length]);
                self.compare_capability(at, &message, told[2]);
                assert_eq!(told[3] != 0, message.caller.is_some());
                if let Some((caller, call)) = message.caller {
                    assert!(!self.model.used.contains(&told[3]), "a token comes again");
                    self.model.owed[at].push_back((told[3], caller, call));
                }
            }
            End::TooSmall(message) => {
                assert_eq!(result, SyscallError::BufferTooSmall.word());
                if told[2] == 0xeeee_eeee_eeee_eeee {
                    assert_eq!(told[0], message.length);
                } else {
                    let sender = self.world.parties[message.sender].id;
                    assert_eq!(told, [sender, message.length, 0, 0]);
                }
            }
        }
    }

    /// A token that came is for what the sender gave, and there is none otherwise.
    fn compare_capability(&self, at: usize, message: &Message, token: u64) {
        if let Some(brings) = self.model.brings(message) {
            assert_eq!(token != 0, brings);
        }
        let party = &self.world.parties[at];
        if token == 0 || self.model.gone[at] {
            return;
        }
        let tokens = &self.world.bench.process(party.key).capabilities;
        let endpoint = tokens.find(token).unwrap().object.id();
        assert_eq!(endpoint, self.world.parties[message.sender].endpoint);
    }

    /// Lets time pass until somebody could run; false when nobody ever will.
    pub(super) fn pass_time(&mut self) -> bool {
        let times = self.model.waits.iter().flatten().map(|(_, until)| *until);
        let Some(next) = times.min().filter(|until| *until < u64::MAX) else {
            return false;
        };
        let now = self.world.bench.kernel.machine.now;
        self.world.bench.advance(next.saturating_sub(now));
        self.model.time_out(next.max(now));
        true
    }
}
