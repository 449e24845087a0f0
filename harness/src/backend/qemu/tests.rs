//! QEMU as a process: its end, its words, and a guest that does not stop.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::backend::BackendKind;
use std::os::unix::net::UnixStream;

#[test]
fn exit_statuses_are_read_as_qemu_writes_them() {
    let status = |code: i32| ExitStatus::from_raw(code << 8);
    assert_eq!(end(status(0x10 * 2 + 1), ""), End::Exit(0x10));
    assert!(matches!(end(status(0), ""), End::Crash { .. }));
    assert!(
        matches!(end(status(1), "bad option"), End::Lost(words) if words.contains("bad option"))
    );
    assert!(matches!(end(ExitStatus::from_raw(9), ""), End::Lost(_)));
}

#[test]
fn a_missing_program_names_the_package() {
    let error = not_started(&ErrorKind::NotFound.into()).to_string();
    assert!(error.contains("apt-get install qemu-system-x86"), "{error}");
}

fn options() -> VmOptions {
    VmOptions::default().backend(BackendKind::Qemu)
}

/// A process that is none of QEMU's, and our ends of its streams are the others.
fn stand_in(streams: Vec<UnixStream>) -> Qemu {
    let mut command = Command::new("sleep");
    let mut child = command.arg("60").stderr(Stdio::piped()).spawn().unwrap();
    let stderr = child.stderr.take().unwrap();
    never_waits(&stderr).unwrap();
    Qemu {
        child,
        stderr,
        words: Vec::new(),
        streams: streams
            .into_iter()
            .map(|it| Socket::new(it).unwrap())
            .collect(),
        taken: Default::default(),
        monitor: Qmp::new(UnixStream::pair().unwrap().0),
        bell: Bell::new().unwrap(),
        closing: false,
        spoke: false,
        ended: None,
    }
}

#[test]
fn a_stream_that_has_bytes_when_time_is_over_is_read_and_holds_nothing_up() {
    let (own, mut theirs) = pair().unwrap();
    let mut qemu = stand_in(vec![own]);
    theirs.write_all(b"more").unwrap();
    let soon = Instant::now() + Duration::from_secs(60);
    assert_eq!(qemu.run(soon).unwrap(), Stop::Output);
    theirs.write_all(b" and more").unwrap();
    assert_eq!(qemu.run(Instant::now()).unwrap(), Stop::Deadline(None));
    assert_eq!(qemu.take(STREAMS[0]), b"more and more");
}

#[test]
fn what_the_guest_has_no_room_for_is_sent_when_it_has() {
    let (own, mut theirs) = pair().unwrap();
    let mut qemu = stand_in(vec![own]);
    let bytes: Vec<u8> = (0..=250).cycle().take(4_000_000).collect();
    // Nobody reads yet, and nobody waits for that.
    for part in bytes.chunks(100_000) {
        qemu.type_on(STREAMS[0], part).unwrap();
    }
    assert_eq!(qemu.run(Instant::now()).unwrap(), Stop::Deadline(None));
    let reader = std::thread::spawn(move || {
        let mut read = vec![0; 4_000_000];
        theirs.read_exact(&mut read).unwrap();
        theirs.write_all(b"all").unwrap();
        read
    });
    let soon = Instant::now() + Duration::from_secs(60);
    assert_eq!(qemu.run(soon).unwrap(), Stop::Output);
    assert!(reader.join().unwrap() == bytes);
}

#[test]
fn what_qemu_says_meanwhile_is_no_end_of_it() {
    let mut options = options();
    options.qemu_arguments = ["-d", "int"].map(String::from).into();
    let vm = options.boot().unwrap();
    vm.ping().unwrap();
}

#[test]
fn more_memory_than_there_are_addresses_is_wrong_use() {
    for memory_bytes in [u64::MAX, u64::MAX - (1 << 20)] {
        let options = VmOptions {
            memory_bytes,
            ..options()
        };
        assert_eq!(options.boot().err().unwrap().kind(), "usage");
    }
}
