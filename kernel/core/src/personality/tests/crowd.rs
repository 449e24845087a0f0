//! A pipe with several readers and writers against a list of bytes.
//!
//! Threads of one process each make one call after the other on the same pipe,
//! in whatever order the kernel gives them turns. What was read is what was
//! written, byte for byte; no write is torn; when nobody goes on any more,
//! nobody could; and closed ends let everyone go.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use mayfly_abi::Abi;
use mayfly_abi::patchwork::{ERR, nr};
use proptest::prelude::*;

use super::one;
use crate::fake::bench::{Bench, call};
use crate::fake::image::{DATA, ENTRY};
use crate::fake::{FakeMachine, Step};
use crate::object::pipe::CAPACITY;
use crate::object::process::ProcessKey;
use crate::port::{Machine, Reason};

const TEXT: u64 = DATA + 0x1000;
const FDS: u64 = DATA + 0x2000;
/// Ends of the pipe.
const READER: u64 = 3;
const WRITER: u64 = 4;
/// Top of the main thread's stack, and the way to the next one's.
const TOP: u64 = 0x7fff_ffff_f000;
const STRIDE: u64 = 0x6_5000;
/// In the main thread's stack each thread has two buffers.
const BUFFERS: u64 = TOP - 0x5_0000;
const BUFFER: u64 = 0x2000;
/// Turns in which everyone has come as far as possible.
const TURNS: usize = 300;

/// One call of a thread.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Read(u64),
    Write(u64),
    Close(u64),
}

/// What one thread has before it.
struct Plan {
    deeds: VecDeque<Deed>,
    /// The call that it is in.
    calls: Option<Deed>,
}

/// The threads, and what is in the pipe. The main thread has time for others.
struct World {
    plans: Vec<Plan>,
    bytes: VecDeque<u8>,
    /// Ends have been closed.
    over: bool,
}

fn write_buffer(thread: usize) -> u64 {
    BUFFERS + thread as u64 * 2 * BUFFER
}

fn read_buffer(thread: usize) -> u64 {
    write_buffer(thread) + BUFFER
}

/// Every byte that a thread writes is this.
fn byte_of(thread: usize) -> u8 {
    u8::try_from(thread).unwrap()
}

impl World {
    /// A call has come back.
    fn returned(&mut self, machine: &mut FakeMachine, thread: usize, deed: Deed, result: u64) {
        match deed {
            Deed::Close(_) => {
                assert_eq!(result, 0);
                self.over = true;
            }
            _ if result == ERR => assert!(self.over, "{deed:?} fails"),
            Deed::Write(count) => {
                assert_eq!(result, count, "a write is whole");
                self.bytes.extend((0..count).map(|_| byte_of(thread)));
                assert!(self.bytes.len() as u64 <= CAPACITY);
            }
            Deed::Read(count) => {
                assert!(result <= count);
                assert!(result > 0 || count == 0 || self.over, "the end comes last");
                let mut read = vec![0; usize::try_from(result).unwrap()];
                machine.read_user(read_buffer(thread), &mut read).unwrap();
                for byte in read {
                    assert_eq!(self.bytes.pop_front(), Some(byte), "first in, first out");
                }
            }
        }
    }

    /// The next call of a thread, or a pause.
    fn next(&mut self, thread: usize) -> Step {
        let plan = &mut self.plans[thread];
        plan.calls = plan.deeds.pop_front();
        let (number, arguments) = match plan.calls {
            None => return Box::new(|_, _| Reason::Interrupt),
            Some(Deed::Read(count)) => (nr::READ, vec![READER, read_buffer(thread), count]),
            Some(Deed::Write(count)) => (nr::WRITE, vec![WRITER, write_buffer(thread), count]),
            Some(Deed::Close(fd)) => (nr::CLOSE, vec![fd]),
        };
        call(Abi::Patchwork, number, &arguments)
    }
}

/// A step of whoever has a turn: it notes what its call gave, which ends its
/// turn, or makes the next one.
fn step(world: &Rc<RefCell<World>>) -> Step {
    let world = Rc::clone(world);
    Box::new(move |machine, frame| {
        let mut world = world.borrow_mut();
        let thread = usize::try_from((TOP - frame.rsp) / STRIDE).unwrap();
        if let Some(deed) = world.plans[thread].calls.take() {
            world.returned(machine, thread, deed, frame.rax);
            return Reason::Interrupt;
        }
        let next = world.next(thread);
        next(machine, frame)
    })
}

/// Turns until everyone has come as far as possible.
fn go_on(bench: &mut Bench, key: ProcessKey, world: &Rc<RefCell<World>>) {
    for _ in 0..TURNS {
        // A turn takes two steps at most.
        bench.script(key, [step(world), step(world)]);
        assert!(bench.turn(), "the main thread waits for nothing");
    }
    let world = world.borrow();
    assert!(
        world
            .plans
            .iter()
            .all(|plan| plan.calls.is_some() || plan.deeds.is_empty())
    );
}

/// A process with a pipe and a thread for each plan.
fn crowd(plans: Vec<Vec<Deed>>) -> (Bench, ProcessKey, Rc<RefCell<World>>) {
    let (mut bench, key) = one(Abi::Patchwork);
    bench.poke(key, TEXT, b"/dev/pipe/new\0");
    assert_eq!(bench.call(key, nr::OPEN2, &[TEXT, FDS]), 0);
    for thread in 0..=plans.len() {
        let bytes = vec![byte_of(thread); usize::try_from(BUFFER).unwrap()];
        bench.poke(key, write_buffer(thread), &bytes);
    }
    for thread in 1..=plans.len() {
        // Whoever's turn it is makes the next one.
        let id = bench.call(key, nr::THREAD_CREATE, &[ENTRY, 0]);
        assert_eq!(id, thread as u64);
    }
    let plans = std::iter::once(Vec::new()).chain(plans);
    let world = World {
        plans: plans
            .map(|deeds| Plan {
                deeds: deeds.into(),
                calls: None,
            })
            .collect(),
        bytes: VecDeque::new(),
        over: false,
    };
    (bench, key, Rc::new(RefCell::new(world)))
}

fn plans() -> impl Strategy<Value = Vec<Vec<Deed>>> {
    let count = prop_oneof![0..20_u64, 1000..CAPACITY];
    let deed = (any::<bool>(), count).prop_map(|(reads, count)| match reads {
        true => Deed::Read(count),
        false => Deed::Write(count),
    });
    let plan = proptest::collection::vec(deed, 0..8);
    proptest::collection::vec(plan, 2..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn many_readers_and_writers_share_a_pipe(plans in plans()) {
        let (mut bench, key, world) = crowd(plans);
        go_on(&mut bench, key, &world);
        let length = world.borrow().bytes.len() as u64;
        for plan in &world.borrow().plans {
            match plan.calls {
                Some(Deed::Read(_)) => prop_assert_eq!(length, 0, "a reader waits for nothing"),
                Some(Deed::Write(count)) => prop_assert!(length + count > CAPACITY, "{}", count),
                _ => {}
            }
        }
        // Readers come to the end of what is there, then writers fail.
        for fd in [WRITER, READER] {
            for plan in &mut world.borrow_mut().plans {
                plan.deeds.clear();
            }
            world.borrow_mut().plans[0].deeds.push_back(Deed::Close(fd));
            go_on(&mut bench, key, &world);
        }
        let world = world.borrow();
        prop_assert!(world.plans.iter().all(|plan| plan.calls.is_none()), "somebody waits for ever");
    }
}
