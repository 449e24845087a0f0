//! The linker's arguments for PE32+ programs.
//!
//! Purpose: a plain `cargo build --target x86_64-unknown-uefi` gives the static
//! images that XenevaOS loads without relocating (`specs/xeneva.md` §6).
//! Neighbours: `user/build` has the arguments, for programs of others too.

fn main() {
    mayfly_build::link();
}
