//! QEMU as a process: its end, its words, and a guest that does not stop.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use super::*;
use crate::backend::BackendKind;

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

#[test]
fn a_program_that_writes_for_ever_is_out_of_time() {
    let options = VmOptions {
        run_timeout: Duration::from_millis(300),
        ..options()
    };
    let vm = options.boot().unwrap();
    let flood = vm.spawn("patchwork-tools").args(["cat", "/dev/zero"]);
    let error = flood.trace(false).run().unwrap_err();
    assert_eq!(error.kind(), "timeout", "{error}");
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
