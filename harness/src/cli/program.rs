//! Finding a program, and telling early why it cannot run.
//!
//! Purpose: PROGRAM is a bundled name or a path; a file is checked on the host
//! (kind, machine, completeness, interface) so that the message is about the
//! file and comes before a machine is booted. Neighbours: `run` and `trace`.

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

use mayfly::near::nearest;
use mayfly::symbols::{self, Frame};
use mayfly::{Abi, ExtraFile, image};
use object::elf::{PT_INTERP, PT_LOAD};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::read::pe::PeFile64;
use object::{Architecture, BinaryFormat, Endianness, FileKind, Object as _, ObjectSection as _};

use super::exit::Exit;
use super::layout;

/// Owner of Mayfly's ELF notes, and the type of the note that names the interface.
const NOTE_OWNER: &[u8] = b"Mayfly";
const NOTE_ABI: u32 = 1;

/// A program to spawn.
pub(crate) struct Program {
    /// Name to spawn it by.
    pub(crate) name: String,
    /// Its file, unless it is bundled.
    pub(crate) file: Option<ExtraFile>,
}

impl Program {
    /// Functions at an address of it, innermost first.
    pub(crate) fn frames(&self, address: u64) -> Vec<Frame> {
        let bytes = match &self.file {
            Some(file) => &file.bytes,
            None => image::program(&self.name).map_or(&[][..], |file| file.bytes),
        };
        symbols::program_frames(bytes, address)
    }
}

/// Why a program cannot be run.
#[derive(Debug)]
pub(crate) struct Unusable {
    missing: bool,
    program: String,
    why: String,
    remedy: String,
}

impl Unusable {
    /// Exit code for it.
    pub(crate) fn exit(&self) -> Exit {
        if self.missing {
            Exit::NotFound
        } else {
            Exit::CannotRun
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            program,
            why,
            remedy,
            ..
        } = self;
        // One that could not be seen, or not told from the words around it.
        let odd = |it: char| it.is_whitespace() || it.is_control();
        match program.is_empty() || program.contains(odd) {
            true => write!(f, "cannot run {program:?}: {why}\n  try: {remedy}"),
            false => write!(f, "cannot run {program}: {why}\n  try: {remedy}"),
        }
    }
}

impl std::error::Error for Unusable {}

/// Finds and checks a program; `abi` is the interface that was asked for.
pub(crate) fn find(program: &str, abi: Option<Abi>) -> Result<Program, Unusable> {
    if image::program(program).is_some() {
        return Ok(Program {
            name: program.into(),
            file: None,
        });
    }
    let bytes = read(program)?;
    check(&bytes, abi).map_err(|(why, remedy)| Unusable {
        missing: false,
        program: program.into(),
        why,
        remedy,
    })?;
    let path = Path::new(program);
    let name = path
        .file_name()
        .map_or(program.into(), |name| name.to_string_lossy());
    Ok(Program {
        name: name.clone().into_owned(),
        file: Some(ExtraFile {
            name: name.into_owned(),
            bytes,
        }),
    })
}

fn read(program: &str) -> Result<Vec<u8>, Unusable> {
    super::target::contents(program).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Unusable {
            missing: true,
            program: program.into(),
            why: "no bundled program and no file has that name".into(),
            remedy: suggestion(program),
        },
        ErrorKind::IsADirectory => Unusable {
            missing: false,
            program: program.into(),
            why: "it is a directory".into(),
            remedy: "the path of an ELF or PE file".into(),
        },
        _ => Unusable {
            missing: false,
            program: program.into(),
            why: error.to_string(),
            remedy: "a file that you may read".into(),
        },
    })
}

/// The bundled program that makes single calls.
const PROBE: &str = "probe";
/// Longest line of the list of programs.
const LIST_MAX: usize = 76;

/// A bundled name that is close, or all of them.
fn suggestion(program: &str) -> String {
    // Probes are for tests.
    let names = image::programs().iter().map(|file| file.name);
    let mut names = names.filter(|name| *name != PROBE);
    if let Some(near) = nearest(program, names.clone()) {
        return format!("{near}, or the path of an ELF or PE file");
    }
    let mut text = String::from("the path of an ELF or PE file, or a bundled program:");
    for abi in Abi::ALL.map(Abi::name) {
        let of_abi = names.clone().filter(|name| name.starts_with(abi));
        let list: Vec<&str> = of_abi.collect();
        for line in layout::wrapped(&list.join(" "), layout::width().min(LIST_MAX) - 4) {
            text.push_str("\n    ");
            text.push_str(&line);
        }
    }
    if names.any(|name| name == "shell") {
        text.push_str("\n    shell");
    }
    text
}

type Problem = (String, String);

const STATIC: &str = "a static x86_64 ELF64 or PE32+ file (user/README.md shows how to build one)";

fn problem(why: impl Into<String>) -> Problem {
    (why.into(), STATIC.into())
}

fn check(bytes: &[u8], abi: Option<Abi>) -> Result<(), Problem> {
    if bytes.is_empty() {
        return Err(problem("the file is empty"));
    }
    match FileKind::parse(bytes) {
        Ok(FileKind::Elf64) => check_elf(bytes, abi),
        Ok(FileKind::Pe64) => check_pe(bytes),
        Ok(FileKind::Elf32 | FileKind::Pe32) => Err(problem(
            "it is a 32-bit program; the guest runs 64-bit ones",
        )),
        Ok(_) => Err(problem(
            "it is an object file or archive of another kind, not an ELF or PE program",
        )),
        Err(_) if bytes.starts_with(b"\x7fELF") => Err(problem("it is a truncated ELF file")),
        Err(_) if bytes.starts_with(b"MZ") => Err(problem("it is a truncated or damaged PE file")),
        Err(_) if is_text(bytes) => Err(problem("it is a text file, not a program")),
        Err(_) => Err(problem("it is not an ELF or PE file")),
    }
}

fn check_elf(bytes: &[u8], abi: Option<Abi>) -> Result<(), Problem> {
    let truncated = |_| problem("it is a truncated or damaged ELF file");
    let header = object::elf::FileHeader64::<Endianness>::parse(bytes).map_err(truncated)?;
    let endian = header.endian().map_err(truncated)?;
    if header.e_machine(endian) != object::elf::EM_X86_64 {
        return Err(problem(format!("it is for {}", machine(bytes))));
    }
    if header.e_type(endian) == object::elf::ET_REL {
        return Err(problem("it is an object file that was not linked"));
    }
    let segments = header.program_headers(endian, bytes).map_err(truncated)?;
    let mut named = None;
    for segment in segments {
        match segment.p_type(endian) {
            PT_INTERP => return Err(problem("it is dynamically linked")),
            PT_LOAD if segment.data(endian, bytes).is_err() => {
                return Err(problem(
                    "it is a truncated ELF file: a segment ends behind it",
                ));
            }
            _ => {}
        }
        let Ok(Some(mut notes)) = segment.notes(endian, bytes) else {
            continue;
        };
        while let Ok(Some(note)) = notes.next() {
            if note.name() == NOTE_OWNER && note.n_type(endian) == object::elf::NoteType(NOTE_ABI) {
                named = note.desc().first().copied();
            }
        }
    }
    if !segments
        .iter()
        .any(|segment| segment.p_type(endian) == PT_LOAD)
    {
        return Err(problem("it has nothing to load"));
    }
    if abi.is_none() && named.and_then(Abi::from_code).is_none() {
        return Err((
            "the file does not say which system calls it makes".into(),
            "--abi patchwork or --abi veridian (or an ELF note: owner Mayfly, type 1)".into(),
        ));
    }
    Ok(())
}

fn check_pe(bytes: &[u8]) -> Result<(), Problem> {
    let file =
        PeFile64::parse(bytes).map_err(|_| problem("it is a truncated or damaged PE file"))?;
    if file.architecture() != Architecture::X86_64 {
        return Err(problem(format!("it is for {}", machine(bytes))));
    }
    if file.sections().any(|section| section.data().is_err()) {
        return Err(problem(
            "it is a truncated PE file: a section ends behind it",
        ));
    }
    Ok(())
}

/// The machine that a file is for, in words.
fn machine(bytes: &[u8]) -> String {
    object::File::parse(bytes).map_or_else(
        |_| "another machine".into(),
        |file| match (file.architecture(), file.format()) {
            (Architecture::Unknown, BinaryFormat::Elf) => "another machine".into(),
            (machine, _) => format!("{}, not x86_64", name(machine)),
        },
    )
}

/// Machines that people are likely to build for.
fn name(machine: Architecture) -> &'static str {
    match machine {
        Architecture::Aarch64 => "ARM64",
        Architecture::Arm => "ARM",
        Architecture::I386 => "x86, 32 bits",
        Architecture::LoongArch64 => "LoongArch",
        Architecture::PowerPc64 => "PowerPC",
        Architecture::Riscv32 | Architecture::Riscv64 => "RISC-V",
        Architecture::S390x => "s390x",
        _ => "another machine",
    }
}

fn is_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(512)];
    start
        .iter()
        .all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_file_has_a_reason_of_its_own() {
        let whole = image::program("patchwork-hello").unwrap().bytes;
        let mut foreign = Vec::from(whole);
        foreign[18] = 0xb7; // EM_AARCH64
        for (bytes, why) in [
            (&b""[..], "empty"),
            (b"#!/bin/sh\necho hi\n", "text file"),
            (&whole[..40], "truncated"),
            (&whole[..0x1010], "truncated"),
            (&foreign, "ARM64"),
            (b"MZ\x90\0\0\0", "PE file"),
            (&[0, 1, 2, 3, 4, 5, 6, 7], "not an ELF"),
        ] {
            let (found, _) = check(bytes, Some(Abi::Patchwork)).unwrap_err();
            assert!(found.contains(why), "{found} / {why}");
        }
    }

    #[test]
    fn an_elf_without_a_note_needs_an_interface() {
        let (why, remedy) = check(image::kernel(), None).unwrap_err();
        assert!(why.contains("does not say"), "{why}");
        assert!(remedy.contains("--abi"), "{remedy}");
    }

    #[test]
    fn a_missing_program_suggests_a_near_name() {
        let error = find("patchwork-helo", None).err().unwrap();
        assert_eq!(error.exit(), Exit::NotFound);
        assert!(error.to_string().contains("patchwork-hello"), "{error}");
        let error = find("probee", None).err().unwrap();
        assert!(!error.to_string().contains("try: probe"), "{error}");
    }
}
