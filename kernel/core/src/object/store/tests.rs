//! The sparse store against bytes in a vector.

use proptest::prelude::*;

use super::*;
use crate::fake::bench::Bench;
use crate::fake::image::{DATA, pattern};
use mayfly_abi::Abi;

/// Bytes of the original that every case lies over.
const BASE: usize = 3000;
/// Positions and sizes are below this.
const END: u64 = 6000;

proptest! {
    #[test]
    fn a_store_reads_as_the_bytes_that_were_written(
        steps in proptest::collection::vec((0..4u8, 0..END, 0..2500_u64), 1..30),
    ) {
        let mut bench = Bench::new();
        let key = bench.spawn(Abi::Patchwork);
        let base: &'static [u8] = (0..BASE as u64).map(pattern).collect::<Vec<_>>().leak();
        let quota = Quota::new(1 << 20);
        let mut store = Store::new(base, &quota);
        let mut model = base.to_vec();
        model.resize(usize::try_from(END).unwrap() + 2500, 0);
        for (step, at, length) in steps {
            let range = usize::try_from(at).unwrap()..usize::try_from(at + length).unwrap();
            match step {
                0 => {
                    store.truncate(at);
                    model[range.start..].fill(0);
                }
                1 | 2 => {
                    let bytes: Vec<u8> = (0..length).map(|n| pattern(n + at)).collect();
                    bench.poke(key, DATA, &bytes);
                    bench.with_process(key, |kernel, running| {
                        let space = &mut running.process.space;
                        let written = store.write(&mut kernel.machine, space, DATA, at, length);
                        assert_eq!(written, Ok(length));
                    });
                    model[range].copy_from_slice(&bytes);
                }
                _ => {
                    bench.with_process(key, |kernel, running| {
                        let space = &mut running.process.space;
                        store.read(&mut kernel.machine, space, DATA, at, length).unwrap();
                    });
                    let read = bench.peek(key, DATA, range.len());
                    prop_assert!(read == model[range.clone()], "{:?}", range);
                }
            }
        }
        drop(store);
        prop_assert_eq!(quota.left(), 1 << 20);
    }
}

#[test]
fn a_hole_takes_no_room_and_a_full_quota_is_said() {
    let mut bench = Bench::new();
    let key = bench.spawn(Abi::Patchwork);
    let quota = Quota::new(2 * PIECE_COST);
    let mut store = Store::new(&[], &quota);
    bench.with_process(key, |kernel, running| {
        let (machine, space) = (&mut kernel.machine, &mut running.process.space);
        assert_eq!(store.write(machine, space, DATA, 1 << 60, 10), Ok(10));
        assert_eq!(quota.left(), PIECE_COST);
        // As much as fits is written; then nothing does.
        assert_eq!(store.write(machine, space, DATA, 0, 5000), Ok(PIECE));
        let full = store.write(machine, space, DATA, 2048, 1);
        assert_eq!(full, Err(KernelError::NoMemory));
        store.truncate(0);
        assert_eq!(quota.left(), 2 * PIECE_COST);
    });
}
