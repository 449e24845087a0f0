//! Capabilities within one process of VeridianOS.
//!
//! Purpose: tokens that are derived, used, forged and revoked (spec §4). The
//! first argument says what is done:
//!
//! - `rights`: deriving narrows, validation says what is missing.
//! - `reuse N`: N revocations; no old token is ever valid again.
//! - `full`: 1,024 tokens, and not one more until one goes.
//! - `guess SEED N`: N guesses at tokens, none of which reaches anything.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::veridian::SyscallError;
use mayfly_user::check::Checks;
use mayfly_user::registers::Noise;
use mayfly_user::veridian::capability::{create, derive, kind, revoke, right, validate};
use mayfly_user::{Process, Veridian, say, veridian};

mayfly_user::program!(Veridian, run);

type Answer = Result<(), Option<SyscallError>>;

const DENIED: Answer = Err(Some(SyscallError::PermissionDenied));
const INVALID: Answer = Err(Some(SyscallError::InvalidCapability));

fn run(process: &Process<Veridian>) -> i32 {
    let mut checks = Checks::new(process, "capabilities");
    let number = |index| process.arguments().number(index).unwrap_or(1);
    match process.arguments().get(1).unwrap_or(b"") {
        b"rights" => rights(&mut checks),
        b"reuse" => reuse(&mut checks, number(2)),
        b"full" => full(&mut checks),
        b"guess" => {
            say!(process, "seed {}", number(2));
            guess(&mut checks, number(2), number(3));
        }
        _ => checks.holds(format_args!("an argument says what to do"), false),
    }
    checks.finish()
}

fn rights(checks: &mut Checks<'_, Veridian>) {
    let console = veridian::console();
    let mut expect = |what: &str, found: Answer, wanted: Answer| {
        checks.holds(format_args!("{what}: {found:?}"), found == wanted);
    };
    expect(
        "console",
        validate(console, right::READ | right::WRITE),
        Ok(()),
    );
    expect("no such right", validate(console, right::EXECUTE), DENIED);
    let all = right::READ | right::WRITE | right::GRANT | right::REVOKE;
    for rights in 0..256 {
        let derived = derive(console, rights);
        if rights & !all != 0 {
            expect("superset", derived.map(|_| ()), DENIED);
            continue;
        }
        let token = derived.unwrap_or(0);
        expect("subset", validate(token, rights), Ok(()));
        for more in (0..8).map(|bit| 1 << bit).filter(|bit| rights & bit == 0) {
            expect("right not asked for", validate(token, more), DENIED);
        }
        let may = rights & right::REVOKE != 0;
        expect(
            "revocation",
            revoke(token),
            if may { Ok(()) } else { DENIED },
        );
    }
    expect("null", validate(0, 0), INVALID);
    expect("forged", validate(console ^ 1 << 17, 0), INVALID);
    expect(
        "another process's",
        validate(console.wrapping_add(1 << 20), 0),
        INVALID,
    );
    expect("a derived null", derive(0, 0).map(|_| ()), INVALID);
}

fn reuse(checks: &mut Checks<'_, Veridian>, count: u64) {
    let console = veridian::console();
    let first = derive(console, right::REVOKE).unwrap_or(0);
    let mut last = first;
    for round in 0..count {
        let revoked = revoke(last);
        checks.holds(
            format_args!("round {round}: {revoked:?}"),
            revoked == Ok(()),
        );
        let token = derive(console, right::REVOKE).unwrap_or(0);
        for old in [first, last] {
            let found = validate(old, 0);
            checks.holds(
                format_args!("round {round}: old token {found:?}"),
                found == INVALID,
            );
        }
        checks.holds(
            format_args!("round {round}: a new token"),
            token != last && token != first,
        );
        last = token;
    }
}

fn full(checks: &mut Checks<'_, Veridian>) {
    let (console, space) = (veridian::console(), veridian::start_info().space_token);
    let exhausted = Err(Some(SyscallError::ResourceExhausted));
    let (mut made, mut last) = (0, 0);
    while let Ok(token) = derive(console, right::REVOKE) {
        (made, last) = (made + 1, token);
    }
    // Those that it was started with are among the 1,024.
    checks.holds(format_args!("{made} made"), (1000..1024).contains(&made));
    let derived = derive(console, 0);
    checks.holds(format_args!("derived: {derived:?}"), derived == exhausted);
    let minted = create(kind::DEVICE, 1, right::READ, space);
    checks.holds(format_args!("minted: {minted:?}"), minted == exhausted);
    let revoked = revoke(last);
    checks.holds(format_args!("revoked: {revoked:?}"), revoked == Ok(()));
    let derived = derive(console, 0);
    checks.holds(format_args!("derived again: {derived:?}"), derived.is_ok());
}

/// Guesses: words at random, near real tokens, and old ones; with each, calls
/// that would reach something.
fn guess(checks: &mut Checks<'_, Veridian>, seed: u64, count: u64) {
    let mut random = Noise(seed);
    let info = veridian::start_info();
    let real = [veridian::console(), info.space_token, info.process_token];
    let old = real.map(|token| derive(token, 0).unwrap_or(0));
    let dead = derive(veridian::console(), right::REVOKE | right::WRITE).unwrap_or(0);
    let _ = revoke(dead);
    for _ in 0..count {
        let near = real[(random.draw() % 3) as usize];
        let token = match random.draw() % 6 {
            0 => random.draw(),
            1 => near ^ 1 << (random.draw() % 64),
            2 => near.wrapping_add(random.draw() % 256) & !(7 << 60) | (random.draw() % 8) << 60,
            3 => dead,
            4 => near & 0xffff | random.draw() << 16,
            _ => random.draw() % 0x1_0000,
        };
        if real.contains(&token) || old.contains(&token) {
            continue;
        }
        let id = random.draw() % 64;
        let reached = match random.draw() % 5 {
            0 => validate(token, 0),
            1 => derive(token, 0).map(|_| ()),
            2 => revoke(token),
            3 => create(random.draw() % 11, id, 0, token).map(|_| ()),
            _ => veridian::write(token, b"!", 0).map(|_| ()),
        };
        checks.holds(format_args!("{token:#x}: {reached:?}"), reached == INVALID);
    }
}
