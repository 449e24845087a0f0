//! Processes of VeridianOS that make processes of themselves.
//!
//! Purpose: creation, start, wait, grants and faults (spec §5, §7), and tokens
//! that are passed down and revoked (§4.4). The first argument says what is
//! done; those below are what children do.
//!
//! - `run`: arguments, exit codes, double starts, second waits, timeouts.
//! - `fault`: a child faults, and its creator reads how.
//! - `tree`: a tree of tokens, eight deep over three processes, is revoked.
//! - `strangers SEED N`: a child with no grants guesses and replays.
//! - `many N`: N children, one after the other.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::cell::UnsafeCell;

use mayfly_abi::veridian::{ProcessExitInfo, SyscallError, exit_reason};
use mayfly_user::check::Checks;
use mayfly_user::veridian::capability::{create, derive, kind, revoke, right, validate};
use mayfly_user::veridian::thread::FOREVER;
use mayfly_user::veridian::{image, process};
use mayfly_user::{Process, Veridian, say, veridian};

mayfly_user::program!(Veridian, run);

type Answer = Result<(), Option<SyscallError>>;

const INVALID: Answer = Err(Some(SyscallError::InvalidCapability));

/// Room for this program's image.
struct Room(UnsafeCell<[u8; 96 << 10]>);

// SAFETY: only `this_program` touches the bytes, and this program has one thread.
unsafe impl Sync for Room {}

static ROOM: Room = Room(UnsafeCell::new([0; 96 << 10]));

/// This program as an executable.
fn this_program() -> &'static [u8] {
    // SAFETY: nothing else refers to the room: it is written once, before any
    // child is made.
    let room = unsafe { &mut *ROOM.0.get() };
    image::of_this_program(room).unwrap_or(&[])
}

fn run(process: &Process<Veridian>) -> i32 {
    let arguments = process.arguments();
    let number = |index| arguments.number(index).unwrap_or(0);
    let mut checks = Checks::new(process, "processes");
    match arguments.get(1).unwrap_or(b"") {
        b"run" => lifecycle(&mut checks),
        b"fault" => faults(&mut checks),
        b"tree" => tree(&mut checks),
        b"strangers" => strangers(&mut checks, process, number(2), number(3)),
        b"many" => many(&mut checks, number(2)),
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
        b"fall" => fall(),
        b"branch" => return branch(),
        b"leaf" => return leaf(),
        b"stranger" => return stranger(&mut checks, process),
        _ => checks.holds(format_args!("an argument says what to do"), false),
    }
    checks.finish()
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

fn strangers(
    checks: &mut Checks<'_, Veridian>,
    process: &Process<Veridian>,
    seed: u64,
    count: u64,
) {
    say!(process, "seed {seed}");
    // Its creator's tokens and ids, in the clear: of no use to it.
    let info = veridian::start_info();
    let mut text = [[0; 20]; 5];
    let words = [
        veridian::console(),
        info.space_token,
        info.process_token,
        seed,
        count,
    ];
    let mut arguments: [&[u8]; 7] = [b"x", b"stranger", b"", b"", b"", b"", b""];
    for ((text, word), argument) in text.iter_mut().zip(words).zip(&mut arguments[2..]) {
        *argument = decimal(text, word);
    }
    let id = child(checks, &arguments, &[]);
    let ended = finish(checks, id);
    checks.holds(
        format_args!("reached: {}", ended.exit_code),
        ended.exit_code == 0,
    );
}

/// A number in digits.
fn decimal(text: &mut [u8; 20], mut number: u64) -> &[u8] {
    let mut at = text.len();
    loop {
        at -= 1;
        text[at] = b'0' + (number % 10).to_le_bytes()[0];
        number /= 10;
        if number == 0 {
            return &text[at..];
        }
    }
}

/// Replays its creator's tokens and guesses others; how often it reached anything.
fn stranger(_: &mut Checks<'_, Veridian>, process: &Process<Veridian>) -> i32 {
    let number = |index| process.arguments().number(index).unwrap_or(0);
    let foreign = [number(2), number(3), number(4)];
    let info = veridian::start_info();
    let own = [info.process_token, info.space_token, info.endpoint_token];
    let mut state = number(5);
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state ^ state >> 29
    };
    let mut reached = 0;
    let mut refused = |answer: Answer, wanted: &[SyscallError]| {
        let fine = matches!(answer, Err(Some(error)) if wanted.contains(&error));
        reached += i32::from(!fine);
    };
    let none = [SyscallError::InvalidCapability];
    for _ in 0..number(6) {
        let word = foreign[usize::try_from(random() % 3).unwrap_or(0)];
        let token = match random() % 4 {
            0 => word,
            1 => word ^ 1 << (random() % 64),
            2 => word & !(0xffff_ffff << 16) | (random() % 64) << 16,
            _ => random(),
        };
        if own.contains(&token) {
            continue;
        }
        refused(validate(token, 0), &none);
        refused(derive(token, 0).map(|_| ()), &none);
        refused(revoke(token), &none);
        refused(
            create(random() % 11, random() % 8, 0, token).map(|_| ()),
            &none,
        );
        refused(veridian::write(token, b"!", 0).map(|_| ()), &none);
        // Ids of others are no authority over them.
        let id = info.process_id + 1 + random() % 64;
        for id in [id, info.parent_id] {
            let nobody = [SyscallError::NotFound, SyscallError::PermissionDenied];
            refused(process::start(id), &nobody);
            refused(process::wait(id, 0).map(|_| ()), &nobody);
            let minted = create(kind::PROCESS, id, right::READ, info.space_token);
            refused(minted.map(|_| ()), &nobody);
        }
    }
    reached
}
