//! The linker's arguments for ELF programs.
//!
//! Purpose: a plain `cargo build --target x86_64-unknown-none` gives static
//! ET_EXEC files as `specs/patchwork.md` §13 describes them. Neighbours:
//! `user/build` has the arguments, for programs of others too.

fn main() {
    mayfly_build::link();
}
