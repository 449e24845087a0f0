//! What processes may have of endpoints and channels.

use alloc::vec::Vec;

use super::{CHANNELS_MAX, EndpointKey, Ipc, PROCESS_CHANNELS_MAX};
use crate::error::KernelError;
use crate::object::process::{ProcessKey, ProcessMark};
use crate::slab::Table;

fn processes<const N: usize>() -> [ProcessKey; N] {
    let mut table: Table<ProcessMark, ()> = Table::default();
    [(); N].map(|()| table.reserve())
}

/// Connects endpoints with each other until no more can be; says how many
/// channels that were, and why there are no more.
fn mesh(ipc: &mut Ipc, owner: ProcessKey, count: usize) -> (Vec<EndpointKey>, usize, KernelError) {
    let ends: Vec<EndpointKey> = (0..count)
        .map(|_| ipc.new_endpoint(owner).unwrap())
        .collect();
    let mut made = 0;
    for (at, one) in ends.iter().enumerate() {
        for other in &ends[..at] {
            match ipc.connect([*one, *other]) {
                Ok(_) => made += 1,
                Err(error) => return (ends, made, error),
            }
        }
    }
    panic!("all {made} were made");
}

#[test]
fn who_has_all_channels_it_may_have_leaves_the_others_theirs() {
    let mut ipc = Ipc::default();
    let [greedy, one, other] = processes();
    let (ends, made, refused) = mesh(&mut ipc, greedy, 80);
    assert_eq!((made, refused), (PROCESS_CHANNELS_MAX, KernelError::NoRoom));
    let [modest, peer] = [one, other].map(|owner| ipc.new_endpoint(owner).unwrap());
    // Nobody can make them its peers, and they are free to have others.
    assert_eq!(ipc.connect([ends[0], modest]), Err(KernelError::NoRoom));
    assert!(ipc.connect([modest, peer]).is_ok());
    assert_eq!(ipc.channels_charged(one), 1);
    // What ends is given back, to both sides.
    for end in ends {
        ipc.close(end);
    }
    assert_eq!(ipc.channels_charged(greedy), 0);
    ipc.close(peer);
    assert_eq!(
        [one, other].map(|owner| ipc.channels_charged(owner)),
        [0, 0]
    );
    assert_eq!(ipc.channel_count(), 0);
    let (_, made, _) = mesh(&mut ipc, greedy, 80);
    assert_eq!(made, PROCESS_CHANNELS_MAX);
}

#[test]
fn all_channels_together_are_bounded() {
    let mut ipc = Ipc::default();
    let mut made = 0;
    let refused = processes::<40>().into_iter().find_map(|owner| {
        let hub = ipc.new_endpoint(owner).unwrap();
        (0..CHANNELS_MAX).find_map(|_| {
            let spoke = ipc.new_endpoint(owner).unwrap();
            let connected = ipc.connect([hub, spoke]);
            made += usize::from(connected.is_ok());
            connected.err()
        })
    });
    assert_eq!(refused, Some(KernelError::NoRoom));
    assert_eq!(made, super::ALL_CHANNELS_MAX);
}
