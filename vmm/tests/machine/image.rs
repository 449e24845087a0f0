//! Kernels and configurations that are refused, and what is said about them.

use mayfly_machine::layout;
use mayfly_vmm::{Config, Entry, Error, ImageError, Module, Vm};

use crate::common::{CODE, EXECUTE, Kernel, READ, Segment, code, exit, kernel, small};

fn plain() -> Kernel {
    Kernel::new(code(|a| exit(a, 1)))
}

fn image_error(elf: &[u8]) -> ImageError {
    match Vm::new(&small(), elf, &[]) {
        Err(Error::Image(error)) => error,
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("it was taken"),
    }
}

/// What is said about a plain kernel with another segment.
fn segment_error(segment: Segment) -> String {
    let mut kernel = plain();
    kernel.segments.push(segment);
    image_error(&kernel.to_elf()).to_string()
}

fn segment(phys: u64, memory: u64) -> Segment {
    Segment {
        virt: 0xffff_ffff_9000_0000 + phys % 4096,
        phys,
        bytes: Vec::new(),
        memory,
        flags: READ,
    }
}

#[test]
fn what_is_not_elf_is_refused() {
    assert!(matches!(image_error(b""), ImageError::NotElf(_)));
    assert!(matches!(image_error(b"#!/bin/sh\n"), ImageError::NotElf(_)));
    assert!(matches!(image_error(&[0; 4096]), ImageError::NotElf(_)));
}

#[test]
fn another_processors_kernel_is_refused() {
    let mut kernel = plain();
    kernel.machine = 183;
    assert_eq!(image_error(&kernel.to_elf()), ImageError::Machine);
}

#[test]
fn a_file_cut_anywhere_is_refused_or_boots_but_never_panics() {
    let elf = plain().to_elf();
    for length in 0..elf.len() {
        let _ = Vm::new(&small(), &elf[..length], &[]);
    }
}

#[test]
fn a_kernel_without_an_entry_is_refused() {
    let mut kernel = plain();
    kernel.direct = None;
    let message = image_error(&kernel.to_elf()).to_string();
    assert_eq!(
        message,
        "it has no note that offers a direct or a PVH entry"
    );
    for (entry, missing) in [
        (Entry::Pvh, "a PVH entry"),
        (Entry::Direct, "the direct entry"),
    ] {
        let mut kernel = plain();
        if entry == Entry::Direct {
            kernel.direct = None;
        }
        let config = Config { entry, ..small() };
        let error = Vm::new(&config, &kernel.to_elf(), &[]).unwrap_err();
        assert!(matches!(error, Error::Image(ImageError::NoEntry(what)) if what == missing));
    }
}

#[test]
fn an_unknown_version_of_the_direct_entry_is_refused() {
    let mut kernel = plain();
    kernel.direct = Some([2, CODE, layout::DIRECT_MAP_BASE]);
    assert_eq!(image_error(&kernel.to_elf()), ImageError::DirectVersion(2));
}

#[test]
fn an_entry_outside_the_code_is_refused() {
    let mut kernel = plain();
    kernel.direct = Some([1, CODE + 0x10_0000, layout::DIRECT_MAP_BASE]);
    let error = image_error(&kernel.to_elf());
    assert_eq!(error, ImageError::Entry(CODE + 0x10_0000));
}

#[test]
fn segments_outside_memory_are_refused() {
    let outside = segment_error(segment((4 << 20) - 4096, 8192));
    assert!(outside.ends_with("outside memory"), "{outside}");
    let wraps = segment_error(segment(0x20_0000, u64::MAX - 0x1000));
    assert!(wraps.ends_with("outside memory"), "{wraps}");
    let low = segment_error(segment(0x1000, 4096));
    assert!(low.ends_with("below the kernel load address"), "{low}");
}

#[test]
fn segments_that_cannot_be_mapped_are_refused() {
    let mut skewed = segment(0x30_0000, 4096);
    skewed.virt += 8;
    let skewed = segment_error(skewed);
    assert!(skewed.ends_with("differ within a page"), "{skewed}");
    let mut shared = segment(0x30_0000, 4096);
    shared.virt = CODE;
    let shared = segment_error(shared);
    assert!(
        shared.ends_with("shares a page with another mapping"),
        "{shared}"
    );
    let mut over_direct_map = segment(0x30_0000, 4096);
    over_direct_map.virt = layout::DIRECT_MAP_BASE;
    let over = segment_error(over_direct_map);
    assert!(
        over.ends_with("shares a page with another mapping"),
        "{over}"
    );
}

#[test]
fn a_segment_larger_in_the_file_than_in_memory_is_refused() {
    let large = segment_error(Segment {
        bytes: vec![1; 64],
        memory: 32,
        ..segment(0x30_0000, 32)
    });
    assert!(
        large.ends_with("larger in the file than in memory"),
        "{large}"
    );
}

#[test]
fn too_many_page_tables_are_an_error() {
    let mut kernel = plain();
    for n in 0..60 {
        kernel.segments.push(Segment {
            virt: 0xffff_ffff_9000_0000 + (n << 21),
            phys: 0x30_0000,
            bytes: Vec::new(),
            memory: 4096,
            flags: READ | EXECUTE,
        });
    }
    let error = Vm::new(&small(), &kernel.to_elf(), &[]).unwrap_err();
    assert!(matches!(error, Error::PageTables));
}

#[test]
fn a_direct_map_that_cannot_be_is_refused() {
    for base in [0x1000, u64::MAX - 0xfff, u64::MAX << 21] {
        let mut kernel = plain();
        kernel.direct = Some([1, CODE, base]);
        assert!(matches!(
            image_error(&kernel.to_elf()),
            ImageError::Malformed(_)
        ));
    }
}

#[test]
fn a_long_command_line_is_refused() {
    let config = Config {
        command_line: "x".repeat(4090),
        ..small()
    };
    let error = Vm::new(&config, &kernel(|a| exit(a, 1)), &[]).unwrap_err();
    assert!(matches!(error, Error::CommandLineLong { max: 4096, .. }));
    let config = Config {
        command_line: "a\0b".into(),
        ..small()
    };
    let error = Vm::new(&config, &kernel(|a| exit(a, 1)), &[]).unwrap_err();
    assert!(matches!(error, Error::CommandLineNul));
}

#[test]
fn modules_must_be_aligned_whole_pages() {
    #[repr(align(4096))]
    struct Pages([u8; 8192]);
    static PAGES: Pages = Pages([0; 8192]);
    let refused = |bytes: &'static [u8]| {
        let modules = [Module::Static(&PAGES.0), Module::Static(bytes)];
        let made = Vm::new(&small(), &kernel(|a| exit(a, 1)), &modules);
        made.unwrap_err().to_string()
    };
    assert_eq!(
        refused(&PAGES.0[1..4097]),
        "module 1: is not aligned to 4 KiB"
    );
    let padded = "module 1: is not padded to whole 4 KiB pages";
    assert_eq!(refused(&PAGES.0[..100]), padded);
    assert_eq!(refused(&[]), "module 1: is not aligned to 4 KiB");
}

#[test]
fn an_empty_module_file_is_refused() {
    assert!(mayfly_vmm::ModuleFile::from_bytes(b"").is_err());
}
