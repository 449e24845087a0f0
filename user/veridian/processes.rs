//! Processes of VeridianOS that make processes of themselves.
//!
//! Purpose: creation, start, wait, grants and faults (spec §5, §7), and tokens
//! that are passed down and revoked (§4.4). The first argument says what is
//! done; those below are what children do.
//!
//! - `run`: arguments, exit codes, double starts, second waits, timeouts.
//! - `fault`: a child faults, and its creator reads how.
//! - `tree`: a tree of tokens, eight deep over three processes, is revoked.
//! - `many N`: N children, one after the other.
//! - `forget N`: N children that are never started.
//! - `heir`: a child's child is started and waited for by whoever has its token.
//! - `peak`: a child tells the most memory that it had, not its last.
//! - `times`: how long children have run and made calls.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::veridian::{ProcessExitInfo, SyscallError, clock, exit_reason};
use mayfly_user::check::Checks;
use mayfly_user::veridian::capability::{create, derive, kind, revoke, right, validate};
use mayfly_user::veridian::family::{self, Link, decimal};
use mayfly_user::veridian::image::this_program;
use mayfly_user::veridian::memory::{self, PAGE, map, mmap, prot};
use mayfly_user::veridian::process;
use mayfly_user::veridian::thread::FOREVER;
use mayfly_user::{Process, Veridian, say, veridian};

mayfly_user::program!(Veridian, run);

type Answer = Result<(), Option<SyscallError>>;

const INVALID: Answer = Err(Some(SyscallError::InvalidCapability));

fn run(process: &Process<Veridian>) -> i32 {
    let arguments = process.arguments();
    let number = |index| arguments.number(index).unwrap_or(0);
    let mut checks = Checks::new(process, "processes");
    match arguments.get(1).unwrap_or(b"") {
        b"run" => lifecycle(&mut checks),
        b"fault" => faults(&mut checks),
        b"tree" => tree(&mut checks),
        b"many" => many(&mut checks, number(2)),
        b"forget" => forget(&mut checks, number(2)),
        b"heir" => heir(&mut checks),
        b"times" => times(&mut checks),
        b"peak" => peak(&mut checks),
        // What children do.
        b"echo" => {
            for argument in arguments.iter().skip(2) {
                say!(process, "{}", mayfly_user::console::Bytes(argument));
            }
            return i32::try_from(veridian::granted().len()).unwrap_or(0);
        }
        b"exit" => {
            let code = arguments.number(2).map(i32::try_from);
            return code.and_then(Result::ok).unwrap_or(-1);
        }
        b"swell" => return swell(number(2)).map_or(1, |()| 0),
        b"fall" => fall(),
        b"spin" => return spin(number(2), number(3)),
        b"testator" => return testator(number(2)).map_or(1, |()| 0),
        b"branch" => return branch(),
        b"leaf" => return leaf(),
        _ => checks.holds(format_args!("an argument says what to do"), false),
    }
    checks.finish()
}

/// What a child had for a moment counts, and what another never had does not.
fn peak(checks: &mut Checks<'_, Veridian>) {
    let [least, most] = [&b"1"[..], b"200"].map(|pages| {
        let id = child(checks, &[b"x", b"swell", pages], &[]);
        finish(checks, id).peak_memory_bytes
    });
    let more = most.saturating_sub(least);
    // The tables of 200 pages are one or two.
    let fits = (199 * PAGE..=202 * PAGE).contains(&more);
    checks.holds(format_args!("a peak of {more} bytes more"), fits);
}

/// Has so many pages for a moment.
fn swell(pages: u64) -> Answer {
    let flags = map::PRIVATE | map::ANONYMOUS | map::POPULATE;
    let length = pages * PAGE;
    let place = mmap(0, length, prot::READ | prot::WRITE, flags, None, 0)?;
    // SAFETY: nothing refers to those pages.
    unsafe { memory::munmap(place, length) }
}

/// Makes a child of this program.
fn child(checks: &mut Checks<'_, Veridian>, arguments: &[&[u8]], capabilities: &[u64]) -> u64 {
    let made = process::create(this_program(), arguments, capabilities);
    checks.holds(format_args!("a child: {made:?}"), made.is_ok());
    made.unwrap_or(0)
}

/// Starts a child, and waits for its end.
fn finish(checks: &mut Checks<'_, Veridian>, id: u64) -> ProcessExitInfo {
    let started = process::start(id);
    checks.holds(format_args!("start {id}: {started:?}"), started.is_ok());
    let ended = process::wait(id, FOREVER);
    checks.holds(format_args!("wait {id}: {ended:?}"), ended.is_ok());
    ended.unwrap_or_default()
}

fn lifecycle(checks: &mut Checks<'_, Veridian>) {
    let console = veridian::console();
    let arguments: [&[u8]; 5] = [b"x", b"echo", b"one", b"two words", b""];
    let id = child(checks, &arguments, &[console]);
    let early = process::wait(id, 0).map(|_| ());
    let over = Err(Some(SyscallError::Timeout));
    checks.holds(format_args!("not started: {early:?}"), early == over);
    let early = process::wait(id, 1_000_000).map(|_| ());
    checks.holds(
        format_args!("not started, a while: {early:?}"),
        early == over,
    );
    let ended = finish(checks, id);
    checks.equal(format_args!("its id"), ended.process_id, id);
    checks.holds(
        format_args!("granted {}", ended.exit_code),
        ended.exit_code == 1,
    );
    let reason = ended.exit_reason;
    checks.equal(
        format_args!("reason"),
        reason.into(),
        exit_reason::EXITED.into(),
    );
    let again = process::wait(id, FOREVER).map(|_| ());
    let gone = Err(Some(SyscallError::NotFound));
    checks.holds(format_args!("a second wait: {again:?}"), again == gone);
    let again = process::start(id);
    checks.holds(format_args!("a start after all: {again:?}"), again == gone);

    for (text, code) in [(&b"0"[..], 0), (b"42", 42), (b"x", -1)] {
        let id = child(checks, &[b"x", b"exit", text], &[console]);
        let started = process::start(id);
        checks.holds(format_args!("start: {started:?}"), started == Ok(()));
        let twice = process::start(id);
        let busy = Err(Some(SyscallError::Busy));
        checks.holds(format_args!("a double start: {twice:?}"), twice == busy);
        let ended = process::wait(id, FOREVER).unwrap_or_default();
        checks.holds(
            format_args!("code {}", ended.exit_code),
            ended.exit_code == code,
        );
        checks.holds(format_args!("memory"), ended.peak_memory_bytes >= 4096);
    }
    let itself = process::wait(veridian::start_info().process_id, 0).map(|_| ());
    let refused = Err(Some(SyscallError::InvalidParameter));
    checks.holds(format_args!("itself: {itself:?}"), itself == refused);

    // A creator can mint a token for its child, and a token that must not be
    // passed on is not.
    let id = child(checks, &[b"x", b"exit", b"0"], &[]);
    let space = veridian::start_info().space_token;
    let token = create(kind::PROCESS, id, right::READ | right::EXECUTE, space);
    checks.holds(format_args!("a token for it: {token:?}"), token.is_ok());
    let kept = derive(console, right::WRITE).unwrap_or(0);
    for (tokens, error) in [
        ([console, kept], SyscallError::PermissionDenied),
        ([kept, 0], SyscallError::InvalidCapability),
        ([0, console], SyscallError::InvalidCapability),
    ] {
        let made = process::create(this_program(), &[], &tokens);
        checks.holds(
            format_args!("{tokens:x?}: {made:?}"),
            made == Err(Some(error)),
        );
    }
    finish(checks, id);
}

fn faults(checks: &mut Checks<'_, Veridian>) {
    let id = child(checks, &[b"x", b"fall"], &[]);
    let ended = finish(checks, id);
    let reason = ended.exit_reason;
    checks.equal(
        format_args!("reason"),
        reason.into(),
        exit_reason::FAULT.into(),
    );
    checks.holds(
        format_args!("code {}", ended.exit_code),
        ended.exit_code == -15,
    );
    checks.equal(format_args!("address"), ended.fault_address, FALL);
}

/// An address where nothing is.
const FALL: u64 = 0x1234_5000;

fn fall() {
    // SAFETY: nothing is there: the fault is what the creator looks for.
    unsafe { (FALL as *mut u64).write_volatile(1) };
}

fn many(checks: &mut Checks<'_, Veridian>, count: u64) {
    let image = this_program();
    for round in 0..count {
        let id = process::create(image, &[b"x", b"exit", b"3"], &[veridian::console()]);
        let ended = finish(checks, id.unwrap_or(0));
        checks.holds(format_args!("round {round}"), ended.exit_code == 3);
    }
}

/// The creator ends; what it made was not started and is nobody else's.
fn forget(checks: &mut Checks<'_, Veridian>, count: u64) {
    for round in 0..count {
        let made = process::create(this_program(), &[b"x", b"exit", b"3"], &[]);
        checks.holds(format_args!("{round}: {made:?}"), made.is_ok());
    }
}

/// A child makes a child, passes its token on, and ends.
fn heir(checks: &mut Checks<'_, Veridian>) {
    let info = veridian::start_info();
    let mut text = [0; 20];
    let creator = decimal(info.endpoint_id, &mut text);
    let tokens = [veridian::console(), info.endpoint_token];
    let testator = child(checks, &[b"x", b"testator", creator], &tokens);
    let own = Link {
        channel: 0,
        endpoint: info.endpoint_id,
        token: info.endpoint_token,
    };
    let started = process::start(testator);
    checks.holds(format_args!("start: {started:?}"), started.is_ok());
    // Its channel, then the child's id and token.
    let heard = own.hear().and_then(|_| own.hear());
    let ended = process::wait(testator, FOREVER).map(|ended| ended.exit_code);
    checks.holds(format_args!("its creator: {ended:?}"), ended == Ok(0));
    let Ok((id, told)) = heard else {
        return checks.holds(format_args!("{heard:?}"), false);
    };
    let rights = right::READ | right::EXECUTE;
    let valid = validate(told.capability, rights);
    checks.holds(format_args!("its token: {valid:?}"), valid == Ok(()));
    let started = process::start(id);
    checks.holds(format_args!("start: {started:?}"), started == Ok(()));
    // Its record goes with it, unless somebody waits by then: nobody made it.
    let ended = process::wait(id, FOREVER).map(|ended| ended.exit_code);
    let gone = Err(Some(SyscallError::NotFound));
    checks.holds(format_args!("{ended:?}"), ended == Ok(42) || ended == gone);
}

/// Makes a child that it does not start, and passes its token on.
fn testator(creator: u64) -> Result<(), Option<SyscallError>> {
    let link = family::join(creator)?;
    let made = process::create(this_program(), &[b"x", b"exit", b"42"], &[])?;
    let rights = right::READ | right::EXECUTE | right::GRANT;
    let space = veridian::start_info().space_token;
    let token = create(kind::PROCESS, made, rights, space)?;
    link.send(&made.to_le_bytes(), token)
}

/// Nanoseconds since boot.
fn now() -> u64 {
    let time = veridian::clock_get(clock::MONOTONIC).unwrap_or_default();
    (time.seconds * 1_000_000_000 + time.nanoseconds).cast_unsigned()
}

fn times(checks: &mut Checks<'_, Veridian>) {
    const TURNS: u64 = 5_000_000;
    const CALLS: u64 = 2000;
    let mut run = |turns: u64, calls: u64| {
        let mut texts = [[0; 20]; 2];
        let [first, second] = &mut texts;
        let (turns, calls) = (decimal(turns, first), decimal(calls, second));
        let id = child(checks, &[b"x", b"spin", turns, calls], &[]);
        let before = now();
        let ended = finish(checks, id);
        let passed = now() - before;
        let (user, kernel) = (ended.user_time_ns, ended.kernel_time_ns);
        let fits = user > 0 && kernel > 0 && user + kernel <= passed;
        checks.holds(format_args!("{user} and {kernel} of {passed}"), fits);
        (user, kernel)
    };
    let (idle, spins, calls) = (run(0, 0), run(TURNS, 0), run(0, CALLS));
    // Turns of a loop take ring 3 a tenth of a nanosecond at least, a call the
    // kernel ten.
    let more = spins.0.saturating_sub(idle.0);
    checks.holds(format_args!("turns: {more}"), more > TURNS / 10);
    let more = calls.1.saturating_sub(idle.1);
    checks.holds(format_args!("calls: {more}"), more > CALLS * 10);
}

/// Turns of a loop, then calls.
fn spin(turns: u64, calls: u64) -> i32 {
    for turn in 0..turns {
        core::hint::black_box(turn);
    }
    for _ in 0..calls {
        let _ = validate(0, 0);
    }
    0
}

/// Rights of every token in the tree.
const BRANCH: u64 = right::WRITE | right::GRANT | right::REVOKE;
/// Turns that a process gives others: more than they need to begin.
const TURNS: u32 = 200;

/// The root's part: 1, 2 and 3 here, 4 and 5 in the branch, 6, 7 and 8 in the
/// leaf; revoked from 2 on. A sibling goes the same way, and stays.
fn tree(checks: &mut Checks<'_, Veridian>) {
    let console = veridian::console();
    let one = derive(console, BRANCH).unwrap_or(0);
    let two = derive(one, BRANCH).unwrap_or(0);
    let three = derive(two, BRANCH).unwrap_or(0);
    let sibling = derive(one, BRANCH).unwrap_or(0);
    let id = child(checks, &[b"x", b"branch"], &[three, sibling]);
    let started = process::start(id);
    checks.holds(format_args!("start: {started:?}"), started.is_ok());
    for _ in 0..TURNS {
        let _ = veridian::yield_now();
    }
    let early = process::wait(id, 0).map(|_| ());
    let over = Err(Some(SyscallError::Timeout));
    checks.holds(format_args!("they hold them: {early:?}"), early == over);
    let revoked = revoke(two);
    checks.holds(format_args!("revoke: {revoked:?}"), revoked == Ok(()));
    for (name, token, wanted) in [
        ("1", one, Ok(())),
        ("2", two, INVALID),
        ("3", three, INVALID),
        ("sibling", sibling, Ok(())),
    ] {
        let found = validate(token, 0);
        checks.holds(format_args!("{name}: {found:?}"), found == wanted);
    }
    let ended = process::wait(id, FOREVER).unwrap_or_default();
    checks.holds(
        format_args!("below: {}", ended.exit_code),
        ended.exit_code == 0,
    );
}

/// Holds 4, derives 5, hands it on; 0 when both are gone and all below too.
fn branch() -> i32 {
    let [four, sibling] = *veridian::granted() else {
        return 10;
    };
    let Ok(five) = derive(four, BRANCH) else {
        return 11;
    };
    let leaf = process::create(this_program(), &[b"x", b"leaf"], &[five, sibling]);
    let Ok(leaf) = leaf else {
        return 12;
    };
    if process::start(leaf).is_err() {
        return 13;
    }
    let code = outlive(&[four, five], sibling);
    match process::wait(leaf, FOREVER) {
        Ok(ended) if code == 0 => ended.exit_code,
        _ => code.max(14),
    }
}

/// Holds 6, derives 7 and 8.
fn leaf() -> i32 {
    let [six, sibling] = *veridian::granted() else {
        return 20;
    };
    let (Ok(seven), Ok(sibling)) = (derive(six, BRANCH), derive(sibling, BRANCH)) else {
        return 21;
    };
    let Ok(eight) = derive(seven, BRANCH) else {
        return 22;
    };
    outlive(&[six, seven, eight], sibling)
}

/// Waits until tokens are gone: all at once, and the sibling stays.
fn outlive(tokens: &[u64], sibling: u64) -> i32 {
    while validate(tokens[0], 0) == Ok(()) {
        let _ = veridian::yield_now();
    }
    let gone = tokens.iter().all(|token| validate(*token, 0) == INVALID);
    i32::from(!(gone && validate(sibling, right::WRITE) == Ok(())))
}
