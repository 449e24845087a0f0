//! Who is told of an end, and when nobody is any more.

use super::*;
use crate::object::process::ProcessMark;
use crate::object::thread::ThreadMark;
use crate::slab::Table;

const ENDED: Ended = Ended {
    cause: Cause::Exit,
    status: 5,
    user_time: 1,
    kernel_time: 2,
    memory: 4096,
};

/// A creator, its child with id 7, and threads.
fn made() -> (Records, [ProcessKey; 2], [ThreadKey; 3]) {
    let mut processes: Table<ProcessMark, ()> = Table::default();
    let mut threads: Table<ThreadMark, ()> = Table::default();
    let keys = [processes.reserve(), processes.reserve()];
    let mut records = Records::default();
    records.add(7, keys[0], keys[1]);
    (records, keys, [(); 3].map(|()| threads.reserve()))
}

fn waits(records: &mut Records, thread: ThreadKey) {
    assert_eq!(records.look(7, thread), Ok(None));
    records.wait(7, Entry { thread, wait: 1 });
}

#[test]
fn the_first_collects_and_all_who_waited_are_told() {
    let (mut records, [_, child], [one, two, late]) = made();
    waits(&mut records, one);
    waits(&mut records, two);
    let woken = records.end(7, child, ENDED);
    let woken: Vec<ThreadKey> = woken.map(|entry| entry.thread).collect();
    assert_eq!(woken, [one, two]);
    assert_eq!(records.look(7, two), Ok(Some(ENDED)));
    records.collect(7, two);
    assert_eq!(records.look(7, late), Err(KernelError::NotFound));
    assert_eq!(records.look(7, two), Err(KernelError::NotFound));
    assert_eq!(records.look(7, one), Ok(Some(ENDED)));
    records.collect(7, one);
    assert!(records.is_empty());
}

#[test]
fn an_end_that_nobody_waited_for_is_told_once() {
    let (mut records, [_, child], [one, two, _]) = made();
    assert!(records.end(7, child, ENDED).next().is_none());
    assert_eq!(records.look(7, one), Ok(Some(ENDED)));
    records.collect(7, one);
    assert_eq!(records.look(7, two), Err(KernelError::NotFound));
    assert!(records.is_empty());
}

#[test]
fn what_a_creator_leaves_goes_with_it() {
    // Ended before its creator.
    let (mut records, [creator, child], _) = made();
    records.end(7, child, ENDED);
    records.leave(creator, &[]);
    assert!(records.is_empty());
    // Ended after it.
    let (mut records, [creator, child], _) = made();
    records.leave(creator, &[]);
    assert!(!records.is_empty());
    records.end(7, child, ENDED);
    assert!(records.is_empty());
}

#[test]
fn who_waits_with_a_token_is_told_though_the_creator_is_gone() {
    let (mut records, [creator, child], [one, two, _]) = made();
    waits(&mut records, one);
    records.leave(creator, &[]);
    assert_eq!(records.end(7, child, ENDED).count(), 1);
    assert_eq!(records.look(7, two), Err(KernelError::NotFound));
    assert_eq!(records.look(7, one), Ok(Some(ENDED)));
    records.collect(7, one);
    assert!(records.is_empty());
}

#[test]
fn who_gives_up_or_dies_holds_nothing() {
    let (mut records, [creator, child], [one, two, three]) = made();
    for thread in [one, two, three] {
        waits(&mut records, thread);
    }
    records.give_up(7, one);
    records.end(7, child, ENDED);
    records.collect(7, three);
    assert_eq!(records.look(7, one), Err(KernelError::NotFound));
    assert!(!records.is_empty(), "the second is to be told");
    records.leave(creator, &[two]);
    assert!(records.is_empty());
}

#[test]
fn who_made_and_waited_for_nothing_leaves_all_as_it_was() {
    let (mut records, [creator, child], [one, two, _]) = made();
    waits(&mut records, one);
    assert!(records.leave(child, &[two]).is_empty());
    assert_eq!(
        records.end(8, child, ENDED).next(),
        None,
        "that is another's id"
    );
    assert_eq!(records.leave(creator, &[two]), [child]);
    assert_eq!(records.end(7, child, ENDED).count(), 1);
    records.leave(child, &[one]);
    assert!(records.is_empty());
    assert!(records.creators.is_empty() && records.waiting.is_empty());
}
