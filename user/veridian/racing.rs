//! Revocations of VeridianOS that race uses of what they revoke.
//!
//! Purpose: a revocation is one moment for everybody (spec §4.4). Two processes
//! use one memory object, by token and by mapping. `ROUNDS SEED`: in each round
//! three threads use what they have in a loop until it is gone, while a fourth
//! one revokes it at some time or other. Each of them must see success, then
//! that the token is none and the mapping is gone, and nothing in between, and
//! nothing of it after the revocation has come back.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::SeqCst;

use mayfly_abi::veridian::{SyscallError, clock, nr};
use mayfly_user::check::Checks;
use mayfly_user::programs::random::Random;
use mayfly_user::veridian::capability::{create, derive, kind, revoke, right, validate};
use mayfly_user::veridian::family::{self, GRANTS, Link};
use mayfly_user::veridian::granted;
use mayfly_user::veridian::memory::{self, PAGE, map, mmap, prot};
use mayfly_user::veridian::thread::{self, Stack};
use mayfly_user::{Process, System, Veridian, stub, veridian};

mayfly_user::program!(Veridian, run);

type Answer<T> = Result<T, Option<SyscallError>>;

const BOTH: u64 = prot::READ | prot::WRITE;
const RIGHTS: u64 = right::READ | right::WRITE | right::MODIFY | right::GRANT | right::REVOKE;
/// Turns that a revocation is late at most: some slices.
const LATE: u64 = 200_000;
/// Words of the page that both processes see: rounds whose revocation has come
/// back, users that have begun.
const REVOKED: u64 = 0;
const BEGUN: u64 = 8;
/// Users in all.
const USERS: u64 = 4;

/// Of the second thread.
static STACK: Stack = Stack::new();
/// What a round's users use, and which round it is, once the rest is there.
static TOKEN: AtomicU64 = AtomicU64::new(0);
static PLACE: AtomicU64 = AtomicU64::new(0);
static SHARED: AtomicU64 = AtomicU64::new(0);
static ROUND: AtomicU64 = AtomicU64::new(0);
/// The last round that the second thread is through with, and its failures.
static THROUGH: AtomicU64 = AtomicU64::new(0);
static WRONG: AtomicU64 = AtomicU64::new(0);

fn run(process: &Process<Veridian>) -> i32 {
    let arguments = process.arguments();
    let number = |index| arguments.number(index).unwrap_or(1);
    if arguments.get(1) == Some(b"child") {
        return match family::join(number(2)).and_then(|link| child(&link)) {
            Ok(()) => i32::try_from(WRONG.load(SeqCst)).unwrap_or(1),
            Err(_) => 90,
        };
    }
    let mut checks = Checks::new(process, "racing");
    let done = race(&mut checks, number(1), number(2));
    checks.holds(format_args!("no call failed: {done:?}"), done.is_ok());
    checks.equal(format_args!("wrong"), WRONG.load(SeqCst), 0);
    checks.finish()
}

fn race(checks: &mut Checks<'_, Veridian>, rounds: u64, seed: u64) -> Answer<()> {
    let mut random = Random::new(seed);
    let space = veridian::start_info().space_token;
    let shared = create(kind::MEMORY, PAGE, RIGHTS, space)?;
    let page = mmap(0, PAGE, BOTH, map::SHARED, Some(shared), 0)?;
    SHARED.store(page, SeqCst);
    let object = create(kind::MEMORY, PAGE, RIGHTS, space)?;
    let child = family::start(b"child", &[], &[shared])?;
    // SAFETY: only that thread uses the stack.
    unsafe { thread::create(use_rounds, &STACK, 0) }?;
    for round in 1..=rounds {
        let token = derive(object, RIGHTS)?;
        let place = mmap(0, PAGE, BOTH, map::SHARED, Some(token), 0)?;
        // SAFETY: the page is mapped, and no reference is to it.
        unsafe { memory::store(page + BEGUN, 0) };
        child.link.send(&round.to_le_bytes(), token)?;
        begin(token, place, round);
        while word(page + BEGUN) < USERS - 1 {
            let _ = veridian::yield_now();
        }
        for _ in 0..random.below(LATE) {
            core::hint::spin_loop();
        }
        revoke(token)?;
        // SAFETY: as above.
        unsafe { memory::store(page + REVOKED, round) };
        let seen = (validate(token, 0), tell_time(place));
        checks.holds(format_args!("round {round}: {seen:?}"), seen == GONE);
        let (heard, _) = child.link.hear()?;
        checks.equal(format_args!("the child's round"), heard, round);
        while THROUGH.load(SeqCst) < round {
            let _ = veridian::yield_now();
        }
        let valid = validate(object, RIGHTS);
        checks.holds(format_args!("the object: {valid:?}"), valid == Ok(()));
    }
    child.link.tell(0)?;
    let ended = child.wait()?;
    checks.holds(
        format_args!("wrong there: {}", ended.exit_code),
        ended.exit_code == 0,
    );
    Ok(())
}

/// What is seen of a token and its mapping.
type Seen = (Answer<()>, Answer<()>);

const GONE: Seen = (
    Err(Some(SyscallError::InvalidCapability)),
    Err(Some(SyscallError::InvalidAddress)),
);

/// Lets this process's second thread begin.
fn begin(token: u64, place: u64, round: u64) {
    TOKEN.store(token, SeqCst);
    PLACE.store(place, SeqCst);
    ROUND.store(round, SeqCst);
}

/// The child: uses what it is sent, until it is told that this is all.
fn child(link: &Link) -> Answer<()> {
    let page = mmap(0, PAGE, BOTH, map::SHARED, Some(granted()[GRANTS]), 0)?;
    SHARED.store(page, SeqCst);
    // SAFETY: only that thread uses the stack.
    unsafe { thread::create(use_rounds, &STACK, 0) }?;
    loop {
        let (round, told) = link.hear()?;
        if round == 0 {
            return Ok(());
        }
        let token = told.capability;
        let place = mmap(0, PAGE, BOTH, map::SHARED, Some(token), 0)?;
        begin(token, place, round);
        use_until_gone(round);
        while THROUGH.load(SeqCst) < round {
            let _ = veridian::yield_now();
        }
        link.tell(round)?;
    }
}

/// The second thread of a process.
extern "sysv64" fn use_rounds(_: u64) -> ! {
    let mut last = 0;
    loop {
        let round = ROUND.load(SeqCst);
        if round == last {
            let _ = veridian::yield_now();
            continue;
        }
        use_until_gone(round);
        last = round;
        THROUGH.store(round, SeqCst);
    }
}

/// Uses a token and a mapping until they are gone; notes what should not be.
fn use_until_gone(round: u64) {
    let (token, place, page) = (TOKEN.load(SeqCst), PLACE.load(SeqCst), SHARED.load(SeqCst));
    // SAFETY: the word is aligned, stays mapped, and once users have begun
    // changes only so.
    let begun = unsafe { AtomicU64::from_ptr((page + BEGUN) as *mut u64) };
    begun.fetch_add(1, SeqCst);
    let mut turn = 0_u64;
    loop {
        turn += 1;
        let over = word(page + REVOKED) >= round;
        // What is asked first must not be gone before what is asked second.
        let seen = match turn % 2 {
            0 => {
                let by_token = use_token(token, turn);
                (by_token, tell_time(place))
            }
            _ => {
                let by_mapping = tell_time(place);
                let by_token = use_token(token, turn);
                if by_mapping == GONE.1 && by_token != GONE.0 {
                    wrong();
                }
                (by_token, by_mapping)
            }
        };
        if turn.is_multiple_of(2) && seen.0 == GONE.0 && seen.1 != GONE.1 {
            wrong();
        }
        for (found, gone) in [(seen.0, GONE.0), (seen.1, GONE.1)] {
            if found != Ok(()) && found != gone {
                wrong();
            }
        }
        if over && seen != GONE {
            wrong();
        }
        if over || seen == GONE {
            break;
        }
    }
    // It stays so.
    if (use_token(token, 0), tell_time(place)) != GONE {
        wrong();
    }
}

fn wrong() {
    WRONG.fetch_add(1, SeqCst);
}

/// One of the ways to use a token.
fn use_token(token: u64, turn: u64) -> Answer<()> {
    let mut bytes = [0; 8];
    match turn / 2 % 4 {
        0 => validate(token, right::READ),
        1 => veridian::read(token, &mut bytes, 64).map(|_| ()),
        2 => veridian::write(token, &bytes, 64).map(|_| ()),
        _ => derive(token, right::REVOKE).and_then(revoke_derived),
    }
}

/// Takes back what was derived, unless it is gone by now.
fn revoke_derived(token: u64) -> Answer<()> {
    match revoke(token) {
        Err(Some(SyscallError::InvalidCapability)) => Ok(()),
        other => other,
    }
}

/// Has the kernel write to memory, if that is mapped.
fn tell_time(place: u64) -> Answer<()> {
    // SAFETY: the call writes to memory that nothing refers to, or not at all.
    let word = unsafe { stub::number_in_rax(nr::CLOCK_GET, [clock::MONOTONIC, place, 0, 0, 0, 0]) };
    match Veridian::error(word) {
        0 => Ok(()),
        code => Err(SyscallError::from_code(code)),
    }
}

/// A word of the page that both processes see.
fn word(address: u64) -> u64 {
    // SAFETY: the page stays mapped.
    unsafe { memory::load(address) }
}
