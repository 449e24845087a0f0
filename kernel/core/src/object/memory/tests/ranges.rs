//! Mapping, unmapping and protecting ranges, against a model of pages.

use proptest::prelude::*;

use super::super::{Backing, Region, Space, Touch};
use super::{CODE, Fixture, PAGES, START, file, part, region};
use crate::error::KernelError::{self, BadAddress, InvalidArgument, NotFound};
use crate::fake::FakeMachine;
use crate::port::{Access, Machine, PAGE_SIZE};

/// Pages of the range that the model covers.
const MODEL: u64 = 24;

/// What a page is, in the model.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Page {
    write: bool,
    fill: u8,
    /// What was stored at its start.
    stored: Option<u8>,
}

#[derive(Clone, Debug)]
enum Step {
    Map(u64, u64, bool, bool),
    Unmap(u64, u64),
    Protect(u64, u64, bool),
    Store(u64, u8),
    Load(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let range =
        || (0..MODEL, 1..8_u64).prop_map(|(first, count)| (first, count.min(MODEL - first)));
    let step = prop_oneof![
        (range(), any::<bool>(), any::<bool>())
            .prop_map(|((first, count), write, ones)| Step::Map(first, count, write, ones)),
        range().prop_map(|(first, count)| Step::Unmap(first, count)),
        (range(), any::<bool>())
            .prop_map(|((first, count), write)| Step::Protect(first, count, write)),
        (0..MODEL, any::<u8>()).prop_map(|(page, byte)| Step::Store(page, byte)),
        (0..MODEL).prop_map(Step::Load),
    ];
    proptest::collection::vec(step, 0..60)
}

fn bytes(first: u64, count: u64) -> core::ops::Range<u64> {
    START + first * PAGE_SIZE..START + (first + count) * PAGE_SIZE
}

/// Places of pages in the model.
fn places(first: u64, count: u64) -> core::ops::Range<usize> {
    usize::try_from(first).unwrap()..usize::try_from(first + count).unwrap()
}

/// Lets a range be written or not.
fn protect(
    space: &mut Space<FakeMachine>,
    machine: &mut FakeMachine,
    range: core::ops::Range<u64>,
    write: bool,
) -> Result<(), KernelError> {
    space.protect(machine, range, |access| Access { write, ..access })
}

/// Does a step to both; the answers must agree.
fn step(fixture: &mut Fixture, model: &mut [Option<Page>], step: &Step) {
    match *step {
        Step::Map(first, count, write, ones) => {
            let (backing, fill) = if ones {
                (Backing::Ones, 0xff)
            } else {
                (Backing::Zero, 0)
            };
            let access = Access {
                read: true,
                write,
                execute: false,
            };
            let (machine, space) = fixture.parts();
            let mapped = space.map(machine, bytes(first, count), access, backing);
            assert_eq!(mapped, Ok(()));
            model[places(first, count)].fill(Some(Page {
                write,
                fill,
                stored: None,
            }));
        }
        Step::Unmap(first, count) => {
            let (machine, space) = fixture.parts();
            assert_eq!(space.unmap(machine, bytes(first, count)), Ok(()));
            model[places(first, count)].fill(None);
        }
        Step::Protect(first, count, write) => {
            let (machine, space) = fixture.parts();
            let protected = protect(space, machine, bytes(first, count), write);
            let pages = &mut model[places(first, count)];
            let expected = match pages.iter().flatten().count() {
                0 => Err(NotFound),
                some if some < pages.len() => Err(InvalidArgument),
                _ => Ok(()),
            };
            assert_eq!(protected, expected);
            if expected.is_ok() {
                pages
                    .iter_mut()
                    .flatten()
                    .for_each(|page| page.write = write);
            }
        }
        Step::Store(page, byte) => {
            let stored = fixture.poke(START + page * PAGE_SIZE, &[byte]);
            match model[places(page, 1).start]
                .as_mut()
                .filter(|page| page.write)
            {
                Some(page) => {
                    assert_eq!(stored, Ok(()));
                    page.stored = Some(byte);
                }
                None => assert_eq!(stored, Err(BadAddress)),
            }
        }
        Step::Load(page) => {
            let loaded = fixture.peek(START + page * PAGE_SIZE, 2);
            match model[places(page, 1).start] {
                Some(page) => {
                    let expected = [page.stored.unwrap_or(page.fill), page.fill];
                    assert_eq!(loaded.unwrap(), expected);
                }
                None => assert_eq!(loaded, Err(BadAddress)),
            }
        }
    }
}

/// Regions descend, do not overlap, and none could be one with its neighbour.
fn check(fixture: &mut Fixture) {
    let regions = &fixture.space().regions;
    for pair in regions.windows(2) {
        assert!(pair[0].start >= pair[1].end, "{pair:?}");
        assert!(!pair[0].goes_on_from(&pair[1]), "{pair:?}");
    }
}

proptest! {
    #[test]
    fn ranges_are_those_of_a_model_of_pages(steps in steps()) {
        let mut fixture = Fixture::new();
        let mut model = vec![None; places(0, MODEL).end];
        for one in &steps {
            step(&mut fixture, &mut model, one);
            check(&mut fixture);
        }
        for page in 0..MODEL {
            step(&mut fixture, &mut model, &Step::Load(page));
        }
        // When all is unmapped, only the root is left.
        step(&mut fixture, &mut model, &Step::Unmap(0, MODEL));
        prop_assert!(fixture.space().regions.is_empty());
        prop_assert_eq!(FakeMachine::owned(fixture.space().tables()), 1);
    }

    #[test]
    fn the_lowest_range_that_fits_is_found(
        taken in proptest::collection::vec(any::<bool>(), 20),
        from in 0..20_u64,
        count in 1..6_u64,
    ) {
        let mut fixture = Fixture::new();
        for (page, _) in (0..).zip(&taken).filter(|(_, taken)| **taken) {
            let (machine, space) = fixture.parts();
            space.map(machine, bytes(page, 1), Access::READ, Backing::Zero).unwrap();
        }
        let free = |page: u64| !taken.get(usize::try_from(page).unwrap()).copied().unwrap_or(false);
        let expected = (from..40).find(|first| (*first..first + count).all(free)).unwrap();
        let found = fixture.space().find_free(bytes(from, 0).start, count * PAGE_SIZE);
        prop_assert_eq!(found, Some(bytes(expected, 0).start));
    }
}

#[test]
fn a_range_that_is_longer_than_the_user_half_is_not_found() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.space().find_free(START, 1 << 47), None);
    assert_eq!(fixture.space().find_free(START, u64::MAX - 4095), None);
}

#[test]
fn a_huge_range_is_mapped_and_unmapped_by_its_pages_alone() {
    let mut fixture = Fixture::new();
    let (machine, space) = fixture.parts();
    let range = START..START + (1 << 46);
    space
        .map(machine, range.clone(), Access::READ_WRITE, Backing::Zero)
        .unwrap();
    for place in [0, 1 << 30, 1 << 40, (1 << 46) - 1] {
        fixture.poke(START + place, b"x").unwrap();
    }
    let (machine, space) = fixture.parts();
    protect(space, machine, range.clone(), false).unwrap();
    assert_eq!(fixture.poke(START, b"x"), Err(BadAddress));
    let (machine, space) = fixture.parts();
    space.unmap(machine, range).unwrap();
    assert_eq!(FakeMachine::owned(fixture.space().tables()), 1);
}

/// A file's region that is protected so that it can be written.
#[test]
fn a_file_page_that_becomes_writable_is_copied_on_the_store() {
    let mut fixture = Fixture::new();
    let contents = file(&mut fixture.machine, 4);
    let backing = Backing::File(part(contents, 0, START, START + PAGES * PAGE_SIZE));
    fixture.add(region(CODE, backing)).unwrap();
    let before = fixture.peek(START, 8).unwrap();
    let (machine, space) = fixture.parts();
    protect(space, machine, bytes(0, 1), true).unwrap();
    assert_eq!(fixture.peek(START, 8).unwrap(), before);
    fixture.poke(START, b"mine").unwrap();
    assert_eq!(contents.0[..8], before);
    // What it may execute stays, and its copy when it becomes read-only again.
    assert!(fixture.touch(START, Touch::Execute).is_ok());
    let (machine, space) = fixture.parts();
    protect(space, machine, bytes(0, 1), false).unwrap();
    assert_eq!(fixture.peek(START, 4).unwrap(), b"mine");
    assert_eq!(fixture.poke(START, b"x"), Err(BadAddress));
    // Unmapping gives back the copy, and leaves the file's own pages alone.
    fixture.touch(START + PAGE_SIZE, Touch::Read).unwrap();
    let (machine, space) = fixture.parts();
    space.unmap(machine, bytes(0, PAGES)).unwrap();
    assert_eq!(FakeMachine::owned(fixture.space().tables()), 1);
}

#[test]
fn there_are_only_so_many_regions() {
    let mut fixture = Fixture::new();
    let mut added: u64 = 0;
    let failed = loop {
        let (machine, space) = fixture.parts();
        let mapped = space.map(machine, bytes(2 * added, 1), Access::READ, Backing::Zero);
        match mapped {
            Ok(()) => added += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(failed, KernelError::NoMemory);
    assert!((4000..=4096).contains(&added), "{added}");
    let another = Region {
        start: 0x1000,
        end: 0x2000,
        access: Access::READ,
        backing: Backing::Ones,
    };
    assert!(fixture.add(another).is_ok() || added > 4094);
}
