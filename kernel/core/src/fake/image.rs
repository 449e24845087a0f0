//! Executables and bundles, made byte by byte.
//!
//! Every field that a test may want to be wrong is a field here; nothing is
//! checked. [`Elf::program`] and [`Pe::program`] are well-formed starting points.

use mayfly_abi::Abi;

use crate::port::{PAGE_BYTES, PAGE_SIZE};

/// Address of the text of every program made here.
pub const TEXT: u64 = 0x60_1000;
/// Bytes of text: less than two pages.
pub const TEXT_SIZE: u64 = 0x1800;
/// Address of its entry point.
pub const ENTRY: u64 = TEXT + 0x10;
/// Address of its data, which is writable.
pub const DATA: u64 = 0x60_4000;
/// Bytes of data in the file; zeros follow.
pub const DATA_FILE: u64 = 0x180;
/// Bytes of data in memory.
pub const DATA_SIZE: u64 = 0x8000;

const TEXT_OFFSET: u64 = 0x1000;
const DATA_OFFSET: u64 = 0x3000;

/// One ELF64 program header.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are those of the format")]
pub struct Program {
    pub kind: u32,
    pub flags: u32,
    pub offset: u64,
    pub vaddr: u64,
    pub filesz: u64,
    pub memsz: u64,
}

/// An ELF64 file.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are those of the format")]
pub struct Elf {
    pub class: u8,
    pub data: u8,
    pub kind: u16,
    pub machine: u16,
    pub entry: u64,
    pub programs: Vec<Program>,
    pub phoff: u64,
    pub phentsize: u16,
    /// Contents by their offset; they follow the headers.
    pub contents: Vec<(u64, Vec<u8>)>,
}

/// A loadable segment.
pub const LOAD: u32 = 1;
/// A segment that names an interpreter.
pub const INTERP: u32 = 3;
/// A segment of notes.
pub const NOTE: u32 = 4;
/// Segment flags.
pub const R: u32 = 4;
/// Segment flags.
pub const W: u32 = 2;
/// Segment flags.
pub const X: u32 = 1;

/// Byte `at` of the test contents: never 0, and different in neighbouring pages.
pub fn pattern(at: u64) -> u8 {
    (at % 251).to_le_bytes()[0] + 1
}

fn fill(size: u64) -> Vec<u8> {
    (0..size).map(pattern).collect()
}

/// A note of the owner, type and contents given.
pub fn note(owner: &[u8], kind: u32, contents: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [owner.len() + 1, contents.len(), kind as usize] {
        bytes.extend_from_slice(&word.to_le_bytes()[..4]);
    }
    bytes.extend_from_slice(owner);
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend_from_slice(contents);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

impl Elf {
    /// A program of text and data, with a note that names `abi`.
    pub fn program(abi: Option<Abi>) -> Self {
        let mut elf = Self {
            class: 2,
            data: 1,
            kind: 2,
            machine: 62,
            entry: ENTRY,
            programs: vec![
                Program {
                    kind: LOAD,
                    flags: R | X,
                    offset: TEXT_OFFSET,
                    vaddr: TEXT,
                    filesz: TEXT_SIZE,
                    memsz: TEXT_SIZE,
                },
                Program {
                    kind: LOAD,
                    flags: R | W,
                    offset: DATA_OFFSET,
                    vaddr: DATA,
                    filesz: DATA_FILE,
                    memsz: DATA_SIZE,
                },
            ],
            phoff: 64,
            phentsize: 56,
            contents: vec![
                (TEXT_OFFSET, fill(TEXT_SIZE)),
                (DATA_OFFSET, fill(DATA_FILE)),
            ],
        };
        if let Some(abi) = abi {
            elf.add_note(&note(b"Mayfly", 1, &u32::from(abi.code()).to_le_bytes()));
        }
        elf
    }

    /// Adds a segment of notes.
    pub fn add_note(&mut self, note: &[u8]) {
        let offset = 0x800 + 0x100 * self.programs.len() as u64;
        let size = note.len() as u64;
        self.programs.push(Program {
            kind: NOTE,
            flags: R,
            offset,
            vaddr: 0,
            filesz: size,
            memsz: size,
        });
        self.contents.push((offset, note.to_vec()));
    }

    /// The file.
    pub fn build(&self) -> Vec<u8> {
        let count = u16::try_from(self.programs.len()).unwrap();
        let mut file = vec![0x7f, b'E', b'L', b'F', self.class, self.data, 1];
        file.resize(16, 0);
        file.extend_from_slice(&self.kind.to_le_bytes());
        file.extend_from_slice(&self.machine.to_le_bytes());
        file.extend_from_slice(&1_u32.to_le_bytes());
        for word in [self.entry, self.phoff, 0] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&[0; 4]);
        for half in [64, self.phentsize, count, 64, 0, 0] {
            file.extend_from_slice(&half.to_le_bytes());
        }
        for program in &self.programs {
            file.extend_from_slice(&program.kind.to_le_bytes());
            file.extend_from_slice(&program.flags.to_le_bytes());
            let Program {
                offset,
                vaddr,
                filesz,
                memsz,
                ..
            } = *program;
            let align = if program.kind == NOTE { 4 } else { PAGE_SIZE };
            for word in [offset, vaddr, vaddr, filesz, memsz, align] {
                file.extend_from_slice(&word.to_le_bytes());
            }
        }
        place(&mut file, &self.contents);
        file
    }
}

/// One section of a PE32+ file.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are those of the format")]
pub struct Section {
    pub virtual_size: u32,
    pub virtual_address: u32,
    pub raw_size: u32,
    pub raw_offset: u32,
    pub characteristics: u32,
}

/// A PE32+ file.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are those of the format")]
pub struct Pe {
    pub machine: u16,
    pub magic: u16,
    pub entry: u32,
    pub base: u64,
    pub headers_size: u32,
    pub import_address: u32,
    pub import_size: u32,
    pub sections: Vec<Section>,
    /// Contents by their offset; they follow the headers.
    pub contents: Vec<(u64, Vec<u8>)>,
}

/// Readable and executable code.
pub const CODE: u32 = 0x6000_0020;
/// Readable and writable data.
pub const WRITABLE: u32 = 0xc000_0040;

impl Pe {
    /// A XenevaOS program with the same text and data as [`Elf::program`].
    pub fn program() -> Self {
        let low = |value: u64| u32::try_from(value).unwrap();
        let base = TEXT - PAGE_SIZE;
        Self {
            machine: 0x8664,
            magic: 0x20b,
            entry: low(ENTRY - base),
            base,
            headers_size: low(PAGE_SIZE),
            import_address: 0,
            import_size: 0,
            sections: vec![
                Section {
                    virtual_size: low(TEXT_SIZE),
                    virtual_address: low(TEXT - base),
                    raw_size: 0x2000,
                    raw_offset: low(TEXT_OFFSET),
                    characteristics: CODE,
                },
                Section {
                    virtual_size: low(DATA_SIZE),
                    virtual_address: low(DATA - base),
                    raw_size: low(DATA_FILE),
                    raw_offset: low(DATA_OFFSET),
                    characteristics: WRITABLE,
                },
            ],
            contents: vec![
                (TEXT_OFFSET, fill(TEXT_SIZE)),
                (DATA_OFFSET, fill(DATA_FILE)),
            ],
        }
    }

    /// The file.
    pub fn build(&self) -> Vec<u8> {
        let mut file = b"MZ".to_vec();
        file.resize(0x3c, 0);
        file.extend_from_slice(&0x40_u32.to_le_bytes());
        file.extend_from_slice(b"PE\0\0");
        file.extend_from_slice(&self.machine.to_le_bytes());
        file.extend_from_slice(&u16::try_from(self.sections.len()).unwrap().to_le_bytes());
        file.resize(file.len() + 12, 0);
        file.extend_from_slice(&240_u16.to_le_bytes());
        file.extend_from_slice(&0x22_u16.to_le_bytes());
        let optional = file.len();
        file.resize(optional + 240, 0);
        let mut set = |at: usize, bytes: &[u8]| {
            file[optional + at..][..bytes.len()].copy_from_slice(bytes);
        };
        set(0, &self.magic.to_le_bytes());
        set(16, &self.entry.to_le_bytes());
        set(24, &self.base.to_le_bytes());
        set(32, &4096_u32.to_le_bytes());
        set(36, &4096_u32.to_le_bytes());
        set(56, &0x10_0000_u32.to_le_bytes());
        set(60, &self.headers_size.to_le_bytes());
        set(108, &16_u32.to_le_bytes());
        // Data directory 1: address and size of the import table.
        set(112 + 8, &self.import_address.to_le_bytes());
        set(112 + 8 + 4, &self.import_size.to_le_bytes());
        for section in &self.sections {
            file.extend_from_slice(b".section");
            for word in [
                section.virtual_size,
                section.virtual_address,
                section.raw_size,
                section.raw_offset,
                0,
                0,
                0,
                section.characteristics,
            ] {
                file.extend_from_slice(&word.to_le_bytes());
            }
        }
        place(&mut file, &self.contents);
        file
    }
}

fn place(file: &mut Vec<u8>, contents: &[(u64, Vec<u8>)]) {
    for (offset, bytes) in contents {
        let start = usize::try_from(*offset).unwrap();
        let end = start + bytes.len();
        file.resize(file.len().max(end), 0);
        file[start..end].copy_from_slice(bytes);
    }
}

/// A bundle of files (`bundle.rs` has the layout), for good.
pub fn bundle(files: &[(&str, Vec<u8>)]) -> &'static [u8] {
    let mut files: Vec<_> = files.iter().collect();
    files.sort();
    let mut bytes = b"MYBUND02".to_vec();
    bytes.extend_from_slice(&u32::try_from(files.len()).unwrap().to_le_bytes());
    bytes.resize(64, 0);
    let mut offset = (64 + 128 * files.len()).next_multiple_of(PAGE_BYTES);
    for (name, contents) in &files {
        let entry = bytes.len();
        bytes.extend_from_slice(name.as_bytes());
        bytes.resize(entry + 96, 0);
        bytes.extend_from_slice(&offset.to_le_bytes());
        bytes.extend_from_slice(&contents.len().to_le_bytes());
        bytes.resize(entry + 128, 0);
        offset = (offset + contents.len()).next_multiple_of(PAGE_BYTES);
    }
    for (_, contents) in &files {
        bytes.resize(bytes.len().next_multiple_of(PAGE_BYTES), 0);
        bytes.extend_from_slice(contents);
    }
    bytes.resize(bytes.len().next_multiple_of(PAGE_BYTES), 0);
    bytes.leak()
}
