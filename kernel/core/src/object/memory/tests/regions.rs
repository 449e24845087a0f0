//! Regions: in the user half, page-aligned, never overlapping.

use proptest::prelude::*;

use super::super::{Backing, Region, RegionError, Touch};
use super::Fixture;
use crate::error::KernelError::BadAddress;
use crate::port::{Access, PAGE_SIZE, USER_END};

fn zeros(start: u64, end: u64) -> Region {
    Region {
        start,
        end,
        access: Access::READ_WRITE,
        backing: Backing::Zero,
    }
}

#[test]
fn a_region_out_of_range_is_refused() {
    let mut fixture = Fixture::new();
    for (start, end) in [
        (0x1000, 0x1000),
        (0x2000, 0x1000),
        (0x1001, 0x2000),
        (0x1000, 0x2001),
        (USER_END, USER_END + PAGE_SIZE),
        (USER_END - PAGE_SIZE, USER_END + PAGE_SIZE),
        (0xffff_8000_0000_0000, 0xffff_8000_0000_1000),
        (USER_END - PAGE_SIZE, 0),
    ] {
        let refused = fixture.add(zeros(start, end));
        assert_eq!(
            refused,
            Err(RegionError::OutOfRange),
            "{start:#x}..{end:#x}"
        );
    }
}

#[test]
fn the_last_user_page_can_be_a_region() {
    let mut fixture = Fixture::new();
    let last = zeros(USER_END - PAGE_SIZE, USER_END);
    assert_eq!(fixture.add(last), Ok(()));
    assert!(fixture.touch(USER_END - 1, Touch::Write).is_ok());
    assert_eq!(fixture.touch(USER_END, Touch::Read), Err(BadAddress));
}

#[test]
fn a_list_of_regions_does_not_grow_when_the_heap_is_full() {
    let mut fixture = Fixture::new();
    let mut pages = (0..).map(|n| zeros(2 * n * PAGE_SIZE, (2 * n + 1) * PAGE_SIZE));
    fixture.machine.heap_full = true;
    let mut added = 0;
    while fixture.add(pages.next().unwrap()).is_ok() {
        added += 1;
    }
    assert!((1..100).contains(&added), "{added}");
    let refused = pages.next().unwrap();
    assert_eq!(fixture.add(refused), Err(RegionError::NoRoom));
    fixture.machine.heap_full = false;
    assert_eq!(fixture.add(refused), Ok(()));
}

proptest! {
    #[test]
    fn regions_are_those_of_a_model_of_pages(
        regions in proptest::collection::vec((0..40_u64, 1..8_u64), 0..30),
    ) {
        let mut fixture = Fixture::new();
        let mut model = [false; 48];
        for (first, count) in regions {
            let pages = usize::try_from(first).unwrap()..usize::try_from(first + count).unwrap();
            let added = fixture.add(zeros(first * PAGE_SIZE, (first + count) * PAGE_SIZE));
            if model[pages.clone()].contains(&true) {
                prop_assert_eq!(added, Err(RegionError::Overlap));
            } else {
                prop_assert_eq!(added, Ok(()));
                model[pages].fill(true);
            }
        }
        for (page, promised) in (0..).zip(model) {
            for address in [page * PAGE_SIZE, page * PAGE_SIZE + PAGE_SIZE - 1] {
                prop_assert_eq!(fixture.touch(address, Touch::Read).is_ok(), promised);
            }
        }
    }
}
