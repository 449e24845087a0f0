//! The queue against bytes in a vector, and the host's room against a count.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::fake::image::pattern;

#[derive(Clone, Copy, Debug)]
enum Step {
    Put(usize),
    Take(usize),
    End,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..CAPACITY * 2).prop_map(Step::Put),
        2 => (1..40usize).prop_map(Step::Put),
        6 => (1..CAPACITY).prop_map(Step::Take),
        1 => Just(Step::End),
    ]
}

proptest! {
    #[test]
    fn bytes_come_out_in_order_and_room_is_never_lost(steps in vec(step(), 1..60)) {
        let mut queue = Queue::new();
        let mut model = VecDeque::new();
        let mut room = CAPACITY;
        let mut ended = false;
        let mut sent = 0u64;
        for step in steps {
            match step {
                Step::Put(count) => {
                    let bytes: Vec<u8> = (sent..).take(count).map(pattern).collect();
                    let expected = match (ended, count > room) {
                        (true, _) => Err(FeedError::Ended),
                        (false, true) => Err(FeedError::NoRoom),
                        (false, false) => Ok(()),
                    };
                    prop_assert_eq!(queue.put(&bytes), expected);
                    if expected.is_ok() {
                        model.extend(bytes);
                        room -= count;
                        sent += count as u64;
                    }
                }
                Step::Take(most) => {
                    let (first, second) = queue.front(most);
                    let found = [first, second].concat();
                    let expected: Vec<u8> = model.drain(..most.min(model.len())).collect();
                    prop_assert_eq!(&found, &expected);
                    let told = queue.take(found.len());
                    prop_assert!(told.is_none_or(|told| !ended && told >= ROOM_TOLD));
                    room += told.unwrap_or(0);
                }
                Step::End => {
                    let expected = if ended { Err(FeedError::Ended) } else { Ok(()) };
                    prop_assert_eq!(queue.put(&[]), expected);
                    ended = true;
                }
            }
            prop_assert_eq!((queue.length(), queue.has_ended()), (model.len(), ended));
            prop_assert_eq!(queue.room, room);
            prop_assert_eq!(queue.room + queue.length() + queue.untold, CAPACITY);
            // Whoever waits for bytes has a host that may send some.
            prop_assert!(ended || queue.length() > 0 || room > CAPACITY / 2);
        }
    }
}
