//! ELF64 executables, statically linked.

use alloc::vec::Vec;

use mayfly_abi::Abi;
use object::LittleEndian;
use object::elf::{
    EM_X86_64, ET_EXEC, FileHeader64, NoteType, PF_W, PF_X, PT_INTERP, PT_LOAD, PT_NOTE,
    ProgramHeader64,
};
use object::read::ReadRef;
use object::read::elf::{FileHeader, ProgramHeader};

use super::{Image, ImageError, SEGMENTS_MAX, Segment};
use crate::port::Access;

/// Owner and type of the note that names a program's interface
/// (`vmm/machine/src/boot.rs`).
const NOTE_OWNER: &[u8] = b"Mayfly";
const NOTE_ABI: NoteType = NoteType(1);

type Header = FileHeader64<LittleEndian>;

/// Segments of notes that are looked at: a file could have many that overlap.
const NOTES_MAX: usize = 4;

pub(super) fn read<'a>(file: impl ReadRef<'a>) -> Result<Image, ImageError> {
    let header = Header::parse(file).map_err(|_| ImageError::Malformed)?;
    let endian = header.endian().map_err(|_| ImageError::Unsupported)?;
    if header.e_machine(endian) != EM_X86_64 || header.e_type(endian) != ET_EXEC {
        return Err(ImageError::Unsupported);
    }
    let programs = header
        .program_headers(endian, file)
        .map_err(|_| ImageError::Malformed)?;
    if programs.len() > SEGMENTS_MAX {
        return Err(ImageError::Malformed);
    }
    let mut segments = Vec::with_capacity(4);
    let (mut abi, mut notes) = (None, 0);
    for program in programs {
        match program.p_type(endian) {
            PT_LOAD if program.p_memsz(endian) > 0 => segments.push(segment(program, endian)),
            PT_NOTE if abi.is_none() && notes < NOTES_MAX => {
                notes += 1;
                abi = abi_note(program, endian, file);
            }
            PT_INTERP => return Err(ImageError::Interpreter),
            _ => {}
        }
    }
    segments.sort_by_key(|segment: &Segment| segment.address);
    Ok(Image {
        abi,
        entry: header.e_entry(endian),
        segments,
    })
}

fn segment(program: &ProgramHeader64<LittleEndian>, endian: LittleEndian) -> Segment {
    let flags = program.p_flags(endian);
    Segment {
        address: program.p_vaddr(endian),
        memory_size: program.p_memsz(endian),
        file_offset: program.p_offset(endian),
        file_size: program.p_filesz(endian),
        access: Access {
            read: true,
            write: flags & PF_W == PF_W,
            execute: flags & PF_X == PF_X,
        },
    }
}

/// The interface that a note names, if the segment has such a note.
fn abi_note<'a>(
    program: &ProgramHeader64<LittleEndian>,
    endian: LittleEndian,
    file: impl ReadRef<'a>,
) -> Option<Abi> {
    let mut notes = program.notes(endian, file).ok()??;
    while let Ok(Some(note)) = notes.next() {
        if note.name() == NOTE_OWNER && note.n_type(endian) == NOTE_ABI {
            let code = u32::from_le_bytes(*note.desc().first_chunk()?);
            return Abi::from_code(u8::try_from(code).ok()?);
        }
    }
    None
}
