//! Bytes that nobody made an executable of.

use mayfly_abi::Abi;
use proptest::prelude::*;

use super::assert_sound;
use crate::fake::image::{Elf, Pe};
use crate::loader::read;

/// Bytes at the start of a file that hold all headers of the images made here.
const HEADERS: usize = 0x200;

/// Changes some bytes, most of them in the headers.
fn mutate(mut file: Vec<u8>, changes: &[(usize, u8, bool)]) -> Vec<u8> {
    for (at, byte, anywhere) in changes {
        let range = if *anywhere { file.len() } else { HEADERS };
        file[at % range] = *byte;
    }
    file
}

fn check(file: &[u8]) {
    if let Ok(image) = read(file) {
        assert_sound(file, &image);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_changed_elf_is_refused_or_sound(
        changes in proptest::collection::vec((any::<usize>(), any::<u8>(), any::<bool>()), 1..8),
        length in any::<usize>(),
    ) {
        let file = mutate(Elf::program(Some(Abi::Patchwork)).build(), &changes);
        check(&file);
        check(&file[..length % file.len()]);
    }

    #[test]
    fn a_changed_pe_is_refused_or_sound(
        changes in proptest::collection::vec((any::<usize>(), any::<u8>(), any::<bool>()), 1..8),
        length in any::<usize>(),
    ) {
        let file = mutate(Pe::program().build(), &changes);
        check(&file);
        check(&file[..length % file.len()]);
    }

    #[test]
    fn any_bytes_behind_a_magic_number_are_refused_or_sound(
        magic in prop_oneof![Just(&b"\x7fELF\x02\x01\x01"[..]), Just(&b"MZ"[..])],
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        check(&[magic, &bytes].concat());
    }
}
