//! Joining free blocks that are neighbours into larger ones.
//!
//! A block of a class is aligned to its size, so that it has one neighbour with
//! which it makes a block of the next class. Lists are put in the order of
//! addresses, where such neighbours follow each other. That takes long, and
//! happens only when the heap has nothing else, and something came back.

use super::{CLASSES, State, next, set_next, size_of};

/// Sorted lists of 1, 2, 4.. blocks that wait for another as long: more than
/// there can be blocks.
const RUNS: usize = 32;

impl State {
    /// Joins what can be joined; false if nothing came back since the last time.
    #[cold]
    pub(super) fn join(&mut self) -> bool {
        if !core::mem::take(&mut self.returned) {
            return false;
        }
        for class in 0..CLASSES - 1 {
            let size = size_of(class);
            let mut list = sort(core::mem::take(&mut self.free[class]));
            while list != 0 {
                let block = list;
                list = next(block);
                if block & size == 0 && list == block + size {
                    list = next(list);
                    self.push(class + 1, block);
                } else {
                    self.push(class, block);
                }
            }
        }
        true
    }
}

/// The list in ascending order of addresses.
fn sort(mut list: u64) -> u64 {
    let mut runs = [0; RUNS];
    while list != 0 {
        let mut run = list;
        list = next(run);
        set_next(run, 0);
        for place in &mut runs {
            if *place == 0 {
                *place = run;
                break;
            }
            run = merge(core::mem::take(place), run);
        }
    }
    runs.into_iter().fold(0, merge)
}

/// One sorted list of two.
fn merge(mut one: u64, mut other: u64) -> u64 {
    let (mut first, mut last) = (0, 0);
    loop {
        if one == 0 || (other != 0 && other < one) {
            core::mem::swap(&mut one, &mut other);
        }
        if one == 0 {
            return first;
        }
        match last {
            0 => first = one,
            last => set_next(last, one),
        }
        last = one;
        one = next(one);
        if other == 0 {
            // The rest is sorted, and linked already.
            return first;
        }
    }
}
