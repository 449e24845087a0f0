//! Addresses as functions and source lines.
//!
//! Purpose: reads the line tables of the embedded kernel (and of a program
//! file) so that reports name a place and not a number, functions inlined at it
//! included. Neighbours: `report` prints the frames, `image` has the files.

use std::collections::HashMap;
use std::sync::LazyLock;

use addr2line::Context;
use gimli::{EndianSlice, LittleEndian, SectionId};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};

use crate::{image, snippet};

type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// One function at an address; several when some are inlined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Demangled name.
    pub function: String,
    /// Source file, when the line table has it.
    pub file: Option<String>,
    /// Line in it.
    pub line: Option<u32>,
}

impl Frame {
    /// Its name, and the lines of source there, for a report.
    pub fn shown(&self) -> Vec<String> {
        let place = match (&self.file, self.line) {
            (Some(file), Some(line)) => snippet::at(file, line),
            _ => String::new(),
        };
        let mut lines = vec![format!("  in {}", self.function)];
        lines.extend(place.lines().map(String::from));
        lines
    }
}

impl std::fmt::Display for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.function)?;
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "  {file}:{line}"),
            (Some(file), None) => write!(f, "  {file}"),
            _ => Ok(()),
        }
    }
}

/// Functions at a kernel address, innermost first; empty when there are none.
pub fn kernel_frames(address: u64) -> Vec<Frame> {
    Kernel::new().frames(address).to_vec()
}

/// Looks up many addresses of the kernel.
pub struct Kernel {
    context: Option<Context<Reader<'static>>>,
    known: HashMap<u64, Vec<Frame>>,
}

impl Kernel {
    /// With the line tables of the embedded kernel.
    pub fn new() -> Self {
        Self {
            context: kernel().and_then(context),
            known: HashMap::new(),
        }
    }

    /// Functions at an address, innermost first; empty when there are none.
    pub fn frames(&mut self, address: u64) -> &[Frame] {
        self.known.entry(address).or_insert_with(|| {
            let context = self.context.as_ref();
            let frames = context.and_then(|context| dwarf_frames(context, address));
            let symbol = || kernel().and_then(|file| symbol_frame(file, address));
            match frames.filter(|frames| !frames.is_empty()) {
                Some(frames) => frames,
                None => symbol().into_iter().collect(),
            }
        })
    }

    /// The function of ours that an address belongs to: the innermost whose
    /// source is in this workspace, and no library's; else what there is.
    pub fn function(&mut self, address: u64) -> Option<&Frame> {
        let frames = self.frames(address);
        let ours = |frame: &&Frame| frame.file.as_ref().is_some_and(|file| is_ours(file));
        frames.iter().find(ours).or(frames.last())
    }
}

impl Default for Kernel {
    fn default() -> Self {
        Self::new()
    }
}

/// A source file of this workspace: others begin with a library or a version.
fn is_ours(file: &str) -> bool {
    ["kernel/", "vmm/"]
        .iter()
        .any(|folder| file.starts_with(folder))
}

/// Address of a symbol of the kernel.
pub fn kernel_symbol(name: &str) -> Option<u64> {
    kernel()?
        .symbols()
        .find(|symbol| symbol.name() == Ok(name))
        .map(|symbol| symbol.address())
}

/// Functions of a program at an address, when its file has symbols.
pub fn program_frames(bytes: &[u8], address: u64) -> Vec<Frame> {
    let Ok(file) = object::File::parse(bytes) else {
        return Vec::new();
    };
    let context = context(&file);
    let frames = context.and_then(|context| dwarf_frames(&context, address));
    let frames = frames.unwrap_or_default();
    if frames.is_empty() {
        symbol_frame(&file, address).into_iter().collect()
    } else {
        frames
    }
}

fn kernel() -> Option<&'static object::File<'static>> {
    static KERNEL: LazyLock<Option<object::File<'static>>> =
        LazyLock::new(|| object::File::parse(image::kernel()).ok());
    KERNEL.as_ref()
}

fn context<'a>(file: &object::File<'a>) -> Option<Context<Reader<'a>>> {
    let section = |id: SectionId| -> Result<Reader<'a>, gimli::Error> {
        let data = file
            .section_by_name(id.name())
            .and_then(|section| section.data().ok())
            .unwrap_or_default();
        Ok(EndianSlice::new(data, LittleEndian))
    };
    let dwarf = gimli::Dwarf::load(section).ok()?;
    Context::from_dwarf(dwarf).ok()
}

fn dwarf_frames(context: &Context<Reader<'_>>, address: u64) -> Option<Vec<Frame>> {
    let mut found = context.find_frames(address).skip_all_loads().ok()?;
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = found.next() {
        let Some(function) = frame.function else {
            continue;
        };
        let name = function.raw_name().ok()?;
        let location = frame.location.as_ref();
        frames.push(Frame {
            function: format!("{:#}", rustc_demangle::demangle(&name)),
            file: location.and_then(|at| at.file).map(shortened),
            line: location.and_then(|at| at.line),
        });
    }
    Some(frames)
}

/// The nearest symbol at or below the address: assembly has no line table.
fn symbol_frame(file: &object::File<'_>, address: u64) -> Option<Frame> {
    let map = file.symbol_map();
    let nearest = map.before(address)?;
    // A label of the assembly names what is there better than a place that the
    // linker's script has named, which can be the same address.
    let is_label = |symbol: &object::Symbol<'_, '_>| {
        let is_code = !matches!(symbol.kind(), SymbolKind::Section | SymbolKind::File);
        symbol.address() == nearest.address() && symbol.is_local() && is_code
    };
    let label = file.symbols().find(is_label);
    let label = label.and_then(|symbol| symbol.name().ok());
    let name = label.filter(|name| !name.is_empty());
    let offset = address - nearest.address();
    Some(Frame {
        function: format!(
            "{:#}+{offset:#x}",
            rustc_demangle::demangle(name.unwrap_or(nearest.name()))
        ),
        file: None,
        line: None,
    })
}

/// A path without what lies before the package that it belongs to.
fn shortened(path: &str) -> String {
    for (marker, kept) in [("/library/", "library/"), ("/registry/src/", "")] {
        if let Some((_, rest)) = path.split_once(marker) {
            let rest = if kept.is_empty() {
                rest.split_once('/').map_or(rest, |(_, rest)| rest)
            } else {
                rest
            };
            return format!("{kept}{rest}");
        }
    }
    path.trim_start_matches("./").trim_start_matches('/').into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_short_and_the_same_everywhere() {
        for (long, short) in [
            ("kernel/src/main.rs", "kernel/src/main.rs"),
            (
                "/rustc/abc/library/core/src/fmt/mod.rs",
                "library/core/src/fmt/mod.rs",
            ),
            (
                "/x/.cargo/registry/src/index-1/spin-1.0.0/src/lib.rs",
                "spin-1.0.0/src/lib.rs",
            ),
        ] {
            assert_eq!(shortened(long), short);
        }
    }

    #[test]
    fn a_frame_prints_its_place() {
        let frame = Frame {
            function: "f".into(),
            file: Some("a.rs".into()),
            line: Some(3),
        };
        assert_eq!(frame.to_string(), "f  a.rs:3");
    }

    #[test]
    fn a_label_names_code_before_a_place_of_the_linker_does() {
        let start = kernel_symbol("kernel_start").unwrap();
        let frames = kernel_frames(start);
        assert_eq!(frames[0].function, "page_fault+0x0");
    }

    #[test]
    fn an_address_outside_the_kernel_has_no_frames() {
        assert_eq!(kernel_frames(0x10), []);
    }
}
