//! IPC calls of VeridianOS, made by a probe (`specs/veridian.md` §5, §6).
//!
//! Purpose: endpoints, channels and messages as one process sees them: it has
//! both ends of its channels. Neighbours: `passing.rs` has what
//! goes between threads and processes.

use mayfly::prelude::*;

use crate::pairs::{EXECUTE, GRANT, READ, REVOKE, WRITE, endpoint, pair, words};

/// Addresses that no call may accept.
const BAD: [u64; 4] = [8, 0x1234_5678_9000, 0x8000_0000_0000, 0xffff_8000_0000_0000];

#[mayfly::test(
    covers = "veridian IPC_ENDPOINT_CREATE, veridian IPC_ENDPOINT_CREATE InvalidAddress"
)]
fn an_endpoint_has_an_id_and_a_token(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let [(one, first), (other, second)] = [endpoint(&probe)?, endpoint(&probe)?];
    assert!(one != other && first != second && one > 0 && other > 0);
    assert_eq!((one | other | first | second) >> 63, 0);
    let all = READ | WRITE | EXECUTE | GRANT | REVOKE;
    let valid = probe.call(veridian::CAPABILITY_VALIDATE, args![first, all])?;
    assert_eq!(valid.result, Ok(0));
    for address in BAD.into_iter().chain([0, BUFFER + 4]) {
        let call = probe.call(veridian::IPC_ENDPOINT_CREATE, args![address])?;
        assert_eq!(call.result, Err("InvalidAddress"), "{address:#x}");
    }
    Ok(())
}

#[mayfly::test(covers = "veridian IPC_ENDPOINT_CREATE ResourceExhausted")]
fn a_process_has_only_so_many_endpoints(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let mut made = Vec::new();
    let refused = loop {
        let call = probe.call(veridian::IPC_ENDPOINT_CREATE, args![out(16)])?;
        match call.result {
            Ok(_) => made.push(call.word(0, 1).expect("a token")),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, "ResourceExhausted");
    assert!((250..=256).contains(&made.len()), "{}", made.len());
    // One that is gone makes room for another.
    let revoked = probe.call(veridian::CAPABILITY_REVOKE, args![made[0]])?;
    assert_eq!(revoked.result, Ok(0));
    endpoint(&probe)?;
    Ok(())
}

#[mayfly::test(
    covers = "veridian IPC_CHANNEL_CREATE, veridian IPC_CHANNEL_CREATE InvalidParameter, veridian IPC_CHANNEL_CREATE InvalidCapability, veridian IPC_CHANNEL_CREATE PermissionDenied, veridian IPC_CHANNEL_CREATE AlreadyExists"
)]
fn a_channel_needs_the_right_tokens(vm: Vm) -> Result<()> {
    let pair = pair(&vm)?;
    let create = |arguments| pair.probe.call(veridian::IPC_CHANNEL_CREATE, arguments);
    let [(one, first), (other, second)] = pair.ends;
    let refused = |arguments, error| -> Result<()> {
        assert_eq!(create(arguments)?.result, Err(error));
        Ok(())
    };
    refused(args![one, other, first, second], "AlreadyExists")?;
    refused(args![other, one, second, first], "AlreadyExists")?;
    refused(args![one, one, first, first], "InvalidParameter")?;
    refused(args![one, other, second, first], "InvalidCapability")?;
    refused(args![one, other, first, 0], "InvalidCapability")?;
    refused(args![one, other + 99, first, second], "InvalidCapability")?;
    let (third, token) = endpoint(&pair.probe)?;
    let weak = pair.derive(token, READ | WRITE)?;
    refused(args![one, third, first, weak], "PermissionDenied")?;
    assert!(create(args![one, third, first, token])?.result.is_ok());
    Ok(())
}

#[mayfly::test(
    covers = "veridian IPC_SEND, veridian IPC_RECEIVE, veridian IPC_SEND InvalidParameter"
)]
fn messages_of_every_size_arrive(vm: Vm) -> Result<()> {
    let pair = pair(&vm)?;
    for length in [0_usize, 1, 63, 64, 65, 4095, 4096] {
        let message: Vec<u8> = (0..length)
            .map(|at| ((at * 7 + length) % 251).to_le_bytes()[0])
            .collect();
        assert_eq!(pair.send(&message, 0)?.result, Ok(0), "{length}");
        let got = pair.receive(4096)?;
        assert_eq!(got.result, Ok(0), "{length}");
        let [sender, told, capability, reply] = words(&got);
        assert!(sender > 0);
        assert_eq!((told, capability, reply), (length as u64, 0, 0));
        assert_eq!(got.buffers[0][..length], message);
    }
    let refused = pair.send(&[0; 4097], 0)?;
    assert_eq!(refused.result, Err("InvalidParameter"));
    assert_eq!(pair.receive(4096)?.result, Err("Timeout"));
    Ok(())
}

#[mayfly::test(covers = "veridian IPC_SEND Busy, veridian IPC_RECEIVE Timeout")]
fn a_queue_holds_64_in_their_order(vm: Vm) -> Result<()> {
    let pair = pair(&vm)?;
    for number in 0..64_u8 {
        let length = if number % 2 == 0 { 8 } else { 100 };
        assert_eq!(pair.send(&vec![number; length], 0)?.result, Ok(0));
    }
    assert_eq!(pair.send(b"one more", 0)?.result, Err("Busy"));
    for number in 0..64_u8 {
        let got = pair.receive(128)?;
        assert_eq!((got.result, got.buffers[0][0]), (Ok(0), number));
    }
    assert_eq!(pair.receive(128)?.result, Err("Timeout"));
    assert_eq!(pair.send(b"one more", 0)?.result, Ok(0));
    Ok(())
}

#[mayfly::test(covers = "veridian IPC_RECEIVE BufferTooSmall")]
fn a_buffer_that_is_too_small_keeps_the_message(vm: Vm) -> Result<()> {
    let pair = pair(&vm)?;
    pair.send(b"twelve bytes", 0)?;
    pair.send(b"next", 0)?;
    for _ in 0..2 {
        let refused = pair.receive(11)?;
        assert_eq!(refused.result, Err("BufferTooSmall"));
        let [sender, needed, capability, reply] = words(&refused);
        assert!(sender > 0);
        assert_eq!((needed, capability, reply), (12, 0, 0));
        assert_eq!(refused.buffers[0], [0; 11]);
    }
    assert_eq!(pair.receive(12)?.buffers[0], b"twelve bytes");
    assert_eq!(pair.receive(4)?.buffers[0], b"next");
    Ok(())
}

#[mayfly::test(
    covers = "veridian IPC_SEND InvalidCapability, veridian IPC_SEND PermissionDenied, veridian IPC_SEND NotFound, veridian IPC_SEND InvalidAddress"
)]
fn a_send_that_cannot_be_says_why(vm: Vm) -> Result<()> {
    let pair = pair(&vm)?;
    let [(_, token), (_, peer)] = pair.ends;
    let refused = |arguments, error| -> Result<()> {
        let call = pair.probe.call(veridian::IPC_SEND, arguments)?;
        assert_eq!(call.result, Err(error));
        Ok(())
    };
    let channel = pair.channel;
    refused(args![channel, input("x"), 1, 0, 0], "InvalidCapability")?;
    refused(
        args![channel, input("x"), 1, 99, token],
        "InvalidCapability",
    )?;
    let (_, stranger) = endpoint(&pair.probe)?;
    refused(
        args![channel, input("x"), 1, 0, stranger],
        "InvalidCapability",
    )?;
    let silent = pair.derive(token, READ | EXECUTE)?;
    refused(args![channel, input("x"), 1, 0, silent], "PermissionDenied")?;
    let kept = pair.derive(peer, READ | WRITE)?;
    refused(
        args![channel, input("x"), 1, kept, token],
        "PermissionDenied",
    )?;
    refused(args![channel + 99, input("x"), 1, 0, token], "NotFound")?;
    for address in BAD {
        for length in [1, 64, 65, 4096] {
            refused(args![channel, address, length, 0, token], "InvalidAddress")?;
            // Pointers are looked at before the state of the channel (§2.5).
            refused(
                args![channel + 99, address, length, 0, token],
                "InvalidAddress",
            )?;
        }
    }
    assert_eq!(pair.receive(64)?.result, Err("Timeout"), "nothing was sent");
    let empty = args![channel, 0xffff_8000_0000_0000_u64, 0, 0, token];
    let call = pair.probe.call(veridian::IPC_SEND, empty)?;
    assert_eq!(call.result, Ok(0), "an empty buffer has no address");
    Ok(())
}

#[mayfly::test(
    covers = "veridian IPC_RECEIVE InvalidCapability, veridian IPC_RECEIVE PermissionDenied, veridian IPC_RECEIVE InvalidParameter, veridian IPC_RECEIVE InvalidAddress"
)]
fn a_receive_that_cannot_be_loses_nothing(vm: Vm) -> Result<()> {
    let pair = pair(&vm)?;
    let (endpoint, token) = pair.ends[1];
    let (other, _) = pair.ends[0];
    pair.send(b"kept", 0)?;
    let refused = |arguments, error| -> Result<()> {
        let call = pair.probe.call(veridian::IPC_RECEIVE, arguments)?;
        assert_eq!(call.result, Err(error));
        Ok(())
    };
    refused(
        args![endpoint, out(8), 8, 0, 0, out(32)],
        "InvalidCapability",
    )?;
    refused(
        args![other, out(8), 8, 0, token, out(32)],
        "InvalidCapability",
    )?;
    let deaf = pair.derive(token, WRITE)?;
    refused(
        args![endpoint, out(8), 8, 0, deaf, out(32)],
        "PermissionDenied",
    )?;
    let long = (256_u64 << 20) + 1;
    refused(
        args![endpoint, out(8), long, 0, token, out(32)],
        "InvalidParameter",
    )?;
    for address in BAD {
        refused(
            args![endpoint, address, 8, 0, token, out(32)],
            "InvalidAddress",
        )?;
        refused(
            args![endpoint, out(8), 8, 0, token, address],
            "InvalidAddress",
        )?;
    }
    refused(args![endpoint, out(8), 8, 0, token, 0], "InvalidAddress")?;
    assert_eq!(pair.receive(4)?.buffers[0], b"kept");
    Ok(())
}

#[mayfly::test(
    covers = "veridian IPC_CALL Timeout, veridian IPC_CALL NotFound, veridian IPC_CALL InvalidParameter, veridian IPC_CALL InvalidCapability, veridian IPC_CALL InvalidAddress"
)]
fn a_call_that_cannot_be_says_why(vm: Vm) -> Result<()> {
    let pair = pair(&vm)?;
    let (channel, token) = (pair.channel, pair.ends[0].1);
    let call = |channel, length, timeout, capability, token, told| {
        let arguments = args![
            channel,
            input("request"),
            length,
            out(64),
            64,
            timeout,
            capability,
            token,
            told
        ];
        pair.probe.call(veridian::IPC_CALL, arguments)
    };
    let told = 0x10_0001_0800_u64;
    for timeout in [0, 1_000_000] {
        assert_eq!(
            call(channel, 7, timeout, 0, token, told)?.result,
            Err("Timeout")
        );
        assert_eq!(pair.receive(64)?.result, Err("Timeout"), "it was withdrawn");
    }
    let refused = |call: CallResult, error| assert_eq!(call.result, Err(error));
    refused(call(channel, 4097, 0, 0, token, told)?, "InvalidParameter");
    refused(call(channel, 7, 0, 0, 0, told)?, "InvalidCapability");
    refused(call(channel, 7, 0, 99, token, told)?, "InvalidCapability");
    refused(call(channel, 7, 0, 0, token, 4)?, "InvalidAddress");
    refused(call(channel, 7, 0, 0, token, 0)?, "InvalidAddress");
    refused(call(channel + 99, 7, 0, 0, token, told)?, "NotFound");
    Ok(())
}

#[mayfly::test(
    covers = "veridian IPC_REPLY InvalidCapability, veridian IPC_REPLY InvalidParameter"
)]
fn a_reply_needs_its_token(vm: Vm) -> Result<()> {
    let pair = pair(&vm)?;
    for token in [0_u64, 1, 1 << 16, u64::MAX, pair.ends[0].1] {
        let call = pair
            .probe
            .call(veridian::IPC_REPLY, args![token, input("x"), 1, 0])?;
        assert_eq!(call.result, Err("InvalidCapability"), "{token:#x}");
    }
    let call = pair
        .probe
        .call(veridian::IPC_REPLY, args![0, input("x"), 4097, 0])?;
    assert_eq!(call.result, Err("InvalidParameter"));
    Ok(())
}
