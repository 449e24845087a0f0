//! Bundles: program files in one page-aligned, read-only image.
//!
//! Purpose: write and read the format that the kernel maps without copying
//! (its reader is `kernel/core/src/bundle.rs`). Little-endian: one header, then
//! one entry a file in the order of their names, in which the kernel searches,
//! then the files, each at a page boundary and padded with zeros to the next. Neighbours: `build.rs` makes the bundle of all bundled
//! programs with it, [`crate::image`] adds a caller's own files.

/// First word of a bundle: `MYBUND02`.
const MAGIC: u64 = u64::from_le_bytes(*b"MYBUND02");
/// Bytes of the header.
const HEADER: usize = 64;
/// Bytes of one entry.
const ENTRY: usize = 128;
/// Longest name, in bytes.
pub const NAME_MAX: usize = 96;
/// Size of a page, in bytes.
const PAGE: usize = 4096;
/// Entry flag: the file is a program.
const EXECUTABLE: u32 = 1;

/// One file of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File<'a> {
    /// Name that a spawn request finds it by.
    pub name: &'a str,
    /// Contents.
    pub bytes: &'a [u8],
    /// The file is a program.
    pub executable: bool,
}

/// What can be wrong with a bundle, in words.
pub type Problem = String;

/// Builds the image of `files`.
///
/// # Errors
/// In words, when a name is empty, longer than [`NAME_MAX`] or given twice.
pub fn build(files: &[File<'_>]) -> Result<Vec<u8>, Problem> {
    check_names(files)?;
    let mut files = files.to_vec();
    files.sort_by_key(|file| file.name);
    let mut offset = pages(HEADER + ENTRY * files.len());
    let mut image = vec![0; offset];
    for (index, file) in files.iter().enumerate() {
        let entry = HEADER + index * ENTRY;
        image[entry..entry + file.name.len()].copy_from_slice(file.name.as_bytes());
        put(&mut image, entry + 96, offset as u64);
        put(&mut image, entry + 104, file.bytes.len() as u64);
        let flags = if file.executable { EXECUTABLE } else { 0 };
        put(&mut image, entry + 112, u64::from(flags));
        put(&mut image, entry + 120, hash(file.bytes));
        image.extend_from_slice(file.bytes);
        offset += pages(file.bytes.len());
        image.resize(offset, 0);
    }
    put(&mut image, 0, MAGIC);
    put(&mut image, 8, files.len() as u64);
    put(&mut image, 16, offset as u64);
    Ok(image)
}

/// Files of a bundle image, by name.
///
/// # Errors
/// In words, when `image` is not a whole bundle.
pub fn files(image: &[u8]) -> Result<Vec<File<'_>>, Problem> {
    let damaged = || Problem::from("not a bundle, or a damaged one");
    if get(image, 0) != Some(MAGIC) {
        return Err(damaged());
    }
    let count = usize::try_from(get(image, 8).ok_or_else(damaged)?).map_err(|_| damaged())?;
    (0..count)
        .map(|index| file_at(image, index).ok_or_else(damaged))
        .collect()
}

/// FNV-1a of `bytes`: tells two versions of a file apart.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn check_names(files: &[File<'_>]) -> Result<(), Problem> {
    for (index, file) in files.iter().enumerate() {
        if file.name.is_empty() || file.name.len() > NAME_MAX || file.name.contains('\0') {
            return Err(format!(
                "a bundle cannot hold the name {:?}: it needs 1 to {NAME_MAX} bytes without NUL",
                file.name
            ));
        }
        if files[..index].iter().any(|other| other.name == file.name) {
            return Err(format!("two files of a bundle are named {:?}", file.name));
        }
    }
    Ok(())
}

fn file_at(image: &[u8], index: usize) -> Option<File<'_>> {
    let entry = HEADER.checked_add(index.checked_mul(ENTRY)?)?;
    let name = image.get(entry..entry.checked_add(NAME_MAX)?)?;
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(NAME_MAX);
    let offset = usize::try_from(get(image, entry + 96)?).ok()?;
    let size = usize::try_from(get(image, entry + 104)?).ok()?;
    Some(File {
        name: core::str::from_utf8(&name[..end]).ok()?,
        bytes: image.get(offset..offset.checked_add(size)?)?,
        executable: get(image, entry + 112)? & u64::from(EXECUTABLE) != 0,
    })
}

fn put(image: &mut [u8], at: usize, word: u64) {
    image[at..at + 8].copy_from_slice(&word.to_le_bytes());
}

fn get(image: &[u8], at: usize) -> Option<u64> {
    let bytes = image.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

fn pages(bytes: usize) -> usize {
    bytes.next_multiple_of(PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: File<'static> = File {
        name: "hello",
        bytes: b"hello",
        executable: true,
    };

    #[test]
    fn what_is_built_reads_back() {
        let other = File {
            name: "data",
            bytes: &[7; 5000],
            executable: false,
        };
        let image = build(&[HELLO, other]).unwrap();
        assert_eq!(files(&image).unwrap(), [other, HELLO]);
        assert_eq!(image.len(), PAGE + PAGE + 2 * PAGE);
    }

    #[test]
    fn files_start_at_page_boundaries_behind_a_long_index() {
        let names: Vec<String> = (0..40).map(|n| format!("file-{n}")).collect();
        let many: Vec<File<'_>> = names.iter().map(|name| File { name, ..HELLO }).collect();
        let image = build(&many).unwrap();
        assert_eq!(get(&image, HEADER + 96), Some(2 * PAGE as u64));
        assert_eq!(files(&image).unwrap().len(), 40);
    }

    #[test]
    fn a_name_given_twice_is_refused() {
        assert!(build(&[HELLO, HELLO]).unwrap_err().contains("two files"));
    }

    #[test]
    fn a_truncated_image_is_refused() {
        let image = build(&[HELLO]).unwrap();
        for length in [0, 7, 16, 100, PAGE, PAGE + 4] {
            assert!(files(&image[..length]).is_err(), "{length} bytes");
        }
    }
}
