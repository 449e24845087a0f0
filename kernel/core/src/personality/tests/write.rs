//! Output of programs, and the order in which WRITE checks its arguments.

use mayfly_abi::{Abi, patchwork, veridian};

use super::{errno, one};
use crate::fake::bench::{Bench, request};
use crate::fake::image::{DATA, DATA_SIZE, pattern};
use crate::kernel::SpawnRequest;
use crate::object::capability::{Object, Rights};
use crate::object::process::ProcessKey;
use crate::object::stream::Stream;

const ERR: u64 = patchwork::ERR;
const PAGE: u64 = DATA + 0x1000;
const END: u64 = DATA + DATA_SIZE;
const KERNEL: u64 = 0xffff_8000_0000_0000;
const MIB_256: u64 = 256 << 20;

/// WRITE of PatchworkOS: its result, and the error number if it failed.
fn patchwork_write(bench: &mut Bench, key: ProcessKey, arguments: [u64; 3]) -> Result<u64, u64> {
    match bench.call(key, patchwork::nr::WRITE, &arguments) {
        ERR => Err(errno(bench, key)),
        count => Ok(count),
    }
}

#[test]
fn patchwork_descriptors_1_and_2_are_output_and_error() {
    let (mut bench, key) = one(Abi::Patchwork);
    bench.poke(key, PAGE, b"hello world");
    assert_eq!(patchwork_write(&mut bench, key, [1, PAGE, 5]), Ok(5));
    assert_eq!(patchwork_write(&mut bench, key, [2, PAGE + 6, 5]), Ok(5));
    assert_eq!(bench.output(1, 1), b"hello");
    assert_eq!(bench.output(1, 2), b"world");
}

#[test]
fn nothing_is_written_for_no_bytes() {
    let (mut bench, key) = one(Abi::Patchwork);
    for address in [PAGE, 8, END] {
        assert_eq!(patchwork_write(&mut bench, key, [1, address, 0]), Ok(0));
    }
    assert!(bench.kernel.host.outputs.is_empty());
}

#[test]
fn patchwork_checks_in_the_order_of_its_spec() {
    let (mut bench, key) = one(Abi::Patchwork);
    bench.poke(key, END - 1, b"x");
    for (fd, address, count, errno) in [
        // An unknown descriptor comes before all else.
        (3, 0, 0, 9),
        (3, PAGE, 1, 9),
        (u64::MAX, u64::MAX, u64::MAX, 9),
        // Then null, even for no bytes.
        (0, 0, 0, 22),
        (1, 0, 0, 22),
        (2, 0, 5, 22),
        (1, 0, u64::MAX, 22),
        // Then a range that wraps.
        (1, u64::MAX, 1, 75),
        (2, PAGE, u64::MAX, 75),
        (0, PAGE, u64::MAX, 75),
        // Then memory that is not there.
        (1, KERNEL, 1, 14),
        (1, 8, 1, 14),
        (2, END, 1, 14),
        (1, END - 1, 2, 14),
        (0, END, 1, 14),
        // Then a descriptor without such an operation.
        (0, PAGE, 1, 38),
        (0, PAGE, 0, 38),
    ] {
        let written = patchwork_write(&mut bench, key, [fd, address, count]);
        assert_eq!(written, Err(errno), "{fd} {address:#x} {count:#x}");
    }
    assert!(
        bench.kernel.host.outputs.is_empty(),
        "something was written"
    );
}

#[test]
fn output_over_pages_comes_whole_and_in_order() {
    for (start, length) in [
        (0, 1),
        (4095, 1),
        (4095, 2),
        (10, 3 * 4096),
        (0xfff, 0x6001),
    ] {
        let (mut bench, key) = one(Abi::Patchwork);
        let bytes: Vec<u8> = (0..length).map(pattern).collect();
        bench.poke(key, DATA + start, &bytes);
        assert_eq!(
            patchwork_write(&mut bench, key, [1, DATA + start, length]),
            Ok(length)
        );
        assert!(bench.output(1, 1) == bytes, "{start} {length}");
    }
}

#[test]
fn long_output_comes_in_several_parts() {
    let (mut bench, key) = one(Abi::Patchwork);
    // The stack is the only region with so many pages.
    let start = 0x7fff_ffff_f000 - 100 * 4096 + 100;
    let bytes: Vec<u8> = (0..80 * 4096).map(pattern).collect();
    bench.poke(key, start, &bytes);
    let length = bytes.len() as u64;
    assert_eq!(
        patchwork_write(&mut bench, key, [1, start, length]),
        Ok(length)
    );
    assert!(bench.output(1, 1) == bytes);
    // 81 pages, 14 at a time.
    assert_eq!(bench.kernel.host.outputs.len(), 6);
}

#[test]
fn output_may_be_of_pages_that_were_never_touched() {
    let (mut bench, key) = one(Abi::Patchwork);
    assert_eq!(
        patchwork_write(&mut bench, key, [1, END - 0x2000, 0x2000]),
        Ok(0x2000)
    );
    assert_eq!(bench.output(1, 1), vec![0; 0x2000]);
}

#[test]
fn all_of_an_output_must_be_readable_before_any_goes_out() {
    let (mut bench, key) = one(Abi::Patchwork);
    let written = patchwork_write(&mut bench, key, [1, END - 0x3000, 0x3001]);
    assert_eq!(written, Err(14));
    assert!(bench.kernel.host.outputs.is_empty());
}

#[test]
fn no_memory_for_a_page_of_output_is_enomem() {
    let (mut bench, key) = one(Abi::Patchwork);
    bench.kernel.machine.allocations_left = 1;
    let written = patchwork_write(&mut bench, key, [1, END - 0x2000, 0x2000]);
    assert_eq!(written, Err(12));
    assert!(bench.kernel.host.outputs.is_empty());
}

/// A VeridianOS process with its console's token.
fn veridian_console() -> (Bench, ProcessKey, u64) {
    let (mut bench, key) = one(Abi::Veridian);
    let info = bench.registers(key).rdi;
    let granted = bench.peek_word(key, info + 64);
    let token = bench.peek_word(key, granted);
    (bench, key, token)
}

fn veridian_write(bench: &mut Bench, key: ProcessKey, arguments: [u64; 4]) -> Result<u64, u64> {
    let word = bench.call(key, veridian::nr::WRITE, &arguments);
    match word & veridian::ERROR_BIT {
        0 => Ok(word),
        bit => Err(word ^ bit),
    }
}

#[test]
fn the_veridian_console_takes_bytes_at_any_offset() {
    let (mut bench, key, console) = veridian_console();
    bench.poke(key, PAGE, b"hello");
    for offset in [0, 77, u64::MAX - 5] {
        assert_eq!(
            veridian_write(&mut bench, key, [console, PAGE, 5, offset]),
            Ok(5)
        );
    }
    assert_eq!(bench.output(1, 1), b"hellohellohello");
}

#[test]
fn veridian_checks_in_the_order_of_its_spec() {
    let (mut bench, key, console) = veridian_console();
    let mut tokens = [0; 3];
    bench.with_process(key, |kernel, running| {
        let mut insert = |object, rights| {
            let granted = kernel.grant(&mut running.process, object, rights, None);
            granted.unwrap()
        };
        let space = Object::CapSpace {
            owner: 1,
            boot: true,
        };
        tokens = [
            insert(Object::Process { key, id: 1 }, Rights::WRITE),
            insert(space, Rights::WRITE),
            insert(Object::Device(Stream::Output), Rights::READ),
        ];
    });
    let [process, space, read_only] = tokens;
    for (token, address, count, offset, error) in [
        // Lengths and ranges.
        (0, 0, MIB_256 + 1, 0, 1),
        (console, PAGE, MIB_256 + 1, 0, 1),
        (0, 0, 1, u64::MAX, 1),
        (read_only, 0, 2, u64::MAX - 1, 1),
        // Then the token and its type.
        (0, 0, 1, 0, 9),
        (0, PAGE, 0, 0, 9),
        (console ^ 1 << 40, 0, 1, 0, 9),
        (process, 0, 1, 0, 9),
        (space, PAGE, 0, 0, 9),
        // Then its rights.
        (read_only, 0, 1, 0, 2),
        (read_only, PAGE, 0, 0, 2),
        // Then the pointer.
        (console, 0, 1, 0, 11),
        (console, 8, 1, 0, 11),
        (console, END - 1, 2, 0, 11),
        (console, KERNEL, 1, 0, 11),
        (console, u64::MAX, 2, 0, 11),
        (console, PAGE, MIB_256, 0, 11),
    ] {
        let written = veridian_write(&mut bench, key, [token, address, count, offset]);
        assert_eq!(
            written,
            Err(error),
            "{token:#x} {address:#x} {count:#x} {offset:#x}"
        );
    }
    assert!(
        bench.kernel.host.outputs.is_empty(),
        "something was written"
    );
}

#[test]
fn veridian_takes_any_pointer_for_no_bytes() {
    let (mut bench, key, console) = veridian_console();
    for address in [0, 8, KERNEL, u64::MAX] {
        assert_eq!(
            veridian_write(&mut bench, key, [console, address, 0, 0]),
            Ok(0)
        );
    }
}

#[test]
fn a_process_at_its_frame_limit_cannot_write_from_new_pages() {
    let mut bench = Bench::new();
    let limited = SpawnRequest {
        frames_max: 12,
        ..request("patchwork")
    };
    let key = bench.kernel.spawn(&limited).unwrap();
    assert_eq!(
        patchwork_write(&mut bench, key, [1, DATA, DATA_SIZE]),
        Err(12)
    );
}
