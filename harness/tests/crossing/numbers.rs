//! Numbers mean what the interface of whoever uses them says.
//!
//! Purpose: call numbers, process and thread ids, descriptors and tokens are
//! spaces of their own. Neighbours: the `calls.rs` of each interface.

use mayfly::prelude::*;

#[mayfly::test]
fn the_same_number_is_another_call_for_each(vm: Vm) -> Result<()> {
    let xeneva = vm.probe(Abi::Xeneva)?;
    let patchwork = vm.probe(Abi::Patchwork)?;
    let veridian = vm.probe(Abi::Veridian)?;
    let pid = xeneva.call(xeneva::GetProcessID, args![])?.result;
    for (number, answers) in [
        // GetProcessID; ERRNO; MMAP of nothing.
        (4, [pid, Ok(0), Err("InvalidParameter")]),
        // A segment of no size; OPEN of no path; nobody's.
        (9, [Err("FAILED"), Err("EINVAL"), Err("InvalidSyscall")]),
        // No path; READ of standard input to nowhere, which is empty; IPC_SEND to no token.
        (12, [Err("FAILED"), Err("EINVAL"), Err("InvalidCapability")]),
        // Nothing of a heap is its beginning; IOCTL; IPC_REPLY to nobody.
        (
            15,
            [Ok(0x3_0000_0000), Err("ENOTTY"), Err("InvalidCapability")],
        ),
        // An empty slot; past the end; nobody's.
        (34, [Ok(0), Err("ENOSYS"), Err("InvalidSyscall")]),
        // An empty slot; past the end; YIELD.
        (42, [Ok(0), Err("ENOSYS"), Ok(0)]),
        (9999, [Err("FAILED"), Err("ENOSYS"), Err("InvalidSyscall")]),
    ] {
        for (probe, answer) in [&xeneva, &patchwork, &veridian].into_iter().zip(answers) {
            let call = probe.call(number, args![0, 0, 0, 0, 0, 0])?;
            assert_eq!(call.result, answer, "{:?} {number}", probe.abi());
        }
    }
    Ok(())
}

#[mayfly::test(
    covers = "xeneva GetProcessID, xeneva GetThreadID, patchwork GETPID, patchwork GETTID"
)]
fn each_sees_its_own_processes_and_threads(vm: Vm) -> Result<()> {
    let mut probes = Vec::new();
    for _ in 0..2 {
        for abi in Abi::ALL {
            probes.push(vm.probe(abi)?);
        }
    }
    let call = |at: usize, number: u64| {
        let probe: &Probe<'_> = &probes[at];
        Ok::<_, Error>(probe.call(number, args![])?.value)
    };
    // Ids count for each interface, as if the others were not there.
    assert_eq!(
        [0, 3].map(|at| call(at, xeneva::GetProcessID).unwrap()),
        [2, 3]
    );
    assert_eq!(
        [0, 3].map(|at| call(at, xeneva::GetThreadID).unwrap()),
        [1, 2]
    );
    assert_eq!(
        [1, 4].map(|at| call(at, patchwork::GETPID).unwrap()),
        [2, 3]
    );
    assert_eq!(
        [1, 4].map(|at| call(at, patchwork::GETTID).unwrap()),
        [0, 0]
    );
    // VeridianOS has 1 and 2: whoever waits for itself is told so, and there is no 3.
    let wait = |at: usize, id: u64| {
        let probe: &Probe<'_> = &probes[at];
        let call = probe.call(veridian::PROCESS_WAIT, args![id, 0, out(48)])?;
        Ok::<_, Error>(call.result)
    };
    for (at, own, other) in [(2, 1, 2), (5, 2, 1)] {
        assert_eq!(wait(at, own)?, Err("InvalidParameter"));
        assert_eq!(wait(at, other)?, Err("PermissionDenied"));
        assert_eq!(wait(at, 3)?, Err("NotFound"));
    }
    // A process of another interface is nobody: not to wait for, not to signal.
    let signal = probes[0].call(xeneva::SendSignal, args![4, 1])?;
    assert_eq!(signal.result, Err("FAILED"));
    let waited = probes[0].call(xeneva::ProcessWaitForTermination, args![4])?;
    assert_eq!(waited.value, 0, "it returns at once");
    Ok(())
}

#[mayfly::test(covers = "xeneva CloseFile, patchwork CLOSE, veridian CAPABILITY_VALIDATE")]
fn each_has_its_own_descriptors_and_tokens(vm: Vm) -> Result<()> {
    let xeneva = vm.probe(Abi::Xeneva)?;
    let patchwork = vm.probe(Abi::Patchwork)?;
    let veridian = vm.probe(Abi::Veridian)?;
    let theirs = xeneva.call(xeneva::OpenFile, args![text("/tmp/x"), 4])?;
    let others = patchwork.call(patchwork::OPEN, args![text("/tmp/p:c")])?;
    assert_eq!((theirs.result, others.result), (Ok(3), Ok(3)));
    assert_eq!(patchwork.call(patchwork::CLOSE, args![3])?.result, Ok(0));
    let write = xeneva.call(xeneva::WriteFile, args![3, input("still"), 5])?;
    assert_eq!(write.value, 5, "the other's 3 was closed");
    for number in 0..8 {
        let valid = veridian.call(veridian::CAPABILITY_VALIDATE, args![number, 0])?;
        assert_eq!(valid.result, Err("InvalidCapability"), "{number}");
    }
    let made = veridian.call(veridian::IPC_ENDPOINT_CREATE, args![out(16)])?;
    let token = made.word(0, 1).expect("a token");
    assert_eq!(
        xeneva.call(xeneva::CloseFile, args![token])?.result,
        Err("FAILED")
    );
    let closed = patchwork.call(patchwork::CLOSE, args![token])?;
    assert_eq!(closed.result, Err("EBADF"));
    Ok(())
}
