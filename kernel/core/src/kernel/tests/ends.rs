//! Every way a process ends: what is said, and that all it had goes back.

use mayfly_abi::{Abi, patchwork, veridian, xeneva};

use crate::event::Event;
use crate::fake::Step;
use crate::fake::bench::{Bench, call, exception, interrupt, page_fault, request};
use crate::fake::image::{DATA, DATA_SIZE, ENTRY, Elf, TEXT};
use crate::kernel::SpawnRequest;
use crate::object::process::{Cause, Fault};

/// Page-fault error codes: present, store, ring 3, fetch.
const PRESENT: u64 = 1;
const STORE: u64 = 2;
const USER: u64 = 4;
const FETCH: u64 = 16;

fn exit(abi: Abi, status: u64) -> Step {
    let number = match abi {
        Abi::Xeneva => xeneva::nr::ProcessExit,
        Abi::Patchwork => patchwork::nr::PROCESS_EXIT,
        Abi::Veridian => veridian::nr::EXIT,
    };
    call(abi, number, &[status])
}

fn sleep(abi: Abi) -> Step {
    match abi {
        Abi::Xeneva => call(abi, xeneva::nr::ProcessSleep, &[1000]),
        Abi::Patchwork => call(abi, patchwork::nr::NANOSLEEP, &[1_000_000_000]),
        Abi::Veridian => call(abi, veridian::nr::NANOSLEEP, &[DATA + 0x1000]),
    }
}

/// A process that has used some memory beyond its start.
fn started(bench: &mut Bench, abi: Abi) -> crate::object::process::ProcessKey {
    let key = bench.spawn(abi);
    bench.poke(key, DATA + 0x1000, &1_u64.to_le_bytes());
    key
}

/// Runs a process into its end; says why it ended. Everything must be back.
fn end_by(abi: Abi, step: Step) -> (Cause, i64) {
    let mut bench = Bench::new();
    let before = bench.usage();
    let key = started(&mut bench, abi);
    bench.script(key, [step]);
    assert!(bench.turn());
    assert_eq!(bench.usage(), before, "something is left");
    assert!(!bench.turn(), "somebody is left to run");
    let [(1, cause, status)] = bench.ends()[..] else {
        panic!("{:?}", bench.ends());
    };
    (cause, status)
}

#[test]
fn an_exit_gives_everything_back_with_the_status_of_its_interface() {
    for (abi, word, status) in [
        (Abi::Xeneva, 7, 0),
        (Abi::Patchwork, 7, 7),
        (Abi::Patchwork, 0xffff_ffff, -1),
        (Abi::Patchwork, 0x1234_0000_0003, 3),
        (Abi::Veridian, 7, 7),
        (Abi::Veridian, u64::MAX, -1),
        (Abi::Veridian, 0x8000_0000, i64::from(i32::MIN)),
    ] {
        assert_eq!(
            end_by(abi, exit(abi, word)),
            (Cause::Exit, status),
            "{abi:?}"
        );
    }
}

#[test]
fn an_exception_ends_the_process_with_its_vector() {
    for vector in [0, 3, 6, 13, 19] {
        for (abi, expected) in [
            (Abi::Xeneva, 14),
            (Abi::Patchwork, 14),
            (Abi::Veridian, -(i64::try_from(vector).unwrap() + 1)),
        ] {
            let (cause, status) = end_by(abi, exception(vector));
            let Cause::Fault(fault) = cause else {
                panic!("{cause:?}");
            };
            assert_eq!((fault.vector, fault.address), (vector, 0));
            assert_eq!(fault.rip, ENTRY);
            assert_eq!(status, expected);
        }
    }
}

#[test]
fn an_access_that_no_region_allows_ends_the_process_with_its_address() {
    for (address, error) in [
        (0, USER),
        (0xffff_8000_0000_0000, USER | PRESENT),
        (TEXT, USER | PRESENT | STORE),
        (DATA, USER | FETCH),
        (DATA, USER | PRESENT | FETCH),
        (DATA + DATA_SIZE, USER | STORE),
        // Present and allowed, and yet it faulted: looping would be worse.
        (DATA + 0x1000, USER | PRESENT | STORE),
    ] {
        let (cause, _) = end_by(Abi::Veridian, page_fault(address, error));
        let Cause::Fault(Fault {
            vector,
            error: code,
            address: at,
            ..
        }) = cause
        else {
            panic!("{cause:?}");
        };
        assert_eq!((vector, code, at), (14, error, address));
    }
}

#[test]
fn a_page_that_a_region_promises_is_brought_in_and_ring_3_goes_on() {
    for abi in Abi::ALL {
        for (address, error) in [
            (DATA, USER),
            (DATA + DATA_SIZE - 1, USER | STORE),
            (TEXT, USER | FETCH),
        ] {
            let mut bench = Bench::new();
            let key = bench.spawn(abi);
            bench.script(key, [page_fault(address, error), interrupt()]);
            assert!(bench.turn());
            assert!(bench.ends().is_empty());
            assert_eq!(bench.usage().2, 1);
        }
    }
}

#[test]
fn a_page_that_is_not_there_yet_allows_what_its_region_does() {
    // More pages of text than are mapped before the program runs.
    let page = TEXT + 10 * 4096;
    for (error, allowed) in [(USER, true), (USER | FETCH, true), (USER | STORE, false)] {
        let mut elf = Elf::program(Some(Abi::Patchwork));
        elf.programs[0].memsz = 12 * 4096;
        elf.programs[1].vaddr = TEXT + 16 * 4096;
        let mut bench = Bench::with_files(&[("long", elf.build())]);
        let key = bench.kernel.spawn(&request("long")).unwrap();
        bench.script(key, [page_fault(page, error), interrupt()]);
        assert!(bench.turn());
        assert_eq!(bench.ends().is_empty(), allowed, "{error}");
    }
}

#[test]
fn a_page_that_cannot_be_had_ends_the_process_for_want_of_memory() {
    for (abi, status) in [
        (Abi::Xeneva, 14),
        (Abi::Patchwork, 14),
        (Abi::Veridian, -15),
    ] {
        let no_memory: Step = Box::new(|machine, frame| {
            machine.allocations_left = 0;
            page_fault(DATA + 0x3000, USER | STORE)(machine, frame)
        });
        assert_eq!(end_by(abi, no_memory), (Cause::OutOfMemory, status));
    }
}

#[test]
fn a_process_at_its_frame_limit_ends_for_want_of_memory() {
    let mut bench = Bench::new();
    let limited = SpawnRequest {
        frames_max: 12,
        ..request("patchwork")
    };
    let key = bench.kernel.spawn(&limited).unwrap();
    let touches = (0..8).map(|page| page_fault(DATA + page * 4096, USER | STORE));
    bench.script(key, touches);
    assert!(bench.turn());
    assert_eq!(bench.ends(), [(1, Cause::OutOfMemory, 14)]);
    assert_eq!(bench.usage(), (0, 0, 0));
}

#[test]
fn a_queued_process_can_be_killed() {
    for abi in Abi::ALL {
        let mut bench = Bench::new();
        let key = started(&mut bench, abi);
        assert!(bench.kernel.kill(key));
        assert_eq!(bench.usage(), (0, 0, 0));
        assert_eq!(bench.ends(), [(1, Cause::Killed, 0)]);
        assert!(!bench.turn(), "a dead thread runs");
    }
}

#[test]
fn a_sleeping_process_can_be_killed_and_its_timer_is_harmless() {
    for abi in Abi::ALL {
        let mut bench = Bench::new();
        let key = started(&mut bench, abi);
        bench.script(key, [sleep(abi)]);
        assert!(bench.turn());
        assert!(bench.kernel.kill(key));
        assert_eq!(bench.usage(), (0, 0, 0));
        // Another thread takes the place of the dead one in the table.
        let next = bench.spawn(abi);
        bench.advance(2_000_000_000);
        bench.script(next, [interrupt()]);
        assert!(bench.turn());
        assert_eq!(bench.kernel.process_count(), 1);
    }
}

#[test]
fn a_process_is_killed_once_and_a_dead_or_unknown_one_never() {
    let mut bench = Bench::new();
    let key = bench.spawn(Abi::Patchwork);
    assert!(bench.kernel.kill(key));
    assert!(!bench.kernel.kill(key));
    let next = bench.spawn(Abi::Patchwork);
    assert!(!bench.kernel.kill(key), "a stale key kills another");
    assert!(bench.kernel.kill(next));
    assert_eq!(bench.ends().len(), 2);
}

#[test]
fn a_process_cannot_be_killed_while_it_runs() {
    let mut bench = Bench::new();
    let key = bench.spawn(Abi::Patchwork);
    bench.with_process(key, |kernel, _| assert!(!kernel.kill(key)));
    assert_eq!(bench.kernel.process_count(), 1);
}

#[test]
fn killing_a_queued_process_leaves_the_queue_to_the_others() {
    // The killed one was first, in the middle, and last of the queue.
    for killed in 0..3 {
        let mut bench = Bench::new();
        let mut keys = [Abi::Xeneva, Abi::Patchwork, Abi::Veridian].map(|abi| bench.spawn(abi));
        assert!(bench.kernel.kill(keys[killed]));
        // Its successor gets the dead thread's place in the table.
        keys[killed] = bench.spawn(Abi::Patchwork);
        for key in keys {
            bench.script(key, [interrupt(), interrupt()]);
        }
        for _ in 0..6 {
            assert!(bench.turn(), "a thread was lost");
        }
        assert!(
            bench
                .kernel
                .machine
                .scripts
                .values()
                .all(|script| script.is_empty())
        );
    }
}

#[test]
fn a_successor_of_a_killed_process_sleeps_undisturbed() {
    let mut bench = Bench::new();
    let first = bench.spawn(Abi::Patchwork);
    assert!(bench.kernel.kill(first));
    let second = bench.spawn(Abi::Patchwork);
    bench.script(second, [sleep(Abi::Patchwork)]);
    assert!(bench.turn());
    assert!(!bench.turn(), "a sleeping thread runs");
}

#[test]
fn an_end_tells_calls_records_and_time() {
    let mut bench = Bench::new();
    let key = bench.spawn(Abi::Patchwork);
    for _ in 0..3 {
        bench.call(key, patchwork::nr::GETPID, &[]);
    }
    bench.script(key, [exit(Abi::Patchwork, 0)]);
    assert!(bench.turn());
    let [
        Event::Exited {
            calls,
            records,
            ran_ticks,
            ..
        },
    ] = bench.kernel.host.events[..]
    else {
        panic!("{:?}", bench.kernel.host.events);
    };
    assert_eq!((calls, records), (4, 0));
    assert!(ran_ticks > 0);
}
