//! What CAPABILITY_CREATE names of endpoints and channels.
//!
//! The rules are those of specs/veridian.md §4.6.

use crate::error::KernelError;
use crate::kernel::{Kernel, Running};
use crate::object::capability::Object;
use crate::object::ipc::{ChannelKey, EndpointKey};
use crate::port::Port;

/// An endpoint that the running process made.
///
/// # Errors
/// [`KernelError::NotFound`], [`KernelError::NotPermitted`] for another's.
pub(in super::super) fn own_endpoint<P: Port>(
    kernel: &mut Kernel<P>,
    running: &Running<P>,
    id: u64,
) -> Result<Object, KernelError> {
    let key = EndpointKey::from_number(id).ok_or(KernelError::NotFound)?;
    let endpoint = kernel.ipc.endpoint(key).ok_or(KernelError::NotFound)?;
    if endpoint.owner != running.process.key {
        return Err(KernelError::NotPermitted);
    }
    Ok(Object::IpcEndpoint { key })
}

/// The running process's side of a channel; the first one if both are its own.
///
/// # Errors
/// As [`own_endpoint`].
pub(in super::super) fn own_side<P: Port>(
    kernel: &mut Kernel<P>,
    running: &Running<P>,
    id: u64,
) -> Result<Object, KernelError> {
    let key = ChannelKey::from_number(id).ok_or(KernelError::NotFound)?;
    let channel = *kernel.ipc.channel(key).ok_or(KernelError::NotFound)?;
    let mut own = channel.sides.into_iter().filter(|side| {
        let endpoint = kernel.ipc.endpoint(*side);
        endpoint.is_some_and(|endpoint| endpoint.owner == running.process.key)
    });
    let side = own.next().ok_or(KernelError::NotPermitted)?;
    Ok(Object::IpcChannel { key, side })
}

/// The side of a channel that `side` is.
///
/// # Errors
/// [`KernelError::NotFound`], [`KernelError::NotPermitted`] when it is none.
pub(in super::super) fn one_side<P: Port>(
    kernel: &Kernel<P>,
    id: u64,
    side: EndpointKey,
) -> Result<Object, KernelError> {
    let key = ChannelKey::from_number(id).ok_or(KernelError::NotFound)?;
    let channel = kernel.ipc.channel(key).ok_or(KernelError::NotFound)?;
    channel.opposite(side).ok_or(KernelError::NotPermitted)?;
    Ok(Object::IpcChannel { key, side })
}
