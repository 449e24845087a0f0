//! Builds guest programs, for build scripts.
//!
//! Purpose: a package whose tests run guest programs of its own has a build
//! script whose `main` has one line, which builds the binaries of the package for
//! the guest:
//!
//! ```no_run
//! mayfly_build::programs();
//! ```
//!
//! `#[mayfly::test]` finds them by their names: `vm.spawn("patchwork-greet")`
//! runs `src/bin/patchwork-greet.rs`. A name that begins with `xeneva-` makes a
//! PE32+ file, any other an ELF file; `mayfly_user::program!` in the source says
//! which interface it speaks. `harness/examples/own-project` is such a package.
//! Neighbours: `harness/build.rs` builds the kernel and the bundled programs
//! with [`Guest`]; `user/lib` is what programs stand on.

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

mod guest;

pub use guest::{BARE, FRAME_POINTERS, Guest, Result, UEFI};

/// Variable with which the compiler tells the tests of a package where its
/// programs are.
const PROGRAMS: &str = "MAYFLY_PROGRAMS";
/// What the name of a PE32+ program begins with.
const PE_PREFIX: &str = "xeneva-";

/// Places the sections of an ELF program.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/link.ld");

/// Makes the binaries of this package guest programs that its tests can run.
///
/// On a host it builds them, for tests to find. For a guest's target it gives
/// the linker what makes the format, as [`link`] does.
pub fn programs() {
    link();
    if !matches!(target_os().as_str(), "none" | "uefi") {
        or_fail(build_programs());
    }
}

/// Gives the linker what makes a guest program's format, where the target is a
/// guest's.
pub fn link() {
    tell(&format!("rerun-if-changed={SCRIPT}"));
    let script = format!("-T{SCRIPT}");
    let arguments: &[&str] = match target_os().as_str() {
        // ET_EXEC at a fixed base. The target asks for a static PIE; the last word counts.
        "none" => &[
            "--no-pie",
            "--image-base=0x400000",
            "-zmax-page-size=4096",
            "-zseparate-loadable-segments",
            "-znorelro",
            "-znognustack",
            &script,
        ],
        // Images that XenevaOS loads without relocating: file and section alignment
        // are both a page. The same sources give the same bytes: no time stamp, no path.
        "uefi" => &[
            "/entry:_start",
            "/subsystem:native",
            "/base:0x600000",
            "/align:4096",
            "/filealign:4096",
            "/dynamicbase:no",
            "/fixed",
            "/Brepro",
            "/debug:none",
        ],
        _ => &[],
    };
    for argument in arguments {
        tell(&format!("rustc-link-arg-bins={argument}"));
    }
}

/// Ends a build script with an error that cargo shows as the reason.
pub fn or_fail(done: Result<()>) {
    if let Err(error) = done {
        for line in error.to_string().lines() {
            tell(&format!("error={line}"));
        }
        std::process::exit(1);
    }
}

/// Tells cargo something: `rerun-if-changed=FILE`, `rustc-env=NAME=VALUE`.
pub fn tell(words: &str) {
    // Cargo reads what it started; if it does not, nobody is left to be told.
    let _ = writeln!(std::io::stdout(), "cargo::{words}");
}

/// A variable that cargo sets for build scripts.
///
/// # Errors
/// When it is not set.
pub fn variable(name: &str) -> Result<String> {
    env::var(name).map_err(|error| format!("{name}: {error}").into())
}

fn target_os() -> String {
    env::var("CARGO_CFG_TARGET_OS").unwrap_or_default()
}

/// Builds this package's binaries for the guest, into a folder of their own.
fn build_programs() -> Result<()> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let folder = Path::new(&variable("OUT_DIR")?).join("programs");
    // What was a program in an earlier build may not be one any more.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let (pe, elf): (Vec<_>, Vec<_>) = guest::binaries(&root)?
        .into_iter()
        .partition(|name| name.starts_with(PE_PREFIX));
    for (target, names) in [(BARE, elf), (UEFI, pe)] {
        if names.is_empty() {
            continue;
        }
        let package = variable("CARGO_PKG_NAME")?;
        let mut arguments = vec!["--package", &package];
        arguments.extend(names.iter().flat_map(|name| ["--bin", name]));
        let built = Guest {
            root: &root,
            profile: "release",
            target,
            arguments: &arguments,
            flags: &[],
        }
        .build()?;
        for program in built {
            let name = program.file_stem().ok_or("a program without a name")?;
            fs::copy(&program, folder.join(name))?;
            for source in guest::sources(&program)? {
                tell(&format!("rerun-if-changed={source}"));
            }
        }
    }
    // A new binary is in one of these.
    for source in ["Cargo.toml", "build.rs", "src"] {
        tell(&format!("rerun-if-changed={source}"));
    }
    tell(&format!("rustc-env={PROGRAMS}={}", folder.display()));
    Ok(())
}
