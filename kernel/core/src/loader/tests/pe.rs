//! PE32+: what is read, and what is refused.

use mayfly_abi::Abi;

use super::read_all_prefixes;
use crate::fake::image::{DATA, DATA_FILE, DATA_SIZE, ENTRY, Pe, TEXT, TEXT_SIZE};
use crate::loader::{ImageError, Segment, read};
use crate::port::{Access, PAGE_SIZE};

fn refusal(change: impl FnOnce(&mut Pe)) -> ImageError {
    let mut pe = Pe::program();
    change(&mut pe);
    read(&pe.build()).unwrap_err()
}

#[test]
fn the_header_page_and_the_sections_are_segments() {
    let image = read(&Pe::program().build()).unwrap();
    let segments = [
        Segment {
            address: TEXT - PAGE_SIZE,
            memory_size: PAGE_SIZE,
            file_offset: 0,
            file_size: PAGE_SIZE,
            access: Access::READ,
        },
        Segment {
            address: TEXT,
            memory_size: TEXT_SIZE,
            file_offset: 0x1000,
            // The section is padded to pages in the file.
            file_size: TEXT_SIZE,
            access: Access {
                read: true,
                write: false,
                execute: true,
            },
        },
        Segment {
            address: DATA,
            memory_size: DATA_SIZE,
            file_offset: 0x3000,
            file_size: DATA_FILE,
            access: Access::READ_WRITE,
        },
    ];
    assert_eq!(image.segments, segments);
    assert_eq!((image.entry, image.abi), (ENTRY, Some(Abi::Xeneva)));
}

#[test]
fn an_empty_section_is_passed_over() {
    let mut pe = Pe::program();
    pe.sections[1].virtual_size = 0;
    assert_eq!(read(&pe.build()).unwrap().segments.len(), 2);
}

#[test]
fn more_sections_than_a_linker_makes_are_refused() {
    assert_eq!(
        refusal(|pe| pe.sections.resize(60_000, pe.sections[1])),
        ImageError::Malformed
    );
    let mut pe = Pe::program();
    let mut empty = pe.sections[1];
    empty.virtual_size = 0;
    pe.sections.resize(60, empty);
    assert_eq!(read(&pe.build()).unwrap().segments.len(), 3);
}

#[test]
fn a_section_without_contents_is_zeros() {
    let mut pe = Pe::program();
    (pe.sections[1].raw_size, pe.sections[1].raw_offset) = (0, 0);
    let image = read(&pe.build()).unwrap();
    assert_eq!(image.segments[2].file_size, 0);
    assert_eq!(image.segments[2].memory_size, DATA_SIZE);
}

#[test]
fn another_machine_or_imports_are_unsupported() {
    assert_eq!(refusal(|pe| pe.machine = 0xaa64), ImageError::Unsupported);
    let imports = |pe: &mut Pe| (pe.import_address, pe.import_size) = (0x1000, 40);
    assert_eq!(refusal(imports), ImageError::Unsupported);
}

#[test]
fn an_empty_import_table_is_none() {
    let mut pe = Pe::program();
    pe.import_address = 0x1000;
    assert!(read(&pe.build()).is_ok());
}

#[test]
fn a_pe32_of_32_bits_is_malformed() {
    assert_eq!(refusal(|pe| pe.magic = 0x10b), ImageError::Malformed);
}

#[test]
fn a_section_whose_contents_lie_outside_the_file_is_malformed() {
    let past_the_end = |pe: &mut Pe| pe.sections[1].raw_offset = 0x10_0000;
    assert_eq!(refusal(past_the_end), ImageError::Malformed);
    let last_byte_missing = |pe: &mut Pe| pe.sections[1].raw_offset += 1;
    assert_eq!(refusal(last_byte_missing), ImageError::Malformed);
}

#[test]
fn sections_out_of_place_are_out_of_range() {
    let overlap = |pe: &mut Pe| pe.sections[1].virtual_address = pe.sections[0].virtual_address + 1;
    assert_eq!(refusal(overlap), ImageError::OutOfRange);
    let in_header = |pe: &mut Pe| pe.sections[0].virtual_address = 0;
    assert_eq!(refusal(in_header), ImageError::OutOfRange);
    let long_header = |pe: &mut Pe| pe.headers_size = 0x2000;
    assert_eq!(refusal(long_header), ImageError::OutOfRange);
}

#[test]
fn a_base_that_wraps_or_is_not_of_user_memory_is_out_of_range() {
    for base in [
        u64::MAX - 0x100,
        u64::MAX,
        0x7fff_ffff_f000,
        0xffff_8000_0000_0000,
    ] {
        assert_eq!(
            refusal(|pe| pe.base = base),
            ImageError::OutOfRange,
            "{base:#x}"
        );
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    assert_eq!(read_all_prefixes(&Pe::program().build()), 0);
}
