//! Frames that no tables own, on the fake machine.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use super::tables::TablesState;
use crate::port::{Contents, DeadFrames, FrameList, PageFrame};

/// Frames of objects, by the number that their list has for a head.
#[derive(Default)]
pub(super) struct Objects {
    pub(super) dead: Rc<DeadFrames>,
    lists: HashMap<u32, Vec<PageFrame>>,
    last: u32,
    /// Tables that might map them.
    spaces: Vec<Weak<RefCell<TablesState>>>,
}

impl Objects {
    pub(super) fn watch(&mut self, tables: &Rc<RefCell<TablesState>>) {
        self.spaces.retain(|space| space.strong_count() > 0);
        self.spaces.push(Rc::downgrade(tables));
    }

    pub(super) fn add(&mut self, list: &mut FrameList, frame: PageFrame) {
        if list.count == 0 {
            self.last += 1;
            list.head = self.last;
        }
        list.count += 1;
        self.lists.entry(list.head).or_default().push(frame);
    }

    pub(super) fn has(&self, frame: PageFrame) -> bool {
        self.lists.values().any(|list| list.contains(&frame))
    }

    /// Gives back what is dead, which must be mapped nowhere.
    pub(super) fn reap(&mut self, mut free: impl FnMut(PageFrame)) {
        while let Some(list) = self.dead.take() {
            let frames = self.lists.remove(&list.head).unwrap_or_default();
            assert_eq!(
                frames.len(),
                list.count as usize,
                "a list is given back twice"
            );
            for frame in frames {
                let spaces = self.spaces.iter().filter_map(Weak::upgrade);
                for space in spaces {
                    let mapped = space.borrow().maps(frame);
                    assert!(!mapped, "{frame:?} is given back while it is mapped");
                }
                free(frame);
            }
        }
    }
}

/// What a new frame holds; anything is a pattern.
pub(super) fn fill(contents: Contents) -> u8 {
    match contents {
        Contents::Zero => 0,
        Contents::Ones => 0xff,
        Contents::Any => 0xa5,
    }
}
