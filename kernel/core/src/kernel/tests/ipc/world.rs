//! Processes that send each other messages, as the tests of this folder use them.

use mayfly_abi::Abi;
use mayfly_abi::veridian::nr;

use crate::fake::bench::{Bench, call, pause};
use crate::fake::{FakeMachine, FakePort};
use crate::kernel::Running;
use crate::object::capability::Rights;
use crate::object::ipc::EndpointKey;
use crate::object::process::ProcessKey;
use crate::object::thread::Wait;
use crate::port::Machine;

/// Where a process keeps what it sends, what it receives, and what calls tell
/// it: in its stack, which is all zeros.
pub(super) const OUT: u64 = 0x7fff_fff8_0000;
pub(super) const IN: u64 = OUT + 0x2000;
pub(super) const TOLD: u64 = OUT + 0x4000;
pub(super) const EXTENSION: u64 = OUT + 0x4100;

/// A process and its endpoint.
pub(super) struct Party {
    pub(super) key: ProcessKey,
    pub(super) id: u64,
    pub(super) endpoint: u64,
    /// Its token for its endpoint.
    pub(super) token: u64,
    /// How its last wait ended, if nobody has asked yet.
    went_on: Option<Outcome>,
}

/// A few processes with an endpoint each.
pub(super) struct World {
    pub(super) bench: Bench,
    pub(super) parties: Vec<Party>,
}

/// How a call went: its result word, and the words it was told.
pub(super) type Outcome = (u64, [u64; 4]);

impl World {
    pub(super) fn new(count: usize) -> Self {
        let mut world = Self {
            bench: Bench::new(),
            parties: Vec::new(),
        };
        for _ in 0..count {
            let key = world.bench.spawn(Abi::Veridian);
            let id = world.bench.process(key).id;
            world.parties.push(Party {
                key,
                id,
                endpoint: 0,
                token: 0,
                went_on: None,
            });
        }
        for at in 0..count {
            let (result, words) = world
                .make(at, nr::IPC_ENDPOINT_CREATE, &[TOLD])
                .expect("it does not wait");
            assert_eq!(result, 0);
            [world.parties[at].endpoint, world.parties[at].token] = [words[0], words[1]];
        }
        world
    }

    /// Endpoints, besides the one that every process starts with, channels, and
    /// memory of messages.
    pub(super) fn made(&self) -> (usize, usize, u64) {
        let kernel = &self.bench.kernel;
        let (endpoints, channels, pages) = kernel.ipc_count();
        (endpoints - kernel.process_count(), channels, pages)
    }

    /// Gives a process a token for another one's endpoint, a child of its own.
    pub(super) fn lend(&mut self, from: usize, to: usize, rights: Rights) -> u64 {
        let (owner, token) = (self.parties[from].key, self.parties[from].token);
        let kernel = &mut self.bench.kernel;
        let parent = kernel.process(owner).unwrap().capabilities.find(token);
        let parent = parent.unwrap();
        let (object, node) = (parent.object.clone(), parent.node);
        let to = self.parties[to].key;
        let mut process = kernel.processes.take(to).unwrap();
        let token = kernel.grant(&mut process, object, rights, Some(node));
        kernel.processes.put(to, process);
        token.unwrap()
    }

    /// A token of the running process that comes of another one of its own.
    pub(super) fn derive(&mut self, running: &mut Running<FakePort>, token: u64) -> u64 {
        let parent = running.process.capabilities.find(token).unwrap();
        let (object, node) = (parent.object.clone(), parent.node);
        let rights = Rights::READ.and(Rights::GRANT).and(Rights::REVOKE);
        let kernel = &mut self.bench.kernel;
        kernel
            .grant(&mut running.process, object, rights, Some(node))
            .unwrap()
    }

    /// Connects the endpoints of two processes; says the channel's id.
    pub(super) fn connect(&mut self, one: usize, other: usize) -> u64 {
        let sides = [one, other].map(|at| {
            let endpoint = self.parties[at].endpoint;
            EndpointKey::from_number(endpoint).unwrap()
        });
        self.bench.kernel.add_channel(sides).unwrap().number()
    }

    pub(super) fn party_of(&self, key: ProcessKey) -> usize {
        let mut parties = self.parties.iter();
        parties.position(|party| party.key == key).unwrap()
    }

    /// Takes the next turn. A process that waited goes on, any other makes the
    /// call that `choose` gives it, if any. Says whose turn it was, and how its
    /// call went if that is over.
    pub(super) fn turn(
        &mut self,
        choose: impl FnOnce(&mut Self, usize, &mut Running<FakePort>) -> Option<(u64, Vec<u64>)>,
    ) -> Option<(usize, Option<Outcome>)> {
        let mut running = self.bench.kernel.dispatch()?;
        let at = self.party_of(running.process.key);
        if running.thread.wait != Some(Wait::Exchange) {
            let chosen = choose(self, at, &mut running);
            let root = FakeMachine::root(running.process.space.tables());
            let script = self.bench.kernel.machine.scripts.entry(root).or_default();
            if let Some((number, arguments)) = chosen {
                script.push_back(call(Abi::Veridian, number, &arguments));
            }
            script.push_back(pause());
        }
        self.bench.kernel.machine.seen.clear();
        self.bench.kernel.run(running);
        let result = self.bench.returned();
        let outcome = result.map(|result| (result, self.told(at)));
        Some((at, outcome))
    }

    /// What the last call of a process told it.
    fn told(&mut self, at: usize) -> [u64; 4] {
        let bytes = self.peek(at, TOLD, 32);
        let mut words = bytes
            .chunks_exact(8)
            .map(|word| u64::from_le_bytes(word.try_into().unwrap()));
        [(); 4].map(|()| words.next().unwrap())
    }

    pub(super) fn peek(&mut self, at: usize, address: u64, length: usize) -> Vec<u8> {
        let key = self.parties[at].key;
        let kernel = &mut self.bench.kernel;
        let process = kernel.processes.get_mut(key).unwrap();
        let mut bytes = vec![0; length];
        let peeked = process.space.peek(&mut kernel.machine, address, &mut bytes);
        peeked.unwrap();
        bytes
    }

    pub(super) fn poke(&mut self, at: usize, address: u64, bytes: &[u8]) {
        let key = self.parties[at].key;
        let kernel = &mut self.bench.kernel;
        let process = kernel.processes.get_mut(key).unwrap();
        let poked = process.space.poke(&mut kernel.machine, address, bytes);
        poked.unwrap();
    }

    /// Lets a process make a call, whoever's turn it is: the others yield.
    /// `None` when it waits.
    pub(super) fn make(&mut self, at: usize, number: u64, arguments: &[u64]) -> Option<Outcome> {
        for _ in 0..100 {
            let (mut made, mut idle) = (false, false);
            let turn = self.turn(|_, whose, _| {
                (made, idle) = (whose == at, whose != at);
                made.then(|| (number, arguments.to_vec()))
            });
            let (whose, outcome) = turn.expect("nobody runs");
            if made {
                return outcome;
            }
            if !idle {
                self.parties[whose].went_on = outcome;
            }
            assert!(whose != at, "it waited, and goes on now");
        }
        panic!("its turn does not come");
    }

    /// Lets a process go on that waited; says how its call went.
    pub(super) fn goes_on(&mut self, at: usize) -> Outcome {
        if let Some(outcome) = self.parties[at].went_on.take() {
            return outcome;
        }
        for _ in 0..100 {
            let mut idle_turn = false;
            let turn = self.turn(|_, _, _| {
                idle_turn = true;
                None
            });
            let (whose, outcome) = turn.expect("nobody runs");
            assert!(!(idle_turn && whose == at), "it did not wait");
            if whose == at {
                return outcome.expect("it waits again");
            }
            if !idle_turn {
                self.parties[whose].went_on = outcome;
            }
        }
        panic!("its turn does not come");
    }

    /// Nobody else could run but that process, which idles.
    pub(super) fn has_all_turns(&mut self, at: usize) {
        for _ in 0..4 {
            let turn = self.turn(|_, _, _| None);
            assert_eq!(turn.expect("it could").0, at);
        }
    }

    /// SEND of the first bytes at [`OUT`]; says its result word.
    pub(super) fn send(&mut self, at: usize, channel: u64, length: u64) -> u64 {
        let token = self.parties[at].token;
        let arguments = [channel, OUT, length, 0, token];
        self.make(at, nr::IPC_SEND, &arguments).unwrap().0
    }

    /// RECEIVE at the process's own endpoint, to [`IN`].
    pub(super) fn receive(&mut self, at: usize, room: u64, timeout: u64) -> Option<Outcome> {
        let Party {
            endpoint, token, ..
        } = self.parties[at];
        let arguments = [endpoint, IN, room, timeout, token, TOLD];
        self.make(at, nr::IPC_RECEIVE, &arguments)
    }

    /// CALL with the first bytes at [`OUT`], to [`IN`].
    pub(super) fn call(
        &mut self,
        at: usize,
        channel: u64,
        length: u64,
        room: u64,
        timeout: u64,
    ) -> Option<Outcome> {
        let words = [timeout, 0, self.parties[at].token, TOLD];
        self.poke(at, EXTENSION, &words.map(u64::to_le_bytes).concat());
        let arguments = [channel, OUT, length, IN, room, EXTENSION];
        self.make(at, nr::IPC_CALL, &arguments)
    }

    /// REPLY with the first bytes at [`OUT`]; says its result word.
    pub(super) fn reply(&mut self, at: usize, token: u64, length: u64) -> u64 {
        let arguments = [token, OUT, length, 0];
        self.make(at, nr::IPC_REPLY, &arguments).unwrap().0
    }
}
