//! The derivation tree: who got a capability from whom, over all processes.
//!
//! A node stands for one capability: in a slot of a process, or on its way in a
//! message. Nodes link to their parent, first child and siblings by key, so
//! taking one out costs the same wherever it is, and taking a subtree out needs
//! neither recursion nor a list.

use alloc::vec::Vec;

use super::{Capabilities, Object, Rights};
use crate::error::KernelError;
use crate::object::process::ProcessKey;
use crate::slab::{Key, Table};

/// Most capabilities there are at a time, so that their table stays one block
/// of the kernel's heap.
pub const NODES_MAX: usize = 32 << 10;

/// Most of them that are on their way in messages: processes that have no
/// message of theirs received leave the others' tokens alone.
pub(super) const SENT_MAX: usize = NODES_MAX / 4;

/// Key of a node; stale once its capability is gone.
pub type NodeKey = Key<NodeMark>;

/// Marks keys of nodes.
#[derive(Debug)]
pub enum NodeMark {}

/// Where a capability is.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// In a slot of a process.
    Held {
        /// The process.
        holder: ProcessKey,
        /// Its slot.
        slot: u16,
    },
    /// In a message.
    OnItsWay {
        /// What it names.
        object: Object,
        /// What it allows.
        rights: Rights,
    },
}

/// A node, as its family sees it.
struct Node {
    place: Place,
    parent: Option<NodeKey>,
    first_child: Option<NodeKey>,
    previous: Option<NodeKey>,
    next: Option<NodeKey>,
}

/// A capability that was taken out of the tree.
#[derive(Debug)]
pub struct Removed {
    /// Its key, which is stale now.
    pub node: NodeKey,
    /// Where it was: its slot is still filled.
    pub place: Place,
    /// Its parent.
    pub parent: Option<NodeKey>,
}

/// The nodes of all capabilities there are.
#[derive(Default)]
pub struct Tree {
    nodes: Table<NodeMark, Node>,
    /// Nodes that are on their way.
    sent: usize,
    /// Serial number of the last token.
    serial: u32,
}

impl Tree {
    /// Capabilities that there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// There is no capability.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Gives `holder`, whose tokens are `tokens`, a capability; says its token.
    ///
    /// # Errors
    /// [`KernelError::NoRoom`] when it holds too many, or all do,
    /// [`KernelError::NoMemory`].
    #[inline]
    pub fn insert(
        &mut self,
        holder: ProcessKey,
        tokens: &mut Capabilities,
        object: Object,
        rights: Rights,
        parent: Option<NodeKey>,
    ) -> Result<u64, KernelError> {
        let slot = tokens.vacant()?;
        let node = self.add(Place::Held { holder, slot }, parent)?;
        Ok(tokens.fill(slot, self.next_serial(), node, object, rights))
    }

    /// Sends a copy of a capability on its way, as a child of it.
    ///
    /// # Errors
    /// [`KernelError::NoRoom`] when there are too many, [`KernelError::NoMemory`].
    pub fn send_off(
        &mut self,
        object: Object,
        rights: Rights,
        parent: NodeKey,
    ) -> Result<NodeKey, KernelError> {
        if self.sent >= SENT_MAX {
            return Err(KernelError::NoRoom);
        }
        let node = self.add(Place::OnItsWay { object, rights }, Some(parent))?;
        self.sent += 1;
        Ok(node)
    }

    /// Gives a capability that is on its way to `holder`; says its token.
    /// `None` when it was revoked.
    ///
    /// # Errors
    /// As [`insert`](Self::insert); it is on its way still.
    pub fn deliver(
        &mut self,
        node: NodeKey,
        holder: ProcessKey,
        tokens: &mut Capabilities,
    ) -> Result<Option<u64>, KernelError> {
        if self.nodes.get(node).is_none() {
            return Ok(None);
        }
        let slot = tokens.vacant()?;
        let serial = self.next_serial();
        let Some(found) = self.nodes.get_mut(node) else {
            return Ok(None);
        };
        let held = Place::Held { holder, slot };
        match core::mem::replace(&mut found.place, held) {
            Place::OnItsWay { object, rights } => {
                self.sent -= 1;
                Ok(Some(tokens.fill(slot, serial, node, object, rights)))
            }
            place @ Place::Held { .. } => {
                found.place = place;
                Err(KernelError::BadHandle)
            }
        }
    }

    /// What capabilities name that are on their way.
    pub fn on_their_way(&self) -> impl Iterator<Item = &Object> {
        let nodes = self.nodes.iter();
        nodes.filter_map(|(_, node)| match &node.place {
            Place::OnItsWay { object, .. } => Some(object),
            Place::Held { .. } => None,
        })
    }

    /// Takes the first leaf at or below `node` out. Beginning at a node, and
    /// going on at the parent of what was taken out until that was the node
    /// itself, takes out everything below it and it, in time that is bounded
    /// for each.
    #[inline(always)]
    pub fn take_leaf(&mut self, node: NodeKey) -> Option<Removed> {
        let mut leaf = node;
        while let Some(child) = self.nodes.get(leaf)?.first_child {
            leaf = child;
        }
        self.take_out(leaf)
    }

    /// Takes a node out; its children become its parent's.
    #[inline]
    pub fn take_out(&mut self, node: NodeKey) -> Option<Removed> {
        let gone = self.nodes.get(node)?;
        let Node { parent, next, .. } = *gone;
        let (previous, first_child) = (gone.previous, gone.first_child);
        match previous {
            Some(previous) => self.change(previous, |sibling| sibling.next = next),
            None => {
                if let Some(parent) = parent {
                    self.change(parent, |parent| parent.first_child = next);
                }
            }
        }
        if let Some(next) = next {
            self.change(next, |sibling| sibling.previous = previous);
        }
        if first_child.is_some() {
            self.give_to(first_child, parent);
        }
        let place = self.nodes.remove(node)?.place;
        if matches!(place, Place::OnItsWay { .. }) {
            self.sent -= 1;
        }
        Some(Removed {
            node,
            place,
            parent,
        })
    }

    /// Gives a node and those behind it to another parent.
    #[inline(never)]
    fn give_to(&mut self, mut child: Option<NodeKey>, parent: Option<NodeKey>) {
        while let Some(key) = child {
            child = self.nodes.get(key).and_then(|node| node.next);
            let first = self.lead(key, parent);
            self.change(key, |node| {
                (node.parent, node.previous, node.next) = (parent, None, first);
            });
        }
    }

    /// Takes every token of a process that ends; says what they named. What it
    /// passed on stays with those who have it, below whoever it had it from
    /// (specs/veridian.md 4.4).
    pub fn surrender(&mut self, holder: ProcessKey, tokens: &mut Capabilities) -> Vec<Object> {
        let mut objects = Vec::with_capacity(tokens.len());
        // Topmost first: what is below then moves up once, not at every step.
        let mut path = Vec::new();
        for slot in 1..tokens.end() {
            let Some(capability) = tokens.at(slot) else {
                continue;
            };
            let mut node = Some(capability.node);
            while let Some(key) = node {
                path.push(key);
                node = self.parent_held_by(key, holder);
            }
            while let Some(gone) = path.pop().and_then(|key| self.take_out(key)) {
                if let Place::Held { slot, .. } = gone.place {
                    objects.extend(tokens.clear(slot).map(|gone| gone.object));
                }
            }
        }
        objects
    }

    /// The parent of a node, if `holder` holds that too.
    fn parent_held_by(&self, node: NodeKey, holder: ProcessKey) -> Option<NodeKey> {
        let parent = self.nodes.get(node)?.parent?;
        match self.nodes.get(parent)?.place {
            Place::Held { holder: other, .. } if other == holder => Some(parent),
            _ => None,
        }
    }

    #[inline]
    fn next_serial(&mut self) -> u32 {
        self.serial = self.serial.wrapping_add(1);
        self.serial
    }

    #[inline]
    fn add(&mut self, place: Place, parent: Option<NodeKey>) -> Result<NodeKey, KernelError> {
        if self.nodes.len() >= NODES_MAX {
            return Err(KernelError::NoRoom);
        }
        let key = self.nodes.try_reserve()?;
        let node = Node {
            place,
            parent,
            first_child: None,
            previous: None,
            next: self.lead(key, parent),
        };
        self.nodes.put(key, node);
        Ok(key)
    }

    /// Makes a node the first child of `parent`, if there is one; says who was
    /// that before.
    #[inline]
    fn lead(&mut self, key: NodeKey, parent: Option<NodeKey>) -> Option<NodeKey> {
        let parent = self.nodes.get_mut(parent?)?;
        let first = parent.first_child.replace(key)?;
        self.change(first, |sibling| sibling.previous = Some(key));
        Some(first)
    }

    #[inline]
    fn change(&mut self, key: NodeKey, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.get_mut(key) {
            change(node);
        }
    }
}
