//! Calls that the host puts into a probe's mailbox while the machine stands still.

use core::mem::offset_of;

use mayfly_abi::Abi;
use mayfly_abi::mailbox::{ADDRESS, LOADING_ENTRY, Mailbox};

use super::probes::{enter, leave, make, plain, probe};
use crate::error::KernelError::BadHandle;
use crate::event::Event;
use crate::fake::Step;
use crate::fake::bench::Bench;
use crate::fake::image::ENTRY;

/// A call that the host puts into the mailbox, by offset.
fn mail(number: u64, epoch: u64) -> Vec<(usize, u64)> {
    vec![
        (offset_of!(Mailbox, rax), number),
        (offset_of!(Mailbox, number), number),
        (offset_of!(Mailbox, epoch), epoch),
    ]
}

#[test]
fn a_call_that_is_put_into_the_mailbox_is_made() {
    let mut bench = Bench::new();
    let key = probe(&mut bench, Abi::Patchwork);
    bench.kernel.probe_await(key).unwrap();
    assert_eq!(bench.kernel.probe_await(key), Err(BadHandle), "it is busy");
    bench.kernel.host.mail = mail(999, 7);
    let loading: Step = Box::new(|machine, frame| {
        assert_eq!(frame.rip, ENTRY + LOADING_ENTRY);
        frame.rip = ENTRY;
        enter()(machine, frame)
    });
    bench.script(key, [loading, leave()]);
    assert!(bench.turn());
    assert_eq!(bench.kernel.host.called, 1);
    assert!(bench.kernel.host.events.is_empty());
    let process = bench.kernel.process_mut(key).unwrap();
    assert_eq!(process.calls, 1);
    let mut words = [0; size_of::<Mailbox>()];
    let machine = &mut bench.kernel.machine;
    let process = bench.kernel.processes.get_mut(key).unwrap();
    process.space.peek(machine, ADDRESS, &mut words).unwrap();
    let word = |offset: usize| u64::from(words[offset]);
    assert_eq!(word(offset_of!(Mailbox, error)), 38, "ENOSYS");
    assert_eq!(words[offset_of!(Mailbox, result)..][..8], [0xff; 8]);
    // And the next one comes in the usual way.
    let (_, result) = make(&mut bench, key, &plain(999, &[]));
    assert_eq!(result.error, 38);
    assert_eq!(bench.kernel.host.called, 1);
}

#[test]
fn without_a_call_in_its_mailbox_a_probe_is_idle_again() {
    let mut bench = Bench::new();
    let key = probe(&mut bench, Abi::Veridian);
    bench.kernel.probe_await(key).unwrap();
    assert!(bench.turn());
    assert_eq!(bench.kernel.host.events, [Event::Uncalled]);
    assert!(!bench.turn());
    let (_, result) = make(&mut bench, key, &plain(9999, &[]));
    assert_eq!((result.error, bench.kernel.host.called), (14, 0));
    // Only idle probes can wait.
    bench.kernel.kill(key);
    assert_eq!(bench.kernel.probe_await(key), Err(BadHandle));
}
