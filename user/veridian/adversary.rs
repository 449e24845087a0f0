//! A process of VeridianOS without a token of anybody else's, which guesses.
//!
//! Purpose: numbers are no authority (spec §4, §6.7). A victim has tokens,
//! memory, messages in a queue, a caller that waits for its reply, a child that
//! waits to be started. `try SEED N`: an adversary, which is told all their
//! numbers and granted nothing, makes N calls with these, with bits of them
//! flipped, with old ones and with others. Each answer must be the error that
//! the specification says; then the victim looks whether all is as it was.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::veridian::SyscallError;
use mayfly_user::check::Checks;
use mayfly_user::programs::random::Random;
use mayfly_user::veridian::capability::{create, derive, kind, revoke, right, validate};
use mayfly_user::veridian::family::{self, Child, Link, decimal};
use mayfly_user::veridian::image::this_program;
use mayfly_user::veridian::memory::{self, PAGE, map, mmap, prot};
use mayfly_user::veridian::thread::{self, FOREVER};
use mayfly_user::veridian::{ipc, process};
use mayfly_user::{Process, Veridian, say, veridian};

mayfly_user::program!(Veridian, run);

type Answer<T> = Result<T, Option<SyscallError>>;

/// What an adversary is told: tokens, one of them dead, and a reply token;
/// channels; endpoints; processes.
const TOKENS: usize = 8;
const CHANNELS: usize = 2;
const ENDPOINTS: usize = 3;
const PROCESSES: usize = 3;
const NUMBERS: usize = TOKENS + CHANNELS + ENDPOINTS + PROCESSES;
/// Arguments before those.
const BEFORE: usize = 4;
/// Messages in the victim's queue.
const QUEUED: u64 = 3;
/// What its memory holds.
const KEPT: u64 = 0x5ec2_e75a_fe00_1234;

fn run(process: &Process<Veridian>) -> i32 {
    let arguments = process.arguments();
    let number = |index| arguments.number(index).unwrap_or(0);
    match arguments.get(1).unwrap_or(b"") {
        b"caller" => return caller(number(2)).unwrap_or(90),
        b"exit" => return 42,
        b"guess" => {
            let mut told = [0; NUMBERS];
            for (place, index) in told.iter_mut().zip(BEFORE..) {
                *place = number(index);
            }
            return Adversary::new(number(2), told).guess(number(3));
        }
        _ => {}
    }
    let (seed, count) = (number(2), number(3));
    say!(process, "seed {seed}");
    let mut checks = Checks::new(process, "adversary");
    let done = Victim::new().and_then(|victim| {
        victim.attack(&mut checks, seed, count)?;
        victim.look(&mut checks)
    });
    checks.holds(format_args!("no call failed: {done:?}"), done.is_ok());
    checks.finish()
}

/// Who has something to lose.
struct Victim {
    object: u64,
    place: u64,
    from: Link,
    to: Link,
    caller: Child,
    reply: u64,
    child: u64,
    token: u64,
    dead: u64,
}

impl Victim {
    fn new() -> Answer<Self> {
        let space = veridian::start_info().space_token;
        let rights = right::READ | right::WRITE | right::MODIFY | right::GRANT | right::REVOKE;
        let object = create(kind::MEMORY, PAGE, rights, space)?;
        let both = prot::READ | prot::WRITE;
        let place = mmap(0, PAGE, both, map::SHARED, Some(object), 0)?;
        // SAFETY: the page is mapped, and no reference is to it.
        unsafe { memory::store(place, KEPT) };
        let (one, other) = (ipc::endpoint_create()?, ipc::endpoint_create()?);
        let ids = [one.endpoint_id, other.endpoint_id];
        let channel = ipc::channel_create(ids, [one.capability, other.capability])?;
        let [from, to] = [one, other].map(|end| Link {
            channel,
            endpoint: end.endpoint_id,
            token: end.capability,
        });
        for number in 0..QUEUED {
            from.tell(number)?;
        }
        let caller = family::start(b"caller", &[], &[])?;
        let reply = caller.link.hear()?.1.reply_token;
        let child = process::create(this_program(), &[b"x", b"exit"], &[])?;
        let token = create(kind::PROCESS, child, right::READ | right::EXECUTE, space)?;
        let dead = derive(object, rights)?;
        revoke(dead)?;
        Ok(Self {
            object,
            place,
            from,
            to,
            caller,
            reply,
            child,
            token,
            dead,
        })
    }

    /// Tells an adversary everything, and grants it nothing.
    fn attack(&self, checks: &mut Checks<'_, Veridian>, seed: u64, count: u64) -> Answer<()> {
        let info = veridian::start_info();
        let told: [u64; NUMBERS] = [
            veridian::console(),
            info.space_token,
            info.endpoint_token,
            self.object,
            self.to.token,
            self.token,
            self.dead,
            self.reply,
            self.to.channel,
            self.caller.link.channel,
            info.endpoint_id,
            self.from.endpoint,
            self.to.endpoint,
            info.process_id,
            self.caller.process,
            self.child,
        ];
        let mut digits = [[0; 20]; NUMBERS + 2];
        let mut texts: [&[u8]; NUMBERS + BEFORE] = [b"guess"; NUMBERS + BEFORE];
        let words = [seed, count].into_iter().chain(told);
        for ((text, digits), word) in texts[2..].iter_mut().zip(&mut digits).zip(words) {
            *text = decimal(word, digits);
        }
        let adversary = process::create(this_program(), &texts, &[])?;
        process::start(adversary)?;
        let ended = process::wait(adversary, FOREVER)?;
        let (way, code) = (ended.exit_code / 100, ended.exit_code % 100);
        checks.holds(
            format_args!("call {way} answered {code}"),
            ended.exit_code == 0 && ended.exit_reason == 0,
        );
        Ok(())
    }

    /// All is as it was.
    fn look(&self, checks: &mut Checks<'_, Veridian>) -> Answer<()> {
        let info = veridian::start_info();
        let io = right::READ | right::WRITE | right::GRANT | right::REVOKE;
        for (token, rights) in [
            (veridian::console(), io),
            (info.space_token, right::CREATE),
            (info.process_token, right::READ | right::MODIFY),
            (info.endpoint_token, io | right::EXECUTE),
            (self.object, io | right::MODIFY),
            (self.to.token, io | right::EXECUTE),
            (self.token, right::READ | right::EXECUTE),
        ] {
            for right in (0..8).map(|bit| 1 << bit) {
                let valid = validate(token, right).is_ok();
                let what = format_args!("{token:#x} {right:#x}");
                checks.holds(what, valid == (rights & right != 0));
            }
        }
        // SAFETY: the page is mapped, and no reference is to it.
        let kept = unsafe { memory::load(self.place) };
        checks.equal(format_args!("its memory"), kept, KEPT);
        for number in 0..QUEUED {
            let (found, told) = self.to.hear()?;
            checks.equal(format_args!("message {number}"), found, number);
            checks.equal(format_args!("its sender"), told.sender, info.process_id);
        }
        for link in [&self.to, &self.from, &self.caller.link] {
            let more = link.receive(&mut [0; 8], 0).map(|_| ());
            let nothing = Err(Some(SyscallError::Timeout));
            checks.holds(format_args!("nothing more: {more:?}"), more == nothing);
        }
        ipc::reply(self.reply, b"answered", 0)?;
        let ended = self.caller.wait()?;
        checks.holds(format_args!("{}", ended.exit_code), ended.exit_code == 0);
        let waiting = process::wait(self.child, 0).map(|_| ());
        let not_yet = Err(Some(SyscallError::Timeout));
        checks.holds(format_args!("not started: {waiting:?}"), waiting == not_yet);
        process::start(self.child)?;
        let ended = process::wait(self.child, FOREVER)?;
        checks.holds(format_args!("{}", ended.exit_code), ended.exit_code == 42);
        Ok(())
    }
}

/// Calls the victim, and waits for its answer.
fn caller(creator: u64) -> Answer<i32> {
    let link = family::join(creator)?;
    let mut response = [0; 8];
    let told = link.call(b"question", &mut response, FOREVER, 0)?;
    let fine = told.response_len == 8 && &response == b"answered";
    Ok(i32::from(!fine))
}

/// Who has nothing but what every process has.
struct Adversary {
    random: Random,
    told: [u64; NUMBERS],
    own: [u64; 3],
}

impl Adversary {
    fn new(seed: u64, told: [u64; NUMBERS]) -> Self {
        let info = veridian::start_info();
        Self {
            random: Random::new(seed),
            told,
            own: [info.process_token, info.space_token, info.endpoint_token],
        }
    }

    /// The first answer that should not be, or 0.
    fn guess(&mut self, count: u64) -> i32 {
        for _ in 0..count {
            let way = self.random.below(20);
            let (answer, wanted) = self.attempt(way);
            let code = answer.map_or_else(|error| error.map_or(99, SyscallError::code), |()| 0);
            if !wanted.iter().any(|error| error.code() == code) {
                let (way, code) = (i32::try_from(way), i32::try_from(code));
                return (way.unwrap_or(0) + 1) * 100 + code.unwrap_or(99);
            }
        }
        0
    }

    fn real(&mut self, from: usize, count: usize) -> u64 {
        let index = usize::try_from(self.random.below(count as u64)).unwrap_or(0);
        self.told[from + index]
    }

    /// A token, none of its own.
    fn token(&mut self) -> u64 {
        loop {
            let near = self.real(0, TOKENS);
            let random = &mut self.random;
            let token = match random.below(8) {
                0 => random.any(),
                1 | 2 => near ^ 1 << random.below(64),
                3 => near & !(0xffff_ffff << 16) | random.below(256) << 16,
                4 => near & !0xffff | random.below(64),
                5 => near ^ random.below(256) << 48,
                6 => near.wrapping_add(random.below(512)).wrapping_sub(256),
                _ => near,
            };
            if !self.own.contains(&token) {
                return token;
            }
        }
    }

    /// An id like those that there are, but not `own`.
    fn id(&mut self, from: usize, count: usize, own: u64) -> u64 {
        loop {
            let near = self.real(from, count);
            let random = &mut self.random;
            let id = match random.below(4) {
                0 => random.any(),
                1 => near ^ 1 << random.below(64),
                2 => random.below(64),
                _ => near,
            };
            if id != own {
                return id;
            }
        }
    }

    /// A call, and what it may answer.
    fn attempt(&mut self, way: u64) -> (Answer<()>, &'static [SyscallError]) {
        use SyscallError::{InvalidCapability, NotFound, PermissionDenied};
        const NONE: &[SyscallError] = &[InvalidCapability];
        const GONE: &[SyscallError] = &[NotFound];
        const DENIED: &[SyscallError] = &[PermissionDenied];
        let info = veridian::start_info();
        let (token, own) = (self.token(), info.endpoint_token);
        let channel = self.id(TOKENS, CHANNELS, 0);
        let endpoint = self.id(TOKENS + CHANNELS, ENDPOINTS, info.endpoint_id);
        let from = TOKENS + CHANNELS + ENDPOINTS;
        let process = self.id(from, PROCESSES, info.process_id);
        let is_process = self.told[from..].contains(&process);
        let is_channel = self.told[TOKENS..TOKENS + CHANNELS].contains(&channel);
        let foreign = if is_process { DENIED } else { GONE };
        let stranger = if is_channel { NONE } else { GONE };
        let link = |token| Link {
            channel,
            endpoint,
            token,
        };
        let mut bytes = [0; 8];
        match way {
            0 => (validate(token, 0), NONE),
            1 => (derive(token, 0).map(|_| ()), NONE),
            2 => (revoke(token), NONE),
            3 => {
                let kind = self.random.below(11);
                (create(kind, endpoint, 0, token).map(|_| ()), NONE)
            }
            4 => (veridian::write(token, b"!", 0).map(|_| ()), NONE),
            5 => (veridian::read(token, &mut bytes, 0).map(|_| ()), NONE),
            6 => {
                let mapped = mmap(0, PAGE, prot::READ, map::SHARED, Some(token), 0);
                (mapped.map(|_| ()), NONE)
            }
            7 => (link(token).tell(1), NONE),
            8 => (link(own).tell(1), stranger),
            // Without a capability it is 8 again.
            9 if token == 0 => (link(own).tell(1), stranger),
            9 => (link(own).send(b"!", token), NONE),
            10 => (link(token).receive(&mut bytes, 0).map(|_| ()), NONE),
            11 => (link(own).receive(&mut bytes, 0).map(|_| ()), NONE),
            12 => {
                let called = link(token).call(b"!", &mut bytes, 0, 0);
                (called.map(|_| ()), NONE)
            }
            13 => {
                let called = link(own).call(b"!", &mut bytes, FOREVER, 0);
                (called.map(|_| ()), stranger)
            }
            14 => (ipc::reply(token, b"!", 0).map(|_| ()), NONE),
            15 => {
                let pair = [token, own][usize::from(token.is_multiple_of(2))];
                let made = ipc::channel_create([endpoint, info.endpoint_id], [pair, own]);
                (made.map(|_| ()), NONE)
            }
            16 => (process::start(process), foreign),
            17 => (process::wait(process, 0).map(|_| ()), foreign),
            18 => {
                let made = process::create(b"!", &[], &[token]);
                (made.map(|_| ()), NONE)
            }
            _ => self.mint(process, foreign, channel, is_channel),
        }
    }

    /// Its own space mints nothing that is another's.
    fn mint(
        &mut self,
        process: u64,
        foreign: &'static [SyscallError],
        channel: u64,
        is_channel: bool,
    ) -> (Answer<()>, &'static [SyscallError]) {
        use SyscallError::{NotFound, PermissionDenied};
        let space = veridian::start_info().space_token;
        let mint = |kind, id| create(kind, id, right::READ, space).map(|_| ());
        match self.random.below(4) {
            0 => (mint(kind::PROCESS, process), foreign),
            1 if is_channel => (mint(kind::IPC_CHANNEL, channel), &[PermissionDenied]),
            1 => (mint(kind::IPC_CHANNEL, channel), &[NotFound]),
            2 => (mint(kind::DEVICE, 1), &[PermissionDenied]),
            _ => {
                let other = process.max(2);
                let joined = thread::join(other, 0).map(|_| ());
                (joined, &[NotFound])
            }
        }
    }
}
