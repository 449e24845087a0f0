//! A capability of VeridianOS that a message passes on (T14), and memory that
//! processes hand over by its token (T17).
//!
//! - `pass`: without GRANT it is not passed on; with it the receiver has a
//!   token of its own, narrows it, and loses it when the sender revokes.
//! - `large SIZE`: memory is filled here, and summed up in the child, without a
//!   copy; then the child fills it.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::veridian::{SyscallError, exit_reason};
use mayfly_user::check::Checks;
use mayfly_user::veridian::capability::{create, derive, kind, revoke, right, validate};
use mayfly_user::veridian::family::{self, Link};
use mayfly_user::veridian::memory::{self, PAGE, map, mmap, prot};
use mayfly_user::{Process, Veridian, veridian};

mayfly_user::program!(Veridian, run);

type Answer<T> = Result<T, Option<SyscallError>>;

const DENIED: Answer<()> = Err(Some(SyscallError::PermissionDenied));
const INVALID: Answer<()> = Err(Some(SyscallError::InvalidCapability));
const BOTH: u64 = prot::READ | prot::WRITE;
/// What the receiver gets: not REVOKE.
const PASSED: u64 = right::READ | right::WRITE | right::MODIFY | right::GRANT;
/// Words of a step of the exchange.
const MAPPED: u64 = 0x1111;
const REVOKED: u64 = 0x2222;

fn run(process: &Process<Veridian>) -> i32 {
    let arguments = process.arguments();
    let mut checks = Checks::new(process, "transfer");
    let what = arguments.get(1).unwrap_or(b"");
    if let (b"receiver" | b"summer", Some(creator)) = (what, arguments.number(2)) {
        let Ok(link) = family::join(creator) else {
            return 90;
        };
        let size = arguments.number(3).unwrap_or(0);
        match what {
            b"receiver" => receiver(&mut checks, &link),
            _ => summer(&mut checks, &link, size),
        }
        return checks.status();
    }
    let done = match what {
        b"pass" => pass(&mut checks),
        b"large" => large(&mut checks, arguments.number(2).unwrap_or(1)),
        _ => Err(None),
    };
    checks.holds(format_args!("no call failed: {done:?}"), done.is_ok());
    checks.finish()
}

fn expect(checks: &mut Checks<'_, Veridian>, what: &str, found: Answer<()>, wanted: Answer<()>) {
    checks.holds(format_args!("{what}: {found:?}"), found == wanted);
}

/// New memory of so many bytes, with every right.
fn memory_of(size: u64) -> Answer<u64> {
    let space = veridian::start_info().space_token;
    create(kind::MEMORY, size, PASSED | right::REVOKE, space)
}

fn pass(checks: &mut Checks<'_, Veridian>) -> Answer<()> {
    let child = family::start(b"receiver", &[], &[])?;
    let object = memory_of(PAGE)?;
    let place = mmap(0, PAGE, BOTH, map::SHARED, Some(object), 0)?;
    // Without GRANT it stays here, and nothing is sent.
    let kept = derive(object, PASSED & !right::GRANT)?;
    expect(
        checks,
        "without GRANT",
        child.link.send(b"no", kept),
        DENIED,
    );
    let mut response = [0; 8];
    let called = child.link.call(b"no", &mut response, 0, kept);
    expect(checks, "nor in a call", called.map(|_| ()), DENIED);
    expect(checks, "a dead token", child.link.send(b"no", 99), INVALID);

    let passed = derive(object, PASSED | right::REVOKE)?;
    let given = derive(passed, PASSED)?;
    child.link.send(b"take", given)?;
    let (word, _) = child.link.hear()?;
    checks.equal(format_args!("it has mapped it"), word, MAPPED);
    // SAFETY: the page is mapped, and no reference is to it.
    let seen = unsafe { memory::load(place) };
    checks.equal(format_args!("what it has written"), seen, MAPPED);
    expect(checks, "revoked", revoke(passed), Ok(()));
    // Its own are as they were; what derives from the revoked one is gone.
    expect(checks, "the object", validate(object, PASSED), Ok(()));
    expect(checks, "a sibling", validate(kept, right::READ), Ok(()));
    expect(checks, "what was given", validate(given, 0), INVALID);
    // SAFETY: as above.
    unsafe { memory::store(place, REVOKED) };
    child.link.tell(REVOKED)?;
    let ended = child.wait()?;
    // It looked, and then touched what is not mapped any more.
    let (gone, _) = child.link.hear()?;
    checks.equal(
        format_args!("reason"),
        ended.exit_reason.into(),
        exit_reason::FAULT.into(),
    );
    checks.equal(format_args!("where"), ended.fault_address, gone);
    Ok(())
}

/// Gets memory, narrows its token, loses both; ends by a fault.
fn receiver(checks: &mut Checks<'_, Veridian>, link: &Link) {
    let Ok(told) = link.receive(&mut [0; 8], u64::MAX) else {
        return;
    };
    let token = told.capability;
    expect(checks, "its rights", validate(token, PASSED), Ok(()));
    expect(
        checks,
        "and no more",
        validate(token, right::REVOKE),
        DENIED,
    );
    let narrow = derive(token, right::READ | right::MODIFY).unwrap_or(0);
    expect(checks, "narrower", validate(narrow, right::READ), Ok(()));
    expect(
        checks,
        "not wider",
        derive(narrow, right::WRITE).map(|_| ()),
        DENIED,
    );
    let map_with = |token, protection| mmap(0, PAGE, protection, map::SHARED, Some(token), 0);
    let wide = map_with(narrow, BOTH).map(|_| ());
    expect(checks, "no writing with that", wide, DENIED);
    let (Ok(place), Ok(other)) = (map_with(token, BOTH), map_with(narrow, prot::READ)) else {
        return checks.holds(format_args!("both are mapped"), false);
    };
    // SAFETY: both pages are mapped, and no reference is to them.
    unsafe { memory::store(place, MAPPED) };
    // SAFETY: as above.
    let seen = unsafe { memory::load(other) };
    checks.equal(format_args!("one memory"), seen, MAPPED);
    let heard = link.tell(MAPPED).and_then(|()| link.hear());
    checks.holds(
        format_args!("{heard:?}"),
        heard.is_ok_and(|(word, _)| word == REVOKED),
    );
    for token in [token, narrow] {
        expect(checks, "gone", validate(token, 0), INVALID);
        expect(
            checks,
            "no use",
            map_with(token, prot::READ).map(|_| ()),
            INVALID,
        );
    }
    let nothing = Err(Some(SyscallError::NotFound));
    for page in [place, other] {
        // SAFETY: nothing refers to it.
        let unmapped = unsafe { memory::munmap(page, PAGE) };
        expect(checks, "no mapping", unmapped, nothing);
    }
    // All is as it should be when nothing was printed: a fault ends it now.
    if link.tell(place).is_ok() {
        // SAFETY: nothing is mapped there, which ends the process.
        unsafe { memory::load(place) };
    }
}

/// A word at a place of the memory.
fn pattern(at: u64, seed: u64) -> u64 {
    (at ^ seed)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(17)
}

/// What memory of so many words adds up to.
fn sum(words: u64, word: impl Fn(u64) -> u64) -> u64 {
    (0..words).fold(0, |sum: u64, at| sum.rotate_left(1) ^ word(at))
}

fn large(checks: &mut Checks<'_, Veridian>, size: u64) -> Answer<()> {
    let child = family::start(b"summer", &[size], &[])?;
    let object = memory_of(size)?;
    let place = mmap(0, size, BOTH, map::SHARED, Some(object), 0)?;
    let words = size / 8;
    for at in 0..words {
        // SAFETY: the memory is mapped, and no reference is to it.
        unsafe { memory::store(place + at * 8, pattern(at, 1)) };
    }
    let mut response = [0; 8];
    let told = child.link.call(&[], &mut response, u64::MAX, object)?;
    checks.equal(format_args!("a number"), told.response_len, 8);
    let wanted = sum(words, |at| pattern(at, 1));
    checks.equal(
        format_args!("its sum"),
        u64::from_le_bytes(response),
        wanted,
    );
    // SAFETY: as above.
    let found = sum(words, |at| unsafe { memory::load(place + at * 8) });
    let wanted = sum(words, |at| pattern(at, 2));
    checks.equal(format_args!("what it left"), found, wanted);
    let ended = child.wait()?;
    checks.holds(format_args!("{}", ended.exit_code), ended.exit_code == 0);
    Ok(())
}

/// Sums up what it is given, and leaves something else there.
fn summer(checks: &mut Checks<'_, Veridian>, link: &Link, size: u64) {
    let Ok(told) = link.receive(&mut [], u64::MAX) else {
        return checks.holds(format_args!("a request"), false);
    };
    let token = Some(told.capability);
    let Ok(place) = mmap(0, size, BOTH, map::SHARED, token, 0) else {
        return checks.holds(format_args!("a mapping"), false);
    };
    let words = size / 8;
    // SAFETY: the memory is mapped, and no reference is to it.
    let found = sum(words, |at| unsafe { memory::load(place + at * 8) });
    for at in 0..words {
        // SAFETY: as above.
        unsafe { memory::store(place + at * 8, pattern(at, 2)) };
    }
    let replied = veridian::ipc::reply(told.reply_token, &found.to_le_bytes(), 0);
    checks.holds(format_args!("{replied:?}"), replied.is_ok());
}
