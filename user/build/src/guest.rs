//! One cargo run that builds for a guest, from within another.
//!
//! Purpose: the same cargo, optimised whatever the outer profile is, in a
//! target directory of its own, so that the outer cargo's lock is not waited
//! for. Artifact paths come from cargo's messages. Neighbours: `lib.rs` and
//! `harness/build.rs` say what is to be built.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{tell, variable};

/// Whatever went wrong, in words.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Backtraces follow them.
pub const FRAME_POINTERS: &str = "-Cforce-frame-pointers=yes";
/// Target of the kernel and of programs that are ELF files.
pub const BARE: &str = "x86_64-unknown-none";
/// Target of programs that are PE32+ files.
pub const UEFI: &str = "x86_64-unknown-uefi";

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

/// The release profile of somebody else's workspace, as programs need it.
const RELEASE: [(&str, &str); 3] = [
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only"),
    ("CARGO_PROFILE_RELEASE_STRIP", "none"),
];

/// What one cargo run builds.
#[derive(Debug)]
pub struct Guest<'a> {
    /// Folder of the package or workspace.
    pub root: &'a Path,
    /// Its profile.
    pub profile: &'a str,
    /// Rust target.
    pub target: &'a str,
    /// Which packages or binaries, as cargo takes them.
    pub arguments: &'a [&'a str],
    /// Flags for the compiler.
    pub flags: &'a [&'a str],
}

impl Guest<'_> {
    /// Builds it; the paths of the executables.
    ///
    /// # Errors
    /// With the compiler's own words, when it does not compile.
    pub fn build(&self) -> Result<Vec<PathBuf>> {
        ensure_target(self.target)?;
        let mut command = Command::new(variable("CARGO")?);
        command
            .current_dir(self.root)
            .args(["build", "--profile", self.profile])
            .args(self.arguments)
            .args(["--target", self.target, "--message-format=json"])
            .arg("--target-dir")
            .arg(target_directory()?);
        for name in LEAKING {
            command.env_remove(name);
        }
        // Cargo tells a build script about its own package in these.
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_FEATURE_") || name.starts_with("CARGO_CFG_") {
                command.env_remove(&*name);
            }
        }
        if self.profile == "release" {
            command.envs(RELEASE);
        }
        command.env("CARGO_ENCODED_RUSTFLAGS", self.encoded_flags());
        let output = command.stderr(Stdio::inherit()).output()?;
        let messages = messages(&output.stdout);
        if !output.status.success() {
            return Err(self.failed(&messages).into());
        }
        let artifacts = messages
            .iter()
            .filter(|message| message["reason"] == "compiler-artifact");
        let executables = artifacts.filter_map(|message| message["executable"].as_str());
        Ok(executables.map(PathBuf::from).collect())
    }

    /// As `CARGO_ENCODED_RUSTFLAGS` wants them.
    fn encoded_flags(&self) -> String {
        // Same file names, and so the same bytes, wherever the checkout lies.
        let remap = format!("--remap-path-prefix={}/=", self.root.display());
        let mut flags = vec![FRAME_POINTERS, &remap];
        flags.extend(self.flags);
        flags.join("\x1f")
    }

    fn failed(&self, messages: &[Value]) -> String {
        let errors = messages
            .iter()
            .filter(|message| message["message"]["level"] == "error");
        let rendered: String = errors
            .filter_map(|message| message["message"]["rendered"].as_str())
            .collect();
        format!(
            "a guest package does not build for {}\n{rendered}try: cargo build --profile {} {} --target {}",
            self.target,
            self.profile,
            self.arguments.join(" "),
            self.target
        )
    }
}

/// Names of the binaries of the package in a folder.
pub(crate) fn binaries(root: &Path) -> Result<Vec<String>> {
    let manifest = root.join("Cargo.toml");
    let output = Command::new(variable("CARGO")?)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .arg("--manifest-path")
        .arg(&manifest)
        .stderr(Stdio::inherit())
        .output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let own = packages.filter(|package| package["manifest_path"].as_str() == manifest.to_str());
    let targets = own.flat_map(|package| package["targets"].as_array().into_iter().flatten());
    let binaries = targets.filter(|target| target["kind"][0] == "bin");
    Ok(binaries
        .filter_map(|target| target["name"].as_str().map(String::from))
        .collect())
}

/// Sources of an executable, as cargo has written them down beside it.
pub(crate) fn sources(executable: &Path) -> Result<Vec<String>> {
    let rule = fs::read_to_string(executable.with_extension("d"))?;
    let (_, sources) = rule.split_once(": ").unwrap_or_default();
    // A blank in a name has a backslash before it.
    let whole = sources.trim().replace("\\ ", "\0");
    let names = whole.split(' ').map(|name| name.replace('\0', " "));
    Ok(names.collect())
}

/// Cargo's messages, one JSON object a line.
fn messages(output: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(output);
    let lines = text.lines();
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// Directory for the inner cargo, beside the outer one's profile directories
/// and so shared by all of them.
fn target_directory() -> Result<PathBuf> {
    // OUT_DIR is <target>[/<triple>]/<profile>/build/<package>-<hash>/out.
    let out = PathBuf::from(variable("OUT_DIR")?);
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
    tell(&format!(
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
