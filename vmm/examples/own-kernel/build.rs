//! Links the kernel at a fixed address, 2 MiB: no linker script is needed.

fn main() {
    for argument in ["--no-pie", "--image-base=0x200000", "-zmax-page-size=4096"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
