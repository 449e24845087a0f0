//! The tree of processes: a directory for each, made when somebody looks.
//!
//! A process's directory hangs on the record of its end ([`Exit`]): it is found
//! as long as that is, an open file keeps the record, and a process that nobody
//! looks at has neither. The names in it are those of PatchworkOS
//! (`personality::process_files`). Whose directory is looked for is found by
//! the process that looks, because that one is out of the table.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::RefCell;

use crate::error::KernelError;
use crate::kernel::Kernel;
use crate::object::exit::{Exit, ExitRef};
use crate::object::file::Ready;
use crate::object::inode::{Body, Directory, Entry, Inode, Name, Seeds, System, Target};
use crate::object::process::{Process, ProcessKey};
use crate::object::wait::Entry as Waiter;
use crate::personality::{PROCESS_IDS, process_files, process_id};
use crate::port::{Machine, Port};

/// What a file of a process's directory is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// How it ends.
    Exit,
    /// Commands.
    Control,
    /// Its priority.
    Priority,
    /// Its working directory.
    Directory,
    /// Its arguments.
    Arguments,
    /// Notes to it.
    Note,
    /// What it has used.
    Usage,
}

impl PartKind {
    /// It can be read.
    pub fn is_read(self) -> bool {
        !matches!(self, Self::Control | Self::Note)
    }

    /// It can be written.
    pub fn is_written(self) -> bool {
        matches!(
            self,
            Self::Control | Self::Note | Self::Priority | Self::Directory
        )
    }
}

/// A file of a process's directory.
#[derive(Clone, Debug)]
pub struct Part {
    /// The process, unless it had ended when somebody first looked.
    process: Option<ProcessKey>,
    /// The record of its end; the kernel itself has none.
    exit: Option<Weak<Exit>>,
    kind: PartKind,
}

/// The same, open.
#[derive(Debug)]
pub struct OpenPart {
    /// The process, if it lived when somebody first looked.
    pub process: Option<ProcessKey>,
    /// The record of its end; the kernel itself has none.
    pub exit: Option<ExitRef>,
    /// What it is about.
    pub file: PartKind,
    /// What a reader found at its beginning, and reads on.
    pub text: RefCell<Vec<u8>>,
}

impl Part {
    /// Opens it.
    ///
    /// # Errors
    /// [`KernelError::NotFound`] when the process is forgotten.
    pub fn open(&self) -> Result<Box<OpenPart>, KernelError> {
        let exit = match &self.exit {
            None => None,
            Some(exit) => Some(exit.upgrade().ok_or(KernelError::NotFound)?),
        };
        Ok(Box::new(OpenPart {
            process: self.process,
            exit,
            file: self.kind,
            text: RefCell::default(),
        }))
    }
}

impl OpenPart {
    /// What can be done without waiting: only an end can be waited for.
    /// # Errors
    /// [`KernelError::NotSupported`] for the others.
    pub fn ready(&self) -> Result<Ready, KernelError> {
        match (&self.exit, self.file) {
            (Some(exit), PartKind::Exit) if exit.status.get().is_some() => Ok(Ready::IN),
            (_, PartKind::Exit) => Ok(Ready::NONE),
            _ => Err(KernelError::NotSupported),
        }
    }

    /// Enters a parked thread for the end.
    pub fn enter(&self, entry: Waiter) {
        if let (Some(exit), PartKind::Exit) = (&self.exit, self.file) {
            exit.waiters.enter(entry);
        }
    }
}

/// A process, living or ended not long ago.
struct Subject {
    process: Option<ProcessKey>,
    /// The kernel itself has none.
    exit: Option<ExitRef>,
}

impl<P: Port> Kernel<P> {
    /// An entry of the directory of processes, or of one's directory.
    ///
    /// # Errors
    /// [`KernelError::NotFound`], [`KernelError::NoMemory`].
    #[cold]
    pub(crate) fn process_entry(
        &self,
        by: &Process<P>,
        parent: &Rc<Inode>,
        name: &Name,
    ) -> Result<Target, KernelError> {
        let directory = parent.directory().ok_or(KernelError::NotFound)?;
        match directory.seeds.get() {
            Seeds::Processes => {
                let id = match name.bytes() {
                    process_files::SELF => process_id(by).ok_or(KernelError::NotFound)?,
                    digits => number(digits).ok_or(KernelError::NotFound)?,
                };
                let subject = self.subject(by, id).ok_or(KernelError::NotFound)?;
                let inode = self.process_directory(parent, id, subject.exit.as_ref())?;
                let id = inode.directory().map_or(0, |it| it.entry);
                Ok(Target { id, inode })
            }
            Seeds::Process => self.process_part(by, parent, directory, name),
            _ => Err(KernelError::NotFound),
        }
    }

    /// A file of a process's directory that nobody has looked at before.
    fn process_part(
        &self,
        by: &Process<P>,
        parent: &Rc<Inode>,
        directory: &Directory,
        name: &Name,
    ) -> Result<Target, KernelError> {
        let (files, now) = (self.files(), self.machine.now());
        let inode = if name.bytes() == process_files::ENVIRONMENT {
            let system = System::Environments;
            files.directory(parent, *name, system, Seeds::None, now)?
        } else {
            let mut kinds = process_files::FILES.iter();
            let kind = kinds.find(|(known, _)| *known == name.bytes());
            let (_, kind) = kind.ok_or(KernelError::NotFound)?;
            let id = number(directory.name.bytes());
            let subject = id.and_then(|id| self.subject(by, id));
            let subject = subject.ok_or(KernelError::NotFound)?;
            let part = Part {
                process: subject.process,
                exit: subject.exit.as_ref().map(Rc::downgrade),
                kind: *kind,
            };
            files.inode(System::Processes, now, Body::Process(part))?
        };
        files.enter(directory, *name, inode)
    }

    /// Whom an id names: the kernel, who looks, another, or one that has ended.
    fn subject(&self, by: &Process<P>, id: u64) -> Option<Subject> {
        if id == 0 {
            let (process, exit) = (None, None);
            return Some(Subject { process, exit });
        }
        let of = |process: &Process<P>| Subject {
            process: Some(process.key),
            exit: Some(Rc::clone(&process.exit)),
        };
        if process_id(by) == Some(id) {
            return Some(of(by));
        }
        let mut others = self.all_processes();
        let lives = others.find(|process| process_id(process) == Some(id));
        lives.map(of).or_else(|| {
            let exit = self.exited.find(self.machine.now(), PROCESS_IDS, id)?;
            Some(Subject {
                process: None,
                exit: Some(exit),
            })
        })
    }

    /// The directory of a process, below `parent`; the kernel's has no record.
    fn process_directory(
        &self,
        parent: &Rc<Inode>,
        id: u64,
        exit: Option<&ExitRef>,
    ) -> Result<Rc<Inode>, KernelError> {
        let files = self.files();
        let place = exit.map_or(&files.kernel_directory, |exit| &exit.directory);
        if let Some(made) = place.get() {
            return Ok(Rc::clone(made));
        }
        let name = Name::new(format!("{id}").as_bytes()).ok_or(KernelError::TooLong)?;
        let now = self.machine.now();
        let made = files.directory(parent, name, System::Processes, Seeds::Process, now)?;
        made.links.set(1);
        Ok(Rc::clone(place.get_or_init(|| made)))
    }

    /// Makes everything that a directory of the tree has; of the directories of
    /// processes and of segments, which are never whole, gives what they have now.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub(crate) fn sprout_for(
        &self,
        by: &Process<P>,
        inode: &Rc<Inode>,
    ) -> Result<Option<Vec<Entry>>, KernelError> {
        let Some(directory) = inode.directory() else {
            return Ok(None);
        };
        match directory.seeds.get() {
            Seeds::Processes => self.process_list(by, inode).map(Some),
            Seeds::Process => {
                let names = process_files::FILES.iter().map(|(name, _)| *name);
                let names: Vec<Name> = names
                    .chain([process_files::ENVIRONMENT])
                    .filter_map(Name::new)
                    .collect();
                for name in &names {
                    match self.entry_for(by, inode, name) {
                        // It has ended, and been forgotten since.
                        Ok(_) | Err(KernelError::NotFound) => {}
                        Err(error) => return Err(error),
                    }
                }
                let place = |entry: &Entry| names.iter().position(|name| *name == entry.name);
                directory.entries.borrow_mut().sort_by_key(place);
                directory.seeds.set(Seeds::None);
                Ok(None)
            }
            Seeds::Segments(new, _) => self.segment_list(inode, new).map(Some),
            _ => self.sprout_all(inode).map(|()| None),
        }
    }

    /// Who looks, the kernel, and the processes that live, by their ids.
    fn process_list(&self, by: &Process<P>, parent: &Rc<Inode>) -> Result<Vec<Entry>, KernelError> {
        let mut ids: Vec<u64> = self.all_processes().filter_map(process_id).collect();
        ids.extend(process_id(by));
        ids.push(0);
        ids.sort_unstable();
        let ids = ids.iter().map(|id| Name::new(format!("{id}").as_bytes()));
        let names = [Name::new(process_files::SELF)].into_iter().chain(ids);
        let entries = names.flatten().map(|name| {
            let Target { id, inode } = self.process_entry(by, parent, &name)?;
            Ok(Entry { id, name, inode })
        });
        entries.collect()
    }

    /// Gives a new process a copy of another's environment; nothing is made
    /// while that is empty.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub fn copy_environment(&self, from: &Process<P>, to: &Process<P>) -> Result<(), KernelError> {
        let name = Name::new(process_files::ENVIRONMENT).ok_or(KernelError::NotFound)?;
        let Some(original) = from.exit.directory.get() else {
            return Ok(());
        };
        let original = original.directory().ok_or(KernelError::NotFound)?;
        let Some(variables) = original.find(&name) else {
            return Ok(());
        };
        let variables = variables.inode;
        if variables
            .directory()
            .is_none_or(|it| it.entries.borrow().is_empty())
        {
            return Ok(());
        }
        let parent = original.parent.upgrade().ok_or(KernelError::NotFound)?;
        let id = process_id(to).ok_or(KernelError::NotFound)?;
        let directory = self.process_directory(&parent, id, Some(&to.exit))?;
        let copy = self.entry_for(to, &directory, &name)?.inode;
        let (Some(source), Some(target)) = (variables.directory(), copy.directory()) else {
            return Ok(());
        };
        let (files, now) = (self.files(), self.machine.now());
        for entry in &*source.entries.borrow() {
            if self.machine.heap_low() {
                return Err(KernelError::NoMemory);
            }
            let Some(regular) = entry.inode.regular() else {
                continue;
            };
            let body = Body::File(regular.duplicate()?);
            let inode = files.inode(copy.system, now, body)?;
            files.enter(target, entry.name, inode)?;
        }
        Ok(())
    }
}

/// A decimal number as the tree spells it: digits, without zeros before them.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.len() > 1 && digits[0] == b'0' || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(digits).ok()?.parse().ok()
}
