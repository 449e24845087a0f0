//! Executables of children: written files, and those of other interfaces.

use mayfly_abi::patchwork::nr;
use mayfly_abi::{Abi, veridian, xeneva};

use super::{BUFFER, Family};
use crate::fake::bench::{Bench, call};
use crate::fake::image::{DATA, DATA_FILE, ENTRY, Elf, TEXT, TEXT_SIZE, W, pattern};
use crate::port::{Access, Machine};

#[test]
fn an_executable_that_was_written_is_copied() {
    let mut family = Family::new();
    let elf = Elf::program(Some(Abi::Patchwork)).build();
    let file = family.path_call(nr::OPEN, "/tmp/new:create");
    for part in elf.chunks(0x1000) {
        family.bench.poke(family.parent, BUFFER, part);
        let length = part.len() as u64;
        assert_eq!(family.call(nr::WRITE, &[file, BUFFER, length]), length);
    }
    let frames = family.bench.usage().0;
    let child = family.child(&["/tmp/new"], 0);
    assert_eq!(family.start(child).rip, ENTRY);
    assert!(family.bench.usage().0 > frames + 5, "pages of its own");
    family.pass(family.parent);
    let text: Vec<u8> = (0..TEXT_SIZE).map(pattern).collect();
    assert_eq!(family.bench.peek(child, TEXT, text.len()), text);
    family.pass(family.parent);
    let mut data: Vec<u8> = (0..DATA_FILE).map(pattern).collect();
    data.resize(0x2000, 0);
    assert_eq!(family.bench.peek(child, DATA, 0x2000), data);
    let tables = family.bench.process(child).space.tables();
    let (_, access) = family.bench.kernel.machine.lookup(tables, TEXT).unwrap();
    let code = Access {
        read: true,
        write: false,
        execute: true,
    };
    assert_eq!(access, code);
}

#[test]
fn a_written_file_that_asks_for_its_bytes_many_times_is_no_executable() {
    let mut elf = Elf::program(Some(Abi::Patchwork));
    for copy in 0..9 {
        let mut again = elf.programs[0];
        again.vaddr = 0x100_0000 + copy * 0x10_0000;
        again.flags |= W;
        elf.programs.push(again);
    }
    // The headers make room for themselves.
    let mut family = Family::of(Bench::with_files(&[
        ("patchwork", Elf::program(Some(Abi::Patchwork)).build()),
        ("greedy", elf.build()),
    ]));
    let child = family.child(&["/bin/greedy"], 0);
    assert_eq!(family.start(child).rip, ENTRY);
    assert!(family.bench.kernel.kill(child));
    // One byte is written over by itself: from now on it is a written file.
    let file = family.path_call(nr::OPEN, "/bin/greedy");
    family.bench.poke(family.parent, BUFFER, &[0x7f]);
    assert_eq!(family.call(nr::WRITE, &[file, BUFFER, 1]), 1);
    assert_eq!(family.fails("/bin/greedy", 0), 138);
}

#[test]
fn a_child_of_another_interface_has_two_ids() {
    let mut family = Family::new();
    for (path, abi, id) in [
        ("/bin/xeneva", Abi::Xeneva, 2),
        ("/bin/veridian", Abi::Veridian, 1),
    ] {
        let known_as = family.spawn(&[path, "x"], 0);
        let kernel = &mut family.bench.kernel;
        let child = kernel.process_by_id(Abi::Patchwork, known_as).unwrap();
        assert_eq!(family.start(child).rip, ENTRY);
        let process = family.bench.process(child);
        assert_eq!((process.abi, process.id), (abi, id));
        assert_eq!(process.alias, Some((Abi::Patchwork, known_as)));
        assert_eq!(process.handles.iter().count(), 3);
        let kernel = &mut family.bench.kernel;
        assert_eq!(kernel.process_by_id(abi, id), Some(child));
        let exits = [(abi, id), (Abi::Patchwork, known_as)];
        let exits = exits.map(|(abi, id)| kernel.exit_of(abi, id).unwrap());
        assert!(std::rc::Rc::ptr_eq(&exits[0], &exits[1]));
        family.pass(family.parent);
        let exit = match abi {
            Abi::Xeneva => call(abi, xeneva::nr::ProcessExit, &[]),
            _ => call(abi, veridian::nr::EXIT, &[4]),
        };
        family.bench.script(child, [exit]);
        assert!(family.bench.turn());
        let kernel = &mut family.bench.kernel;
        let exit = kernel.exit_of(Abi::Patchwork, known_as).unwrap();
        assert_eq!(
            exit.status.get(),
            Some(if abi == Abi::Xeneva { 0 } else { 4 })
        );
    }
}

#[test]
fn an_executable_that_names_no_interface_has_its_parents() {
    let mut family = Family::new();
    let child = family.child(&["/bin/probe"], 0);
    family.start(child);
    assert_eq!(family.bench.process(child).abi, Abi::Patchwork);
    assert_eq!(family.bench.process(child).alias, None);
}
