//! Files of PatchworkOS that the kernel has from the beginning.
//!
//! Purpose: devices, the log, the files of bundles, and what limits all files
//! (`specs/patchwork.md` §12). Neighbours: `files.rs` has the calls.

use mayfly::prelude::*;

use super::files::{close, open, read, write};

#[mayfly::test(covers = "patchwork READ, patchwork WRITE")]
fn devices_give_and_take(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let (null, zero) = (open(&probe, "/dev/null")?, open(&probe, "/dev/zero")?);
    let one = open(&probe, "/dev/one")?;
    assert!(read(&probe, null, 10)?.is_empty());
    write(&probe, null, &[7; 5000])?;
    assert_eq!(read(&probe, one, 9000)?, [0xff; 9000]);
    let call = probe.call(patchwork::READ, args![zero, inout([9; 100]), 99])?;
    assert_eq!(call.result, Ok(99));
    assert_eq!(call.buffers[0][..99], [0; 99]);
    assert_eq!(call.buffers[0][99], 9);
    assert!(
        read(&probe, 0, 10)?.is_empty(),
        "standard input is at its end"
    );
    Ok(())
}

#[mayfly::test(
    covers = "patchwork IOCTL, patchwork IOCTL EBADF, patchwork IOCTL EINVAL, patchwork IOCTL EFAULT, patchwork IOCTL EISDIR, patchwork IOCTL ENOTTY"
)]
fn no_device_knows_a_control(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let directory = open(&probe, "/:directory")?;
    for (arguments, error) in [
        (args![99, 1, 0, 0], "EBADF"),
        (args![1, 1, 0, 8], "EINVAL"),
        (args![1, 1, 8, 8], "EFAULT"),
        (args![1, 1, u64::MAX, 8], "EOVERFLOW"),
        (args![directory, 1, 0, 0], "EISDIR"),
        (args![1, 1, 0, 0], "ENOTTY"),
        (args![1, 1, input("12345678"), 8], "ENOTTY"),
    ] {
        let call = probe.call(patchwork::IOCTL, arguments.clone())?;
        assert_eq!(call.result, Err(error), "{arguments:?}");
    }
    Ok(())
}

#[mayfly::test(covers = "patchwork READ, patchwork WRITE")]
fn files_of_the_bundle_are_there_and_can_be_changed(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let file = open(&probe, "/bin/patchwork-hello")?;
    assert_eq!(read(&probe, file, 4)?, b"\x7fELF");
    probe.call(patchwork::SEEK, args![file, 1, 0])?;
    write(&probe, file, b"XYZ")?;
    probe.call(patchwork::SEEK, args![file, 0, 0])?;
    assert_eq!(read(&probe, file, 6)?, b"\x7fXYZ\x02\x01");
    // The program that the host starts is that of the bundle still.
    assert!(vm.spawn("patchwork-hello").run()?.status.success());
    Ok(())
}

#[mayfly::test]
fn a_bundle_file_with_an_absolute_name_has_that_path(vm: Vm) -> Result<()> {
    let own = VmOptions::default()
        .backend(vm.backend())
        .file("/etc/deep/x", "hello")
        .file("/usr/share/y", "there")
        .boot()?;
    let probe = own.probe(Abi::Patchwork)?;
    let (first, second) = (open(&probe, "/etc/deep/x")?, open(&probe, "/usr/share/y")?);
    assert_eq!(read(&probe, first, 10)?, b"hello");
    assert_eq!(read(&probe, second, 10)?, b"there");
    open(&probe, "/usr/bin:d")?;
    Ok(())
}

#[mayfly::test(covers = "patchwork READ, patchwork WRITE")]
fn the_log_is_read_at_a_position_of_ones_own(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let (writer, reader) = (open(&probe, "/dev/klog:rw")?, open(&probe, "/dev/klog")?);
    write(&probe, writer, b"hello ")?;
    assert_eq!(read(&probe, reader, 3)?, b"hel");
    write(&probe, reader, b"log")?;
    assert_eq!(read(&probe, reader, 100)?, b"lo log");
    assert_eq!(read(&probe, writer, 100)?, b"hello log");
    assert!(read(&probe, reader, 100)?.is_empty());
    // It keeps the last 64 KiB.
    write(&probe, writer, &[b'a'; 50_000])?;
    write(&probe, writer, &[b'b'; 50_000])?;
    assert_eq!(read(&probe, reader, 15_536)?, [b'a'; 15_536]);
    assert_eq!(read(&probe, reader, 60_000)?, [b'b'; 50_000]);
    Ok(())
}

#[mayfly::test(memory = "8M", covers = "patchwork WRITE ENOMEM")]
fn files_cannot_fill_the_kernel(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let file = open(&probe, "/tmp/a:create")?;
    // A byte here and there: each takes a piece of its own.
    let full = (0..1000).find_map(|_| {
        probe.call(patchwork::SEEK, args![file, 4000, 1]).ok()?;
        let call = probe.call(patchwork::WRITE, args![file, input("x"), 1]);
        call.ok()?.result.err()
    });
    assert_eq!(full, Some("ENOMEM"));
    // Others go on.
    assert!(vm.spawn("patchwork-hello").run()?.status.success());
    assert_eq!(
        probe.call(patchwork::REMOVE, args![text("/tmp/a")])?.result,
        Ok(0)
    );
    close(&probe, file)?;
    let file = open(&probe, "/tmp/b:create")?;
    write(&probe, file, &[1; 50_000])?;
    Ok(())
}

/// The text of a file.
fn text_of(probe: &Probe<'_>, path: &str) -> Result<String> {
    let file = open(probe, path)?;
    let text = String::from_utf8(read(probe, file, 500)?).expect("text");
    assert!(read(probe, file, 500)?.is_empty(), "{path} has an end");
    close(probe, file)?;
    Ok(text)
}

#[mayfly::test(covers = "patchwork OPEN, patchwork READ")]
fn the_processors_time_is_told_and_only_grows(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let times = || -> Result<Vec<u64>> {
        let text = text_of(&probe, "/dev/perf/cpu")?;
        let (header, line) = text.split_once('\n').expect("two lines");
        assert_eq!(header, "cpu idle_clocks active_clocks interrupt_clocks");
        let numbers = line.split(' ').map(|word| word.parse().expect("a number"));
        Ok(numbers.collect())
    };
    let first = times()?;
    assert_eq!((first.len(), first[0]), (4, 0), "{first:?}");
    let sleep = 30_000_000;
    probe.call(patchwork::NANOSLEEP, args![sleep])?;
    let up = probe.call(patchwork::UPTIME, args![])?.value;
    let second = times()?;
    // Asleep is idle, most of it at least where the host is busy, and every moment
    // is one of the three.
    assert!(second[1] >= first[1] + sleep / 10, "{first:?} {second:?}");
    assert!(second[1..].iter().sum::<u64>() >= up);
    assert!(second.iter().zip(&first).all(|(now, then)| now >= then));
    Ok(())
}

#[mayfly::test(covers = "patchwork OPEN, patchwork READ")]
fn memory_in_use_is_told(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let pages = || -> Result<Vec<u64>> {
        let text = text_of(&probe, "/dev/perf/mem")?;
        let lines = text.split('\n').zip(["total", "free", "used"]);
        let numbers = lines.map(|(line, name)| {
            let number = line
                .strip_prefix(name)
                .and_then(|it| it.strip_prefix("_pages "));
            number
                .and_then(|it| it.parse().ok())
                .expect("a line of its name")
        });
        Ok(numbers.collect())
    };
    pages()?;
    let (before, stats) = (pages()?, vm.stats()?);
    assert_eq!(
        before,
        [
            stats.frames,
            stats.frames_free,
            stats.frames - stats.frames_free
        ]
    );
    let zero = open(&probe, "/dev/zero")?;
    let map = probe.call(patchwork::MMAP, args![zero, 0, 8 * 4096, 3])?;
    probe.call(patchwork::READ, args![zero, map.value, 8 * 4096])?;
    assert!(pages()?[2] >= before[2] + 8);
    Ok(())
}

#[mayfly::test(
    covers = "patchwork READ EBADF, patchwork WRITE ENOSYS, patchwork SEEK ESPIPE, patchwork POLL ENOSYS, patchwork MMAP ENOSYS"
)]
fn what_is_told_cannot_be_changed(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    for path in ["/dev/perf/cpu", "/dev/perf/mem"] {
        let file = open(&probe, path)?;
        let errors = [
            probe.call(patchwork::WRITE, args![file, input("x"), 1])?,
            probe.call(patchwork::SEEK, args![file, 0, 0])?,
            probe.call(patchwork::POLL, args![input(poll(file)), 1, 0])?,
            probe.call(patchwork::MMAP, args![file, 0, 1, 1])?,
        ];
        assert_eq!(
            errors.map(|call| call.result),
            [Err("ENOSYS"), Err("ESPIPE"), Err("ENOSYS"), Err("ENOSYS")]
        );
        let write_only = open(&probe, &format!("{path}:w"))?;
        let call = probe.call(patchwork::READ, args![write_only, out(8), 8])?;
        assert_eq!(call.result, Err("EBADF"));
        let call = probe.call(patchwork::READ, args![file, 8, 8])?;
        assert_eq!(call.result, Err("EFAULT"));
        let call = probe.call(patchwork::STAT, args![text(path), out(168)])?;
        assert_eq!(call.result, Ok(0));
    }
    Ok(())
}

/// An entry of POLL: reading.
pub(crate) fn poll(fd: u64) -> [u8; 16] {
    (u128::from(fd) | 1 << 64).to_le_bytes()
}
