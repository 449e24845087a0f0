//! PE32+ executables of XenevaOS (specs/xeneva.md §6): static, no relocation.
//!
//! The header page is mapped at the image base, read-only, and every section
//! at its own address with the protection its flags say.

use alloc::vec::Vec;

use mayfly_abi::Abi;
use object::LittleEndian;
use object::pe::{
    IMAGE_FILE_MACHINE_AMD64, IMAGE_SCN_MEM_EXECUTE, IMAGE_SCN_MEM_WRITE, ImageDosHeader,
    ImageNtHeaders64, ImageSectionHeader,
};
use object::read::ReadRef;
use object::read::pe::ImageNtHeaders;

use super::{Image, ImageError, SEGMENTS_MAX, Segment};
use crate::port::Access;

pub(super) fn read<'a>(file: impl ReadRef<'a>) -> Result<Image, ImageError> {
    const ENDIAN: LittleEndian = LittleEndian;
    let malformed = |_| ImageError::Malformed;
    let dos = ImageDosHeader::parse(file).map_err(malformed)?;
    let mut offset = dos.nt_headers_offset().into();
    let (headers, directories) = ImageNtHeaders64::parse(file, &mut offset).map_err(malformed)?;
    if headers.file_header.machine.get(ENDIAN) != IMAGE_FILE_MACHINE_AMD64 {
        return Err(ImageError::Unsupported);
    }
    let imports = directories.get(object::pe::IMAGE_DIRECTORY_ENTRY_IMPORT);
    if imports.is_some_and(|imports| imports.size.get(ENDIAN) != 0) {
        return Err(ImageError::Unsupported);
    }
    let optional = &headers.optional_header;
    let base = optional.image_base.get(ENDIAN);
    let header_size = u64::from(optional.size_of_headers.get(ENDIAN));
    let mut segments = Vec::with_capacity(4);
    segments.push(Segment {
        address: base,
        memory_size: header_size,
        file_offset: 0,
        file_size: header_size.min(file.len().map_err(|()| ImageError::Malformed)?),
        access: Access::READ,
    });
    let sections = headers.sections(file, offset).map_err(malformed)?;
    if sections.len() >= SEGMENTS_MAX {
        return Err(ImageError::Malformed);
    }
    for section in sections.iter() {
        segments.extend(segment(section, base)?);
    }
    segments.sort_by_key(|segment| segment.address);
    let entry = u64::from(optional.address_of_entry_point.get(ENDIAN));
    Ok(Image {
        abi: Some(Abi::Xeneva),
        entry: base.checked_add(entry).ok_or(ImageError::OutOfRange)?,
        segments,
    })
}

fn segment(section: &ImageSectionHeader, base: u64) -> Result<Option<Segment>, ImageError> {
    const ENDIAN: LittleEndian = LittleEndian;
    let memory_size = u64::from(section.virtual_size.get(ENDIAN));
    if memory_size == 0 {
        return Ok(None);
    }
    let flags = section.characteristics.get(ENDIAN);
    let (offset, size) = section.pe_file_range();
    let address = base
        .checked_add(section.virtual_address.get(ENDIAN).into())
        .ok_or(ImageError::OutOfRange)?;
    Ok(Some(Segment {
        address,
        memory_size,
        file_offset: offset.into(),
        file_size: u64::from(size).min(memory_size),
        access: Access {
            read: true,
            write: flags & IMAGE_SCN_MEM_WRITE == IMAGE_SCN_MEM_WRITE,
            execute: flags & IMAGE_SCN_MEM_EXECUTE == IMAGE_SCN_MEM_EXECUTE,
        },
    }))
}
