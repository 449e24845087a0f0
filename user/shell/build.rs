//! Linker arguments of the shell: those of every ELF program.
//!
//! Purpose: as `user/elf/build.rs`, with the same script. Neighbours: that
//! package, whose list of programs this one is not in, as it has a library that
//! hosts test.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../elf/link.ld");
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
        &format!("-T{folder}/../elf/link.ld"),
    ];
    for argument in arguments {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
