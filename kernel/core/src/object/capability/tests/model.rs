//! A model of capabilities, and the table and tree compared with it.
//!
//! The model keeps every capability there ever was with its parent, and says
//! by a walk over all of them what is valid and what it may do. Events come in
//! any order over a few processes: create, derive, send, deliver, drop,
//! revoke, exit. After each, every token ever made is looked up everywhere.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{CONSOLE, holders};
use crate::object::capability::{Capabilities, NodeKey, Object, Place, Rights, Tree};
use crate::object::process::ProcessKey;

const PROCESSES: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Event {
    Create { process: usize },
    Derive { of: usize, rights: u32 },
    Send { of: usize },
    Deliver { of: usize, to: usize },
    Drop { of: usize },
    Revoke { of: usize },
    Exit { process: usize },
}

fn event() -> impl Strategy<Value = Event> {
    let any = 0..64_usize;
    let process = 0..PROCESSES;
    prop_oneof![
        2 => process.clone().prop_map(|process| Event::Create { process }),
        6 => (any.clone(), 0..256_u32).prop_map(|(of, rights)| Event::Derive { of, rights }),
        5 => any.clone().prop_map(|of| Event::Send { of }),
        5 => (any.clone(), process.clone()).prop_map(|(of, to)| Event::Deliver { of, to }),
        1 => any.clone().prop_map(|of| Event::Drop { of }),
        2 => any.prop_map(|of| Event::Revoke { of }),
        1 => process.prop_map(|process| Event::Exit { process }),
    ]
}

/// Where the model has a capability.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Where {
    Held { process: usize, token: u64 },
    OnItsWay(NodeKey),
    Gone,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    place: Where,
    rights: u32,
    parent: Option<usize>,
}

/// The table and tree, and the model beside them.
struct World {
    tree: Tree,
    keys: Vec<ProcessKey>,
    tokens: Vec<Capabilities>,
    known: Vec<Known>,
    /// Every token that ever was, and the only process that may have it.
    tokens_made: Vec<(usize, u64)>,
}

impl World {
    fn new() -> Self {
        Self {
            tree: Tree::default(),
            keys: holders(PROCESSES),
            tokens: (0..PROCESSES).map(|_| Capabilities::default()).collect(),
            known: Vec::new(),
            tokens_made: Vec::new(),
        }
    }

    /// The `of`-th capability that `fits`, counted round.
    fn pick(&self, of: usize, fits: impl Fn(&Known) -> bool) -> Option<usize> {
        let all = (0..self.known.len()).filter(|index| fits(&self.known[*index]));
        let all: Vec<usize> = all.collect();
        (!all.is_empty()).then(|| all[of % all.len()])
    }

    fn held(&self, of: usize) -> Option<(usize, usize, u64)> {
        let index = self.pick(of, |known| matches!(known.place, Where::Held { .. }))?;
        match self.known[index].place {
            Where::Held { process, token } => Some((index, process, token)),
            _ => None,
        }
    }

    fn note(&mut self, process: usize, token: u64, rights: u32, parent: Option<usize>) {
        let place = Where::Held { process, token };
        self.known.push(Known {
            place,
            rights,
            parent,
        });
        self.tokens_made.push((process, token));
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Create { process } => {
                let rights = Rights::ALL;
                let token = self.insert(process, rights, None);
                self.note(process, token, rights.bits(), None);
            }
            Event::Derive { of, rights } => {
                let Some((index, process, token)) = self.held(of) else {
                    return;
                };
                // What the call does: fewer rights or none of it.
                let rights = Rights::from_word((rights & self.known[index].rights).into());
                let rights = rights.unwrap();
                let parent = self.tokens[process].find(token).unwrap().node;
                let token = self.insert(process, rights, Some(parent));
                self.note(process, token, rights.bits(), Some(index));
            }
            Event::Send { of } => {
                let Some((index, process, token)) = self.held(of) else {
                    return;
                };
                let capability = self.tokens[process].find(token).unwrap();
                let (object, rights) = (capability.object.clone(), capability.rights);
                let node = self.tree.send_off(object, rights, capability.node);
                self.known.push(Known {
                    place: Where::OnItsWay(node.unwrap()),
                    rights: rights.bits(),
                    parent: Some(index),
                });
            }
            Event::Deliver { of, to } => self.deliver(of, to),
            Event::Drop { of } => {
                let on_its_way = |known: &Known| matches!(known.place, Where::OnItsWay(_));
                let Some(index) = self.pick(of, on_its_way) else {
                    return;
                };
                if let Where::OnItsWay(node) = self.known[index].place {
                    assert!(self.tree.take_out(node).is_some());
                    self.known[index].place = Where::Gone;
                }
            }
            Event::Revoke { of } => self.revoke(of),
            Event::Exit { process } => self.exit(process),
        }
    }

    fn insert(&mut self, process: usize, rights: Rights, parent: Option<NodeKey>) -> u64 {
        let tokens = &mut self.tokens[process];
        let token = self
            .tree
            .insert(self.keys[process], tokens, CONSOLE, rights, parent);
        token.unwrap()
    }

    fn deliver(&mut self, of: usize, to: usize) {
        let Some(index) = self.pick(of, |known| matches!(known.place, Where::OnItsWay(_))) else {
            return;
        };
        let Where::OnItsWay(node) = self.known[index].place else {
            return;
        };
        let tokens = &mut self.tokens[to];
        let token = self.tree.deliver(node, self.keys[to], tokens).unwrap();
        let token = token.expect("what is on its way arrives");
        self.known[index].place = Where::Held { process: to, token };
        self.tokens_made.push((to, token));
    }

    /// As `Kernel::revoke` does it.
    fn revoke(&mut self, of: usize) {
        let Some((index, process, token)) = self.held(of) else {
            return;
        };
        let root = self.tokens[process].find(token).unwrap().node;
        let mut at = Some(root);
        while let Some(gone) = at.and_then(|at| self.tree.take_leaf(at)) {
            if let Place::Held { holder, slot } = gone.place {
                let holder = self.keys.iter().position(|key| *key == holder).unwrap();
                assert!(self.tokens[holder].clear(slot).is_some());
            }
            at = gone.parent.filter(|_| gone.node != root);
        }
        // All that is below it, however far.
        let mut dead = BTreeSet::from([index]);
        for (index, known) in self.known.iter().enumerate() {
            if known.parent.is_some_and(|parent| dead.contains(&parent)) {
                dead.insert(index);
            }
        }
        for index in dead {
            if let Where::OnItsWay(node) = self.known[index].place {
                // A message whose capability is gone delivers none.
                let tokens = &mut self.tokens[0];
                assert_eq!(self.tree.deliver(node, self.keys[0], tokens), Ok(None));
            }
            self.known[index].place = Where::Gone;
        }
    }

    /// As `Kernel::surrender` does it.
    fn exit(&mut self, process: usize) {
        let key = self.keys[process];
        let tokens = &mut self.tokens[process];
        let held = tokens.len();
        assert_eq!(self.tree.surrender(key, tokens).len(), held);
        assert!(tokens.is_empty());
        for index in 0..self.known.len() {
            if !matches!(self.known[index].place, Where::Held { process: holder, .. } if holder == process)
            {
                continue;
            }
            let above = self.known[index].parent;
            self.known[index].place = Where::Gone;
            for known in &mut self.known {
                if known.parent == Some(index) {
                    known.parent = above;
                }
            }
        }
    }

    /// Everything that can be asked, asked.
    fn compare(&self) {
        let live = |known: &&Known| known.place != Where::Gone;
        assert_eq!(self.tree.len(), self.known.iter().filter(live).count());
        for (process, tokens) in self.tokens.iter().enumerate() {
            let mine = self.known.iter().filter(
                |known| matches!(known.place, Where::Held { process: holder, .. } if holder == process),
            );
            assert_eq!(tokens.len(), mine.count(), "process {process}");
        }
        for (process, token) in &self.tokens_made {
            let place = Where::Held {
                process: *process,
                token: *token,
            };
            let known = self.known.iter().find(|known| known.place == place);
            for (other, tokens) in self.tokens.iter().enumerate() {
                let found = tokens.find(*token).ok();
                match known.filter(|_| other == *process) {
                    None => assert!(found.is_none(), "{token:#x} in {other}"),
                    Some(known) => {
                        let found = found.expect("a valid token is found");
                        assert_eq!(found.rights.bits(), known.rights);
                        assert_eq!(found.object, CONSOLE);
                        let above = known.parent.map_or(0xff, |above| self.known[above].rights);
                        assert_eq!(known.rights & !above, 0, "more rights than its parent");
                    }
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn tokens_are_what_the_model_says(events in proptest::collection::vec(event(), 0..60)) {
        let mut world = World::new();
        for event in events {
            world.apply(event);
            world.compare();
        }
        for process in 0..PROCESSES {
            world.exit(process);
        }
        for index in 0..world.known.len() {
            if let Where::OnItsWay(node) = world.known[index].place {
                prop_assert!(world.tree.take_out(node).is_some());
            }
        }
        prop_assert!(world.tree.is_empty(), "every count returns");
    }

    #[test]
    fn no_word_near_a_token_is_one(
        events in proptest::collection::vec(event(), 0..40),
        guesses in proptest::collection::vec((any::<u64>(), 0..64_usize, 0..64_u32), 0..200),
    ) {
        let mut world = World::new();
        for event in events {
            world.apply(event);
        }
        for (word, of, bit) in guesses {
            for tokens in &world.tokens {
                let near = world.held(of).map_or(word, |(_, _, token)| token ^ 1 << bit);
                for guess in [word, near, word & 0xffff, near & !(1 << 63), word & near] {
                    if let Ok(found) = tokens.find(guess) {
                        prop_assert_eq!(found.token(), guess);
                        let made = world.tokens_made.iter().any(|(_, made)| *made == guess);
                        prop_assert!(made, "{:#x} was never made", guess);
                    }
                }
            }
        }
    }
}

#[test]
fn a_long_chain_goes_without_recursion() {
    let mut world = World::new();
    world.apply(Event::Create { process: 0 });
    for step in 1..4000 {
        let last = world.known.len() - 1;
        let node = match world.known[last].place {
            Where::Held { process, token } => world.tokens[process].find(token).unwrap().node,
            _ => unreachable!(),
        };
        let process = step % PROCESSES;
        let token = world.insert(process, Rights::ALL, Some(node));
        world.note(process, token, Rights::ALL.bits(), Some(last));
    }
    world.revoke(0);
    assert!(world.tree.is_empty());
}

#[test]
fn objects_of_every_kind_have_a_kind_and_an_id() {
    let key = holders(1)[0];
    let object = Object::Thread {
        process: key,
        id: 9,
    };
    assert_eq!((object.kind() as u64, object.id()), (2, 9));
}
