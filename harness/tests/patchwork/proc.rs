//! Processes of PatchworkOS as files: `/proc/PID` (`specs/patchwork.md` §6, §12).
//!
//! Purpose: each file's success and errors, by probes that look at themselves
//! and at each other. What blocks is tested in `kernel/core` and by programs.
//! Neighbours: `commands.rs`, `notes.rs` and `environment.rs` have the rest of `/proc`.

use mayfly::prelude::*;

use super::files::{close, open, read};
use super::paths::{list, stat, with_path};

/// Process id, as programs know it.
pub(crate) fn pid(probe: &Probe<'_>) -> Result<u64> {
    Ok(probe.call(patchwork::GETPID, args![])?.value)
}

/// All that a file says at once.
pub(crate) fn says(probe: &Probe<'_>, path: &str) -> Result<String> {
    let fd = open(probe, path)?;
    let text = read(probe, fd, 1000)?;
    assert!(read(probe, fd, 1000)?.is_empty(), "{path} is read once");
    close(probe, fd)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Writes to a file; what comes of it.
pub(crate) fn tell(probe: &Probe<'_>, path: &str, text: &str) -> Result<Result<u64, &'static str>> {
    let fd = open(probe, path)?;
    let call = probe.call(patchwork::WRITE, args![fd, input(text), text.len()])?;
    close(probe, fd)?;
    Ok(call.result)
}

const FILES: [&str; 8] = [
    "wait", "ctl", "prio", "cwd", "cmdline", "note", "perf", "env/",
];

#[mayfly::test(covers = "patchwork GETDENTS, patchwork STAT, patchwork CHDIR, patchwork OPEN")]
fn each_process_has_a_directory_and_knows_its_own(vm: Vm) -> Result<()> {
    let (one, other) = (vm.probe(Abi::Patchwork)?, vm.probe(Abi::Patchwork)?);
    let _none = vm.probe(Abi::Xeneva)?;
    let (first, second) = (pid(&one)?, pid(&other)?);
    let names = [
        "./".into(),
        "../".into(),
        "self/".into(),
        "0/".into(),
        format!("{first}/"),
        format!("{second}/"),
    ];
    assert_eq!(list(&one, "/proc:d")?, names);
    let mut files = vec!["./", "../"];
    files.extend(FILES);
    // What is looked at early does not come first.
    open(&one, "/proc/self/perf")?;
    assert_eq!(list(&one, "/proc/self:d")?, files);
    assert_eq!(list(&one, &format!("/proc/{second}:d"))?, files);
    assert_eq!(stat(&one, "/proc/self")?, (1, 0, 1, "self".into()));
    assert_eq!(stat(&one, "/proc/self/wait")?, (0, 0, 1, "wait".into()));
    let number = |probe: &Probe<'_>, path: &str| {
        let call = probe.call(patchwork::STAT, args![text(path), out(168)])?;
        Ok::<_, Error>(call.word(0, 0))
    };
    let own = number(&one, "/proc/self")?;
    assert_eq!(own, number(&other, &format!("/proc/{first}"))?);
    assert_ne!(own, number(&other, "/proc/self")?);
    // Into it and out again.
    assert_eq!(with_path(&one, patchwork::CHDIR, "/proc/self")?, Ok(0));
    assert_eq!(says(&one, "prio")?, "16");
    assert_eq!(stat(&one, "..")?.3, "proc");
    assert_eq!(list(&one, "..:d")?, names);
    for none in [
        "/proc/1",
        "/proc/99",
        "/proc/x",
        "/proc/02",
        "/proc/+2",
        "/proc/self/x",
    ] {
        assert_eq!(
            with_path(&one, patchwork::OPEN, none)?,
            Err("ENOENT"),
            "{none}"
        );
    }
    Ok(())
}

#[mayfly::test(
    covers = "patchwork OPEN ENOSYS, patchwork REMOVE ENOSYS, patchwork OPEN EISDIR, patchwork OPEN ENOTDIR"
)]
fn the_tree_is_not_the_programs_to_change(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    for (number, path, error) in [
        (patchwork::OPEN, "/proc/new:c", "ENOSYS"),
        (patchwork::OPEN, "/proc/99:cd", "ENOSYS"),
        (patchwork::OPEN, "/proc/self/new:c", "ENOSYS"),
        (patchwork::OPEN, "/proc/self", "EISDIR"),
        (patchwork::OPEN, "/proc/self/wait:d", "ENOTDIR"),
        (patchwork::REMOVE, "/proc/self:d", "ENOSYS"),
        (patchwork::REMOVE, "/proc/self/wait", "ENOSYS"),
        (patchwork::REMOVE, "/proc/self/env:d", "ENOSYS"),
        (patchwork::CHDIR, "/proc/self/wait", "ENOTDIR"),
    ] {
        assert_eq!(with_path(&probe, number, path)?, Err(error), "{path}");
    }
    let call = probe.call(
        patchwork::LINK,
        args![text("/proc/self/prio"), text("/proc/self/p")],
    )?;
    assert_eq!(call.result, Err("ENOSYS"));
    let call = probe.call(
        patchwork::LINK,
        args![text("/proc/self/prio"), text("/tmp/p")],
    )?;
    assert_eq!(call.result, Err("EXDEV"));
    Ok(())
}

#[mayfly::test(
    covers = "patchwork READ ENOSYS, patchwork WRITE ENOSYS, patchwork POLL ENOSYS, patchwork SEEK ESPIPE, patchwork READ EBADF, patchwork WRITE EBADF"
)]
fn each_file_does_what_it_can(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    for (file, reads, writes) in [
        ("wait", true, false),
        ("ctl", false, true),
        ("prio", true, true),
        ("cwd", true, true),
        ("cmdline", true, false),
        ("note", false, true),
        ("perf", true, false),
    ] {
        let path = format!("/proc/self/{file}");
        let fd = open(&probe, &path)?;
        let result = |number, fd| Ok::<_, Error>(probe.call(number, args![fd, out(9), 9])?.result);
        if !reads {
            assert_eq!(result(patchwork::READ, fd)?, Err("ENOSYS"), "{file}");
        } else {
            let fd = open(&probe, &format!("{path}:w"))?;
            assert_eq!(result(patchwork::READ, fd)?, Err("EBADF"), "{file}");
        }
        if !writes {
            assert_eq!(result(patchwork::WRITE, fd)?, Err("ENOSYS"), "{file}");
        } else {
            let fd = open(&probe, &format!("{path}:r"))?;
            assert_eq!(result(patchwork::WRITE, fd)?, Err("EBADF"), "{file}");
        }
        let seek = probe.call(patchwork::SEEK, args![fd, 0, 0])?;
        assert_eq!(seek.result, Err("ESPIPE"), "{file}");
        let mut pollfd = fd.to_le_bytes().to_vec();
        pollfd.extend([1, 0, 0, 0, 0, 0, 0, 0]);
        let polled = probe.call(patchwork::POLL, args![inout(pollfd), 1, 0])?;
        let expected = if file == "wait" { Ok(0) } else { Err("ENOSYS") };
        assert_eq!(polled.result, expected, "{file}");
        let mapped = probe.call(patchwork::MMAP, args![fd, 0, 4096, 1])?;
        assert_eq!(mapped.result, Err("ENOSYS"), "{file}");
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork READ EACCES, patchwork WRITE EACCES")]
fn the_kernel_is_not_for_programs(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    for (file, number) in [
        ("wait", patchwork::READ),
        ("prio", patchwork::READ),
        ("perf", patchwork::READ),
        ("ctl", patchwork::WRITE),
        ("note", patchwork::WRITE),
        ("prio", patchwork::WRITE),
        ("cwd", patchwork::WRITE),
    ] {
        let fd = open(&probe, &format!("/proc/0/{file}"))?;
        let call = probe.call(number, args![fd, inout("0"), 1])?;
        assert_eq!(call.result, Err("EACCES"), "{file}");
    }
    Ok(())
}

#[mayfly::test(
    covers = "patchwork READ, patchwork WRITE, patchwork WRITE EACCES, patchwork WRITE EINVAL"
)]
fn priorities_are_decimal_and_limited(vm: Vm) -> Result<()> {
    let (one, other) = (vm.probe(Abi::Patchwork)?, vm.probe(Abi::Patchwork)?);
    let path = format!("/proc/{}/prio", pid(&other)?);
    for (text, result, now) in [
        ("31", Ok(2), "31"),
        ("0", Ok(1), "0"),
        (" 7\n", Ok(3), "7"),
        ("32", Err("EACCES"), "7"),
        ("63", Err("EACCES"), "7"),
        ("-1", Err("EINVAL"), "7"),
        ("x", Err("EINVAL"), "7"),
        ("", Err("EINVAL"), "7"),
        ("00000000000000000000000000000003", Err("EINVAL"), "7"),
        ("0000000000000000000000000000003", Ok(31), "3"),
    ] {
        assert_eq!(tell(&one, &path, text)?, result, "{text:?}");
        assert_eq!(says(&other, "/proc/self/prio")?, now, "{text:?}");
    }
    assert_eq!(tell(&one, "/proc/self/prio", "20")?, Ok(2));
    assert_eq!(says(&one, "/proc/self/prio")?, "20");
    Ok(())
}

#[mayfly::test(covers = "patchwork WRITE ENOENT, patchwork WRITE ENOTDIR, patchwork WRITE EINVAL")]
fn a_working_directory_is_read_and_set(vm: Vm) -> Result<()> {
    let (one, other) = (vm.probe(Abi::Patchwork)?, vm.probe(Abi::Patchwork)?);
    let path = format!("/proc/{}/cwd", pid(&other)?);
    assert_eq!(says(&one, &path)?, "/");
    open(&one, "/tmp/deep/:cd")?;
    open(&one, "/tmp/deep/est:cd")?;
    open(&one, "/tmp/deep/file:c")?;
    for (text, result, now) in [
        ("/tmp/deep", Ok(9), "/tmp/deep"),
        ("est", Ok(3), "/tmp/deep/est"),
        ("../..", Ok(5), "/tmp"),
        ("none", Err("ENOENT"), "/tmp"),
        ("deep/file", Err("ENOTDIR"), "/tmp"),
        ("a*b", Err("EINVAL"), "/tmp"),
        ("/dev", Ok(4), "/dev"),
        ("/", Ok(1), "/"),
    ] {
        assert_eq!(tell(&one, &path, text)?, result, "{text:?}");
        assert_eq!(says(&other, "/proc/self/cwd")?, now, "{text:?}");
    }
    let long = "/".repeat(256);
    assert_eq!(tell(&one, &path, &long)?, Err("EINVAL"));
    assert_eq!(tell(&one, &path, &long[1..])?, Ok(255));
    // A directory that is mounted has the name it is seen by.
    let deep = open(&one, "/tmp/deep:d")?;
    let bound = one.call(patchwork::BIND, args![deep, text("/var"), 0])?;
    assert_eq!(bound.result, Ok(0));
    assert_eq!(with_path(&one, patchwork::CHDIR, "/var/est")?, Ok(0));
    assert_eq!(
        says(&other, &format!("/proc/{}/cwd", pid(&one)?))?,
        "/var/est"
    );
    assert_eq!(with_path(&one, patchwork::CHDIR, "/proc/self")?, Ok(0));
    assert_eq!(says(&one, "cwd")?, format!("/proc/{}", pid(&one)?));
    Ok(())
}

#[mayfly::test(covers = "patchwork READ")]
fn arguments_and_usage_are_told(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    assert_eq!(says(&probe, "/proc/self/cmdline")?, "probe\0");
    let guest = vm.spawn("patchwork-spin").arg("a b").arg("c").start()?;
    let other = list(&probe, "/proc:d")?.pop().expect("the last process");
    let cmdline = says(&probe, &format!("/proc/{other}cmdline"))?;
    assert_eq!(cmdline, "patchwork-spin\0a b\0c\0");
    let perf = |path: &str| -> Result<Vec<u64>> {
        let text = says(&probe, path)?;
        let (names, values): (Vec<&str>, Vec<u64>) = text
            .split('\n')
            .map(|line| line.split_once(' ').expect("two words"))
            .map(|(name, value)| (name, value.parse::<u64>().expect("a number")))
            .unzip();
        let expected = "user_clocks kernel_clocks start_clocks user_pages thread_count";
        assert_eq!(names.join(" "), expected);
        Ok(values)
    };
    let before = perf("/proc/self/perf")?;
    let uptime = probe.call(patchwork::UPTIME, args![])?.value;
    assert!(before[0] > 0 && before[2] > 0);
    assert!(before[2] + before[0] <= uptime, "{before:?} at {uptime}");
    assert!(before[3] > 0);
    assert_eq!(before[4], 1);
    let after = perf("/proc/self/perf")?;
    assert!(
        after[0] > before[0] && after[1] > before[1],
        "{before:?}, {after:?}"
    );
    assert_eq!((after[2], after[4]), (before[2], 1));
    assert!(perf(&format!("/proc/{other}perf"))?[0] > 0, "it spins");
    guest.kill()?;
    Ok(())
}

#[mayfly::test(covers = "patchwork READ")]
fn a_wait_says_how_a_program_ended(vm: Vm) -> Result<()> {
    for (program, argument, status) in [
        ("patchwork-exit", "7", "7"),
        ("patchwork-exit", "-1", "-1"),
        ("patchwork-fault", "ud", "14"),
    ] {
        let probe = vm.probe(Abi::Patchwork)?;
        let next = pid(&probe)? + 1;
        vm.spawn(program).arg(argument).run()?;
        assert_eq!(
            says(&probe, &format!("/proc/{next}/wait"))?,
            status,
            "{program}"
        );
    }
    Ok(())
}
