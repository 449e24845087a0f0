//! Builds the kernel and the guest programs, and packs them into one bundle.
//!
//! Purpose: `cargo run` and `cargo test` need no set-up: whatever the host
//! profile is, the guests are built here, optimised, for their bare targets, by
//! the same cargo, into a target directory of their own (so that this cargo's
//! lock is not waited for). Artifact paths come from cargo's messages.
//! Neighbours: `src/image.rs` embeds what this writes.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[path = "src/bundle.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "a module of the library, of which this script needs the writing half"
)]
mod bundle;

/// Backtraces of the kernel follow them.
const FRAME_POINTERS: &str = "-Cforce-frame-pointers=yes";
/// Target of the kernel and of programs that are ELF files.
const BARE: &str = "x86_64-unknown-none";
/// Target of programs that are PE32+ files.
const UEFI: &str = "x86_64-unknown-uefi";

/// One cargo run: packages, their target and the compiler flags they need.
struct Guest {
    packages: &'static [&'static str],
    target: &'static str,
    flags: &'static [&'static str],
}

const GUESTS: [Guest; 3] = [
    Guest {
        packages: &["mayfly-kernel"],
        target: BARE,
        flags: &[
            "-Crelocation-model=static",
            "-Ccode-model=kernel",
            // Padding in front of loops is instructions too, which are counted.
            "-Cllvm-args=-align-loops=1",
            // So is making one constant of another, and keeping on the stack what
            // the loop around the kernel could make where it is needed.
            "-Cllvm-args=-disable-constant-hoisting",
            "-Cllvm-args=-disable-machine-licm",
        ],
    },
    Guest {
        packages: &["mayfly-programs", "mayfly-shell"],
        target: BARE,
        flags: &[],
    },
    Guest {
        packages: &["mayfly-xeneva-programs"],
        target: UEFI,
        flags: &[],
    },
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

/// Variables of the outer build that must not reach the inner one: they would
/// change its flags, its wrapper or its target directory.
const LEAKING: [&str; 8] = [
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "CARGO_INCREMENTAL",
];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() {
    if let Err(error) = run() {
        // Shown by cargo as the reason of the failure.
        for line in error.to_string().lines() {
            println_cargo(&format!("error={line}"));
        }
        std::process::exit(1);
    }
}

fn run() -> Result<()> {
    let root = fs::canonicalize(Path::new(&variable("CARGO_MANIFEST_DIR")?).join(".."))?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    for source in SOURCES.iter().chain(&["Cargo.toml", "Cargo.lock"]) {
        println_cargo(&format!("rerun-if-changed={}", root.join(source).display()));
    }
    println_cargo("rerun-if-changed=build.rs");
    println_cargo("rerun-if-changed=src/bundle.rs");

    let [kernel, programs, xeneva] = &GUESTS;
    let mut artifacts = build(kernel, &root, &out)?.into_iter();
    let kernel = artifacts
        .next()
        .ok_or("mayfly-kernel built no executable")?;
    let kernel = fs::read(kernel)?;
    let mut files = build(programs, &root, &out)?;
    files.extend(build(xeneva, &root, &out)?);
    let programs = pack(&mut files)?;
    // Here, because it takes milliseconds that each run would spend.
    let hash = bundle::hash(&kernel) ^ bundle::hash(&programs).rotate_left(1);
    println_cargo(&format!("rustc-env=MAYFLY_GUEST_HASH={hash:016x}"));
    // With which `mayfly bench --ab` builds the kernel of another revision.
    let flags = GUESTS[0].flags.join(" ");
    println_cargo(&format!(
        "rustc-env=MAYFLY_KERNEL_FLAGS={FRAME_POINTERS} {flags}"
    ));
    fs::write(out.join("kernel.elf"), kernel)?;
    fs::write(out.join("bundle.img"), programs)?;
    Ok(())
}

/// Builds packages; the paths of their executables.
fn build(guest: &Guest, root: &Path, out: &Path) -> Result<Vec<PathBuf>> {
    ensure_target(guest.target)?;
    let mut command = Command::new(variable("CARGO")?);
    command
        .current_dir(root)
        .args(["build", "--profile", "guest"])
        .args(guest.packages.iter().flat_map(|it| ["--package", it]))
        .args(["--target", guest.target, "--message-format=json"])
        .arg("--target-dir")
        .arg(target_directory(out)?);
    for name in LEAKING {
        command.env_remove(name);
    }
    // Cargo tells this script about its own package in these.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_FEATURE_") || name.starts_with("CARGO_CFG_") {
            command.env_remove(&*name);
        }
    }
    command.env("CARGO_ENCODED_RUSTFLAGS", flags(guest, root));
    let output = command.stderr(Stdio::inherit()).output()?;
    let messages = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let (packages, target) = (guest.packages.join(" --package "), guest.target);
        return Err(format!(
            "a guest package does not build for {target}\n{}try: cargo build --profile guest --package {packages} --target {target}",
            rendered(&messages)
        )
        .into());
    }
    Ok(executables(&messages))
}

/// Flags of one guest, as `CARGO_ENCODED_RUSTFLAGS` wants them.
fn flags(guest: &Guest, root: &Path) -> String {
    let mut flags = vec![
        String::from(FRAME_POINTERS),
        // Same file names, and so the same bytes, wherever the checkout lies.
        format!("--remap-path-prefix={}/=", root.display()),
    ];
    flags.extend(guest.flags.iter().map(|flag| String::from(*flag)));
    flags.join("\x1f")
}

/// Paths of the executables that cargo's messages name.
fn executables(messages: &str) -> Vec<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .collect()
}

/// The compiler's own words, out of cargo's messages.
fn rendered(messages: &str) -> String {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["message"]["level"] == "error")
        .filter_map(|message| message["message"]["rendered"].as_str().map(String::from))
        .collect()
}

/// Directory for the inner cargo, beside the outer one's profile directories
/// and so shared by all of them.
fn target_directory(out: &Path) -> Result<PathBuf> {
    // OUT_DIR is <target>[/<triple>]/<profile>/build/<package>-<hash>/out.
    out.ancestors()
        .nth(4)
        .map(|target| target.join("mayfly-guest"))
        .ok_or_else(|| format!("OUT_DIR is too short: {}", out.display()).into())
}

/// Adds the Rust target with rustup when the compiler does not have it.
fn ensure_target(target: &str) -> Result<()> {
    let output = Command::new(variable("RUSTC")?)
        .args(["--print", "target-libdir", "--target", target])
        .output()?;
    let library = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && Path::new(library.trim()).is_dir() {
        return Ok(());
    }
    println_cargo(&format!(
        "warning=adding the Rust target {target} with rustup"
    ));
    let added = Command::new("rustup")
        .args(["target", "add", target])
        .output();
    match added {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(missing(target, &String::from_utf8_lossy(&output.stderr)).into()),
        Err(error) => Err(missing(target, &error.to_string()).into()),
    }
}

fn missing(target: &str, why: &str) -> String {
    format!(
        "the Rust target {target} is missing and `rustup target add` failed: {}\ntry: rustup target add {target}",
        why.trim()
    )
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

fn variable(name: &str) -> Result<String> {
    env::var(name).map_err(|error| format!("{name}: {error}").into())
}

fn println_cargo(line: &str) {
    println!("cargo::{line}");
}
