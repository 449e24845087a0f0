//! Builds the kernel and the guest programs, and packs them into one bundle.
//!
//! Purpose: `cargo run` and `cargo test` need no set-up: whatever the host
//! profile is, the guests are built here, optimised, for their bare targets.
//! Neighbours: `mayfly_build` runs cargo, `src/image.rs` embeds what this
//! writes.

use std::fs;
use std::path::{Path, PathBuf};

use mayfly_build::{BARE, FRAME_POINTERS, Guest, Result, UEFI, or_fail, tell, variable};

#[path = "src/bundle.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "a module of the library, of which this script needs the writing half"
)]
mod bundle;
#[path = "src/snapshot/sources.rs"]
mod sources;

/// Flags of the kernel.
const KERNEL_FLAGS: [&str; 5] = [
    "-Crelocation-model=static",
    "-Ccode-model=kernel",
    // Padding in front of loops is instructions too, which are counted.
    "-Cllvm-args=-align-loops=1",
    // So is making one constant of another, and keeping on the stack what
    // the loop around the kernel could make where it is needed.
    "-Cllvm-args=-disable-constant-hoisting",
    "-Cllvm-args=-disable-machine-licm",
];

/// What changes the guests; relative to the workspace.
const SOURCES: [&str; 8] = [
    "kernel/Cargo.toml",
    "kernel/src",
    "kernel/abi/src",
    "kernel/arch",
    "kernel/core/src",
    "kernel/wire/src",
    "user",
    "vmm/machine/src",
];

fn main() {
    or_fail(run());
}

fn run() -> Result<()> {
    let root = fs::canonicalize(Path::new(&variable("CARGO_MANIFEST_DIR")?).join(".."))?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    let others = ["Cargo.toml", "Cargo.lock"];
    for source in SOURCES.iter().chain(&others).chain(&sources::SOURCES) {
        tell(&format!("rerun-if-changed={}", root.join(source).display()));
    }
    tell("rerun-if-changed=build.rs");
    tell("rerun-if-changed=src/bundle.rs");

    let guest = |target, packages: &[&str], flags: &[&str]| {
        let arguments: Vec<&str> = packages.iter().flat_map(|it| ["--package", it]).collect();
        let guest = Guest {
            root: &root,
            profile: "guest",
            target,
            arguments: &arguments,
            flags,
        };
        guest.build()
    };
    let kernel = guest(BARE, &["mayfly-kernel"], &KERNEL_FLAGS)?;
    let kernel = kernel.first().ok_or("mayfly-kernel built no executable")?;
    let kernel = fs::read(kernel)?;
    let mut files = guest(BARE, &["mayfly-programs", "mayfly-shell"], &[])?;
    files.extend(guest(UEFI, &["mayfly-xeneva-programs"], &[])?);
    let programs = pack(&mut files)?;
    // Here, because it takes milliseconds that each run would spend.
    let hash = bundle::hash(&kernel) ^ bundle::hash(&programs).rotate_left(1);
    tell(&format!("rustc-env=MAYFLY_GUEST_HASH={hash:016x}"));
    let machine = sources::hash(&root)?;
    tell(&format!("rustc-env=MAYFLY_MACHINE_HASH={machine:016x}"));
    // With which `mayfly bench --ab` builds the kernel of another revision.
    let flags = KERNEL_FLAGS.join(" ");
    tell(&format!(
        "rustc-env=MAYFLY_KERNEL_FLAGS={FRAME_POINTERS} {flags}"
    ));
    fs::write(out.join("kernel.elf"), kernel)?;
    fs::write(out.join("bundle.img"), programs)?;
    Ok(())
}

/// One bundle of all programs; a file is named as its program, without `.efi`.
fn pack(paths: &mut [PathBuf]) -> Result<Vec<u8>> {
    paths.sort();
    let mut contents = Vec::new();
    for path in paths.iter() {
        let name = path.file_stem().ok_or("a program without a name")?;
        contents.push((name.to_string_lossy().into_owned(), fs::read(path)?));
    }
    let files: Vec<bundle::File<'_>> = contents
        .iter()
        .map(|(name, bytes)| bundle::File {
            name,
            bytes,
            executable: true,
        })
        .collect();
    Ok(bundle::build(&files)?)
}
