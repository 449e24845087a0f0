//! Single services of XenevaOS, made by a probe (`specs/xeneva.md` §3).
//!
//! Purpose: each served service, its success and its failures. Neighbours:
//! `programs.rs` runs whole programs.

use mayfly::prelude::*;

/// Result of a failed service.
const FAILED: u64 = u64::MAX;

#[mayfly::test(covers = "xeneva null_call")]
fn the_null_call_does_nothing_within_its_budget(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let call = probe.call(xeneva::null_call, args![])?;
    assert_eq!(call.result, Ok(0));
    budget!(call, kernel_instr <= 64);
    Ok(())
}

#[mayfly::test(covers = "xeneva GetThreadID, xeneva GetProcessID")]
fn identities(vm: Vm) -> Result<()> {
    let (first, second) = (vm.probe(Abi::Xeneva)?, vm.probe(Abi::Xeneva)?);
    for (service, most) in [(xeneva::GetThreadID, 65), (xeneva::GetProcessID, 64)] {
        let (one, two) = (
            first.call(service, args![])?,
            second.call(service, args![])?,
        );
        assert!(one.value > 0 && one.value < 1 << 16);
        assert_ne!(one.value, two.value);
        budget!(one, kernel_instr <= most);
    }
    Ok(())
}

#[mayfly::test(covers = "xeneva SeTextOut")]
fn text_is_formatted_as_published(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    for (arguments, printed) in [
        (args![text("plain\n")], "plain\n"),
        (args![text("%d|"), 42], "42|"),
        (args![text("%d|"), -1], "18446744073709551615|"),
        (args![text("%x|"), 0xbeef], "beef|"),
        (args![text("%c%c|"), 104, 105], "hi|"),
        (args![text("%s|"), text("inner")], "inner|"),
        (args![text("%%|")], ".|"),
        (args![text("%z|")], "%z|"),
        (args![text("%d %d %d %d %d|"), 1, 2, 3, 4, 5], "1 2 3 4 5|"),
    ] {
        let before = probe.stdout_so_far().len();
        let call = probe.call(xeneva::SeTextOut, arguments.clone())?;
        assert_eq!(call.result, Ok(0), "{arguments:?}");
        let written = probe.stdout_so_far();
        assert_eq!(String::from_utf8_lossy(&written[before..]), printed);
    }
    Ok(())
}

#[mayfly::test(covers = "xeneva SeTextOut FAILED")]
fn text_at_a_bad_address_fails(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let bad = [
        0_u64,
        8,
        0x1234_5678_9000,
        0x8000_0000_0000,
        0xffff_8000_0000_0000,
    ];
    for address in bad {
        let call = probe.call(xeneva::SeTextOut, args![address])?;
        assert_eq!(call.result, Err("FAILED"), "{address:#x}");
        let call = probe.call(xeneva::SeTextOut, args![text("%s"), address])?;
        assert_eq!(call.result, Err("FAILED"), "%s of {address:#x}");
    }
    Ok(())
}

#[mayfly::test(covers = "xeneva ProcessSleep, xeneva ProcessSleep FAILED")]
fn a_sleep_takes_its_milliseconds(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let call = probe.call(xeneva::ProcessSleep, args![2])?;
    assert_eq!(call.value, 1);
    assert!(
        call.ticks >= 2 * u64::from(vm.ready().tsc_khz),
        "{} ticks",
        call.ticks
    );
    assert_eq!(probe.call(xeneva::ProcessSleep, args![0])?.value, FAILED);
    Ok(())
}

#[mayfly::test(covers = "xeneva ProcessExit")]
fn an_exit_ends_the_probe(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let error = probe.call(xeneva::ProcessExit, args![]).unwrap_err();
    assert_eq!(error.kind(), "probe-ended");
    Ok(())
}

#[mayfly::test]
fn empty_slots_answer_0_and_numbers_beyond_minus_1(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    for number in [58, 81] {
        assert_eq!(probe.call(number, args![])?.value, 0, "{number}");
    }
    for number in [82, 9999, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
        assert_eq!(probe.call(number, args![])?.value, FAILED, "{number}");
    }
    Ok(())
}

#[mayfly::test]
fn only_the_low_32_bits_of_a_number_count(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let high = 0xdead_beef_0000_0000;
    let plain = probe.call(xeneva::GetProcessID, args![])?;
    let garbled = probe.call(high | xeneva::GetProcessID, args![])?;
    assert_eq!(plain.value, garbled.value);
    Ok(())
}
