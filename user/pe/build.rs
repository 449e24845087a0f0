//! Linker arguments of the PE32+ programs: a fixed base, whole pages.
//!
//! Purpose: a plain `cargo build --target x86_64-unknown-uefi` gives the static
//! images that XenevaOS loads without relocating (`specs/xeneva.md` §6): file
//! and section alignment are both a page. Neighbours: `user/elf/build.rs` does
//! the same for the other format.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("uefi") {
        return;
    }
    let arguments = [
        "/entry:_start",
        "/subsystem:native",
        "/base:0x600000",
        "/align:4096",
        "/filealign:4096",
        "/dynamicbase:no",
        "/fixed",
        // The same sources give the same bytes: no time stamp, no path.
        "/Brepro",
        "/debug:none",
    ];
    for argument in arguments {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
