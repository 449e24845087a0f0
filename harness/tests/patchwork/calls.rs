//! Single calls of PatchworkOS, made by a probe (`specs/patchwork.md` §5).
//!
//! Purpose: each served call, its success and its errors. Neighbours:
//! `programs.rs` runs whole programs.

use mayfly::prelude::*;
use mayfly::table::Outcome;

/// Addresses that no call may accept.
const BAD: [u64; 5] = [
    8,
    0x1234_5678_9000,
    0x8000_0000_0000,
    0xffff_8000_0000_0000,
    0xffff_ffff_8000_0000,
];

#[mayfly::test(covers = "patchwork GETPID, patchwork GETTID")]
fn identities(vm: Vm) -> Result<()> {
    let (first, second) = (vm.probe(Abi::Patchwork)?, vm.probe(Abi::Patchwork)?);
    let pid = |probe: &Probe<'_>| probe.call(patchwork::GETPID, args![]);
    assert!(pid(&first)?.value > 1);
    assert_ne!(pid(&first)?.value, pid(&second)?.value);
    assert_eq!(first.call(patchwork::GETTID, args![])?.result, Ok(0));
    Ok(())
}

#[mayfly::test]
fn the_null_call_is_within_its_budget(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    for (number, most) in [
        (patchwork::GETPID, 64),
        (patchwork::GETTID, 64),
        (patchwork::UPTIME, 80),
    ] {
        let call = probe.call(number, args![])?;
        budget!(call, kernel_instr <= most);
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork YIELD")]
fn a_yield_to_another_process_is_within_its_budget(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    // It keeps the processor until its slice ends.
    let other = vm.spawn("patchwork-spin").trace(false).start()?;
    probe.call(patchwork::YIELD, args![])?;
    let call = probe.call(patchwork::YIELD, args![])?;
    assert_eq!(call.result, Ok(0));
    budget!(call, kernel_instr <= 250);
    other.kill()?;
    Ok(())
}

#[mayfly::test]
fn counts_are_the_same_each_time(vm: Vm) -> Result<()> {
    let counted = VmOptions::default()
        .backend(vm.backend())
        .meter(true)
        .boot()?;
    let probe = counted.probe(Abi::Patchwork)?;
    let counts = [(); 5].map(|()| probe.call(patchwork::GETPID, args![]).unwrap().kernel_instr);
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
    assert_eq!(counts[0].is_some(), vm.backend() == BackendKind::Kvm);
    Ok(())
}

#[mayfly::test(covers = "patchwork UPTIME")]
fn uptime_goes_on(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let first = probe.call(patchwork::UPTIME, args![])?.value;
    let second = probe.call(patchwork::UPTIME, args![])?.value;
    assert!(second > first);
    Ok(())
}

#[mayfly::test(covers = "patchwork UNIX_EPOCH, patchwork UNIX_EPOCH EFAULT")]
fn the_time_is_returned_and_stored(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let call = probe.call(patchwork::UNIX_EPOCH, args![out(8)])?;
    assert_eq!(call.word(0, 0), call.result.ok());
    assert!(probe.call(patchwork::UNIX_EPOCH, args![0])?.result.is_ok());
    for address in BAD {
        let call = probe.call(patchwork::UNIX_EPOCH, args![address])?;
        assert_eq!(call.result, Err("EFAULT"), "{address:#x}");
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork NANOSLEEP, patchwork NANOSLEEP ETIMEDOUT")]
fn a_sleep_takes_its_time_and_ends_with_etimedout(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    for nanoseconds in [0_u64, 1, 1_000_000, 3_000_000] {
        let call = probe.call(patchwork::NANOSLEEP, args![nanoseconds])?;
        assert_eq!(call.result, Err("ETIMEDOUT"));
        let slept = u128::from(call.ticks) * 1_000_000 / u128::from(vm.ready().tsc_khz);
        assert!(
            slept >= u128::from(nanoseconds),
            "{slept} of {nanoseconds} ns"
        );
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork ERRNO")]
fn errno_is_that_of_the_last_failure(vm: Vm) -> Result<()> {
    let (first, second) = (vm.probe(Abi::Patchwork)?, vm.probe(Abi::Patchwork)?);
    first.call(patchwork::WRITE, args![99, input("x"), 1])?;
    assert_eq!(first.call(patchwork::ERRNO, args![])?.value, 9);
    assert_eq!(first.call(patchwork::ERRNO, args![])?.value, 9);
    first.call(patchwork::NANOSLEEP, args![0])?;
    assert_eq!(first.call(patchwork::ERRNO, args![])?.value, 110);
    assert_eq!(second.call(patchwork::ERRNO, args![])?.value, 0);
    Ok(())
}

#[mayfly::test(covers = "patchwork YIELD")]
fn a_yield_comes_back(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    assert_eq!(probe.call(patchwork::YIELD, args![])?.result, Ok(0));
    Ok(())
}

#[mayfly::test(covers = "patchwork WRITE")]
fn what_is_written_arrives(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let mut expected = Vec::new();
    for length in [0_usize, 1, 100, 4096, 50_000] {
        let bytes: Vec<u8> = (b'a'..=b'z').cycle().take(length).collect();
        let call = probe.call(patchwork::WRITE, args![1, input(bytes.clone()), length])?;
        assert_eq!(call.result, Ok(length as u64));
        expected.extend(bytes);
    }
    probe.call(patchwork::WRITE, args![2, input("error"), 5])?;
    assert_eq!(probe.stdout_so_far(), expected);
    assert_eq!(probe.stderr_so_far(), b"error");
    Ok(())
}

#[mayfly::test(
    covers = "patchwork WRITE EBADF, patchwork WRITE EINVAL, patchwork WRITE EFAULT, patchwork WRITE EOVERFLOW, patchwork WRITE ENOSYS"
)]
fn a_write_that_cannot_be_says_why(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    for (arguments, error) in [
        (args![99, input("x"), 1], "EBADF"),
        (args![-1, input("x"), 1], "EBADF"),
        (args![1, 0, 0], "EINVAL"),
        (args![1, 0, 5], "EINVAL"),
        (args![99, 0, 0], "EBADF"),
        (args![0, input("x"), 1], "ENOSYS"),
        (args![1, u64::MAX - 3, 100], "EOVERFLOW"),
    ] {
        let call = probe.call(patchwork::WRITE, arguments.clone())?;
        assert_eq!(call.result, Err(error), "{arguments:?}");
        assert_eq!(call.value, u64::MAX);
    }
    for address in BAD {
        let call = probe.call(patchwork::WRITE, args![1, address, 16])?;
        assert_eq!(call.result, Err("EFAULT"), "{address:#x}");
    }
    assert!(probe.stdout_so_far().is_empty());
    Ok(())
}

#[mayfly::test(covers = "patchwork PROCESS_EXIT")]
fn an_exit_ends_the_probe(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    // The bits above an i32 do not count.
    let error = probe
        .call(patchwork::PROCESS_EXIT, args![0xabcd_0000_0007_u64])
        .unwrap_err();
    assert_eq!(error.kind(), "probe-ended");
    assert!(error.to_string().contains("status 7"), "{error}");
    Ok(())
}

#[mayfly::test]
fn numbers_without_a_call_are_enosys(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    for number in [34, 35, 255, 1 << 32, (1 << 32) + 5, 1 << 63, u64::MAX] {
        let call = probe.call(number, args![1, 2, 3, 4, 5, 6])?;
        assert_eq!(
            (call.value, call.result),
            (u64::MAX, Err("ENOSYS")),
            "{number}"
        );
    }
    Ok(())
}

#[mayfly::test]
fn calls_that_are_not_served_are_enosys(vm: Vm) -> Result<()> {
    let served = vm.served(Abi::Patchwork)?;
    let probe = vm.probe(Abi::Patchwork)?;
    for row in Abi::Patchwork
        .rows()
        .iter()
        .filter(|row| !served.contains(row))
    {
        let call = probe.call(row.number, args![])?;
        let value = if row.result == Outcome::Address {
            0
        } else {
            u64::MAX
        };
        assert_eq!((call.value, call.result), (value, Err("ENOSYS")), "{row}");
    }
    Ok(())
}

#[mayfly::test]
fn a_call_is_found_by_its_name(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    assert!(probe.call_name("getpid", args![])?.result.is_ok());
    let error = probe.call_name("getpidd", args![]).unwrap_err();
    assert!(error.to_string().contains("GETPID is close"), "{error}");
    Ok(())
}
