//! When memory ends: what fails, and what goes back.

use super::super::{Backing, Space, Touch};
use super::{CODE, Fixture, PAGES, START, file, part, region};
use crate::error::KernelError::NoMemory;
use crate::fake::FakeMachine;
use crate::port::{Access, Machine, NoFrames, PAGE_SIZE};

/// Frames of a space with one page: root, three lower tables, the page.
const FIRST_PAGE: u64 = 5;

#[test]
fn a_space_without_a_root_is_none() {
    let (mut machine, _) = FakeMachine::new(64);
    machine.allocations_left = 0;
    assert_eq!(Space::new(&mut machine, u64::MAX).err(), Some(NoFrames));
    assert_eq!(machine.frames_used(), 0);
}

#[test]
fn a_page_that_cannot_be_had_maps_nothing_and_can_be_had_later() {
    for allocations in 0..FIRST_PAGE - 1 {
        let mut fixture = Fixture::with_region(Access::READ_WRITE, Backing::Zero);
        fixture.machine.allocations_left = allocations;
        assert_eq!(
            fixture.touch(START, Touch::Write),
            Err(NoMemory),
            "{allocations}"
        );
        let (machine, space) = fixture.parts();
        assert_eq!(machine.lookup(space.tables(), START), None);
        // Tables that were made stay for the next try; the page does not.
        assert_eq!(machine.frames_used(), 1 + allocations.saturating_sub(1));
        machine.allocations_left = u64::MAX;
        assert!(fixture.touch(START, Touch::Write).is_ok());
        assert_eq!(fixture.machine.frames_used(), FIRST_PAGE);
    }
}

#[test]
fn a_file_page_whose_table_cannot_be_had_is_no_memory() {
    let mut fixture = Fixture::new();
    let contents = file(&mut fixture.machine, 4);
    let backing = Backing::File(part(contents, 0, START, START + 4 * PAGE_SIZE));
    fixture.add(region(CODE, backing)).unwrap();
    fixture.machine.allocations_left = 2;
    assert_eq!(fixture.touch(START, Touch::Execute), Err(NoMemory));
    let (machine, space) = fixture.parts();
    assert_eq!(space.map_ahead(machine, START, 4), Err(NoMemory));
}

#[test]
fn a_space_gets_no_page_beyond_its_limit() {
    for limit in FIRST_PAGE..FIRST_PAGE + PAGES {
        let mut fixture = Fixture::with_frames_max(limit);
        let zeros = region(Access::READ_WRITE, Backing::Zero);
        fixture.add(zeros).unwrap();
        let pages = (0..PAGES).map(|page| START + page * PAGE_SIZE);
        let touched = pages.filter(|page| fixture.touch(*page, Touch::Write).is_ok());
        assert_eq!(touched.count() as u64, limit - FIRST_PAGE + 1);
        assert_eq!(FakeMachine::owned(fixture.space().tables()), limit);
    }
}

#[test]
fn a_space_at_its_limit_still_reaches_what_it_has() {
    let mut fixture = Fixture::with_frames_max(FIRST_PAGE);
    let zeros = region(Access::READ_WRITE, Backing::Zero);
    fixture.add(zeros).unwrap();
    fixture.poke(START, b"here").unwrap();
    assert_eq!(fixture.touch(START + PAGE_SIZE, Touch::Read), Err(NoMemory));
    assert_eq!(fixture.peek(START, 4).unwrap(), b"here");
}

#[test]
fn releasing_one_space_leaves_the_other() {
    let (mut machine, _) = FakeMachine::new(64);
    let mut spaces = [0, 1].map(|_| {
        let mut space = Space::new(&mut machine, u64::MAX).unwrap();
        space
            .add(&machine, region(Access::READ_WRITE, Backing::Zero))
            .unwrap();
        space
    });
    for space in &mut spaces {
        space.poke(&mut machine, START, b"mine").unwrap();
    }
    let [first, mut second] = spaces;
    first.release(&mut machine);
    assert_eq!(machine.frames_used(), FIRST_PAGE);
    let mut bytes = [0; 4];
    second.peek(&mut machine, START, &mut bytes).unwrap();
    assert_eq!(&bytes, b"mine");
    second.release(&mut machine);
    assert_eq!(machine.frames_used(), 0);
}
