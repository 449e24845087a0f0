//! Memory that spaces share, against a model of bytes.

use std::rc::{Rc, Weak};

use proptest::prelude::*;

use super::super::{Manner, Mapping, MemoryObject, Space};
use crate::error::KernelError::{BadAddress, InvalidArgument, NotFound, NotPermitted};
use crate::fake::FakeMachine;
use crate::object::store::Quota;
use crate::port::{Access, Machine, PAGE_SIZE};

/// Pages of each space that the model covers, and where they begin.
const PAGES: u64 = 10;
const PLACES: usize = 10;
pub(super) const START: u64 = 0x40_0000;
/// Heap that the notes of all objects may take.
const QUOTA: u64 = 1 << 20;
const ACCESSES: [Access; 3] = [Access::NONE, Access::READ, Access::READ_WRITE];

/// A page of a space, in the model.
#[derive(Clone, Copy, Debug)]
struct Page {
    object: usize,
    page: usize,
    /// Which act of mapping it is from.
    mapping: u64,
    manner: Manner,
    access: Access,
    /// What it holds instead of the object's page.
    copy: Option<u8>,
}

/// An object: who holds it, what it is, and what its pages hold.
struct Model {
    handle: Option<Rc<MemoryObject>>,
    object: Weak<MemoryObject>,
    pages: Vec<u8>,
}

pub(super) struct World {
    pub(super) machine: FakeMachine,
    pub(super) quota: Rc<Quota>,
    pub(super) spaces: Vec<Space<FakeMachine>>,
    pages: [[Option<Page>; PLACES]; 2],
    objects: Vec<Model>,
    mappings: u64,
}

#[derive(Clone, Debug)]
enum Step {
    Make(u64),
    Close(usize),
    Map {
        space: usize,
        first: u64,
        count: u64,
        object: usize,
        page: u64,
        private: bool,
        access: usize,
        most: usize,
    },
    Unmap(usize, u64, u64),
    Protect(usize, u64, u64, usize),
    Store(usize, u64, u8),
    Load(usize, u64),
    Revoke(u64),
    Release(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let range =
        || (0..PAGES, 1..5_u64).prop_map(|(first, count)| (first, count.min(PAGES - first)));
    let map = (
        0..2_usize,
        range(),
        0..6_usize,
        0..3_u64,
        any::<bool>(),
        0..3_usize,
        0..3_usize,
    );
    let map = map.prop_map(
        |(space, (first, count), object, page, private, access, most)| Step::Map {
            space,
            first,
            count,
            object,
            page,
            private,
            access: access.min(most),
            most,
        },
    );
    let step = prop_oneof![
        2 => (1..6_u64).prop_map(Step::Make),
        1 => (0..6_usize).prop_map(Step::Close),
        4 => map,
        2 => (0..2_usize, range()).prop_map(|(space, (first, count))| Step::Unmap(space, first, count)),
        2 => (0..2_usize, range(), 0..3_usize)
            .prop_map(|(space, (first, count), access)| Step::Protect(space, first, count, access)),
        6 => (0..2_usize, 0..PAGES, any::<u8>())
            .prop_map(|(space, page, byte)| Step::Store(space, page, byte)),
        4 => (0..2_usize, 0..PAGES).prop_map(|(space, page)| Step::Load(space, page)),
        1 => (0..20_u64).prop_map(Step::Revoke),
        1 => (0..2_usize).prop_map(Step::Release),
    ];
    proptest::collection::vec(step, 0..80)
}

pub(super) fn bytes(first: u64, count: u64) -> core::ops::Range<u64> {
    START + first * PAGE_SIZE..START + (first + count) * PAGE_SIZE
}

fn places(first: u64, count: u64) -> core::ops::Range<usize> {
    usize::try_from(first).unwrap()..usize::try_from(first + count).unwrap()
}

impl World {
    pub(super) fn new() -> Self {
        let (mut machine, _) = FakeMachine::new(200);
        let spaces = (0..2).map(|_| Space::new(&mut machine, u64::MAX).unwrap());
        let spaces = spaces.collect();
        Self {
            machine,
            quota: Quota::new(QUOTA),
            spaces,
            pages: Default::default(),
            objects: Vec::new(),
            mappings: 0,
        }
    }

    /// Does a step to both; the answers must agree.
    fn step(&mut self, step: &Step) {
        match *step {
            Step::Make(pages) => {
                let made = MemoryObject::new(&mut self.machine, &self.quota, None, pages).unwrap();
                self.objects.push(Model {
                    object: Rc::downgrade(&made),
                    handle: Some(made),
                    pages: vec![0; places(pages, 0).start],
                });
            }
            Step::Close(object) => {
                if let Some(model) = self.objects.get_mut(object) {
                    model.handle = None;
                }
            }
            Step::Map {
                space,
                first,
                count,
                object,
                page,
                private,
                access,
                most,
            } => self.map(space, (first, count), object, page, private, (access, most)),
            Step::Unmap(space, first, count) => {
                let unmapped = self.spaces[space].unmap(&mut self.machine, bytes(first, count));
                assert_eq!(unmapped, Ok(()));
                self.pages[space][places(first, count)].fill(None);
            }
            Step::Protect(space, first, count, access) => {
                self.protect(space, first, count, ACCESSES[access]);
            }
            Step::Store(space, page, byte) => self.store(space, page, byte),
            Step::Load(space, page) => self.load(space, page),
            Step::Revoke(origin) => {
                for (space, pages) in self.spaces.iter_mut().zip(&mut self.pages) {
                    space.unmap_where(&mut self.machine, |mapping| mapping.manner.origin == origin);
                    for page in pages {
                        page.take_if(|page| page.manner.origin == origin);
                    }
                }
            }
            Step::Release(space) => {
                let fresh = Space::new(&mut self.machine, u64::MAX).unwrap();
                let old = core::mem::replace(&mut self.spaces[space], fresh);
                old.release(&mut self.machine);
                self.pages[space].fill(None);
            }
        }
    }

    fn map(
        &mut self,
        space: usize,
        (first, count): (u64, u64),
        object: usize,
        page: u64,
        private: bool,
        (access, most): (usize, usize),
    ) {
        let Some(handle) = self
            .objects
            .get(object)
            .and_then(|model| model.handle.clone())
        else {
            return;
        };
        let Some(count) = handle.pages().checked_sub(page).map(|rest| rest.min(count)) else {
            return;
        };
        if count == 0 {
            return;
        }
        self.mappings += 1;
        let manner = Manner {
            private,
            most: ACCESSES[most],
            origin: self.mappings % 20,
        };
        let range = bytes(first, count);
        let mapping = Mapping::new(handle, range.start, page, manner);
        let access = ACCESSES[access];
        let mapped = self.spaces[space].map_object(&mut self.machine, range, access, mapping);
        assert_eq!(mapped, Ok(()));
        for (place, page) in places(first, count).zip(places(page, 0).start..) {
            self.pages[space][place] = Some(Page {
                object,
                page,
                mapping: self.mappings,
                manner,
                access,
                copy: None,
            });
        }
    }

    fn protect(&mut self, space: usize, first: u64, count: u64, access: Access) {
        let range = bytes(first, count);
        let protected = self.spaces[space].protect(&mut self.machine, range, |_| access);
        let pages = &mut self.pages[space][places(first, count)];
        let there = || pages.iter().flatten();
        let expected = match there().count() {
            0 => Err(NotFound),
            _ if there().any(|page| !page.manner.most.contains(access)) => Err(NotPermitted),
            some if some < pages.len() => Err(InvalidArgument),
            _ => Ok(()),
        };
        assert_eq!(protected, expected);
        if expected.is_ok() {
            for page in pages.iter_mut().flatten() {
                page.access = access;
            }
        }
    }

    fn store(&mut self, space: usize, page: u64, byte: u8) {
        let address = bytes(page, 0).start;
        let stored = self.spaces[space].poke(&mut self.machine, address, &[byte]);
        let Some(page) = self.pages[space][places(page, 0).start]
            .as_mut()
            .filter(|page| page.access.write)
        else {
            return assert_eq!(stored, Err(BadAddress));
        };
        assert_eq!(stored, Ok(()));
        if page.manner.private {
            page.copy = Some(byte);
        } else {
            self.objects[page.object].pages[page.page] = byte;
        }
    }

    fn load(&mut self, space: usize, page: u64) {
        let mut loaded = [0xee; 2];
        let address = bytes(page, 0).start;
        let result = self.spaces[space].peek(&mut self.machine, address, &mut loaded);
        let page = self.pages[space][places(page, 0).start].filter(|page| page.access.read);
        let Some(page) = page else {
            return assert_eq!(result, Err(BadAddress));
        };
        assert_eq!(result, Ok(()));
        let shared = self.objects[page.object].pages[page.page];
        assert_eq!(loaded, [page.copy.unwrap_or(shared), 0]);
    }

    /// Mappings are counted, and every frame in use is a space's or an
    /// object's that somebody refers to.
    fn check(&self) {
        let mut frames = 0;
        for (number, model) in self.objects.iter().enumerate() {
            let pages = self.pages.iter().flatten().flatten();
            let mut mappings: Vec<_> = pages
                .filter(|page| page.object == number)
                .map(|page| page.mapping)
                .collect();
            mappings.sort_unstable();
            mappings.dedup();
            let lives = model.handle.is_some() || !mappings.is_empty();
            let object = model.object.upgrade();
            assert_eq!(object.is_some(), lives, "object {number}");
            if let Some(object) = object {
                assert_eq!(object.mapped(), mappings.len() as u64);
                frames += object.frame_count();
            }
        }
        let spaces = self.spaces.iter();
        let owned: u64 = spaces.map(|space| FakeMachine::owned(space.tables())).sum();
        assert_eq!(self.machine.frames_used(), frames + owned);
    }

    /// Everything goes: nothing is left.
    pub(super) fn end(mut self) {
        self.objects.clear();
        for space in core::mem::take(&mut self.spaces) {
            space.release(&mut self.machine);
        }
        self.machine.reap();
        assert_eq!(self.machine.frames_used(), 0);
        assert_eq!(self.quota.left(), QUOTA);
    }
}

proptest! {
    #[test]
    fn objects_are_those_of_a_model_of_bytes(steps in steps()) {
        let mut world = World::new();
        for one in &steps {
            world.step(one);
            world.check();
        }
        for space in 0..2 {
            for page in 0..PAGES {
                world.load(space, page);
            }
        }
        world.check();
        world.end();
    }
}
