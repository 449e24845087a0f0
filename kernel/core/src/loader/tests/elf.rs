//! ELF64: what is read, and what is refused.

use mayfly_abi::Abi;
use proptest::prelude::*;

use super::read_all_prefixes;
use crate::fake::image::{
    DATA, DATA_FILE, DATA_SIZE, ENTRY, Elf, INTERP, LOAD, Program, R, TEXT, TEXT_SIZE, W, X, note,
};
use crate::loader::{ImageError, Segment, read};
use crate::port::{Access, USER_END};

const WRITE: Access = Access::READ_WRITE;
const CODE: Access = Access {
    read: true,
    write: false,
    execute: true,
};

fn refusal(elf: &Elf) -> ImageError {
    read(&elf.build()).unwrap_err()
}

/// A program whose first segment was changed.
fn with_text(change: impl FnOnce(&mut Program)) -> Elf {
    let mut elf = Elf::program(None);
    change(&mut elf.programs[0]);
    elf
}

#[test]
fn segments_entry_and_interface_are_read() {
    let image = read(&Elf::program(Some(Abi::Veridian)).build()).unwrap();
    let segments = [
        Segment {
            address: TEXT,
            memory_size: TEXT_SIZE,
            file_offset: 0x1000,
            file_size: TEXT_SIZE,
            access: CODE,
        },
        Segment {
            address: DATA,
            memory_size: DATA_SIZE,
            file_offset: 0x3000,
            file_size: DATA_FILE,
            access: WRITE,
        },
    ];
    assert_eq!(image.segments, segments);
    assert_eq!((image.entry, image.abi), (ENTRY, Some(Abi::Veridian)));
}

#[test]
fn segments_come_in_ascending_order_whatever_the_file_has() {
    let mut elf = Elf::program(None);
    elf.programs.reverse();
    let image = read(&elf.build()).unwrap();
    assert_eq!(image.segments[0].address, TEXT);
}

#[test]
fn flags_become_access() {
    for (flags, access) in [
        (R, Access::READ),
        (R | W, WRITE),
        (R | X, CODE),
        (0, Access::READ),
        (
            W | X,
            Access {
                read: true,
                write: true,
                execute: true,
            },
        ),
    ] {
        let image = read(&with_text(|text| text.flags = flags).build()).unwrap();
        assert_eq!(image.segments[0].access, access, "flags {flags}");
    }
}

#[test]
fn empty_and_foreign_segments_are_passed_over() {
    let mut elf = Elf::program(None);
    let empty = Program {
        memsz: 0,
        filesz: 0,
        ..elf.programs[0]
    };
    let stack = Program {
        kind: 0x6474_e551,
        ..elf.programs[1]
    };
    elf.programs.extend([empty, stack]);
    assert_eq!(read(&elf.build()).unwrap().segments.len(), 2);
}

#[test]
fn more_segments_than_a_linker_makes_are_refused() {
    let mut elf = Elf::program(None);
    let spare = Program {
        memsz: 0,
        filesz: 0,
        ..elf.programs[0]
    };
    elf.programs.resize(60, spare);
    assert!(read(&elf.build()).is_ok());
    elf.programs.resize(60_000, spare);
    let refused = read(&elf.build()).unwrap_err();
    assert_eq!(refused, ImageError::Malformed);
}

#[test]
fn the_first_note_of_ours_names_the_interface() {
    let mut elf = Elf::program(None);
    elf.add_note(&note(b"GNU", 1, &2_u32.to_le_bytes()));
    elf.add_note(&note(b"Mayfly", 2, &1_u32.to_le_bytes()));
    elf.add_note(&note(b"Mayfly", 1, &2_u32.to_le_bytes()));
    elf.add_note(&note(b"Mayfly", 1, &3_u32.to_le_bytes()));
    assert_eq!(read(&elf.build()).unwrap().abi, Some(Abi::Patchwork));
}

#[test]
fn a_note_that_names_no_interface_names_none() {
    for contents in [
        &[][..],
        &[2, 0],
        &[0, 0, 0, 0],
        &[4, 0, 0, 0],
        &[2, 0, 0, 1],
    ] {
        let mut elf = Elf::program(None);
        elf.add_note(&note(b"Mayfly", 1, contents));
        assert_eq!(read(&elf.build()).unwrap().abi, None, "{contents:?}");
    }
}

#[test]
fn what_needs_a_dynamic_linker_says_so() {
    let mut elf = Elf::program(None);
    elf.programs.push(Program {
        kind: INTERP,
        ..elf.programs[0]
    });
    assert_eq!(refusal(&elf), ImageError::Interpreter);
}

#[test]
fn what_needs_another_machine_or_relocation_is_unsupported() {
    let changes: [fn(&mut Elf); 5] = [
        |elf| elf.machine = 183,
        |elf| elf.machine = 3,
        |elf| elf.kind = 3,
        |elf| elf.kind = 1,
        |elf| elf.data = 2,
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut elf = Elf::program(None);
        change(&mut elf);
        let error = refusal(&elf);
        assert!(
            matches!(error, ImageError::Unsupported | ImageError::Malformed),
            "change {index}"
        );
        assert!(
            index == 4 || error == ImageError::Unsupported,
            "change {index}"
        );
    }
}

#[test]
fn headers_that_point_outside_the_file_are_malformed() {
    let changes: [fn(&mut Elf); 7] = [
        |elf| elf.class = 1,
        |elf| elf.phoff = 1 << 40,
        |elf| elf.phoff = u64::MAX - 8,
        |elf| elf.phentsize = 1,
        |elf| elf.programs[0].offset = 0x10_0000,
        |elf| elf.programs[0].offset = u64::MAX - 0x100,
        |elf| elf.programs[1].filesz = elf.programs[1].memsz + 1,
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut elf = Elf::program(None);
        change(&mut elf);
        assert_eq!(refusal(&elf), ImageError::Malformed, "change {index}");
    }
}

#[test]
fn an_image_without_segments_is_malformed() {
    let mut elf = Elf::program(None);
    elf.programs.clear();
    assert_eq!(refusal(&elf), ImageError::Malformed);
}

#[test]
fn segments_outside_user_memory_are_out_of_range() {
    for (address, size) in [
        (USER_END, TEXT_SIZE),
        (USER_END - TEXT_SIZE + 1, TEXT_SIZE),
        (0xffff_8000_0000_0000, TEXT_SIZE),
        (u64::MAX - 0x100, TEXT_SIZE),
        (TEXT, u64::MAX),
        (0, TEXT_SIZE),
    ] {
        let elf = with_text(|text| (text.vaddr, text.memsz) = (address, size));
        assert_eq!(refusal(&elf), ImageError::OutOfRange, "{address:#x}");
    }
}

#[test]
fn a_segment_may_end_where_user_memory_ends() {
    let elf = with_text(|text| text.vaddr = USER_END - TEXT_SIZE);
    assert!(read(&elf.build()).is_ok());
}

#[test]
fn overlapping_segments_are_out_of_range() {
    for address in [DATA, DATA + 1, DATA - TEXT_SIZE + 1, DATA + DATA_SIZE - 1] {
        let elf = with_text(|text| text.vaddr = address);
        assert_eq!(refusal(&elf), ImageError::OutOfRange, "{address:#x}");
    }
    assert!(read(&with_text(|text| text.vaddr = DATA + DATA_SIZE).build()).is_ok());
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    // All but the last byte of the data is needed.
    assert_eq!(
        read_all_prefixes(&Elf::program(Some(Abi::Patchwork)).build()),
        0
    );
}

proptest! {
    #[test]
    fn any_segments_are_refused_or_sound(
        programs in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), 0..8_u32, any::<bool>()), 0..6),
    ) {
        let mut elf = Elf::program(None);
        elf.programs = programs.into_iter().map(|(vaddr, offset, filesz, memsz, flags, small)| {
            // Half of them are of the size that is accepted.
            let mask = if small { 0xfff } else { u64::MAX };
            Program { kind: LOAD, flags, offset: offset & mask, vaddr: vaddr & (mask << 16 | 0xfff), filesz: filesz & mask, memsz: memsz & mask }
        }).collect();
        let file = elf.build();
        if let Ok(image) = read(&file) {
            super::assert_sound(&file, &image);
        }
    }
}
