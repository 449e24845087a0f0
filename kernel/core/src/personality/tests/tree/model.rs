//! A file tree with mounts, as `specs/patchwork.md` §4, §5 and §10 tell of it.
//!
//! Nodes are names; a spot is a node as seen through a mount. Nothing here is
//! shared with the kernel's own code.

use mayfly_abi::patchwork::Errno::{self, *};

/// A step of a path.
pub(super) type Step = &'static str;
/// First step of a path that begins in the working directory.
pub(super) const HERE: Step = "@";
pub(super) type Outcome = Result<(), Errno>;

struct Node {
    name: &'static str,
    parent: usize,
    /// Its directory's children are in it still.
    alive: bool,
    /// Which file it is a name of; `None` is a directory.
    file: Option<usize>,
}

struct Mount {
    root: usize,
    covered: Option<Spot>,
    writable: bool,
}

/// A node as seen through a mount.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    mount: usize,
    node: usize,
}

/// What STAT tells of a spot: its identity, whether it is a directory, its links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) identity: (bool, usize),
    pub(super) links: usize,
}

/// The tree.
pub(super) struct Model {
    nodes: Vec<Node>,
    mounts: Vec<Mount>,
    files: usize,
    directory: Spot,
}

impl Model {
    /// A root with `/tmp`.
    pub(super) fn new() -> Self {
        let directory = |name| Node {
            name,
            parent: 0,
            alive: true,
            file: None,
        };
        Self {
            nodes: vec![directory(""), directory("tmp")],
            mounts: vec![Mount {
                root: 0,
                covered: None,
                writable: true,
            }],
            files: 0,
            directory: Spot { mount: 0, node: 0 },
        }
    }

    /// CHDIR.
    pub(super) fn enter(&mut self, path: &[Step]) -> Outcome {
        let spot = match self.parent(path) {
            Ok((at, name)) => self.down(at, name).map_err(|_| ENOTDIR)?,
            Err(EINVAL) => self.walk(path)?,
            Err(error) => return Err(error),
        };
        if !self.is_directory(spot) {
            return Err(ENOTDIR);
        }
        self.directory = spot;
        Ok(())
    }

    /// The working directory was not removed: whether what is above one that
    /// was can be reached is nobody's promise.
    pub(super) fn can_begin_here(&self) -> bool {
        let mut spot = Some(self.directory);
        while let Some(Spot { mount, mut node }) = spot {
            while node != self.mounts[mount].root {
                if !self.nodes[node].alive {
                    return false;
                }
                node = self.nodes[node].parent;
            }
            spot = self.mounts[mount].covered;
        }
        true
    }

    /// Mounts besides the root.
    pub(super) fn binds(&self) -> usize {
        self.mounts.len() - 1
    }

    fn is_directory(&self, spot: Spot) -> bool {
        self.nodes[spot.node].file.is_none()
    }

    fn is_writable(&self, spot: Spot) -> bool {
        self.mounts[spot.mount].writable
    }

    fn child(&self, of: usize, name: &str) -> Option<usize> {
        let is_child = |node: &usize| {
            let it = &self.nodes[*node];
            it.alive && *node != 0 && it.parent == of && it.name == name
        };
        (0..self.nodes.len()).find(is_child)
    }

    fn over(&self, mut spot: Spot) -> Spot {
        let covers = |spot: Spot| {
            let mut mounts = self.mounts.iter();
            mounts.rposition(|mount| mount.covered == Some(spot))
        };
        while let Some(mount) = covers(spot) {
            spot = Spot {
                mount,
                node: self.mounts[mount].root,
            };
        }
        spot
    }

    fn down(&self, spot: Spot, name: &str) -> Result<Spot, Errno> {
        let node = match self.is_directory(spot) {
            true => self.child(spot.node, name),
            false => None,
        };
        Ok(self.over(Spot {
            node: node.ok_or(ENOENT)?,
            ..spot
        }))
    }

    fn up(&self, from: Spot) -> Spot {
        let mut spot = from;
        while self.mounts[spot.mount].root == spot.node {
            match self.mounts[spot.mount].covered {
                Some(covered) => spot = covered,
                None => return from,
            }
        }
        self.over(Spot {
            node: self.nodes[spot.node].parent,
            ..spot
        })
    }

    fn walk(&self, path: &[Step]) -> Result<Spot, Errno> {
        let (start, steps) = match path.split_first() {
            Some((&HERE, steps)) => (self.directory, steps),
            _ => (self.over(Spot { mount: 0, node: 0 }), path),
        };
        steps.iter().try_fold(start, |spot, step| match *step {
            "." | ".." if !self.is_directory(spot) => Err(ENOENT),
            "." => Ok(spot),
            ".." => Ok(self.up(spot)),
            name => self.down(spot, name),
        })
    }

    /// The directory of the last name, and that name.
    fn parent(&self, path: &[Step]) -> Result<(Spot, &'static str), Errno> {
        match path.split_last() {
            None | Some((&("." | ".." | HERE), _)) => Err(EINVAL),
            Some((last, before)) => Ok((self.walk(before)?, last)),
        }
    }

    fn add(&mut self, at: Spot, name: &'static str, file: Option<usize>) {
        self.nodes.push(Node {
            name,
            parent: at.node,
            alive: true,
            file,
        });
    }

    /// OPEN with `create`, and `directory` or not.
    pub(super) fn create(&mut self, path: &[Step], directory: bool) -> Outcome {
        let (at, name) = self.parent(path)?;
        match self.down(at, name) {
            Ok(spot) => match (self.is_directory(spot), directory) {
                (true, false) => Err(EISDIR),
                (false, true) => Err(ENOTDIR),
                _ => Ok(()),
            },
            Err(_) if !self.is_directory(at) => Err(ENOENT),
            Err(_) if !self.is_writable(at) => Err(EACCES),
            Err(_) if !self.nodes[at.node].alive => Err(ENOENT),
            Err(_) => {
                let file = (!directory).then_some(self.files);
                self.files += 1;
                self.add(at, name, file);
                Ok(())
            }
        }
    }

    /// REMOVE, with `directory` and `recursive` or not.
    pub(super) fn remove(&mut self, path: &[Step], directory: bool, recursive: bool) -> Outcome {
        let (at, name) = self.parent(path)?;
        let node = match self.is_directory(at) {
            true => self.child(at.node, name).ok_or(ENOENT)?,
            false => return Err(ENOENT),
        };
        match (self.nodes[node].file.is_none(), directory) {
            (false, true) => return Err(ENOTDIR),
            (true, false) => return Err(EISDIR),
            _ => {}
        }
        let spot = Spot { node, ..at };
        if self.over(spot) != spot || !self.is_writable(at) {
            return Err(EACCES);
        }
        let children = |model: &Self, of: usize| -> Vec<usize> {
            let nodes = model.nodes.iter().enumerate().skip(1);
            let children = nodes.filter(|(_, it)| it.alive && it.parent == of);
            children.map(|(node, _)| node).collect()
        };
        if !recursive && !children(self, node).is_empty() {
            return Err(ENOTEMPTY);
        }
        let mut gone = vec![node];
        while let Some(node) = gone.pop() {
            gone.extend(children(self, node));
            self.nodes[node].alive = false;
        }
        Ok(())
    }

    /// LINK.
    pub(super) fn link(&mut self, old: &[Step], new: &[Step]) -> Outcome {
        let (old_at, old_name) = self.parent(old)?;
        let (at, name) = self.parent(new)?;
        let spot = self.down(old_at, old_name)?;
        if !self.is_directory(at) {
            return Err(ENOENT);
        }
        let Some(file) = self.nodes[spot.node].file else {
            return Err(EISDIR);
        };
        if self.down(at, name).is_ok() {
            return Err(EEXIST);
        }
        if !self.nodes[at.node].alive {
            return Err(ENOENT);
        }
        if !self.is_writable(at) {
            return Err(EACCES);
        }
        self.add(at, name, Some(file));
        Ok(())
    }

    /// OPEN of a directory for a BIND.
    pub(super) fn open_directory(&self, path: &[Step]) -> Result<Spot, Errno> {
        let spot = self.walk(path)?;
        self.is_directory(spot).then_some(spot).ok_or(ENOTDIR)
    }

    /// BIND of what was opened, to read only or not.
    pub(super) fn bind(&mut self, source: Spot, path: &[Step], read_only: bool) -> Outcome {
        let covered = self.walk(path)?;
        self.mounts.push(Mount {
            root: source.node,
            covered: Some(covered),
            writable: self.is_writable(source) && !read_only,
        });
        Ok(())
    }

    /// STAT.
    pub(super) fn look(&self, path: &[Step]) -> Result<Fact, Errno> {
        let node = self.walk(path)?.node;
        let same = |it: &&Node| it.alive && it.file.is_some() && it.file == self.nodes[node].file;
        Ok(match self.nodes[node].file {
            Some(file) => Fact {
                identity: (false, file),
                links: self.nodes.iter().filter(same).count(),
            },
            None => Fact {
                identity: (true, node),
                links: usize::from(self.nodes[node].alive),
            },
        })
    }
}
