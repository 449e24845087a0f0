//! The errors of VeridianOS's calls, all of them.
//!
//! Purpose: `specs/veridian.md` §5 lists what each call fails with, and every
//! entry has a test that names it. Here are those that no other file has:
//! tables that are full, and memory that is out. Neighbours: the other files of
//! this folder.

use std::path::Path;

use mayfly::prelude::*;

use crate::pairs::{EXECUTE, GRANT, READ, REVOKE, WRITE, endpoint, pair, words};

/// What every call of a message has.
const SENDING: &str =
    "InvalidParameter InvalidCapability PermissionDenied NotFound Busy InvalidAddress";

/// What each call fails with (§5), but for what cannot happen here:
/// - Interrupted of IPC_RECEIVE and NANOSLEEP: nothing interrupts them (§7.8).
/// - NotSupported of READ and WRITE: the only device does both.
/// - ResourceExhausted of IPC_SEND and IPC_CALL: no rate is limited (§6.8).
const ERRORS: [(&str, &str); 24] = [
    (
        "READ",
        "InvalidCapability PermissionDenied InvalidParameter InvalidAddress",
    ),
    (
        "WRITE",
        "InvalidCapability PermissionDenied InvalidParameter InvalidAddress ResourceExhausted",
    ),
    (
        "MMAP",
        "InvalidParameter PermissionDenied InvalidCapability InvalidAddress AlreadyExists OutOfMemory ResourceExhausted",
    ),
    ("MUNMAP", "InvalidParameter InvalidAddress NotFound"),
    (
        "MPROTECT",
        "InvalidParameter PermissionDenied InvalidAddress",
    ),
    (
        "IPC_ENDPOINT_CREATE",
        "ResourceExhausted OutOfMemory InvalidAddress",
    ),
    (
        "IPC_CHANNEL_CREATE",
        "InvalidParameter InvalidCapability PermissionDenied NotFound AlreadyExists ResourceExhausted",
    ),
    ("IPC_SEND", SENDING),
    (
        "IPC_RECEIVE",
        "InvalidParameter InvalidCapability PermissionDenied InvalidAddress NotFound Timeout BufferTooSmall ResourceExhausted",
    ),
    ("IPC_CALL", SENDING),
    ("IPC_CALL", "Timeout BufferTooSmall Interrupted"),
    (
        "IPC_REPLY",
        "InvalidParameter InvalidCapability PermissionDenied InvalidAddress NotFound",
    ),
    (
        "PROCESS_CREATE",
        "InvalidParameter InvalidCapability PermissionDenied InvalidAddress OutOfMemory ResourceExhausted NotSupported",
    ),
    ("PROCESS_START", "NotFound PermissionDenied Busy"),
    (
        "PROCESS_WAIT",
        "InvalidParameter NotFound PermissionDenied Timeout InvalidAddress",
    ),
    (
        "THREAD_CREATE",
        "InvalidParameter InvalidAddress OutOfMemory ResourceExhausted",
    ),
    ("THREAD_JOIN", "InvalidParameter NotFound Busy Timeout"),
    (
        "CAPABILITY_CREATE",
        "InvalidParameter InvalidCapability NotFound PermissionDenied OutOfMemory ResourceExhausted",
    ),
    (
        "CAPABILITY_DERIVE",
        "InvalidParameter InvalidCapability PermissionDenied ResourceExhausted",
    ),
    ("CAPABILITY_REVOKE", "InvalidCapability PermissionDenied"),
    (
        "CAPABILITY_VALIDATE",
        "InvalidParameter InvalidCapability PermissionDenied",
    ),
    ("CLOCK_GET", "InvalidParameter InvalidAddress NotSupported"),
    ("NANOSLEEP", "InvalidParameter InvalidAddress"),
    ("YIELD", ""),
];

#[test]
fn every_error_of_every_call_has_a_test() {
    for row in Abi::Veridian.rows() {
        let listed = ERRORS.iter().any(|(call, _)| *call == row.name);
        assert!(listed || row.name.ends_with("EXIT"), "{row}");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/veridian");
    let missing = mayfly::covers::missing(&folder, "veridian", ERRORS);
    let missing = missing.expect("the files of this folder");
    assert!(missing.is_empty(), "no test covers {missing:?}");
}

#[mayfly::test(
    memory = "128M",
    run_timeout = "120s",
    covers = "veridian PROCESS_CREATE ResourceExhausted"
)]
fn there_are_1024_processes_to_collect(vm: Vm) -> Result<()> {
    let before = vm.stats()?;
    limits(&vm, &["processes", "1024"])?;
    assert_eq!(vm.stats()?.frames_free, before.frames_free);
    Ok(())
}

#[mayfly::test(
    memory = "8M",
    run_timeout = "60s",
    covers = "veridian PROCESS_CREATE OutOfMemory"
)]
fn processes_cannot_take_more_memory_than_there_is(vm: Vm) -> Result<()> {
    let before = vm.stats()?;
    for _ in 0..2 {
        limits(&vm, &["processes", "0"])?;
    }
    assert_eq!(vm.stats()?.frames_free, before.frames_free);
    Ok(())
}

fn limits(vm: &Vm, arguments: &[&str]) -> Result<()> {
    let out = vm
        .spawn("veridian-limits")
        .args(arguments.iter().copied())
        .trace(false)
        .run()?;
    assert_eq!(out.stdout_text(), "limits ok\n", "{:?}", out.cause);
    Ok(())
}

#[mayfly::test(
    memory = "8M",
    run_timeout = "60s",
    covers = "veridian THREAD_CREATE OutOfMemory, veridian IPC_ENDPOINT_CREATE OutOfMemory"
)]
fn threads_cannot_fill_the_kernel(vm: Vm) -> Result<()> {
    let before = vm.stats()?;
    for _ in 0..2 {
        limits(&vm, &["threads"])?;
    }
    assert_eq!(vm.stats()?.frames_free, before.frames_free);
    assert!(vm.spawn("veridian-hello").run()?.status.success());
    Ok(())
}

#[mayfly::test(
    run_timeout = "60s",
    covers = "veridian IPC_CHANNEL_CREATE ResourceExhausted"
)]
fn a_process_that_has_all_its_channels_leaves_others_theirs(vm: Vm) -> Result<()> {
    let before = vm.stats()?;
    limits(&vm, &["mesh"])?;
    assert_eq!(vm.stats()?.objects, before.objects);
    Ok(())
}

#[mayfly::test(
    run_timeout = "60s",
    covers = "veridian IPC_CHANNEL_CREATE ResourceExhausted"
)]
fn an_endpoint_has_1024_channels(vm: Vm) -> Result<()> {
    let before = vm.stats()?;
    limits(&vm, &["channels"])?;
    assert_eq!(vm.stats()?.objects, before.objects);
    Ok(())
}

#[mayfly::test(run_timeout = "60s", covers = "veridian IPC_RECEIVE ResourceExhausted")]
fn a_message_stays_as_long_as_its_capability_has_no_room(vm: Vm) -> Result<()> {
    let pair = pair(&vm)?;
    let token = endpoint(&pair.probe)?.1;
    assert_eq!(pair.send(b"with one", token)?.result, Ok(0));
    let mut last = 0;
    loop {
        let derived = args![token, READ | GRANT | REVOKE];
        let derived = pair.probe.call(veridian::CAPABILITY_DERIVE, derived)?;
        match derived.result {
            Ok(token) => last = token,
            Err(error) => {
                assert_eq!(error, "ResourceExhausted");
                break;
            }
        }
    }
    for _ in 0..2 {
        assert_eq!(pair.receive(64)?.result, Err("ResourceExhausted"));
    }
    pair.revoke(last)?;
    let got = pair.receive(64)?;
    assert_eq!(got.buffers[0][..8], *b"with one");
    assert_eq!(words(&got)[2] & 0xffff, last & 0xffff, "in its place");
    Ok(())
}

#[mayfly::test(
    covers = "veridian IPC_CALL Busy, veridian IPC_CALL PermissionDenied, veridian IPC_CALL InvalidAddress"
)]
fn a_call_needs_rights_room_and_memory(vm: Vm) -> Result<()> {
    let pair = pair(&vm)?;
    let [(_, token), (_, peer)] = pair.ends;
    let call = |channel, request: Arg, response: Arg, capability, token, told: Arg| {
        let words = args![
            channel,
            request,
            7,
            response,
            64,
            u64::MAX,
            capability,
            token,
            told
        ];
        Ok::<_, Error>(pair.probe.call(veridian::IPC_CALL, words)?.result)
    };
    let (request, bad) = (|| input("request"), || Arg::from(0x1234_5678_9000_u64));
    let silent = pair.derive(token, READ | EXECUTE)?;
    let refused = call(pair.channel, request(), out(64), 0, silent, out(16))?;
    assert_eq!(refused, Err("PermissionDenied"));
    let kept = pair.derive(peer, READ | WRITE)?;
    let refused = call(pair.channel, request(), out(64), kept, token, out(16))?;
    assert_eq!(refused, Err("PermissionDenied"));
    for channel in [pair.channel, pair.channel + 99] {
        for words in [
            [bad(), out(64), out(16)],
            [request(), bad(), out(16)],
            [request(), out(64), bad()],
        ] {
            let [request, response, told] = words;
            let refused = call(channel, request, response, 0, token, told)?;
            assert_eq!(refused, Err("InvalidAddress"), "{channel}");
        }
    }
    for number in 0..64_u8 {
        assert_eq!(pair.send(&[number], 0)?.result, Ok(0));
    }
    let refused = call(pair.channel, request(), out(64), 0, token, out(16))?;
    assert_eq!(refused, Err("Busy"));
    assert_eq!(pair.receive(1)?.buffers[0], [0]);
    Ok(())
}
