//! Processes that XenevaOS programs make and wait for: what a single machine
//! cannot be brought to through programs.

use mayfly_abi::Abi;
use mayfly_abi::xeneva::{FAILED, nr};

use super::one;
use crate::fake::bench::{Bench, call, pause};
use crate::fake::image::{DATA, ENTRY};
use crate::object::process::{Cause, ProcessKey};

/// Where paths and names lie.
const TEXT: u64 = DATA + 0x1000;
const PROGRAM: &str = "/bin/xeneva.exe";

fn text(bench: &mut Bench, key: ProcessKey, text: &str) -> u64 {
    bench.poke(key, TEXT, format!("{text}\0").as_bytes());
    TEXT
}

/// CreateProcess; its key and its id.
fn create(bench: &mut Bench, maker: ProcessKey) -> (ProcessKey, u64) {
    let name = text(bench, maker, "a name that is longer than 15");
    let pid = bench.call(maker, nr::CreateProcess, &[0, name]);
    (bench.kernel.process_by_id(Abi::Xeneva, pid).unwrap(), pid)
}

/// ProcessLoadExec without arguments.
fn load(bench: &mut Bench, loader: ProcessKey, pid: u64, path: &str) -> u64 {
    let path = text(bench, loader, path);
    bench.call(loader, nr::ProcessLoadExec, &[pid, path, 0, 0])
}

/// Another thread of the process whose turn it is.
fn add_thread(bench: &mut Bench, key: ProcessKey) {
    bench.with_process(key, |kernel, running| {
        kernel.add_thread(running, 99, |_| ()).unwrap();
    });
}

#[test]
fn a_slot_has_an_id_a_name_and_nothing_else() {
    let (mut bench, key) = one(Abi::Xeneva);
    let (slot, pid) = create(&mut bench, key);
    let process = bench.process(slot);
    assert_eq!((process.id, pid), (3, 3));
    assert_eq!(process.arguments, b"a name that is \0");
    assert_eq!(
        (process.handles.iter().count(), process.handles.most()),
        (0, 60)
    );
    assert!(!process.loaded);
    // Nobody else runs.
    assert_eq!(bench.registers(key).rip, ENTRY);
}

#[test]
fn a_loaded_slot_runs_with_its_loaders_streams() {
    let (mut bench, key) = one(Abi::Xeneva);
    let (slot, pid) = create(&mut bench, key);
    assert_eq!(load(&mut bench, key, pid, PROGRAM), 0);
    bench.kernel.machine.seen.clear();
    assert_eq!(bench.registers(slot).rip, ENTRY);
    let process = bench.process(slot);
    assert_eq!(process.arguments, b"/bin/xeneva.exe\0");
    assert_eq!(process.handles.iter().count(), 3);
}

#[test]
fn an_exit_in_a_sub_thread_is_1_and_nothing_happens() {
    let (mut bench, key) = one(Abi::Xeneva);
    add_thread(&mut bench, key);
    // The sub-thread has the next turn, and the main one the turn behind it.
    assert_eq!(bench.call(key, nr::ProcessExit, &[]), 1);
    assert!(bench.ends().is_empty());
    bench.script(key, [call(Abi::Xeneva, nr::ProcessExit, &[])]);
    assert!(bench.turn());
    assert_eq!(bench.ends(), [(1, Cause::Exit, 0)]);
    assert_eq!(bench.usage(), (0, 0, 0));
}

#[test]
fn whoever_waits_for_itself_is_parked_until_it_ends() {
    let (mut bench, key) = one(Abi::Xeneva);
    bench.begin(key, nr::ProcessWaitForTermination, &[2]);
    assert_eq!(bench.returned(), None);
    assert!(!bench.turn(), "nobody runs");
    assert!(bench.kernel.kill(key));
    assert_eq!(bench.usage(), (0, 0, 0));
}

#[test]
fn all_threads_that_wait_for_any_end_are_woken_by_one() {
    let (mut bench, key) = one(Abi::Xeneva);
    add_thread(&mut bench, key);
    let any = call(
        Abi::Xeneva,
        nr::ProcessWaitForTermination,
        &[u64::from(u32::MAX)],
    );
    let again = call(Abi::Xeneva, nr::ProcessWaitForTermination, &[u64::MAX]);
    bench.script(key, [any, again]);
    assert!(bench.turn() && bench.turn());
    assert!(!bench.turn(), "both wait");
    let other = bench.spawn(Abi::Veridian);
    assert!(bench.kernel.kill(other));
    bench.kernel.machine.seen.clear();
    bench.script(key, [pause(), pause()]);
    assert!(bench.turn() && bench.turn());
    let seen = &bench.kernel.machine.seen;
    assert!(matches!(seen[..], [one, other] if one.rax == 0 && other.rax == 0));
}

#[test]
fn what_was_left_to_be_reaped_goes_with_the_last_process() {
    let mut bench = Bench::new();
    let first = bench.spawn(Abi::Xeneva);
    assert!(bench.kernel.kill(first));
    let key = bench.spawn(Abi::Xeneva);
    let other = bench.spawn(Abi::Xeneva);
    assert!(bench.kernel.kill(other));
    let any = [u64::from(u32::MAX)];
    assert_eq!(bench.call(key, nr::ProcessWaitForTermination, &any), 0);
    bench.begin(key, nr::ProcessWaitForTermination, &any);
    assert_eq!(bench.returned(), None, "all were reaped");
}

#[test]
fn slots_go_with_their_maker_and_children_stay() {
    let (mut bench, key) = one(Abi::Xeneva);
    let (child, pid) = create(&mut bench, key);
    let slots = [create(&mut bench, key).0, create(&mut bench, key).0];
    assert_eq!(load(&mut bench, key, pid, PROGRAM), 0);
    bench.kernel.kill(key);
    assert_eq!(bench.kernel.process_count(), 1);
    assert!(
        slots
            .iter()
            .all(|slot| bench.kernel.process(*slot).is_none())
    );
    bench.kernel.machine.seen.clear();
    assert_eq!(bench.registers(child).rip, ENTRY);
}

#[test]
fn nothing_is_made_when_memory_is_low() {
    let (mut bench, key) = one(Abi::Xeneva);
    let name = text(&mut bench, key, "name");
    let before = bench.usage();
    bench.kernel.machine.heap_low = true;
    assert_eq!(bench.call(key, nr::CreateProcess, &[0, name]), FAILED);
    bench.kernel.machine.heap_low = false;
    assert_eq!(bench.usage(), before);
}

#[test]
fn what_a_program_makes_grow_stops_when_memory_is_low() {
    let (mut bench, key) = one(Abi::Xeneva);
    let (slot, pid) = create(&mut bench, key);
    let null = text(&mut bench, key, "/dev/null");
    let file = bench.call(key, nr::OpenFile, &[null, 2]);
    bench.kernel.machine.heap_full = true;
    assert_eq!(bench.call(key, nr::OpenFile, &[null, 2]), FAILED);
    bench.kernel.machine.heap_full = false;
    bench.kernel.machine.heap_low = true;
    // What is open goes to others: a table has room for all that it may have.
    for dest in 3..60 {
        let given = bench.call(key, nr::SetFileToProcess, &[file, dest, pid]);
        assert_eq!(given, 0, "{dest}");
    }
    // The path alone is too much for a slot's arguments.
    assert_eq!(load(&mut bench, key, pid, PROGRAM), FAILED);
    assert!(bench.kernel.process(slot).is_none());
    bench.kernel.machine.heap_low = false;
    let null = text(&mut bench, key, "/dev/null");
    assert_eq!(bench.call(key, nr::OpenFile, &[null, 2]), file + 1);
    let (_, pid) = create(&mut bench, key);
    assert_eq!(load(&mut bench, key, pid, PROGRAM), 0);
}

#[test]
fn the_host_does_not_hear_of_slots_that_come_to_nothing() {
    let (mut bench, key) = one(Abi::Xeneva);
    for _ in 0..3 {
        let (_, pid) = create(&mut bench, key);
        assert_eq!(load(&mut bench, key, pid, "/bin/no.exe"), FAILED);
    }
    assert_eq!(bench.ends(), []);
}

#[test]
fn a_slot_that_finds_no_frame_is_gone() {
    let (mut bench, key) = one(Abi::Xeneva);
    text(&mut bench, key, PROGRAM);
    let before = bench.usage();
    for allocations in 0.. {
        let (slot, pid) = create(&mut bench, key);
        text(&mut bench, key, PROGRAM);
        bench.kernel.machine.allocations_left = allocations;
        let loaded = bench.call(key, nr::ProcessLoadExec, &[pid, TEXT, 0, 0]);
        bench.kernel.machine.allocations_left = u64::MAX;
        assert_eq!(loaded == 0, bench.kernel.process(slot).is_some());
        if loaded == 0 {
            assert!(allocations > 3, "it needs tables and a stack");
            break;
        }
        assert_eq!((loaded, bench.usage()), (FAILED, before), "{allocations}");
    }
}
