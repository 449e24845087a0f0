//! Builds `src/bin` for the guest.

fn main() {
    mayfly_build::programs();
}
