//! Processes of VeridianOS that make processes (`specs/veridian.md` §5, §7).
//!
//! Purpose: errors by probe; whatever needs children that run by the program
//! `user/veridian/processes.rs`, whose children are images of itself.
//! Neighbours: `capabilities.rs` has tokens within one process.

use mayfly::prelude::*;

use crate::tokens::{self, kind, right};

fn processes(vm: &Vm, arguments: &[&str]) -> Result<Output> {
    vm.spawn("veridian-processes")
        .args(arguments.iter().copied())
        .trace(false)
        .run()
}

#[mayfly::test(
    covers = "veridian PROCESS_CREATE, veridian PROCESS_START, veridian PROCESS_WAIT, veridian PROCESS_START Busy, veridian PROCESS_START NotFound, veridian PROCESS_WAIT NotFound, veridian PROCESS_WAIT Timeout, veridian PROCESS_WAIT InvalidParameter, veridian PROCESS_CREATE PermissionDenied, veridian PROCESS_CREATE InvalidCapability"
)]
fn t06_a_child_is_made_started_waited_for_and_collected(vm: Vm) -> Result<()> {
    let out = processes(&vm, &["run"])?;
    let expected = "one\ntwo words\n\nprocesses ok\n";
    assert_eq!(out.stdout_text(), expected, "{:?}", out.cause);
    Ok(())
}

#[mayfly::test(covers = "veridian PROCESS_WAIT")]
fn the_most_memory_that_a_child_had_is_told(vm: Vm) -> Result<()> {
    let out = processes(&vm, &["peak"])?;
    assert_eq!(out.stdout_text(), "processes ok\n", "{:?}", out.cause);
    Ok(())
}

#[mayfly::test(covers = "veridian PROCESS_WAIT")]
fn t05_a_fault_ends_the_child_alone_and_its_creator_reads_how(vm: Vm) -> Result<()> {
    let out = processes(&vm, &["fault"])?;
    assert_eq!(out.stdout_text(), "processes ok\n", "{:?}", out.cause);
    Ok(())
}

#[mayfly::test(covers = "veridian CAPABILITY_REVOKE")]
fn t09_a_tree_over_three_processes_is_revoked_whole(vm: Vm) -> Result<()> {
    let out = processes(&vm, &["tree"])?;
    assert_eq!(out.stdout_text(), "processes ok\n", "{:?}", out.cause);
    Ok(())
}

#[mayfly::test]
fn nothing_stays_of_children(vm: Vm) -> Result<()> {
    let before = vm.stats()?;
    for way in [["many", "20"], ["run", ""], ["tree", ""]] {
        assert!(processes(&vm, &way)?.status.success());
    }
    let after = vm.stats()?;
    assert_eq!(after.frames_free, before.frames_free);
    assert_eq!(after.processes, before.processes);
    Ok(())
}

#[mayfly::test]
fn a_child_that_nobody_can_start_goes_with_its_creator(vm: Vm) -> Result<()> {
    let before = vm.stats()?;
    let out = processes(&vm, &["forget", "5"])?;
    assert_eq!(out.stdout_text(), "processes ok\n", "{:?}", out.cause);
    let after = vm.stats()?;
    assert_eq!(after.processes, before.processes);
    assert_eq!(after.objects, before.objects);
    assert_eq!(after.frames_free, before.frames_free);
    Ok(())
}

#[mayfly::test(covers = "veridian PROCESS_START, veridian PROCESS_WAIT")]
fn a_child_outlives_its_creator_for_who_has_its_token(vm: Vm) -> Result<()> {
    let before = vm.stats()?;
    let out = processes(&vm, &["heir"])?;
    assert_eq!(out.stdout_text(), "processes ok\n", "{:?}", out.cause);
    assert_eq!(vm.stats()?.objects, before.objects);
    Ok(())
}

#[mayfly::test(covers = "veridian PROCESS_WAIT")]
fn the_times_of_a_child_are_told(vm: Vm) -> Result<()> {
    let out = processes(&vm, &["times"])?;
    assert_eq!(out.stdout_text(), "processes ok\n", "{:?}", out.cause);
    Ok(())
}

/// The smallest image that loads: two pages of header and code that faults.
fn image() -> Vec<u8> {
    let mut image = vec![0; 4096 + 16];
    image[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    image[16..20].copy_from_slice(&[2, 0, 62, 0]);
    image[20] = 1;
    image[24..32].copy_from_slice(&0x40_0000_u64.to_le_bytes());
    image[32] = 64;
    image[52] = 64;
    image[54] = 56;
    image[56] = 1;
    let words = [5_u64 << 32 | 1, 4096, 0x40_0000, 0x40_0000, 16, 16, 4096];
    let header: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
    image[64..64 + 56].copy_from_slice(&header);
    // UD2.
    image[4096..4098].copy_from_slice(&[0x0f, 0x0b]);
    image
}

/// Creates a child of an image without arguments or grants.
fn create(probe: &Probe<'_>, image: Vec<u8>) -> Result<CallResult> {
    let length = image.len();
    let arguments = args![input(image), length, 0, 0, 0, 0];
    probe.call(veridian::PROCESS_CREATE, arguments)
}

#[mayfly::test(
    covers = "veridian PROCESS_CREATE InvalidParameter, veridian PROCESS_CREATE NotSupported"
)]
fn an_image_that_is_none_makes_no_process(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let changed = |at: usize, byte: u8| {
        let mut image = image();
        image[at] = byte;
        image
    };
    for (what, image, error) in [
        ("no magic", changed(0, 0), "InvalidParameter"),
        ("32 bits", changed(4, 1), "InvalidParameter"),
        ("another machine", changed(18, 3), "InvalidParameter"),
        ("a library", changed(16, 3), "InvalidParameter"),
        ("writable code", changed(68, 7), "InvalidParameter"),
        ("an interpreter", changed(64, 3), "NotSupported"),
        ("too short", image()[..63].to_vec(), "InvalidParameter"),
        ("in the first 64 KiB", changed(82, 0), "InvalidParameter"),
    ] {
        let call = create(&probe, image)?;
        assert_eq!(call.result, Err(error), "{what}");
    }
    // Numbers are looked at before anything else.
    for (length, arguments, tokens) in [
        (0, 0, 0),
        ((256_u64 << 20) + 1, 0, 0),
        (1, 32769, 0),
        (1, 0, 1025),
        (1, 0, u64::MAX),
    ] {
        let words = args![0, length, 0, arguments, 0, tokens];
        let call = probe.call(veridian::PROCESS_CREATE, words)?;
        assert_eq!(
            call.result,
            Err("InvalidParameter"),
            "{length} {arguments} {tokens}"
        );
    }
    // A string has an end, and all of them have a limit.

    for (length, expected) in [(4095, Ok(())), (4096, Err("InvalidParameter"))] {
        let words = args![
            input(image()),
            image().len(),
            array_at(&image(), length),
            1,
            0,
            0
        ];
        let call = probe.call(veridian::PROCESS_CREATE, words)?;
        assert_eq!(call.result.map(|_| ()), expected, "{length}");
    }
    Ok(())
}

/// An array of one pointer, to the string of so many letters behind it.
fn array_at(image: &[u8], length: usize) -> Arg {
    let array = BUFFER + image.len().next_multiple_of(16) as u64;
    let string = array + 8;
    input([&string.to_le_bytes()[..], &vec![b'a'; length], b"\0"].concat())
}

#[mayfly::test(
    covers = "veridian PROCESS_CREATE InvalidAddress, veridian PROCESS_WAIT InvalidAddress"
)]
fn addresses_are_checked(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let child = create(&probe, image())?.result.expect("a child");
    for bad in [
        0,
        8,
        0x1234_5678_9000,
        0x8000_0000_0000,
        0xffff_8000_0000_0000,
        u64::MAX - 7,
    ] {
        let length = image().len();
        let code = || input(image());
        for words in [
            args![bad, 4096, 0, 0, 0, 0],
            args![code(), length, bad, 1, 0, 0],
            args![code(), length, 0, 0, bad, 1],
            args![code(), length, input(bad.to_le_bytes()), 1, 0, 0],
        ] {
            let call = probe.call(veridian::PROCESS_CREATE, words)?;
            assert_eq!(call.result, Err("InvalidAddress"), "{bad:#x}");
        }
        let call = probe.call(veridian::PROCESS_WAIT, args![child, 0, bad])?;
        assert_eq!(call.result, Err("InvalidAddress"), "{bad:#x}");
    }
    // Not aligned, and not writable.
    for bad in [BUFFER + 4, 0x40_0000] {
        let call = probe.call(veridian::PROCESS_WAIT, args![child, 0, bad])?;
        assert_eq!(call.result, Err("InvalidAddress"), "{bad:#x}");
    }
    Ok(())
}

#[mayfly::test(
    run_timeout = "10m",
    covers = "veridian PROCESS_START PermissionDenied, veridian PROCESS_WAIT PermissionDenied, veridian PROCESS_START NotFound"
)]
fn only_its_creator_starts_and_waits_for_a_child(vm: Vm) -> Result<()> {
    let (creator, other) = (vm.probe(Abi::Veridian)?, vm.probe(Abi::Veridian)?);
    let child = create(&creator, image())?.result.expect("a child");
    let wait =
        |probe: &Probe<'_>, id: u64| probe.call(veridian::PROCESS_WAIT, args![id, 0, out(48)]);
    let start = |probe: &Probe<'_>, id: u64| probe.call(veridian::PROCESS_START, args![id]);
    assert_eq!(wait(&other, child)?.result, Err("PermissionDenied"));
    assert_eq!(start(&other, child)?.result, Err("PermissionDenied"));
    assert_eq!(wait(&creator, child)?.result, Err("Timeout"));
    for nobody in [0, child + 1, u64::MAX] {
        assert_eq!(start(&creator, nobody)?.result, Err("NotFound"));
        assert_eq!(wait(&creator, nobody)?.result, Err("NotFound"));
    }
    let minted = args![kind::PROCESS, child, right::READ, tokens::space(&other)?];
    let minted = other.call(veridian::CAPABILITY_CREATE, minted)?;
    assert_eq!(minted.result, Err("PermissionDenied"));
    let minted = args![kind::PROCESS, child, right::READ, tokens::space(&creator)?];
    let minted = creator.call(veridian::CAPABILITY_CREATE, minted)?;
    assert!(minted.result.is_ok());
    assert_eq!(start(&creator, child)?.result, Ok(0));
    let ended = creator.call(veridian::PROCESS_WAIT, args![child, u64::MAX, out(48)])?;
    assert_eq!(ended.result, Ok(0));
    // UD2: -(6 + 1), a fault, at no address.
    assert_eq!(ended.word(0, 0), Some(child));
    assert_eq!(
        ended.word(0, 1),
        Some(1 << 32 | u64::from((-7_i32).cast_unsigned()))
    );
    assert_eq!(ended.word(0, 5), Some(0));
    Ok(())
}

/// All that the kernel does for a child, its own life included, whoever it runs
/// for at what moment: between two marks of a program.
struct Life {
    kernel_instr: Option<u64>,
    /// None: this is a part of a run, whose functions are not kept.
    spent: Option<mayfly::Spent>,
}

#[mayfly::test(run_timeout = "60s")]
fn a_child_is_made_run_and_collected_within_its_budget(vm: Vm) -> Result<()> {
    let out = vm
        .spawn("veridian-costs")
        .args(["spawn-small", "count", "7"])
        .trace(false)
        .meter(true)
        .run()?;
    assert!(out.status.success(), "{:?}", out.cause);
    let rounds = out
        .visits()
        .split(|visit| visit.is_call && visit.number_rax == mayfly_abi::MARK)
        .skip(1);
    let mut lives: Vec<u64> = rounds
        .map(|round| round.iter().map(|visit| visit.instructions).sum())
        .collect();
    // Behind the last mark is the end of the program itself.
    lives.pop();
    lives.sort_unstable();
    // Tables double now and then; the end of a slice is in one.
    let life = Life {
        kernel_instr: lives.get(lives.len() / 2).copied(),
        spent: None,
    };
    let counts = vm.backend() == BackendKind::Kvm;
    assert_eq!(life.kernel_instr.is_some(), counts);
    // Not the 6,000 that were the aim: kernel/README.md says where they go.
    budget!(life, kernel_instr <= 10_700);
    Ok(())
}

/// Tokens of the probe that go to each child.
const MANY: usize = 1016;
/// Children that have more of them in all than a table of twice the size has a
/// block for: 18,432.
const CHILDREN: u64 = 19;

#[mayfly::test(memory = "64M", run_timeout = "120s")]
fn a_table_that_cannot_double_is_no_end_of_the_machine(vm: Vm) -> Result<()> {
    let probe = vm.probe(Abi::Veridian)?;
    let console = tokens::console(&probe)?;
    let derive = args![console, right::WRITE | right::GRANT];
    let mut granted = Vec::new();
    for _ in 0..MANY {
        let call = probe.call(veridian::CAPABILITY_DERIVE, derive.clone())?;
        let token = call.result.expect("there are 1,024 slots");
        granted.extend_from_slice(&token.to_le_bytes());
    }
    let (image, program) = (image(), image().len());
    for child in 0..mayfly::rounds(&vm, 1, CHILDREN) {
        let arguments = args![
            input(image.clone()),
            program,
            0,
            0,
            input(granted.clone()),
            MANY
        ];
        let made = probe.call(veridian::PROCESS_CREATE, arguments)?;
        assert!(made.result.is_ok(), "child {child}: {:?}", made.result);
    }
    assert!(vm.spawn("veridian-hello").run()?.status.success());
    Ok(())
}
