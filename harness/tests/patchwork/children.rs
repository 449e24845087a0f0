//! Parents and children of PatchworkOS (`specs/patchwork.md` §6, §10).
//!
//! Purpose: what a parent does with a child by its files: waiting, starting,
//! preparing, killing; what a child takes over. Neighbours: `spawn.rs` has
//! SPAWN itself, `proc.rs` the files.

use mayfly::prelude::*;

use super::files::{open, read, write};
use super::paths::{list, with_path};
use super::proc::{says, tell};

const SUSPEND: u32 = 1;
const EMPTY_ENV: u32 = 16;

/// Starts a program; its id.
fn spawn(probe: &Probe<'_>, arguments: &[&str], flags: u32) -> Result<u64> {
    let array = (arguments.len() as u64 + 1) * 8;
    let mut bytes = Vec::new();
    let mut strings = Vec::new();
    for argument in arguments {
        bytes.extend((BUFFER + array + strings.len() as u64).to_le_bytes());
        strings.extend(argument.bytes().chain([0]));
    }
    bytes.extend([0; 8]);
    bytes.extend(strings);
    let call = probe.call(patchwork::SPAWN, args![input(bytes), flags])?;
    Ok(call.result.expect("a child"))
}

#[mayfly::test(covers = "patchwork SPAWN, patchwork READ")]
fn a_parent_waits_for_its_child(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    for (arguments, status) in [
        (&["/bin/patchwork-exit", "7"][..], "7"),
        (&["/bin/patchwork-exit", "-1"], "-1"),
        (&["/bin/patchwork-fault", "ud"], "14"),
        (&["/bin/none"], "2"),
        (&["/tmp"], "21"),
        (&["/bin/veridian-exit", "5"], "5"),
    ] {
        let child = spawn(&probe, arguments, 0)?;
        let status_found = says(&probe, &format!("/proc/{child}/wait"))?;
        assert_eq!(status_found, status, "{arguments:?}");
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork SPAWN, patchwork WRITE")]
fn a_suspended_child_is_prepared_and_started(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let call = probe.call(patchwork::OPEN2, args![text("/dev/pipe/new"), out(16)])?;
    let (reader, writer) = (
        call.word(0, 0).expect("an end"),
        call.word(0, 1).expect("an end"),
    );
    let child = spawn(&probe, &["/bin/patchwork-args", "a b"], SUSPEND)?;
    let file = |name: &str| format!("/proc/{child}/{name}");
    let wait = open(&probe, &file("wait"))?;
    let mut pollfd = wait.to_le_bytes().to_vec();
    pollfd.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    let polled = probe.call(patchwork::POLL, args![inout(pollfd), 1, 1_000_000])?;
    assert_eq!(polled.result, Ok(0), "it waits");
    assert_eq!(
        says(&probe, &file("cmdline"))?,
        "/bin/patchwork-args\0a b\0"
    );
    let commands = format!("dup2 {writer} 1 && close 3 -1 && start");
    assert_eq!(
        tell(&probe, &file("ctl"), &commands)?,
        Ok(commands.len() as u64)
    );
    assert_eq!(probe.call(patchwork::CLOSE, args![writer])?.result, Ok(0));
    let mut output = Vec::new();
    loop {
        let bytes = read(&probe, reader, 1000)?;
        if bytes.is_empty() {
            break;
        }
        output.extend(bytes);
    }
    assert!(
        String::from_utf8_lossy(&output).contains("a b"),
        "{output:?}"
    );
    assert_eq!(read(&probe, wait, 9)?, b"0");
    Ok(())
}

#[mayfly::test(covers = "patchwork SPAWN, patchwork WRITE")]
fn a_child_is_killed_whatever_it_does(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    for (arguments, flags) in [
        (&["/bin/patchwork-spin"][..], 0),
        (&["/bin/patchwork-spin"], SUSPEND),
        (&["/bin/veridian-spin"], 0),
        (
            &["/bin/patchwork-spawn", "wait", "0", "/bin/patchwork-exit"],
            0,
        ),
    ] {
        for (file, word) in [("ctl", "kill"), ("note", "kill")] {
            let child = spawn(&probe, arguments, flags)?;
            let wait = open(&probe, &format!("/proc/{child}/wait"))?;
            assert_eq!(tell(&probe, &format!("/proc/{child}/{file}"), word)?, Ok(4));
            assert_eq!(read(&probe, wait, 9)?, b"0", "{arguments:?} by {file}");
        }
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork SPAWN, patchwork OPEN")]
fn a_child_takes_over_environment_priority_and_directory(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let home = open(&probe, "/proc/self/env/HOME:rwc")?;
    write(&probe, home, b"/home")?;
    assert_eq!(tell(&probe, "/proc/self/prio", "9")?, Ok(1));
    assert_eq!(with_path(&probe, patchwork::CHDIR, "/tmp")?, Ok(0));
    let child = spawn(&probe, &["/bin/patchwork-exit"], SUSPEND)?;
    let bare = spawn(&probe, &["/bin/patchwork-exit"], SUSPEND | EMPTY_ENV)?;
    write(&probe, home, b"/later")?;
    assert_eq!(says(&probe, &format!("/proc/{child}/env/HOME"))?, "/home");
    assert_eq!(list(&probe, &format!("/proc/{bare}/env:d"))?, ["./", "../"]);
    assert_eq!(says(&probe, &format!("/proc/{child}/prio"))?, "9");
    assert_eq!(says(&probe, &format!("/proc/{child}/cwd"))?, "/tmp");
    // Where it is sent it goes.
    assert_eq!(tell(&probe, &format!("/proc/{child}/cwd"), "/dev")?, Ok(4));
    assert_eq!(says(&probe, &format!("/proc/{child}/cwd"))?, "/dev");
    Ok(())
}

#[mayfly::test(covers = "patchwork SPAWN, patchwork OPEN2, patchwork DUP2, patchwork POLL")]
fn a_shell_runs_programs(vm: Vm) -> Result<()> {
    let shell = |arguments: &[&str]| {
        let program = vm.spawn("patchwork-pipeline");
        program.args(arguments.iter().copied()).trace(false).run()
    };
    let out = shell(&["/bin/patchwork-args", "x", "y z"])?;
    assert!(out.stdout_text().contains("y z"), "{}", out.stdout_text());
    assert_eq!(out.status.code(), 0);
    assert_eq!(shell(&["/bin/patchwork-exit", "7"])?.status.code(), 7);
    assert_eq!(shell(&["/bin/none"])?.status.code(), 2);
    assert_eq!(shell(&["kill", "/bin/patchwork-spin"])?.status.code(), 0);
    // One shell within another.
    let pipeline = "/bin/patchwork-pipeline";
    let out = shell(&[pipeline, pipeline, "/bin/patchwork-args", "deep"])?;
    assert!(out.stdout_text().contains("deep"), "{}", out.stdout_text());
    Ok(())
}
