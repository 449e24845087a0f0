//! Reads a kernel's ELF file: segments to map and entries it offers.
//!
//! Only reads and checks; `boot` places the bytes. Everything is checked here,
//! so that placing and mapping can rely on it.

use mayfly_machine::boot::{DIRECT_VERSION, DirectEntry, NOTE_DIRECT, NOTE_OWNER, NOTE_PVH};
use mayfly_machine::layout;
use object::LittleEndian;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader};

/// What is wrong with a kernel's ELF file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// not an ELF64 file: {0}
    #[error("not an ELF64 file: {0}")]
    NotElf(&'static str),
    /// not for x86-64
    #[error("not for x86-64")]
    Machine,
    /// malformed: {0}
    #[error("malformed: {0}")]
    Malformed(String),
    /// segment {index} ({address:#x}, {bytes} bytes): {problem}
    #[error("segment {index} ({address:#x}, {bytes} bytes): {problem}")]
    Segment {
        /// Which of the loadable segments, from 0.
        index: usize,
        /// Its physical address.
        address: u64,
        /// Its size in memory.
        bytes: u64,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// it has no loadable segment
    #[error("it has no loadable segment")]
    Empty,
    /// it has no note that offers {0}
    #[error("it has no note that offers {0}")]
    NoEntry(&'static str),
    /// its direct entry note has version {0}: this machine knows 1
    #[error("its direct entry note has version {0}: this machine knows {DIRECT_VERSION}")]
    DirectVersion(u64),
    /// entry {0:#x} is not in an executable segment
    #[error("entry {0:#x} is not in an executable segment")]
    Entry(u64),
}

/// One loadable segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment<'a> {
    /// Its first bytes; the rest is zero.
    pub(crate) contents: &'a [u8],
    /// Virtual address of its first byte.
    pub(crate) virt: u64,
    /// Physical address of its first byte.
    pub(crate) phys: u64,
    /// Size in memory, in bytes.
    pub(crate) bytes: u64,
    pub(crate) write: bool,
    pub(crate) execute: bool,
}

/// What the VMM needs to know of a kernel file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image<'a> {
    pub(crate) segments: Vec<Segment<'a>>,
    pub(crate) direct: Option<DirectEntry>,
    pub(crate) pvh: Option<u32>,
}

impl<'a> Image<'a> {
    /// Parses `bytes` and checks them against a RAM of `ram_bytes`.
    pub(crate) fn parse(bytes: &'a [u8], ram_bytes: u64) -> Result<Self, ImageError> {
        let header = FileHeader64::<LittleEndian>::parse(bytes)
            .map_err(|_| ImageError::NotElf("no ELF64 header"))?;
        let endian = header
            .endian()
            .map_err(|_| ImageError::NotElf("not little endian"))?;
        if header.e_machine(endian) != elf::EM_X86_64 {
            return Err(ImageError::Machine);
        }
        let headers = header.program_headers(endian, bytes).map_err(malformed)?;
        let mut image = Self {
            segments: Vec::new(),
            direct: None,
            pvh: None,
        };
        for header in headers {
            if header.p_type(endian) == elf::PT_LOAD && header.p_memsz(endian) > 0 {
                image.add_segment(header, bytes, ram_bytes)?;
            }
            if let Some(mut notes) = header.notes(endian, bytes).map_err(malformed)? {
                while let Some(note) = notes.next().map_err(malformed)? {
                    image.add_note(note.name(), note.n_type(endian).0, note.desc())?;
                }
            }
        }
        if image.segments.is_empty() {
            return Err(ImageError::Empty);
        }
        Ok(image)
    }

    fn add_segment(
        &mut self,
        header: &elf::ProgramHeader64<LittleEndian>,
        file: &'a [u8],
        ram_bytes: u64,
    ) -> Result<(), ImageError> {
        let endian = LittleEndian;
        let (phys, virt) = (header.p_paddr(endian), header.p_vaddr(endian));
        let bytes = header.p_memsz(endian);
        let bad = |problem| ImageError::Segment {
            index: self.segments.len(),
            address: phys,
            bytes,
            problem,
        };
        if header.p_filesz(endian) > bytes {
            return Err(bad("larger in the file than in memory"));
        }
        let Ok(contents) = header.data(endian, file) else {
            return Err(bad("outside the file"));
        };
        if phys < layout::KERNEL_LOAD {
            return Err(bad("below the kernel load address"));
        }
        if phys.checked_add(bytes).is_none_or(|end| end > ram_bytes) {
            return Err(bad("outside memory"));
        }
        if virt.checked_add(bytes).is_none() {
            return Err(bad("virtual address wraps around"));
        }
        if phys % layout::PAGE_SIZE != virt % layout::PAGE_SIZE {
            return Err(bad("physical and virtual address differ within a page"));
        }
        let flags = header.p_flags(endian);
        self.segments.push(Segment {
            contents,
            virt,
            phys,
            bytes,
            write: flags.contains(elf::PF_W),
            execute: flags.contains(elf::PF_X),
        });
        Ok(())
    }

    fn add_note(&mut self, owner: &[u8], kind: u32, desc: &[u8]) -> Result<(), ImageError> {
        if owner == NOTE_OWNER.as_bytes() && kind == NOTE_DIRECT {
            let words = desc
                .first_chunk()
                .ok_or_else(|| ImageError::Malformed("direct entry note is too short".into()))?;
            let direct = DirectEntry::from_bytes(words);
            if direct.version != DIRECT_VERSION {
                return Err(ImageError::DirectVersion(direct.version));
            }
            self.direct = Some(direct);
        } else if owner == b"Xen" && kind == NOTE_PVH {
            let word = desc
                .first_chunk()
                .ok_or_else(|| ImageError::Malformed("PVH note is too short".into()))?;
            self.pvh = Some(u32::from_le_bytes(*word));
        }
        Ok(())
    }

    /// Whether an executable segment holds the virtual address.
    pub(crate) fn executable_at_virtual(&self, address: u64) -> bool {
        let holds = |s: &Segment<'_>| s.execute && (s.virt..s.virt + s.bytes).contains(&address);
        self.segments.iter().any(holds)
    }

    /// Whether an executable segment holds the physical address.
    pub(crate) fn executable_at_physical(&self, address: u64) -> bool {
        let holds = |s: &Segment<'_>| s.execute && (s.phys..s.phys + s.bytes).contains(&address);
        self.segments.iter().any(holds)
    }
}

fn malformed(error: object::read::Error) -> ImageError {
    ImageError::Malformed(error.to_string())
}
