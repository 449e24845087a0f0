//! The kernel and the bundled programs, as this library carries them.
//!
//! Purpose: page-aligned read-only data that a microVM maps as it lies, without
//! a copy, and the bundle of a caller's own files beside it. Neighbours:
//! `build.rs` makes the images, [`crate::bundle`] is their format, the back ends
//! load them.

use std::path::Path;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::{fs, io};

use crate::bundle::{self, File};
use crate::environment;
use crate::error::{Error, Result};
use crate::options::ExtraFile;

/// Bytes at a page boundary.
#[repr(C, align(4096))]
struct Aligned<Bytes: ?Sized>(Bytes);

static KERNEL: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/kernel.elf")));
static BUNDLE: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/bundle.img")));

/// Compiler flags that the kernel is built with, between blanks.
pub const KERNEL_FLAGS: &str = env!("MAYFLY_KERNEL_FLAGS");
/// Variable that names another kernel's file, to be run instead of the embedded
/// one: that of another revision, built with [`KERNEL_FLAGS`].
pub const KERNEL_VARIABLE: &str = "MAYFLY_KERNEL";

/// The file that the variable names, read once.
static OTHER: LazyLock<Option<std::io::Result<Vec<u8>>>> =
    LazyLock::new(|| named().map(std::fs::read));

fn named() -> Option<PathBuf> {
    environment::value(KERNEL_VARIABLE).map(PathBuf::from)
}

/// The kernel: an ELF file with its symbols and line tables.
pub fn kernel() -> &'static [u8] {
    match &*OTHER {
        Some(Ok(other)) => other,
        _ => &KERNEL.0,
    }
}

/// The kernel that was asked for is there.
///
/// # Errors
/// When the variable names a file that cannot be read.
pub(crate) fn check() -> Result<()> {
    match &*OTHER {
        Some(Err(error)) => Err(Error::Usage {
            what: format!("run the kernel that {KERNEL_VARIABLE} names"),
            why: format!("{}: {error}", named().unwrap_or_default().display()),
            remedy: format!("unset {KERNEL_VARIABLE}, or name an ELF file"),
        }),
        _ => Ok(()),
    }
}

/// The bundle of all bundled programs, page-aligned and whole pages long.
pub fn bundle() -> &'static [u8] {
    &BUNDLE.0
}

/// The bundled programs, in the order of their names.
pub fn programs() -> &'static [File<'static>] {
    static PROGRAMS: LazyLock<Vec<File<'static>>> =
        LazyLock::new(|| bundle::files(bundle()).unwrap_or_default());
    &PROGRAMS
}

/// The bundled program of that name.
pub fn program(name: &str) -> Option<&'static File<'static>> {
    programs().iter().find(|file| file.name == name)
}

/// Hash of the kernel and of all programs: which guest a result is about.
pub fn hash() -> u64 {
    // The build script wrote it; anything else is no number.
    let built = u64::from_str_radix(env!("MAYFLY_GUEST_HASH"), 16).unwrap_or(0);
    match &*OTHER {
        Some(Ok(other)) => built ^ bundle::hash(other),
        _ => built,
    }
}

/// The programs that a build script has left in a folder.
///
/// # Errors
/// When they cannot be read.
pub(crate) fn read_programs(folder: &Path) -> Result<Vec<ExtraFile>> {
    let read = || -> io::Result<Vec<ExtraFile>> {
        let entries = fs::read_dir(folder)?;
        let files = entries.map(|entry| {
            let entry = entry?;
            Ok(ExtraFile {
                name: entry.file_name().to_string_lossy().into_owned(),
                bytes: fs::read(entry.path())?,
            })
        });
        files.collect()
    };
    read().map_err(|why| {
        Error::broken(
            format!("cannot read the guest programs in {}", folder.display()),
            why.to_string(),
            "build again: the build script, mayfly_build::programs(), makes them",
        )
    })
}

/// A bundle of a caller's own files; `None` when there are none.
///
/// # Errors
/// When a name cannot be in a bundle.
pub(crate) fn extra_bundle(files: &[ExtraFile]) -> Result<Option<Vec<u8>>> {
    if files.is_empty() {
        return Ok(None);
    }
    let files: Vec<File<'_>> = files.iter().map(as_file).collect();
    bundle::build(&files).map(Some).map_err(usage)
}

/// One bundle of a caller's own files and of the bundled programs; the caller's
/// hide bundled ones of the same name.
///
/// # Errors
/// When a name cannot be in a bundle.
pub(crate) fn merged_bundle(extra: &[ExtraFile]) -> Result<Vec<u8>> {
    let mut files: Vec<File<'_>> = extra.iter().map(as_file).collect();
    let bundled = programs()
        .iter()
        .filter(|program| extra.iter().all(|file| file.name != program.name));
    files.extend(bundled);
    bundle::build(&files).map_err(usage)
}

fn as_file(file: &ExtraFile) -> File<'_> {
    File {
        name: &file.name,
        bytes: &file.bytes,
        executable: true,
    }
}

fn usage(why: String) -> Error {
    Error::Usage {
        what: "put files into a bundle".into(),
        why,
        remedy: "names of their own for VmOptions::files".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_images_can_be_mapped() {
        assert!(bundle().as_ptr().addr().is_multiple_of(4096));
        assert!(bundle().len().is_multiple_of(4096));
        assert!(kernel().starts_with(b"\x7fELF"));
    }

    #[test]
    fn programs_that_are_gone_are_told() {
        let error = read_programs(Path::new("/no/such/folder")).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("/no/such/folder"), "{text}");
        assert!(text.contains("try: build again"), "{text}");
    }

    #[test]
    fn a_file_of_the_callers_hides_a_bundled_one() {
        let name = programs().first().unwrap().name;
        let extra = [ExtraFile {
            name: name.into(),
            bytes: b"mine".into(),
        }];
        let image = merged_bundle(&extra).unwrap();
        let files = bundle::files(&image).unwrap();
        assert_eq!(files.len(), programs().len());
        assert_eq!(files[0].bytes, b"mine");
    }
}
