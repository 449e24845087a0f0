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
