//! Linker arguments of the ELF programs: a fixed base, whole pages.
//!
//! Purpose: a plain `cargo build --target x86_64-unknown-none` gives static
//! ET_EXEC files as `specs/patchwork.md` §13 describes them. Neighbours:
//! `link.ld` beside this file places the sections; `user/pe/build.rs` does the
//! same for the other format.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=link.ld");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let arguments = [
        // The target asks for a static PIE; the last word counts.
        "--no-pie",
        "--image-base=0x400000",
        "-zmax-page-size=4096",
        "-zseparate-loadable-segments",
        "-znorelro",
        "-znognustack",
        &format!("-T{folder}/link.ld"),
    ];
    for argument in arguments {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
