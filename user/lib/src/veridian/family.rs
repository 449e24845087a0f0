//! Children of a VeridianOS program, each with a channel to whoever made it.
//!
//! Purpose: programs that need several processes. A child is another run of the
//! same program. It is granted the console, a token for its creator's default
//! endpoint, and whatever else it is to have; its arguments are a name, what it
//! does, the id of that endpoint, then others. It connects its own default
//! endpoint with that, and says so. Neighbours: `ipc.rs`, `process.rs`.

use mayfly_abi::veridian::{IpcCallResult, IpcReceiveResult, ProcessExitInfo, SyscallError};

use super::ipc::{self, Request};
use super::thread::FOREVER;
use super::{console, granted, image, process, start_info};

type Result<T> = core::result::Result<T, Option<SyscallError>>;

/// Tokens that every child is granted, before others.
pub const GRANTS: usize = 2;
/// Arguments that every child has, before others.
pub const ARGUMENTS: usize = 3;
/// Most of either besides those.
const MORE: usize = 8;

/// How long a child is waited for before it is asked after.
const SECOND: u64 = 1_000_000_000;

/// One side of a channel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link {
    /// Id of the channel.
    pub channel: u64,
    /// Id of this side's endpoint.
    pub endpoint: u64,
    /// Token for that.
    pub token: u64,
}

impl Link {
    /// Sends a message, and passes a capability on unless that is 0.
    ///
    /// # Errors
    /// Those of `SYS_IPC_SEND`.
    pub fn send(&self, message: &[u8], capability: u64) -> Result<()> {
        ipc::send(self.channel, message, capability, self.token).map(|_| ())
    }

    /// Sends a number.
    ///
    /// # Errors
    /// Those of `SYS_IPC_SEND`.
    pub fn tell(&self, number: u64) -> Result<()> {
        self.send(&number.to_le_bytes(), 0)
    }

    /// Takes a message that comes to this side.
    ///
    /// # Errors
    /// Those of `SYS_IPC_RECEIVE`.
    pub fn receive(&self, buffer: &mut [u8], timeout: u64) -> Result<IpcReceiveResult> {
        let mut told = IpcReceiveResult::default();
        ipc::receive(self.endpoint, buffer, timeout, self.token, &mut told)?;
        Ok(told)
    }

    /// Waits for a number; says what else came with it.
    ///
    /// # Errors
    /// Those of `SYS_IPC_RECEIVE`.
    pub fn hear(&self) -> Result<(u64, IpcReceiveResult)> {
        let mut bytes = [0; 8];
        let told = self.receive(&mut bytes, FOREVER)?;
        Ok((u64::from_le_bytes(bytes), told))
    }

    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// Those of `SYS_IPC_CALL`.
    pub fn call(
        &self,
        message: &[u8],
        response: &mut [u8],
        timeout: u64,
        capability: u64,
    ) -> Result<IpcCallResult> {
        let request = Request {
            channel: self.channel,
            token: self.token,
            message,
            capability,
            timeout,
        };
        let mut told = IpcCallResult::default();
        ipc::request(&request, response, &mut told)?;
        Ok(told)
    }
}

/// A child that runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Child {
    /// Its process id.
    pub process: u64,
    /// This side of the channel to it.
    pub link: Link,
}

/// Makes a child and lets it run until it has its channel: it comes back from
/// [`join`].
///
/// # Errors
/// Those of the calls.
pub fn start(what: &[u8], arguments: &[u64], grants: &[u64]) -> Result<Child> {
    let info = start_info();
    let own = [console(), info.endpoint_token];
    let mut tokens = [0; GRANTS + MORE];
    let count = GRANTS + grants.len().min(MORE);
    for (place, token) in tokens.iter_mut().zip(own.iter().chain(grants)) {
        *place = *token;
    }
    let mut digits = [[0; 20]; 1 + MORE];
    let numbers = [info.endpoint_id];
    let mut texts: [&[u8]; ARGUMENTS + MORE] = [b"child"; ARGUMENTS + MORE];
    texts[1] = what;
    let words = numbers.iter().chain(arguments);
    for ((text, digits), number) in texts[2..].iter_mut().zip(&mut digits).zip(words) {
        *text = decimal(*number, digits);
    }
    let texts = &texts[..ARGUMENTS + arguments.len().min(MORE)];
    let process = process::create(image::this_program(), texts, &tokens[..count])?;
    process::start(process)?;
    let mut link = Link {
        channel: 0,
        endpoint: info.endpoint_id,
        token: info.endpoint_token,
    };
    let mut channel = [0; 8];
    let timeout = Err(Some(SyscallError::Timeout));
    while link.receive(&mut channel, SECOND).map(|_| ()) == timeout {
        // One that has ended says nothing more.
        if process::wait(process, 0).map(|_| ()) != timeout {
            return Err(Some(SyscallError::Interrupted));
        }
    }
    link.channel = u64::from_le_bytes(channel);
    Ok(Child { process, link })
}

/// Connects a child with its creator.
///
/// # Errors
/// Those of the calls; `NotFound` when this is no such child.
pub fn join(creator: u64) -> Result<Link> {
    let info = start_info();
    let token = *granted().get(1).ok_or(Some(SyscallError::NotFound))?;
    let (endpoint, own) = (info.endpoint_id, info.endpoint_token);
    let channel = ipc::channel_create([endpoint, creator], [own, token])?;
    let link = Link {
        channel,
        endpoint,
        token: own,
    };
    link.tell(channel)?;
    Ok(link)
}

impl Child {
    /// Waits for its end.
    ///
    /// # Errors
    /// Those of `SYS_PROCESS_WAIT`.
    pub fn wait(&self) -> Result<ProcessExitInfo> {
        process::wait(self.process, FOREVER)
    }
}

/// A number in digits.
pub fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10).to_le_bytes()[0];
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}
