//! The errors of PatchworkOS's calls, all of them; and arguments at their limits.
//!
//! Purpose: `specs/patchwork.md` §5 lists what each call fails with, and every
//! entry has a test that names it. Here are those that no other file has.
//! Neighbours: the other files of this folder.

use std::path::Path;

use mayfly::prelude::*;

use super::files::{close, open, read, write};
use super::paths::{BAD, stat};

/// Every path has these.
const PATH: &str = "EINVAL EFAULT ENAMETOOLONG EBADFLAG ENOENT";
/// Every buffer has these.
const BUFFER: &str = "EINVAL EOVERFLOW EFAULT";
/// Whatever opens a file has these.
const OPENING: &str = "EACCES EISDIR ENOTDIR EEXIST ENOSYS EMFILE";

/// What each call fails with (§5, §7, §8), but for what cannot be made here:
/// - ELOOP: a path of 255 characters cannot go up so often.
/// - ENOTDIR and EISDIR of BIND: no directory is opened without its flag.
/// - EBUSY: no page is held while others run.
/// - ENOMEM of SPAWN is tested in `kernel/core`.
const ERRORS: [(&str, &[&str]); 25] = [
    ("SPAWN", &["EINVAL EFAULT ENAMETOOLONG E2BIG"]),
    ("NANOSLEEP", &["ETIMEDOUT EINTR"]),
    ("UNIX_EPOCH", &["EFAULT"]),
    ("OPEN", &[PATH, OPENING, "ENOMEM"]),
    ("OPEN2", &[PATH, OPENING]),
    ("CLOSE", &["EBADF"]),
    ("READ", &["EBADF EISDIR ENOSYS", BUFFER]),
    ("WRITE", &["EBADF EISDIR ENOSYS", BUFFER]),
    ("SEEK", &["EBADF ESPIPE EINVAL"]),
    ("IOCTL", &["EBADF EISDIR ENOTTY", BUFFER]),
    ("CHDIR", &[PATH, "ENOTDIR"]),
    ("POLL", &["EINVAL EFAULT EBADF EISDIR ENOSYS EINTR"]),
    ("STAT", &[PATH, BUFFER, "EACCES"]),
    (
        "MMAP",
        &["EFAULT EOVERFLOW EINVAL EBADF EACCES EISDIR ENOSYS ENOMEM"],
    ),
    ("MUNMAP", &["EFAULT EINVAL"]),
    ("MPROTECT", &["EINVAL EOVERFLOW EFAULT ENOENT"]),
    ("GETDENTS", &["EBADF ENOTDIR", BUFFER]),
    ("THREAD_CREATE", &["EINVAL EOVERFLOW EFAULT ENOMEM"]),
    ("DUP", &["EBADF EMFILE"]),
    ("DUP2", &["EBADF"]),
    ("FUTEX", &["EINVAL EFAULT EAGAIN ETIMEDOUT EINTR"]),
    ("REMOVE", &[PATH, "ENOTDIR EISDIR EACCES ENOSYS ENOTEMPTY"]),
    ("LINK", &[PATH, "EXDEV EISDIR ENOSYS EACCES EEXIST"]),
    ("BIND", &[PATH, "EBADF ENOMEM"]),
    ("OPENAT", &[PATH, OPENING, "EBADF"]),
];
/// Shares, whose list has no room above.
const SHARES: [(&str, &str); 2] = [
    ("SHARE", "EFAULT EBADF ENOMEM"),
    ("CLAIM", "EFAULT ENOENT EMFILE"),
];

#[test]
fn every_error_of_every_call_has_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/patchwork");
    let shares = SHARES.iter().map(|(call, errors)| (*call, *errors));
    let others = ERRORS
        .iter()
        .flat_map(|(call, lists)| lists.iter().map(|list| (*call, *list)));
    let missing = mayfly::covers::missing(&folder, "patchwork", others.chain(shares));
    let missing = missing.expect("the files of this folder");
    assert!(missing.is_empty(), "no test covers {missing:?}");
}

#[mayfly::test(
    covers = "patchwork OPEN2 EINVAL, patchwork OPEN2 ENAMETOOLONG, patchwork OPEN2 EBADFLAG, patchwork OPEN2 EACCES, patchwork OPEN2 EISDIR, patchwork OPEN2 ENOTDIR, patchwork OPEN2 EEXIST, patchwork OPEN2 ENOSYS, patchwork OPENAT EINVAL, patchwork OPENAT EFAULT, patchwork OPENAT ENAMETOOLONG, patchwork OPENAT EBADFLAG, patchwork OPENAT EACCES, patchwork OPENAT EISDIR, patchwork OPENAT ENOTDIR, patchwork OPENAT EEXIST, patchwork OPENAT ENOSYS"
)]
fn all_ways_to_open_fail_alike(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let read_only = open(&probe, "/lib:dr")?;
    let bound = probe.call(patchwork::BIND, args![read_only, text("/var"), 0])?;
    assert_eq!(bound.result, Ok(0));
    let root = open(&probe, "/:d")?;
    let fails = |path: Arg, error: &str| -> Result<()> {
        let (both, words) = (args![path.clone(), out(16)], args![root, path.clone()]);
        for (number, arguments) in [
            (patchwork::OPEN, args![path.clone()]),
            (patchwork::OPEN2, both),
            (patchwork::OPENAT, words),
        ] {
            let call = probe.call(number, arguments)?;
            assert_eq!(call.result, Err(error), "{number} {path:?}");
        }
        Ok(())
    };
    let (long, whole) = ("x".repeat(32), "y/".repeat(128));
    for (path, error) in [
        ("a*", "EINVAL"),
        ("tmp/..:c", "EINVAL"),
        (long.as_str(), "ENAMETOOLONG"),
        (whole.as_str(), "ENAMETOOLONG"),
        ("tmp:q", "EBADFLAG"),
        ("none", "ENOENT"),
        ("var/new:c", "EACCES"),
        ("tmp", "EISDIR"),
        ("dev/null:d", "ENOTDIR"),
        ("dev/null:ce", "EEXIST"),
        ("dev/new:c", "ENOSYS"),
    ] {
        fails(text(path), error)?;
    }
    fails(Arg::Value(0), "EINVAL")?;
    fails(Arg::Value(BAD), "EFAULT")?;
    assert_eq!(open(&probe, "/dev/null")?, root + 1, "nothing is left open");
    Ok(())
}

#[mayfly::test(covers = "patchwork OPENAT EMFILE, patchwork SHARE ENOMEM")]
fn tables_that_are_full_are_said_so(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let share = || probe.call(patchwork::SHARE, args![out(16), 1, u64::MAX]);
    let full = (0..1000).find_map(|_| share().ok()?.result.err());
    assert_eq!(full, Some("ENOMEM"));
    for _ in 3..64 {
        open(&probe, "/dev/null")?;
    }
    let call = probe.call(patchwork::OPENAT, args![1, text("/dev/null")])?;
    assert_eq!(call.result, Err("EMFILE"));
    Ok(())
}

#[mayfly::test(memory = "8M", run_timeout = "60s", covers = "patchwork OPEN ENOMEM")]
fn files_without_contents_take_room_too(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let make = |number: usize| {
        let call = probe.call(patchwork::OPEN, args![text(&format!("/tmp/{number}:c"))])?;
        if call.result.is_ok() {
            close(&probe, call.value)?;
        }
        Ok::<_, Error>(call.result)
    };
    let full = (0..5000).find_map(|number| make(number).ok()?.err());
    assert_eq!(full, Some("ENOMEM"));
    let removed = probe.call(patchwork::REMOVE, args![text("/tmp/0")])?;
    assert_eq!(removed.result, Ok(0));
    assert!(make(0)?.is_ok());
    Ok(())
}

#[mayfly::test(
    memory = "8M",
    run_timeout = "60s",
    covers = "patchwork THREAD_CREATE ENOMEM"
)]
fn threads_cannot_fill_the_kernel(vm: Vm) -> Result<()> {
    let before = vm.stats()?;
    for _ in 0..2 {
        let out = vm
            .spawn("patchwork-threads")
            .arg("full")
            .trace(false)
            .run()?;
        assert_eq!(out.stdout_text(), "threads ok\n", "{:?}", out.cause);
    }
    assert_eq!(vm.stats()?.frames_free, before.frames_free);
    assert!(vm.spawn("patchwork-hello").run()?.status.success());
    Ok(())
}

#[mayfly::test(memory = "8M", run_timeout = "60s")]
fn what_threads_had_in_small_pieces_is_given_out_in_large_ones(vm: Vm) -> Result<()> {
    vm.spawn("patchwork-threads")
        .arg("full")
        .trace(false)
        .run()?;
    let long = vec!["x".repeat(1000); 50];
    let out = vm.spawn("patchwork-args").args(long).trace(false).run()?;
    assert_eq!(out.stdout_text().lines().count(), 51);
    Ok(())
}

#[mayfly::test(
    covers = "patchwork BIND ENAMETOOLONG, patchwork BIND EBADFLAG, patchwork IOCTL EOVERFLOW, patchwork STAT EOVERFLOW"
)]
fn what_else_may_be_wrong_is_said(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let long = "x".repeat(32);
    for (number, arguments, error) in [
        (patchwork::BIND, args![1, text(&long), 0], "ENAMETOOLONG"),
        (patchwork::BIND, args![1, text("/tmp:q"), 0], "EBADFLAG"),
        (patchwork::IOCTL, args![1, 0, u64::MAX, 1], "EOVERFLOW"),
        (
            patchwork::STAT,
            args![text("/tmp"), u64::MAX - 100],
            "EOVERFLOW",
        ),
    ] {
        let call = probe.call(number, arguments.clone())?;
        assert_eq!(call.result, Err(error), "{number} {arguments:?}");
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork MMAP, patchwork MPROTECT, patchwork BIND, patchwork SPAWN")]
fn what_is_beyond_a_narrow_argument_does_not_count(vm: Vm) -> Result<()> {
    const HIGH: u64 = 0xdead_beef_0000_0000;
    let probe = vm.probe(Abi::Patchwork)?;
    let zero = open(&probe, "/dev/zero")?;
    let map = probe.call(patchwork::MMAP, args![zero, 0, 1, HIGH | 3])?;
    assert!(map.result.is_ok());
    let protect = probe.call(patchwork::MPROTECT, args![map.value, 1, HIGH | 1])?;
    assert_eq!(protect.result, Ok(map.value));
    let bin = open(&probe, "/bin:d")?;
    let bind = probe.call(patchwork::BIND, args![bin, text("/tmp"), HIGH])?;
    assert_eq!(bind.result, Ok(0));
    assert_eq!(stat(&probe, "/tmp/patchwork-hello")?.0, 0);
    // The probe's buffer, where the array begins with the address of what follows it.
    let argv = [
        &(mayfly_abi::mailbox::BUFFER + 16).to_le_bytes()[..],
        &[0; 8],
        b"/none\0",
    ]
    .concat();
    let spawn = probe.call(patchwork::SPAWN, args![input(argv), HIGH])?;
    assert!(spawn.result.is_ok());
    // A descriptor and a length are whole words.
    let write = probe.call(patchwork::WRITE, args![HIGH | 1, input("x"), 1])?;
    assert_eq!(write.result, Err("EBADF"));
    let read = probe.call(patchwork::READ, args![zero, out(8), HIGH | 8])?;
    assert!(read.result.is_err());
    Ok(())
}

#[mayfly::test(covers = "patchwork READ, patchwork WRITE, patchwork OPEN")]
fn lengths_and_names_are_good_up_to_their_limits(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let name = format!("/tmp/{}", "n".repeat(31));
    let file = open(&probe, &format!("{name}:c"))?;
    assert_eq!(stat(&probe, &name)?.3.len(), 31);
    for length in [0, 1, 1023, 1024, 1025, 4095, 4096, 4097, 8191, 8192] {
        let bytes: Vec<u8> = (1..=250).cycle().take(length).collect();
        let file = open(&probe, &format!("{name}:t"))?;
        write(&probe, file, &bytes)?;
        probe.call(patchwork::SEEK, args![file, 0, 0])?;
        assert_eq!(read(&probe, file, length)?, bytes);
        assert!(read(&probe, file, 1)?.is_empty(), "{length}");
        close(&probe, file)?;
    }
    close(&probe, file)
}
