//! Objects one by one: their size, their frames, whom they count for.

use std::rc::Rc;

use super::super::{Backing, Manner, Mapping, MemoryObject, Space, Touch};
use super::objects::{START, World, bytes};
use crate::error::KernelError::{self, BadAddress, InvalidArgument};
use crate::port::{Access, Machine, PAGE_SIZE};

fn object(world: &mut World, pages: u64) -> Rc<MemoryObject> {
    MemoryObject::new(&mut world.machine, &world.quota, None, pages).unwrap()
}

#[test]
fn an_object_without_pages_or_of_more_than_there_are_is_none() {
    let mut world = World::new();
    let free = world.machine.frames_free();
    for (pages, error) in [
        (0, InvalidArgument),
        (free + 1, KernelError::NoMemory),
        (u64::MAX, KernelError::NoMemory),
    ] {
        let made = MemoryObject::new(&mut world.machine, &world.quota, None, pages);
        assert_eq!(made.err(), Some(error));
    }
    let most = object(&mut world, free);
    assert_eq!(most.bring_in(&mut world.machine, free), Err(BadAddress));
    assert_eq!(most.bring_in(&mut world.machine, u64::MAX), Err(BadAddress));
    drop(most);
    world.end();
}

#[test]
fn a_pages_frame_is_the_same_through_any_mapping() {
    let mut world = World::new();
    let shared = object(&mut world, 200 - 8);
    let frame = shared.bring_in(&mut world.machine, 130).unwrap();
    for space in &mut world.spaces {
        let mapping = Mapping::new(Rc::clone(&shared), START, 129, Manner::SHARED);
        let range = bytes(0, 4);
        let machine = &mut world.machine;
        space
            .map_object(machine, range, Access::READ, mapping)
            .unwrap();
        assert_eq!(
            space.touch(machine, START + PAGE_SIZE, Touch::Read),
            Ok(frame)
        );
    }
    assert_eq!(shared.frame_count(), 1);
    drop(shared);
    world.end();
}

#[test]
fn frames_of_an_object_count_for_the_process_that_made_it() {
    let mut world = World::new();
    let mut space = Space::new(&mut world.machine, 8).unwrap();
    let charge = space.charge();
    let made = MemoryObject::new(&mut world.machine, &world.quota, charge, 20).unwrap();
    let mapping = Mapping::new(Rc::clone(&made), START, 0, Manner::SHARED);
    let machine = &mut world.machine;
    space
        .map_object(machine, bytes(0, 20), Access::READ_WRITE, mapping)
        .unwrap();
    // Four tables leave four frames.
    let touched = (0..20).filter(|page| {
        let address = bytes(*page, 0).start;
        space.touch(machine, address, Touch::Write).is_ok()
    });
    assert_eq!(touched.count(), 4);
    // Another process brings in what the object's maker may have in all.
    let mapping = Mapping::new(Rc::clone(&made), START, 0, Manner::SHARED);
    let other = &mut world.spaces[0];
    other
        .map_object(machine, bytes(0, 20), Access::READ, mapping)
        .unwrap();
    let touched = (0..20).filter(|page| {
        let address = bytes(*page, 0).start;
        other.touch(machine, address, Touch::Read).is_ok()
    });
    assert_eq!(touched.count(), 8);
    space.release(machine);
    drop(made);
    world.end();
}

#[test]
fn a_mapping_that_there_is_no_room_for_was_none() {
    let mut world = World::new();
    let shared = object(&mut world, 1);
    let machine = &mut world.machine;
    let space = &mut world.spaces[0];
    let mut place = (0..).step_by(2).map(|page| bytes(page, 1));
    let mut another = || space.map(machine, place.next().unwrap(), Access::READ, Backing::Zero);
    while another().is_ok() {}
    let mapping = Mapping::new(Rc::clone(&shared), START, 0, Manner::SHARED);
    let mapped = space.map_object(machine, bytes(0, 1), Access::READ, mapping);
    assert_eq!(mapped, Err(KernelError::NoMemory));
    assert_eq!((shared.mapped(), shared.was_mapped()), (0, false));
    // Where there is room it was.
    let mapping = Mapping::new(Rc::clone(&shared), START, 0, Manner::SHARED);
    let space = &mut world.spaces[1];
    let mapped = space.map_object(machine, bytes(0, 1), Access::READ, mapping);
    assert_eq!(mapped, Ok(()));
    space.unmap(machine, bytes(0, 1)).unwrap();
    assert_eq!((shared.mapped(), shared.was_mapped()), (0, true));
    drop(shared);
    world.end();
}

#[test]
fn a_region_is_populated_or_says_that_it_cannot_be() {
    let mut world = World::new();
    let shared = object(&mut world, 8);
    let machine = &mut world.machine;
    let space = &mut world.spaces[0];
    for private in [false, true] {
        let manner = Manner {
            private,
            ..Manner::SHARED
        };
        let mapping = Mapping::new(Rc::clone(&shared), START, 0, manner);
        space
            .map_object(machine, bytes(0, 8), Access::READ_WRITE, mapping)
            .unwrap();
        space.populate(machine, bytes(0, 8)).unwrap();
        for page in 0..8 {
            let present = machine.lookup(space.tables(), bytes(page, 0).start);
            assert_eq!(present.map(|(_, access)| access), Some(Access::READ_WRITE));
        }
    }
    machine.allocations_left = 3;
    let range = bytes(16, 8);
    let backing = Backing::Zero;
    space
        .map(machine, range.clone(), Access::READ_WRITE, backing)
        .unwrap();
    assert_eq!(space.populate(machine, range), Err(KernelError::NoMemory));
    let most = START + 1000 * PAGE_SIZE;
    space
        .map(machine, START..most, Access::READ_WRITE, backing)
        .unwrap();
    assert_eq!(
        space.populate(machine, START..most),
        Err(KernelError::NoMemory)
    );
    drop(shared);
    world.end();
}
