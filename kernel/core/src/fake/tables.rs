//! What page tables hold, on the fake machine.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::port::{Access, PageFrame};

/// The page tables of a space, as both the space and the machine see them.
pub(super) struct TablesState {
    pub(super) root: PageFrame,
    pub(super) owned: HashSet<PageFrame>,
    /// Frames of lower tables by level and number.
    pub(super) lower: HashMap<(u32, u64), PageFrame>,
    pub(super) pages: BTreeMap<u64, (PageFrame, Access)>,
}

impl Default for TablesState {
    fn default() -> Self {
        Self {
            root: PageFrame(0),
            owned: HashSet::new(),
            lower: HashMap::new(),
            pages: BTreeMap::new(),
        }
    }
}

impl TablesState {
    pub(super) fn maps(&self, frame: PageFrame) -> bool {
        self.pages.values().any(|(mapped, _)| *mapped == frame)
    }

    /// A page went: takes out the tables that have none any more.
    pub(super) fn trim(&mut self, page: u64) -> Vec<PageFrame> {
        let mut empty = Vec::new();
        for level in [1, 2, 3] {
            let shift = 12 + 9 * level;
            let (first, last) = (page >> shift << shift, page | ((1 << shift) - 1));
            if self.pages.range(first..=last).next().is_none() {
                empty.extend(self.lower.remove(&(level, page >> shift)));
            }
        }
        self.owned.retain(|frame| !empty.contains(frame));
        empty
    }
}
