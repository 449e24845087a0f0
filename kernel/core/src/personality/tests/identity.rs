//! Who am I, and the error number of a thread.

use mayfly_abi::{Abi, patchwork, xeneva};

use super::{errno, one};
use crate::fake::bench::Bench;

#[test]
fn patchwork_counts_its_own_processes_and_the_main_thread_is_0() {
    let mut bench = Bench::new();
    let other = bench.spawn(Abi::Veridian);
    assert!(bench.kernel.kill(other));
    for pid in 2..5 {
        let key = bench.spawn(Abi::Patchwork);
        assert_eq!(bench.call(key, patchwork::nr::GETPID, &[]), pid);
        assert_eq!(bench.call(key, patchwork::nr::GETTID, &[]), 0);
        assert!(bench.kernel.kill(key));
    }
}

#[test]
fn xeneva_has_ids_of_threads_beside_those_of_processes() {
    let mut bench = Bench::new();
    for (pid, tid) in [(2, 1), (3, 2), (4, 3)] {
        let key = bench.spawn(Abi::Xeneva);
        assert_eq!(bench.call(key, xeneva::nr::GetProcessID, &[]), pid);
        assert_eq!(bench.call(key, xeneva::nr::GetThreadID, &[]), tid);
        assert!(bench.kernel.kill(key));
    }
}

#[test]
fn the_empty_service_answers_0() {
    let (mut bench, key) = one(Abi::Xeneva);
    assert_eq!(bench.call(key, xeneva::nr::null_call, &[1, 2, 3, 4]), 0);
}

#[test]
fn an_error_number_stays_until_the_next_failure() {
    let (mut bench, key) = one(Abi::Patchwork);
    assert_eq!(errno(&mut bench, key), 0);
    bench.call(key, patchwork::nr::WRITE, &[3, 1, 1]);
    assert_eq!(errno(&mut bench, key), 9);
    bench.call(key, patchwork::nr::GETPID, &[]);
    assert_eq!(errno(&mut bench, key), 9);
    bench.call(key, patchwork::nr::WRITE, &[1, 0, 0]);
    assert_eq!(errno(&mut bench, key), 22);
    assert_eq!(errno(&mut bench, key), 22);
}

#[test]
fn an_error_number_belongs_to_one_process() {
    let mut bench = Bench::new();
    let keys = [0, 1].map(|_| bench.spawn(Abi::Patchwork));
    bench.call(keys[0], patchwork::nr::WRITE, &[3, 1, 1]);
    assert_eq!(errno(&mut bench, keys[1]), 0);
    assert_eq!(errno(&mut bench, keys[0]), 9);
}
