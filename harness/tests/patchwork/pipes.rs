//! Pipes of PatchworkOS, and waiting for files (`specs/patchwork.md` §5, §12).
//!
//! Purpose: `/dev/pipe/new` and POLL as far as one thread sees them. What
//! blocks for another process's sake is tested in `kernel/core`, where time stands still.
//! Neighbours: `files.rs` has descriptors.

use mayfly::prelude::*;

use super::files::{close, open, read, write};

/// Opens a pipe: the reading end, the writing end.
fn pipe(probe: &Probe<'_>) -> Result<(u64, u64)> {
    let call = probe.call(patchwork::OPEN2, args![text("/dev/pipe/new"), out(16)])?;
    assert_eq!(call.result, Ok(0));
    Ok((
        call.word(0, 0).expect("an end"),
        call.word(0, 1).expect("an end"),
    ))
}

/// Polls descriptors for events: the result, and what each is ready for.
pub(crate) fn poll(
    probe: &Probe<'_>,
    files: &[(u64, u32)],
    timeout: u64,
) -> Result<(Result<u64, &'static str>, Vec<u32>)> {
    let mut bytes = Vec::new();
    for (fd, events) in files {
        bytes.extend(fd.to_le_bytes());
        bytes.extend(events.to_le_bytes());
        bytes.extend(u32::MAX.to_le_bytes());
    }
    let call = probe.call(patchwork::POLL, args![inout(bytes), files.len(), timeout])?;
    let revents = call.buffers[0].chunks(16);
    let revents =
        revents.map(|bytes| u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]));
    Ok((call.result, revents.collect()))
}

pub(crate) const IN: u32 = 1;
pub(crate) const OUT: u32 = 2;
const NVAL: u32 = 16;

#[mayfly::test(covers = "patchwork OPEN2, patchwork READ, patchwork WRITE")]
fn bytes_come_out_in_order(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let (reader, writer) = pipe(&probe)?;
    let bytes: Vec<u8> = (0..=255).cycle().take(4095).collect();
    // Round the ring more than once.
    for length in [1, 4095, 100, 3000, 4000, 4095] {
        write(&probe, writer, &bytes[..length])?;
        assert_eq!(read(&probe, reader, 4095)?, bytes[..length]);
    }
    write(&probe, writer, b"abc")?;
    write(&probe, writer, b"def")?;
    assert_eq!(read(&probe, reader, 2)?, b"ab");
    assert_eq!(read(&probe, reader, 10)?, b"cdef");
    assert!(read(&probe, reader, 0)?.is_empty());
    Ok(())
}

#[mayfly::test(
    covers = "patchwork READ EINVAL, patchwork WRITE EINVAL, patchwork READ ENOTSUP, patchwork WRITE ENOTSUP, patchwork WRITE EPIPE, patchwork WRITE EFAULT"
)]
fn a_pipe_says_what_it_cannot(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let (reader, writer) = pipe(&probe)?;
    for (number, arguments, error) in [
        (patchwork::READ, args![reader, out(4096), 4096], "EINVAL"),
        (patchwork::WRITE, args![writer, out(4096), 4096], "EINVAL"),
        (patchwork::READ, args![writer, out(8), 8], "ENOTSUP"),
        (patchwork::WRITE, args![reader, out(8), 8], "ENOTSUP"),
        (patchwork::WRITE, args![writer, 8, 8], "EFAULT"),
        (patchwork::SEEK, args![reader, 0, 0], "ESPIPE"),
    ] {
        let call = probe.call(number, arguments.clone())?;
        assert_eq!(call.result, Err(error), "{number} {arguments:?}");
    }
    write(&probe, writer, b"last")?;
    close(&probe, writer)?;
    assert_eq!(read(&probe, reader, 10)?, b"last");
    assert!(read(&probe, reader, 10)?.is_empty(), "the end");
    let (reader, writer) = pipe(&probe)?;
    close(&probe, reader)?;
    let call = probe.call(patchwork::WRITE, args![writer, input("x"), 1])?;
    assert_eq!(call.result, Err("EPIPE"));
    Ok(())
}

#[mayfly::test(covers = "patchwork OPEN, patchwork DUP2")]
fn one_descriptor_may_have_both_ends(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let both = open(&probe, "/dev/pipe/new")?;
    write(&probe, both, b"round")?;
    assert_eq!(read(&probe, both, 10)?, b"round");
    let (reader, writer) = pipe(&probe)?;
    // The writing end is closed by what takes its number.
    probe.call(patchwork::DUP2, args![both, writer])?;
    assert!(read(&probe, reader, 10)?.is_empty());
    Ok(())
}

#[mayfly::test(covers = "patchwork POLL")]
fn a_poll_says_what_is_ready(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let (reader, writer) = pipe(&probe)?;
    let both = IN | OUT;
    let files = [(reader, both), (writer, both)];
    assert_eq!(poll(&probe, &files, 0)?, (Ok(1), vec![0, OUT]));
    write(&probe, writer, &[0; 4095])?;
    assert_eq!(poll(&probe, &files, u64::MAX)?, (Ok(2), vec![IN, OUT]));
    write(&probe, writer, b"x")?;
    assert_eq!(poll(&probe, &files, 0)?, (Ok(1), vec![IN, 0]));
    assert_eq!(poll(&probe, &[(reader, OUT)], 0)?, (Ok(0), vec![0]));
    close(&probe, reader)?;
    assert_eq!(poll(&probe, &[(writer, both)], 0)?, (Ok(1), vec![OUT]));
    // Standard streams, and the log.
    let log = open(&probe, "/dev/klog")?;
    let files = [(0, both), (1, both), (log, both)];
    assert_eq!(poll(&probe, &files, 0)?, (Ok(3), vec![IN, OUT, OUT]));
    write(&probe, log, b"x")?;
    assert_eq!(poll(&probe, &[(log, IN)], 0)?, (Ok(1), vec![IN]));
    Ok(())
}

#[mayfly::test(covers = "patchwork POLL")]
fn a_poll_waits_as_long_as_it_is_told(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    let (reader, _writer) = pipe(&probe)?;
    for timeout in [0, 1, 2_000_000] {
        let before = probe.call(patchwork::UPTIME, args![])?.value;
        assert_eq!(poll(&probe, &[(reader, IN)], timeout)?, (Ok(0), vec![0]));
        let after = probe.call(patchwork::UPTIME, args![])?.value;
        assert!(after - before >= timeout);
    }
    Ok(())
}

#[mayfly::test(
    covers = "patchwork POLL EINVAL, patchwork POLL EFAULT, patchwork POLL EBADF, patchwork POLL EISDIR, patchwork POLL ENOSYS"
)]
fn a_poll_that_cannot_be_says_why(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Patchwork)?;
    for count in [0, 64, 1 << 32, u64::MAX] {
        let call = probe.call(patchwork::POLL, args![out(1024), count, 0])?;
        assert_eq!(call.result, Err("EINVAL"), "{count}");
    }
    for address in [0, 8, u64::MAX - 7, 0xffff_8000_0000_0000] {
        let call = probe.call(patchwork::POLL, args![address, 1, 0])?;
        assert_eq!(call.result, Err("EFAULT"), "{address:#x}");
    }
    let (directory, null) = (open(&probe, "/:d")?, open(&probe, "/dev/null")?);
    let file = open(&probe, "/tmp/a:c")?;
    assert_eq!(
        poll(&probe, &[(1, OUT), (99, IN)], 0)?,
        (Err("EBADF"), vec![0, NVAL])
    );
    assert_eq!(
        poll(&probe, &[(1, OUT), (directory, IN)], 0)?.0,
        Err("EISDIR")
    );
    assert_eq!(poll(&probe, &[(1, OUT), (null, IN)], 0)?.0, Err("ENOSYS"));
    assert_eq!(poll(&probe, &[(file, IN)], 0)?.0, Err("ENOSYS"));
    assert_eq!(poll(&probe, &[(1, OUT); 63], 0)?.0, Ok(63));
    Ok(())
}
