//! Commands of PatchworkOS: `/proc/PID/ctl` (`specs/patchwork.md` §12).
//!
//! Purpose: each command and each error, by probes. Neighbours: `proc.rs` has
//! the files beside it.

use mayfly::prelude::*;

use super::files::{open, read, write};
use super::paths::list;
use super::proc::{pid, says, tell};

#[mayfly::test(
    covers = "patchwork WRITE E2BIG, patchwork WRITE EUNKNOWNCTL, patchwork WRITE ENOENT, patchwork WRITE EBADF, patchwork WRITE EINVAL"
)]
fn a_command_that_cannot_be_says_why(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let long = format!("close 9 9{}", " ".repeat(300));
    for (command, result) in [
        ("", Err("EUNKNOWNCTL")),
        ("  ", Err("EUNKNOWNCTL")),
        ("close", Err("EUNKNOWNCTL")),
        ("close 1 2 3", Err("EUNKNOWNCTL")),
        ("dup2 1", Err("EUNKNOWNCTL")),
        ("start now", Err("EUNKNOWNCTL")),
        ("kill 1", Err("EUNKNOWNCTL")),
        ("close 9 9 &&", Err("EUNKNOWNCTL")),
        ("stop", Err("ENOENT")),
        ("Close 1", Err("ENOENT")),
        ("close 63", Err("EBADF")),
        ("close -1", Err("EBADF")),
        ("close 99999", Err("EBADF")),
        ("dup2 1 64", Err("EBADF")),
        ("dup2 63 5", Err("EBADF")),
        ("close x", Err("EINVAL")),
        ("close 9 9", Ok(9)),
        ("start", Ok(5)),
        ("dup2 99 99", Ok(10)),
        (&long[..256], Ok(256)),
        (&long[..257], Err("E2BIG")),
    ] {
        assert_eq!(
            tell(&probe, "/proc/self/ctl", command)?,
            result,
            "{command:?}"
        );
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork WRITE")]
fn commands_change_descriptors(vm: Vm) -> Result<()> {
    let (one, other) = (vm.probe(Abi::Patchwork)?, vm.probe(Abi::Patchwork)?);
    let ctl = open(&one, &format!("/proc/{}/ctl", pid(&other)?))?;
    let file = open(&other, "/tmp/a:c")?;
    write(
        &one,
        ctl,
        format!("dup2 {file} \"10\" && dup2 {file} 1\\1\n").as_bytes(),
    )?;
    write(&other, 10, b"by 10")?;
    assert_eq!(other.call(patchwork::SEEK, args![11, 0, 1])?.result, Ok(5));
    let is_open = |fd: u64| Ok::<_, Error>(other.call(patchwork::DUP2, args![fd, 40])?.result);
    // What was done before a command that fails stays done.
    let text = "close 10 && close 10 && close 11";
    let call = one.call(patchwork::WRITE, args![ctl, input(text), text.len()])?;
    assert_eq!(call.result, Err("EBADF"));
    assert_eq!(is_open(10)?, Err("EBADF"));
    assert!(is_open(11)?.is_ok());
    write(&one, ctl, b"close 4 12")?;
    assert_eq!(is_open(11)?, Err("EBADF"));
    assert!(is_open(file)?.is_ok(), "it lies before");
    write(&one, ctl, b"close 1 -1")?;
    assert_eq!(is_open(file)?, Err("EBADF"));
    assert!(is_open(0)?.is_ok());
    // Its own, the file of the commands among them.
    let ctl = open(&one, "/proc/self/ctl")?;
    write(&one, ctl, b"close 0 -1")?;
    let call = one.call(patchwork::WRITE, args![ctl, input("start"), 5])?;
    assert_eq!(call.result, Err("EBADF"));
    Ok(())
}

#[mayfly::test(covers = "patchwork WRITE, patchwork READ, patchwork POLL")]
fn a_kill_ends_a_process_with_status_0(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let victim = vm.spawn("patchwork-spin").start()?;
    let name = list(&probe, "/proc:d")?.pop().expect("the last process");
    let wait = open(&probe, &format!("/proc/{name}wait"))?;
    assert_eq!(tell(&probe, &format!("/proc/{name}ctl"), "kill")?, Ok(4));
    let mut pollfd = wait.to_le_bytes().to_vec();
    pollfd.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    let polled = probe.call(patchwork::POLL, args![inout(pollfd), 1, u64::MAX])?;
    assert_eq!(polled.result, Ok(1));
    assert_eq!(read(&probe, wait, 10)?, b"0");
    assert!(read(&probe, wait, 10)?.is_empty());
    let out = victim.wait()?;
    assert!(!out.status.success(), "the host hears that it was killed");
    assert!(!list(&probe, "/proc:d")?.contains(&name));
    // It is found for a while, and no longer.
    assert_eq!(says(&probe, &format!("/proc/{name}wait"))?, "0");
    assert_eq!(
        tell(&probe, &format!("/proc/{name}note"), "late")?,
        Err("EINVAL")
    );
    Ok(())
}

#[mayfly::test(covers = "patchwork WRITE")]
fn who_kills_itself_is_gone(vm: Vm) -> Result<()> {
    for file in ["ctl", "note"] {
        let (probe, other) = (vm.probe(Abi::Patchwork)?, vm.probe(Abi::Patchwork)?);
        let wait = open(&other, &format!("/proc/{}/wait", pid(&probe)?))?;
        let fd = open(&probe, &format!("/proc/self/{file}"))?;
        let ended = probe.call(patchwork::WRITE, args![fd, input("kill"), 4]);
        assert_eq!(ended.unwrap_err().kind(), "probe-ended");
        assert_eq!(read(&other, wait, 10)?, b"0");
    }
    Ok(())
}
