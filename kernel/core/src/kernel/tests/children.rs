//! Processes that processes make: their number, their ends, and images that
//! are loaded while their maker runs.

use mayfly_abi::Abi;
use mayfly_abi::patchwork::nr;
use proptest::prelude::*;

use crate::error::KernelError;
use crate::fake::bench::{Bench, call, interrupt, pause, request};
use crate::fake::image::{DATA, ENTRY, Elf, Pe, Program, TEXT, TEXT_SIZE, pattern};
use crate::kernel::{Child, LoadError, Source, SpawnRequest};
use crate::loader::ImageError;
use crate::object::file::Handles;
use crate::object::namespace::View;
use crate::object::process::ProcessKey;
use crate::port::PROGRAM_MAX;
use crate::schedule::SLICE;

/// Address of an image in its maker's memory, in the zeros behind its data.
const IMAGE: u64 = DATA + 0x400;

fn child() -> Child {
    Child {
        arguments: b"child\0".to_vec(),
        handles: Handles::default(),
        view: View::default(),
    }
}

/// Makes a child of the process whose turn it is.
fn make(bench: &mut Bench, maker: ProcessKey) -> ProcessKey {
    let mut made = None;
    bench.with_process(maker, |kernel, running| {
        made = Some(kernel.create_child(running, child()).unwrap().0);
    });
    made.unwrap()
}

/// Loads a child from the memory of its maker, whose turn it is.
fn load(
    bench: &mut Bench,
    maker: ProcessKey,
    child: ProcessKey,
    length: u64,
) -> Result<(), LoadError> {
    let mut loaded = Ok(());
    bench.with_process(maker, |kernel, running| {
        let mut source = Source::Memory {
            space: &mut running.process.space,
            address: IMAGE,
            length,
        };
        loaded = kernel.load_child(child, &mut source);
    });
    loaded
}

#[test]
fn the_host_is_told_no_more_of_a_name_than_a_message_holds() {
    let mut bench = Bench::new();
    let asked = SpawnRequest {
        traced: true,
        ..request("veridian")
    };
    let maker = bench.kernel.spawn(&asked).unwrap();
    let mut made = None;
    bench.with_process(maker, |kernel, running| {
        let long = Child {
            arguments: [&b"x".repeat(600)[..], b"\0"].concat(),
            ..child()
        };
        made = Some(kernel.create_child(running, long).unwrap().0);
    });
    let elf = Elf::program(Some(Abi::Veridian)).build();
    bench.poke(maker, IMAGE, &elf);
    assert_eq!(
        load(&mut bench, maker, made.unwrap(), elf.len() as u64),
        Ok(())
    );
    let (.., program) = bench.kernel.host.children.last().expect("it is traced");
    assert_eq!(program[..], [b'x'; PROGRAM_MAX]);
}

#[test]
fn a_child_is_made_loaded_and_started_in_its_own_time() {
    for maker_abi in Abi::ALL {
        let mut bench = Bench::new();
        let maker = bench.spawn(maker_abi);
        let key = make(&mut bench, maker);
        let process = bench.process(key);
        assert_eq!(
            (process.abi, process.parent, process.console),
            (maker_abi, 1, 1)
        );
        let elf = Elf::program(Some(Abi::Patchwork)).build();
        bench.poke(maker, IMAGE, &elf);
        assert_eq!(load(&mut bench, maker, key, elf.len() as u64), Ok(()));
        let again = load(&mut bench, maker, key, elf.len() as u64);
        assert_eq!(again, Err(LoadError::Kernel(KernelError::NotFound)));
        bench.script(maker, [interrupt()]);
        assert!(bench.turn());
        assert_eq!(bench.kernel.start_child(key), Ok(()));
        bench.script(maker, [interrupt()]);
        assert!(bench.turn());
        let frame = bench.registers(key);
        assert_eq!((frame.rip, frame.rdi), (ENTRY, 1), "{maker_abi:?}");
        bench.script(maker, [interrupt()]);
        assert!(bench.turn());
        let text: Vec<u8> = (0..TEXT_SIZE).map(pattern).collect();
        assert_eq!(bench.peek(key, TEXT, text.len()), text);
    }
}

#[test]
fn a_child_that_cannot_be_loaded_is_gone() {
    for (bytes, length, error) in [
        (&b"text"[..], 4, LoadError::Image(ImageError::UnknownFormat)),
        (b"\x7fELF", 4, LoadError::Image(ImageError::Malformed)),
        (b"", 1 << 40, LoadError::Kernel(KernelError::BadAddress)),
    ] {
        let mut bench = Bench::new();
        let maker = bench.spawn(Abi::Veridian);
        bench.poke(maker, IMAGE, bytes);
        let before = bench.usage();
        let key = make(&mut bench, maker);
        let id = bench.process(key).id;
        let waiting = bench.kernel.exit_of(Abi::Veridian, id).unwrap();
        let mut loaded = load(&mut bench, maker, key, length);
        if length > 4 {
            // All zeros are no executable; beyond the region nothing is there.
            assert_eq!(loaded, Err(LoadError::Image(ImageError::UnknownFormat)));
            let key = make(&mut bench, maker);
            bench.with_process(maker, |kernel, running| {
                let space = &mut running.process.space;
                let address = DATA + 0x10_0000;
                let mut source = Source::Memory {
                    space,
                    address,
                    length,
                };
                loaded = kernel.load_child(key, &mut source);
            });
        }
        assert_eq!(loaded, Err(error));
        let (_, threads, processes) = bench.usage();
        assert_eq!((threads, processes), (before.1, before.2));
        assert_eq!(waiting.status.get(), Some(0));
        // Its maker was told; the host need not be.
        assert_eq!(bench.ends(), []);
        assert!(bench.kernel.start_child(key).is_err());
    }
}

#[test]
fn the_host_hears_of_a_child_that_ends_in_a_call_of_a_maker_that_runs_alone() {
    for way in 0..4 {
        let mut bench = Bench::new();
        let maker = bench.spawn(Abi::Patchwork);
        bench.poke(maker, IMAGE, b"text");
        let key = make(&mut bench, maker);
        assert_eq!(bench.kernel.machine.armed, None);
        match way {
            0 => assert!(load(&mut bench, maker, key, 4).is_err()),
            1 => bench.with_process(maker, |kernel, _| kernel.drop_child(key)),
            2 => bench.with_process(maker, |kernel, _| assert!(kernel.kill(key))),
            _ => bench.with_process(maker, |kernel, _| kernel.kill_families(&[key], 0)),
        }
        assert_eq!(bench.ends().len(), 1, "way {way}");
        // Its turn ends, and what was told is looked at.
        assert_eq!(bench.kernel.machine.armed, Some(SLICE), "way {way}");
    }
}

#[test]
fn a_killed_program_takes_all_that_came_of_it_along() {
    let mut bench = Bench::new();
    let (first, other) = (bench.spawn(Abi::Patchwork), bench.spawn(Abi::Patchwork));
    let child = make(&mut bench, first);
    bench.script(other, [interrupt()]);
    assert!(bench.turn());
    // A child of a child, which outlives it.
    bench.kernel.start_child(child).unwrap();
    let orphan = make(&mut bench, first);
    assert!(bench.kernel.kill(child));
    bench.script(other, [interrupt()]);
    assert!(bench.turn());
    assert_eq!(bench.kernel.process_count(), 3);
    assert!(bench.kernel.kill_program(1));
    assert!(bench.kernel.process(first).is_none() && bench.kernel.process(orphan).is_none());
    assert_eq!(bench.kernel.process_count(), 1);
    assert!(!bench.kernel.kill_program(1));
    assert!(bench.kernel.kill_program(2));
}

#[test]
fn a_child_goes_on_when_its_maker_ends_and_can_still_be_killed_with_it() {
    let mut bench = Bench::new();
    let maker = bench.spawn(Abi::Patchwork);
    let child = make(&mut bench, maker);
    bench.script(maker, [call(Abi::Patchwork, nr::PROCESS_EXIT, &[0])]);
    assert!(bench.turn());
    assert_eq!(bench.kernel.process_count(), 1);
    assert!(bench.kernel.process(child).is_some());
    assert!(bench.kernel.kill_program(1));
    assert_eq!(bench.usage(), (0, 0, 0));
}

#[test]
fn an_image_of_many_segments_needs_room_for_their_list() {
    let mut elf = Elf::program(Some(Abi::Patchwork));
    let data = elf.programs[1];
    elf.programs.extend((1..20).map(|n| Program {
        vaddr: data.vaddr + n * 0x10_0000,
        filesz: 0,
        ..data
    }));
    let elf = elf.build();
    let mut bench = Bench::new();
    let maker = bench.spawn(Abi::Veridian);
    bench.poke(maker, IMAGE, &elf);
    bench.kernel.machine.heap_full = true;
    let key = make(&mut bench, maker);
    let loaded = load(&mut bench, maker, key, elf.len() as u64);
    assert_eq!(loaded, Err(LoadError::Kernel(KernelError::NoMemory)));
    bench.kernel.machine.heap_full = false;
    let key = make(&mut bench, maker);
    assert_eq!(load(&mut bench, maker, key, elf.len() as u64), Ok(()));
}

#[test]
fn a_thousand_children_live_at_once() {
    let mut bench = Bench::new();
    let maker = bench.spawn(Abi::Patchwork);
    let children: Vec<ProcessKey> = (0..1023).map(|_| make(&mut bench, maker)).collect();
    assert_eq!(bench.kernel.process_count(), 1024);
    let mut ids: Vec<u64> = children.iter().map(|key| bench.process(*key).id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1023);
    for key in children.iter().rev() {
        assert!(bench.kernel.kill(*key));
    }
    assert_eq!(bench.kernel.process_count(), 1);
}

#[test]
fn a_child_that_is_started_without_an_image_ends_where_its_interface_has_no_way() {
    for abi in [Abi::Xeneva, Abi::Veridian] {
        let mut bench = Bench::new();
        let maker = bench.spawn(abi);
        let child = make(&mut bench, maker);
        bench.kernel.start_child(child).unwrap();
        bench.script(maker, [interrupt()]);
        assert!(bench.turn());
        assert!(bench.turn());
        assert_eq!(bench.ends(), []);
        assert!(bench.kernel.process(child).is_none());
    }
}

proptest! {
    /// However many frames there are, a child is loaded or leaves nothing.
    #[test]
    fn a_half_loaded_child_leaves_nothing(allocations in 0..30_u64, pe in any::<bool>()) {
        let mut bench = Bench::new();
        let maker = bench.spawn(Abi::Xeneva);
        let image = match pe {
            true => Pe::program().build(),
            false => Elf::program(Some(Abi::Veridian)).build(),
        };
        bench.poke(maker, IMAGE, &image);
        let before = bench.usage();
        let child = make(&mut bench, maker);
        bench.kernel.machine.allocations_left = allocations;
        let loaded = load(&mut bench, maker, child, image.len() as u64);
        bench.kernel.machine.allocations_left = u64::MAX;
        prop_assert_eq!(loaded.is_ok(), bench.kernel.process(child).is_some());
        if loaded.is_err() {
            prop_assert_eq!(bench.usage(), before);
        } else {
            bench.kernel.start_child(child).unwrap();
            bench.script(maker, [pause()]);
            prop_assert!(bench.turn());
            prop_assert_eq!(bench.registers(child).rip, ENTRY);
        }
    }
}
