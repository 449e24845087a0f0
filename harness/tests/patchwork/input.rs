//! Standard input from the host (`specs/patchwork.md` §5, READ and POLL).
//!
//! Purpose: what a program reads is what the host sent, however either side
//! dawdles. Neighbours: `user/patchwork/input.rs` is the reader, `kernel/core`
//! tests the queue between the two.

use std::io::{self, Read};
use std::sync::mpsc;

use mayfly::prelude::*;

/// Bytes without a short period.
fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at * 7 + at / 251).to_le_bytes()[0])
        .collect()
}

/// What `patchwork-input sum` says of these bytes.
fn summed(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(0u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(*byte))
    });
    format!("{} bytes, sum {sum:#x}\n", bytes.len())
}

#[mayfly::test(covers = "patchwork READ")]
fn every_byte_arrives_in_order(vm: Vm) -> Result<()> {
    for (length, read) in [
        (0, 4096),
        (1, 4096),
        (5, 1),
        (40_000, 4095),
        (1 << 20, 16384),
    ] {
        let bytes = pattern(length);
        let program = vm.spawn("patchwork-input").args(["sum", &read.to_string()]);
        let out = program.trace(false).stdin(bytes.clone()).run()?;
        assert_eq!(out.stdout_text(), summed(&bytes));
    }
    Ok(())
}

#[mayfly::test]
fn without_input_it_is_at_its_end(vm: Vm) -> Result<()> {
    let out = vm.spawn("patchwork-input").arg("poll").run()?;
    assert_eq!(out.stdout_text(), summed(&[]));
    assert!(vm.bad_requests().is_empty(), "{:?}", vm.bad_requests());
    Ok(())
}

#[mayfly::test]
fn a_slow_reader_gets_all_of_it(vm: Vm) -> Result<()> {
    let bytes = pattern(100_000);
    let program = vm.spawn("patchwork-input").args(["slow", "3000"]);
    let out = program.stdin(bytes.clone()).run()?;
    assert_eq!(out.stdout_text(), summed(&bytes));
    Ok(())
}

#[mayfly::test(covers = "patchwork POLL")]
fn a_poll_sees_input_come_and_end(vm: Vm) -> Result<()> {
    let bytes = pattern(70_000);
    for way in ["poll", "busy"] {
        let program = vm.spawn("patchwork-input").args([way, "5000"]);
        let out = program.trace(false).stdin(bytes.clone()).run()?;
        assert_eq!(out.stdout_text(), summed(&bytes), "{way}");
    }
    Ok(())
}

#[mayfly::test]
fn a_test_talks_to_a_program(vm: Vm) -> Result<()> {
    let program = vm
        .spawn("patchwork-input")
        .arg("copy")
        .stdin_piped()
        .start()?;
    program.input(b"one")?;
    assert_eq!(program.wait_for_stdout(|told| !told.is_empty())?, b"one");
    program.input(b", t")?;
    program.input(b"wo")?;
    let told = program.wait_for_stdout(|told| told.ends_with(b"wo"))?;
    assert_eq!(told, b"one, two");
    program.close_input()?;
    assert_eq!(program.wait()?.stdout, b"one, two");
    Ok(())
}

#[mayfly::test]
fn an_end_behind_nothing_is_an_end(vm: Vm) -> Result<()> {
    let program = vm
        .spawn("patchwork-input")
        .arg("copy")
        .stdin_piped()
        .start()?;
    program.close_input()?;
    assert!(program.wait()?.stdout.is_empty());
    Ok(())
}

#[mayfly::test]
fn what_nobody_reads_is_in_nobodys_way(vm: Vm) -> Result<()> {
    let mut used = Vec::new();
    for _ in 0..3 {
        let out = vm.spawn("patchwork-input").stdin(pattern(1 << 20)).run()?;
        assert!(out.status.success());
        let endless = vm.spawn("patchwork-input").stdin_from(io::repeat(7));
        assert!(endless.run()?.status.success());
        used.push(vm.stats()?.heap_used);
    }
    assert_eq!(used[1], used[2], "something is left in the guest");
    assert!(vm.bad_requests().is_empty(), "{:?}", vm.bad_requests());
    Ok(())
}

#[mayfly::test]
fn input_to_nobody_is_an_error(vm: Vm) -> Result<()> {
    let program = vm.spawn("patchwork-input").stdin_piped().start()?;
    program.wait()?;
    let error = program.input(b"late").unwrap_err();
    assert_eq!(error.kind(), "no-reader");
    let expected = "cannot send input to patchwork-input (process 1): it has ended";
    assert!(error.to_string().starts_with(expected), "{error}");

    let closed = vm.spawn("patchwork-input").args(["close", "1000000"]);
    let program = closed.stdin_piped().start()?;
    program.wait_for_stdout(|told| told == b"closed\n")?;
    let error = program.input(b"late").unwrap_err().to_string();
    assert!(error.contains("closed its standard input"), "{error}");

    let program = vm.spawn("patchwork-null").start()?;
    let error = program.close_input().unwrap_err().to_string();
    assert!(error.contains("stdin_piped"), "{error}");
    Ok(())
}

#[mayfly::test]
fn input_behind_its_end_is_an_error(vm: Vm) -> Result<()> {
    let program = vm
        .spawn("patchwork-input")
        .arg("copy")
        .stdin_piped()
        .start()?;
    program.close_input()?;
    let error = program.input(b"more").unwrap_err().to_string();
    assert!(error.contains("ended before"), "{error}");
    Ok(())
}

/// Gives what another thread sends.
struct Channel(mpsc::Receiver<Vec<u8>>);

impl Read for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.recv() {
            Ok(bytes) => bytes.as_slice().read(buffer),
            Err(mpsc::RecvError) => Ok(0),
        }
    }
}

#[mayfly::test]
fn a_reader_feeds_a_program_that_is_waited_on(vm: Vm) -> Result<()> {
    let (sender, receiver) = mpsc::channel();
    let program = vm.spawn("patchwork-input").arg("copy");
    let program = program.stdin_from(Channel(receiver)).start()?;
    sender.send(b"first ".to_vec()).expect("it is read");
    // The next is sent when the answer to the one before is here, then the end.
    let mut sender = Some(sender);
    let mut later = [&b"second "[..], b"third"].into_iter();
    let out = program.wait_with_output(vm.options().run_timeout, |_, _| match later.next() {
        Some(next) => {
            let sender = sender.as_ref().expect("the end comes last");
            sender.send(next.to_vec()).expect("it is read");
        }
        None => sender = None,
    })?;
    assert_eq!(out.stdout, b"first second third");
    Ok(())
}

#[mayfly::test]
fn a_reader_that_fails_fails_the_wait(vm: Vm) -> Result<()> {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the tape is torn"))
        }
    }
    let program = vm.spawn("patchwork-input").arg("copy");
    let error = program.stdin_from(Broken).run().unwrap_err();
    assert_eq!(error.kind(), "broken");
    assert!(error.to_string().contains("the tape is torn"), "{error}");
    Ok(())
}

#[mayfly::test]
fn two_programs_have_an_input_each(vm: Vm) -> Result<()> {
    let command = || vm.spawn("patchwork-input").arg("copy");
    let one = command().stdin("one").start()?;
    let two = command().stdin("two").start()?;
    assert_eq!(two.wait()?.stdout, b"two");
    assert_eq!(one.wait()?.stdout, b"one");
    Ok(())
}

#[mayfly::test]
fn a_killed_program_takes_its_input_along(vm: Vm) -> Result<()> {
    let program = vm
        .spawn("patchwork-input")
        .arg("copy")
        .stdin_piped()
        .start()?;
    program.input(b"x")?;
    program.wait_for_stdout(|told| !told.is_empty())?;
    program.kill()?;
    assert_eq!(program.input(b"y").unwrap_err().kind(), "no-reader");
    assert!(vm.spawn("patchwork-hello").run()?.status.success());
    Ok(())
}
