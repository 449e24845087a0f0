//! Programs on a terminal, over the fake machine.

use std::rc::Rc;

use mayfly_abi::Abi;
use mayfly_abi::patchwork::{self, Errno, nr};

use crate::fake::bench::{Bench, pause, request};
use crate::fake::image::DATA;
use crate::kernel::{Input, SpawnRequest};
use crate::object::process::{Cause, ProcessKey};
use crate::object::terminal::Window;
use crate::port::Line;

const PATH: u64 = DATA + 0x1000;
const BUFFER: u64 = DATA + 0x3000;

fn on_terminal(program: &str) -> SpawnRequest<'_> {
    SpawnRequest {
        input: Input::Terminal(Line::Console),
        ..request(program)
    }
}

/// A process on a terminal, and its descriptor of the control file.
fn shell() -> (Bench, ProcessKey, u64) {
    let mut bench = Bench::new();
    let key = bench.kernel.spawn(&on_terminal("patchwork")).unwrap();
    bench.poke(key, PATH, b"/dev/tty/ctl\0");
    let control = bench.call(key, nr::OPEN, &[PATH]);
    (bench, key, control)
}

fn order(bench: &mut Bench, key: ProcessKey, control: u64, words: &str) -> u64 {
    bench.poke(key, PATH, words.as_bytes());
    bench.call(key, nr::WRITE, &[control, PATH, words.len() as u64])
}

fn types(bench: &mut Bench, bytes: &[u8]) {
    bench.kernel.host.typed.extend(bytes);
    bench.kernel.typing();
}

/// Another process, which sleeps.
fn sleeper(bench: &mut Bench, shell: ProcessKey, request: &SpawnRequest<'_>) -> ProcessKey {
    let key = bench.kernel.spawn(request).unwrap();
    bench.script(shell, [pause()]);
    assert!(bench.turn());
    bench.begin(key, nr::NANOSLEEP, &[u64::MAX]);
    key
}

fn read(bench: &mut Bench, key: ProcessKey) -> Option<Vec<u8>> {
    bench.begin(key, nr::READ, &[0, BUFFER, 4096]);
    finished(bench, key)
}

fn finished(bench: &mut Bench, key: ProcessKey) -> Option<Vec<u8>> {
    let count = bench.returned()?;
    assert_ne!(count, patchwork::ERR);
    Some(bench.peek(key, BUFFER, usize::try_from(count).unwrap()))
}

fn error(bench: &mut Bench, key: ProcessKey) -> Option<Errno> {
    let code = bench.call(key, nr::ERRNO, &[]);
    Errno::from_code(u32::try_from(code).unwrap())
}

#[test]
fn a_machine_without_one_has_no_terminal() {
    let mut bench = Bench::new();
    let key = bench.spawn(Abi::Patchwork);
    for path in [&b"/dev/tty/ctl\0"[..], b"/dev/tty/data\0"] {
        bench.poke(key, PATH, path);
        assert_eq!(bench.call(key, nr::OPEN, &[PATH]), patchwork::ERR);
        assert_eq!(error(&mut bench, key), Some(Errno::ENOENT));
    }
    bench.kernel.set_window(Window {
        columns: 1,
        rows: 1,
        machine: 1,
    });
    bench.kernel.typing();
    assert_eq!(bench.kernel.host.line, None);
}

#[test]
fn a_buffer_that_cannot_be_written_leaves_the_line_for_the_next_reader() {
    let (mut bench, key, _) = shell();
    types(&mut bench, b"kept\r");
    assert_eq!(bench.call(key, nr::READ, &[0, 0x10, 100]), patchwork::ERR);
    assert_eq!(error(&mut bench, key), Some(Errno::EFAULT));
    assert_eq!(read(&mut bench, key).as_deref(), Some(&b"kept\r"[..]));
}

#[test]
fn who_edits_lines_reads_keys_as_they_are() {
    let (mut bench, key, _) = shell();
    assert_eq!(bench.kernel.host.line, Some(Line::Console));
    bench.begin(key, nr::READ, &[0, BUFFER, 100]);
    assert_eq!(bench.returned(), None);
    types(&mut bench, b"\x03\x1b[A");
    assert!(bench.turn());
    assert_eq!(finished(&mut bench, key).unwrap(), b"\x03\x1b[A");
    assert!(bench.kernel.host.echo.is_empty());
}

#[test]
fn all_three_descriptors_are_the_terminal() {
    let (mut bench, key, _) = shell();
    bench.poke(key, BUFFER, b"shown");
    for fd in 0..3 {
        assert_eq!(bench.call(key, nr::WRITE, &[fd, BUFFER, 5]), 5);
    }
    assert_eq!(bench.output(1, 0), b"shownshownshown");
}

#[test]
fn a_foreground_program_reads_lines_that_are_echoed() {
    let (mut bench, key, control) = shell();
    assert_eq!(order(&mut bench, key, control, "lines"), 5);
    types(&mut bench, b"ab\x7f\r");
    assert_eq!(bench.kernel.host.echo, b"ab\x08 \x08\r\n");
    assert_eq!(read(&mut bench, key).unwrap(), b"a\n");
    types(&mut bench, b"\x04");
    assert_eq!(read(&mut bench, key).unwrap(), b"");
}

#[test]
fn the_interrupt_key_ends_the_foreground_job_and_its_children() {
    let (mut bench, shell, control) = shell();
    let job = sleeper(&mut bench, shell, &on_terminal("patchwork"));
    let other = sleeper(&mut bench, shell, &request("patchwork"));
    let id = bench.process(job).id;
    order(&mut bench, shell, control, &format!("foreground {id}"));
    types(&mut bench, b"typed\x03");
    assert!(bench.kernel.process(job).is_none());
    assert!(bench.kernel.process(other).is_some() && bench.kernel.process(shell).is_some());
    assert_eq!(bench.ends(), [(2, Cause::Killed, 130)]);
    order(&mut bench, shell, control, "foreground");
    types(&mut bench, b"\x03");
    assert_eq!(read(&mut bench, shell).unwrap(), b"\x03");
}

#[test]
fn an_interrupt_that_was_typed_ahead_ends_the_job_when_it_comes() {
    let (mut bench, shell, control) = shell();
    let job = sleeper(&mut bench, shell, &on_terminal("patchwork"));
    let id = bench.process(job).id;
    types(&mut bench, b"\x03");
    order(&mut bench, shell, control, &format!("foreground {id}"));
    assert_eq!(bench.ends(), [(2, Cause::Killed, 130)]);
}

#[test]
fn raw_bytes_are_for_who_asked_for_them_and_a_new_job_waits_for_its_lines() {
    let (mut bench, shell, control) = shell();
    order(&mut bench, shell, control, "foreground");
    let job = bench.kernel.spawn(&on_terminal("patchwork")).unwrap();
    bench.script(shell, [pause()]);
    assert!(bench.turn());
    types(&mut bench, b"ab\x7fc\r");
    bench.begin(job, nr::READ, &[0, BUFFER, 100]);
    assert_eq!(bench.returned(), None, "it is not in the foreground yet");
    let id = bench.process(job).id;
    order(&mut bench, shell, control, &format!("foreground {id}"));
    bench.kernel.machine.seen.clear();
    assert!(bench.turn());
    bench.script(job, [pause()]);
    while bench.returned().is_none() {
        bench.script(shell, [pause()]);
        assert!(bench.turn());
    }
    assert_eq!(bench.kernel.host.echo, b"ab\x08 \x08c\r\n");
}

#[test]
fn with_nobody_in_the_foreground_the_interrupt_key_disturbs_the_reader() {
    let (mut bench, key, control) = shell();
    order(&mut bench, key, control, "lines");
    bench.begin(key, nr::READ, &[0, BUFFER, 100]);
    types(&mut bench, b"\x03");
    bench.kernel.machine.seen.clear();
    assert!(bench.turn());
    assert_eq!(bench.returned(), Some(patchwork::ERR));
    assert_eq!(error(&mut bench, key), Some(Errno::EINTR));
    types(&mut bench, b"x\n");
    assert_eq!(read(&mut bench, key).unwrap(), b"x\n");
}

#[test]
fn a_new_window_disturbs_who_edits_lines_and_is_told() {
    let (mut bench, key, control) = shell();
    bench.begin(key, nr::READ, &[0, BUFFER, 100]);
    bench.kernel.set_window(Window {
        columns: 20,
        rows: 7,
        machine: 2,
    });
    bench.kernel.machine.seen.clear();
    assert!(bench.turn());
    assert_eq!(bench.returned(), Some(patchwork::ERR));
    assert_eq!(error(&mut bench, key), Some(Errno::EINTR));
    for _ in 0..2 {
        let count = bench.call(key, nr::READ, &[control, BUFFER, 100]);
        let text = bench.peek(key, BUFFER, usize::try_from(count).unwrap());
        assert_eq!(text, b"columns 20\nrows 7\nmachine 2");
        assert_eq!(bench.call(key, nr::READ, &[control, BUFFER, 100]), 0);
    }
    types(&mut bench, b"x");
    assert_eq!(read(&mut bench, key).unwrap(), b"x");
}

#[test]
fn a_program_that_reads_lines_is_not_disturbed_by_a_window() {
    let (mut bench, key, control) = shell();
    order(&mut bench, key, control, "lines");
    bench.begin(key, nr::READ, &[0, BUFFER, 100]);
    bench.kernel.set_window(Window {
        columns: 20,
        rows: 7,
        machine: 1,
    });
    types(&mut bench, b"x\n");
    bench.kernel.machine.seen.clear();
    assert!(bench.turn());
    assert_eq!(finished(&mut bench, key).unwrap(), b"x\n");
}

#[test]
fn what_there_is_no_room_for_waits_outside_and_is_not_lost() {
    let (mut bench, key, _) = shell();
    let typed: Vec<u8> = (0..40_000u32).map(|n| (n % 251) as u8 | 0x80).collect();
    types(&mut bench, &typed);
    assert!(!bench.kernel.host.typed.is_empty());
    let mut all = Vec::new();
    while all.len() < typed.len() {
        all.extend(read(&mut bench, key).expect("more is there"));
    }
    assert!(all == typed);
}

#[test]
fn words_that_are_no_commands_are_refused() {
    let (mut bench, key, control) = shell();
    for (words, errno) in [
        ("cooked", Errno::ENOENT),
        ("raw 1", Errno::EUNKNOWNCTL),
        ("", Errno::EUNKNOWNCTL),
        ("foreground x", Errno::EINVAL),
    ] {
        assert_eq!(order(&mut bench, key, control, words), patchwork::ERR);
        assert_eq!(error(&mut bench, key), Some(errno), "{words:?}");
    }
    // A process that has ended already is nowhere, and lines are read.
    order(&mut bench, key, control, "foreground 99");
    types(&mut bench, b"a\x7fb\n");
    assert_eq!(read(&mut bench, key).unwrap(), b"b\n");
}

#[test]
fn a_poll_waits_for_typing() {
    let (mut bench, key, _) = shell();
    bench.poke(
        key,
        BUFFER,
        &[0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
    );
    assert_eq!(bench.call(key, nr::POLL, &[BUFFER, 1, 0]), 0);
    bench.begin(key, nr::POLL, &[BUFFER, 1, u64::MAX]);
    assert_eq!(bench.returned(), None);
    types(&mut bench, b"x");
    bench.kernel.machine.seen.clear();
    assert!(bench.turn());
    assert_eq!(bench.returned(), Some(1));
}

#[test]
fn every_interface_can_be_on_it() {
    for abi in Abi::ALL {
        let mut bench = Bench::new();
        let key = bench.kernel.spawn(&on_terminal(abi.name())).unwrap();
        let files: Vec<_> = bench.process(key).handles.iter().collect();
        assert_eq!(files.len(), 3, "{abi:?}");
        assert!(Rc::ptr_eq(files[0].1, files[2].1));
    }
}
