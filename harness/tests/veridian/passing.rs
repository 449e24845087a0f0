//! Capabilities in messages, and tokens of endpoints and channels.
//!
//! Purpose: what a message passes on, and what ends with a token
//! (`specs/veridian.md` §4.4 to §4.6, §6.1). Neighbours: `ipc.rs` has the calls.

use mayfly::prelude::*;

use crate::pairs::{CHANNEL, ENDPOINT, EXECUTE, GRANT, READ, REVOKE, WRITE, endpoint, pair, words};

#[mayfly::test(
    covers = "veridian IPC_SEND NotFound, veridian IPC_CHANNEL_CREATE InvalidCapability"
)]
fn an_endpoint_ends_with_its_last_token(vm: Vm) -> Result<()> {
    let pair = pair(&vm)?;
    let [(one, first), (other, second)] = pair.ends;
    let copy = pair.derive(second, READ | EXECUTE | REVOKE)?;
    pair.send(b"lost", 0)?;
    // The copy hangs below the token; a token that comes back in a message does too.
    pair.revoke(copy)?;
    assert_eq!(pair.send(b"alive", 0)?.result, Ok(0));
    pair.revoke(second)?;
    assert_eq!(pair.send(b"gone", 0)?.result, Err("NotFound"));
    let made = pair.probe.call(
        veridian::IPC_CHANNEL_CREATE,
        args![one, other, first, second],
    )?;
    assert_eq!(made.result, Err("InvalidCapability"));
    Ok(())
}

#[mayfly::test(covers = "veridian IPC_SEND, veridian IPC_RECEIVE")]
fn a_message_passes_a_capability_on(vm: Vm) -> Result<()> {
    let pair = pair(&vm)?;
    let (_, token) = endpoint(&pair.probe)?;
    let rights = READ | GRANT;
    let passed = pair.derive(token, rights)?;
    pair.send(b"take this", passed)?;
    pair.send(b"and this", passed)?;
    let [_, _, got, _] = words(&pair.receive(64)?);
    assert!(got != 0 && got != passed && got != token);
    let validate = |token, rights| -> Result<_> {
        let call = pair
            .probe
            .call(veridian::CAPABILITY_VALIDATE, args![token, rights])?;
        Ok(call.result)
    };
    assert_eq!(validate(got, rights)?, Ok(0));
    assert_eq!(validate(got, WRITE)?, Err("PermissionDenied"));
    // Revoked on its way, and where it has arrived.
    pair.revoke(token)?;
    assert_eq!(validate(got, 0)?, Err("InvalidCapability"));
    let late = pair.receive(64)?;
    assert_eq!((late.result, words(&late)[2]), (Ok(0), 0));
    assert_eq!(late.buffers[0][..8], *b"and this");
    Ok(())
}

#[mayfly::test(covers = "veridian CAPABILITY_CREATE, veridian IPC_SEND")]
fn a_channel_token_only_sends_for_its_side(vm: Vm) -> Result<()> {
    let pair = pair(&vm)?;
    let [(one, first), (_, second)] = pair.ends;
    let create = |arguments| pair.probe.call(veridian::CAPABILITY_CREATE, arguments);
    let made = create(args![CHANNEL, pair.channel, WRITE | GRANT, first])?;
    let token = made.result.expect("the endpoint is one side");
    let sent = pair.probe.call(
        veridian::IPC_SEND,
        args![pair.channel, input("hi"), 2, 0, token],
    )?;
    assert_eq!(sent.result, Ok(0));
    assert_eq!(pair.receive(2)?.buffers[0], b"hi");
    let other = endpoint(&pair.probe)?.1;
    let refused = |arguments, error| -> Result<()> {
        assert_eq!(create(arguments)?.result, Err(error));
        Ok(())
    };
    refused(
        args![CHANNEL, pair.channel, READ, first],
        "PermissionDenied",
    )?;
    refused(args![CHANNEL, pair.channel + 99, WRITE, first], "NotFound")?;
    refused(
        args![CHANNEL, pair.channel, WRITE, other],
        "PermissionDenied",
    )?;
    refused(args![ENDPOINT, one, READ, second], "NotFound")?;
    // It dies with the token that it was made from.
    let parent = pair.derive(first, EXECUTE | REVOKE)?;
    let made = create(args![CHANNEL, pair.channel, WRITE, parent])?;
    let token = made.result.expect("a derived token makes one too");
    pair.revoke(parent)?;
    let sent = pair.probe.call(
        veridian::IPC_SEND,
        args![pair.channel, input("hi"), 2, 0, token],
    )?;
    assert_eq!(sent.result, Err("InvalidCapability"));
    Ok(())
}

#[mayfly::test(
    covers = "veridian IPC_CALL, veridian IPC_REPLY, veridian IPC_RECEIVE Timeout, veridian IPC_CALL BufferTooSmall, veridian IPC_CALL Timeout, veridian IPC_REPLY NotFound, veridian IPC_REPLY InvalidCapability"
)]
fn a_server_thread_answers_calls(vm: Vm) -> Result<()> {
    let out = vm.spawn("veridian-exchange").run()?;
    assert_eq!(out.stdout_text(), "exchange ok\n", "{:?}", out.cause);
    Ok(())
}
