//! Bad addresses in every pointer argument of every call of PatchworkOS.
//!
//! Purpose: the rows of `kernel/abi` say which arguments are addresses; each
//! needs an entry here, or the test fails, so that a new call is tested, too.
//! Neighbours: `user/patchwork/badptr.rs` has what takes a second thread.

use mayfly::prelude::*;
use mayfly::table::{Argument, Kind, Row};

use super::files::open;

const PAGE: u64 = 4096;
/// Ends of the user range (`specs/patchwork.md` §9).
const USER_START: u64 = 0x40_0000;
const USER_END: u64 = 0x7fff_ffff_f000;
/// The page below the main thread's stack, and a page in it that nobody touches.
const GUARD: u64 = USER_END - 101 * PAGE;
const STACK: u64 = USER_END - 100 * PAGE;
/// A page full of 0xff that cannot be written, and nothing behind it.
const ONES: u64 = 0x20_0000_0000;
/// A page that can, and nothing behind it.
const WRITABLE: u64 = 0x20_0001_0000;

/// Addresses that are bad whatever is done there.
const BAD: [u64; 10] = [
    8,
    PAGE - 8,
    USER_START - 8,
    0x1234_5678_9000,
    // From a hole into what is mapped.
    STACK - 4,
    USER_END,
    0x8000_0000_0000,
    1 << 63,
    0xffff_8000_0000_0000,
    0xffff_ffff_8000_0000,
];
/// An address whose next 16 bytes wrap.
const WRAPPING: u64 = u64::MAX - 7;
/// Descriptors that [`Set::new`] opens.
const FILE: u64 = 3;
const DIRECTORY: u64 = 4;
const ZERO: u64 = 5;

/// What a call does with an address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Reads it.
    Read,
    /// Writes it.
    Write,
    /// Takes it as a range of the user range, which need not be mapped.
    Range,
    /// Nothing.
    Word,
}

/// How a call answers to an address.
struct Pointer {
    /// What it does there.
    used: Use,
    /// To null.
    null: Result<(), &'static str>,
    /// To one whose range wraps.
    wraps: &'static str,
}

/// The entry of a pointer argument (§2, §5, §7, §8).
fn pointer(row: &Row, argument: &Argument) -> Pointer {
    use Use::{Range, Read, Word, Write};
    let (used, null, wraps) = match (row.name, argument.name) {
        (_, "path" | "old" | "new" | "mountpoint") => (Read, Err("EINVAL"), "EFAULT"),
        ("SPAWN", "argv") => (Read, Err("EINVAL"), "EFAULT"),
        ("UNIX_EPOCH", "time") => (Write, Ok(()), "EFAULT"),
        ("OPEN2", "fds") => (Write, Err("EINVAL"), "EFAULT"),
        ("READ" | "GETDENTS", "buffer") => (Write, Err("EINVAL"), "EOVERFLOW"),
        ("WRITE", "buffer") | ("IOCTL", "argument") => (Read, Err("EINVAL"), "EOVERFLOW"),
        ("STAT", "stat") => (Write, Err("EINVAL"), "EOVERFLOW"),
        ("POLL", "fds") | ("SHARE", "key") => (Write, Err("EFAULT"), "EFAULT"),
        ("CLAIM", "key") => (Read, Err("EFAULT"), "EFAULT"),
        ("FUTEX", "address") => (Read, Err("EINVAL"), "EFAULT"),
        ("MMAP", "address") => (Range, Ok(()), "EOVERFLOW"),
        ("MUNMAP", "address") => (Range, Err("EFAULT"), "EFAULT"),
        ("MPROTECT", "address") => (Range, Err("EINVAL"), "EOVERFLOW"),
        ("THREAD_CREATE", "entry") => (Range, Err("EINVAL"), "EOVERFLOW"),
        ("THREAD_CREATE", "argument") => (Word, Ok(()), ""),
        (call, name) => panic!("{call}: the address {name} has no entry here"),
    };
    Pointer { used, null, wraps }
}

/// Arguments with which a call comes to look at its addresses.
fn usual(row: &Row) -> Vec<Arg> {
    let path = || text("/tmp/file");
    match row.name {
        "SPAWN" => args![inout([0; 16]), 0],
        "UNIX_EPOCH" => args![out(8)],
        "OPEN" | "REMOVE" => args![text("/none")],
        "CHDIR" => args![text("/tmp")],
        "OPEN2" => args![path(), out(16)],
        "READ" => args![FILE, out(16), 16],
        "WRITE" => args![FILE, out(16), 16],
        "GETDENTS" => args![DIRECTORY, out(272), 272],
        "IOCTL" => args![FILE, 0, out(16), 16],
        "POLL" => args![out(16), 1, 0],
        "STAT" => args![path(), out(168)],
        "MMAP" => args![ZERO, 0, 16, 3],
        "MUNMAP" | "MPROTECT" => args![0, 16, 3],
        "THREAD_CREATE" => args![0, 0],
        "FUTEX" => args![out(16), 0, 0, 0],
        "LINK" => args![path(), text("/tmp/file")],
        "SHARE" => args![out(16), FILE, 0],
        "CLAIM" => args![out(16)],
        "BIND" => args![99, text("/tmp"), 0],
        "OPENAT" => args![DIRECTORY, text("none")],
        call => panic!("{call} has no arguments here"),
    }
}

fn is_pointer(argument: &Argument) -> bool {
    use Kind::{Address, Input, Load, Output, Store, Text};
    matches!(
        argument.kind,
        Address | Input | Load | Output | Store | Text
    )
}

/// A probe with what the calls of this file use.
struct Set<'vm> {
    vm: &'vm Vm,
    probe: Probe<'vm>,
    rows: Vec<&'static Row>,
}

impl<'vm> Set<'vm> {
    fn new(vm: &'vm Vm) -> Result<Self> {
        let probe = vm.probe(Abi::Patchwork)?;
        assert_eq!(open(&probe, "/tmp/file:c")?, FILE);
        assert_eq!(open(&probe, "/tmp:d")?, DIRECTORY);
        assert_eq!(open(&probe, "/dev/zero")?, ZERO);
        let one = open(&probe, "/dev/one")?;
        for (fd, address, prot) in [(one, ONES, 1), (ZERO, WRITABLE, 3)] {
            let call = probe.call(patchwork::MMAP, args![fd, address, PAGE, prot])?;
            assert_eq!(call.result, Ok(address));
        }
        probe.call(patchwork::CLOSE, args![one])?;
        let rows = vm.served(Abi::Patchwork)?;
        Ok(Self { vm, probe, rows })
    }

    /// Every pointer argument of the calls that are served: call, place, entry.
    fn pointers(&self) -> impl Iterator<Item = (&'static Row, usize, Pointer)> {
        let of = |row: &'static Row| {
            let places = row.arguments.iter().enumerate();
            let pointers = places.filter(|(_, argument)| is_pointer(argument));
            pointers.map(move |(place, argument)| (row, place, pointer(row, argument)))
        };
        self.rows.iter().copied().flat_map(of)
    }

    /// Makes a call with an address in one place; the kernel goes on after it.
    fn call(&self, row: &Row, place: usize, address: u64) -> Result<Result<(), &'static str>> {
        let mut arguments = usual(row);
        arguments[place] = Arg::Value(address);
        let call = self.probe.call(row.number, arguments)?;
        self.vm.ping()?;
        Ok(call.result.map(drop))
    }

    /// Makes every call with every bad address.
    fn refuse_all(&self) -> Result<usize> {
        let mut count = 0;
        for (row, place, pointer) in self.pointers() {
            let name = row.arguments[place].name;
            let mut expect = |address: u64, expected: Result<(), &str>| -> Result<()> {
                let result = self.call(row, place, address)?;
                assert_eq!(result, expected, "{row} with {name} = {address:#x}");
                count += 1;
                Ok(())
            };
            if pointer.used == Use::Word {
                continue;
            }
            for address in BAD {
                let in_range = (USER_START..USER_END).contains(&address);
                if pointer.used != Use::Range || !in_range {
                    expect(address, Err("EFAULT"))?;
                }
            }
            // From the last mapped bytes into a hole.
            match pointer.used {
                Use::Read => expect(ONES + PAGE - 4, Err("EFAULT"))?,
                Use::Write => expect(WRITABLE + PAGE - 4, Err("EFAULT"))?,
                Use::Range | Use::Word => {}
            }
            expect(WRAPPING, Err(pointer.wraps))?;
            if pointer.used == Use::Write {
                expect(ONES, Err("EFAULT"))?;
                expect(USER_START, Err("EFAULT"))?;
            }
            // A mapping that is made stays; null lets the kernel choose.
            if pointer.null.is_err() || row.number == patchwork::UNIX_EPOCH {
                expect(0, pointer.null)?;
            }
        }
        Ok(count)
    }
}

#[mayfly::test]
fn no_bad_address_is_taken_by_any_call(vm: Vm) -> Result<()> {
    let set = Set::new(&vm)?;
    assert!(set.refuse_all()? > 200);
    let before = vm.stats()?;
    set.refuse_all()?;
    assert_eq!(vm.stats()?, before, "refused calls leave nothing");
    assert_eq!(open(&set.probe, "/tmp/file")?, 6, "nor a descriptor");
    assert!(vm.spawn("patchwork-hello").run()?.status.success());
    Ok(())
}

#[mayfly::test]
fn a_page_of_ones_own_stack_comes_with_the_call_that_names_it(vm: Vm) -> Result<()> {
    let set = Set::new(&vm)?;
    let mut page = STACK + 2 * PAGE;
    for (row, place, pointer) in set.pointers() {
        if matches!(pointer.used, Use::Read | Use::Write) {
            // From one page that nobody has touched into the next.
            let result = set.call(row, place, page - 4)?;
            let refused = matches!(result, Err("EFAULT" | "EOVERFLOW"));
            // Zeros are no address of a string.
            assert!(!refused, "{row}: {result:?}");
            page += 2 * PAGE;
        }
    }
    assert!(page < USER_END - 16 * PAGE, "the stack in use is near");
    let call = set.probe.call(patchwork::UNIX_EPOCH, args![GUARD])?;
    assert_eq!(call.result, Err("EFAULT"));
    Ok(())
}
