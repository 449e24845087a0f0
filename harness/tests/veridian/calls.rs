//! Single calls of VeridianOS, made by a probe (`specs/veridian.md` §5).
//!
//! Purpose: each served call, its success and its errors, in the order of
//! checks that the specification rules. Neighbours: `programs.rs` runs whole
//! programs.

use mayfly::prelude::*;

/// Addresses that no call may accept.
const BAD: [u64; 6] = [
    0,
    8,
    0x1234_5678_9000,
    0x8000_0000_0000,
    0xffff_8000_0000_0000,
    0xffff_ffff_8000_0000,
];
/// Bit of the result word that says "error".
const ERROR: u64 = 1 << 63;

#[mayfly::test(covers = "veridian YIELD")]
fn a_yield_comes_back(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    assert_eq!(probe.call(veridian::YIELD, args![])?.result, Ok(0));
    Ok(())
}

#[mayfly::test]
fn the_null_call_is_within_its_budget(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    // An unassigned number, as the specification measures it.
    let call = probe.call(0, args![])?;
    assert_eq!(
        (call.value, call.result),
        (ERROR | 14, Err("InvalidSyscall"))
    );
    budget!(call, kernel_instr <= 64);
    Ok(())
}

#[mayfly::test(covers = "veridian CLOCK_GET")]
fn clocks_go_on(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    for clock in [0, 1] {
        let time = |call: &CallResult| (call.word(0, 0), call.word(0, 1));
        let first = probe.call(veridian::CLOCK_GET, args![clock, out(16)])?;
        let second = probe.call(veridian::CLOCK_GET, args![clock, out(16)])?;
        assert_eq!((first.result, second.result), (Ok(0), Ok(0)));
        assert!(time(&second) > time(&first), "clock {clock}");
        assert!(
            first
                .word(0, 1)
                .is_some_and(|nanoseconds| nanoseconds < 1_000_000_000)
        );
    }
    Ok(())
}

#[mayfly::test(
    covers = "veridian CLOCK_GET InvalidParameter, veridian CLOCK_GET InvalidAddress, veridian CLOCK_GET NotSupported"
)]
fn a_clock_that_cannot_be_read_says_why(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    for clock in [4_u64, 99, 1 << 32, u64::MAX] {
        let call = probe.call(veridian::CLOCK_GET, args![clock, out(16)])?;
        assert_eq!(call.result, Err("InvalidParameter"), "{clock:#x}");
        assert_eq!(call.buffers, [vec![0; 16]], "nothing is written on error");
    }
    // The times of a process and of a thread have numbers, and nobody keeps them.
    for clock in [2, 3] {
        let call = probe.call(veridian::CLOCK_GET, args![clock, out(16)])?;
        assert_eq!(call.result, Err("NotSupported"), "{clock}");
        assert_eq!(call.buffers, [vec![0; 16]], "nothing is written on error");
    }
    for address in BAD {
        let call = probe.call(veridian::CLOCK_GET, args![1, address])?;
        assert_eq!(call.result, Err("InvalidAddress"), "{address:#x}");
    }
    let unaligned = args![1, Arg::Inside(2, 4), out(32)];
    let error = probe.call(veridian::CLOCK_GET, unaligned).unwrap_err();
    assert_eq!(error.kind(), "usage", "a pointer into a later buffer");
    Ok(())
}

#[mayfly::test(
    covers = "veridian CLOCK_GET InvalidAddress, veridian NANOSLEEP InvalidAddress, veridian CLOCK_GET InvalidParameter"
)]
fn a_structure_must_be_aligned(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let unaligned = BUFFER + 4;
    for clock in [0, 1] {
        let call = probe.call(veridian::CLOCK_GET, args![clock, unaligned])?;
        assert_eq!(call.result, Err("InvalidAddress"));
        let aligned = probe.call(veridian::CLOCK_GET, args![clock, BUFFER + 8])?;
        assert_eq!(aligned.result, Ok(0), "eight bytes are enough");
    }
    // An address is no clock, wherever the time is to go.
    let call = probe.call(veridian::CLOCK_GET, args![out(32), Arg::Inside(0, 4)])?;
    assert_eq!(call.result, Err("InvalidParameter"));
    let call = probe.call(veridian::NANOSLEEP, args![unaligned])?;
    assert_eq!(call.result, Err("InvalidAddress"));
    Ok(())
}

#[mayfly::test(covers = "veridian NANOSLEEP")]
fn a_sleep_takes_its_time(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let call = probe.call(veridian::NANOSLEEP, args![timespec(0, 2_000_000)])?;
    assert_eq!(call.result, Ok(0));
    assert!(
        call.ticks >= 2 * u64::from(vm.ready().tsc_khz),
        "{} ticks",
        call.ticks
    );
    let call = probe.call(veridian::NANOSLEEP, args![timespec(0, 0)])?;
    assert_eq!(call.result, Ok(0));
    Ok(())
}

#[mayfly::test(covers = "veridian NANOSLEEP InvalidParameter, veridian NANOSLEEP InvalidAddress")]
fn a_sleep_that_cannot_be_says_why(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    for (seconds, nanoseconds) in [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MIN, 0)] {
        let call = probe.call(veridian::NANOSLEEP, args![timespec(seconds, nanoseconds)])?;
        assert_eq!(
            call.result,
            Err("InvalidParameter"),
            "{seconds} s {nanoseconds} ns"
        );
    }
    for address in BAD {
        let call = probe.call(veridian::NANOSLEEP, args![address])?;
        assert_eq!(call.result, Err("InvalidAddress"), "{address:#x}");
    }
    Ok(())
}

fn timespec(seconds: i64, nanoseconds: i64) -> Arg {
    input([seconds.to_le_bytes(), nanoseconds.to_le_bytes()].concat())
}

#[mayfly::test(covers = "veridian WRITE InvalidCapability, veridian WRITE InvalidParameter")]
fn a_write_needs_a_token(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    for token in [0_u64, 99, 1 << 32, u64::MAX] {
        let call = probe.call(veridian::WRITE, args![token, input("x"), 1, 0])?;
        assert_eq!(call.result, Err("InvalidCapability"), "{token:#x}");
    }
    // Lengths are looked at before tokens (section 2.5).
    for (count, offset) in [((256_u64 << 20) + 1, 0), (2, u64::MAX)] {
        let call = probe.call(veridian::WRITE, args![0, input("x"), count, offset])?;
        assert_eq!(call.result, Err("InvalidParameter"), "{count} at {offset}");
    }
    Ok(())
}

#[mayfly::test(covers = "veridian EXIT")]
fn an_exit_ends_the_probe(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let error = probe.call(veridian::EXIT, args![-7]).unwrap_err();
    assert_eq!(error.kind(), "probe-ended");
    assert!(error.to_string().contains("status -7"), "{error}");
    Ok(())
}

#[mayfly::test]
fn numbers_without_a_call_are_invalid(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    for number in [0, 7, 9, 16, 43, 255, 1 << 32, u64::MAX] {
        let call = probe.call(number, args![1, 2, 3, 4, 5, 6])?;
        assert_eq!(call.result, Err("InvalidSyscall"), "{number}");
        assert_eq!(call.value, ERROR | 14);
    }
    Ok(())
}

#[mayfly::test]
fn calls_that_are_not_served_are_not_supported(vm: Vm) -> Result<()> {
    let served = vm.served(Abi::Veridian)?;
    let probe = vm.probe(Abi::Veridian)?;
    for row in Abi::Veridian
        .rows()
        .iter()
        .filter(|row| !served.contains(row))
    {
        let arguments = vec![Arg::from(0); row.arguments.len()];
        let call = probe.call(row.number, arguments)?;
        assert_eq!(call.result, Err("NotSupported"), "{row}");
    }
    Ok(())
}
