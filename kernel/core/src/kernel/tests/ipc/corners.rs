//! The corners, one by one: what random exchanges seldom meet.

use mayfly_abi::veridian::SyscallError::{
    BufferTooSmall, Busy, Interrupted, InvalidAddress, InvalidCapability, NotFound, OutOfMemory,
    ResourceExhausted, Timeout,
};
use mayfly_abi::veridian::nr;

use super::world::{EXTENSION, IN, OUT, Party, TOLD, World};
use crate::object::capability::Rights;
use crate::object::ipc::{QUEUE_MAX, REPLIES_MAX};
use crate::port::PAGE_SIZE;

const NEVER: u64 = u64::MAX;

/// Two processes and their channel.
fn two() -> (World, u64) {
    let mut world = World::new(2);
    let channel = world.connect(0, 1);
    (world, channel)
}

#[test]
fn a_full_queue_is_busy_and_comes_out_in_order() {
    let (mut world, channel) = two();
    for number in 0..QUEUE_MAX as u64 {
        world.poke(0, OUT, &number.to_le_bytes());
        assert_eq!(world.send(0, channel, 8), 0);
    }
    assert_eq!(world.send(0, channel, 8), Busy.word());
    assert_eq!(world.call(0, channel, 8, 8, NEVER).unwrap().0, Busy.word());
    for number in 0..QUEUE_MAX as u64 {
        assert_eq!(world.receive(1, 8, 0).unwrap().0, 0);
        assert_eq!(world.peek(1, IN, 8), number.to_le_bytes());
    }
    assert_eq!(world.receive(1, 8, 0).unwrap().0, Timeout.word());
}

#[test]
fn a_request_whose_caller_gave_up_is_never_received() {
    let (mut world, channel) = two();
    assert!(world.call(0, channel, 100, 8, 1000).is_none());
    world.bench.advance(1000);
    // The caller has not run since; its request is over all the same.
    assert_eq!(world.receive(1, 4096, 0).unwrap().0, Timeout.word());
    assert_eq!(world.goes_on(0).0, Timeout.word());
    assert_eq!(world.bench.kernel.ipc_count().2, 0);
}

#[test]
fn a_late_reply_finds_nobody_and_a_used_token_is_none() {
    let (mut world, channel) = two();
    assert!(world.call(0, channel, 8, 8, 1000).is_none());
    let token = world.receive(1, 8, 0).unwrap().1[3];
    assert!(token != 0 && token >> 63 == 0);
    world.bench.advance(1000);
    assert_eq!(world.goes_on(0).0, Timeout.word());
    assert_eq!(
        world.reply(0, token, 8),
        InvalidCapability.word(),
        "another's"
    );
    assert_eq!(world.reply(1, token, 8), NotFound.word());
    assert_eq!(world.reply(1, token, 8), InvalidCapability.word());
    assert!(world.call(0, channel, 8, 8, NEVER).is_none());
    let token = world.receive(1, 8, 0).unwrap().1[3];
    assert_eq!(world.reply(1, token, 8), 0);
    assert_eq!(world.reply(1, token, 8), InvalidCapability.word());
    assert_eq!(world.goes_on(0), (0, [8, 0, 0, 0]));
}

#[test]
fn a_reply_that_does_not_fit_tells_its_length() {
    let (mut world, channel) = two();
    for (length, room) in [(9, 8), (4096, 4095), (65, 0)] {
        assert!(world.call(0, channel, 8, room, NEVER).is_none());
        let token = world.receive(1, 8, 0).unwrap().1[3];
        assert_eq!(world.reply(1, token, length), 0);
        let (result, told) = world.goes_on(0);
        assert_eq!((result, told[0]), (BufferTooSmall.word(), length));
    }
}

#[test]
fn the_end_of_a_server_ends_the_calls_to_it() {
    let mut world = World::new(4);
    let channels = [0, 1, 2].map(|caller| world.connect(caller, 3));
    assert!(world.call(0, channels[0], 8, 8, NEVER).is_none());
    assert_eq!(world.receive(3, 8, 0).unwrap().0, 0);
    assert!(world.call(1, channels[1], 4096, 8, NEVER).is_none());
    let key = world.parties[3].key;
    assert!(world.bench.kernel.kill(key));
    assert_eq!(world.goes_on(0).0, Interrupted.word(), "it was served");
    assert_eq!(world.goes_on(1).0, NotFound.word(), "it was queued");
    assert_eq!(world.send(2, channels[2], 8), NotFound.word());
    assert_eq!(world.made(), (3, 0, 0));
}

#[test]
fn a_caller_that_ends_takes_its_request_with_it() {
    let (mut world, channel) = two();
    assert!(world.call(0, channel, 4096, 8, NEVER).is_none());
    let key = world.parties[0].key;
    assert!(world.bench.kernel.kill(key));
    assert_eq!(world.made(), (1, 0, 0));
    assert_eq!(world.receive(1, 4096, 0).unwrap().0, Timeout.word());
}

#[test]
fn a_revoked_token_ends_the_waits_with_it() {
    let (mut world, channel) = two();
    let token = world.lend(1, 0, Rights::READ);
    let endpoint = world.parties[1].endpoint;
    let waits = [endpoint, IN, 8, NEVER, token, TOLD];
    assert!(world.make(0, nr::IPC_RECEIVE, &waits).is_none());
    // The borrower's token hangs below this one.
    let own = world.parties[1].token;
    let revoked = world.make(1, nr::CAPABILITY_REVOKE, &[own]);
    assert_eq!(revoked.unwrap().0, 0);
    assert_eq!(world.goes_on(0).0, InvalidCapability.word());
    assert_eq!(
        world.send(0, channel, 8),
        NotFound.word(),
        "it was the last"
    );
}

#[test]
fn a_token_is_revoked_when_the_wait_with_it_is_over_already() {
    let (mut world, _) = two();
    let token = world.lend(1, 0, Rights::READ);
    let endpoint = world.parties[1].endpoint;
    let waits = [endpoint, IN, 8, 1000, token, TOLD];
    assert!(world.make(0, nr::IPC_RECEIVE, &waits).is_none());
    let own = world.parties[1].token;
    // The other one's turn begins before that time comes.
    let turn = world.turn(|world, _, _| {
        world.bench.advance(1000);
        Some((nr::CAPABILITY_REVOKE, vec![own]))
    });
    let (whose, outcome) = turn.unwrap();
    assert_eq!((whose, outcome.unwrap().0), (1, 0));
    assert_eq!(world.goes_on(0).0, Timeout.word());
    // It is queued once: its next wait has an end of its own.
    assert!(world.receive(0, 8, NEVER).is_none());
    world.has_all_turns(1);
}

#[test]
fn a_token_is_revoked_that_the_wait_before_was_with() {
    let (mut world, _) = two();
    let token = world.lend(1, 0, Rights::READ);
    let endpoint = world.parties[1].endpoint;
    let waits = [endpoint, IN, 8, 1000, token, TOLD];
    assert!(world.make(0, nr::IPC_RECEIVE, &waits).is_none());
    world.bench.advance(1000);
    assert_eq!(world.goes_on(0).0, Timeout.word());
    world.poke(0, OUT, &[0_u64, 1000].map(u64::to_le_bytes).concat());
    assert!(world.make(0, nr::NANOSLEEP, &[OUT]).is_none());
    let own = world.parties[1].token;
    world.make(1, nr::CAPABILITY_REVOKE, &[own]);
    // It sleeps on.
    world.has_all_turns(1);
    world.bench.advance(1000);
    let turns = [(); 2].map(|()| world.turn(|_, _, _| None).unwrap().0);
    assert!(turns.contains(&0));
}

#[test]
fn the_last_token_of_an_endpoint_ends_it_for_who_waits() {
    let (mut world, channel) = two();
    assert!(world.call(0, channel, 8, 8, NEVER).is_none());
    let own = world.parties[1].token;
    world.make(1, nr::CAPABILITY_REVOKE, &[own]);
    assert_eq!(world.goes_on(0).0, NotFound.word());
    assert_eq!(world.made(), (1, 0, 0));
}

#[test]
fn endpoints_that_hold_each_other_end_one_after_the_other() {
    let mut world = World::new(2);
    // Each new endpoint's only token lies in a message at the one before.
    let mut channel = world.connect(0, 1);
    let mut from = world.parties[0].token;
    for _ in 0..200 {
        let (result, [id, token, ..]) = world.make(0, nr::IPC_ENDPOINT_CREATE, &[TOLD]).unwrap();
        assert_eq!(result, 0);
        let sent = [channel, OUT, 8, token, from];
        assert_eq!(world.make(0, nr::IPC_SEND, &sent).unwrap().0, 0);
        let (own, first) = (world.parties[0].endpoint, world.parties[0].token);
        let made = world.make(0, nr::IPC_CHANNEL_CREATE, &[own, id, first, token]);
        (channel, from) = (made.unwrap().0, first);
    }
    let before = world.made().0;
    assert_eq!(before, 202);
    let key = world.parties[0].key;
    assert!(world.bench.kernel.kill(key));
    assert_eq!(world.made().0, 1);
}

#[test]
fn a_capability_that_is_revoked_on_its_way_is_none() {
    let (mut world, channel) = two();
    let (_, [_, token, ..]) = world.make(0, nr::IPC_ENDPOINT_CREATE, &[TOLD]).unwrap();
    let own = world.parties[0].token;
    let derived = world.make(0, nr::CAPABILITY_DERIVE, &[token, 0x1b]);
    let derived = derived.unwrap().0;
    let sent = [channel, OUT, 8, derived, own];
    assert_eq!(world.make(0, nr::IPC_SEND, &sent).unwrap().0, 0);
    world.make(0, nr::CAPABILITY_REVOKE, &[derived]);
    let (result, told) = world.receive(1, 64, 0).unwrap();
    assert_eq!((result, told[1], told[2]), (0, 8, 0));
}

#[test]
fn a_full_table_keeps_the_message() {
    let (mut world, channel) = two();
    let (own, peer) = (world.parties[0].token, world.parties[1].token);
    let mut last = 0;
    loop {
        let made = world
            .make(1, nr::CAPABILITY_DERIVE, &[peer, 0x11])
            .unwrap()
            .0;
        if made == ResourceExhausted.word() {
            break;
        }
        last = made;
    }
    let sent = [channel, OUT, 8, own, own];
    // One who waits is told; the message is kept for the next.
    assert!(world.receive(1, 64, NEVER).is_none());
    assert_eq!(world.make(0, nr::IPC_SEND, &sent).unwrap().0, 0);
    assert_eq!(world.goes_on(1).0, ResourceExhausted.word());
    assert_eq!(world.receive(1, 64, 0).unwrap().0, ResourceExhausted.word());
    world.make(1, nr::CAPABILITY_REVOKE, &[last]);
    let (result, told) = world.receive(1, 64, 0).unwrap();
    assert_eq!(result, 0);
    assert!(told[2] != 0);
}

#[test]
fn a_process_owes_only_so_many_replies() {
    let (mut world, channel) = two();
    let mut tokens = Vec::new();
    for _ in 0..REPLIES_MAX {
        assert!(world.call(0, channel, 0, 0, 1).is_none());
        let (result, told) = world.receive(1, 0, 0).unwrap();
        assert_eq!(result, 0);
        tokens.push(told[3]);
        world.bench.advance(1);
        assert_eq!(world.goes_on(0).0, Timeout.word());
    }
    assert!(world.call(0, channel, 0, 0, NEVER).is_none());
    assert_eq!(world.receive(1, 0, 0).unwrap().0, ResourceExhausted.word());
    assert_eq!(world.reply(1, tokens[7], 0), NotFound.word());
    let (result, told) = world.receive(1, 0, 0).unwrap();
    assert_eq!(result, 0);
    assert!(!tokens.contains(&told[3]));
    assert_eq!(world.reply(1, told[3], 0), 0);
    assert_eq!(world.goes_on(0).0, 0);
}

#[test]
fn a_buffer_that_goes_while_its_thread_waits_hurts_nobody() {
    for length in [8, 100] {
        let mut world = World::new(2);
        let channel = world.connect(0, 1);
        let data = crate::fake::image::DATA;
        let Party {
            endpoint, token, ..
        } = world.parties[1];
        let waits = [endpoint, data, 4096, NEVER, token, TOLD];
        assert!(world.make(1, nr::IPC_RECEIVE, &waits).is_none());
        let key = world.parties[1].key;
        let kernel = &mut world.bench.kernel;
        let process = kernel.processes.get_mut(key).unwrap();
        let unmapped = process
            .space
            .unmap(&mut kernel.machine, data..data + 2 * PAGE_SIZE);
        assert!(unmapped.is_ok());
        assert!(world.call(0, channel, length, 8, 1000).is_none());
        assert_eq!(world.goes_on(1).0, InvalidAddress.word());
        // A small one was received already; a larger one is queued still.
        world.bench.advance(1000);
        let ends = if length == 8 { Interrupted } else { Timeout };
        assert_eq!(world.goes_on(0).0, ends.word());
    }
}

#[test]
fn a_message_that_has_no_memory_is_not_sent() {
    let (mut world, channel) = two();
    world.bench.kernel.machine.heap_low = true;
    for length in [8, 65] {
        assert_eq!(world.send(0, channel, length), OutOfMemory.word());
    }
    let made = world.make(0, nr::IPC_ENDPOINT_CREATE, &[TOLD]).unwrap();
    assert_eq!(made.0, OutOfMemory.word());
    // Who waits needs none.
    assert!(world.receive(1, 100, NEVER).is_none());
    world.poke(0, OUT, &[7; 100]);
    assert_eq!(world.send(0, channel, 100), 0);
    assert_eq!(world.goes_on(1).0, 0);
    assert_eq!(world.peek(1, IN, 100), [7; 100]);
    world.bench.kernel.machine.heap_low = false;
    assert_eq!(world.send(0, channel, 65), 0);
    assert_eq!(world.bench.kernel.ipc_count().2, 1);
    // There is room for a small one in what the queue has.
    world.bench.kernel.machine.heap_low = true;
    assert_eq!(world.send(0, channel, 8), 0);
}

#[test]
fn a_bad_extension_block_is_no_call() {
    let (mut world, channel) = two();
    let arguments = [channel, OUT, 8, IN, 8, EXTENSION + 4];
    let made = world.make(0, nr::IPC_CALL, &arguments).unwrap();
    assert_eq!(made.0, InvalidAddress.word());
}
