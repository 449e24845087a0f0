//! The short ways of messages against the general ones: same calls, same answers.
//!
//! Three processes make random calls, once in a kernel that runs each thread for
//! itself, which knows general ways only, and once in one that goes on from
//! thread to thread, which takes the short ways where it can. All that a process
//! can see is written down after every call, in the order in which it happens.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use mayfly_abi::Abi;
use mayfly_abi::veridian::nr;
use proptest::prelude::*;

use super::world::{EXTENSION, IN, OUT, TOLD, World};
use crate::fake::bench::call;
use crate::fake::{FakeMachine, Step};
use crate::object::capability::Rights;
use crate::port::Machine;

const PARTIES: usize = 3;
/// Nanoseconds that timed waits last.
const SHORT: u64 = 1000;
/// A reply token that no call had.
const NO_REPLY: u64 = 0x7fff_0001_0001;
/// Where nothing is mapped.
const NOWHERE: u64 = 0x1_2345_6000;

/// What a process does.
#[derive(Clone, Copy, Debug)]
enum Act {
    Send(Words),
    Call(Words),
    Receive(Words),
    Reply(Words),
    Yield,
    /// Gives up what the others receive at the first endpoint with.
    RevokeLent,
    /// Gives up its endpoint.
    RevokeOwn,
}

/// The words of a call, most of which some calls have.
#[derive(Clone, Copy, Debug)]
struct Words {
    /// Which of the others it is for; of a reply, whom it owes one first or last.
    to: usize,
    length: u64,
    room: u64,
    timeout: u64,
    /// A capability goes with it.
    passes: bool,
    /// It is made with the token for the first endpoint.
    with_lent: bool,
    /// Added to addresses: of the message, of the buffer, of the structure.
    shifts: [u64; 3],
    /// The message, the buffer or the structure is nowhere.
    lost: Option<usize>,
}

/// A small message that nothing is the matter with.
const PLAIN: Words = Words {
    to: 0,
    length: 8,
    room: 64,
    timeout: u64::MAX,
    passes: false,
    with_lent: false,
    shifts: [0; 3],
    lost: None,
};

/// What a process saw after a call, and which process it was.
type Seen = (usize, u64, [u64; 4], Vec<u8>);

/// Ids and tokens that a process uses.
#[derive(Clone, Debug)]
struct Known {
    at: usize,
    channels: [u64; PARTIES],
    endpoints: [u64; PARTIES],
    token: u64,
    /// For the first endpoint.
    lent: u64,
    /// What the lent tokens come of; the first process has it.
    source: u64,
}

fn words() -> impl Strategy<Value = Words> {
    let length = || {
        prop_oneof![
            4 => Just(8_u64),
            2 => Just(64),
            2 => 0..70_u64,
            1 => Just(200),
            1 => Just(4096),
            1 => Just(4097),
        ]
    };
    let timeout = prop_oneof![6 => Just(u64::MAX), 1 => Just(SHORT), 1 => Just(0)];
    let shift = || prop_oneof![6 => Just(0_u64), 1 => Just(8), 1 => Just(4), 1 => Just(0xfc0)];
    let lost = prop_oneof![12 => Just(None), 1 => (0..3_usize).prop_map(Some)];
    let (passes, with_lent) = (prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    let to = 0..PARTIES - 1;
    let shifts = [shift(), shift(), shift()];
    (
        to,
        length(),
        length(),
        timeout,
        (passes, with_lent),
        shifts,
        lost,
    )
        .prop_map(
            |(to, length, room, timeout, (passes, with_lent), shifts, lost)| Words {
                to,
                length,
                room,
                timeout,
                passes,
                with_lent,
                shifts,
                lost,
            },
        )
}

/// What a process does that mostly serves, or mostly calls: so that most plans
/// are not over with the first wait for nobody.
fn acts() -> impl Strategy<Value = Vec<Act>> {
    let part = |serves: bool| {
        let often = match serves {
            true => (words(), words())
                .prop_map(|(one, other)| vec![Act::Receive(one), Act::Reply(other)])
                .boxed(),
            false => words().prop_map(|words| vec![Act::Call(words)]).boxed(),
        };
        let seldom = prop_oneof![
            3 => words().prop_map(Act::Send),
            3 => words().prop_map(Act::Call),
            3 => words().prop_map(Act::Receive),
            3 => words().prop_map(Act::Reply),
            2 => Just(Act::Yield),
            1 => Just(Act::RevokeLent),
            1 => Just(Act::RevokeOwn),
        ];
        prop_oneof![
            9 => often,
            1 => seldom.prop_map(|act| vec![act]),
        ]
    };
    any::<bool>()
        .prop_flat_map(move |serves| proptest::collection::vec(part(serves), 0..60))
        .prop_map(|parts| parts.concat())
}

impl Known {
    /// The call that an act is, and what it puts into memory for it.
    fn call(&self, act: Act, owed: &mut VecDeque<u64>) -> (u64, Vec<u64>, Option<[u64; 4]>) {
        let passed = |words: Words| if words.passes { self.token } else { 0 };
        let speaker = |words: Words| {
            if words.with_lent {
                self.lent
            } else {
                self.token
            }
        };
        let place = |words: Words, which: usize, at: u64| match words.lost {
            Some(lost) if lost == which => NOWHERE,
            _ => at + words.shifts[which],
        };
        let to = |words: Words| (self.at + 1 + words.to) % PARTIES;
        match act {
            Act::Send(w) => {
                let channel = self.channels[to(w)];
                let message = place(w, 0, OUT);
                let arguments = vec![channel, message, w.length, passed(w), speaker(w)];
                (nr::IPC_SEND, arguments, None)
            }
            Act::Call(w) => {
                let block = [w.timeout, passed(w), speaker(w), place(w, 2, TOLD)];
                let channel = self.channels[to(w)];
                let (message, buffer) = (place(w, 0, OUT), place(w, 1, IN));
                let arguments = vec![channel, message, w.length, buffer, w.room, EXTENSION];
                (nr::IPC_CALL, arguments, Some(block))
            }
            Act::Receive(w) => {
                let (endpoint, token) = match w.with_lent {
                    false => (self.endpoints[self.at], self.token),
                    true => (self.endpoints[0], self.lent),
                };
                let (buffer, told) = (place(w, 1, IN), place(w, 2, TOLD));
                let arguments = vec![endpoint, buffer, w.room, w.timeout, token, told];
                (nr::IPC_RECEIVE, arguments, None)
            }
            Act::Reply(w) => {
                let token = match w.to {
                    0 => owed.pop_front(),
                    _ => owed.pop_back(),
                };
                let message = place(w, 0, OUT);
                let arguments = vec![token.unwrap_or(NO_REPLY), message, w.length, passed(w)];
                (nr::IPC_REPLY, arguments, None)
            }
            Act::Yield => (nr::YIELD, vec![], None),
            Act::RevokeLent => (nr::CAPABILITY_REVOKE, vec![self.source], None),
            Act::RevokeOwn => (nr::CAPABILITY_REVOKE, vec![self.token], None),
        }
    }

    /// What ring 3 of this process does: makes its calls, and writes down after
    /// each what it sees; then it ends.
    fn script(self, acts: Vec<Act>, log: &Rc<RefCell<Vec<Seen>>>) -> Vec<Step> {
        let owed: Rc<RefCell<VecDeque<u64>>> = Rc::default();
        let mut steps: Vec<Step> = Vec::new();
        let calls = acts.into_iter().map(Some).chain([None]);
        for (number, act) in (1_u64..).zip(calls) {
            let (log, owed, known) = (Rc::clone(log), Rc::clone(&owed), self.clone());
            steps.push(Box::new(move |machine, frame| {
                if number > 1 {
                    let seen = known.look(machine, frame.rax, &mut owed.borrow_mut());
                    log.borrow_mut().push(seen);
                }
                let mut bytes = [0; 0x2000];
                let word = (known.at as u64 + 1) << 32 | number;
                for place in bytes.chunks_exact_mut(8) {
                    place.copy_from_slice(&word.to_le_bytes());
                }
                machine.write_user(OUT, &bytes).unwrap();
                machine.write_user(TOLD, &[0xee; 64]).unwrap();
                let Some(act) = act else {
                    return call(Abi::Veridian, nr::EXIT, &[0])(machine, frame);
                };
                let (number, arguments, block) = known.call(act, &mut owed.borrow_mut());
                for (word, at) in block.iter().flatten().zip((EXTENSION..).step_by(8)) {
                    machine.write_user(at, &word.to_le_bytes()).unwrap();
                }
                call(Abi::Veridian, number, &arguments)(machine, frame)
            }));
        }
        steps
    }

    fn look(&self, machine: &mut FakeMachine, result: u64, owed: &mut VecDeque<u64>) -> Seen {
        let mut bytes = [0; 64];
        machine.read_user(TOLD, &mut bytes).unwrap();
        let words = bytes.as_chunks::<8>().0;
        let mut told = [0, 1, 2, 3].map(|at| u64::from_le_bytes(words[at]));
        if result == 0 && told[3] >> 56 != 0xee && told[3] != 0 {
            // Reply tokens say nothing: ways may differ in how many they spend.
            owed.push_back(core::mem::replace(&mut told[3], 1));
        }
        let mut came = vec![0; 0x2000];
        machine.read_user(IN, &mut came).unwrap();
        // All of it that says something: where the bytes change.
        came.dedup();
        (self.at, result, told, came)
    }
}

/// All that processes saw, and what there is at the end.
fn play(plan: &[Vec<Act>], short: bool) -> (Vec<Seen>, [usize; 3]) {
    let mut world = World::new(PARTIES);
    let mut known = Vec::new();
    let mut channels = [[0; PARTIES]; PARTIES];
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let channel = world.connect(one, other);
        channels[one][other] = channel;
        channels[other][one] = channel;
    }
    let rights = Rights::READ.and(Rights::WRITE).and(Rights::REVOKE);
    let source = world.lend(0, 0, rights);
    let own = std::mem::replace(&mut world.parties[0].token, source);
    // One may listen there, and the other may speak there.
    let lent =
        [(1, Rights::READ), (2, Rights::WRITE)].map(|(at, rights)| world.lend(0, at, rights));
    world.parties[0].token = own;
    let endpoints = [0, 1, 2].map(|at: usize| world.parties[at].endpoint);
    for at in 0..PARTIES {
        known.push(Known {
            at,
            channels: channels[at],
            endpoints,
            token: world.parties[at].token,
            lent: if at == 0 { source } else { lent[at - 1] },
            source: if at == 0 { source } else { lent[at - 1] },
        });
        world.poke(at, OUT, &[0; 0x5000]);
    }
    let log: Rc<RefCell<Vec<Seen>>> = Rc::default();
    for (known, acts) in known.into_iter().zip(plan) {
        let key = world.parties[known.at].key;
        let root = FakeMachine::root(world.bench.process(key).space.tables());
        let script = world.bench.kernel.machine.scripts.entry(root).or_default();
        script.clear();
        script.extend(known.script(acts.clone(), &log));
    }
    let kernel = &mut world.bench.kernel;
    loop {
        match kernel.dispatch() {
            Some(running) if short => kernel.run_on(running),
            Some(running) => kernel.run(running),
            None => {
                let Some(deadline) = kernel.machine.armed.take() else {
                    break;
                };
                kernel.machine.now = kernel.machine.now.max(deadline);
                kernel.timer_fired();
            }
        }
    }
    let (endpoints, channels, _) = kernel.ipc_count();
    let counts = [kernel.object_count(), endpoints, channels];
    drop(world);
    (log.take(), counts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn short_ways_say_what_the_general_ones_say(
        plan in [acts(), acts(), acts()],
    ) {
        let general = play(&plan, false);
        let short = play(&plan, true);
        for (at, both) in general.0.iter().zip(&short.0).enumerate() {
            prop_assert_eq!(both.0, both.1, "after {} calls", at);
        }
        prop_assert_eq!(general, short);
    }
}

/// A server and a client that do nothing else, for whom the short ways are.
#[test]
fn a_client_and_its_server_see_the_same_on_short_ways() {
    let to_first = Words { to: 1, ..PLAIN };
    let server = [Act::Receive(PLAIN), Act::Reply(PLAIN)].repeat(20);
    let plan = [server, [Act::Call(to_first)].repeat(20), vec![]];
    let seen = play(&plan, true);
    assert_eq!(seen, play(&plan, false));
    let fine = seen.0.iter().filter(|(.., result, _, _)| *result == 0);
    assert_eq!(fine.count(), 60);
}

/// A reply is told once: whoever had it and yields is not told it again by a
/// server that receives.
#[test]
fn a_reply_that_was_told_is_not_told_again() {
    let to_first = Words { to: 1, ..PLAIN };
    let server = [Act::Receive(PLAIN), Act::Reply(PLAIN), Act::Yield].repeat(6);
    for yields in 0..4 {
        let call = [vec![Act::Call(to_first)], vec![Act::Yield; yields]].concat();
        let plan = [server.clone(), call.repeat(6), vec![]];
        assert_eq!(play(&plan, true), play(&plan, false), "{yields}");
    }
}
