//! Open files of PatchworkOS: descriptors and regular files.
//!
//! Purpose: OPEN to SEEK, IOCTL, DUP and DUP2, one by one, with every error
//! of `specs/patchwork.md` §5. Neighbours: `devices.rs` has
//! other files, `paths.rs` names, `pipes.rs` what blocks.

use mayfly::prelude::*;

/// Addresses that no call may accept.
const BAD: [u64; 4] = [8, 0x1234_5678_9000, 0x8000_0000_0000, u64::MAX << 47];

/// Opens a path that can be opened.
pub(crate) fn open(probe: &Probe<'_>, path: &str) -> Result<u64> {
    let call = probe.call(patchwork::OPEN, args![text(path)])?;
    assert!(call.result.is_ok(), "{path}: {:?}", call.result);
    Ok(call.value)
}

/// Closes what is open.
pub(crate) fn close(probe: &Probe<'_>, fd: u64) -> Result<()> {
    let call = probe.call(patchwork::CLOSE, args![fd])?;
    assert_eq!(call.result, Ok(0));
    Ok(())
}

/// Reads; the bytes that came.
pub(crate) fn read(probe: &Probe<'_>, fd: u64, count: usize) -> Result<Vec<u8>> {
    let call = probe.call(patchwork::READ, args![fd, out(count), count])?;
    let length = usize::try_from(call.result.expect("a READ that works")).expect("a length");
    Ok(call.buffers[0][..length].to_vec())
}

/// Writes all of it.
pub(crate) fn write(probe: &Probe<'_>, fd: u64, bytes: &[u8]) -> Result<()> {
    let call = probe.call(patchwork::WRITE, args![fd, input(bytes), bytes.len()])?;
    assert_eq!(call.result, Ok(bytes.len() as u64));
    Ok(())
}

#[mayfly::test(covers = "patchwork OPEN, patchwork CLOSE, patchwork CLOSE EBADF")]
fn the_lowest_free_descriptor_is_given(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    for fd in 3..8 {
        assert_eq!(open(&probe, "/dev/null")?, fd);
    }
    close(&probe, 5)?;
    close(&probe, 0)?;
    assert_eq!(open(&probe, "/dev/null")?, 0);
    assert_eq!(open(&probe, "/dev/null")?, 5);
    assert_eq!(open(&probe, "/dev/null")?, 8);
    for fd in [9, 63, 64, u64::MAX] {
        let call = probe.call(patchwork::CLOSE, args![fd])?;
        assert_eq!(call.result, Err("EBADF"));
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork OPEN EMFILE, patchwork DUP EMFILE, patchwork OPEN2 EMFILE")]
fn there_are_64_descriptors(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    for fd in 3..63 {
        assert_eq!(open(&probe, "/dev/null")?, fd);
    }
    let both = probe.call(patchwork::OPEN2, args![text("/dev/pipe/new"), out(16)])?;
    assert_eq!(both.result, Err("EMFILE"));
    assert_eq!(open(&probe, "/dev/null")?, 63);
    let call = probe.call(patchwork::OPEN, args![text("/dev/null")])?;
    assert_eq!(call.result, Err("EMFILE"));
    assert_eq!(probe.call(patchwork::DUP, args![1])?.result, Err("EMFILE"));
    close(&probe, 7)?;
    assert_eq!(probe.call(patchwork::DUP, args![1])?.result, Ok(7));
    Ok(())
}

#[mayfly::test(
    covers = "patchwork OPEN EINVAL, patchwork OPEN EFAULT, patchwork OPEN ENAMETOOLONG, patchwork OPEN EBADFLAG, patchwork OPEN ENOENT, patchwork OPEN EISDIR, patchwork OPEN ENOTDIR, patchwork OPEN EEXIST, patchwork OPEN ENOSYS"
)]
fn an_open_that_cannot_be_says_why(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let long = format!("/{}", "x".repeat(32));
    let whole = format!("/{}", "y/".repeat(130));
    for (path, error) in [
        ("/dev/null*", "EINVAL"),
        (long.as_str(), "ENAMETOOLONG"),
        (whole.as_str(), "ENAMETOOLONG"),
        ("/dev/null:q", "EBADFLAG"),
        ("/nothing", "ENOENT"),
        ("/nothing/below", "ENOENT"),
        ("/dev/null/below", "ENOENT"),
        ("/dev/null/..", "ENOENT"),
        ("/nothing/below:create", "ENOENT"),
        ("/dev", "EISDIR"),
        ("/", "EISDIR"),
        ("", "EISDIR"),
        ("/dev/null:directory", "ENOTDIR"),
        ("/dev/null:create:exclusive", "EEXIST"),
        ("/tmp:cde", "EEXIST"),
        ("/dev/new:create", "ENOSYS"),
        ("/dev/new:cd", "ENOSYS"),
        ("/tmp/.:create", "EINVAL"),
        ("/tmp/..:create", "EINVAL"),
        ("/:create", "EINVAL"),
    ] {
        let call = probe.call(patchwork::OPEN, args![text(path)])?;
        assert_eq!(call.result, Err(error), "{path}");
    }
    assert_eq!(probe.call(patchwork::OPEN, args![0])?.result, Err("EINVAL"));
    for address in BAD {
        let call = probe.call(patchwork::OPEN, args![address])?;
        assert_eq!(call.result, Err("EFAULT"), "{address:#x}");
    }
    // 255 characters and a terminator are the most that fit.
    let fits = format!("{}dev/null", "/".repeat(247));
    assert!(
        probe
            .call(patchwork::OPEN, args![text(&fits)])?
            .result
            .is_ok()
    );
    let long = format!("/{fits}");
    let call = probe.call(patchwork::OPEN, args![text(&long)])?;
    assert_eq!(call.result, Err("ENAMETOOLONG"));
    Ok(())
}

#[mayfly::test(
    covers = "patchwork READ EBADF, patchwork READ EINVAL, patchwork READ EFAULT, patchwork READ EOVERFLOW, patchwork READ EISDIR, patchwork READ ENOSYS"
)]
fn a_read_that_cannot_be_says_why(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let zero = open(&probe, "/dev/zero")?;
    let directory = open(&probe, "/tmp:directory")?;
    let write_only = open(&probe, "/dev/zero:w")?;
    let append = open(&probe, "/tmp/a:create:append")?;
    for (arguments, error) in [
        (args![99, out(8), 8], "EBADF"),
        (args![zero, 0, 0], "EINVAL"),
        (args![zero, 0, 8], "EINVAL"),
        (args![directory, 0, 0], "EINVAL"),
        (args![zero, u64::MAX - 3, 100], "EOVERFLOW"),
        (args![directory, out(8), 8], "EISDIR"),
        (args![1, out(8), 8], "ENOSYS"),
        (args![write_only, out(8), 8], "EBADF"),
        (args![append, out(8), 8], "EBADF"),
    ] {
        let call = probe.call(patchwork::READ, arguments.clone())?;
        assert_eq!(call.result, Err(error), "{arguments:?}");
    }
    for address in BAD {
        // A bad buffer comes before what the file is.
        for fd in [zero, directory, 1] {
            let call = probe.call(patchwork::READ, args![fd, address, 16])?;
            assert_eq!(call.result, Err("EFAULT"), "{fd} {address:#x}");
        }
    }
    Ok(())
}

#[mayfly::test(
    covers = "patchwork WRITE EBADF, patchwork WRITE EINVAL, patchwork WRITE EFAULT, patchwork WRITE EISDIR, patchwork WRITE ENOSYS, patchwork WRITE EFBIG"
)]
fn a_write_to_a_file_that_cannot_be_says_why(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let zero = open(&probe, "/dev/zero")?;
    let directory = open(&probe, "/tmp:directory")?;
    let read_only = open(&probe, "/dev/null:r")?;
    let file = open(&probe, "/tmp/a:create")?;
    assert_eq!(
        probe.call(patchwork::SEEK, args![file, -2, 0])?.value,
        u64::MAX - 1
    );
    for (arguments, error) in [
        (args![read_only, 0, 0], "EINVAL"),
        (args![directory, input("x"), 1], "EISDIR"),
        (args![zero, input("x"), 1], "ENOSYS"),
        (args![read_only, input("x"), 1], "EBADF"),
        (args![file, input("x"), 1], "EFBIG"),
        (args![directory, 8, 1], "EFAULT"),
        (args![read_only, 8, 1], "EFAULT"),
        (args![file, 8, 1], "EFAULT"),
    ] {
        let call = probe.call(patchwork::WRITE, arguments.clone())?;
        assert_eq!(call.result, Err(error), "{arguments:?}");
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork OPEN, patchwork READ, patchwork WRITE, patchwork SEEK")]
fn a_file_keeps_what_is_written(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let bytes: Vec<u8> = (0..=255).cycle().take(50_000).collect();
    let file = open(&probe, "/tmp/a:create")?;
    write(&probe, file, &bytes)?;
    assert!(read(&probe, file, 10)?.is_empty());
    assert_eq!(
        probe.call(patchwork::SEEK, args![file, 0, 0])?.result,
        Ok(0)
    );
    assert_eq!(read(&probe, file, 60_000)?, bytes);
    // Another open file has a position of its own; no NUL is added.
    let other = open(&probe, "/tmp/a:append")?;
    write(&probe, other, b"end")?;
    let seek = |offset: i64, origin: u64| probe.call(patchwork::SEEK, args![file, offset, origin]);
    assert_eq!(seek(-4, 2)?.result, Ok(49_999));
    assert_eq!(read(&probe, file, 10)?, [bytes[49_999], b'e', b'n', b'd']);
    // Holes read as zeros.
    assert_eq!(seek(7, 1)?.result, Ok(50_010));
    write(&probe, file, b"x")?;
    assert_eq!(seek(-9, 2)?.result, Ok(50_002));
    assert_eq!(read(&probe, file, 10)?, b"d\0\0\0\0\0\0\0x");
    let again = open(&probe, "/tmp/a:truncate")?;
    assert!(read(&probe, again, 10)?.is_empty());
    Ok(())
}

#[mayfly::test(covers = "patchwork SEEK EBADF, patchwork SEEK ESPIPE, patchwork SEEK EINVAL")]
fn seeks_are_refused_and_truncated_to_a_byte(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let file = open(&probe, "/tmp/a:create")?;
    let null = open(&probe, "/dev/null")?;
    for (fd, origin, expected) in [
        (99, 0, Err("EBADF")),
        (null, 0, Err("ESPIPE")),
        (1, 0, Err("ESPIPE")),
        (file, 3, Err("EINVAL")),
        (file, 255, Err("EINVAL")),
        (file, 0x1_0000_0100_u64, Ok(5)),
        (file, 1, Ok(10)),
    ] {
        let call = probe.call(patchwork::SEEK, args![fd, 5, origin])?;
        assert_eq!(call.result, expected, "{fd} {origin}");
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork DUP, patchwork DUP EBADF, patchwork DUP2, patchwork DUP2 EBADF")]
fn duplicates_share_a_position(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let file = open(&probe, "/tmp/a:create")?;
    let copy = probe.call(patchwork::DUP, args![file])?.value;
    assert_eq!(copy, file + 1);
    write(&probe, copy, b"abc")?;
    assert_eq!(
        probe.call(patchwork::SEEK, args![file, 0, 1])?.result,
        Ok(3)
    );
    let dup2 = |old: u64, new: u64| {
        Ok::<_, mayfly::Error>(probe.call(patchwork::DUP2, args![old, new])?.result)
    };
    assert_eq!(dup2(file, 1)?, Ok(1));
    write(&probe, 1, b"def")?;
    assert!(probe.stdout_so_far().is_empty());
    assert_eq!(dup2(file, 63)?, Ok(63));
    assert_eq!(dup2(file, 64)?, Err("EBADF"));
    assert_eq!(dup2(99, 99)?, Ok(99), "onto itself nothing is looked at");
    assert_eq!(dup2(40, 41)?, Err("EBADF"));
    assert_eq!(probe.call(patchwork::DUP, args![40])?.result, Err("EBADF"));
    assert_eq!(probe.call(patchwork::SEEK, args![63, 0, 1])?.result, Ok(6));
    Ok(())
}

#[mayfly::test(
    covers = "patchwork OPEN2, patchwork OPEN2 EINVAL, patchwork OPEN2 EFAULT, patchwork OPEN2 ENOENT"
)]
fn a_file_opened_twice_has_two_positions(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let call = probe.call(patchwork::OPEN2, args![text("/tmp/a:create"), out(16)])?;
    assert_eq!(
        (call.result, call.word(0, 0), call.word(0, 1)),
        (Ok(0), Some(3), Some(4))
    );
    write(&probe, 3, b"abc")?;
    assert_eq!(read(&probe, 4, 10)?, b"abc");
    for (arguments, error) in [
        (args![text("/tmp/a"), 0], "EINVAL"),
        (args![0, out(16)], "EINVAL"),
        (args![text("/tmp/none"), out(16)], "ENOENT"),
        (args![text("/tmp/a"), 8], "EFAULT"),
    ] {
        assert_eq!(probe.call(patchwork::OPEN2, arguments)?.result, Err(error));
    }
    assert_eq!(
        open(&probe, "/dev/null")?,
        5,
        "a failed call keeps no descriptor"
    );
    Ok(())
}

#[mayfly::test]
fn files_are_within_their_budgets(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let null = open(&probe, "/dev/null")?;
    close(&probe, open(&probe, "/dev/null")?)?;
    let write = probe.call(patchwork::WRITE, args![null, input("x"), 1])?;
    budget!(write, kernel_instr <= 250);
    let open = probe.call(patchwork::OPEN, args![text("/dev/null")])?;
    let close = probe.call(patchwork::CLOSE, args![open.value])?;
    let both = open.with_costs_of(&close);
    budget!(both, kernel_instr <= 1500);
    Ok(())
}
