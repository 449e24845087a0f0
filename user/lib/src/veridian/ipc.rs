//! IPC calls of VeridianOS for programs (`specs/veridian.md` §5, §6).
//!
//! Neighbours: `../veridian.rs` has the calls that every program makes.

use core::ptr;

use mayfly_abi::veridian::{
    EndpointCreateResult, IpcCallResult, IpcReceiveResult, SyscallError, nr,
};

use super::outcome;
use crate::stub;

/// Longest message, in bytes.
pub const MESSAGE_MAX: usize = 4096;

/// Makes a call that writes to no memory but such as this module lends it.
fn call(number: u64, arguments: [u64; 6]) -> Result<u64, Option<SyscallError>> {
    // SAFETY: the callers in this module only make such calls.
    outcome(unsafe { stub::number_in_rax(number, arguments) })
}

fn address<T>(place: &mut T) -> u64 {
    ptr::from_mut(place).expose_provenance() as u64
}

/// Makes an endpoint; says its id and a token for it.
///
/// # Errors
/// Those of `SYS_IPC_ENDPOINT_CREATE` (§5).
pub fn endpoint_create() -> Result<EndpointCreateResult, Option<SyscallError>> {
    let mut made = EndpointCreateResult::default();
    call(nr::IPC_ENDPOINT_CREATE, [address(&mut made), 0, 0, 0, 0, 0])?;
    Ok(made)
}

/// Connects two endpoints, each with a token for it; says the channel's id.
///
/// # Errors
/// Those of `SYS_IPC_CHANNEL_CREATE` (§5).
pub fn channel_create(endpoints: [u64; 2], tokens: [u64; 2]) -> Result<u64, Option<SyscallError>> {
    let ([one, other], [first, second]) = (endpoints, tokens);
    call(nr::IPC_CHANNEL_CREATE, [one, other, first, second, 0, 0])
}

/// Sends a message, and passes a capability on unless that is 0.
///
/// # Errors
/// Those of `SYS_IPC_SEND` (§5).
pub fn send(
    channel: u64,
    message: &[u8],
    capability: u64,
    token: u64,
) -> Result<u64, Option<SyscallError>> {
    let bytes = message.as_ptr().expose_provenance() as u64;
    let length = message.len() as u64;
    call(nr::IPC_SEND, [channel, bytes, length, capability, token, 0])
}

/// Takes a message; waits `timeout` nanoseconds for one. `told` says what came,
/// and how long the message is for which `buffer` is too small.
///
/// # Errors
/// Those of `SYS_IPC_RECEIVE` (§5).
pub fn receive(
    endpoint: u64,
    buffer: &mut [u8],
    timeout: u64,
    token: u64,
    told: &mut IpcReceiveResult,
) -> Result<u64, Option<SyscallError>> {
    let bytes = buffer.as_mut_ptr().expose_provenance() as u64;
    let (room, told) = (buffer.len() as u64, address(told));
    call(
        nr::IPC_RECEIVE,
        [endpoint, bytes, room, timeout, token, told],
    )
}

/// A request: what is sent where, and how long its reply is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Id of the channel.
    pub channel: u64,
    /// Token that may send there.
    pub token: u64,
    /// The message.
    pub message: &'a [u8],
    /// Token of the capability to pass on; 0 is none.
    pub capability: u64,
    /// Nanoseconds to wait.
    pub timeout: u64,
}

/// Sends a request and waits for its reply.
///
/// # Errors
/// Those of `SYS_IPC_CALL` (§5).
pub fn request(
    request: &Request<'_>,
    response: &mut [u8],
    told: &mut IpcCallResult,
) -> Result<u64, Option<SyscallError>> {
    let (message, room) = (request.message, response.len() as u64);
    let response = response.as_mut_ptr().expose_provenance() as u64;
    let mut extension = [
        request.timeout,
        request.capability,
        request.token,
        address(told),
    ];
    let words = [
        request.channel,
        message.as_ptr().expose_provenance() as u64,
        message.len() as u64,
        response,
        room,
        address(&mut extension),
    ];
    call(nr::IPC_CALL, words)
}

/// Answers a request; the token is used up.
///
/// # Errors
/// Those of `SYS_IPC_REPLY` (§5).
pub fn reply(token: u64, response: &[u8], capability: u64) -> Result<u64, Option<SyscallError>> {
    let bytes = response.as_ptr().expose_provenance() as u64;
    let length = response.len() as u64;
    call(nr::IPC_REPLY, [token, bytes, length, capability, 0, 0])
}
