//! Address spaces on the fake machine.
//!
//! - `regions`: what can be added, against a model.
//! - `pages`: what a touch brings in, and what it holds.
//! - `ranges`: what is mapped, unmapped and protected, against a model.
//! - `objects`: memory that spaces share, against a model; `sharing`: one by one.
//! - `limits`: no frames, a frame limit, and what goes back.

mod limits;
mod objects;
mod pages;
mod ranges;
mod regions;
mod sharing;

use super::{Backing, FilePart, Region, Space};
use crate::error::KernelError;
use crate::fake::FakeMachine;
use crate::fake::image::pattern;
use crate::port::{Access, PAGE_BYTES, PAGE_SIZE, PageFrame};

/// Start of the regions made here, and their size in pages.
const START: u64 = 0x40_0000;
const PAGES: u64 = 4;

const CODE: Access = Access {
    read: true,
    write: false,
    execute: true,
};

/// A machine with a space, which must give everything back in the end.
struct Fixture {
    machine: FakeMachine,
    space: Option<Space<FakeMachine>>,
}

impl Fixture {
    fn new() -> Self {
        Self::with_frames_max(u64::MAX)
    }

    fn with_frames_max(frames_max: u64) -> Self {
        let (mut machine, _) = FakeMachine::new(64);
        let space = Some(Space::new(&mut machine, frames_max).unwrap());
        Self { machine, space }
    }

    /// A space with one region at [`START`].
    fn with_region(access: Access, backing: Backing) -> Self {
        let mut fixture = Self::new();
        fixture.add(region(access, backing)).unwrap();
        fixture
    }

    fn space(&mut self) -> &mut Space<FakeMachine> {
        self.parts().1
    }

    fn add(&mut self, region: Region) -> Result<(), super::RegionError> {
        let (machine, space) = self.parts();
        space.add(machine, region)
    }

    fn parts(&mut self) -> (&mut FakeMachine, &mut Space<FakeMachine>) {
        (&mut self.machine, self.space.as_mut().unwrap())
    }

    fn touch(&mut self, address: u64, touch: super::Touch) -> Result<PageFrame, KernelError> {
        let (machine, space) = self.parts();
        space.touch(machine, address, touch)
    }

    fn peek(&mut self, address: u64, length: usize) -> Result<Vec<u8>, KernelError> {
        let mut bytes = vec![0xee; length];
        let (machine, space) = self.parts();
        space.peek(machine, address, &mut bytes)?;
        Ok(bytes)
    }

    fn poke(&mut self, address: u64, bytes: &[u8]) -> Result<(), KernelError> {
        let (machine, space) = self.parts();
        space.poke(machine, address, bytes)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.space.take().unwrap().release(&mut self.machine);
        assert_eq!(self.machine.frames_used(), 0, "frames are left");
    }
}

fn region(access: Access, backing: Backing) -> Region {
    Region {
        start: START,
        end: START + PAGES * PAGE_SIZE,
        access,
        backing,
    }
}

/// A file of `pages` pages in memory.
fn file(machine: &mut FakeMachine, pages: usize) -> (&'static [u8], PageFrame) {
    let bytes: Vec<u8> = (0..(pages * PAGE_BYTES) as u64).map(pattern).collect();
    let bytes = bytes.leak();
    (bytes, machine.add_file(bytes))
}

/// The part of a file that starts at `offset` and fills `start..end`.
fn part(file: (&'static [u8], PageFrame), offset: u64, start: u64, end: u64) -> FilePart {
    FilePart {
        contents: file.0,
        first: Some(file.1),
        offset,
        data_start: start,
        data_end: end,
    }
}
