//! New processes: from a file to a thread that could run.

use mayfly_abi::Abi;

use crate::fake::bench::{Bench, request};
use crate::fake::image::{DATA, DATA_FILE, ENTRY, Elf, Pe, TEXT, TEXT_SIZE, W, pattern};
use crate::fake::{FakeMachine, FakePort};
use crate::kernel::{SpawnError, SpawnRequest};
use crate::loader::ImageError;
use crate::object::process::Process;
use crate::port::{Access, Machine, PAGE_SIZE};

fn error(bench: &mut Bench, request: &SpawnRequest<'_>) -> SpawnError {
    let before = bench.usage();
    let error = bench.kernel.spawn(request).unwrap_err();
    assert_eq!(bench.usage(), before, "{error:?} left something behind");
    error
}

/// Spawns a program that must be refused.
fn refusal(file: Vec<u8>) -> SpawnError {
    error(&mut Bench::with_files(&[("bad", file)]), &request("bad"))
}

fn access(bench: &Bench, process: &Process<FakePort>, address: u64) -> Option<Access> {
    let tables = process.space.tables();
    let page = bench.kernel.machine.lookup(tables, address);
    page.map(|(_, access)| access)
}

#[test]
fn a_new_process_starts_at_its_entry_with_its_contents() {
    for abi in Abi::ALL {
        let mut bench = Bench::new();
        let key = bench.spawn(abi);
        assert_eq!(bench.process(key).abi, abi);
        assert_eq!(bench.registers(key).rip, ENTRY);
        let text: Vec<u8> = (0..TEXT_SIZE).map(pattern).collect();
        assert_eq!(bench.peek(key, TEXT, text.len()), text);
        let mut data: Vec<u8> = (0..DATA_FILE).map(pattern).collect();
        data.resize(0x2000, 0);
        assert_eq!(bench.peek(key, DATA, 0x2000), data);
    }
}

#[test]
fn code_is_mapped_before_it_runs_and_data_is_not() {
    for abi in Abi::ALL {
        let mut bench = Bench::new();
        let key = bench.spawn(abi);
        let process = bench.process(key);
        let code = Access {
            read: true,
            write: false,
            execute: true,
        };
        assert_eq!(access(&bench, process, TEXT), Some(code));
        assert_eq!(access(&bench, process, TEXT + PAGE_SIZE), Some(code));
        assert_eq!(access(&bench, process, DATA), None);
    }
}

#[test]
fn the_file_itself_never_changes() {
    let mut bench = Bench::new();
    let first = bench.spawn(Abi::Patchwork);
    bench.poke(first, DATA, b"changed");
    let end = bench.kernel.kill(first);
    assert!(end);
    let second = bench.spawn(Abi::Patchwork);
    let data: Vec<u8> = (0..7).map(pattern).collect();
    assert_eq!(bench.peek(second, DATA, 7), data);
}

#[test]
fn numbers_count_all_processes_and_ids_those_of_an_interface() {
    let mut bench = Bench::new();
    let abis = [
        Abi::Veridian,
        Abi::Patchwork,
        Abi::Xeneva,
        Abi::Veridian,
        Abi::Patchwork,
    ];
    let keys = abis.map(|abi| bench.spawn(abi));
    let numbers = keys.map(|key| bench.process(key).number);
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    // PatchworkOS has its init at 1, XenevaOS its root at 1.
    let ids = keys.map(|key| bench.process(key).id);
    assert_eq!(ids, [1, 2, 2, 2, 3]);
}

#[test]
fn a_number_is_never_given_again() {
    let mut bench = Bench::new();
    let first = bench.spawn(Abi::Veridian);
    assert!(bench.kernel.kill(first));
    let second = bench.spawn(Abi::Veridian);
    assert_eq!(
        (bench.process(second).number, bench.process(second).id),
        (2, 2)
    );
    assert_eq!(bench.kernel.process_by_number(1), None);
    assert_eq!(bench.kernel.process_by_number(2), Some(second));
    assert!(bench.kernel.process(first).is_none());
}

#[test]
fn the_request_names_the_interface_before_the_executable_does() {
    let mut bench = Bench::new();
    let asked = SpawnRequest {
        abi: Some(Abi::Veridian),
        ..request("patchwork")
    };
    let key = bench.kernel.spawn(&asked).unwrap();
    assert_eq!(bench.process(key).abi, Abi::Veridian);
}

#[test]
fn a_program_that_is_not_there_or_names_no_interface_is_refused() {
    let mut bench = Bench::new();
    assert_eq!(error(&mut bench, &request("absent")), SpawnError::NoProgram);
    assert_eq!(error(&mut bench, &request("probe")), SpawnError::NoAbi);
}

#[test]
fn a_bad_image_is_refused_with_its_reason() {
    let bad = |image_error| SpawnError::BadImage(image_error);
    assert_eq!(
        refusal(b"#!/bin/sh".to_vec()),
        bad(ImageError::UnknownFormat)
    );
    let mut dynamic = Elf::program(Some(Abi::Patchwork));
    dynamic.kind = 3;
    assert_eq!(refusal(dynamic.build()), bad(ImageError::Unsupported));
    let mut cut = Elf::program(Some(Abi::Patchwork)).build();
    cut.truncate(0x3000);
    assert_eq!(refusal(cut), bad(ImageError::Malformed));
}

#[test]
fn segments_that_share_a_page_are_out_of_range() {
    let mut elf = Elf::program(Some(Abi::Patchwork));
    elf.programs[1].vaddr = TEXT + TEXT_SIZE;
    assert_eq!(
        refusal(elf.build()),
        SpawnError::BadImage(ImageError::OutOfRange)
    );
}

#[test]
fn an_image_where_the_stack_belongs_is_refused() {
    for (abi, stack) in [
        (Abi::Patchwork, 0x7fff_ffff_0000),
        (Abi::Veridian, 0x7fff_fff8_0000),
    ] {
        let mut elf = Elf::program(Some(abi));
        elf.programs[1].vaddr = stack;
        assert_eq!(refusal(elf.build()), SpawnError::BadArguments, "{abi:?}");
    }
    let mut pe = Pe::program();
    pe.base = 0x7000_0007_0000;
    assert_eq!(refusal(pe.build()), SpawnError::BadArguments);
}

#[test]
fn arguments_that_do_not_fit_the_stack_are_refused() {
    let mut bench = Bench::new();
    let long = [&[b'a'; 2 << 20][..], b"\0"].concat();
    for program in ["xeneva", "patchwork", "veridian"] {
        let asked = SpawnRequest {
            arguments: &long,
            ..request(program)
        };
        assert_eq!(error(&mut bench, &asked), SpawnError::BadArguments);
    }
}

#[test]
fn arguments_without_their_last_terminator_are_refused() {
    let mut bench = Bench::new();
    for program in ["xeneva", "patchwork", "veridian"] {
        for arguments in [&b"a"[..], b"a\0b"] {
            let asked = SpawnRequest {
                arguments,
                ..request(program)
            };
            assert_eq!(error(&mut bench, &asked), SpawnError::BadArguments);
        }
    }
}

#[test]
fn nothing_is_spawned_when_the_heap_or_memory_is_low() {
    let mut bench = Bench::new();
    bench.kernel.machine.heap_low = true;
    assert_eq!(error(&mut bench, &request("patchwork")), SpawnError::NoRoom);
    bench.kernel.machine.heap_low = false;
    bench.kernel.machine.total = 63;
    assert_eq!(error(&mut bench, &request("patchwork")), SpawnError::NoRoom);
    bench.kernel.machine.total = 64;
    assert!(bench.kernel.spawn(&request("patchwork")).is_ok());
}

#[test]
fn memory_that_ends_at_any_point_of_a_spawn_leaves_nothing() {
    for abi in Abi::ALL {
        let mut bench = Bench::new();
        let mut allocations = 0;
        loop {
            bench.kernel.machine.allocations_left = allocations;
            match bench.kernel.spawn(&request(abi.name())) {
                Ok(_) => break,
                Err(_) => assert_eq!(bench.usage(), (0, 0, 0), "{allocations}"),
            }
            allocations += 1;
        }
        assert!(allocations > 5, "{abi:?} needs tables and a stack");
    }
}

#[test]
fn a_frame_limit_too_small_to_start_with_leaves_nothing() {
    let mut bench = Bench::new();
    let asked = SpawnRequest {
        frames_max: 2,
        ..request("patchwork")
    };
    error(&mut bench, &asked);
}

#[test]
fn no_page_of_a_process_is_writable_and_code_unless_it_asks_for_both() {
    let mut elf = Elf::program(Some(Abi::Patchwork));
    elf.programs[0].flags |= W;
    let mut bench = Bench::with_files(&[("both", elf.build())]);
    let key = bench.kernel.spawn(&request("both")).unwrap();
    bench.poke(key, TEXT, b"x");
    let both = Access {
        read: true,
        write: true,
        execute: true,
    };
    assert_eq!(access(&bench, bench.process(key), TEXT), Some(both));
    bench.poke(key, DATA, b"x");
    assert_eq!(
        access(&bench, bench.process(key), DATA),
        Some(Access::READ_WRITE)
    );
}

#[test]
fn a_process_owns_its_tables_and_private_pages_only() {
    let mut bench = Bench::new();
    let key = bench.spawn(Abi::Patchwork);
    let owned = FakeMachine::owned(bench.process(key).space.tables());
    assert_eq!(owned, bench.usage().0);
    bench.poke(key, DATA, b"x");
    assert_eq!(
        FakeMachine::owned(bench.process(key).space.tables()),
        owned + 1
    );
}

#[test]
fn nothing_is_loaded_below_the_first_user_address_of_an_interface() {
    for (abi, first) in [(Abi::Patchwork, 0x40_0000), (Abi::Veridian, 0x1_0000)] {
        let mut elf = Elf::program(Some(abi));
        elf.programs[0].vaddr = first - PAGE_SIZE;
        let out_of_range = SpawnError::BadImage(ImageError::OutOfRange);
        assert_eq!(refusal(elf.build()), out_of_range, "{abi:?}");
    }
}
