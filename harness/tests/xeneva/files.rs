//! Files of XenevaOS (`specs/xeneva.md` §3.12, §4).
//!
//! Purpose: OpenFile, ReadFile, WriteFile and CloseFile, every return and every
//! failure, and files that PatchworkOS programs see too. Neighbours: `calls.rs`
//! has the other services.

use mayfly::prelude::*;

const READ_ONLY: u64 = 2;
const WRITE: u64 = 4;
const CREATE: u64 = 8;
/// Addresses that no service may accept.
const BAD: [u64; 5] = [0, 8, 0x1234_5678_9000, 0x8000_0000_0000, u64::MAX << 47];

fn open(probe: &Probe<'_>, path: &str, mode: u64) -> Result<Result<u64, &'static str>> {
    Ok(probe
        .call(xeneva::OpenFile, args![text(path), mode])?
        .result)
}

fn read(probe: &Probe<'_>, fd: u64, count: usize) -> Result<Vec<u8>> {
    let call = probe.call(xeneva::ReadFile, args![fd, out(count), count])?;
    let length = usize::try_from(call.value).expect("a length");
    Ok(call.buffers[0][..length].to_vec())
}

fn write(probe: &Probe<'_>, fd: u64, bytes: &[u8]) -> Result<u64> {
    Ok(probe
        .call(xeneva::WriteFile, args![fd, input(bytes), bytes.len()])?
        .value)
}

fn close(probe: &Probe<'_>, fd: u64) -> Result<Result<u64, &'static str>> {
    Ok(probe.call(xeneva::CloseFile, args![fd])?.result)
}

#[mayfly::test(covers = "xeneva OpenFile, xeneva ReadFile, xeneva WriteFile, xeneva CloseFile")]
fn what_is_written_is_read_again(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    assert_eq!(open(&probe, "/tmp/a", CREATE | WRITE)?, Ok(3));
    assert_eq!(write(&probe, 3, b"hello")?, 5);
    // A second open has a position of its own.
    assert_eq!(open(&probe, "/tmp/a", READ_ONLY)?, Ok(4));
    assert_eq!(read(&probe, 4, 3)?, b"hel");
    assert_eq!(read(&probe, 4, 10)?, b"lo");
    assert!(read(&probe, 4, 10)?.is_empty(), "the end");
    assert_eq!(close(&probe, 3)?, Ok(0));
    // The lowest free descriptor is given; high halves do not count.
    assert_eq!(
        open(&probe, "//tmp//a/", READ_ONLY | WRITE | 7 << 32)?,
        Ok(3)
    );
    assert_eq!(write(&probe, 3, b"J")?, 1);
    assert_eq!(read(&probe, 3 | 1 << 32, 10)?, b"ello");
    assert_eq!(write(&probe, 1, b"out")?, 3);
    assert_eq!(probe.stdout_so_far(), b"out");
    Ok(())
}

#[mayfly::test(covers = "xeneva OpenFile, xeneva OpenFile FAILED")]
fn modes_say_what_is_made_and_allowed(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    for mode in [0, 1, READ_ONLY] {
        assert_eq!(open(&probe, "/tmp/none", mode)?, Err("FAILED"));
    }
    for (path, mode, reads, writes) in [
        ("/tmp/w", WRITE, 0, 1),
        ("/tmp/c", CREATE, 1, 1),
        ("/tmp/1c", 1 | CREATE, 1, 1),
        ("/tmp/rc", READ_ONLY | CREATE, 1, 0),
        ("/tmp/wc", WRITE | CREATE, 0, 1),
        ("/tmp/all", READ_ONLY | WRITE | CREATE, 1, 1),
        ("/tmp/w", 0, 1, 0),
    ] {
        // Each mode but the last makes what is not there: nobody else did yet.
        let fd = open(&probe, path, mode)?.expect("open");
        let other = open(&probe, path, WRITE)?.expect("open");
        assert_eq!(write(&probe, other, b"x")?, 1);
        assert_eq!(read(&probe, fd, 1)?.len(), reads, "{path} {mode}");
        assert_eq!(write(&probe, fd, b"y")?, writes, "{path} {mode}");
        assert_eq!(close(&probe, fd)?, Ok(0));
        assert_eq!(close(&probe, other)?, Ok(0));
    }
    Ok(())
}

#[mayfly::test(covers = "xeneva OpenFile FAILED")]
fn an_open_that_cannot_be_fails(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    for address in BAD {
        let call = probe.call(xeneva::OpenFile, args![address, READ_ONLY])?;
        assert_eq!(call.result, Err("FAILED"), "{address:#x}");
    }
    let long_name = format!("/tmp/{}", "x".repeat(32));
    let long_path = format!("/tmp{}", "/".repeat(124));
    for path in [
        "",
        "a",
        "tmp/a",
        "/tmp/..",
        "/tmp/./a",
        "/tmp/a:c",
        "/tmp/*",
        "/none/a",
        "/dev/none",
        "/dev/null/a",
        &long_name,
        &long_path,
    ] {
        assert_eq!(open(&probe, path, CREATE | WRITE)?, Err("FAILED"), "{path}");
    }
    for fd in 3..60 {
        assert_eq!(open(&probe, "/dev/null", 0)?, Ok(fd));
    }
    assert_eq!(open(&probe, "/dev/null", 0)?, Err("FAILED"), "60 are most");
    Ok(())
}

#[mayfly::test(covers = "xeneva ReadFile, xeneva WriteFile, xeneva CloseFile FAILED")]
fn what_cannot_be_read_or_written_is_0(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let fd = open(&probe, "/tmp/a", READ_ONLY | WRITE)?.expect("made");
    let directory = open(&probe, "/tmp", READ_ONLY)?.expect("open");
    assert_eq!(write(&probe, fd, b"abc")?, 3);
    for service in [xeneva::ReadFile, xeneva::WriteFile] {
        for bad in [99, -1_i64, i64::from(i32::MIN)] {
            let call = probe.call(service, args![bad, out(8), 8])?;
            assert_eq!(call.value, 0);
        }
        for address in BAD {
            let call = probe.call(service, args![fd, address, 8])?;
            assert_eq!(call.value, 0, "{address:#x}");
        }
        let call = probe.call(service, args![directory, out(8), 8])?;
        assert_eq!(call.value, 0);
    }
    for bad in [99, 60, u64::MAX, 1 << 31] {
        assert_eq!(close(&probe, bad)?, Err("FAILED"));
    }
    assert_eq!(close(&probe, fd)?, Ok(0));
    assert_eq!(close(&probe, fd)?, Err("FAILED"));
    Ok(())
}

#[mayfly::test(covers = "xeneva ReadFile, xeneva WriteFile")]
fn devices_and_pipes_are_files(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let zero = open(&probe, "/dev/zero", READ_ONLY)?.expect("open");
    assert_eq!(read(&probe, zero, 9)?, [0; 9]);
    assert_eq!(write(&probe, zero, b"x")?, 0);
    let null = open(&probe, "/dev/null", WRITE)?.expect("open");
    assert_eq!(write(&probe, null, &[1; 5000])?, 5000);
    let pipe = open(&probe, "/dev/pipe/new", READ_ONLY | WRITE)?.expect("open");
    assert!(
        read(&probe, pipe, 9)?.is_empty(),
        "an empty pipe does not wait"
    );
    assert_eq!(write(&probe, pipe, &[7; 9000])?, 4095);
    assert_eq!(read(&probe, pipe, 5000)?, [7; 4095]);
    Ok(())
}

#[mayfly::test(covers = "xeneva OpenFile, xeneva ReadFile, xeneva WriteFile")]
fn files_are_those_of_the_other_interfaces(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Xeneva)?;
    let other = vm.probe(Abi::Patchwork)?;
    let fd = open(&probe, "/tmp/shared", WRITE)?.expect("made");
    assert_eq!(write(&probe, fd, b"from xeneva")?, 11);
    let theirs = other
        .call(patchwork::OPEN, args![text("/tmp/shared")])?
        .value;
    let call = other.call(patchwork::READ, args![theirs, out(20), 20])?;
    assert_eq!(&call.buffers[0][..11], b"from xeneva");
    other.call(patchwork::WRITE, args![theirs, input("!"), 1])?;
    let again = open(&probe, "/tmp/shared", READ_ONLY)?.expect("open");
    assert_eq!(read(&probe, again, 20)?, b"from xeneva!");
    Ok(())
}
