//! Takes machines down on a thread of its own.
//!
//! Purpose: KVM waits until nobody can look at a machine any more, which takes
//! as long as making one; a test need not wait for that. Few machines wait to be
//! taken down, so that memory is not held; beyond that, whoever drops one takes
//! it down. The last one is left until another one comes: it may be the only one,
//! and ends with the process then, without a thread. Neighbour: `client`, whose
//! machines these are.

use std::sync::mpsc::{Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;

use crate::backend::Backend;

/// Machines that may wait.
const WAITING_MAX: usize = 4;

/// What the thread is to do.
enum Task {
    /// Take a machine down.
    End(Box<dyn Backend>),
    /// Say that all before is done.
    Tell(Sender<()>),
}

/// The machine that was dropped last.
static LAST: Mutex<Option<Box<dyn Backend>>> = Mutex::new(None);

static REAPER: LazyLock<Option<SyncSender<Task>>> = LazyLock::new(|| {
    let (sender, tasks) = sync_channel(WAITING_MAX);
    let reaper = thread::Builder::new().name("mayfly-reaper".into());
    // Without a thread, whoever drops a machine takes it down.
    let started = reaper.spawn(move || tasks.into_iter().for_each(perform));
    started.ok().map(|_| sender)
});

fn perform(task: Task) {
    match task {
        Task::End(machine) => drop(machine),
        // Nobody may wait for it any more.
        Task::Tell(done) => drop(done.send(())),
    }
}

/// Ends a machine: at once what it does, soon what it holds.
pub(crate) fn take_down(machine: Box<dyn Backend>) {
    if !machine.can_end_later() {
        return;
    }
    if let Some(earlier) = replace_last(Some(machine)) {
        end(earlier);
    }
}

fn replace_last(machine: Option<Box<dyn Backend>>) -> Option<Box<dyn Backend>> {
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::replace(&mut *last, machine)
}

fn end(machine: Box<dyn Backend>) {
    if let Some(reaper) = &*REAPER
        && let Err(TrySendError::Full(task) | TrySendError::Disconnected(task)) =
            reaper.try_send(Task::End(machine))
    {
        perform(task);
    }
}

/// Waits until all machines that were dropped before hold nothing any more.
pub fn settle() {
    if let Some(last) = replace_last(None) {
        end(last);
    }
    let Some(reaper) = &*REAPER else { return };
    let (sender, done) = channel();
    if reaper.send(Task::Tell(sender)).is_ok() {
        // An error is the thread's end, which has nothing left to do either.
        let _told = done.recv();
    }
}
