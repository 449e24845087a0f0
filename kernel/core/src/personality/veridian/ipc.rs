//! The IPC calls of VeridianOS (specs/veridian.md §5, §6).
//!
//! Checks come in the order of §2.5: lengths, tokens, rights, pointers, then
//! what the objects say.

mod minted;
mod short;

use mayfly_abi::table::{Duration, Handle, Input, Output, Store};
use mayfly_abi::veridian::{EndpointCreateResult, IpcCallResult, IpcReceiveResult};

pub(super) use minted::{one_side, own_endpoint, own_side};
pub(super) use short::{call_at_once, receive_at_once, reply_at_once};

use super::error::answer;
use crate::error::KernelError;
use crate::kernel::{Flow, Kernel, Parcel, Receipt, Running};
use crate::object::capability::{Object, Rights};
use crate::object::ipc::{Arrival, ChannelKey, EndpointKey, MESSAGE_MAX, Wanted};
use crate::object::memory::Touch;
use crate::port::Port;
use crate::user;

// What [`Arrival`] has, in its order.
const _: () = assert!(IpcReceiveResult::SIZE == 32 && IpcCallResult::SIZE == 16);

/// Longest buffer of a call (§2.7).
const BUFFER_MAX: u64 = 256 << 20;
/// Rights of whoever makes an endpoint.
pub(super) const OWN: Rights = Rights::READ
    .and(Rights::WRITE)
    .and(Rights::EXECUTE)
    .and(Rights::GRANT)
    .and(Rights::REVOKE);

/// IPC_ENDPOINT_CREATE.
#[inline(never)]
pub(crate) fn endpoint_create<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Store(result): Store,
) -> Flow {
    answer(endpoint_create_checked(kernel, running, result))
}

fn endpoint_create_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    result: u64,
) -> Result<u64, KernelError> {
    check_result(kernel, running, result, EndpointCreateResult::SIZE)?;
    let process = &mut running.process;
    let key = kernel.add_endpoint(process)?;
    let object = Object::IpcEndpoint { key };
    let capability = match kernel.grant(process, object, OWN, None) {
        Ok(token) => token,
        Err(error) => {
            kernel.close_endpoint(key);
            return Err(error);
        }
    };
    let made = EndpointCreateResult {
        endpoint_id: key.number(),
        capability,
    };
    user::write(
        &mut kernel.machine,
        &mut process.space,
        result,
        &made.to_bytes(),
    )?;
    Ok(0)
}

/// IPC_CHANNEL_CREATE.
#[inline(never)]
pub(crate) fn channel_create<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    endpoints: [Handle; 2],
    capabilities: [Handle; 2],
) -> Flow {
    answer(channel_create_checked(
        kernel,
        running,
        endpoints,
        capabilities,
    ))
}

fn channel_create_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    [Handle(one), Handle(other)]: [Handle; 2],
    [Handle(first), Handle(second)]: [Handle; 2],
) -> Result<u64, KernelError> {
    if one == other {
        return Err(KernelError::InvalidArgument);
    }
    let (one, first) = named(running, one, first)?;
    let (other, second) = named(running, other, second)?;
    if !first.contain(Rights::EXECUTE) || !second.contain(Rights::EXECUTE) {
        return Err(KernelError::NotPermitted);
    }
    Ok(kernel.add_channel([one, other])?.number())
}

/// The endpoint that a token is for, which must have that id, and its rights.
#[inline(always)]
fn named<P: Port>(
    running: &Running<P>,
    id: u64,
    token: u64,
) -> Result<(EndpointKey, Rights), KernelError> {
    let capability = running.process.capabilities.find(token)?;
    match capability.object {
        Object::IpcEndpoint { key } if key.number() == id => Ok((key, capability.rights)),
        _ => Err(KernelError::BadHandle),
    }
}

/// IPC_SEND.
#[inline(never)]
pub(crate) fn send<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Handle(channel): Handle,
    (Input(address), length): (Input, u64),
    Handle(capability): Handle,
    Handle(token): Handle,
) -> Flow {
    let parcel = Parcel {
        address,
        length,
        capability,
    };
    let sent = addressee(kernel, running, channel, token, &parcel)
        .and_then(|to| kernel.send(running, to, &parcel));
    answer(sent.map(|()| 0))
}

/// The endpoint that a message goes to; `None` when the channel is closed.
#[inline(always)]
fn addressee<P: Port>(
    kernel: &Kernel<P>,
    running: &Running<P>,
    channel: u64,
    token: u64,
    parcel: &Parcel,
) -> Result<Option<EndpointKey>, KernelError> {
    if parcel.length > MESSAGE_MAX {
        return Err(KernelError::InvalidArgument);
    }
    let tokens = &running.process.capabilities;
    let speaker = tokens.find(token)?;
    let named = ChannelKey::from_number(channel);
    let channel = named.and_then(|key| kernel.ipc.channel(key));
    let to = match (&speaker.object, channel) {
        (Object::IpcChannel { key, .. }, _) if Some(*key) != named => {
            return Err(KernelError::BadHandle);
        }
        (Object::IpcEndpoint { .. } | Object::IpcChannel { .. }, None) => None,
        (
            Object::IpcEndpoint { key: side, .. } | Object::IpcChannel { side, .. },
            Some(channel),
        ) => Some(channel.opposite(*side).ok_or(KernelError::BadHandle)?),
        _ => return Err(KernelError::BadHandle),
    };
    let passed = match parcel.capability {
        0 => None,
        token => Some(tokens.find(token)?),
    };
    speaker.need(Rights::WRITE)?;
    if let Some(passed) = passed {
        passed.need(Rights::GRANT)?;
    }
    Ok(to)
}

/// IPC_RECEIVE.
#[inline(never)]
pub(crate) fn receive<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Handle(endpoint): Handle,
    (Output(buffer), room): (Output, u64),
    Duration(timeout): Duration,
    Handle(token): Handle,
    Store(result): Store,
) -> Flow {
    let wanted = Wanted {
        buffer,
        room,
        result,
        token,
        timeout,
    };
    match receive_checked(kernel, running, endpoint, &wanted) {
        Ok(Receipt::Parked(flow)) => flow,
        Ok(Receipt::Come(outcome, arrival)) => {
            answer(tell(kernel, running, result, outcome, &arrival))
        }
        Err(error) => answer(Err(error)),
    }
}

fn receive_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    endpoint: u64,
    wanted: &Wanted,
) -> Result<Receipt, KernelError> {
    if wanted.room > BUFFER_MAX {
        return Err(KernelError::InvalidArgument);
    }
    let (from, rights) = named(running, endpoint, wanted.token)?;
    if !rights.contain(Rights::READ) {
        return Err(KernelError::NotPermitted);
    }
    check_wanted(kernel, running, wanted, IpcReceiveResult::SIZE)?;
    kernel.receive(running, from, wanted)
}

/// What IPC_CALL has beside its message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallWords {
    pub(crate) channel: Handle,
    pub(crate) response: (Output, u64),
    pub(crate) timeout: Duration,
    pub(crate) channel_capability: Handle,
    pub(crate) result: Store,
}

/// IPC_CALL.
#[inline(never)]
pub(crate) fn call<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    (Input(address), length): (Input, u64),
    Handle(capability): Handle,
    words: CallWords,
) -> Flow {
    let parcel = Parcel {
        address,
        length,
        capability,
    };
    let wanted = Wanted {
        buffer: words.response.0.0,
        room: words.response.1,
        result: words.result.0,
        token: words.channel_capability.0,
        timeout: words.timeout.0,
    };
    let flow = call_checked(kernel, running, words.channel.0, &parcel, &wanted);
    flow.unwrap_or_else(|error| answer(Err(error)))
}

fn call_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    channel: u64,
    parcel: &Parcel,
    wanted: &Wanted,
) -> Result<Flow, KernelError> {
    if wanted.room > BUFFER_MAX {
        return Err(KernelError::InvalidArgument);
    }
    let to = addressee(kernel, running, channel, wanted.token, parcel)?;
    check_wanted(kernel, running, wanted, IpcCallResult::SIZE)?;
    kernel.call(running, to, parcel, wanted)
}

/// IPC_REPLY.
#[inline(never)]
pub(crate) fn reply<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    Handle(token): Handle,
    (Input(address), length): (Input, u64),
    Handle(capability): Handle,
) -> Flow {
    let parcel = Parcel {
        address,
        length,
        capability,
    };
    answer(reply_checked(kernel, running, token, &parcel))
}

fn reply_checked<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    token: u64,
    parcel: &Parcel,
) -> Result<u64, KernelError> {
    if parcel.length > MESSAGE_MAX {
        return Err(KernelError::InvalidArgument);
    }
    if parcel.capability != 0 {
        running.process.owed(token)?;
        let passed = running.process.capabilities.find(parcel.capability)?;
        passed.need(Rights::GRANT)?;
    }
    kernel.reply(running, token, parcel)?;
    Ok(0)
}

/// A receive or a call is over that had to wait.
#[inline(always)]
pub(crate) fn arrived<P: Port>(kernel: &mut Kernel<P>, running: &mut Running<P>) -> Flow {
    match kernel.arrived(running) {
        Ok(()) => Flow::Return(0),
        Err(error) => answer(Err(error)),
    }
}

/// Writes what came to where the call said.
fn tell<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    address: u64,
    outcome: Result<(), KernelError>,
    arrival: &Arrival,
) -> Result<u64, KernelError> {
    if matches!(outcome, Ok(()) | Err(KernelError::TooSmall)) {
        let (machine, space) = (&mut kernel.machine, &mut running.process.space);
        let written = user::write_words(machine, space, address, arrival.of_message());
        if let Err(error) = written {
            kernel.turn_away(running, arrival);
            return Err(error);
        }
    }
    outcome.map(|()| 0)
}

/// Checks where what comes is to go, before anything happens (§2.3).
#[inline(always)]
fn check_wanted<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    wanted: &Wanted,
    size: usize,
) -> Result<(), KernelError> {
    check_result(kernel, running, wanted.result, size)?;
    let (machine, space) = (&mut kernel.machine, &mut running.process.space);
    if wanted.room > MESSAGE_MAX {
        user::check_range(wanted.buffer, wanted.room)?;
    }
    let most = wanted.room.min(MESSAGE_MAX);
    user::check(machine, space, wanted.buffer, most, Touch::Write)
}

#[inline(always)]
fn check_result<P: Port>(
    kernel: &mut Kernel<P>,
    running: &mut Running<P>,
    address: u64,
    size: usize,
) -> Result<(), KernelError> {
    if !address.is_multiple_of(8) {
        return Err(KernelError::BadAddress);
    }
    let (machine, space) = (&mut kernel.machine, &mut running.process.space);
    user::check(machine, space, address, size as u64, Touch::Write)
}
