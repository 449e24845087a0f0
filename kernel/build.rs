//! Links the kernel where the machine's layout says.

use std::env;
use std::fs;
use std::path::PathBuf;

use mayfly_machine::layout;

fn main() {
    println!("cargo::rerun-if-changed=link.ld");
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let addresses = format!(
        "KERNEL_BASE = {:#x};\nKERNEL_LOAD = {:#x};\n",
        layout::KERNEL_BASE,
        layout::KERNEL_LOAD
    );
    fs::write(out.join("addresses.ld"), addresses).expect("OUT_DIR is writable");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    println!("cargo::rustc-link-arg-bins=-L{}", out.display());
    println!("cargo::rustc-link-arg-bins=-T{root}/link.ld");
    println!("cargo::rustc-link-arg-bins=-zmax-page-size=4096");
    println!("cargo::rustc-link-arg-bins=-znoexecstack");
    println!("cargo::rustc-link-arg-bins=--no-eh-frame-hdr");
}
