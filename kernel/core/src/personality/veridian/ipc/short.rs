//! The short ways of messages: what most of them are, checked in a few compares.
//!
//! A call without a capability, whose server waits already; a receive without an
//! end that finds nothing queued; a reply to a caller that waits. Each
//! looks at all that it needs before it changes anything, and leaves whatever is
//! otherwise, errors among it, to the general way of `ipc.rs`: what a program
//! sees is the same. Neighbours: `kernel/ipc/short.rs` moves the messages.

use core::hint::cold_path;

use mayfly_abi::convention::Place;
use mayfly_abi::table::Words;
use mayfly_abi::veridian::{Call, nr};

use crate::frame::TrapFrame;
use crate::kernel::{Flow, Kernel, Parcel, Running, Short};
use crate::object::capability::{Object, Rights};
use crate::object::ipc::{ChannelKey, EndpointKey, MESSAGE_MAX, Route, Wanted};
use crate::personality::veridian::serve_number;
use crate::port::{Machine, Port};
use crate::trace::register;

/// The extension block of a call that has none.
const NONE: [u64; 4] = [0; 4];
/// Bits that no user address has.
const NOT_USER: u32 = 47;

/// IPC_CALL.
#[inline(always)]
pub(in super::super) fn call_at_once<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
) -> Short {
    match call(kernel, running) {
        Some(short) => short,
        None => in_full::<P, { nr::IPC_CALL }>(kernel, running),
    }
}

#[inline(always)]
fn call<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>) -> Option<Short> {
    let block = extension_block(kernel, running)?;
    let Call::IpcCall {
        channel,
        request,
        request_len,
        response,
        response_len,
        timeout,
        capability,
        channel_capability,
        result,
    } = decode(running, nr::IPC_CALL, &block)?
    else {
        return None;
    };
    let parcel = Parcel {
        address: request.0,
        length: request_len,
        capability: capability.0,
    };
    let wanted = Wanted {
        buffer: response.0,
        room: response_len,
        result: result.0,
        token: channel_capability.0,
        timeout: timeout.0,
    };
    let addresses = request.0 | wanted.buffer | wanted.result;
    if oddities(capability.0, wanted.timeout, wanted.result, addresses) != 0 {
        cold_path();
        return None;
    }
    // A reply has room for one byte at least.
    if parcel.length > MESSAGE_MAX || wanted.room.wrapping_sub(1) >= MESSAGE_MAX {
        cold_path();
        return None;
    }
    let to = addressee(kernel, running, channel.0, wanted.token)?;
    kernel.call_at_once(running, to, &parcel, &wanted)
}

/// IPC_RECEIVE.
#[inline(always)]
pub(in super::super) fn receive_at_once<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
) -> Short {
    match receive(kernel, running) {
        Some(short) => short,
        None => in_full::<P, { nr::IPC_RECEIVE }>(kernel, running),
    }
}

#[inline(always)]
fn receive<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>) -> Option<Short> {
    let Call::IpcReceive {
        endpoint,
        buffer,
        buffer_len,
        timeout,
        endpoint_capability,
        result,
    } = decode(running, nr::IPC_RECEIVE, &NONE)?
    else {
        return None;
    };
    let wanted = Wanted {
        buffer: buffer.0,
        room: buffer_len,
        result: result.0,
        token: endpoint_capability.0,
        timeout: timeout.0,
    };
    if oddities(
        0,
        wanted.timeout,
        wanted.result,
        wanted.buffer | wanted.result,
    ) != 0
    {
        cold_path();
        return None;
    }
    if wanted.room.wrapping_sub(1) >= MESSAGE_MAX {
        cold_path();
        return None;
    }
    let from = source(kernel, running, endpoint.0, wanted.token)?;
    kernel.receive_at_once(running, from, &wanted)
}

/// IPC_REPLY.
#[inline(always)]
pub(in super::super) fn reply_at_once<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
) -> Short {
    match reply(kernel, running) {
        Some(()) => {
            P::Machine::registers_mut(&mut running.context).rax = 0;
            Short::Over
        }
        None => in_full::<P, { nr::IPC_REPLY }>(kernel, running),
    }
}

#[inline(always)]
fn reply<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>) -> Option<()> {
    let Call::IpcReply {
        reply_token,
        response,
        response_len,
        capability,
    } = decode(running, nr::IPC_REPLY, &NONE)?
    else {
        return None;
    };
    let parcel = Parcel {
        address: response.0,
        length: response_len,
        capability: capability.0,
    };
    if oddities(capability.0, u64::MAX, 0, response.0) != 0 {
        cold_path();
        return None;
    }
    if parcel.length > MESSAGE_MAX {
        cold_path();
        return None;
    }
    kernel.reply_at_once(running, reply_token.0, &parcel)
}

/// The words of a call, those of an extension block from `block`.
#[inline(always)]
fn decode<P: Port>(running: &Running<P>, number: u64, block: &[u64; 4]) -> Option<Call> {
    let frame = P::Machine::registers(&running.context);
    Call::decode_from(number, &mut ShortWords { frame, block }).ok()?
}

struct ShortWords<'a> {
    frame: &'a TrapFrame,
    block: &'a [u64; 4],
}

impl Words for ShortWords<'_> {
    type Error = ();
    #[inline(always)]
    fn fetch(&mut self, place: Place) -> Result<u64, ()> {
        match place {
            Place::Register(name) => Ok(register(self.frame, name)),
            Place::Extension(offset) => Ok(self.block[(offset / 8 % 4) as usize]),
            Place::Stack(_) => Err(()),
        }
    }
}

/// The extension block of IPC_CALL (§1.1). Words that cannot be read end in one
/// that is no address.
#[inline(always)]
fn extension_block<P: Port>(kernel: &mut Kernel<P>, running: &Running<P>) -> Option<[u64; 4]> {
    let address = P::Machine::registers(&running.context).r9;
    if !address.is_multiple_of(8) || address >> NOT_USER != 0 {
        return None;
    }
    Some(kernel.machine.read_user_four(address))
}

/// Bits that tell what the short ways do not do: a capability with the message,
/// an end to the waiting, a place for a structure that is not aligned, and
/// addresses that no program has. Together, so that they are one test.
#[inline(always)]
fn oddities(capability: u64, timeout: u64, result: u64, addresses: u64) -> u64 {
    capability | !timeout | (result % 8) | (addresses >> NOT_USER)
}

/// The endpoint that a message for a channel goes to, as it was noted. If that
/// does not hold any more, it is noted again, for the next time.
#[inline(always)]
fn addressee<P: Port>(
    kernel: &Kernel<P>,
    running: &mut Running<P>,
    channel: u64,
    token: u64,
) -> Option<EndpointKey> {
    let gone = kernel.gone(running);
    let own = running.thread.exchange.as_deref()?;
    let to = own.called.find(channel, token, gone);
    if to.is_none() {
        cold_path();
        note_addressee(kernel, running, channel, token);
    }
    to
}

#[inline(never)]
fn note_addressee<P: Port>(
    kernel: &Kernel<P>,
    running: &mut Running<P>,
    channel: u64,
    token: u64,
) -> Option<()> {
    let speaker = running.process.capabilities.find(token).ok()?;
    let named = ChannelKey::from_number(channel)?;
    let side = match speaker.object {
        Object::IpcEndpoint { key } => key,
        Object::IpcChannel { key, side } if key == named => side,
        _ => return None,
    };
    if !speaker.rights.contain(Rights::WRITE) {
        return None;
    }
    let to = kernel.ipc.channel(named)?.opposite(side)?;
    let gone = kernel.gone(running);
    running.thread.exchange.as_deref_mut()?.called = Route::new(channel, token, gone, to);
    Some(())
}

/// The endpoint that a receive is for, as [`addressee`].
#[inline(always)]
fn source<P: Port>(
    kernel: &Kernel<P>,
    running: &mut Running<P>,
    endpoint: u64,
    token: u64,
) -> Option<EndpointKey> {
    let gone = kernel.gone(running);
    let own = running.thread.exchange.as_deref()?;
    let from = own.heard.find(endpoint, token, gone);
    if from.is_none() {
        cold_path();
        note_source(kernel, running, endpoint, token);
    }
    from
}

#[inline(never)]
fn note_source<P: Port>(
    kernel: &Kernel<P>,
    running: &mut Running<P>,
    endpoint: u64,
    token: u64,
) -> Option<()> {
    let capability = running.process.capabilities.find(token).ok()?;
    let from = capability.object.endpoint()?;
    if from.number() != endpoint || !capability.rights.contain(Rights::READ) {
        return None;
    }
    let gone = kernel.gone(running);
    running.thread.exchange.as_deref_mut()?.heard = Route::new(endpoint, token, gone, from);
    Some(())
}

/// A call that the short way leaves to the general one.
#[inline(never)]
fn in_full<P: Port, const NUMBER: u64>(kernel: &mut Kernel<P>, running: &mut Running<P>) -> Short {
    match serve_number(kernel, running, NUMBER) {
        Flow::Return(value) => {
            P::Machine::registers_mut(&mut running.context).rax = value;
            Short::Over
        }
        flow => Short::Flow(flow),
    }
}
