//! Linker arguments of the shell: those of every ELF program.
//!
//! Purpose: as `user/elf/build.rs`, whose list of programs this one is not in,
//! as it has a library that hosts test. Neighbours: `user/build`.

fn main() {
    mayfly_build::link();
}
