//! The whole file tree of PatchworkOS against a model: names, links, mounts.
//!
//! A process makes, links, removes and binds at random paths, `..` among them;
//! every call ends as the model's does, and afterwards every path leads where
//! the model says.

mod model;

use std::collections::HashMap;

use mayfly_abi::Abi;
use mayfly_abi::patchwork::{ERR, Errno, nr};
use proptest::prelude::*;

use super::{errno, one};
use crate::fake::bench::Bench;
use crate::fake::image::DATA;
use crate::object::process::ProcessKey;
use model::{Fact, HERE, Model, Step};

const OLD: u64 = DATA + 0x1000;
const NEW: u64 = DATA + 0x2000;
const STAT: u64 = DATA + 0x3000;
/// Most binds of a case: the kernel's own limit is tested elsewhere.
const BINDS: usize = 12;

/// One thing a program does.
#[derive(Clone, Debug)]
enum Deed {
    Create(Vec<Step>, bool),
    Remove(Vec<Step>, bool, bool),
    Link(Vec<Step>, Vec<Step>),
    Bind(Vec<Step>, Vec<Step>, bool),
    Enter(Vec<Step>),
    Look(Vec<Step>),
}

impl Deed {
    fn paths(&self) -> Vec<&Vec<Step>> {
        match self {
            Deed::Create(path, _) | Deed::Remove(path, ..) => vec![path],
            Deed::Enter(path) | Deed::Look(path) => vec![path],
            Deed::Link(one, other) | Deed::Bind(one, other, _) => vec![one, other],
        }
    }
}

fn paths() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just("a"), 4 => Just("b"), 1 => Just("c"), 2 => Just(".."), 1 => Just("."),
    ];
    let first = prop_oneof![6 => Just(Some("tmp")), 1 => Just(None), 3 => Just(Some(HERE))];
    let steps = proptest::collection::vec(step, 0..4);
    (first, steps).prop_map(|(first, steps)| first.into_iter().chain(steps).collect())
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    // `/tmp` stays: what is removed has a name of the three.
    let removed = paths().prop_filter("not /tmp", |path| path.last() != Some(&"tmp"));
    let often = prop::bool::weighted(0.7);
    let deed = prop_oneof![
        6 => (paths(), often).prop_map(|(path, directory)| Deed::Create(path, directory)),
        2 => (removed, often, often)
            .prop_map(|(path, directory, recursive)| Deed::Remove(path, directory, recursive)),
        4 => (paths(), paths()).prop_map(|(old, new)| Deed::Link(old, new)),
        2 => (paths(), paths(), prop::bool::weighted(0.2))
            .prop_map(|(source, path, read_only)| Deed::Bind(source, path, read_only)),
        2 => paths().prop_map(Deed::Enter),
        2 => paths().prop_map(Deed::Look),
    ];
    proptest::collection::vec(deed, 1..80)
}

/// What every case begins with, so that there is something to find.
fn beginning() -> [Deed; 5] {
    [
        Deed::Create(vec!["tmp", "a"], true),
        Deed::Create(vec!["tmp", "a", "a"], true),
        Deed::Create(vec!["tmp", "a", "b"], false),
        Deed::Create(vec!["tmp", "b"], true),
        Deed::Link(vec!["tmp", "a", "b"], vec!["tmp", "b", "a"]),
    ]
}

/// A process and what it has learnt of inode numbers.
struct Walker {
    bench: Bench,
    key: ProcessKey,
    numbers: HashMap<(bool, usize), u64>,
}

impl Walker {
    fn poke(&mut self, address: u64, path: &[Step], flags: &str) {
        let text = match path.split_first() {
            Some((&HERE, steps)) => format!("{}{flags}\0", steps.join("/")),
            _ => format!("/{}{flags}\0", path.join("/")),
        };
        self.bench.poke(self.key, address, text.as_bytes());
    }

    fn call(&mut self, number: u64, arguments: &[u64]) -> Result<u64, Errno> {
        match self.bench.call(self.key, number, arguments) {
            ERR => {
                let code = u32::try_from(errno(&mut self.bench, self.key)).unwrap();
                Err(Errno::from_code(code).unwrap())
            }
            value => Ok(value),
        }
    }

    fn open(&mut self, path: &[Step], flags: &str) -> Result<u64, Errno> {
        self.poke(OLD, path, flags);
        self.call(nr::OPEN, &[OLD])
    }

    fn close(&mut self, fd: u64) {
        assert_eq!(self.call(nr::CLOSE, &[fd]), Ok(0));
    }

    /// Does a deed in both worlds; they agree.
    fn perform(&mut self, model: &mut Model, deed: &Deed) {
        let relative = deed.paths().iter().any(|path| path.first() == Some(&HERE));
        if relative && !model.can_begin_here() {
            return;
        }
        let (found, wanted) = match deed {
            Deed::Create(path, directory) => {
                let flags = if *directory {
                    ":create:directory"
                } else {
                    ":c"
                };
                let opened = self.open(path, flags);
                (
                    opened.map(|fd| self.close(fd)),
                    model.create(path, *directory),
                )
            }
            Deed::Remove(path, directory, recursive) => {
                let letters = [(*directory, "d"), (*recursive, "R")];
                let letters = letters.iter().filter(|(given, _)| *given);
                let flags: String = letters.map(|(_, letter)| *letter).collect();
                self.poke(OLD, path, &format!(":{flags}"));
                let removed = self.call(nr::REMOVE, &[OLD]).map(drop);
                (removed, model.remove(path, *directory, *recursive))
            }
            Deed::Link(old, new) => {
                self.poke(OLD, old, "");
                self.poke(NEW, new, "");
                let linked = self.call(nr::LINK, &[OLD, NEW]).map(drop);
                (linked, model.link(old, new))
            }
            Deed::Bind(..) if model.binds() == BINDS => return,
            Deed::Bind(source, path, read_only) => {
                let opened = self.open(source, if *read_only { ":dr" } else { ":d" });
                match (opened, model.open_directory(source)) {
                    (Ok(fd), Ok(spot)) => {
                        self.poke(NEW, path, "");
                        let bound = self.call(nr::BIND, &[fd, NEW, 0]).map(drop);
                        self.close(fd);
                        (bound, model.bind(spot, path, *read_only))
                    }
                    (found, wanted) => (found.map(drop), wanted.map(drop)),
                }
            }
            Deed::Enter(path) => {
                self.poke(OLD, path, "");
                (self.call(nr::CHDIR, &[OLD]).map(drop), model.enter(path))
            }
            Deed::Look(path) => return self.look(model, path),
        };
        assert_eq!(found, wanted, "{deed:?}");
    }

    /// Both see the same at a path; an inode's number stays the same.
    fn look(&mut self, model: &Model, path: &[Step]) {
        self.poke(OLD, path, "");
        let found = self.call(nr::STAT, &[OLD, STAT]);
        let wanted = model.look(path);
        let Ok(fact) = wanted else {
            return assert_eq!(found.map(drop), wanted.map(drop), "{path:?}");
        };
        assert_eq!(found, Ok(0), "{path:?}");
        let words = [0, 8, 32].map(|offset| self.bench.peek_word(self.key, STAT + offset));
        let Fact { identity, links } = fact;
        assert_eq!(words[1] & 0xffff_ffff, u64::from(identity.0), "{path:?}");
        // The root has no name that could be counted.
        if identity != (true, 0) {
            assert_eq!(words[2], links as u64, "links of {path:?}");
        }
        let number = *self.numbers.entry(identity).or_insert(words[0]);
        assert_eq!(words[0], number, "{path:?} is another inode");
    }
}

/// Every path of up to three names, and of `..` behind each.
fn all_paths() -> Vec<Vec<Step>> {
    let names = ["a", "b", "c"];
    let mut paths: Vec<Vec<Step>> = vec![vec![], vec!["tmp"]];
    let mut level = paths.clone();
    for _ in 0..3 {
        let longer = level.iter().flat_map(|path| {
            names.map(|name| path.iter().copied().chain([name]).collect::<Vec<_>>())
        });
        level = longer.collect();
        paths.extend(level.clone());
    }
    let up: Vec<Vec<Step>> = paths
        .iter()
        .map(|path| path.iter().copied().chain([".."]).collect())
        .collect();
    paths.extend(up);
    paths
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_tree_is_that_of_a_model(deeds in deeds()) {
        let (bench, key) = one(Abi::Patchwork);
        let mut walker = Walker { bench, key, numbers: HashMap::new() };
        let mut model = Model::new();
        for deed in beginning().iter().chain(&deeds) {
            walker.perform(&mut model, deed);
        }
        for path in all_paths() {
            walker.look(&model, &path);
        }
        let numbers: std::collections::HashSet<u64> = walker.numbers.values().copied().collect();
        prop_assert_eq!(numbers.len(), walker.numbers.len(), "two inodes have one number");
    }
}
