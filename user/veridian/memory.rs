//! Memory of VeridianOS: mapped, changed and unmapped in every way (T04).
//!
//! Purpose: the answer to each combination of protection, flags and token is
//! compared with the rules of spec §5 and §8, and what is mapped is used.
//!
//! - `matrix`: every protection with every set of flags and each kind of token.
//! - `places`: hints, FIXED and overlaps; POPULATE takes all or nothing.
//! - `regions`: mappings until there is no room for one more.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::veridian::SyscallError::{
    AlreadyExists, InvalidAddress, InvalidCapability, InvalidParameter, NotFound, OutOfMemory,
    PermissionDenied, ResourceExhausted,
};
use mayfly_abi::veridian::{SyscallError, clock, nr};
use mayfly_user::check::Checks;
use mayfly_user::veridian::capability::{create, derive, kind, right};
use mayfly_user::veridian::memory::{self, PAGE, map, mmap, prot};
use mayfly_user::{Process, System, Veridian, stub, veridian};

mayfly_user::program!(Veridian, run);

type Answer<T> = Result<T, Option<SyscallError>>;

/// Where nothing is.
const FREE: u64 = 0x20_0000_0000;
const ANY: u64 = map::PRIVATE | map::ANONYMOUS;
const BOTH: u64 = prot::READ | prot::WRITE;

fn run(process: &Process<Veridian>) -> i32 {
    let mut checks = Checks::new(process, "memory");
    match process.arguments().get(1).unwrap_or(b"") {
        b"matrix" => matrix(&mut checks),
        b"places" => places(&mut checks),
        b"regions" => regions(&mut checks),
        _ => checks.holds(format_args!("an argument says what to do"), false),
    }
    checks.finish()
}

fn expect<T: core::fmt::Debug + PartialEq>(
    checks: &mut Checks<'_, Veridian>,
    what: core::fmt::Arguments<'_>,
    found: Answer<T>,
    wanted: Answer<T>,
) {
    let same = found == wanted;
    checks.holds(format_args!("{what}: {found:?}, not {wanted:?}"), same);
}

fn refused<T>(error: SyscallError) -> Answer<T> {
    Err(Some(error))
}

fn unmap(address: u64, length: u64) -> Answer<()> {
    // SAFETY: nothing refers to memory that this program maps: it is read and
    // written by address.
    unsafe { memory::munmap(address, length) }
}

fn protect(address: u64, length: u64, prot: u64) -> Answer<()> {
    // SAFETY: as above.
    unsafe { memory::mprotect(address, length, prot) }
}

/// What the rules say of a mapping of one page, in the order of §2.5. `rights`
/// are those of the token; `None` is the null token.
fn rule(prot: u64, flags: u64, rights: Option<u64>) -> Answer<()> {
    let has = |flag| flags & flag != 0;
    if prot > 7 || flags > 31 || has(map::PRIVATE) == has(map::SHARED) {
        return refused(InvalidParameter);
    }
    if rights.is_none() && !has(map::ANONYMOUS) {
        return refused(InvalidCapability);
    }
    if prot & prot::WRITE != 0 && prot & prot::EXEC != 0 {
        return refused(PermissionDenied);
    }
    let Some(rights) = rights.filter(|_| !has(map::ANONYMOUS)) else {
        return Ok(());
    };
    let mut needed = right::MODIFY;
    if prot & prot::READ != 0 {
        needed |= right::READ;
    }
    if prot & prot::EXEC != 0 {
        needed |= right::EXECUTE;
    }
    if prot & prot::WRITE != 0 {
        // What can be written can be read, and a copy needs no more than that.
        needed |= right::READ;
        needed |= if has(map::SHARED) { right::WRITE } else { 0 };
    }
    match rights & needed == needed {
        true => Ok(()),
        false => refused(PermissionDenied),
    }
}

fn matrix(checks: &mut Checks<'_, Veridian>) {
    let all = right::READ | right::WRITE | right::EXECUTE | right::MODIFY;
    let space = veridian::start_info().space_token;
    let object = create(kind::MEMORY, PAGE, all | right::REVOKE, space).unwrap_or(0);
    let derived = |rights| (derive(object, rights).unwrap_or(0), Some(rights));
    let tokens = [
        (0, None),
        derived(all),
        derived(right::READ | right::MODIFY),
        derived(right::READ | right::WRITE),
        derived(right::WRITE | right::MODIFY),
        derived(right::EXECUTE | right::MODIFY),
    ];
    for (token, rights) in tokens {
        for protection in 0..9 {
            for flags in 0..33 {
                let what = format_args!("prot {protection} flags {flags:#x} rights {rights:x?}");
                let wanted = rule(protection, flags, rights);
                let address = if flags & map::FIXED == 0 { 0 } else { FREE };
                let token = (token != 0).then_some(token);
                let mapped = mmap(address, PAGE, protection, flags, token, 0);
                expect(checks, what, mapped.map(|_| ()), wanted);
                let Ok(place) = mapped else {
                    continue;
                };
                use_page(checks, place, protection);
                expect(checks, what, unmap(place, PAGE), Ok(()));
                expect(checks, what, unmap(place, PAGE), Err(Some(NotFound)));
            }
        }
    }
}

/// What a protection allows can be done.
fn use_page(checks: &mut Checks<'_, Veridian>, place: u64, protection: u64) {
    if protection & prot::WRITE != 0 {
        // SAFETY: the page is mapped, and can be written.
        unsafe { memory::store(place, place) };
    }
    if protection & BOTH != 0 {
        // SAFETY: the page is mapped, and can be read.
        let word = unsafe { memory::load(place) };
        let written = protection & prot::WRITE != 0;
        let fine = word == place || !written;
        checks.holds(format_args!("{place:#x} holds {word:#x}"), fine);
    }
    // The kernel keeps to it too.
    let told = tell_time(place);
    let wanted = match protection & prot::WRITE {
        0 => Err(Some(InvalidAddress)),
        _ => Ok(()),
    };
    expect(checks, format_args!("time to {protection}"), told, wanted);
}

/// CLOCK_GET, to an address.
fn tell_time(place: u64) -> Answer<()> {
    // SAFETY: the call writes to memory that nothing refers to, or not at all.
    let word = unsafe { stub::number_in_rax(nr::CLOCK_GET, [clock::MONOTONIC, place, 0, 0, 0, 0]) };
    match Veridian::error(word) {
        0 => Ok(()),
        code => Err(SyscallError::from_code(code)),
    }
}

fn places(checks: &mut Checks<'_, Veridian>) {
    let fixed = ANY | map::FIXED;
    let at = |address, length, flags| mmap(address, length, BOTH, flags, None, 0);
    expect(
        checks,
        format_args!("fixed"),
        at(FREE, PAGE, fixed),
        Ok(FREE),
    );
    // SAFETY: the page is mapped.
    unsafe { memory::store(FREE, 0x1234) };
    for (address, length) in [
        (FREE, 1),
        (FREE - PAGE, 2 * PAGE),
        (FREE - PAGE, 3 * PAGE),
        (FREE, 2 * PAGE),
    ] {
        for flags in [fixed, fixed | map::POPULATE] {
            let over = at(address, length, flags);
            let what = format_args!("over {address:#x} {length:#x}");
            expect(checks, what, over, refused(AlreadyExists));
        }
    }
    // SAFETY: as above.
    let kept = unsafe { memory::load(FREE) };
    checks.equal(format_args!("what was there"), kept, 0x1234);
    let beside = at(FREE, PAGE, ANY);
    checks.holds(
        format_args!("a hint is none where something is: {beside:x?}"),
        beside.is_ok_and(|place| place != FREE),
    );
    expect(
        checks,
        format_args!("a hint"),
        at(FREE + 9 * PAGE + 5, 1, ANY),
        Ok(FREE + 9 * PAGE),
    );
    for address in [0, 1, PAGE - 1, FREE + 1] {
        let what = format_args!("fixed at {address:#x}");
        expect(
            checks,
            what,
            at(address, PAGE, fixed),
            refused(InvalidParameter),
        );
    }
    for address in [PAGE, 0x7fff_ffff_f000, 1 << 47, u64::MAX << 47] {
        let what = format_args!("fixed at {address:#x}");
        expect(
            checks,
            what,
            at(address, PAGE, fixed),
            refused(InvalidAddress),
        );
    }
    // All pages or none: the whole of memory is not there.
    let huge = 1 << 40;
    let far = FREE + (1 << 36);
    let populated = at(far, huge, fixed | map::POPULATE);
    expect(
        checks,
        format_args!("all of it"),
        populated,
        refused(OutOfMemory),
    );
    expect(
        checks,
        format_args!("nothing of it"),
        unmap(far, huge),
        refused(NotFound),
    );
    expect(
        checks,
        format_args!("promised"),
        at(far, huge, fixed),
        Ok(far),
    );
    expect(checks, format_args!("taken back"), unmap(far, huge), Ok(()));
    let some = at(far, 16 * PAGE, fixed | map::POPULATE);
    expect(checks, format_args!("some of it"), some, Ok(far));
    for page in 0..16 {
        // SAFETY: the pages are mapped.
        let word = unsafe { memory::load(far + page * PAGE + 8) };
        checks.equal(format_args!("page {page}"), word, 0);
    }
    // The middle goes, the rest stays; a protection is for all or nothing.
    let middle = unmap(far + 4 * PAGE, 8 * PAGE);
    expect(checks, format_args!("the middle"), middle, Ok(()));
    let across = protect(far, 16 * PAGE, prot::READ);
    expect(
        checks,
        format_args!("across"),
        across,
        refused(InvalidAddress),
    );
    // SAFETY: the page is mapped, and nothing has changed its protection.
    unsafe { memory::store(far, 1) };
    let both = protect(far, PAGE, prot::WRITE | prot::EXEC);
    expect(
        checks,
        format_args!("W and X"),
        both,
        refused(PermissionDenied),
    );
    let unknown = protect(far, PAGE, 8);
    expect(
        checks,
        format_args!("8"),
        unknown,
        refused(InvalidParameter),
    );
    jit(checks);
}

/// Code that is written first, and executed then.
fn jit(checks: &mut Checks<'_, Veridian>) {
    let Ok(place) = mmap(0, PAGE, BOTH, ANY, None, 0) else {
        return checks.holds(format_args!("a page for code"), false);
    };
    // MOV EAX, 42; RET.
    // SAFETY: the page is mapped.
    unsafe { memory::store(place, 0x0000_c300_0000_2ab8) };
    let changed = protect(place, PAGE, prot::READ | prot::EXEC);
    expect(checks, format_args!("R and X"), changed, Ok(()));
    // SAFETY: the function lies there, and keeps to its convention.
    let function: extern "sysv64" fn() -> u32 = unsafe { core::mem::transmute(place as *const ()) };
    checks.equal(format_args!("its answer"), function().into(), 42);
}

fn regions(checks: &mut Checks<'_, Veridian>) {
    // Downwards, as regions are kept: each is the last one then.
    let mut made = 0;
    let full = loop {
        // Neighbours with two protections are never joined.
        let protection = [prot::READ, BOTH][usize::from(made % 2 == 1)];
        let fixed = ANY | map::FIXED;
        match mmap(FREE - made * PAGE, PAGE, protection, fixed, None, 0) {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
    };
    checks.holds(
        format_args!("no room for more: {full:?}"),
        full == Some(ResourceExhausted),
    );
    checks.holds(format_args!("{made} mappings"), made > 1000);
    let gone = unmap(FREE - made / 2 * PAGE, 2 * PAGE);
    expect(checks, format_args!("two go"), gone, Ok(()));
    let again = mmap(0, PAGE, BOTH, ANY, None, 0).map(|_| ());
    expect(checks, format_args!("and make room"), again, Ok(()));
}
