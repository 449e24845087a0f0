//! Notes: short words to a thread (specs/patchwork.md §11).
//!
//! No thread has a handler. The one word that acts is `kill`, which whoever
//! brings it does at once; any other disturbs a call that waits. They are kept
//! until their thread runs again, and then go to the log.

use alloc::vec::Vec;

use crate::error::KernelError;
use crate::object::thread::ThreadKey;

/// Bytes of a note's buffer: a note is shorter.
pub const NOTE_SIZE: usize = 64;
/// Most notes that wait for a thread.
const NOTES_MAX: usize = 8;

/// A note on its way.
#[derive(Clone, Copy, Debug)]
pub struct Note {
    /// The thread it is for.
    pub thread: ThreadKey,
    /// Id of the thread's process.
    pub process: u64,
    text: [u8; NOTE_SIZE],
    length: usize,
}

impl Note {
    /// A note.
    ///
    /// # Errors
    /// [`KernelError::InvalidArgument`] when it is too long.
    pub fn new(thread: ThreadKey, process: u64, text: &[u8]) -> Result<Self, KernelError> {
        let mut note = Self {
            thread,
            process,
            text: [0; NOTE_SIZE],
            length: text.len(),
        };
        let room = note.text[..NOTE_SIZE - 1].get_mut(..text.len());
        let room = room.ok_or(KernelError::InvalidArgument)?;
        room.copy_from_slice(text);
        Ok(note)
    }

    /// Its words.
    pub fn text(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

/// Notes of threads that have not run since.
#[derive(Debug, Default)]
pub struct Notes {
    notes: Vec<Note>,
}

impl Notes {
    /// There are none.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// Leaves a note.
    ///
    /// # Errors
    /// [`KernelError::WouldBlock`] when the thread has as many as it may have.
    pub fn leave(&mut self, note: Note) -> Result<(), KernelError> {
        let others = self.notes.iter();
        let waiting = others.filter(|other| other.thread == note.thread).count();
        if waiting >= NOTES_MAX {
            return Err(KernelError::WouldBlock);
        }
        self.notes.push(note);
        Ok(())
    }

    /// Takes the oldest note of a thread.
    pub fn take(&mut self, thread: ThreadKey) -> Option<Note> {
        let at = self.notes.iter().position(|note| note.thread == thread)?;
        Some(self.notes.remove(at))
    }

    /// Forgets the notes of a thread that is gone.
    pub fn forget(&mut self, thread: ThreadKey) {
        self.notes.retain(|note| note.thread != thread);
    }
}
