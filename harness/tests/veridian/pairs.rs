//! A probe with both ends of a channel, for the tests of IPC.
//!
//! Neighbours: `ipc.rs` and `passing.rs` use it.

use mayfly::prelude::*;

/// Rights (§4.3).
pub(crate) const READ: u64 = 1;
pub(crate) const WRITE: u64 = 2;
pub(crate) const EXECUTE: u64 = 4;
pub(crate) const GRANT: u64 = 8;
pub(crate) const REVOKE: u64 = 16;
/// Object types (§4.2).
pub(crate) const ENDPOINT: u64 = 3;
pub(crate) const CHANNEL: u64 = 6;
/// A probe with two endpoints and a channel between them.
pub(crate) struct Pair<'vm> {
    pub(crate) probe: Probe<'vm>,
    /// Id and token of each endpoint.
    pub(crate) ends: [(u64, u64); 2],
    pub(crate) channel: u64,
}

pub(crate) fn endpoint(probe: &Probe<'_>) -> Result<(u64, u64)> {
    let made = probe.call(veridian::IPC_ENDPOINT_CREATE, args![out(16)])?;
    assert_eq!(made.result, Ok(0));
    let words = made.word(0, 0).zip(made.word(0, 1));
    Ok(words.expect("two words were asked for"))
}

pub(crate) fn pair(vm: &Vm) -> Result<Pair<'_>> {
    let probe = vm.probe(Abi::Veridian)?;
    let ends = [endpoint(&probe)?, endpoint(&probe)?];
    let [(one, first), (other, second)] = ends;
    let made = probe.call(
        veridian::IPC_CHANNEL_CREATE,
        args![one, other, first, second],
    )?;
    let channel = made.result.expect("the endpoints are not connected");
    Ok(Pair {
        probe,
        ends,
        channel,
    })
}

impl Pair<'_> {
    /// SEND for the first side.
    pub(crate) fn send(&self, message: &[u8], capability: u64) -> Result<CallResult> {
        let token = self.ends[0].1;
        let arguments = args![
            self.channel,
            input(message),
            message.len() as u64,
            capability,
            token
        ];
        self.probe.call(veridian::IPC_SEND, arguments)
    }

    /// RECEIVE at the second side, without waiting.
    pub(crate) fn receive(&self, room: usize) -> Result<CallResult> {
        let (endpoint, token) = self.ends[1];
        let arguments = args![endpoint, out(room), room as u64, 0, token, out(32)];
        self.probe.call(veridian::IPC_RECEIVE, arguments)
    }

    pub(crate) fn derive(&self, token: u64, rights: u64) -> Result<u64> {
        let made = self
            .probe
            .call(veridian::CAPABILITY_DERIVE, args![token, rights])?;
        Ok(made.result.expect("the rights are fewer"))
    }

    pub(crate) fn revoke(&self, token: u64) -> Result<()> {
        let revoked = self.probe.call(veridian::CAPABILITY_REVOKE, args![token])?;
        assert_eq!(revoked.result, Ok(0));
        Ok(())
    }
}

pub(crate) fn words(call: &CallResult) -> [u64; 4] {
    [0, 1, 2, 3].map(|word| call.word(1, word).expect("a structure of four words"))
}
